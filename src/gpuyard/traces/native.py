"""gpuyard's own trace files: the job table as CSV (also gzip) or Parquet.

The CSV has a header line of column names of :mod:`gpuyard.traces.schema`: any of them, in any order, with at
least job_id, submit_time and gpus.  Blank is null; ``depends_on`` is a list separated by ``;``; ``spread`` is true
or false.  The first line may be ``# gpuyard trace; origin=...; zone=...; format=...``.  Parquet has the same columns
in their types (numbers of other widths are fine) and the metadata keys of the schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpuyard.errors import ConfigError, InputError
from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import Cells, header_names, read_separated, zone_of
from gpuyard.traces.schema import COLUMNS, ORIGIN, SERVICES, SOURCE_FORMAT, ZONE
from gpuyard.traces.source import ReadOptions, head, read_bytes
from gpuyard.traces.trace import Trace

__all__ = ["DESCRIPTION", "NAME", "PREAMBLE", "read", "recognises"]

NAME = "native"
DESCRIPTION = "gpuyard's own job table: CSV or Parquet with the schema's column names"

PREAMBLE = "# gpuyard trace"
"""How the first line of a CSV begins that states origin, zone and format."""
REQUIRED = ("job_id", "submit_time", "gpus")
KINDS = {column.name: column.dtype for column in COLUMNS}
PARQUET_MAGIC = b"PAR1"
PARQUET_LIMIT = 16 << 30
"""A Parquet file may not unpack to more bytes than this."""
TRUTH = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the head is Parquet, our first line, or a header of schema columns only."""
    if head.startswith((PARQUET_MAGIC, PREAMBLE.encode())):
        return True
    names = set(header_names(head))
    return set(REQUIRED) <= names <= set(KINDS)


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the trace in a native file; no option applies, as times are seconds since the origin it states."""
    if head(path, 4) == PARQUET_MAGIC:
        return _read_parquet(path)
    facts = _preamble(head(path).split(b"\n", 1)[0].decode("utf-8", "replace").strip())
    cells = read_separated(path, required=REQUIRED, comment=b"#")
    _check_names(path, list(cells.columns))
    builder = JobTableBuilder.of(cells, NAME)
    for name in cells.columns:
        _put_text_column(builder, cells, name)
    return _finish(builder, facts.get("origin", ""), facts.get("zone", ""), facts.get("format", ""))


def _finish(builder: JobTableBuilder, origin: str, zone: str, source_format: str) -> Trace:
    """Return the trace with the facts that its file states, once they are checked."""
    try:
        if origin:
            datetime.fromisoformat(origin)
    except ValueError:
        raise InputError(
            "the origin is no ISO 8601 timestamp",
            path=builder.path,
            value=origin,
            remedy="such as 2026-03-02T09:00+09:00",
        ) from None
    try:
        zone_of(zone or None)
    except ConfigError as problem:
        raise InputError(str(problem), path=builder.path) from None
    return builder.finish(origin=origin, zone=zone, source_format=source_format or NAME)


def _preamble(line: str) -> dict[str, str]:
    """Return origin, zone and format of our first line; nothing for any other line."""
    if not line.startswith(PREAMBLE):
        return {}
    pairs = (part.split("=", 1) for part in line.split(";") if "=" in part)
    return {key.strip(): value.strip() for key, value in pairs}


def _check_names(path: Path, names: list[str]) -> None:
    """Raise for a column that the job table does not have, with the nearest one."""
    for name in names:
        if name not in KINDS:
            nearest = difflib.get_close_matches(name, KINDS, n=1)
            hint = f"did you mean '{nearest[0]}'? " if nearest else ""
            raise InputError(
                "the job table has no such column",
                path=path,
                column=name,
                remedy=f"{hint}the columns are {', '.join(KINDS)}",
            )


def _put_text_column(builder: JobTableBuilder, cells: Cells, name: str) -> None:
    """Set a job column from its text."""
    kind = KINDS[name]
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        builder.put(name, builder.numbers(name), source=name)
    elif pa.types.is_boolean(kind):
        texts = builder.texts(name)
        known = pc.is_in(texts, pa.array([*TRUTH, None], pa.string()))
        builder.reject(~known.to_numpy(), name, "this is neither true nor false")
        truth = pa.array([text for text, value in TRUTH.items() if value], pa.string())
        builder.put(
            name, pc.if_else(pc.is_null(texts), pa.scalar(None, pa.bool_()), pc.is_in(texts, truth)), source=name
        )
    elif pa.types.is_list(kind):
        builder.put(name, pc.split_pattern(builder.texts(name), ";"), source=name)
    else:
        builder.put(name, builder.texts(name), source=name)


def _read_parquet(path: Path) -> Trace:
    table = _parquet_table(path)
    _check_names(path, table.column_names)
    for name in REQUIRED:
        if name not in table.column_names:
            raise InputError(
                "a column is missing", path=path, column=name, remedy=f"the columns needed are {', '.join(REQUIRED)}"
            )
    rows = np.arange(1, table.num_rows + 1, dtype=np.int64)
    builder = JobTableBuilder(format=NAME, path=path, rows=rows, rows_in=table.num_rows)
    for name in table.column_names:
        values = _typed(path, name, table[name])
        builder.put(name, values)
        if pa.types.is_floating(values.type):
            # A null is allowed or not by the table's own rules; not-a-number never stands for null here.
            numbers = values.fill_null(0.0).to_numpy()
            builder.reject(~np.isfinite(numbers), name, "this is not a finite number", numbers.tolist())
    facts: Mapping[bytes, bytes] = table.schema.metadata or {}
    origin, zone, source = (facts.get(key, b"").decode("utf-8", "replace") for key in (ORIGIN, ZONE, SOURCE_FORMAT))
    trace = _finish(builder, origin, zone, source)
    if SERVICES not in facts:
        return trace
    known = {**trace.table.schema.metadata, SERVICES: facts[SERVICES]}
    return replace(trace, table=trace.table.replace_schema_metadata(known))


def _parquet_table(path: Path) -> pa.Table:
    """Return the table in a Parquet file, whose bytes were all checked."""
    try:
        file = pq.ParquetFile(pa.BufferReader(read_bytes(path)))
        groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
        if sum(group.total_byte_size for group in groups) > PARQUET_LIMIT:
            raise InputError("the table would take more than 16 GiB", path=path, remedy="split the file")
        table = file.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as problem:
        first = (str(problem).splitlines() or ["no details"])[0]
        raise InputError(f"this is not a Parquet file that can be read: {first}", path=path) from None
    return table


def _typed(path: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a Parquet column in a type the builder takes: float64 for numbers, otherwise the schema's."""
    kind, found = KINDS[name], column.type
    value = found.value_type if pa.types.is_dictionary(found) else found
    is_number = pa.types.is_integer(value) or pa.types.is_floating(value)
    try:
        if pa.types.is_null(found):
            return pa.chunked_array([pa.nulls(len(column), pa.float64() if _is_number(kind) else kind)])
        if _is_number(kind) and is_number:
            return column.cast(value).cast(pa.float64())
        if pa.types.is_string(kind) and (pa.types.is_string(value) or pa.types.is_large_string(value)):
            return column.cast(kind)
        if found == kind or (pa.types.is_list(kind) and _is_text_list(found)):
            return column.cast(kind)
    except pa.ArrowException as problem:
        raise InputError(f"the column cannot be used: {problem}", path=path, column=name) from None
    raise InputError(
        "the column has the wrong type", path=path, column=name, value=str(found), remedy=f"it must be {kind}"
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text_list(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    return bool(pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
