"""What attempts drew and when: the account's figures as tables for the compiled passes, and what those wrote."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.intervals import Spans, exact_integers
from gpuyard.kernel.energy import (
    NODE_POWER,
    Attempts,
    Changes,
    Drawn,
    Integrals,
    Loads,
    draw_power,
    meter,
)
from gpuyard.record import Record
from gpuyard.workload import Workload

__all__ = ["idle_mw", "metered", "parts_of_site", "power_of"]


def power_of(record: Record, load: NDArray[np.float64]) -> Drawn:
    """Return what each attempt of a record draws, and what each job drew.

    ``load``: share (0 to 1) of the dynamic range of its GPUs that each job drives, float64, shape (jobs,).
    """
    attempts, jobs = record.attempt_job.size, len(record.workload)
    drawn = Drawn(
        attempt_mw=np.empty(attempts, dtype=np.int64),
        attempt_idle_mw=np.empty(attempts, dtype=np.int64),
        job_kwh=np.zeros(jobs, dtype=np.float64),
        job_idle_kwh=np.zeros(jobs, dtype=np.float64),
    )
    ran = Attempts(
        job=record.attempt_job,
        start=record.attempt_start,
        end=record.attempt_end,
        slot_offset=record.slot_offset,
        slot_node=record.slot_node,
        slot_gpus=record.slot_gpus,
    )
    draw_power(ran, _loads(record, load), _node_power(record.cluster), drawn)
    return drawn


def metered(
    spans: Spans, power_mw: NDArray[np.int64], edges: NDArray[np.int64], *, base: int
) -> tuple[list[int], list[int]]:
    """Return the energy (nanojoules, exact) and the peak (mW) between each pair of ascending edges, by events.

    ``base``: milliwatts that flow at all times.  A value that lasts no time is no peak; between two equal
    edges the peak is the power from then on.
    """
    into, peak = _integrals(edges), np.zeros(edges.size - 1, dtype=np.int64)
    start, arriving = spans.starts_of(power_mw)
    changes = Changes(start=start, arriving=arriving, end=spans.end, leaving=power_mw, order=spans.by_end)
    with np.errstate(over="ignore"):
        meter(changes, base, into, peak)
    return exact_integers(into.low, into.estimate), peak.tolist()


def idle_mw(cluster: Cluster) -> NDArray[np.int64]:
    """Return what each node draws with nothing running, int64 mW, shape (nodes,)."""
    return np.rint(_figures(cluster, "idle_w") * 1000).astype(np.int64)


def parts_of_site(cluster: Cluster, switches_mw: int, other_mw: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each node's part of the draw of switches and of other IT, int64 mW, shape (nodes,) each.

    The nodes of a block share that of their block evenly; without blocks, all share all.
    """
    blocks = cluster.facts.get("blocks")
    weights = np.ones((2, cluster.nodes))
    if isinstance(blocks, list) and sum(block["nodes"] for block in blocks) == cluster.nodes:
        nodes = np.array([block["nodes"] for block in blocks])
        drawn = [
            [block["switches"] * block["switch_w"] for block in blocks],
            [block["gpus"] * block["other_it_w_per_gpu"] for block in blocks],
        ]
        weights = np.repeat(np.array(drawn, dtype=np.float64) / nodes, nodes, axis=1)
    totals = np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    switches, other = np.floor(weights / totals * np.array([[switches_mw], [other_mw]])).astype(np.int64)
    return switches, other


def _integrals(edges: NDArray[np.int64]) -> Integrals:
    periods = edges.size - 1
    return Integrals(edges=edges, low=np.zeros(periods, dtype=np.int64), estimate=np.zeros(periods, dtype=np.float64))


def _figures(cluster: Cluster, name: str) -> NDArray[np.float64]:
    of_kind: NDArray[np.float64] = np.array([getattr(kind, name) for kind in cluster.kinds], dtype=np.float64)
    return of_kind[cluster.node_kind]


def _node_power(cluster: Cluster) -> NDArray[np.void]:
    table = np.zeros(cluster.nodes, dtype=NODE_POWER)
    table["milli"] = cluster.node_gpus.astype(np.int64) * 1000
    table["idle_mw"] = idle_mw(cluster)
    table["gpu_w"] = _figures(cluster, "gpu_dynamic_w")
    table["cpu_w"] = _figures(cluster, "cpu_dynamic_w")
    if cluster.node_cpus is not None:
        table["cpu_milli"] = cluster.node_cpus * 1000
    return table


def _loads(record: Record, load: NDArray[np.float64]) -> Loads:
    workload = record.workload
    none: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    share, gpus, piece = none, none, np.zeros(0, dtype=np.float64)
    if workload.has("gpu_milli"):
        share = record.held_share
    if record.cluster.node_cpus is not None and workload.has("cpus"):
        gpus, piece = workload.gpus, _piece_milli(workload)
    return Loads(load=load, share=share, gpus=gpus, piece=piece)


def _piece_milli(workload: Workload) -> NDArray[np.float64]:
    """Return the thousandths of a core that a job holds for each of its GPUs, else on each of its nodes."""
    gpus = workload.gpus
    pieces = np.where(gpus > 0, gpus, np.maximum(workload.integers("nodes", 1), 1))
    return np.ceil(np.rint(workload.floats("cpus") * 1000) / pieces)
