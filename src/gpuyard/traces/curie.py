"""The hybrid partition of CEA's Curie: a table cut out of the SWF log CEA-Curie-2011-2.1-cln.

Columns job_id, submit_s (seconds after UnixStartTime 1296571124 of the SWF header), wait_s, run_s, procs_alloc,
procs_req, walltime_req_s, status, user, group; -1 is "not recorded".  The log counts processors: GPUs follow by
the option ``gpu_rule`` (nodes of 8 processors and 2 GPUs, given out whole, are ``node:2:8``; two GPUs a node is an
assumption, as the log does not say).  A job that held no processors or ran for no time never ran: its run time,
start and end are null.  A job whose processors are not recorded at all has 0 GPUs.

Source: Parallel Workloads Archive, CEA Curie log; Feitelson, Tsafrir, Krakov, JPDC 74(10), 2014.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import header_names, read_separated
from gpuyard.traces.processors import gpus_of_processors
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.trace import Trace
from gpuyard.units import counted

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "curie"
DESCRIPTION = "Hybrid (GPU) partition of CEA Curie 2012, cut out of the SWF log: curie_hybrid_partition.csv"

COLUMNS = (
    "job_id",
    "submit_s",
    "wait_s",
    "run_s",
    "procs_alloc",
    "procs_req",
    "walltime_req_s",
    "status",
    "user",
    "group",
)
STATUS = {"0": "failed", "1": "completed", "5": "cancelled"}
UNIX_START = 1_296_571_124
"""UnixStartTime of the SWF header: second 0 of ``submit_s``."""


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the head's first line has the columns of the table."""
    return {"submit_s", "procs_alloc", "walltime_req_s"} <= set(header_names(head))


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the jobs of the table, times counted from its UnixStartTime."""
    builder = JobTableBuilder.of(read_separated(path, required=COLUMNS), NAME)
    builder.put("job_id", builder.texts("job_id"), source="job_id")
    submit = builder.numbers("submit_s")
    wait, run, alloc, asked, limit = (
        _unknown_below_zero(builder.numbers(name))
        for name in ("wait_s", "run_s", "procs_alloc", "procs_req", "walltime_req_s")
    )
    ran = (run > 0) & (alloc > 0)
    start = np.where(ran, submit + wait, np.nan)
    builder.put("submit_time", submit, source="submit_s")
    builder.put("start_time", start, source="wait_s")
    builder.put("end_time", start + run, source="run_s")
    builder.put("runtime", np.where(ran, run, np.nan), source="run_s")
    builder.put("time_limit", np.where(limit > 0, limit, np.nan), source="walltime_req_s")
    processors = np.where(alloc > 0, alloc, np.where(asked > 0, asked, 0.0))
    builder.put("gpus", gpus_of_processors(processors, options.gpu_rule), source="procs_alloc")
    builder.put("cpus", processors, source="procs_alloc")
    builder.put_states("status", STATUS)
    builder.put("user", builder.texts("user", missing=("", "-1")), source="user")
    builder.put("tenant", builder.texts("group", missing=("", "-1")), source="group")
    origin = datetime.fromtimestamp(UNIX_START, UTC).isoformat()
    return builder.finish(origin=origin, zone="UTC", notes=_notes(ran, processors, options))


def _unknown_below_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values < 0, np.nan, values)


def _notes(ran: NDArray[np.bool_], processors: NDArray[np.float64], options: ReadOptions) -> list[str]:
    notes = [f"GPUs follow from processors by the rule {options.gpu_rule}"]
    if idle := int((~ran).sum()):
        notes.append(f"{counted(idle, 'job')} never ran: no run time")
    if unknown := int((processors == 0).sum()):
        notes.append(f"{counted(unknown, 'job')} without recorded processors: 0 GPUs")
    return notes
