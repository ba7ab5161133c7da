"""From source columns to a checked :class:`Trace`: every row becomes a job or a rejection with its reason.

A reader puts one source column after the other into a :class:`JobTableBuilder`; formats that are not
columns (JSON, sacct) add one job after the other to a :class:`JobRows`.  Both end in ``finish``, which
checks what the job table promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.traces.cells import SHOWN, Cells, as_instants, as_numbers, zone_of
from gpuyard.traces.dependencies import unmet
from gpuyard.traces.schema import COLUMNS, ORIGIN, SOURCE_FORMAT, STATES, ZONE, job_schema
from gpuyard.traces.trace import Rejection, Trace
from gpuyard.units import MOST_CPUS, MOST_MEMORY_GIB

__all__ = ["MOST_GPUS", "MOST_SECONDS", "JobRows", "JobTableBuilder"]

MOST_SECONDS = 1e12
"""Times are below this in either direction (32,000 years)."""
MOST_GPUS = 1_000_000
_LARGEST = 1e300
FIRST_DATE, LAST_DATE = -62_135_596_800.0, 253_402_300_799.0
"""Seconds since 1970 of the years 1 and 9999."""

_TYPES = {column.name: column.dtype for column in COLUMNS}
_TIMES = ("submit_time", "start_time", "end_time", "not_before", "deadline")
_DURATIONS = ("runtime", "time_limit", "think_time", "checkpoint_interval")
_BOUNDS: dict[str, tuple[float, float, str]] = {
    **dict.fromkeys(_TIMES, (-MOST_SECONDS, MOST_SECONDS, "the time is beyond 1e12 s")),
    **dict.fromkeys(_DURATIONS, (0.0, MOST_SECONDS, "a duration must be between 0 and 1e12 s")),
    "gpus": (0.0, MOST_GPUS, f"GPUs must be between 0 and {MOST_GPUS}"),
    "gpu_milli": (1.0, 1000.0, "a share of a GPU must be between 1 and 1000 thousandths"),
    "cpus": (0.0, MOST_CPUS, "CPU cores must be between 0 and 1e9"),
    "memory_gib": (0.0, MOST_MEMORY_GIB, "memory must be between 0 and 1e12 GiB"),
    "nodes": (1.0, MOST_GPUS, f"nodes must be between 1 and {MOST_GPUS}"),
    "segment": (1.0, MOST_GPUS, f"nodes of a segment must be between 1 and {MOST_GPUS}"),
    "priority": (-(2.0**31), 2.0**31 - 1, "a priority must fit 32 bits"),
    "nice": (-(2.0**31), 2.0**31 - 1, "a nice value must fit 32 bits"),
    "array_limit": (1.0, 2.0**31 - 1, "the limit of an array must be 1 or more"),
    "activity": (0.0, 1.0, "activity must be between 0 and 1"),
}
_NEVER_NULL = ("job_id", "submit_time", "gpus")


class JobTableBuilder:
    """Builds the job table of one file, column by column.

    Parameters
    ----------
    format
        Name of the format.
    path
        The file.
    rows
        int64, shape (records,): the 1-based line of each record.
    rows_in
        Records of the file, those already rejected included.
    rejected
        Rows already rejected, none of which is in ``rows``.
    columns
        Source columns as Arrow text of shape (records,): what :meth:`numbers`, :meth:`instants` and
        :meth:`texts` read, and what rejections show.
    """

    def __init__(
        self,
        *,
        format: str,
        path: Path | None,
        rows: NDArray[np.int64],
        rows_in: int,
        rejected: Iterable[Rejection] = (),
        columns: Mapping[str, pa.ChunkedArray] | None = None,
    ) -> None:
        self.format, self.path, self.rows_in = format, path, rows_in
        self.rows = np.asarray(rows, dtype=np.int64)
        self.source: dict[str, pa.ChunkedArray] = dict(columns or {})
        self._rejected = list(rejected)
        self._good = np.ones(len(self.rows), dtype=bool)
        self._columns: dict[str, Any] = {}
        self._source_of: dict[str, str] = {}

    @classmethod
    def of(cls, cells: Cells, format: str) -> JobTableBuilder:
        """Return a builder for the records of a separated file."""
        return cls(
            format=format,
            path=cells.path,
            rows=cells.rows,
            rows_in=cells.rows_in,
            rejected=cells.rejected,
            columns=cells.columns,
        )

    def __len__(self) -> int:
        return len(self.rows)

    # -- reading source columns ------------------------------------------------------------------

    def texts(self, source: str, *, missing: Sequence[str] = ("",)) -> pa.ChunkedArray:
        """Return a source column as text, null for any of the ``missing`` words."""
        cells = self.source[source]
        return pc.if_else(pc.is_in(cells, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), cells)

    def numbers(self, source: str, *, missing: Sequence[str] = ("",)) -> NDArray[np.float64]:
        """Return a source column as float64, not-a-number for a ``missing`` word; anything else is rejected."""
        values, wrong = as_numbers(self.source[source])
        self._reject_unread(source, wrong, missing, "this is not a finite number")
        return values

    def as_floats(self, source: str) -> NDArray[np.float64]:
        """Return a source column as float64, not-a-number where it is no finite number; rejects nothing."""
        return as_numbers(self.source[source])[0]

    def instants(
        self, source: str, *, missing: Sequence[str] = ("",), zone: str | None = None
    ) -> tuple[NDArray[np.float64], bool]:
        """Return timestamps as seconds since 1970 and whether their zone is unknown; anything else is rejected."""
        cells = self.source[source]
        absent = pc.is_in(cells, pa.array(missing, pa.string())).to_numpy()
        if not absent.any():
            values, wrong, is_naive = as_instants(cells, zone)
        else:
            values = np.full(len(self), np.nan)
            wrong = np.zeros(len(self), dtype=bool)
            values[~absent], wrong[~absent], is_naive = as_instants(cells.filter(pa.array(~absent)), zone)
        self.reject(wrong, source, "this is not a timestamp")
        return values, is_naive

    def _reject_unread(self, source: str, wrong: NDArray[np.bool_], missing: Sequence[str], reason: str) -> None:
        if wrong.any():
            absent = pc.is_in(self.source[source], pa.array(missing, pa.string())).to_numpy()
            self.reject(wrong & ~absent, source, reason)

    # -- writing job columns ---------------------------------------------------------------------

    def put(
        self, column: str, values: NDArray[np.float64] | pa.Array | pa.ChunkedArray, *, source: str | None = None
    ) -> None:
        """Set a column of the job table: numbers as float64 with not-a-number for null, the rest as Arrow.

        ``source`` names the source column that rejections point at.
        """
        if column not in _TYPES:
            raise KeyError(column)
        self._columns[column] = values
        if source is not None:
            self._source_of[column] = source

    def put_row_ids(self) -> None:
        """Name each job after its line (``row-17``), for formats whose jobs have no name."""
        lines = pc.cast(pa.array(self.rows), pa.string())
        self._columns["job_id"] = pc.binary_join_element_wise(pa.scalar("row-"), lines, "")

    def put_states(self, source: str, words: Mapping[str, str]) -> None:
        """Set ``state`` from the format's own words; a word that is not in ``words`` is rejected, blank is null."""
        cells = self.texts(source)
        coded = cells.combine_chunks().dictionary_encode() if len(cells) else None
        if coded is None:
            self._columns["state"] = pa.array([], pa.string())
            return
        known = pa.array([words.get(word) for word in coded.dictionary.to_pylist()], pa.string())
        states = known.take(coded.indices)
        self.reject(
            pc.and_(cells.is_valid(), states.is_null()).to_numpy(zero_copy_only=False),
            source,
            f"the state is none of {', '.join(words)}",
        )
        self.put("state", states, source=source)

    def put_nodes(self, source: str, *, missing: Sequence[str] = ("",)) -> NDArray[np.float64]:
        """Set ``nodes`` from a source column where 0 means none, and return it with null as not-a-number."""
        nodes = self.numbers(source, missing=missing)
        nodes = np.where(nodes == 0, np.nan, nodes)
        self.put("nodes", nodes, source=source)
        return nodes

    # -- rejecting -------------------------------------------------------------------------------

    def reject(
        self, wrong: NDArray[np.bool_], source: str, reason: str, values: Sequence[object] | None = None
    ) -> None:
        """Reject the rows that ``wrong`` (bool, shape (records,)) marks; a row keeps its first reason.

        The value shown is ``values``, or the source column's text.
        """
        fresh = np.flatnonzero(wrong & self._good)
        if not len(fresh):
            return
        if values is None:
            shown = (
                self.source[source].take(pa.array(fresh)).to_pylist() if source in self.source else [""] * len(fresh)
            )
        else:
            shown = [None if values[at] != values[at] else values[at] for at in fresh.tolist()]
        self._good[fresh] = False
        self._rejected += [
            Rejection(int(row), source, "" if value is None else str(value)[:SHOWN], reason)
            for row, value in zip(self.rows[fresh], shown, strict=True)
        ]

    # -- the end ---------------------------------------------------------------------------------

    def finish(
        self,
        *,
        absolute: bool = False,
        origin: str = "",
        zone: str = "",
        notes: Sequence[str] = (),
        source_format: str | None = None,
    ) -> Trace:
        """Check every row and return the trace, in the order of the file.

        Parameters
        ----------
        absolute
            Times are seconds since 1970: the earliest accepted submit time becomes the origin and all
            times are counted from it, rounded to the microsecond.
        origin
            ISO 8601 timestamp of second 0 where times are relative and it is known.
        zone
            IANA name of the zone of the source's clock; '' where not known: the origin then has no offset.
        notes
            What the reader wants people to know.
        source_format
            Name of the format the jobs first came from, where the file says so; default: ``format``.
        """
        for column in _TYPES:
            if column in _BOUNDS:
                self._check_number(column)
        self._check_values(absolute)
        self._check_dependencies()
        if absolute:
            origin = self._shift(zone)
        good = pa.array(self._good)
        arrays = [self._array(item.name, item.type).filter(good) for item in job_schema()]
        metadata = {
            ORIGIN: origin.encode(),
            SOURCE_FORMAT: (source_format or self.format).encode(),
            ZONE: zone.encode(),
        }
        return Trace(
            table=pa.Table.from_arrays(arrays, schema=job_schema(metadata)).combine_chunks(),
            rows=pa.array(self.rows[self._good]),
            rejected=tuple(sorted(self._rejected, key=lambda rejection: rejection.row)),
            rows_in=self.rows_in,
            format=self.format,
            path=self.path,
            notes=tuple(notes),
        )

    def _floats(self, column: str) -> NDArray[np.float64]:
        """Return a numeric column as float64 with not-a-number for null."""
        values = self._columns[column]
        if isinstance(values, np.ndarray):
            return values
        filled = values.cast(pa.float64()).fill_null(float("nan"))
        return np.asarray(filled.to_numpy(zero_copy_only=False) if isinstance(filled, pa.Array) else filled.to_numpy())

    def _array(self, column: str, kind: pa.DataType) -> pa.Array:
        """Return a column as it goes into the table; rejected rows may hold anything that casts."""
        if column not in self._columns:
            return pa.nulls(len(self), kind)
        values = self._columns[column]
        if isinstance(values, np.ndarray):
            unset = ~np.isfinite(values) | ~self._good
            if pa.types.is_floating(kind):
                return pa.array(values, mask=unset)
            return pa.array(np.where(unset, 0, values).astype(np.int32), mask=unset)
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        return values.cast(kind)

    def _check_number(self, column: str) -> None:
        """Reject what lies outside the column's bounds, and parts of what comes whole."""
        if column not in self._columns:
            return
        values = self._floats(column)
        self._columns[column] = values
        low, high, reason = _BOUNDS[column]
        self._reject_at(column, (values < low) | (values > high) | np.isinf(values), reason)
        if pa.types.is_integer(_TYPES[column]):
            self._reject_at(column, np.isfinite(values) & (values != np.floor(values)), "this must be a whole number")

    def _reject_at(
        self, column: str, wrong: NDArray[np.bool_], reason: str, shown: Sequence[object] | None = None
    ) -> None:
        """Reject rows for their value in a job column, shown as it stands in the source."""
        if not wrong.any():
            return
        source = self._source_of.get(column, column)
        if shown is None and source not in self.source:
            values = self._columns.get(column)
            shown = [""] * len(self) if values is None else _plain(values)
        self.reject(wrong, source, reason, shown)

    def _check_values(self, absolute: bool) -> None:
        """Check nulls, ids, states, shares and the order of start and end."""
        for column in _NEVER_NULL:
            self._reject_at(column, self._is_null(column), "the value is missing")
        if absolute:
            for column in _TIMES:
                if column in self._columns:
                    values = self._floats(column)
                    outside = (values < FIRST_DATE) | (values > LAST_DATE)
                    self._reject_at(column, outside, "the time is outside the years 1 to 9999")
        if "gpu_milli" in self._columns:
            share = self._floats("gpu_milli")
            share = np.where(share == 1000, np.nan, share)
            self._columns["gpu_milli"] = share
            shared = np.isfinite(share) & (self._floats("gpus") != 1)
            self._reject_at("gpu_milli", shared, "a share of a GPU needs a job of 1 GPU")
        if "start_time" in self._columns and "end_time" in self._columns:
            backwards = self._floats("end_time") < self._floats("start_time")
            self._reject_at("end_time", backwards, "the job ends before it starts")
        if "array_limit" in self._columns:
            alone = np.isfinite(self._floats("array_limit")) & self._is_null("array")
            self._reject_at("array_limit", alone, "the limit of an array needs an array")
        if "state" in self._columns:
            states = self._columns["state"]
            known = pc.is_in(states, pa.array([*STATES, None], pa.string()))
            self._reject_at("state", ~_flags(known), f"the state is none of {', '.join(STATES)}")
        self._check_unique()

    def _is_null(self, column: str) -> NDArray[np.bool_]:
        if column not in self._columns:
            return np.ones(len(self), dtype=bool)
        values = self._columns[column]
        if isinstance(values, np.ndarray):
            return np.isnan(values)
        empty = pc.equal(values, "") if column == "job_id" else pc.is_null(values)
        return _flags(pc.or_kleene(empty.fill_null(True), pc.is_null(values)))

    def _check_unique(self) -> None:
        """Reject the second and later job of one id, among the rows that are good so far."""
        ids = self._columns.get("job_id")
        if ids is None or not len(self):
            return
        good = np.flatnonzero(self._good)
        chosen = ids.take(pa.array(good))
        if pc.count_distinct(chosen).as_py() == len(good):
            return
        codes = (chosen.combine_chunks() if isinstance(chosen, pa.ChunkedArray) else chosen).dictionary_encode()
        first = np.zeros(len(good), dtype=bool)
        first[np.unique(codes.indices.to_numpy(), return_index=True)[1]] = True
        repeated = np.zeros(len(self), dtype=bool)
        repeated[good[~first]] = True
        self._reject_at("job_id", repeated, "another job has this job_id")

    def _check_dependencies(self) -> None:
        """Reject jobs that wait for a job which is not in the trace, or for themselves in a circle."""
        depends = self._columns.get("depends_on")
        if depends is None or depends.null_count == len(self):
            return
        lists = depends.to_pylist()
        shown = [";".join(str(parent) for parent in names or ()) for names in lists]
        for wrong, reason in unmet(self._columns["job_id"].to_pylist(), lists, self._good):
            self._reject_at("depends_on", wrong, reason, shown)

    def _shift(self, zone: str) -> str:
        """Count all times from the earliest accepted submit time; return that as ISO 8601."""
        submit = self._floats("submit_time")[self._good]
        if not len(submit):
            return ""
        first = float(submit.min())
        for column in _TIMES:
            if column in self._columns:
                self._columns[column] = np.rint((self._floats(column) - first) * 1e6) / 1e6
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(first * 1e6))
        clock = zone_of(zone or None)
        try:
            return moment.astimezone(clock).isoformat() if clock else moment.replace(tzinfo=None).isoformat()
        except OverflowError:
            return moment.isoformat()


def _plain(values: NDArray[np.float64] | pa.Array | pa.ChunkedArray) -> list[object]:
    return list(values.tolist() if isinstance(values, np.ndarray) else values.to_pylist())


def _flags(mask: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    if isinstance(mask, pa.ChunkedArray):
        return np.asarray(mask.to_numpy(), dtype=bool)
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool)


class JobRows:
    """Collects jobs one by one, for formats that are not columns; then the same checks.

    >>> jobs = JobRows(format="philly", path=None)
    >>> jobs.add(1, job_id="a", submit_time=0.0, gpus=8)
    >>> jobs.reject(2, "gpus", "many", "this is not a finite number")
    >>> trace = jobs.finish()
    >>> trace.table.num_rows, trace.rows_in
    (1, 2)
    """

    def __init__(self, *, format: str, path: Path | None) -> None:
        self.format, self.path = format, path
        self._rows: list[int] = []
        self._values: list[dict[str, object]] = []
        self._rejected: list[Rejection] = []

    def add(self, row: int, **values: object) -> None:
        """Add a job with the values of its columns; None or an absent column is null.

        A value of the wrong type, or text that is no Unicode, rejects the row.
        """
        for column, value in values.items():
            problem = _misfit(column, value)
            if problem:
                self.reject(row, column, value, problem)
                return
        self._rows.append(row)
        self._values.append(values)

    def reject(self, row: int, column: str, value: object, reason: str) -> None:
        """Add a row that is no job."""
        text = ascii(value) if isinstance(value, str) and not _is_unicode(value) else str(value)
        self._rejected.append(Rejection(row, column, text[:SHOWN], reason))

    def finish(self, *, absolute: bool = False, origin: str = "", zone: str = "", notes: Sequence[str] = ()) -> Trace:
        """Check every job and return the trace; see :meth:`JobTableBuilder.finish`."""
        builder = JobTableBuilder(
            format=self.format,
            path=self.path,
            rows=np.array(self._rows, dtype=np.int64),
            rows_in=len(self._rows) + len(self._rejected),
            rejected=self._rejected,
        )
        for column in {name: None for values in self._values for name in values}:
            cells = [values.get(column) for values in self._values]
            if column in _BOUNDS:
                builder.put(column, np.array([np.nan if cell is None else float(str(cell)) for cell in cells]))
            else:
                builder.put(column, pa.array(cells, _TYPES[column]))
        return builder.finish(absolute=absolute, origin=origin, zone=zone, notes=notes)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _misfit(column: str, value: object) -> str:
    """Return why a value cannot stand in a job column, '' when it can."""
    kind = _TYPES[column]
    if value is None:
        return ""
    if column in _BOUNDS:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST
        return "" if is_number else "this is not a finite number"
    if pa.types.is_boolean(kind):
        return "" if isinstance(value, bool) else "this is not yes or no"
    for text in value if pa.types.is_list(kind) and isinstance(value, (list, tuple)) else [value]:
        if not isinstance(text, str):
            return "this is not text"
        if not _is_unicode(text):
            return "the text is not Unicode"
    return ""
