"""MIT SuperCloud: the Slurm accounting table of the Datacenter Challenge as CSV (S. Samsi et al., IEEE HPEC 2021).

One row a job; times are UNIX seconds, the time limit is in minutes (4294967295: unlimited), ``state`` is Slurm's
number, and ``tres_alloc`` lists what the whole job held as ``number=amount``: 1 CPU cores, 2 memory in MiB,
4 nodes, 1001 and 1002 GPUs (Tesla and Volta, by the legend of the source).  The ids in the public copies are
rounded, so several jobs share one: jobs are named after their lines.  Jobs that became eligible after their
submission may not start before that instant.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import read_separated
from gpuyard.traces.sacct_resources import put_priority
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.trace import Trace
from gpuyard.units import counted

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "supercloud"
DESCRIPTION = "MIT SuperCloud Slurm log (CSV with tres_alloc)"

REQUIRED = ("id_job", "state", "timelimit", "time_submit", "time_start", "time_end", "tres_alloc")
STATES = {
    "0": "pending", "1": "running", "2": "running", "3": "completed", "4": "cancelled", "5": "failed",
    "6": "timed_out", "7": "node_failed", "8": "preempted", "9": "node_failed", "10": "cancelled", "11": "failed",
}  # fmt: skip
"""Slurm's job states by number: suspended counts as running, deadline as cancelled, out of memory as failed."""
UNLIMITED = 4294967295
NULL_WORDS = ("", "\\N", "NULL")


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the header line has Slurm's column names and TRES."""
    names = head.split(b"\n", 1)[0].strip().split(b",")
    return {name.encode() for name in REQUIRED} <= set(names)


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the trace in a SuperCloud CSV; no option applies, as its times are absolute.

    Raises
    ------
    InputError
        For a file that cannot be read or lacks a column.
    """
    builder = JobTableBuilder.of(read_separated(path, required=REQUIRED), NAME)
    builder.put_row_ids()
    notes = ["jobs are named after their lines: the ids of the source are rounded and not unique"]
    for source, column in (
        ("id_user", "user"),
        ("account", "tenant"),
        ("partition", "partition"),
        ("job_name", "job_name"),
    ):
        if source in builder.source:
            builder.put(column, builder.texts(source, missing=NULL_WORDS), source=source)
    notes += put_priority(builder, "priority")
    builder.put_states("state", STATES)
    notes += _put_times(builder)
    _put_size(builder)
    return builder.finish(absolute=True, zone="UTC", notes=notes)


def _put_times(builder: JobTableBuilder) -> list[str]:
    """Set all times; 0 stands for an instant that never came."""
    submit, start, end = (_instants(builder, name) for name in ("time_submit", "time_start", "time_end"))
    suspended = _numbers(builder, "time_suspended")
    builder.put("submit_time", submit, source="time_submit")
    builder.put("start_time", start, source="time_start")
    builder.put("end_time", np.where(np.isnan(start), np.nan, end), source="time_end")
    builder.put("runtime", end - start - np.nan_to_num(suspended), source="time_end")
    minutes = builder.numbers("timelimit", missing=NULL_WORDS)
    builder.put("time_limit", np.where(minutes == UNLIMITED, np.nan, minutes * 60), source="timelimit")
    eligible = (
        _instants(builder, "time_eligible") if "time_eligible" in builder.source else np.full(len(builder), np.nan)
    )
    late = eligible > submit
    if not late.any():
        return []
    builder.put("not_before", np.where(late, eligible, np.nan), source="time_eligible")
    return [f"{counted(late.sum(), 'job')} became eligible after submission: no start before that"]


def _instants(builder: JobTableBuilder, name: str) -> NDArray[np.float64]:
    """Return UNIX seconds, float64 of shape (records,), not-a-number for 0."""
    seconds = builder.numbers(name, missing=NULL_WORDS)
    return np.where(seconds == 0, np.nan, seconds)


def _numbers(builder: JobTableBuilder, name: str) -> NDArray[np.float64]:
    """Return a column that need not be there, float64 of shape (records,)."""
    if name not in builder.source:
        return np.full(len(builder), np.nan)
    return builder.numbers(name, missing=NULL_WORDS)


def _put_size(builder: JobTableBuilder) -> None:
    """Set GPUs, CPU cores, memory and nodes from what was allocated, or requested where nothing was."""
    gpus = np.nan_to_num(_amount(builder, "1001")) + np.nan_to_num(_amount(builder, "1002"))
    nodes = _amount(builder, "4")
    builder.put("gpus", gpus, source="tres_alloc")
    builder.put("cpus", _amount(builder, "1"), source="tres_alloc")
    builder.put("memory_gib", _amount(builder, "2") / 1024, source="tres_alloc")
    # More nodes than GPUs: the other nodes held CPUs alone, which the job table cannot say.
    builder.put("nodes", np.where((nodes >= 1) & ((gpus == 0) | (nodes <= gpus)), nodes, np.nan), source="tres_alloc")


def _amount(builder: JobTableBuilder, number: str) -> NDArray[np.float64]:
    """Return the amount of one resource, float64 of shape (records,), not-a-number where it is not listed."""
    texts = builder.texts("tres_alloc", missing=NULL_WORDS)
    if "tres_req" in builder.source:
        texts = pc.coalesce(texts, builder.texts("tres_req", missing=NULL_WORDS))
    found = pc.struct_field(pc.extract_regex(texts, rf"(?:^|,){number}=(?P<amount>\d{{1,15}})(?:,|$)"), [0])
    return np.asarray(found.cast("float64").fill_null(float("nan")).to_numpy(), dtype=np.float64)
