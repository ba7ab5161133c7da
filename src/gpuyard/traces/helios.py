"""SenseTime Helios: ``cluster_log.csv``, one file a cluster (Earth, Saturn, Uranus, Venus), 2020.

Hu et al., "Characterization and Prediction of Deep Learning Workloads in Large-Scale GPU Datacenters", SC 2021.

The file's ``duration`` (end - start) is our ``runtime``; its ``queue`` is a wait and is not kept, as it follows
from the times.  ``vc`` is the tenant.  Times state no zone.
"""

from __future__ import annotations

from pathlib import Path

from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import header_names, naive_note, read_separated
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.trace import Trace

__all__ = ["DESCRIPTION", "NAME", "SLURM_STATES", "read", "recognises"]

NAME = "helios"
DESCRIPTION = "SenseTime Helios 2020: cluster_log.csv"

COLUMNS = (
    "job_id",
    "user",
    "vc",
    "gpu_num",
    "cpu_num",
    "node_num",
    "state",
    "submit_time",
    "start_time",
    "end_time",
    "duration",
)
SLURM_STATES = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "TIMEOUT": "timed_out",
    "NODE_FAIL": "node_failed",
    "PREEMPTED": "preempted",
    "RUNNING": "running",
    "PENDING": "pending",
    "SUSPENDED": "running",
    "OUT_OF_MEMORY": "failed",
}
MISSING = ("", "None", "nan", "NaT")


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the head's first line has the columns of a Helios log."""
    return {"vc", "gpu_num", "node_num", "queue"} <= set(header_names(head))


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the trace in a ``cluster_log.csv``."""
    cells = read_separated(path, required=COLUMNS)
    builder = JobTableBuilder.of(cells, NAME)
    builder.put("job_id", builder.texts("job_id"), source="job_id")
    is_naive = False
    for column in ("submit_time", "start_time", "end_time"):
        times, naive = builder.instants(column, missing=MISSING, zone=options.zone)
        is_naive = is_naive or naive
        builder.put(column, times, source=column)
    builder.put("runtime", builder.numbers("duration", missing=MISSING), source="duration")
    builder.put("gpus", builder.numbers("gpu_num"), source="gpu_num")
    builder.put("cpus", builder.numbers("cpu_num", missing=MISSING), source="cpu_num")
    builder.put_nodes("node_num", missing=MISSING)
    builder.put_states("state", SLURM_STATES)
    builder.put("tenant", builder.texts("vc"), source="vc")
    builder.put("user", builder.texts("user"), source="user")
    return builder.finish(absolute=True, zone=options.zone or "", notes=naive_note(is_naive))
