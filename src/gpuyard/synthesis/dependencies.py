"""Who waits for whom among synthetic jobs: by the names of jobs, or by their rows where all jobs are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.parents import coded, ranges
from gpuyard.synthesis.batch import Batch, unit_column
from gpuyard.synthesis.expansion import ITEMS
from gpuyard.synthesis.names import job_names

__all__ = ["Dependencies", "named_parents"]

MOST_UNITS = 1 << 32
"""More units than a kind has in a table."""


class _Waiting(NamedTuple):
    """Some jobs of one series that may wait for others of it; all of shape (jobs,)."""

    row: NDArray[np.int32]  # in the whole table
    unit: NDArray[np.int32]  # 0 for a kind without units, whose jobs are numbered through
    number: NDArray[np.int32]  # in the unit
    first: NDArray[np.int32]  # number of the first parent
    parents: NDArray[np.int32]  # how many there are, neighbours by their number


class Dependencies:
    """Who waits for whom in a table that is made part by part."""

    def __init__(self) -> None:
        self._rows = 0
        self._of_series: dict[tuple[str, str], list[_Waiting]] = {}

    def __bool__(self) -> bool:
        return bool(self._of_series)

    def add(self, batches: list[Batch], order: NDArray[np.int64]) -> None:
        """Take note of the jobs of the next rows: those of the batches, one after the other, in an order."""
        row = np.empty(order.size, dtype=np.int32)
        row[order] = np.arange(self._rows, self._rows + order.size, dtype=np.int32)
        self._rows += order.size
        end = 0
        for batch in batches:
            begin, end = end, end + batch.submit.size
            if batch.jobs is None and batch.link is None:
                continue
            columns = (np.maximum(unit_column([batch], "unit", 0), 0), batch.number)
            parents = (unit_column([batch], name, 0) for name in ("first_parent", "parents"))
            found = _Waiting(row[begin:end].copy(), *(each.astype(np.int32) for each in (*columns, *parents)))
            self._of_series.setdefault(batch.series, []).append(found)

    def column(self, ids: pa.Array) -> pa.Array:
        """Return for each job its parents, as rows of ``ids``, the names of all jobs (:mod:`gpuyard.parents`).

        What was noted is forgotten.
        """
        count = np.zeros(self._rows, dtype=np.int32)
        for parts in self._of_series.values():
            for part in parts:
                count[part.row] = part.parents
        begin = np.cumsum(count, dtype=np.int64) - count
        rows = np.empty(int(count.sum()), dtype=np.int32)
        while self._of_series:
            _, parts = self._of_series.popitem()
            waiting = _Waiting(*(np.concatenate(column) for column in zip(*parts, strict=True)))
            _enter(waiting, begin, rows)
        return coded(count, rows, ids)


def _enter(jobs: _Waiting, begin: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
    """Write the rows of the parents of each job of a series from where they begin; all of them are among the jobs."""
    width = np.zeros(int(jobs.unit.max()) + 1, dtype=np.int64)
    np.maximum.at(width, jobs.unit, jobs.number + 1)
    first_of_unit = np.cumsum(width) - width
    row_of = np.empty(int(width.sum()), dtype=np.int32)
    row_of[first_of_unit[jobs.unit] + jobs.number] = jobs.row
    child = np.flatnonzero(jobs.parents)
    parents = jobs.parents[child].astype(np.int64)
    first = first_of_unit[jobs.unit[child]] + jobs.first[child]
    rows[ranges(begin[jobs.row[child]], parents)] = row_of[ranges(first, parents)]


def named_parents(batches: list[Batch], order: NDArray[np.int64]) -> pa.Array:
    """Return for each job the names of its parents, null where it has none.

    Parents are neighbours in their unit, and many jobs have the same: names are made once for each group of parents.
    """
    parents, first, unit = (
        unit_column(batches, name, missing)[order]
        for name, missing in (("parents", 0), ("first_parent", 0), ("unit", -1))
    )
    kind = np.repeat(np.arange(len(batches)), [batch.submit.size for batch in batches])[order]
    child = np.flatnonzero(parents)
    group = _units(batches)[order][child] + first[child]
    _, chosen, same = np.unique(group, return_index=True, return_inverse=True)
    chosen = child[chosen]
    widest = np.zeros(chosen.size, dtype=np.int64)
    np.maximum.at(widest, same, parents[child])
    begins = np.cumsum(widest) - widest
    number = ranges(first[chosen], widest)
    names = job_names(np.repeat(kind[chosen], widest), batches, number, np.repeat(unit[chosen], widest))
    ends = np.cumsum(parents)
    rows = ranges(begins[same], parents[child])
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    none = np.concatenate((parents == 0, [False]))
    return pa.ListArray.from_arrays(pa.array(offsets, mask=none), names.take(pa.array(rows)))


def _units(batches: list[Batch]) -> NDArray[np.int64]:
    """Return a number for each job's unit, or series, times ITEMS."""
    waiting = [batch.series for batch in batches if batch.jobs is not None or batch.link is not None]
    keys = {key: number for number, key in enumerate(dict.fromkeys(waiting))}
    series = np.repeat([keys.get(batch.series, -1) for batch in batches], [batch.submit.size for batch in batches])
    return np.asarray((series * MOST_UNITS + unit_column(batches, "unit", -1) + 1) * ITEMS)
