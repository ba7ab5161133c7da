"""In how many chunks a job comes, which depends on the GPU type: docs/semantics.md, *Shape*."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.kernel.tables import Records

__all__ = ["largest_nodes", "write_shapes"]

_JOINS = "nvlink"
"""The level over whose nodes a job may be cut that would fit one node of another type."""


def largest_nodes(cluster: Cluster) -> NDArray[np.int32]:
    """Return the GPUs of the largest node of each type, shape (types,)."""
    largest = np.zeros(len(cluster.gpu_types), np.int32)
    np.maximum.at(largest, cluster.node_type, cluster.node_gpus)
    return largest


def write_shapes(demands: Records, cluster: Cluster) -> NDArray[np.int64]:
    """Write on which types each demand has one chunk, and on which several.

    Return the most nodes that each can sit on, shape (demands,).
    """
    largest, joined = largest_nodes(cluster).tolist(), _joined(cluster).tolist()
    chunks = np.ones(demands.size, np.int64)
    columns = (demands[name].tolist() for name in ("gpus", "nodes", "kinds", "spread"))
    for row, (gpus, nodes, kinds, spread) in enumerate(zip(*columns, strict=True)):
        usable = [kind for kind, size in enumerate(largest) if kinds >> kind & 1 and size > 0]
        whole, cut = kinds, 0
        if spread:
            chunks[row] = gpus
        elif nodes > 0:
            chunks[row] = nodes
            if nodes > 1:
                whole, cut = 0, _bits(usable) if gpus else 1
        elif gpus > 0:
            whole = _bits(kind for kind in usable if gpus <= largest[kind])
            several = [kind for kind in usable if gpus > largest[kind] and (whole == 0 or joined[kind] >= gpus)]
            chunks[row] = max((-(-gpus // largest[kind]) for kind in several), default=1)
            cut = _bits(several)
        demands["whole"][row], demands["cut"][row] = whole, cut
    return np.minimum(chunks, cluster.nodes)


def _bits(kinds: Iterable[int]) -> int:
    return sum(1 << kind for kind in kinds)


def _joined(cluster: Cluster) -> NDArray[np.int64]:
    """Return the most GPUs of each type in an NVLink domain, shape (types,); zeros where no level tells of them."""
    most = np.zeros(len(cluster.gpu_types), np.int64)
    if _JOINS not in cluster.levels.names:
        return most
    domain = cluster.levels.domains[cluster.levels.names.index(_JOINS)]
    for kind in range(most.size):
        its = cluster.node_type == kind
        most[kind] = np.bincount(domain[its], weights=cluster.node_gpus[its], minlength=1).max()
    return most
