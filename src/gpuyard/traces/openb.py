"""Alibaba OpenB (``openb_pod_list_*.csv``, cluster-trace-gpu-v2023): Kubernetes pods that may share a GPU.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent",
USENIX ATC 2023.

A pod is a job.  ``creation_time`` is its submission, ``scheduled_time`` its start, ``deletion_time`` its end and
``runtime`` the time between the last two; all three are null for a pod that was never scheduled.  A pod whose
phase is Running was alive when the trace ended, so its run time is what was seen of it.  ``gpu_milli`` is the
share of the GPU of a pod with one.  ``gpu_spec`` names the GPU types the pod accepts.  The class follows from
the quality of service: LS (latency sensitive) is ``realtime``, everything else ``batch``.  Seconds count from
the start of the trace, whose date is not given.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import header_names, read_separated
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.trace import Trace

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "openb"
DESCRIPTION = "Alibaba OpenB 2023 pods (cluster-trace-gpu-v2023): openb_pod_list_*.csv"

COLUMNS = (
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
)
PHASES = {"Succeeded": "completed", "Failed": "failed", "Running": "running", "Pending": "pending"}


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the head's first line has the columns of a pod list."""
    return {"num_gpu", "gpu_milli", "pod_phase", "creation_time"} <= set(header_names(head))


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the pods of a list; no option applies."""
    cells = read_separated(path, required=COLUMNS)
    builder = JobTableBuilder.of(cells, NAME)
    builder.put("job_id", builder.texts("name"), source="name")
    builder.put("submit_time", builder.numbers("creation_time"), source="creation_time")
    start = builder.numbers("scheduled_time")
    end = np.where(np.isnan(start), np.nan, builder.numbers("deletion_time"))
    builder.reject(end < start, "deletion_time", "the pod ends before it starts")
    builder.put("start_time", start, source="scheduled_time")
    builder.put("end_time", end, source="deletion_time")
    builder.put("runtime", np.round(end - start, 6), source="deletion_time")
    gpus = builder.numbers("num_gpu")
    share = builder.numbers("gpu_milli")
    builder.reject((gpus > 1) & (share != 1000), "gpu_milli", "a pod of several GPUs cannot share them")
    builder.put("gpus", gpus, source="num_gpu")
    builder.put("gpu_milli", np.where(gpus == 1, share, np.nan), source="gpu_milli")
    builder.put("gpu_type", builder.texts("gpu_spec", missing=("", "nan")), source="gpu_spec")
    builder.put("cpus", builder.numbers("cpu_milli") / 1000, source="cpu_milli")
    builder.put("memory_gib", builder.numbers("memory_mib") / 1024, source="memory_mib")
    builder.put_states("pod_phase", PHASES)
    qos = builder.texts("qos")
    builder.put("qos", qos, source="qos")
    builder.put("job_class", pc.if_else(pc.equal(qos, "LS"), "realtime", "batch").cast(pa.string()))
    running = pc.sum(pc.equal(cells.columns["pod_phase"], "Running")).as_py() or 0
    notes = [f"{running} pods were running when the trace ended: their run times are cut there"] if running else []
    return builder.finish(notes=notes)
