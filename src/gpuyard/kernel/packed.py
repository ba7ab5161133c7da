"""Packed placement of a job of several chunks: the lowest level that holds it, best fit inside.

The plan of a job is four numbers: how many large chunks, of how many GPUs, how many small ones, of how many GPUs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.choice import tightest_in_range
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.domains import empty_nodes, fitting_nodes
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.nodes import has_room, withdraw
from gpuyard.kernel.tables import Domains, Index, Nodes

__all__ = ["Plan", "place_packed"]


class Plan(NamedTuple):
    """What is still to be placed of a job, and what a chunk takes of CPUs and memory."""

    left: NDArray[np.int64]  # [large chunks left, small chunks left, chunks placed, placement number]
    nodes: NDArray[np.int32]  # nodes chosen so far
    gpus: NDArray[np.int32]  # GPUs of the chunk on each
    large: int  # GPUs of a large chunk
    small: int
    cpu: int  # a GPU's, or the chunk's if it has no GPUs
    memory: int
    kind: int  # GPU type, or NOBODY for a job without GPUs


@kernel
def _fitting(plan: Plan, domains: Domains, index: Index, nodes: Nodes, level: int, domain: int, gpus: int) -> int:
    """Return how many nodes of a domain fit a chunk of so many GPUs."""
    if plan.cpu == 0 and plan.memory == 0:
        return fitting_nodes(domains, index, plan.kind, level, domain, gpus)
    cpu, memory = plan.cpu * max(gpus, 1), plan.memory * max(gpus, 1)
    base = domains.base[level] + domain
    found = 0
    for node in range(domains.first_node[base], domains.first_node[base + 1]):
        right = plan.kind == NOBODY or nodes.kind[node] == plan.kind
        # a node that this job uses already is withdrawn: its free count does not speak for it
        if right and nodes.free[node] >= gpus and has_room(nodes, node, cpu, memory) and not _used(plan, node):
            found += 1
    return found


@kernel
def _used(plan: Plan, node: int) -> bool:
    """Return whether the job already has a chunk on a node."""
    for place in range(plan.left[2]):
        if plan.nodes[place] == node:
            return True
    return False


@kernel
def _holds(plan: Plan, domains: Domains, index: Index, nodes: Nodes, level: int, domain: int) -> bool:
    """Return whether a domain holds all that is left of the job."""
    if plan.left[0] > 0 and _fitting(plan, domains, index, nodes, level, domain, plan.large) < plan.left[0]:
        return False
    if plan.left[1] == 0:
        return True
    return _fitting(plan, domains, index, nodes, level, domain, plan.small) >= plan.left[0] + plan.left[1]


@kernel
def _tightest_domain(
    plan: Plan, domains: Domains, index: Index, nodes: Nodes, level: int, first: int, last: int
) -> int:
    """Return the holding domain with the fewest empty nodes among some of a level, or NOBODY."""
    best = NOBODY
    fewest = 0
    stamp = plan.left[3]
    for domain in range(first, last):
        if domains.visited[domains.base[level] + domain] == stamp:
            continue
        if _holds(plan, domains, index, nodes, level, domain):
            empty = empty_nodes(domains, index, plan.kind, level, domain)
            if best == NOBODY or empty < fewest:
                best = domain
                fewest = empty
    return best


@kernel
def _emptiest_domain(plan: Plan, domains: Domains, index: Index, level: int, first: int, last: int) -> int:
    """Return the domain with the most empty nodes among those not yet visited, or NOBODY."""
    best = NOBODY
    most = 0
    stamp = plan.left[3]
    for domain in range(first, last):
        if domains.visited[domains.base[level] + domain] != stamp:
            empty = empty_nodes(domains, index, plan.kind, level, domain)
            if best == NOBODY or empty > most:
                best = domain
                most = empty
    return best


@kernel
def _fill_nodes(plan: Plan, domains: Domains, index: Index, nodes: Nodes, first: int, last: int) -> None:
    """Place what fits on nodes ``first`` to ``last - 1``, large chunks first, by best fit."""
    kinds = -1 if plan.kind == NOBODY else 1 << plan.kind
    for size in range(2):
        gpus = plan.large if size == 0 else plan.small
        cpu, memory = plan.cpu * max(gpus, 1), plan.memory * max(gpus, 1)
        while plan.left[size] > 0:
            node = tightest_in_range(index, nodes, kinds, gpus, cpu, memory, first, last)
            if node == NOBODY:
                break
            withdraw(nodes, index, domains, node)
            plan.nodes[plan.left[2]] = node
            plan.gpus[plan.left[2]] = gpus
            plan.left[2] += 1
            plan.left[size] -= 1


@kernel
def _fill(plan: Plan, domains: Domains, index: Index, nodes: Nodes, level: int, domain: int) -> None:
    """Place what fits inside a domain, going down the levels; the level above the highest is the site."""
    path_level = np.empty(domains.levels + 1, np.int64)
    path_domain = np.empty(domains.levels + 1, np.int64)
    depth = 0
    path_level[0] = level
    path_domain[0] = domain
    while depth >= 0 and plan.left[0] + plan.left[1] > 0:
        level = path_level[depth]
        domain = path_domain[depth]
        if level == 0:
            if domains.levels == 0:
                _fill_nodes(plan, domains, index, nodes, 0, nodes.free.size)
            else:
                base = domains.base[0] + domain
                _fill_nodes(plan, domains, index, nodes, domains.first_node[base], domains.first_node[base + 1])
            depth -= 1
            continue
        if level == domains.levels:
            first, last = 0, domains.size[level - 1]
        else:
            base = domains.base[level] + domain
            first, last = domains.first_child[base], domains.first_child[base + 1]
        child = _tightest_domain(plan, domains, index, nodes, level - 1, first, last)
        if child == NOBODY:
            child = _emptiest_domain(plan, domains, index, level - 1, first, last)
            if child == NOBODY:
                depth -= 1
                continue
            depth += 1
        domains.visited[domains.base[level - 1] + child] = plan.left[3]
        path_level[depth] = level - 1
        path_domain[depth] = child


@kernel
def place_packed(plan: Plan, domains: Domains, index: Index, nodes: Nodes) -> bool:
    """Choose (and withdraw) the nodes of a job's chunks; return whether all found a place.

    If not, the caller offers the chosen nodes again.
    """
    if plan.cpu == 0 and plan.memory == 0:
        if members(index, plan.kind, plan.large, plan.left[0]) < plan.left[0]:
            return False
        chunks = plan.left[0] + plan.left[1]
        if plan.left[1] > 0 and members(index, plan.kind, plan.small, chunks) < chunks:
            return False
    level = 0
    domain = NOBODY
    while level < domains.levels:
        domain = _tightest_domain(plan, domains, index, nodes, level, 0, domains.size[level])
        if domain != NOBODY:
            break
        level += 1
    _fill(plan, domains, index, nodes, level, 0 if domain == NOBODY else domain)
    return plan.left[0] + plan.left[1] == 0
