"""Packed placement of a job of several chunks: the lowest level that holds it, best fit inside.

What is still to be placed stands in ``site.plan`` (by :class:`~gpuyard.kernel.codes.Left`), the nodes chosen
so far in ``site.chunk``; they are withdrawn, so they count neither as fitting nor as empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.choice import tightest_in_range
from gpuyard.kernel.codes import NEVER, NOBODY, Left
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.nodes import has_room, is_offered, withdraw_node
from gpuyard.kernel.tables import Domains, Site

__all__ = ["place_packed"]

_BLOCK = 256
"""Domains looked at between two looks whether the tightest possible one is found."""


@kernel
def _fitting(site: Site, level: int, domain: int, size: int) -> int:
    """Return how many nodes of a domain fit a large (0) or a small (1) chunk, looking at each."""
    plan = site.plan
    domains = site.domains
    found = 0
    gpus, rails = plan[Left.LARGE_GPUS + size], plan[Left.RAILS + size]
    cpu, memory = plan[Left.CPU] * max(gpus, 1), plan[Left.MEMORY] * max(gpus, 1)
    row = domains.level[level]["base"] + domain
    for node in range(domains.domain[row]["first_node"], domains.domain[row + 1]["first_node"]):
        right = plan[Left.KIND] == NOBODY or site.node[node]["kind"] == plan[Left.KIND]
        if right and site.node[node]["free"] >= gpus and has_room(site, node, cpu, memory) and is_offered(site, node):
            found += rails == 0 or site.rail[node] & rails == rails
    return found


@inlined
def _empty(site: Site, level: int, domain: int) -> int:
    """Return how many nodes of a domain have all their GPUs wholly free, of the kind being tried."""
    kind = site.plan[Left.KIND]
    size = site.domains.level[level]["size"]
    at = site.domains.level[level]["empty"] + domain
    if kind != NOBODY:
        return site.domains.tally[at + kind * size]
    found = 0
    for _ in range(site.openings.kinds):
        found += site.domains.tally[at]
        at += size
    return found


@kernel
def _holds(site: Site, level: int, domain: int) -> bool:
    """Return whether a domain holds all that is left of the job."""
    large, small = site.plan[Left.LARGE], site.plan[Left.SMALL]
    if large > 0 and _fitting(site, level, domain, 0) < large:
        return False
    return small == 0 or _fitting(site, level, domain, 1) >= large + small


@kernel
def _tightest_domain(site: Site, level: int, first: int, last: int) -> int:
    """Return the holding domain with the fewest empty nodes among some of a level, or NOBODY.

    A domain that was filled before holds nothing of what is left, or it would have been placed there.
    """
    domains, plan = site.domains, site.plan
    kind = plan[Left.KIND]
    its = domains.level[level]
    chunks = plan[Left.LARGE] + plan[Left.SMALL]
    if chunks > its["most"]:
        return NOBODY
    if kind == NOBODY or plan[Left.CPU] > 0 or plan[Left.MEMORY] > 0 or plan[Left.RAILS] != 0:
        return _tightest_by_node(site, level, first, last)
    # each node for a chunk of the largest size is an empty one
    floor = plan[Left.LARGE] if plan[Left.LARGE_GPUS] == site.largest[kind] else 0
    if its["most"] < its["size"]:
        floor = _first_held(domains, level, kind, floor)
        if floor == NOBODY:
            return NOBODY
    size = its["size"]
    large = its["fitting"] + _size_number(site, plan[Left.LARGE_GPUS]) * size
    small, enough = large, plan[Left.LARGE]
    if plan[Left.SMALL] > 0:
        small, enough = its["fitting"] + _size_number(site, plan[Left.SMALL_GPUS]) * size, chunks
    return _tightest_counted(
        domains.tally, its["empty"] + kind * size, large, plan[Left.LARGE], small, enough, first, last, floor
    )


@kernel
def _first_held(domains: Domains, level: int, kind: int, least: int) -> int:
    """Return the smallest number of empty nodes, not below ``least``, that a domain of a level has, or NOBODY."""
    most = domains.level[level]["most"]
    at = domains.level[level]["held"] + kind * (most + 1)
    for empty in range(least, most + 1):
        if domains.tally[nth(at + empty)] > 0:
            return empty
    return NOBODY


@kernel
def _tightest_counted(
    tally: NDArray[np.int32],
    empty: int,
    large: int,
    most: int,
    small: int,
    enough: int,
    first: int,
    last: int,
    floor: int,
) -> int:
    """Return the domain with the fewest empty nodes of those that hold a job, from their counts, or NOBODY.

    A level can have thousands of domains, so the least is found first, a block of domains at a time and several by
    one instruction, and only then the domain.  None has fewer than ``floor``.
    """
    best, fewest = NOBODY, NEVER
    start = first
    while start < last and fewest > floor:
        here = NEVER
        for domain in range(start, min(start + _BLOCK, last)):
            holds = (tally[nth(large + domain)] >= most) & (tally[nth(small + domain)] >= enough)
            here = min(here, int(tally[nth(empty + domain)]) if holds else NEVER)
        if here < fewest:
            best, fewest = start, here
        start += _BLOCK
    if best != NOBODY:
        while (
            tally[nth(empty + best)] != fewest or tally[nth(large + best)] < most or tally[nth(small + best)] < enough
        ):
            best += 1
    return best


@kernel
def _tightest_by_node(site: Site, level: int, first: int, last: int) -> int:
    """As :func:`_tightest_domain`, where each node must be looked at."""
    best = NOBODY
    fewest = 0
    for domain in range(first, last):
        if _holds(site, level, domain):
            empty = _empty(site, level, domain)
            if best == NOBODY or empty < fewest:
                best = domain
                fewest = empty
    return best


@kernel
def _emptiest_domain(site: Site, level: int, first: int, last: int) -> int:
    """Return the domain with the most empty nodes among those not yet visited, or NOBODY.

    Those where no node fits even the smallest chunk left are passed over: nothing would be placed in them.
    """
    domains, plan = site.domains, site.plan
    kind = plan[Left.KIND]
    its = domains.level[level]
    row = NOBODY
    if kind != NOBODY:
        row = (
            its["fitting"]
            + _size_number(site, plan[Left.SMALL_GPUS if plan[Left.SMALL] > 0 else Left.LARGE_GPUS]) * its["size"]
        )
    best, most = NOBODY, NOBODY
    for domain in range(first, last):
        if row != NOBODY and domains.tally[nth(row + domain)] == 0:
            continue
        if domains.domain[nth(its["base"] + domain)]["visited"] != plan[Left.STAMP]:
            empty = _empty(site, level, domain)
            if empty > most:
                best, most = domain, empty
    return best


@inlined
def _size_number(site: Site, gpus: int) -> int:
    """Return the number of a size of chunk on the type being tried."""
    return int(site.domains.reach[site.plan[Left.KIND] * (site.openings.n_keys + 1) + 1 + gpus]) - 1


@kernel
def _fill_nodes(site: Site, first: int, last: int) -> None:
    """Place what fits on nodes ``first`` to ``last - 1``, large chunks first, by best fit."""
    plan = site.plan
    kinds = -1 if plan[Left.KIND] == NOBODY else 1 << plan[Left.KIND]
    for size in range(2):
        gpus = plan[Left.LARGE_GPUS + size]
        cpu, memory = plan[Left.CPU] * max(gpus, 1), plan[Left.MEMORY] * max(gpus, 1)
        while plan[Left.LARGE + size] > 0:
            node = tightest_in_range(site, kinds, gpus, cpu, memory, plan[Left.RAILS + size], first, last)
            if node == NOBODY:
                break
            withdraw_node(site, node)
            site.chunk[plan[Left.PLACED]]["node"] = node
            site.chunk[plan[Left.PLACED]]["gpus"] = gpus
            plan[Left.PLACED] += 1
            plan[Left.LARGE + size] -= 1


@kernel
def _fill(site: Site, top: int, start: int) -> None:
    """Place what fits inside a domain, going down the levels; the level above the highest is the site."""
    domains = site.domains
    plan = site.plan
    path = domains.path
    depth = 0
    path[0]["level"], path[0]["domain"] = top, start
    while depth >= 0 and plan[Left.LARGE] + plan[Left.SMALL] > 0:
        level, domain = path[depth]["level"], path[depth]["domain"]
        if level == 0:
            if domains.levels == 0:
                _fill_nodes(site, 0, site.node.size)
            else:
                row = domains.level[0]["base"] + domain
                _fill_nodes(site, domains.domain[row]["first_node"], domains.domain[row + 1]["first_node"])
            depth -= 1
            continue
        first, last = 0, domains.level[level - 1]["size"]
        if level < domains.levels:
            row = domains.level[level]["base"] + domain
            first, last = domains.domain[row]["first_child"], domains.domain[row + 1]["first_child"]
        child = _tightest_domain(site, level - 1, first, last)
        if child == NOBODY:
            child = _emptiest_domain(site, level - 1, first, last)
            if child == NOBODY:
                depth -= 1
                continue
            depth += 1
        domains.domain[domains.level[level - 1]["base"] + child]["visited"] = plan[Left.STAMP]
        path[depth]["level"], path[depth]["domain"] = level - 1, child


@inner
def place_packed(site: Site) -> None:
    """Choose (and withdraw) the nodes of the planned job, as many as can be had."""
    level = 0
    domain = NOBODY
    while level < site.domains.levels:
        domain = _tightest_domain(site, level, 0, site.domains.level[level]["size"])
        if domain != NOBODY:
            break
        level += 1
    _fill(site, level, max(domain, 0))
