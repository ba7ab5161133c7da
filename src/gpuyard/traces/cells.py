"""Separated text as columns of text cells, and cells as numbers and instants.

A record is one line.  Blank lines and, where a format has them, comment lines are no records.  A line
that does not have as many cells as the header is a rejection that names the line; so is a quote that is
not closed on its line.  Everything else stays text until a reader asks for a number or an instant.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from gpuyard.errors import ConfigError, InputError
from gpuyard.traces.source import check_utf8, read_bytes
from gpuyard.traces.trace import Rejection

__all__ = [
    "SHOWN",
    "Cells",
    "as_instant",
    "as_instants",
    "as_numbers",
    "header_names",
    "later_readings",
    "naive_note",
    "read_separated",
    "zone_of",
]

SHOWN = 80
"""Characters of a value that a rejection shows."""
LONGEST_LINE = 1 << 20
"""Bytes; a longer line is rejected."""
MODERN = 94_694_400.0
"""1973, in seconds since 1970: from then on no clock in the world is off by parts of a minute."""
QUARTER = 900.0
"""Seconds: clocks change on quarters of an hour."""
RAGGED = "the line does not have as many cells as the header"
UNCLOSED = "a quote is not closed on its line"
TOO_LONG = "the line is longer than 1 MiB"

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?", re.ASCII)
PLAIN = r"^-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?$"
"""What :data:`NUMBER` takes and Arrow reads for certain."""
INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?)?\s?(?P<zone>Z|[+-]\d\d(:?\d\d)?)?", re.ASCII
)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The cells of a separated file.

    ``columns`` maps a column's name to its text (Arrow string, shape (records,), never null), ``rows``
    is the 1-based line of each record (int64, shape (records,)), ``rejected`` the lines that are no
    record, and ``rows_in`` the number of both together.
    """

    path: Path
    columns: dict[str, pa.ChunkedArray]
    rows: NDArray[np.int64]
    rejected: tuple[Rejection, ...]
    rows_in: int

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.rows)


def read_separated(
    path: str | Path,
    *,
    required: Sequence[str] = (),
    names: Sequence[str] | None = None,
    separator: str = ",",
    comment: bytes | None = None,
) -> Cells:
    """Return the cells of a separated UTF-8 text file.

    Parameters
    ----------
    path
        The file, plain or gzip.
    required
        Columns the header must have.
    names
        Names of the columns of a file without a header line.
    separator
        One character between cells.
    comment
        Lines that begin with it, before the header, are left out.

    Raises
    ------
    InputError
        For a file that cannot be read, and for a header that lacks a required column or names one twice.
    """
    path = Path(path)
    data = read_bytes(path)
    check_utf8(data, path)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = _lines(data)
    if comment is not None:
        first = 0
        while first < len(lines.begins) and data.startswith(comment, lines.begins[first]):
            first += 1
        lines = lines.after(first)
    if names is None:
        if not len(lines.begins):
            raise InputError("the file has no header line", path=path)
        names = _header(data[lines.begins[0] : lines.ends[0]].decode(), separator, path, int(lines.rows[0]))
        lines = lines.after(1)
    missing = [name for name in required if name not in names]
    if missing:
        raise InputError(
            "a column is missing from the header",
            path=path,
            column=missing[0],
            value=separator.join(names),
            remedy=f"the columns needed are {', '.join(required)}, separated by {separator!r}",
        )
    return _records(path, data, lines, list(names), separator)


def header_names(head: bytes) -> list[str]:
    """Return the cells of a file's first line, nothing where it is no comma-separated text."""
    line = re.split(rb"[\r\n]", head, maxsplit=1)[0].decode("utf-8", "replace")
    try:
        return [name.strip() for name in next(csv.reader([line], strict=True), [])]
    except csv.Error:
        return []


class _Lines(NamedTuple):
    """Lines that are not blank: bytes begin (included) and end (not included), and 1-based line number."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    rows: NDArray[np.int64]

    def after(self, first: int) -> _Lines:
        return _Lines(self.begins[first:], self.ends[first:], self.rows[first:])


def _lines(data: bytes) -> _Lines:
    buffer = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(buffer == ord("\n")).astype(np.int64)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    begins = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    keep = ends > begins
    blank = np.isin(buffer[np.minimum(begins, len(data) - 1)], [ord(" "), ord("\t")])
    for line in np.flatnonzero(keep & blank):
        keep[line] = bool(data[begins[line] : ends[line]].strip(b" \t"))
    rows = np.arange(1, len(ends) + 1, dtype=np.int64)
    return _Lines(begins[keep], ends[keep], rows[keep])


def _header(line: str, separator: str, path: Path, row: int) -> list[str]:
    """Return the column names of a header line."""
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=separator, strict=True))]
    except csv.Error as problem:
        raise InputError(f"the header line cannot be read: {problem}", path=path, row=row, value=line) from None
    for name in names:
        if names.count(name) > 1:
            raise InputError("the header names a column twice", path=path, row=row, column=name)
    return names


def _records(path: Path, data: bytes, lines: _Lines, names: list[str], separator: str) -> Cells:
    """Return the cells of the given lines, fast where no line is odd, line by line where one is."""
    parsed = _fast(data, lines, names, separator) if len(lines.rows) else None
    columns, rows, rejected = parsed or _slow(data, lines, names, separator)
    return Cells(path=path, columns=columns, rows=rows, rejected=tuple(rejected), rows_in=len(lines.rows))


_Parsed = tuple[dict[str, pa.ChunkedArray], NDArray[np.int64], list[Rejection]]


def _fast(data: bytes, lines: _Lines, names: list[str], separator: str) -> _Parsed | None:
    """Return the cells by Arrow's parser, or None where its records would not be our lines."""
    if int((lines.ends - lines.begins).max()) > LONGEST_LINE or b"\0" in data:
        return None
    rows, records = lines.rows, data[lines.begins[0] : lines.ends[-1]]
    ragged: list[tuple[int, str]] = []

    def note(row: pacsv.InvalidRow) -> str:
        ragged.append((row.number, row.text))
        return "skip"

    has_quotes = b'"' in records
    numbers: list[str] = [f"c{number}" for number in range(len(names))]
    try:
        table = pacsv.read_csv(
            pa.BufferReader(records),
            read_options=pacsv.ReadOptions(
                column_names=numbers, use_threads=False, block_size=max(4 * LONGEST_LINE, 16 << 20)
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=separator, newlines_in_values=has_quotes, invalid_row_handler=note
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()),
                strings_can_be_null=False,
                null_values=[],
                check_utf8=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if table.num_rows + len(ragged) != len(rows) or any(number is None for number, _ in ragged):
        return None
    bad = np.array([number - 1 for number, _ in ragged], dtype=np.int64)
    if len(bad) and bad.max() >= len(rows):
        return None
    if any(data[lines.begins[at] : lines.ends[at]].decode() != text for at, (_, text) in zip(bad, ragged, strict=True)):
        return None
    keep = np.ones(len(rows), dtype=bool)
    keep[bad] = False
    rejected = [Rejection(int(rows[at]), "", text[:SHOWN], RAGGED) for at, (_, text) in zip(bad, ragged, strict=True)]
    columns = {name: table.column(number) for number, name in enumerate(names)}
    return columns, rows[keep], rejected


def _slow(data: bytes, lines: _Lines, names: list[str], separator: str) -> _Parsed:
    """Return the cells line by line, for files with odd quotes, NUL bytes or very long lines."""
    good: list[int] = []
    records: list[list[str]] = []
    rejected: list[Rejection] = []
    for begin, end, row in zip(*(part.tolist() for part in lines), strict=True):
        if end - begin > LONGEST_LINE:
            rejected.append(Rejection(row, "", data[begin : begin + SHOWN].decode("utf-8", "replace"), TOO_LONG))
            continue
        text = data[begin:end].decode()
        try:
            record = next(csv.reader([text], delimiter=separator, strict=True))
        except csv.Error:
            rejected.append(Rejection(row, "", text[:SHOWN], UNCLOSED))
            continue
        if len(record) != len(names):
            rejected.append(Rejection(row, "", text[:SHOWN], RAGGED))
            continue
        good.append(row)
        records.append(record)
    columns = {
        name: pa.chunked_array([pa.array([record[number] for record in records], pa.string())])
        for number, name in enumerate(names)
    }
    return columns, np.array(good, dtype=np.int64), rejected


def as_numbers(cells: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return text as float64, shape (records,), and which cells are no finite decimal number (not-a-number there).

    Only cells that are neither blank nor plain decimal numbers are looked at one by one.
    """
    filled = pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)
    try:
        values = pc.cast(filled, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        values = _odd_numbers(filled)
    wrong = ~np.isfinite(values)
    return np.where(wrong, np.nan, values), wrong


def _odd_numbers(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return cells as numbers where some are not plain ones: those are read one by one."""
    is_plain = pc.match_substring_regex(cells, PLAIN)
    plain = pc.if_else(is_plain, cells, pa.scalar(None, pa.string()))
    values = np.array(pc.cast(plain, pa.float64()).to_numpy())
    odd = np.flatnonzero(pc.and_(cells.is_valid(), pc.invert(is_plain)).fill_null(False).to_numpy())
    values[odd] = [_number(text) for text in cells.take(pa.array(odd)).to_pylist()]
    return values


def _number(text: str) -> float:
    text = text.strip()
    return float(text) if NUMBER.fullmatch(text) else float("nan")


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return the time zone of that IANA name, None for None; ConfigError where there is none."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"unknown time zone '{name}'; give an IANA name such as Asia/Seoul, America/Los_Angeles or UTC"
        ) from None


def as_instants(cells: pa.ChunkedArray, zone: str | None = None) -> tuple[NDArray[np.float64], NDArray[np.bool_], bool]:
    """Return ISO 8601 text as seconds since 1970 (UTC), shape (records,).

    Returns
    -------
    seconds, wrong, is_naive
        ``wrong`` marks cells that are no timestamp (not-a-number in ``seconds``).  ``is_naive`` is True
        when a timestamp without offset was read and no zone was given: it was taken as if in UTC.  In
        the hour that a clock change repeats, a time means the earlier instant.
    """
    clock = zone_of(zone)
    naive = _cast_instants(cells, pa.timestamp("us"))
    if naive is not None and clock is None:
        return naive, np.zeros(len(naive), dtype=bool), bool(len(naive))
    if naive is not None and clock is not None and (naive >= MODERN).all():
        return _shifted(naive, clock), np.zeros(len(naive), dtype=bool), False
    aware = _cast_instants(cells, pa.timestamp("us", "UTC")) if naive is None else None
    if aware is not None:
        return aware, np.zeros(len(aware), dtype=bool), False
    texts = cells.to_pylist()
    seconds = np.array([_or_nan(as_instant(text or "", clock)) for text in texts], dtype=np.float64)
    is_naive = clock is None and any(_is_naive(text or "") for text in texts)
    return seconds, np.isnan(seconds), is_naive


def naive_note(is_naive: bool) -> list[str]:
    """Return the note for timestamps without a zone, nothing where there are none."""
    return ["the timestamps state no time zone and none was given: they are read as if in UTC"] if is_naive else []


def _cast_instants(cells: pa.ChunkedArray, kind: pa.DataType) -> NDArray[np.float64] | None:
    """Return the instants when all cells are timestamps of that kind, otherwise None."""
    try:
        ticks = pc.cast(pc.cast(cells, kind), pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return np.asarray(ticks / 1e6)


def _shifted(naive: NDArray[np.float64], clock: ZoneInfo) -> NDArray[np.float64]:
    """Return the instants of wall-clock times; each different minute is looked up once."""
    minutes, place = np.unique(np.floor(naive / 60).astype(np.int64), return_inverse=True)
    walls = (datetime.fromtimestamp(minute * 60, UTC).replace(tzinfo=clock) for minute in minutes.tolist())
    offsets = np.array([(wall.utcoffset() or timedelta()).total_seconds() for wall in walls])
    return np.asarray(naive - offsets[place]) if len(naive) else naive


def later_readings(seconds: NDArray[np.float64], clock: ZoneInfo) -> NDArray[np.float64]:
    """Return the later instant of each wall-clock time that a clock change repeats; elsewhere the same instant.

    ``seconds`` are instants as :func:`as_instants` reads them, the earlier ones, shape (records,).
    """
    known = np.isfinite(seconds) & (seconds >= MODERN)
    quarters, place = np.unique(np.floor(seconds[known] / QUARTER).astype(np.int64), return_inverse=True)
    gain = np.array([_repeated(quarter * QUARTER, clock) for quarter in quarters.tolist()], dtype=np.float64)
    later = seconds.copy()
    later[known] += gain[place]
    return later


def _repeated(instant: float, clock: ZoneInfo) -> float:
    """Return after how many seconds the clock shows the same time again, 0 where it does not."""
    try:
        wall = datetime.fromtimestamp(instant, clock)
    except (ValueError, OverflowError, OSError):
        return 0.0
    again = wall.replace(fold=1)
    return ((wall.utcoffset() or timedelta()) - (again.utcoffset() or timedelta())).total_seconds()


def as_instant(text: str, clock: ZoneInfo | None) -> float | None:
    """Return ISO 8601 text as seconds since 1970, None for no timestamp; ``clock`` is the zone where none is stated."""
    text = text.strip()
    if not INSTANT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-").replace(" Z", "Z"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=clock or UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return since.days * 86400 + since.seconds + since.microseconds / 1e6


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _is_naive(text: str) -> bool:
    match = INSTANT.fullmatch(text.strip())
    return match is not None and match["zone"] is None
