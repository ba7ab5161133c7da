"""Tiresias: the job lists of its simulator, such as ``60_job.csv``.

Gu et al., "Tiresias: A GPU Cluster Manager for Distributed Deep Learning", NSDI 2019.

Columns job_id, num_gpu, submit_time, iterations, model_name, duration, interval; seconds from the start of the
list.  ``iterations`` and ``interval`` are not kept: the first is in ``duration``, the second in ``submit_time``.
"""

from __future__ import annotations

from pathlib import Path

from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import header_names, read_separated
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.trace import Trace

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "tiresias"
DESCRIPTION = "Job lists of the Tiresias simulator (job_id, num_gpu, submit_time, iterations, model_name, duration)"

COLUMNS = ("job_id", "num_gpu", "submit_time", "model_name", "duration")


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the head's first line has the columns of a job list."""
    return {*COLUMNS, "iterations"} <= set(header_names(head))


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the jobs of a list; no option applies."""
    builder = JobTableBuilder.of(read_separated(path, required=COLUMNS), NAME)
    builder.put("job_id", builder.texts("job_id"), source="job_id")
    builder.put("submit_time", builder.numbers("submit_time"), source="submit_time")
    builder.put("runtime", builder.numbers("duration"), source="duration")
    builder.put("gpus", builder.numbers("num_gpu"), source="num_gpu")
    builder.put("job_name", builder.texts("model_name"), source="model_name")
    return builder.finish()
