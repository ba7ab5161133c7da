"""What a placement knows of where nodes are: levels with counts, blocks, and room for sets of GPU numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.kernel import build
from gpuyard.kernel.codes import Placement
from gpuyard.kernel.tables import Domains, Records

__all__ = ["largest_block", "lower_domains", "lower_rails"]

_MOST_COUNTS = 2**28
"""Counts of fitting nodes: 1 GiB."""
_MOST_RAILS = 16
"""GPUs of a node whose sets can be told apart."""


def lower_domains(cluster: Cluster, rule: int, block_level: str | None, demands: Records, node: Records) -> Domains:
    """Return the levels that a placement looks at, with counts for the sizes of chunk that it asks for.

    Parameters
    ----------
    rule
        Of codes.Placement.
    block_level
        The level of the blocks; ``None`` for the lowest.
    node
        The empty nodes.

    Raises
    ------
    ConfigError
        For a block that is no level of the cluster, and where there is too much to count.
    """
    several = demands[demands["cut"] > 0]
    several["kinds"] = np.where(several["gpus"] > 0, several["cut"], several["kinds"])
    levels: tuple[NDArray[np.int32], ...] = ()
    if rule in (Placement.PACKED, Placement.RAIL_ALIGNED):
        levels, demands = (cluster.levels.domains if several.size else ()), several
    elif rule == Placement.TOPOLOGY_TREE:
        levels = cluster.levels.domains
    elif rule == Placement.TOPOLOGY_BLOCK:
        levels = _blocks(cluster, block_level)
    elif rule == Placement.SPREAD:
        levels = cluster.levels.domains[:1]
    every_size = rule == Placement.SPREAD
    kinds, n_keys = len(cluster.gpu_types), int(node["free"].max()) + 1
    sizes = n_keys if every_size else min(2 * demands.size, n_keys)
    if sum(int(domain[-1]) + 1 for domain in levels) * kinds * sizes > _MOST_COUNTS:
        raise ConfigError(
            f"'{cluster.name}' has too much to count for this placement: {kinds} GPU types, {sizes:,} sizes of chunk "
            f"and up to {int(levels[0][-1]) + 1:,} domains a level; choose best-fit, or fewer sizes of node"
        )
    return build.build_domains(node, levels, kinds, n_keys, demands, every_size=every_size)


def _blocks(cluster: Cluster, block_level: str | None) -> tuple[NDArray[np.int32], ...]:
    """Return the level of the blocks; none on a cluster without levels."""
    names = cluster.levels.names
    if block_level is not None and block_level not in names:
        there = f"it has {', '.join(names)}" if names else "it has no level: without block_level, it is one block"
        raise ConfigError(f"'{cluster.name}' has no level '{block_level}' whose domains could be the blocks; {there}")
    if not names:
        return ()
    return (cluster.levels.domains[0 if block_level is None else names.index(block_level)],)


def largest_block(cluster: Cluster, rule: int, block_level: str | None) -> NDArray[np.int64]:
    """Return the most nodes of each GPU type in a block, and last of any type; empty where placement knows no blocks.

    Shape (kinds + 1,), each at least 1.
    """
    if rule != Placement.TOPOLOGY_BLOCK:
        return np.zeros(0, np.int64)
    levels = _blocks(cluster, block_level)
    block = levels[0] if levels else np.zeros(cluster.nodes, np.int32)
    kinds = range(len(cluster.gpu_types))
    chosen = [block[cluster.node_type == kind] for kind in kinds] + [block]
    return np.array([np.bincount(each).max(initial=1) for each in chosen], np.int64)


def lower_rails(cluster: Cluster, rule: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return room for the free GPU numbers of each node, and for the count of each set of them, twice.

    Raises
    ------
    ConfigError
        For nodes of more GPUs than sets of them can be told apart.
    """
    if rule != Placement.RAIL_ALIGNED:
        return np.zeros(0, np.int64), np.zeros(0, np.int32)
    most = int(cluster.node_gpus.max())
    if most > _MOST_RAILS:
        raise ConfigError(
            f"placement rail-aligned knows nodes of at most {_MOST_RAILS} GPUs, '{cluster.name}' has some of {most}; "
            f"choose packed"
        )
    return np.zeros(cluster.nodes, np.int64), np.zeros(2 << most, np.int32)
