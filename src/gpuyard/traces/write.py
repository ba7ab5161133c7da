"""Write a job table as Parquet, as our CSV, or as SWF: whole or not at all.

Parquet holds every table.  The CSV holds all that one line a job can hold: a text with a line break, an
empty text, or a dependency whose name has a semicolon is refused rather than changed, with Parquet as
the remedy.  Cells are the data as they stand: a spreadsheet may take one that begins with ``=`` for a
formula, so open such a file as text.  SWF holds less; see :mod:`gpuyard.traces.write_swf`.

The bytes go to a temporary name in the same folder, which takes the target's name once all are written;
whatever goes wrong, nothing half-written is left.  The same table gives the same bytes.
"""

from __future__ import annotations

import gzip
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.traces.schema import COLUMNS, ORIGIN, SERVICES, SOURCE_FORMAT, ZONE, job_schema
from gpuyard.traces.write_swf import swf_text

__all__ = ["FORMATS", "check_target", "write_table", "write_tables"]

FORMATS = ("parquet", "csv", "swf")
SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".swf": "swf"}
ROW_GROUP = 1 << 18
"""Jobs of a row group of Parquet."""
LONGEST_LINE = 1 << 20
"""Bytes of a line that the reader of our CSV takes; what stands in a line besides its texts is below 4 KiB."""


def write_table(table: pa.Table, path: str | Path, format: str | None = None) -> tuple[str, ...]:
    """Write a job table to a file, replacing what was there, and return what the format could not hold.

    Parameters
    ----------
    table
        Columns of :mod:`gpuyard.traces.schema`, shape (jobs,); those missing are written as null.
    path
        The file; ``.csv.gz`` and ``.swf.gz`` are packed.
    format
        ``parquet``, ``csv`` or ``swf``; by the file's suffix when left out.

    Returns
    -------
    tuple of str
        One sentence for each kind of value that an SWF file loses; empty for Parquet and CSV.

    Raises
    ------
    ConfigError
        For a format nobody knows, or a table that is no job table.
    InputError
        For a file that cannot be written, and for a value that the format cannot hold and that may not
        be left out.
    """
    path = Path(path)
    chosen, is_packed = _format_of(path, format)
    whole = _complete(table)
    _check_finite(whole, path)
    notes: tuple[str, ...] = ()
    if chosen == "csv":
        _check_lines(whole, path)
    if chosen == "swf":
        text, notes = swf_text(whole, path)
    with _replacing(path, packed=is_packed) as stream:
        if chosen == "parquet":
            pq.write_table(whole, stream, compression="zstd", row_group_size=ROW_GROUP)
        elif chosen == "csv":
            _write_csv(whole, stream)
        else:
            stream.write(text)
    return notes


def write_tables(tables: Iterable[pa.Table], path: str | Path) -> int:
    """Write job tables, one after the other, to one Parquet file, and return how many jobs; the same bytes as at once.

    No more is held than the jobs of a row group and one table.

    Raises
    ------
    InputError
        For a file that cannot be written.
    """
    written = 0
    with _replacing(Path(path), packed=False) as stream:
        parts = iter(tables)
        first = _complete(next(parts, job_schema().empty_table()))
        schema, held = first.schema, first.columns
        del first
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for part in parts:
                more = _complete(part).columns
                held = [pa.chunked_array([*old.chunks, *new.chunks]) for old, new in zip(held, more, strict=True)]
                while len(held[0]) > ROW_GROUP:
                    writer.write_table(_first_rows(held, schema, ROW_GROUP), ROW_GROUP)
                    written += ROW_GROUP
            left = len(held[0])
            if left or not written:
                writer.write_table(_first_rows(held, schema, left), ROW_GROUP)
    return written + left


def _first_rows(columns: list[pa.ChunkedArray], schema: pa.Schema, rows: int) -> pa.Table:
    """Take rows from the beginning of columns, and return them in one piece, made one column after the other."""
    taken = []
    for at, column in enumerate(columns):
        taken.append(pa.table([column.slice(0, rows)], names=[schema.names[at]]).combine_chunks().column(0))
        columns[at] = column.slice(rows)
        del column
    return pa.Table.from_arrays(taken, schema=schema)


def check_target(path: str | Path, format: str | None = None) -> str:
    """Return the format; raise for what :func:`write_table` would refuse whatever the table, before long work.

    Raises
    ------
    ConfigError
        For a format nobody knows.
    InputError
        If the folder is not there, or the path is a folder.
    """
    path = Path(path)
    chosen, _ = _format_of(path, format)
    if not path.parent.is_dir():
        raise InputError("there is no such folder", path=path.parent, remedy="create it first")
    if path.is_dir():
        raise InputError("this is a folder", path=path, remedy="name a file in it")
    return chosen


def _format_of(path: Path, format: str | None) -> tuple[str, bool]:
    """Return the format and whether the file is to be packed."""
    name = path.name.lower()
    is_packed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    chosen = SUFFIXES.get(suffix) if format is None else format
    if chosen is None:
        raise ConfigError(
            f"the name '{path.name}' does not say which format to write; end it in .parquet, .csv or .swf, "
            f"or name one of {', '.join(FORMATS)}"
        )
    if chosen not in FORMATS:
        raise unknown_name("format to write", chosen, FORMATS)
    if chosen == "parquet" and is_packed:
        raise ConfigError(f"Parquet is packed already; leave out the '.gz' of '{path.name}'")
    return chosen, is_packed


def _complete(table: pa.Table) -> pa.Table:
    """Return the table with every column of the schema, in its order and types."""
    known = {column.name for column in COLUMNS}
    strange = [name for name in table.column_names if name not in known]
    if strange:
        raise ConfigError(f"the job table has no column {strange}; its columns are {sorted(known)}")
    kept = (ORIGIN, SOURCE_FORMAT, ZONE, SERVICES)
    facts = {key: value for key, value in (table.schema.metadata or {}).items() if key in kept}
    schema = job_schema(facts)
    columns = []
    for item in schema:
        if item.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, item.type))
            continue
        try:
            columns.append(table[item.name].cast(item.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
            raise ConfigError(f"column '{item.name}' does not hold {item.type}: {problem}") from None
    return pa.Table.from_arrays(columns, schema=schema)


def _check_finite(table: pa.Table, path: Path) -> None:
    """Refuse numbers that no reader would take back."""
    for item in table.schema:
        if pa.types.is_floating(item.type):
            wrong = pc.invert(pc.is_finite(table[item.name])).fill_null(False)
            _refuse(wrong, table, item.name, path, "a number must be finite", "make it null or drop the row")


def _refuse(wrong: pa.ChunkedArray, table: pa.Table, column: str, path: Path, message: str, remedy: str) -> None:
    """Raise for the first row marked, with its number in the table."""
    if pc.any(wrong).as_py():
        row = pc.index(wrong, value=True).as_py()
        raise InputError(
            message, path=path, row=row + 1, column=column, value=table[column][row].as_py(), remedy=remedy
        )


def _check_lines(table: pa.Table, path: Path) -> None:
    """Refuse what our CSV would not give back."""
    remedy = "write Parquet, which holds any text"
    total = np.zeros(table.num_rows, dtype=np.int64)
    for item in table.schema:
        texts = table[item.name]
        if pa.types.is_list(item.type):
            names = pc.list_flatten(texts)
            odd = pc.or_(pc.match_substring(names, ";"), pc.equal(names, ""))
            at = pc.list_parent_indices(texts).filter(odd.fill_null(True))
            wrong = pa.chunked_array(
                [pc.is_in(pa.array(np.arange(table.num_rows)), at.combine_chunks().cast(pa.int64()))]
            )
            _refuse(wrong, table, item.name, path, "a job's name is empty or has a semicolon", remedy)
            texts = pc.binary_join(texts, ";")
        elif not pa.types.is_string(item.type):
            continue
        else:
            _refuse(pc.equal(texts, "").fill_null(False), table, item.name, path, "an empty text reads as null", remedy)
        breaks = pc.match_substring_regex(texts, "[\r\n]").fill_null(False)
        _refuse(breaks, table, item.name, path, "a text has a line break", remedy)
        # In quotes, a quote is written twice.
        total += (
            pc.binary_length(texts).fill_null(0).to_numpy() + pc.count_substring(texts, '"').fill_null(0).to_numpy()
        )
    longest = pa.chunked_array([pa.array(total > LONGEST_LINE - 4096)])
    _refuse(longest, table, "job_id", path, "the texts of a job are longer than a line may be", remedy)
    facts = table.schema.metadata or {}
    for key in (ORIGIN, ZONE, SOURCE_FORMAT):
        if any(mark in facts.get(key, b"") for mark in (b";", b"\n", b"\r")):
            message = "a fact about the trace has a semicolon or a line break"
            value = facts[key].decode("utf-8", "replace")
            raise InputError(message, path=path, column=key.decode(), value=value, remedy=remedy)


def _write_csv(table: pa.Table, stream: BinaryIO) -> None:
    """Write our first line, the header and one line a job; null is blank."""
    facts = table.schema.metadata or {}
    origin, zone, source = (facts.get(key, b"").decode() for key in (ORIGIN, ZONE, SOURCE_FORMAT))
    stream.write(f"# gpuyard trace; origin={origin}; zone={zone}; format={source}\n".encode())
    at = table.schema.get_field_index("depends_on")
    # An empty list means what null means: depends on nothing.
    joined = pc.binary_join(table["depends_on"], ";")
    joined = pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)
    table = table.set_column(at, pa.field("depends_on", pa.string()), joined)
    stream.write(",".join(table.column_names).encode() + b"\n")
    pacsv.write_csv(table.replace_schema_metadata(None), stream, write_options=pacsv.WriteOptions(include_header=False))


@contextmanager
def _replacing(path: Path, *, packed: bool) -> Iterator[BinaryIO]:
    """Open a temporary file beside the target that takes its place when all went well, and is gone otherwise."""
    if path.exists() and not path.is_file():
        raise InputError("only a regular file can be replaced", path=path, remedy="choose another name")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        try:
            raw = temporary.open("xb")
        except OSError as problem:
            remedy = "create the folder first" if not path.parent.exists() else "choose a folder that can be written to"
            raise InputError(f"the file cannot be written: {problem.strerror}", path=path, remedy=remedy) from None
        with raw:
            if packed:
                # No name and no time inside, so that the same table gives the same bytes.
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
                    yield cast(BinaryIO, stream)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    except OSError as problem:
        raise InputError(
            f"the file cannot be written: {problem.strerror or problem}",
            path=path,
            remedy="see that there is room for it",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
