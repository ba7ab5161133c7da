"""Shanghai AI Lab Acme: ``trace_seren.csv`` and ``trace_kalos.csv``, 2023.

Hu et al., "Characterization of Large Language Model Development in the Datacenter", NSDI 2024.

Times carry their offset from UTC.  ``runtime`` is end - start: the file's ``duration`` is that in Seren, but
counts the queueing time as well in Kalos, where it is therefore not used.  Where start or end is not recorded
the run time is null.  ``type`` becomes the job's class: Pretrain and MLLM are ``training``, SFT is
``finetuning``, Evaluation is ``evaluation``, Debug is ``interactive``, Other is no class; any other word is
kept in lower case.  Kalos' ``mem_per_pod_GB`` counts for each node of the job.  The origin is written in Shanghai
time unless the options name another zone; the instants are the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.traces.builder import JobTableBuilder
from gpuyard.traces.cells import header_names, read_separated
from gpuyard.traces.helios import MISSING, SLURM_STATES
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.trace import Trace
from gpuyard.units import counted

__all__ = ["DESCRIPTION", "NAME", "read", "recognises"]

NAME = "acme"
DESCRIPTION = "Shanghai AI Lab Acme 2023: trace_seren.csv or trace_kalos.csv"

COLUMNS = ("job_id", "user", "node_num", "gpu_num", "cpu_num", "type", "state", "submit_time", "start_time", "end_time")
CLASSES = {
    "pretrain": "training",
    "mllm": "training",
    "sft": "finetuning",
    "evaluation": "evaluation",
    "eval": "evaluation",
    "debug": "interactive",
    "other": None,
}
ZONE = "Asia/Shanghai"


def recognises(head: bytes, path: Path) -> bool:
    """Return whether the head's first line has the columns of an Acme trace."""
    return {"node_num", "gpu_num", "type", "gpu_time"} <= set(header_names(head))


def read(path: Path, options: ReadOptions) -> Trace:
    """Return the trace of either cluster."""
    cells = read_separated(path, required=COLUMNS)
    builder = JobTableBuilder.of(cells, NAME)
    builder.put("job_id", builder.texts("job_id"), source="job_id")
    times = {}
    for column in ("submit_time", "start_time", "end_time"):
        times[column] = builder.instants(column, missing=MISSING, zone=options.zone or ZONE)[0]
        builder.put(column, times[column], source=column)
    runtime = np.round(times["end_time"] - times["start_time"], 6)
    builder.reject(runtime < 0, "end_time", "the job ends before it starts")
    builder.put("runtime", runtime)
    builder.put("gpus", builder.numbers("gpu_num"), source="gpu_num")
    builder.put("cpus", builder.numbers("cpu_num", missing=MISSING), source="cpu_num")
    nodes = builder.put_nodes("node_num", missing=MISSING)
    if "mem_per_pod_GB" in cells:
        memory = builder.numbers("mem_per_pod_GB", missing=MISSING) * np.where(np.isnan(nodes), 1, nodes)
        builder.put("memory_gib", memory * (1e9 / 2**30), source="mem_per_pod_GB")
    builder.put_states("state", SLURM_STATES)
    builder.put("job_class", _classes(builder.texts("type")))
    builder.put("user", builder.texts("user"), source="user")
    return builder.finish(absolute=True, zone=options.zone or ZONE, notes=_notes(builder, runtime))


def _classes(types: pa.ChunkedArray) -> pa.Array:
    """Return the classes of the types, see the module."""
    coded = types.combine_chunks().dictionary_encode()
    words = [(word or "").lower() for word in coded.dictionary.to_pylist()]
    return pa.array([CLASSES.get(word, word) for word in words], pa.string()).take(coded.indices)


def _notes(builder: JobTableBuilder, runtime: NDArray[np.float64]) -> list[str]:
    if "duration" not in builder.source:
        return []
    differs = np.abs(builder.as_floats("duration") - runtime) > 1
    if not differs.any():
        return []
    return [f"in {counted(differs.sum(), 'row')} 'duration' is not end - start; the run time is end - start"]
