"""How much of what a node has free the workload could use there: the measure behind ``fgd``.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX
ATC 2023.  In the terms of docs/semantics.md: the *usable* part of a node is ``W T - Phi``, the sum over its GPUs of
``r_g P(r_g)``, plus ``1000 f Q(f)``; fragmentation is what is left of ``W T``.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.jit import inlined, inner
from gpuyard.kernel.score_tables import Mix
from gpuyard.kernel.tables import Site

__all__ = ["allow", "share_weight", "usable", "whole_weight"]

WHOLE = 1000
"""Thousandths of a GPU in a whole one."""


@inner
def allow(mix: Mix, kind: int, cpu: int, memory: int) -> None:
    """Write into ``mix.allowed`` how many fractions of the mix, up to each share, so much CPU and memory allow."""
    row = mix.first[nth(2 * kind)]
    stop = mix.first[nth(2 * kind + 1)]
    weight = 0
    for level in range(mix.levels):
        while row < stop and mix.need[nth(row)]["level"] == level:
            need = mix.need[nth(row)]
            if need["cpu"] <= cpu and need["memory"] <= memory:
                weight += need["weight"]
            row += 1
        mix.allowed[nth(level + 1)] = weight


@inlined
def share_weight(mix: Mix, quanta: int) -> int:
    """Return P: how many of the fractions last allowed fit into so much of one GPU."""
    return mix.allowed[nth(mix.level[nth(quanta)])]


@inner
def whole_weight(mix: Mix, kind: int, cpu: int, memory: int, free: int) -> int:
    """Return Q: how many jobs of whole GPUs fit a node with so many of them free, and so much CPU and memory."""
    weight = 0
    for row in range(mix.first[nth(2 * kind + 1)], mix.first[nth(2 * kind + 2)]):
        need = mix.need[nth(row)]
        if need["gpus"] > free:
            break
        if need["cpu"] <= cpu and need["memory"] <= memory:
            weight += need["weight"]
    return weight


@inner
def usable(site: Site, node: int, free: int, cpu: int, memory: int) -> int:
    """Return the usable part of a node's GPUs if it had so many wholly free ones, and so much CPU and memory, free.

    The shares are those the node's GPUs have; the fractions allowed are left in ``mix.allowed``.
    """
    mix = site.scores.mix
    this = site.node[nth(node)]
    kind = int(this["kind"])
    found = WHOLE * free * whole_weight(mix, kind, cpu, memory, free)
    if mix.levels > 0:
        allow(mix, kind, cpu, memory)
        first = int(this["first_gpu"])
        part = 0
        for gpu in range(first, first + int(this["size"])):
            left = int(site.gpu[nth(gpu)]["free"])
            part += left * share_weight(mix, left)
        found += part * site.scores.quantum
    return found
