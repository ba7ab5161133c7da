"""Microsoft Philly: the published ``cluster_job_log`` (JSON) and the reduced ``philly.csv`` of the Pollux artifact.

Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads", USENIX ATC 2019.

``cluster_job_log`` is a list of jobs, each with its attempts.  GPUs and nodes are those of the first attempt
(``nodes`` = entries of its ``detail``), as in the analysis that comes with the trace.  ``runtime`` is the time
on GPUs, summed over all attempts; ``start_time`` is the first attempt's start, ``end_time`` the last one's end.
If an attempt's start or end is not recorded, the run time is null.  A job without attempts holds no GPUs in
the record: its ``gpus`` is 0 and its ``runtime`` null, so it is counted and never simulated.

``philly.csv`` (timestamp, duration, num_gpus, gpu_time, cluster) is not sorted and names no jobs: a job's id is
``row-`` and its line.  Rows that are equal in every column are kept, as they may be different jobs.

Neither says its time zone; the utilization files beside the log are in US Pacific time
(``ReadOptions(zone="America/Los_Angeles")``).
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from gpuyard.errors import InputError
from gpuyard.traces.builder import JobRows, JobTableBuilder
from gpuyard.traces.cells import as_instant, header_names, naive_note, read_separated, zone_of
from gpuyard.traces.source import ReadOptions, read_text
from gpuyard.traces.trace import Trace
from gpuyard.units import counted

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "philly"
DESCRIPTION = "Microsoft Philly 2017: cluster_job_log (JSON) or the reduced philly.csv"

COLUMNS = ("timestamp", "duration", "num_gpus", "gpu_time", "cluster")
STATUS = {"Pass": "completed", "Killed": "cancelled", "Failed": "failed"}
UNKNOWN_TIMES = (None, "", "None")


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the head is the CSV's header line or a list of jobs with attempts."""
    if header_names(head) == list(COLUMNS):
        return True
    return head.lstrip().startswith(b"[") and b'"attempts"' in head and b'"jobid"' in head


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the trace in either of the two files; the first byte tells which."""
    text = read_text(path)
    if text.lstrip().startswith(("[", "{")):
        return _read_log(path, text, options)
    return _read_table(path, options)


def _read_table(path: Path, options: ReadOptions) -> Trace:
    cells = read_separated(path, required=COLUMNS)
    builder = JobTableBuilder.of(cells, NAME)
    builder.put_row_ids()
    submit, is_naive = builder.instants("timestamp", zone=options.zone)
    builder.put("submit_time", submit, source="timestamp")
    builder.put("runtime", builder.numbers("duration"), source="duration")
    builder.put("gpus", builder.numbers("num_gpus"), source="num_gpus")
    builder.put("tenant", builder.texts("cluster"), source="cluster")
    notes = naive_note(is_naive)
    different = pa.table({name: cells.columns[name] for name in COLUMNS}).group_by(list(COLUMNS)).aggregate([])
    if repeated := len(cells) - different.num_rows:
        notes.append(f"{counted(repeated, 'row')} like an earlier row in every column; each is kept as its own job")
    return builder.finish(absolute=True, zone=options.zone or "", notes=notes)


def _read_log(path: Path, text: str, options: ReadOptions) -> Trace:
    jobs = _parse(path, text)
    rows = JobRows(format=NAME, path=path)
    clock = zone_of(options.zone)
    seen: Counter[str] = Counter()
    for row, job in enumerate(jobs, start=1):
        _add(rows, row, job, clock, seen)
    notes = naive_note(options.zone is None)
    if seen["idle"]:
        notes.append(f"{counted(seen['idle'], 'job')} without an attempt: GPUs not recorded (0), no run time")
    if seen["open"]:
        notes.append(f"{counted(seen['open'], 'job')} with an attempt without a recorded start or end: no run time")
    if seen["moved"]:
        notes.append(f"{counted(seen['moved'], 'job')} with other GPUs in a later attempt; those of the first are kept")
    return rows.finish(absolute=True, zone=options.zone or "", notes=notes)


def _parse(path: Path, text: str) -> list[object]:
    """Return the list of jobs."""
    try:
        jobs = json.loads(text)
    except json.JSONDecodeError as problem:
        raise InputError(
            f"this is not JSON: {problem.msg}", path=path, row=problem.lineno, remedy="fetch the file again"
        ) from None
    except (ValueError, RecursionError) as problem:
        raise InputError(f"the JSON cannot be read: {problem}", path=path, remedy="fetch the file again") from None
    if not isinstance(jobs, list):
        raise InputError("the file must hold a list of jobs", path=path, value=type(jobs).__name__)
    return jobs


class _UnreadableError(Exception):
    """A value of a job that cannot be read: column, value, reason."""


def _add(rows: JobRows, row: int, job: object, clock: ZoneInfo | None, seen: Counter[str]) -> None:
    """Add one element of the list, as a job or as a rejection."""
    try:
        values = _values(job, clock, seen)
    except _UnreadableError as problem:
        column, value, reason = problem.args
        rows.reject(row, column, value, reason)
        return
    rows.add(row, **values)


def _values(job: object, clock: ZoneInfo | None, seen: Counter[str]) -> dict[str, object]:
    """Return the columns of one job."""
    if not isinstance(job, dict):
        raise _UnreadableError("", job, "a job must be an object with names and values")
    attempts = job.get("attempts")
    if not isinstance(attempts, list) or not all(isinstance(attempt, dict) for attempt in attempts):
        raise _UnreadableError("attempts", attempts, "attempts must be a list of objects")
    status = job.get("status")
    if not isinstance(status, str) or status not in STATUS:
        raise _UnreadableError("status", status, f"the state is none of {', '.join(STATUS)}")
    values: dict[str, object] = {
        "job_id": job.get("jobid"),
        "submit_time": _time(job.get("submitted_time"), "submitted_time", clock),
        "gpus": 0,
        "tenant": job.get("vc"),
        "user": job.get("user"),
        "state": STATUS[status],
    }
    spans = [
        (_time(a.get("start_time"), "start_time", clock), _time(a.get("end_time"), "end_time", clock)) for a in attempts
    ]
    if not attempts:
        seen["idle"] += 1
        return values
    shapes = [_shape(attempt.get("detail")) for attempt in attempts]
    gpus, nodes = shapes[0]
    seen["moved"] += any(shape[0] != gpus for shape in shapes)
    known = [end - start for start, end in spans if start is not None and end is not None]
    if any(length < 0 for length in known):
        raise _UnreadableError("end_time", attempts, "an attempt ends before it starts")
    is_complete = len(known) == len(spans)
    seen["open"] += not is_complete
    return values | {
        "gpus": gpus,
        "nodes": nodes or None,
        "start_time": spans[0][0],
        "end_time": spans[-1][1],
        "runtime": round(sum(known), 6) if is_complete else None,
    }


def _time(text: object, column: str, clock: ZoneInfo | None) -> float | None:
    """Return a timestamp as seconds since 1970, None where none is recorded."""
    if text in UNKNOWN_TIMES:
        return None
    seconds = as_instant(text, clock) if isinstance(text, str) else None
    if seconds is None:
        raise _UnreadableError(column, text, "this is not a timestamp")
    return seconds


def _shape(detail: Any) -> tuple[int, int]:
    """Return GPUs and nodes of an attempt."""
    if not isinstance(detail, list):
        raise _UnreadableError("detail", detail, "detail must be a list of nodes with their GPUs")
    gpus = 0
    for node in detail:
        if not isinstance(node, dict) or not isinstance(node.get("gpus"), list):
            raise _UnreadableError("detail", node, "detail must be a list of nodes with their GPUs")
        gpus += len(node["gpus"])
    return gpus, len(detail)
