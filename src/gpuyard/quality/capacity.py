"""Trace against cluster: what the record had in use, and what could never be placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.quality.columns import Jobs, ticks
from gpuyard.quality.report import Finding
from gpuyard.units import counted
from gpuyard.workload import MICROSECOND

__all__ = ["RecordedUse", "findings_against", "recorded_use"]

HOUR = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedUse:
    """GPUs that the recorded starts and ends say were in use.

    ``peak_gpus`` is reached first at ``peak_time`` (s since the origin).  Above a capacity, where one
    is given: ``over_s`` seconds in all, first at ``first_over``, ``over_gpu_hours`` beyond it.
    """

    peak_gpus: float
    peak_time: float
    over_s: float
    first_over: float
    over_gpu_hours: float


def recorded_use(
    start: NDArray[np.float64], end: NDArray[np.float64], thousandths: NDArray[np.int64], capacity: int | None = None
) -> RecordedUse | None:
    """Return the GPUs in use by the record, or None where no job has a start, an end and GPUs.

    A job holds its GPUs in [start, end); what ends at an instant is free for what starts then.

    Parameters
    ----------
    start, end
        float64 seconds, shape (jobs,), not-a-number where not recorded.
    thousandths
        int64, shape (jobs,): thousandths of a GPU.
    capacity
        GPUs there are.
    """
    held = (end > start) & (thousandths > 0)
    if not held.any():
        return None
    moments = np.concatenate([ticks(end[held]), ticks(start[held])]).astype(np.int64)
    changes = np.concatenate([-thousandths[held], thousandths[held]])
    order = np.argsort(moments, kind="stable")  # ends stand before starts
    moments, used = moments[order], np.cumsum(changes[order])
    peak = int(np.argmax(used))
    beyond = np.maximum(used - (np.iinfo(np.int64).max if capacity is None else capacity * 1000), 0)[:-1]
    lengths = np.diff(moments)
    over = (beyond > 0) & (lengths > 0)
    return RecordedUse(
        peak_gpus=float(used[peak]) / 1000,
        peak_time=float(moments[peak]) / MICROSECOND,
        over_s=float(lengths[over].sum()) / MICROSECOND,
        first_over=float(moments[:-1][over][0]) / MICROSECOND if over.any() else float("nan"),
        over_gpu_hours=float((beyond[over] / 1000 * lengths[over]).sum()) / MICROSECOND / HOUR,
    )


def findings_against(jobs: Jobs, cluster: Cluster, use: RecordedUse | None) -> list[Finding]:
    """Return what does not fit the cluster."""
    findings = jobs.finding(
        "larger_than_cluster", "lost", _misfits(jobs, cluster),
        f"the job's GPUs are not to be had on '{cluster.name}', even when it is empty",
        "the simulation rejects them; choose a larger cluster, other GPU types, or spread",
    )  # fmt: skip
    if use is not None and use.over_s > 0:
        explanation = (
            f"recorded starts use up to {counted(use.peak_gpus, 'GPU')} of {cluster.gpus:,} "
            f"(at {use.peak_time:,.0f} s), more than there are for {use.over_s:,.0f} s in all, "
            f"{use.over_gpu_hours:,.2f} GPU-hours beyond; "
            "counted are the jobs in use when it first happens"
        )
        remedy = "the cluster was larger, or the record overlaps; such jobs hold nothing in a recorded replay"
        concerned = (jobs.start <= use.first_over) & (jobs.end > use.first_over)
        findings += jobs.finding("oversubscribed", "doubtful", concerned, explanation, remedy)
    return findings


def _misfits(jobs: Jobs, cluster: Cluster) -> NDArray[np.bool_]:
    """Return which jobs, bool of shape (jobs,), have GPUs that no placement on the empty cluster gives."""
    nodes = jobs.table["nodes"].fill_null(0).to_numpy().astype(np.int64)
    # A fraction of a GPU ignores spread.
    spread = (jobs.table["spread"].fill_null(False).to_numpy() & jobs.table["gpu_milli"].is_null().to_numpy()).astype(
        int
    )
    names = jobs.table["gpu_type"].fill_null("").combine_chunks().dictionary_encode()
    types = np.asarray(names.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    texts = names.dictionary.to_pylist()
    asked, group = np.unique(np.stack([types, jobs.gpus, nodes, spread], axis=1), axis=0, return_inverse=True)
    of_type = {
        name: np.sort(cluster.node_gpus[cluster.node_type == rank]) for rank, name in enumerate(cluster.gpu_types)
    }
    fits = [
        _fits([sizes for name, sizes in of_type.items() if not texts[kind] or name in texts[kind].split("|")],
              int(gpus), int(count), is_spread=bool(wide))
        for kind, gpus, count, wide in asked.tolist()
    ]  # fmt: skip
    misfit: NDArray[np.bool_] = ~np.array(fits, dtype=bool)[group.reshape(-1)] if len(jobs) else np.zeros(0, dtype=bool)
    return misfit


def _fits(kinds: list[NDArray[np.int32]], gpus: int, nodes: int, *, is_spread: bool) -> bool:
    """Return whether GPUs can be placed on empty nodes; ``kinds`` holds the sorted node sizes of each allowed type."""
    if gpus == 0:
        return True
    if is_spread:
        return sum(int(sizes.sum()) for sizes in kinds) >= gpus
    if not nodes and any(len(sizes) and sizes[-1] >= gpus for sizes in kinds):
        return True
    return any(_chunks_fit(sizes, gpus, nodes) for sizes in kinds if len(sizes) and sizes[-1] > 0)


def _chunks_fit(sizes: NDArray[np.int32], gpus: int, nodes: int) -> bool:
    """Return whether nodes of these sizes, ascending, hold the job's chunks (see the page on semantics)."""
    if nodes:
        small, many_large = divmod(gpus, nodes)
        large, chunks = small + 1, nodes
        if not small:
            return False
    else:
        large = int(sizes[-1])
        many_large, small = divmod(gpus, large)
        chunks = many_large + (1 if small else 0)
    holding_large = len(sizes) - int(np.searchsorted(sizes, large))
    holding_small = len(sizes) - int(np.searchsorted(sizes, max(small, 1)))
    return holding_large >= many_large and (chunks == many_large or holding_small >= chunks)
