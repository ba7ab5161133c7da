"""Three builders and no fixtures: a workload from rows, a cluster from nodes, the starts of a run.

No test is timed: a first example may compile a kernel, and machines are busy.  What is drawn at random is drawn alike
in every run, so that one commit has one verdict; ``--hypothesis-profile=random`` draws anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import settings

from gpuyard.cluster import Cluster
from gpuyard.hardware import NodeType
from gpuyard.policy import named_policy
from gpuyard.topology.levels import Levels
from gpuyard.traces.schema import COLUMNS
from gpuyard.workload import MICROSECOND, NEVER, Workload

settings.register_profile("alike", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("alike")

Row = tuple[float, float | None, int] | tuple[float, float | None, int, dict[str, object]]
Node = int | tuple[str, int]


def workload(*rows: Row) -> Workload:
    """Return jobs from rows (submit_time, runtime, gpus) or (..., {other columns}); ids are "0", "1", ... by row."""
    jobs = []
    for number, (submit_time, runtime, gpus, *more) in enumerate(rows):
        job = {"job_id": str(number), "submit_time": submit_time, "runtime": runtime, "gpus": gpus}
        for others in more:
            job |= others
        jobs.append(job)
    columns = [each for each in COLUMNS if any(each.name in job for job in jobs) or not jobs]
    arrays = {each.name: pa.array([job.get(each.name) for job in jobs], each.dtype) for each in columns}
    return Workload.from_table(pa.table(arrays))


def cluster(
    *nodes: Node,
    cpus: Sequence[float] | None = None,
    memory: Sequence[float] | None = None,
    levels: Sequence[Sequence[int]] = (),
    level_names: Sequence[str] = (),
) -> Cluster:
    """Return a cluster with a node for each number of GPUs, or for each (GPU type, number); levels lowest first.

    Levels without names are called level-0, level-1, and so on.
    """
    typed = [node if isinstance(node, tuple) else ("gpu" if node else "", node) for node in nodes]
    names = sorted({name for name, _ in typed})
    most = {name: max(gpus for other, gpus in typed if other == name) for name in names}
    return Cluster(
        name="test",
        node_names=tuple(f"n{number}" for number in range(len(typed))),
        node_gpus=np.array([gpus for _, gpus in typed], dtype=np.int32),
        node_kind=np.array([names.index(name) for name, _ in typed], dtype=np.int16),
        kinds=tuple(node_type(name, most[name]) for name in names),
        node_cpus=None if cpus is None else np.array(cpus, dtype=np.float64),
        node_memory_gib=None if memory is None else np.array(memory, dtype=np.float64),
        levels=Levels(
            names=tuple(level_names) or tuple(f"level-{number}" for number in range(len(levels))),
            domains=tuple(np.array(domain, dtype=np.int32) for domain in levels),
        ),
    )


def node_type(gpu_type: str, gpus: int) -> NodeType:
    """Return a node type of which only the GPUs matter."""
    return NodeType(
        name=f"node-{gpu_type}",
        gpu_type=gpu_type,
        gpus=gpus,
        cpus=None,
        memory_gib=None,
        idle_w=100.0,
        gpu_dynamic_w=400.0,
        cpu_dynamic_w=200.0,
        source="test",
    )


def starts(
    jobs: Workload, site: Cluster, policy: str = "fifo", *, seed: int = 0, until: float | None = None, **changes: object
) -> list[float | None]:
    """Return when each job starts in the engine, in seconds; ``None`` for a job that never does."""
    from gpuyard.simulation import schedule

    record = schedule(jobs, site, named_policy(policy, **changes), seed=seed, until=until)
    return [None if tick == NEVER else tick / MICROSECOND for tick in record.start.tolist()]
