"""Lay out what a scored placement keeps: room for scores, and the workload as its fragmentation measure sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import Placement
from gpuyard.kernel.score_tables import ASK, KNOWN, NEED, Mix, Scores
from gpuyard.kernel.tables import Records

__all__ = ["build_mix", "build_scores"]

WHOLE = 1000
_ROOM = 2**28
"""Bytes for scores already known."""


def build_scores(node: Records, rule: int, quanta: int, asks: int, mix: Mix, own: int = 0) -> Scores:
    """Return the tables of a scored placement on an empty site.

    Parameters
    ----------
    node
        The nodes as they are when nothing runs.
    quanta
        Parts that a GPU is divided into; 0 = GPUs are not tracked.
    asks
        How many different chunks may be looked for; more than there is room for share room.
    """
    scored = rule >= Placement.FGD
    nodes = node.size if scored else 0
    lines = 1
    while scored and lines < 2 * asks and 2 * lines * nodes * KNOWN.itemsize <= _ROOM:
        lines *= 2
    sizes = int(node["size"].max(initial=0)) + 1 if scored else 1
    clustered = rule == Placement.GPU_CLUSTERING
    return Scores(
        stamp=np.ones(nodes, np.int32),
        ask=np.zeros(lines, ASK),
        known=np.zeros(lines * nodes, KNOWN),
        worth=np.zeros(nodes, KNOWN),
        mix=mix,
        running=np.zeros(nodes * sizes if clustered else 0, np.int32),
        sizes=sizes,
        quantum=WHOLE // quanta if quanta else WHOLE,
        most_cpu=int(node["cpu"].max(initial=0)) if scored else 0,
        most_gpu=WHOLE * (sizes - 1),
        own=own,
    )


def empty_mix(kinds: int, quanta: int) -> Mix:
    """Return the mix of no jobs."""
    return Mix(
        need=np.empty(0, NEED),
        first=np.zeros(2 * kinds + 1, np.int64),
        jobs=0,
        levels=0,
        level=np.zeros(quanta + 1, np.int64),
        allowed=np.zeros(1, np.int64),
    )


def build_mix(demand: Records, jobs: NDArray[np.int64], largest: NDArray[np.int64], quanta: int) -> Mix:
    """Return the mix of a workload.

    Parameters
    ----------
    demand
        The distinct demands.
    jobs
        int64, shape (demands,): how many jobs have each.
    largest
        int64, shape (kinds,): GPUs of the largest node of each GPU type.
    quanta
        Parts that a GPU is divided into; 0 = no demand is a fraction.
    """
    kinds = largest.size
    shares = np.unique(demand["share"][(demand["share"] > 0) & (jobs > 0)])
    parts: list[Records] = []
    counts = [0]
    for kind in range(kinds):
        rows = (demand["gpus"] > 0) & (demand["kinds"] >> kind & 1 > 0) & (jobs > 0)
        for fraction in (True, False):
            chosen = rows & ((demand["share"] > 0) == fraction)
            parts.append(_needs(demand[chosen], jobs[chosen], kind, int(largest[kind]), shares))
            counts.append(counts[-1] + parts[-1].size)
    return Mix(
        need=np.concatenate([*parts, np.empty(0, NEED)]),
        first=np.array(counts, np.int64),
        jobs=int(jobs.sum()),
        levels=shares.size,
        level=np.searchsorted(shares, np.arange(quanta + 1), side="right").astype(np.int64),
        allowed=np.zeros(shares.size + 1, np.int64),
    )


def _needs(demand: Records, jobs: NDArray[np.int64], kind: int, largest: int, shares: NDArray[np.int64]) -> Records:
    """Return the distinct needs of demands on one GPU type, by share or number of GPUs; equal ones are added up."""
    gpus = np.where(demand["cut"] >> kind & 1 > 0, largest, demand["gpus"])
    gpus = np.where(demand["nodes"] > 0, -(-demand["gpus"] // np.maximum(demand["nodes"], 1)), gpus)
    gpus = np.where(demand["spread"] > 0, 1, gpus)
    gpus = np.where(demand["share"] > 0, 0, gpus)
    each = np.maximum(gpus, 1)
    level = np.where(demand["share"] > 0, np.searchsorted(shares, demand["share"]), 0)
    kept = (gpus > 0) | (demand["share"] > 0)
    columns = np.stack([gpus, level, demand["cpu"] * each, demand["memory"] * each])[:, kept]
    distinct, row = np.unique(columns, axis=1, return_inverse=True)
    need = np.zeros(distinct.shape[1], NEED)
    for name, column in zip(("gpus", "level", "cpu", "memory"), distinct, strict=True):
        need[name] = column
    np.add.at(need["weight"], row.ravel(), jobs[kept])
    return need
