"""A job table as Standard Workload Format: what SWF can hold exactly, and a list of what it cannot.

=====================  ==========================================================================
column                 in the file
=====================  ==========================================================================
job_id                 field 1, where all ids are whole numbers; else jobs are numbered from 1
submit_time            field 2; whole seconds as such, others with up to six decimals
start_time             field 3 as the wait, for jobs with a run time that start after their submission
end_time               not written: it reads back as start + run time
runtime, time_limit    fields 4 and 9
gpus                   fields 5 and 8: a processor is a GPU
memory_gib             field 10, KiB a processor, rounded up
state                  field 11: completed 1, failed 0, cancelled 5, running 2
user, tenant,          fields 12 to 16, where all are whole numbers; else numbered from 1 by first
job_name, qos,         appearance, with header lines such as ``; UserName: 1 "alice"`` that our reader
partition              takes back
depends_on             field 17, for one job on an earlier line; ``think_time`` field 18 with it
=====================  ==========================================================================

The header has the origin (``TraceOrigin``, and ``UnixStartTime`` for everybody else) and one Note for each
kind of value left out.  -1 stands for null.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.errors import ConfigError, InputError
from gpuyard.traces.schema import ORIGIN, ZONE
from gpuyard.traces.swf import NAMES, ORIGIN_LABEL
from gpuyard.units import counted

__all__ = ["swf_text"]

MICROSECOND = 1_000_000
NUMBERED = {"user": "user", "tenant": "group", "job_name": "executable", "qos": "queue", "partition": "partition"}
"""Columns of names and the SWF field that numbers them."""
STATUS = {"completed": "1", "failed": "0", "cancelled": "5", "running": "2"}
NEAREST = {"timed_out": "0", "node_failed": "0", "preempted": "0", "pending": "-1"}
"""States that SWF does not have, and what is written instead."""
NOT_HELD = (
    "gpu_milli",
    "gpu_type",
    "cpus",
    "nodes",
    "segment",
    "spread",
    "exclusive",
    "preemptible",
    "checkpoint_interval",
    "priority",
    "nice",
    "deadline",
    "not_before",
    "array",
    "array_limit",
    "job_class",
    "activity",
)
WHOLE = r"^(0|[1-9][0-9]{0,17})$"
UNKNOWN = pa.scalar("-1")


def swf_text(table: pa.Table, path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the file's bytes and a sentence for each kind of value that SWF cannot hold.

    Raises
    ------
    InputError
        For a job submitted before the origin: SWF has no negative times.
    """
    writer = _Writer(table, path)
    lines = writer.lines()
    header = [f"; {line}" for line in writer.header()]
    return "\n".join([*header, *lines.to_pylist(), ""]).encode(), tuple(writer.notes)


class _Writer:
    """Builds the 18 fields one after the other and remembers what they could not hold."""

    def __init__(self, table: pa.Table, path: Path) -> None:
        self.table, self.path = table, path
        self.notes: list[str] = []
        self.labels: list[str] = []
        self.submit = _ticks(table["submit_time"])
        self.numbers = self._job_numbers()

    def lines(self) -> pa.Array:
        """Return one line of text a job."""
        self._note_columns()
        gpus = self._text(self.table["gpus"])
        names = {column: self._numbered(column) for column in NUMBERED}
        preceding, think_time = self._dependencies()
        unknown = pa.array(["-1"] * self.table.num_rows, pa.string())
        fields = [
            self.numbers, self._submit(), self._wait(), self._seconds("runtime"), gpus, unknown, unknown, gpus,
            self._seconds("time_limit"), self._memory(), self._status(), *names.values(), preceding, think_time,
        ]  # fmt: skip
        return pc.binary_join_element_wise(*fields, " ")

    def header(self) -> list[str]:
        """Return the header lines, without their semicolons; call it after :meth:`lines`."""
        facts = self.table.schema.metadata or {}
        origin, zone = facts.get(ORIGIN, b"").decode(), facts.get(ZONE, b"").decode()
        jobs = self.table.num_rows
        lines = ["Version: 2.2", "Conversion: gpuyard", f"MaxJobs: {jobs}", f"MaxRecords: {jobs}"]
        if origin:
            lines += [f"UnixStartTime: {_unix(origin)}", f"{ORIGIN_LABEL}: {origin} {zone}".rstrip()]
        if zone:
            lines.append(f"TimeZoneString: {zone}")
        lines.append("Note: a processor is a GPU")
        return lines + self.labels + [f"Note: {note}" for note in self.notes]

    def _note(self, count: int, sentence: str) -> None:
        if count:
            self.notes.append(f"{counted(count, 'job')}: {sentence}")

    def _note_columns(self) -> None:
        """Say which columns have no field at all."""
        for column in NOT_HELD:
            self._note(self.table.num_rows - self.table[column].null_count, f"{column} has no field and is left out")
        runtime, start, end = (_ticks(self.table[name]) for name in ("runtime", "start_time", "end_time"))
        implied = (start >= 0) & (runtime >= 0) & (end == start + runtime)
        self._note(int(np.sum((end != NULL) & ~implied)), "end_time has no field and is not start_time + runtime")

    def _job_numbers(self) -> pa.Array:
        """Return the job numbers as text."""
        ids = self.table["job_id"].combine_chunks()
        if len(ids) and pc.all(pc.match_substring_regex(ids, WHOLE)).as_py():
            return ids
        self._note(len(ids), "job_id is not a whole number in all of them: they are numbered from 1")
        return pa.array(np.arange(1, len(ids) + 1)).cast(pa.string())

    def _submit(self) -> pa.Array:
        before = np.flatnonzero(self.submit < 0)
        if len(before):
            row = int(before[0])
            raise InputError(
                "SWF cannot hold a job submitted before the origin", path=self.path, row=row + 1, column="submit_time",
                value=self.table["submit_time"][row].as_py(), remedy="write Parquet or CSV",
            )  # fmt: skip
        return _decimals(self.submit)

    def _wait(self) -> pa.Array:
        """Return start - submit, -1 where it is not known or SWF has no way to say it."""
        start, runtime = _ticks(self.table["start_time"]), _ticks(self.table["runtime"])
        known = start != NULL
        self._note(int(np.sum(known & (start < self.submit))), "start_time before submit_time is left out")
        self._note(
            int(np.sum(known & (start >= self.submit) & (runtime == NULL))), "start_time without runtime is left out"
        )
        kept = known & (start >= self.submit) & (runtime != NULL)
        return _decimals(np.where(kept, start - np.where(kept, self.submit, 0), NULL))

    def _seconds(self, column: str) -> pa.Array:
        return _decimals(_ticks(self.table[column]))

    def _memory(self) -> pa.Array:
        """Return KiB a processor, rounded up."""
        memory = self.table["memory_gib"].fill_null(float("nan")).to_numpy()
        gpus = self.table["gpus"].to_numpy()
        self._note(int(np.sum(np.isfinite(memory) & (gpus == 0))), "memory_gib needs a GPU and is left out")
        kept = np.isfinite(memory) & (gpus > 0)
        each = np.ceil(np.where(kept, memory, 0) * 2.0**20 / np.maximum(gpus, 1))
        self._note(int(np.sum(kept & (each * gpus / 2.0**20 != memory))), "memory_gib is rounded up to whole KiB a GPU")
        return self._text(pa.array(each.astype(np.int64), mask=~kept))

    def _status(self) -> pa.Array:
        states = self.table["state"].combine_chunks()
        words = {**STATUS, **NEAREST}
        self._note(
            int(pc.sum(pc.is_in(states, pa.array(list(NEAREST)))).as_py() or 0),
            f"a state that SWF does not have is written as failed or unknown: {', '.join(NEAREST)}",
        )
        place = pc.index_in(states, pa.array(list(words)))
        return pa.array(list(words.values())).take(place).fill_null("-1")

    def _numbered(self, column: str) -> pa.Array:
        """Return a column of names as numbers, with header lines where they are not numbers already."""
        names = self.table[column].combine_chunks()
        if not pc.all(pc.match_substring_regex(names, WHOLE).fill_null(True)).as_py():
            coded = names.dictionary_encode()
            label = NAMES[NUMBERED[column]]
            given = enumerate(coded.dictionary.to_pylist(), start=1)
            self.labels += [f"{label}: {number} {json.dumps(name)}" for number, name in given]
            names = pc.add(coded.indices, 1).cast(pa.string())
        return names.fill_null("-1")

    def _dependencies(self) -> tuple[pa.Array, pa.Array]:
        """Return the preceding job and the think time, for jobs that depend on exactly one earlier job."""
        depends, jobs = self.table["depends_on"].combine_chunks(), self.table.num_rows
        lengths = pc.list_value_length(depends).fill_null(0).to_numpy(zero_copy_only=False)
        owners = pc.list_parent_indices(depends).to_numpy()
        at = pc.index_in(pc.list_flatten(depends), self.table["job_id"].combine_chunks()).fill_null(jobs).to_numpy()
        single = (lengths[owners] == 1) & (at < owners)
        place = np.full(jobs, -1, dtype=np.int64)
        place[owners[single]] = at[single]
        kept = place >= 0
        self._note(
            int(np.sum((lengths > 0) & ~kept)), "depends_on is left out where it is not one job on an earlier line"
        )
        think_time = _ticks(self.table["think_time"])
        self._note(int(np.sum((think_time != NULL) & ~kept)), "think_time without such a job is left out")
        preceding = self.numbers.take(pa.array(place, mask=~kept)).fill_null("-1")
        return preceding, _decimals(np.where(kept, think_time, NULL))

    @staticmethod
    def _text(values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Return whole numbers as text, -1 for null."""
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        return whole.cast(pa.string()).fill_null("-1")


NULL = np.iinfo(np.int64).min
"""The tick that means null: times may be negative, but never this much."""


def _ticks(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return seconds as whole microseconds, NULL for null."""
    seconds = column.fill_null(float("nan")).to_numpy()
    known = np.isfinite(seconds)
    return np.where(known, np.rint(np.where(known, seconds, 0.0) * MICROSECOND), NULL).astype(np.int64)


def _decimals(ticks: NDArray[np.int64]) -> pa.Array:
    """Return microseconds as seconds in decimal, with as many decimals as they need; -1 for NULL."""
    known = ticks != NULL
    whole, rest = np.divmod(np.where(known, ticks, 0), MICROSECOND)
    text = pa.array(whole, mask=~known).cast(pa.string()).fill_null("-1")
    if not rest.any():
        return text
    digits = pc.utf8_rtrim(pc.utf8_lpad(pa.array(rest).cast(pa.string()), 6, "0"), "0")
    return pc.if_else(pa.array(rest > 0), pc.binary_join_element_wise(text, digits, "."), text)


def _unix(origin: str) -> str:
    """Return an ISO 8601 origin as seconds since 1970; one without a zone as if it were UTC."""
    try:
        moment = datetime.fromisoformat(origin)
    except ValueError:
        raise ConfigError(f"the origin '{origin}' is no ISO 8601 timestamp; correct the table's metadata") from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    ticks = (since.days * 86_400 + since.seconds) * MICROSECOND + since.microseconds
    whole, rest = divmod(ticks, MICROSECOND)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)
