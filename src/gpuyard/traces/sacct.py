"""Slurm's ``sacct --parsable2`` output: one line a job, cells between ``|``, any selection of fields in any order.

===========================  ==================================================================================
fields                       what becomes of them
===========================  ==================================================================================
JobID, else JobIDRaw         ``job_id``; array tasks (``12_3``) and components (``12+1``) are jobs, steps
                             (``12.batch``, ``12.0``) are not: they are rejected
Submit, Eligible             ``submit_time``; ``not_before`` where a job became eligible later
Start, End                   ``start_time``, ``end_time``; ``Unknown`` and ``None`` are null
ElapsedRaw, else Elapsed     ``runtime``, else End - Start; null for a job that never started
TimelimitRaw, Timelimit      ``time_limit``; minutes in the first
State                        ``state``, by its first word
AllocTRES, AllocGRES, ...    ``gpus``, ``cpus``, ``memory_gib``, ``nodes``: what was allocated, else requested
ReqTRES, ReqGRES             ``gpu_type``, where a type was asked for
Account, User, Partition,    ``tenant``, ``user``, ``partition``, ``qos``, ``job_name``, ``priority``
QOS, JobName, Priority
===========================  ==================================================================================

A time in the hour that a clock change repeats is the earlier one, unless its job would then start before its
submission or end before its start: then it is the later one, and the notes count it.  A job that ends before its
start either way is rejected.  To be rid of the question, print times with their offset (SLURM_TIME_FORMAT).

The resources are read as Slurm documents them: TRES and AllocGRES count the whole job, ReqGRES one node, and
ReqMem the whole job, one node (``64Gn``) or one core (``4Gc``).  Times are local to the cluster: name its zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.errors import InputError
from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import later_readings, zone_of
from gpuyard.traces.sacct_resources import put_priority, put_resources
from gpuyard.traces.source import ReadOptions, check_utf8, read_bytes
from gpuyard.traces.trace import Rejection, Trace
from gpuyard.units import counted

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "sacct"
DESCRIPTION = "Slurm accounting as printed by sacct --parsable2 (fields between |)"

IDS = ("JobID", "JobIDRaw")
SUBMITS = ("Submit", "Eligible", "Start")
STATES = {
    "BOOT_FAIL": "node_failed", "CANCELLED": "cancelled", "COMPLETED": "completed", "COMPLETING": "running",
    "CONFIGURING": "running", "DEADLINE": "cancelled", "FAILED": "failed", "NODE_FAIL": "node_failed",
    "OUT_OF_MEMORY": "failed", "PENDING": "pending", "PREEMPTED": "preempted", "REQUEUED": "pending",
    "RESIZING": "running", "REVOKED": "cancelled", "RUNNING": "running", "SPECIAL_EXIT": "failed",
    "STOPPED": "running", "SUSPENDED": "running", "TIMEOUT": "timed_out",
}  # fmt: skip
NO_TIME = ("", "Unknown", "None", "N/A")
NO_LIMIT = ("", "UNLIMITED", "Partition_Limit", "INVALID", "None", "Unknown")
NO_TEXT = ("", "None assigned", "(null)")
OFFSET = r"(Z|[+-]\d\d(:?\d\d)?)\s*$"
"""How a time ends that states its offset; a date alone ends so too, and is never in a repeated hour."""
CLOCK = r"^(?:(?P<days>\d{1,6})-)?(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,6}):(?P<seconds>\d{1,6}(?:\.\d{1,6})?)$"


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the first line names a job id and a time between bars."""
    names = head.split(b"\n", 1)[0].decode("utf-8", "replace").strip().split("|")
    return any(name in names for name in IDS) and any(name in names for name in SUBMITS)


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the trace in a file of sacct output; ``options.zone`` is the zone of its clock.

    Raises
    ------
    ConfigError
        For a zone nobody knows.
    InputError
        For a file that cannot be read, or whose header has no job id or no time of submission.
    """
    path = Path(path)
    builder = _builder(path)
    job_id = next(name for name in IDS if name in builder.source)
    builder.put("job_id", builder.texts(job_id), source=job_id)
    named = {"Account": "tenant", "User": "user", "Partition": "partition", "QOS": "qos", "JobName": "job_name"}
    for source, column in named.items():
        if source in builder.source:
            builder.put(column, builder.texts(source, missing=NO_TEXT), source=source)
    if "State" in builder.source:
        # "CANCELLED by 1000", and "CANCELLED+" where a column was too narrow
        builder.source["State"] = pc.replace_substring_regex(builder.source["State"], r"^([A-Z_]+)[ +].*$", r"\1")
        builder.put_states("State", STATES)
    notes = put_priority(builder, "Priority")
    notes += put_resources(builder)
    notes += _put_times(builder, options.zone)
    return builder.finish(absolute=True, zone=options.zone or "", notes=notes)


def _builder(path: Path) -> JobTableBuilder:
    """Return a builder with the cells of the file, its steps and broken lines rejected."""
    data = read_bytes(path)
    check_utf8(data, path)
    header: list[str] = []
    records: list[list[str]] = []
    rows: list[int] = []
    rejected: list[Rejection] = []
    step_at = 0
    for number, raw in enumerate(data.decode().split("\n"), start=1):
        line = raw.rstrip("\r")
        if not line.strip():
            continue
        # sacct --parsable ends each line with a bar, --parsable2 does not.
        cells = line.split("|")
        if not header:
            header = _header(path, number, cells)
            step_at = next(header.index(name) for name in IDS if name in header)
            continue
        if len(cells) == len(header) + 1 and not cells[-1]:
            cells.pop()
        if len(cells) != len(header):
            rejected.append(Rejection(number, "", line[:80], "the line does not have as many cells as the header"))
        elif cells == header:
            rejected.append(Rejection(number, "", line[:80], "the header once more"))
        elif "." in cells[step_at]:
            rejected.append(Rejection(number, header[step_at], cells[step_at][:80], "a step, not a job"))
        else:
            records.append(cells)
            rows.append(number)
    columns = _columns(header, records)
    return JobTableBuilder(
        format=NAME, path=path, rows=np.array(rows, dtype=np.int64), rows_in=len(rows) + len(rejected),
        rejected=rejected, columns=columns,
    )  # fmt: skip


def _columns(header: Sequence[str], records: Sequence[Sequence[str]]) -> dict[str, pa.ChunkedArray]:
    """Return one text column of shape (records,) for each field."""
    cells = zip(*records, strict=True) if records else ([] for _ in header)
    return {name: pa.chunked_array([pa.array(column, pa.string())]) for name, column in zip(header, cells, strict=True)}


def _header(path: Path, row: int, cells: list[str]) -> list[str]:
    """Return the field names of the header line."""
    names = [cell.strip() for cell in cells]
    if not names[-1]:
        names.pop()
    for name in names:
        if names.count(name) > 1:
            raise InputError("the header names a field twice", path=path, row=row, column=name)
    for needed in (IDS, SUBMITS):
        if not any(name in names for name in needed):
            raise InputError(
                "a field is missing from the header", path=path, row=row, column=needed[0], value="|".join(names),
                remedy="print it with sacct -P -X --format=JobID,Submit,Start,End,ElapsedRaw,State,AllocTRES",
            )  # fmt: skip
    return names


def _put_times(builder: JobTableBuilder, zone: str | None) -> list[str]:
    """Set all times; a job that held nothing for no time at all never started."""
    found = {name: _instants(builder, name, zone) for name in ("Submit", "Eligible", "Start", "End")}
    submitted = next(name for name in SUBMITS if name in builder.source)
    submit, eligible, start, end = found[submitted][0], *(found[name][0] for name in ("Eligible", "Start", "End"))
    elapsed = _elapsed(builder)
    start, late_starts = _not_before(builder, "Start", start, submit, zone)
    end, late_ends = _not_before(builder, "End", end, start, zone)
    elapsed = np.where(np.isnan(elapsed), end - start, elapsed)
    never = np.isnan(start) | ((elapsed == 0) & _held_nothing(builder))
    source = next((name for name in ("ElapsedRaw", "Elapsed") if name in builder.source), "End")
    builder.put("submit_time", submit, source=submitted)
    builder.put("start_time", np.where(never, np.nan, start), source="Start")
    builder.put("end_time", np.where(never, np.nan, end), source="End")
    builder.put("runtime", np.where(never & ~(elapsed < 0), np.nan, elapsed), source=source)
    notes = [] if submitted == "Submit" else [f"there is no Submit: {submitted} stands for it"]
    if late_starts + late_ends:
        shifted = counted(late_starts + late_ends, "time")
        notes.append(f"{shifted} in an hour that the clock repeats: the later one, as no job ends before it starts")
    _put_limit(builder)
    late = eligible > submit
    if late.any():
        builder.put("not_before", np.where(late, eligible, np.nan), source="Eligible")
        notes.append(f"{counted(late.sum(), 'job')} became eligible after submission: no start before that")
    if never.any():
        notes.append(f"{counted(never.sum(), 'job')} never started: no run time")
    if any(is_naive for _, is_naive in found.values()):
        notes.append("the timestamps state no time zone and none was given: they are read as if in UTC")
    return notes


def _not_before(
    builder: JobTableBuilder, name: str, times: NDArray[np.float64], earliest: NDArray[np.float64], zone: str | None
) -> tuple[NDArray[np.float64], int]:
    """Return the times of a field, and how many of them are the later instant in an hour that the clock repeats.

    Such a time was read as the earlier instant.  Where that is before ``earliest`` and the later one is not, no other
    reading is possible.
    """
    clock = zone_of(zone)
    early = np.flatnonzero(times < earliest)
    if clock is None or not len(early):
        return times, 0
    states_offset = pc.match_substring_regex(builder.source[name].take(pa.array(early)), OFFSET).to_numpy()
    later = later_readings(times[early], clock)
    second = ~states_offset & (later > times[early]) & (later >= earliest[early])
    resolved = times.copy()
    resolved[early[second]] = later[second]
    return resolved, int(second.sum())


def _instants(builder: JobTableBuilder, name: str, zone: str | None) -> tuple[NDArray[np.float64], bool]:
    if name not in builder.source:
        return np.full(len(builder), np.nan), False
    return builder.instants(name, missing=NO_TIME, zone=zone)


def _elapsed(builder: JobTableBuilder) -> NDArray[np.float64]:
    """Return elapsed seconds, not-a-number where not printed."""
    if "ElapsedRaw" in builder.source:
        return builder.numbers("ElapsedRaw")
    return _clock(builder, "Elapsed", NO_TIME)


def _put_limit(builder: JobTableBuilder) -> None:
    """Set the time limit from the field that is there, the raw one first."""
    if "TimelimitRaw" in builder.source:
        builder.put("time_limit", builder.numbers("TimelimitRaw", missing=NO_LIMIT) * 60, source="TimelimitRaw")
    elif "Timelimit" in builder.source:
        builder.put("time_limit", _clock(builder, "Timelimit", NO_LIMIT), source="Timelimit")


def _clock(builder: JobTableBuilder, name: str, missing: Sequence[str]) -> NDArray[np.float64]:
    """Return ``[days-]hours:minutes:seconds`` as seconds, float64 of shape (records,); anything else is rejected."""
    if name not in builder.source:
        return np.full(len(builder), np.nan)
    texts = builder.texts(name, missing=missing)
    parts = pc.extract_regex(texts, CLOCK)
    builder.reject(pc.and_(texts.is_valid(), parts.is_null()).to_numpy(), name, "this is no duration")
    total = np.zeros(len(builder))
    for at, seconds in enumerate((86_400, 3600, 60, 1)):
        part = pc.struct_field(parts, [at])
        part = pc.if_else(pc.equal(part, ""), "0", part).cast("float64").fill_null(float("nan"))
        total += part.to_numpy() * seconds
    return total


def _held_nothing(builder: JobTableBuilder) -> NDArray[np.bool_]:
    """Return which jobs, bool of shape (records,), have a blank or zero allocation, by any field that tells."""
    nothing = np.zeros(len(builder), dtype=bool)
    for name in ("AllocTRES", "AllocNodes", "AllocCPUS"):
        if name in builder.source:
            nothing |= pc.is_in(builder.source[name], pa.array(["", "0"])).to_numpy()
    return nothing
