"""Levels of locality: how many nodes of each domain could take how many GPUs."""

from __future__ import annotations

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Domains, Index, Nodes

__all__ = ["empty_nodes", "fitting_nodes", "tally"]


@inlined
def tally(domains: Domains, index: Index, nodes: Nodes, node: int, change: int) -> None:
    """Count a node in (+1) or out (-1) of its domains, under the GPUs it has free."""
    free = nodes.free[node]
    kind = nodes.kind[node]
    total = nodes.free.size
    for level in range(domains.levels):
        domain = domains.of_node[level * total + node]
        size = domains.size[level]
        domains.fitting[domains.fitting_base[level] + (kind * index.n_keys + free) * size + domain] += change
        if free == nodes.size[node]:
            domains.empty[domains.empty_base[level] + kind * size + domain] += change


@kernel
def fitting_nodes(domains: Domains, index: Index, kind: int, level: int, domain: int, gpus: int) -> int:
    """Return how many nodes of a domain have at least so many wholly free GPUs; NOBODY stands for any kind."""
    size = domains.size[level]
    first, last = (0, index.kinds) if kind == NOBODY else (kind, kind + 1)
    found = 0
    for each in range(first, last):
        for free in range(gpus, index.n_keys):
            found += domains.fitting[domains.fitting_base[level] + (each * index.n_keys + free) * size + domain]
    return found


@kernel
def empty_nodes(domains: Domains, index: Index, kind: int, level: int, domain: int) -> int:
    """Return how many nodes of a domain have all their GPUs wholly free; NOBODY stands for any kind."""
    size = domains.size[level]
    first, last = (0, index.kinds) if kind == NOBODY else (kind, kind + 1)
    found = 0
    for each in range(first, last):
        found += domains.empty[domains.empty_base[level] + each * size + domain]
    return found
