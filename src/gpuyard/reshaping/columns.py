"""Columns of a job table changed as a whole: times moved, names marked, values replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.parents import without_dangling
from gpuyard.workload import MICROSECOND, NEVER, Workload, to_ticks

__all__ = ["TIMES", "floats", "mark_for", "marked", "moved", "rebuilt", "replaced", "without_record"]

TIMES = ("submit_time", "not_before", "deadline", "start_time", "end_time")
"""Instants of a job: what moves when the job moves."""


def replaced(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Return the table with other values in some columns, cast to the types these have."""
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        item = table.schema.field(at)
        table = table.set_column(at, item, pa.chunked_array([values.cast(item.type)]))
    return table


def floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a numeric column as float64, null as not-a-number, shape (jobs,)."""
    return np.asarray(table[name].cast(pa.float64()).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def moved(table: pa.Table, ticks: int) -> pa.Table:
    """Return the table with every instant moved by so many microseconds, exactly."""
    columns = {}
    for name in TIMES:
        if table[name].null_count < len(table):
            at = to_ticks(floats(table, name))
            known = at != NEVER
            columns[name] = pa.array(np.where(known, at + np.where(known, ticks, 0), 0) / MICROSECOND, mask=~known)
    return replaced(table, columns)


def mark_for(tables: Iterable[pa.Table]) -> str:
    """Return what stands between a name and the number of its copy: ``~``, longer where names already hold that."""
    names = [table[column] for table in tables for column in ("job_id", "array", "user")]
    mark = "~"
    while any(pc.any(pc.match_substring(column, mark)).as_py() for column in names):
        mark += "~"
    return mark


def marked(table: pa.Table, ending: str) -> pa.Table:
    """Return the table with an ending on all job ids, on the arrays, and on the jobs depended on."""
    columns = {
        name: pc.binary_join_element_wise(table[name].combine_chunks(), ending, "")
        for name in ("job_id", "array")
        if table[name].null_count < len(table)
    }
    if table["depends_on"].null_count < len(table):
        parents = [names and [name + ending for name in names] for names in table["depends_on"].to_pylist()]
        columns["depends_on"] = pa.array(parents, table.schema.field("depends_on").type)
    return replaced(table, columns)


def without_record(table: pa.Table, changed: NDArray[np.bool_]) -> pa.Table:
    """Return the table without the recorded start and end of the jobs that ``changed``, shape (jobs,), marks."""
    gone = pa.array(changed)
    nothing = pa.scalar(None, pa.float64())
    return replaced(
        table,
        {
            name: pc.if_else(gone, nothing, table[name].combine_chunks())
            for name in ("start_time", "end_time")
            if table[name].null_count < len(table)
        },
    )


def rebuilt(workload: Workload, table: pa.Table, note: str, *, name: str | None = None) -> Workload:
    """Return another table as the workload, with a note; dependencies on jobs that are not there are dropped."""
    table, cut = without_dangling(table)
    lost = (f"dependencies on jobs left out dropped from {cut:,} of them",) if cut else ()
    return Workload.from_table(
        table,
        name=workload.name if name is None else name,
        rejected=workload.rejected,
        notes=(*workload.notes, "; ".join((note, *lost))),
    )
