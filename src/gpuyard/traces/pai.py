"""Alibaba PAI 2020 (cluster-trace-gpu-v2020): ``pai_task_table.csv``, which has no header line.

Weng et al., "MLaaS in the Wild: Workload Analysis and Scheduling in Large-Scale Heterogeneous GPU Clusters",
NSDI 2022.

The columns are those of the ``pai_task_table.header`` published beside it: job_name, task_name, inst_num,
status, start_time, end_time, plan_cpu, plan_mem, plan_gpu, gpu_type.  A row is a *task*: ``inst_num`` equal
instances of one role of a job; it becomes one job here, named ``job_name.task_name``.  The job and instance
tables do not say how many GPUs are asked for and are refused.

- Per instance, ``plan_gpu`` is in percent of a GPU, ``plan_cpu`` in percent of a core, ``plan_mem`` in GiB (the file
  says GB, its values are MiB divided by 1024); the job has ``inst_num`` times each.  Blank is none.
- A total below one GPU is a share of one GPU (``gpu_milli``).  A larger total that is not whole is rounded up; a
  note counts how often.  Tasks of several instances may be spread over nodes in any pieces (``spread``).
- ``start_time`` is when the task was launched, and stands for its submission: the wait before it is not in this
  table.  Tasks that never launched have no time and are rejected.
- ``gpu_type`` is the type the task was given, and is taken as the type it accepts.

Seconds have a constant subtracted that keeps the time of day and the day of the week of China Standard Time when
they are read as seconds since 1970; the dates are not real, so the trace has no origin.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.errors import InputError
from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import Cells, header_names, read_separated
from gpuyard.traces.source import ReadOptions, head
from gpuyard.traces.trace import Trace

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "pai"
DESCRIPTION = "Alibaba PAI 2020 (cluster-trace-gpu-v2020): pai_task_table.csv, without header line"

COLUMNS = (
    "job_name",
    "task_name",
    "inst_num",
    "status",
    "start_time",
    "end_time",
    "plan_cpu",
    "plan_mem",
    "plan_gpu",
    "gpu_type",
)
STATUS = {"Terminated": "completed", "Failed": "failed", "Running": "running", "Waiting": "pending"}
OTHER_TABLES = {6: "pai_job_table", 9: "pai_instance_table"}


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the first line has ten cells with a known status and times that look like seconds."""
    cells = header_names(head)
    if cells == list(COLUMNS):
        return True
    times = [text.removesuffix(".0").replace(".", "", 1).isdigit() or not text for text in cells[4:6]]
    return len(cells) == len(COLUMNS) and cells[3] in STATUS and all(times)


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the tasks of the table as jobs; no option applies."""
    builder = JobTableBuilder.of(_cells(path), NAME)
    names = builder.source
    builder.put("job_id", pc.binary_join_element_wise(names["job_name"], names["task_name"], "."), source="job_name")
    start, end = builder.numbers("start_time"), builder.numbers("end_time")
    builder.reject(end < start, "end_time", "the task ends before it starts")
    builder.put("submit_time", start, source="start_time")
    builder.put("start_time", start, source="start_time")
    builder.put("end_time", end, source="end_time")
    builder.put("runtime", np.round(end - start, 6), source="end_time")
    instances = builder.numbers("inst_num")
    builder.reject(~(instances >= 1), "inst_num", "a task has at least one instance")
    builder.reject(instances % 1 != 0, "inst_num", "this must be a whole number")
    notes = _put_gpus(builder, instances)
    builder.put("cpus", builder.numbers("plan_cpu") * instances / 100, source="plan_cpu")
    builder.put("memory_gib", builder.numbers("plan_mem") * instances, source="plan_mem")
    builder.put_states("status", STATUS)
    builder.put("job_name", builder.texts("task_name"), source="task_name")
    return builder.finish(notes=[*notes, "submit times are launch times: the waits before them are not in this table"])


def _cells(path: Path) -> Cells:
    """Return the cells of the task table, with or without its header line."""
    first = header_names(head(path))
    if first == list(COLUMNS):
        return read_separated(path, required=COLUMNS)
    if (table := OTHER_TABLES.get(len(first))) is not None:
        raise InputError(
            f"this looks like {table}, which does not say how many GPUs a task asks for",
            path=path,
            row=1,
            value=",".join(first),
            remedy="read pai_task_table.csv",
        )
    return read_separated(path, names=COLUMNS)


def _put_gpus(builder: JobTableBuilder, instances: NDArray[np.float64]) -> list[str]:
    """Set gpus, gpu_milli, gpu_type and spread from percent of a GPU for each instance; return notes."""
    percent = builder.numbers("plan_gpu")
    percent = np.where(np.isnan(percent), 0.0, percent)
    builder.reject(percent < 0, "plan_gpu", "a share of a GPU cannot be negative")
    total = np.round(percent * instances * 10)
    shared = (total > 0) & (total < 1000)
    gpus = np.ceil(total / 1000)
    rounded = (total > 1000) & (total % 1000 > 0)
    builder.put("gpus", gpus, source="plan_gpu")
    builder.put("gpu_milli", np.where(shared, total, np.nan), source="plan_gpu")
    types = builder.texts("gpu_type")
    builder.put("gpu_type", pc.if_else(pa.array(gpus > 0), types, pa.scalar(None, pa.string())), source="gpu_type")
    builder.put("spread", pa.array(instances > 1))
    if not rounded.any():
        return []
    return [f"{int(rounded.sum())} tasks of more than one GPU in all were rounded up to whole GPUs"]
