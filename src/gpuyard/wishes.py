"""What jobs want of each resource, as numbers, and which jobs want the same."""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.workload import Workload

__all__ = ["WHOLE", "Wishes", "distinct", "exclusive_jobs", "segments", "wishes"]

WHOLE = 1000
"""Thousandths of a GPU in a whole one, of a core in a core."""
_MOST_KINDS = 62


class Wishes(NamedTuple):
    """What jobs want of each resource: which of the distinct combinations each job has, and what these are."""

    demand: NDArray[np.int32]  # shape (jobs,)
    columns: tuple[NDArray[np.int64], ...]  # each of shape (demands,), in the order of :func:`lower_demands`
    quantum: int  # thousandths of a GPU of which all fractions are multiples; 0 without fractions


def wishes(workload: Workload, cluster: Cluster, policy: Policy) -> Wishes:
    """Return what jobs want, worked out once for all that is alike in what it looks at."""
    bound = (cluster.node_cpus is not None, cluster.node_memory_gib is not None)
    looked_at = (policy.exclusive, policy.spread, policy.placement == "topology-block", policy.decide is not None)
    key = ("wishes", cluster.gpu_types, bound, looked_at)
    if key not in workload.worked_out:
        workload.worked_out[key] = _wishes_of(workload, cluster, policy)
    found: Wishes = workload.worked_out[key]
    return found


def _wishes_of(workload: Workload, cluster: Cluster, policy: Policy) -> Wishes:
    gpus = workload.gpus
    milli = workload.integers("gpu_milli", WHOLE)
    alone = exclusive_jobs(workload, policy)
    fraction = (gpus == 1) & (milli < WHOLE) & ~alone
    quantum = gcd(WHOLE, *(int(value) for value in np.unique(milli[fraction]))) if fraction.any() else WHOLE
    share = np.where(fraction, milli // quantum, 0)
    nodes = workload.integers("nodes", 0)
    spread = (workload.integers("spread", 0) > 0) | policy.spread
    spread &= (gpus > 0) & ~fraction & ~alone
    nodes = np.where(spread, 0, nodes)
    pieces = np.where(gpus > 0, gpus, np.maximum(nodes, 1))
    cpu = _per_piece(workload.floats("cpus"), WHOLE, pieces, cluster.node_cpus is not None)
    memory = _per_piece(workload.floats("memory_gib"), 1024, pieces, cluster.node_memory_gib is not None)
    kinds = _allowed_kinds(workload, cluster, gpus)
    segment = np.where(spread | fraction, 0, segments(workload, policy))
    columns = [gpus, share, cpu, memory, kinds, nodes, spread.astype(np.int64), alone.astype(np.int64), segment]
    demand, first = distinct(columns)
    return Wishes(demand, tuple(column[first] for column in columns), quantum if fraction.any() else 0)


def exclusive_jobs(workload: Workload, policy: Policy) -> NDArray[np.bool_]:
    """Return which jobs have their nodes to themselves, shape (jobs,); raise ConfigError where the policy decides."""
    alone = (workload.integers("exclusive", 0) > 0) | policy.exclusive
    if policy.decide is not None and alone.any():
        raise ConfigError(
            f"job '{workload.held['job_id'][int(np.argmax(alone))]}' is exclusive, which '{policy.name}' does not "
            f"know; choose an order and a placement, or drop 'exclusive'"
        )
    return alone


def segments(workload: Workload, policy: Policy) -> NDArray[np.int64]:
    """Return the nodes of a segment of each job; 0 for none, and where the placement does not look at it."""
    if policy.placement != "topology-block":
        return np.zeros(len(workload), np.int64)
    return workload.integers("segment", 0)


def _per_piece(amount: NDArray[np.float64], unit: int, pieces: NDArray[np.int64], bound: bool) -> NDArray[np.int64]:
    """Return each piece's part of a resource in whole units, rounded up; nothing where it does not bind."""
    if not bound:
        return np.zeros(amount.size, np.int64)
    whole = np.rint(np.nan_to_num(amount) * unit).astype(np.int64)
    return -(-whole // pieces)


def _allowed_kinds(workload: Workload, cluster: Cluster, gpus: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each job the bit set of the GPU types it may use; a job without GPUs may use any node."""
    types = cluster.gpu_types
    if len(types) > _MOST_KINDS:
        raise ConfigError(f"a cluster may have {_MOST_KINDS} GPU types, '{cluster.name}' has {len(types)}")
    every = (1 << len(types)) - 1
    codes, names = workload.labels("gpu_type", "")
    masks = np.empty(len(names), np.int64)
    for code, name in enumerate(names):
        wanted = {part.strip() for part in name.split("|")} - {""}
        masks[code] = sum(1 << kind for kind, known in enumerate(types) if known in wanted) if wanted else every
    return np.where(gpus > 0, masks[codes], every) if len(names) else np.full(gpus.size, every, np.int64)


def distinct(columns: list[NDArray[np.int64]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the number of each row's combination, and the first row of each combination."""
    code = np.zeros(columns[0].size, np.int64)
    many = 1
    for column in columns:
        part, parts = _numbered(column)
        if parts > 1:
            code, many = _numbered(code * parts + part)
    first = np.empty(many, np.int64)
    first[code[::-1]] = np.arange(code.size - 1, -1, -1)
    return code.astype(np.int32), first[: many if code.size else 0]


def _numbered(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return the rank of each value among the distinct ones, and how many those are."""
    if values.size == 0:
        return values, 1
    low, high = int(values.min()), int(values.max())
    if low == high:
        return np.zeros(values.size, np.int64), 1
    if high - low < 4 * values.size + 1024:
        present, above = np.zeros(high - low + 1, np.bool_), values - low if low else values
        present[above] = True
        return (np.cumsum(present) - 1)[above], int(present.sum())
    distinct, rank = np.unique(values, return_inverse=True)
    return rank.astype(np.int64), distinct.size
