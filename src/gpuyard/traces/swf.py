"""Standard Workload Format 2.2: the logs of the Parallel Workloads Archive, and what our own writer makes.

One line a job, 18 fields between blanks, -1 for what is not known; lines that begin with ``;`` are the
header (S. Chapin et al., "Benchmarks and Standards for the Evaluation of Parallel Job Schedulers",
JSSPP 1999; the archive's page on the format describes version 2.2).

=========  ======================================================================================
field      what becomes of it
=========  ======================================================================================
1          ``job_id``
2          ``submit_time``; second 0 is the header's UnixStartTime
3          wait: ``start_time`` = submit + wait, for a job that ran
4          ``runtime``; ``end_time`` = start + run.  Null where the job never ran: a run of -1, or a run
           of 0 without an allocation
5, 8       processors allocated, else requested: ``gpus`` by the rule of ``ReadOptions.gpu_rule``
6, 7       CPU time and memory used: measurements, not read
9          ``time_limit``
10         memory requested, KiB a processor: ``memory_gib`` of the whole job
11         ``state``: 0 and 4 failed, 1 and 3 completed, 2 still running, 5 cancelled.  A line of status 2, 3
           or 4 whose job number has a line of its own with another status is part of a job and rejected
12 to 16   ``user``, group as ``tenant``, executable as ``job_name``, queue as ``qos``, ``partition``
17, 18     ``depends_on`` and ``think_time``, where the preceding job stands on an earlier line; a note
           counts those left out
=========  ======================================================================================

Numbers may have decimals; times are kept to the microsecond.  Any value other than -1 that makes no
sense (a negative wait, a word) rejects its line; odd but possible ones (a run past its request) are for
:mod:`gpuyard.quality`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from gpuyard.errors import InputError
from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.processors import gpus_of_processors
from gpuyard.traces.source import ReadOptions, read_bytes
from gpuyard.traces.trace import Rejection, Trace
from gpuyard.units import counted

__all__ = ["DESCRIPTION", "FIELDS", "NAME", "NAMES", "ORIGIN_LABEL", "read", "recognises"]

NAME = "swf"
DESCRIPTION = "Standard Workload Format 2.2 of the Parallel Workloads Archive (.swf, .swf.gz)"

FIELDS = (
    "job", "submit", "wait", "run", "allocated", "cpu_time", "memory", "requested", "time_requested",
    "memory_requested", "status", "user", "group", "executable", "queue", "partition", "preceding", "think_time",
)  # fmt: skip
NAMES = {"user": "UserName", "group": "GroupName", "executable": "ExecutableName", "queue": "QueueName",
         "partition": "PartitionName"}  # fmt: skip
"""Header labels of our own writer: ``; UserName: 3 "alice"`` gives number 3 of that field its name."""
ORIGIN_LABEL = "TraceOrigin"
"""Header label of our own writer: the origin and its zone, word for word."""

STATUS = {"0": "failed", "1": "completed", "2": "running", "3": "completed", "4": "failed", "5": "cancelled"}
PARTIAL = pa.array(["2", "3", "4"])
SHOWN_LABELS = ("Computer", "Installation", "Acknowledge", "MaxNodes", "MaxProcs", "Preemption")
LABEL = re.compile(r";\s*([A-Za-z][A-Za-z0-9 _]*?)\s*:(.*)")
NUMBERS = re.compile(rb"\s*(-?\d+(\.\d*)?\s+){17}-?\d+(\.\d*)?\s*")


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the first line that is no comment has 18 numbers; or all is SWF header so far."""
    lines = head.splitlines()
    comments = 0
    for line in lines:
        if not line.strip():
            continue
        if not line.lstrip().startswith(b";"):
            return bool(NUMBERS.fullmatch(line))
        comments += 1
    return comments > 0 and any(re.match(rb"\s*;\s*(Version|MaxJobs|UnixStartTime)\s*:", line) for line in lines)


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the trace in an SWF file.

    Raises
    ------
    ConfigError
        For a ``gpu_rule`` that cannot be read.
    InputError
        For a file that cannot be read, or has no line that is a job.
    """
    path = Path(path)
    lines = _split(path)
    builder = JobTableBuilder(
        format=NAME, path=path, rows=lines.rows, rows_in=len(lines.rows) + len(lines.rejected),
        rejected=lines.rejected, columns=_parse(lines.records),
    )  # fmt: skip
    header = _Header.of(lines.header)
    notes = [*header.notes()]
    _put_names(builder, header)
    notes += _put_size(builder, options.gpu_rule)
    notes += _put_times(builder)
    notes += _put_dependencies(builder)
    _reject_parts(builder)
    origin, zone = header.origin(options.zone)
    return builder.finish(origin=origin, zone=zone, notes=notes)


@dataclass(frozen=True, kw_only=True)
class _Lines:
    """The lines of a file: header text; jobs as one line of 18 fields each, with their numbers; the rest."""

    header: list[str]
    records: list[bytes]
    rows: NDArray[np.int64]
    rejected: list[Rejection]


def _split(path: Path) -> _Lines:
    """Sort the lines of the file into header, records and rejections."""
    header: list[str] = []
    records: list[bytes] = []
    rows: list[int] = []
    rejected: list[Rejection] = []
    for number, line in enumerate(read_bytes(path).splitlines(), start=1):
        fields = line.split()
        if len(fields) == len(FIELDS) and not fields[0].startswith(b";"):
            if line.isascii():
                records.append(b" ".join(fields))
                rows.append(number)
            else:
                rejected.append(Rejection(number, "", _shown(line), "the line is not plain text"))
        elif fields and fields[0].startswith(b";"):
            header.append(line.decode("utf-8", "replace").strip())
        elif fields:
            reason = "the line does not have 18 fields"
            rejected.append(Rejection(number, "", _shown(line), reason))
    if not records and not rejected:
        raise InputError("the file has a header and no jobs", path=path, remedy="give a file with at least one job")
    return _Lines(header=header, records=records, rows=np.array(rows, dtype=np.int64), rejected=rejected)


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "replace")[:80]


def _parse(records: Sequence[bytes]) -> dict[str, pa.ChunkedArray]:
    """Return the fields as text columns of shape (records,)."""
    if not records:
        return {name: pa.chunked_array([pa.array([], pa.string())]) for name in FIELDS}
    table = pacsv.read_csv(
        pa.BufferReader(b"\n".join(records)),
        read_options=pacsv.ReadOptions(column_names=list(FIELDS), use_threads=False, block_size=64 << 20),
        parse_options=pacsv.ParseOptions(delimiter=" ", quote_char=False),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(FIELDS, pa.string()), strings_can_be_null=False, null_values=[]
        ),
    )
    return {name: table[name] for name in FIELDS}


def _known(builder: JobTableBuilder, name: str) -> NDArray[np.float64]:
    """Return a field as float64, shape (records,), not-a-number for -1."""
    values = builder.numbers(name)
    return np.where(values == -1, np.nan, values)


def _texts(builder: JobTableBuilder, name: str) -> pa.ChunkedArray:
    """Return a field as text, null for -1."""
    return builder.texts(name, missing=("-1",))


def _put_names(builder: JobTableBuilder, header: _Header) -> None:
    """Set the id, the state and the five numbered names."""
    builder.put("job_id", _texts(builder, "job"), source="job")
    targets = {"user": "user", "group": "tenant", "executable": "job_name", "queue": "qos", "partition": "partition"}
    for name, column in targets.items():
        values = _texts(builder, name)
        given = header.names[name]
        if given:
            place = pc.index_in(values, pa.array(list(given), pa.string()))
            values = pc.if_else(place.is_valid(), pa.array(list(given.values()), pa.string()).take(place), values)
        builder.put(column, values, source=name)
    status = builder.source["status"]
    builder.source["status"] = pc.if_else(pc.equal(status, "-1"), "", status)
    builder.put_states("status", STATUS)


def _put_size(builder: JobTableBuilder, rule: str) -> list[str]:
    """Set GPUs, memory and, where processors are not GPUs, CPU cores."""
    allocated, requested = _known(builder, "allocated"), _known(builder, "requested")
    processors = np.where(allocated > 0, allocated, np.where(requested > 0, requested, allocated))
    processors = np.where(np.isnan(processors), requested, processors)
    builder.reject(np.isnan(processors), "allocated", "neither allocated nor requested processors are known")
    builder.put("gpus", gpus_of_processors(processors, rule), source="allocated")
    notes = [f"GPUs follow from processors by the rule {rule}"]
    if not np.array_equal(gpus_of_processors(processors, rule), processors, equal_nan=True):
        builder.put("cpus", processors, source="allocated")
        notes.append("processors are also taken as CPU cores")
    builder.put("memory_gib", _known(builder, "memory_requested") * processors / 2.0**20, source="memory_requested")
    taken = int(np.sum(~(allocated > 0) & (requested > 0)))
    if taken:
        notes.append(f"{counted(taken, 'job')} without allocated processors: those requested are taken")
    return notes


def _put_times(builder: JobTableBuilder) -> list[str]:
    """Set all times, exact to the microsecond."""
    submit, wait, run = (_known(builder, name) for name in ("submit", "wait", "run"))
    builder.reject(wait < 0, "wait", "a wait must not be negative")
    allocated = _known(builder, "allocated")
    never_ran = np.isnan(run) | ((run == 0) & np.isnan(allocated))
    started = np.where(never_ran, np.nan, np.rint(submit * 1e6) + np.rint(wait * 1e6))
    builder.put("submit_time", submit, source="submit")
    builder.put("start_time", started / 1e6, source="wait")
    builder.put("end_time", (started + np.rint(run * 1e6)) / 1e6, source="run")
    builder.put("runtime", np.where(never_ran & ~(run < 0), np.nan, run), source="run")
    builder.put("time_limit", _known(builder, "time_requested"), source="time_requested")
    idle = int(never_ran.sum())
    return [f"{counted(idle, 'job')} never ran: no run time"] if idle else []


def _put_dependencies(builder: JobTableBuilder) -> list[str]:
    """Set ``depends_on`` and ``think_time`` where the preceding job stands on an earlier line."""
    preceding, jobs = _texts(builder, "preceding"), builder.source["job"]
    if preceding.null_count == len(builder):
        return []
    place = pc.index_in(preceding, jobs.combine_chunks()).fill_null(len(builder)).to_numpy()
    earlier = place < np.arange(len(builder))
    depends = pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(earlier)]).astype(np.int32)),
        preceding.filter(pa.array(earlier)).combine_chunks(),
        mask=pa.array(~earlier),
    )
    builder.put("depends_on", depends, source="preceding")
    builder.put("think_time", np.where(earlier, _known(builder, "think_time"), np.nan), source="think_time")
    lost = len(builder) - preceding.null_count - int(earlier.sum())
    if not lost:
        return []
    return [f"{counted(lost, 'job')} with a preceding job that is on no earlier line: taken as independent"]


def _reject_parts(builder: JobTableBuilder) -> None:
    """Reject lines that tell one part of a job which another line tells as a whole."""
    is_part = pc.is_in(builder.source["status"], PARTIAL)
    if not pc.any(is_part).as_py():
        return
    whole = builder.source["job"].filter(pc.invert(is_part)).combine_chunks()
    repeats = pc.and_(is_part, pc.is_in(builder.source["job"], whole))
    builder.reject(repeats.to_numpy(), "status", "one part of a job that has a line of its own")


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What the ``;`` lines say, by label."""

    labels: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Sequence[str]) -> _Header:
        """Return the labels in the order of the file; a line without one continues the one before."""
        labels: dict[str, list[str]] = {}
        last: list[str] = []
        for line in lines:
            match = LABEL.fullmatch(line)
            text = line.lstrip("; \t") if match is None else match[2].strip()
            if match is not None:
                last = labels.setdefault(match[1], [])
                last.append(text)
            elif not text:
                last = []
            elif last and last is labels.get("Note"):
                last[-1] += f" {text}"
        return cls(labels=labels, names={item: _names(labels.get(label, [])) for item, label in NAMES.items()})

    def first(self, label: str) -> str:
        """Return the first value of a label, '' where there is none."""
        return self.labels.get(label, [""])[0]

    def origin(self, zone: str | None) -> tuple[str, str]:
        """Return the origin as ISO 8601 and the name of its zone; '' for what the header does not say."""
        written, _, place = self.first(ORIGIN_LABEL).partition(" ")
        if _is_instant(written) and (not place or _is_zone(place)):
            return written, place
        name = next((item for item in (self.first("TimeZoneString"), zone) if item and _is_zone(item)), "")
        try:
            second = float(self.first("UnixStartTime"))
            moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=second)
        except (ValueError, OverflowError):
            return "", name
        return (moment.astimezone(ZoneInfo(name) if name else UTC).isoformat(), name) if second > 0 else ("", name)

    def notes(self) -> list[str]:
        """Return what people should know of the header."""
        said = [f"{label} {self.first(label)}" for label in SHOWN_LABELS if self.first(label)]
        notes = [f"header: {'; '.join(said)}"] if said else []
        for label in ("Queue", "Partition"):
            meanings = [" ".join(value.split()) for value in self.labels.get(label, [])]
            notes += [f"header: {label.lower()}s are {'; '.join(meanings)}"] if meanings else []
        return notes + [f"header: {' '.join(text.split())}" for text in self.labels.get("Note", []) if text]


def _is_instant(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _names(lines: Sequence[str]) -> dict[str, str]:
    """Return the names given by lines such as ``3 "alice"``; what is not of that form is left alone."""
    names = {}
    for line in lines:
        number, _, quoted = line.partition(" ")
        try:
            name = json.loads(quoted)
        except ValueError:
            continue
        if isinstance(name, str):
            names[number] = name
    return names
