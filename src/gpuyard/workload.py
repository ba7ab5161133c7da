"""A checked set of jobs, sorted by submit time: what a simulation is fed with."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.absent import Absent
from gpuyard.errors import ConfigError, InputError
from gpuyard.parents import ABSENT, Parents, coded_table, named, ranges, without_dangling
from gpuyard.traces.schema import COLUMNS, ORIGIN, STATES, job_schema
from gpuyard.traces.trace import Rejection, Trace
from gpuyard.units import MOST_CPUS, MOST_MEMORY_GIB, counted

__all__ = ["LATEST", "MICROSECOND", "NEVER", "Workload", "array_tasks", "exact_sum", "to_ticks"]

MICROSECOND = 1_000_000
"""Ticks a second: inside, time is int64 microseconds."""
NEVER = np.iinfo(np.int64).max
"""The tick that means "no time"."""


def array_tasks(workload: Workload) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which limited array each job is a task of, and the limit of each of these arrays.

    Returns
    -------
    tuple of NDArray
        int64, shape (jobs,): the number of the job's array, -1 for a job of no array with a limit; and int64, shape
        (arrays,): how many of its tasks may be eligible or running at once.
    """
    number, arrays = _array_numbers(workload.held)
    given = workload.integers("array_limit", 0)
    limit = np.zeros(arrays, np.int64)
    task = np.flatnonzero(number >= 0)
    array = number[task]
    np.maximum.at(limit, array, given[task])
    bound = limit[array] > 0
    code = np.full(len(workload), -1, np.int64)
    code[task[bound]] = (np.cumsum(limit > 0) - 1)[array[bound]]
    return code, limit[limit > 0]


def _array_numbers(table: pa.Table) -> tuple[NDArray[np.int64], int]:
    """Return the number of each job's array, -1 for none, and how many arrays there are: by name and user."""
    coded = (table[column].combine_chunks().dictionary_encode().indices for column in ("array", "user"))
    name, user = (codes.cast(pa.int64()).fill_null(-1).to_numpy() for codes in coded)
    tasks = np.flatnonzero(name >= 0)
    names, users = name[tasks], user[tasks]
    owner = np.empty(int(names.max(initial=-1)) + 1, np.int64)
    owner[names] = users
    if (owner[names] == users).all():  # of one user each: the numbers of the names are those of the arrays
        return name, owner.size
    number = np.full(table.num_rows, -1, np.int64)
    pairs, number[tasks] = np.unique(names * (int(users.max()) + 2) + users + 1, return_inverse=True)
    return number, pairs.size


def exact_sum(numbers: NDArray[np.int64]) -> int:
    """Return a sum that may not fit 64 bits."""
    return int((numbers >> 32).sum()) * 2**32 + int((numbers & 0xFFFFFFFF).sum())


def to_ticks(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return seconds as int64 microseconds, rounded half to even; not a number becomes NEVER."""
    known = np.isfinite(seconds)
    if known.all():
        return _rounded(seconds)
    ticks = np.full(seconds.shape, NEVER, dtype=np.int64)
    if known.any():
        ticks[known] = _rounded(seconds[known])
    return ticks


def _rounded(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    exact = seconds * MICROSECOND
    return np.rint(exact, out=exact).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Jobs in the schema of :mod:`gpuyard.traces.schema`, sorted by submit time, then by row of the source.

    Build one with :meth:`from_table` or :meth:`from_trace`; both sort and check.  ``held`` is :attr:`table` as it is
    kept: the parents of jobs coded as rows and, where the jobs were made, texts that many share coded as well
    (:mod:`gpuyard.parents`).
    """

    held: pa.Table
    name: str = "workload"
    rejected: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def from_trace(cls, trace: Trace) -> Workload:
        """Return the jobs of a trace; what the reader rejected goes along."""
        name = trace.path.name if trace.path is not None else trace.format
        return cls.from_table(trace.table, name=name, rejected=trace.rejected, notes=trace.notes)

    @classmethod
    def from_table(
        cls,
        table: pa.Table,
        *,
        name: str = "workload",
        rejected: tuple[Rejection, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Workload:
        """Return a sorted, checked workload; missing columns become null.

        Raises
        ------
        ConfigError
            For a column the schema does not know, or one that does not cast to its type.
        InputError
            For a null where the schema allows none, a value outside its column's range, a share of a GPU for
            more or less than 1 GPU, a state nobody knows, a job id that occurs twice, a dependency on a job
            that is not there, or dependencies that go in a circle.
        """
        full = _complete(table)
        _check(full, name)
        order = np.argsort(_floats(full["submit_time"]), kind="stable")
        if np.any(np.diff(order) < 0):
            full = full.take(pa.array(order))
        return cls(held=coded_table(full.combine_chunks()), name=name, rejected=rejected, notes=notes)

    def __len__(self) -> int:
        return self.held.num_rows

    @cached_property
    def table(self) -> pa.Table:
        """The jobs, one row each, in the schema of :mod:`gpuyard.traces.schema`."""
        return named(self.held)

    @property
    def parents(self) -> Parents:
        """Who waits for whom."""
        return Parents.of(self.held)

    @property
    def origin(self) -> str:
        """ISO 8601 timestamp of second 0, or '' when the source has none."""
        return (self.held.schema.metadata or {}).get(ORIGIN, b"").decode()

    def has(self, column: str) -> bool:
        """Return whether any job has a value in a column."""
        return int(self.held[column].null_count) < len(self)

    def floats(self, column: str) -> NDArray[np.float64]:
        """Return a numeric column as float64, shape (jobs,), null as not-a-number."""
        return _floats(self.held[column])

    def integers(self, column: str, null: int) -> NDArray[np.int64]:
        """Return a whole-number column as int64, shape (jobs,), null replaced."""
        values = self.held[column]
        if values.null_count == len(self):
            return np.full(len(self), null, np.int64)
        known = values if values.null_count == 0 else values.cast(pa.int64()).fill_null(null)
        return known.to_numpy().astype(np.int64)

    def labels(self, column: str, null: str = "other") -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Return a text column as codes, shape (jobs,), and the sorted names they index."""
        if not len(self):
            return np.empty(0, np.int64), ()
        if not self.has(column):
            return np.zeros(len(self), np.int64), (null,)
        code, names = self._coded(column)
        texts = [*names, null] if self.held[column].null_count else names
        ranked = sorted(set(texts))
        rank = {text: number for number, text in enumerate(ranked)}
        return np.array([rank[text] for text in texts], dtype=np.int64)[code], tuple(ranked)

    def _coded(self, column: str) -> tuple[NDArray[np.int32], list[str]]:
        """Return which of the names in a text column each job has, null as -1; worked out once."""
        if column not in self._codes:
            encoded = pa.concat_arrays(self.held[column].chunks).dictionary_encode()
            self._codes[column] = _of_names_that_occur(encoded.indices.fill_null(-1).to_numpy(), encoded.dictionary)
        return self._codes[column]

    @cached_property
    def _codes(self) -> dict[str, tuple[NDArray[np.int32], list[str]]]:
        return {}

    @cached_property
    def submit(self) -> NDArray[np.int64]:
        """int64 microseconds, shape (jobs,): submit times."""
        return to_ticks(self.floats("submit_time"))

    @cached_property
    def runtime(self) -> NDArray[np.int64]:
        """int64 microseconds, shape (jobs,): run times, NEVER where not recorded."""
        return to_ticks(self.floats("runtime"))

    @cached_property
    def time_limit(self) -> NDArray[np.int64]:
        """int64 microseconds, shape (jobs,): time limits, NEVER where there is none."""
        return to_ticks(self.floats("time_limit"))

    @cached_property
    def deadline(self) -> NDArray[np.int64]:
        """int64 microseconds, shape (jobs,): when jobs are due, NEVER where there is no deadline."""
        return to_ticks(self.floats("deadline"))

    @cached_property
    def gpus(self) -> NDArray[np.int64]:
        """int64, shape (jobs,): GPUs of each job."""
        return self.integers("gpus", 0)

    @cached_property
    def worked_out(self) -> dict[Hashable, Any]:
        """What others have worked out of these jobs and will ask for again, by a key of their own."""
        return {}

    def where(self, keep: NDArray[np.bool_], note: str) -> Workload:
        """Return only the jobs that ``keep`` (bool, shape (jobs,)) marks, with a note of what was left out.

        A dependency on a job that is left out is dropped, and with the last of them the think time after it.
        """
        if keep.shape != (len(self),):
            raise ConfigError(f"a mask of shape {keep.shape} cannot choose from {len(self)} jobs")
        dropped = int(keep.size - keep.sum())
        if not dropped:
            return self
        table, cut = without_dangling(self.held.filter(pa.array(keep)))
        notes = (*self.notes, f"{note}: {dropped:,} of {counted(keep.size, 'job')} left out")
        if cut:
            notes = (*notes, f"{note}: dependencies on jobs left out dropped from {counted(cut, 'job')}")
        return Workload(held=coded_table(table), name=self.name, rejected=self.rejected, notes=notes)

    def window(self, start: float, end: float) -> Workload:
        """Return the jobs submitted in [start, end), seconds since the origin; times are not shifted."""
        submit = self.floats("submit_time")
        return self.where((submit >= start) & (submit < end), f"window {start:g} s to {end:g} s")

    def head(self, jobs: int) -> Workload:
        """Return the first jobs by submit time."""
        return self.where(np.arange(len(self)) < jobs, "first job" if jobs == 1 else f"first {jobs:,} jobs")

    def scaled(self, factor: float) -> Workload:
        """Return the same jobs arriving ``factor`` times as fast: submit times divided by it.

        A job's other times move with its submission: recorded waits, lengths and delays stay what they were.
        """
        if not factor > 0:
            raise ConfigError(f"arrivals can be scaled by a positive factor, got {factor}")
        table = _replaced(self.table, "submit_time", pc.divide(self.table["submit_time"], factor))
        shift = to_ticks(_floats(table["submit_time"])) - self.submit
        moved = [
            name for name in ("not_before", "deadline", "start_time", "end_time") if table[name].null_count < len(self)
        ]
        for name in moved:
            ticks = to_ticks(_floats(table[name]))
            known = ticks != NEVER
            seconds = np.where(known, ticks + np.where(known, shift, 0), 0) / MICROSECOND
            table = _replaced(table, name, pa.chunked_array([pa.array(seconds, mask=~known)]))
        note = f"arrivals {factor:g} times as fast: {', '.join(moved)} moved with the submission of each job"
        notes = (*self.notes, note) if moved and factor != 1 else self.notes
        return Workload.from_table(table, name=self.name, rejected=self.rejected, notes=notes)

    def merged(self, other: Workload) -> Workload:
        """Return the jobs of both, at their own times since their own origins."""
        tables = [self.table, other.table.replace_schema_metadata(self.table.schema.metadata)]
        return Workload.from_table(
            pa.concat_tables(tables),
            name=f"{self.name}+{other.name}",
            rejected=self.rejected + other.rejected,
            notes=self.notes + other.notes,
        )


def _of_names_that_occur(code: NDArray[np.int32], names: pa.Array) -> tuple[NDArray[np.int32], list[str]]:
    """Return codes, -1 for none, and their names without those that no code means."""
    occurs = np.bincount(code + 1, minlength=len(names) + 1)[1:] > 0
    if occurs.all():
        return code, names.to_pylist()
    left = np.append(np.cumsum(occurs, dtype=np.int32) - 1, np.int32(-1))
    return left[code], names.filter(pa.array(occurs)).to_pylist()


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    known = column if column.null_count == 0 else column.cast(pa.float64()).fill_null(float("nan"))
    return known.to_numpy().astype(np.float64)


def _replaced(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    """Return the table with other values in one column."""
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), column)


def _complete(table: pa.Table) -> pa.Table:
    """Return the table with every column of the schema, in its order and types."""
    known = {column.name for column in COLUMNS}
    strange = [name for name in table.column_names if name not in known]
    if strange:
        raise ConfigError(f"the job table has no column {strange}; its columns are {sorted(known)}")
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise ConfigError(f"the job table has {twice} more than once; keep one column of each name")
    schema = job_schema(table.schema.metadata)
    columns, nothing = [], Absent(table.num_rows)
    for item in schema:
        if item.name not in table.column_names:
            columns.append(nothing.column(item.type))
            continue
        try:
            columns.append(table[item.name].cast(item.type))
        except pa.ArrowException as problem:
            raise ConfigError(f"column '{item.name}' does not hold {item.type}: {problem}") from None
    return pa.Table.from_arrays(columns, schema=schema)


LATEST = float(NEVER // MICROSECOND // 4)
"""The latest instant, and the longest time, in seconds."""
_TIME = (-LATEST, LATEST, "a time must be a finite number of seconds", "correct or drop the row")
_DURATION = (0.0, LATEST, "a duration must be a finite number of seconds, and not negative", "correct or drop the row")
_MOST = float(np.finfo(np.float64).max)
_RANGES: dict[str, tuple[float, float, str, str]] = {
    **dict.fromkeys(("submit_time", "not_before", "deadline", "start_time", "end_time"), _TIME),
    **dict.fromkeys(("runtime", "time_limit", "think_time", "checkpoint_interval"), _DURATION),
    "gpus": (0, _MOST, "GPUs cannot be negative", "write 0 for a job without GPUs"),
    "gpu_milli": (1, 999, "a share of a GPU is 1 to 999 thousandths", "leave it null for whole GPUs"),
    "nodes": (1, _MOST, "a job runs on at least 1 node", "leave it null for as few as hold its GPUs"),
    "segment": (1, _MOST, "a segment has at least 1 node", "leave it null for a job without segments"),
    "array_limit": (1, _MOST, "at least 1 job of an array may run", "leave it null for no limit"),
    "cpus": (0, MOST_CPUS, "CPU cores must be between 0 and 1e9", "leave it null where it is not known"),
    "memory_gib": (0, MOST_MEMORY_GIB, "memory must be between 0 and 1e12 GiB", "leave it null where it is not known"),
    "activity": (0, 1, "an activity is a share from 0 to 1", "divide percentages by 100"),
}
"""For each column the least and greatest value, the rule in words, and what to do about a row that breaks it."""


def _check(table: pa.Table, name: str) -> None:
    """Raise for what no later stage could make sense of."""
    for column in ("job_id", "submit_time", "gpus"):
        if table[column].null_count:
            row = pc.index(pc.is_null(table[column]), value=True).as_py() + 1
            raise InputError("a value is missing", path=name, row=row, column=column, remedy="fill it in")
    for column, (low, high, rule, remedy) in _RANGES.items():
        values = _floats(table[column])
        known = table[column].is_valid().to_numpy()
        _refuse(known & ~((values >= low) & (values <= high)), table, name, column, rule, remedy)
    shared = table["gpu_milli"].is_valid().to_numpy() & (_floats(table["gpus"]) != 1)
    _refuse(shared, table, name, "gpu_milli", "a share of a GPU needs a job of 1 GPU", "leave it null for whole GPUs")
    alone = table["array_limit"].is_valid().to_numpy() & table["array"].is_null().to_numpy()
    _refuse(
        alone, table, name, "array_limit", "the limit of an array needs an array", "name the array, or leave it null"
    )
    if table["array_limit"].null_count != table.num_rows:
        _check_arrays(table, name)
    backwards = _floats(table["end_time"]) < _floats(table["start_time"])
    _refuse(backwards, table, name, "end_time", "the job ends before it starts", "correct or drop the row")
    strange = table["state"].is_valid().to_numpy() & ~pc.is_in(table["state"], pa.array(STATES)).to_numpy()
    _refuse(strange, table, name, "state", "nobody knows this state", f"write one of {', '.join(STATES)}, or null")
    counts = table["job_id"].value_counts()
    if len(counts) != table.num_rows:
        twice = next(entry["values"].as_py() for entry in counts if entry["counts"].as_py() > 1)
        raise InputError(
            "two jobs share one job_id", path=name, column="job_id", value=twice, remedy="give each job its own id"
        )
    if table["depends_on"].null_count != table.num_rows:
        _check_dependencies(table, name)


def _check_arrays(table: pa.Table, name: str) -> None:
    """Raise for two tasks of one array that state different limits."""
    number, arrays = _array_numbers(table)
    limit = _floats(table["array_limit"])
    stated = np.flatnonzero(np.isfinite(limit))
    first = np.zeros(arrays)
    first[number[stated[::-1]]] = limit[stated[::-1]]
    other = np.zeros(table.num_rows, np.bool_)
    other[stated] = limit[stated] != first[number[stated]]
    rule = "two tasks of one array, of the same user, state different limits"
    _refuse(other, table, name, "array_limit", rule, "state one limit for the array, or use two names")


def _refuse(wrong: NDArray[np.bool_], table: pa.Table, name: str, column: str, rule: str, remedy: str) -> None:
    """Raise for the first row that ``wrong`` (bool, shape (jobs,)) marks."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(rule, path=name, row=row + 1, column=column, value=table[column][row].as_py(), remedy=remedy)


def _check_dependencies(table: pa.Table, name: str) -> None:
    """Raise for a dependency on a job that is not there, or a circle (Kahn's algorithm)."""
    parents = Parents.of(table)
    child = np.repeat(np.arange(table.num_rows), parents.count)
    if (absent := parents.rows == ABSENT).any():
        first = int(np.argmax(absent))
        row = int(child[first])
        raise InputError(
            "a job depends on a job that is not in the table",
            path=name,
            row=row + 1,
            column="depends_on",
            value=table["depends_on"][row].as_py()[first - int(np.searchsorted(child, row))],
            remedy="add that job or drop the dependency",
        )
    if (parents.rows < child).all():
        return
    waiting = parents.count.copy()
    order = np.argsort(parents.rows, kind="stable")
    ends = np.cumsum(np.bincount(parents.rows, minlength=table.num_rows))
    begins = np.concatenate(([0], ends[:-1]))
    child, ready = child[order], np.flatnonzero(waiting == 0)
    seen = 0
    while ready.size:
        seen += ready.size
        met = child[ranges(begins[ready], ends[ready] - begins[ready])]
        np.subtract.at(waiting, met, 1)
        ready = np.unique(met[waiting[met] == 0])
    if seen != table.num_rows:
        stuck = int(np.flatnonzero(waiting > 0)[0])
        raise InputError(
            "dependencies go in a circle",
            path=name,
            row=stuck + 1,
            column="depends_on",
            value=table["job_id"][stuck].as_py(),
            remedy="break the circle",
        )
