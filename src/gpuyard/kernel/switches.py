"""Placement in the manner of Slurm's topology plugins: over the leaf switches of a tree, over blocks in segments.

What is still to be placed stands in ``site.plan``, as in :mod:`gpuyard.kernel.packed`; a job of one chunk has one
large chunk there.  A leaf is a domain of the lowest level of ``site.domains``, which for blocks has one level only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.choice import tightest_in_range
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Left, Placement
from gpuyard.kernel.index import emptiest_kind, tightest_key
from gpuyard.kernel.jit import inner, kernel, pointed
from gpuyard.kernel.nodes import withdraw_node
from gpuyard.kernel.placement import place_special, plan_chunks, settle, take_each
from gpuyard.kernel.racks import counted_at, nodes_fitting
from gpuyard.kernel.tables import Events, Log, Records, Site

__all__ = ["place_switched"]


@pointed
def place_switched(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place any job by tree or by block; return whether it found room."""
    asked = demand[nth(wish)]
    if asked["share"] > 0 or asked["spread"] > 0:
        return place_special(site, demand, log, events, row, wish)
    first = events.counter[Count.SLOTS]
    placed = asked["whole"] != 0 and _place_one(site, demand, log, events, wish)
    left = 0 if placed else asked["cut"]
    while left != 0:
        kind = emptiest_kind(site.openings, left)
        left &= ~(1 << kind)
        if plan_chunks(site, demand, wish, kind):
            _choose(site, 1 << kind if asked["gpus"] > 0 else asked["kinds"], asked["segment"])
            placed = settle(site, log, events, asked["cpu"], asked["memory"])
            if placed:
                break
    if site.quanta > 0:
        take_each(site, log, events, row, first)
    return bool(placed)


@kernel
def _place_one(site: Site, demand: Records, log: Log, events: Events, wish: int) -> bool:
    """Place a job in one chunk on whole GPUs, or none."""
    asked = demand[nth(wish)]
    if not _plan_one(site, asked["gpus"], asked["cpu"], asked["memory"], asked["whole"]):
        return False
    _choose(site, asked["whole"], asked["segment"])
    return bool(settle(site, log, events, asked["cpu"], asked["memory"]))


@kernel
def _plan_one(site: Site, gpus: int, cpu: int, memory: int, kinds: int) -> bool:
    """Plan a job of one chunk; return False where no node has so many free GPUs."""
    plan = site.plan
    plan[Left.PLACED] = 0
    plan[Left.LARGE], plan[Left.SMALL] = 1, 0
    plan[Left.LARGE_GPUS] = plan[Left.SMALL_GPUS] = gpus
    plan[Left.CPU] = cpu
    plan[Left.MEMORY] = memory
    plan[Left.KIND] = NOBODY
    plan[Left.RAILS] = plan[Left.SMALL_RAILS] = 0
    return tightest_key(site.openings, kinds, gpus) != NOBODY


@kernel
def _choose(site: Site, kinds: int, segment: int) -> None:
    """Choose (and withdraw) nodes for what is planned, by the site's rule."""
    if site.rule == Placement.TOPOLOGY_TREE:
        _choose_by_tree(site, kinds)
    else:
        _choose_by_block(site, kinds, segment)


@inner
def _choose_by_tree(site: Site, kinds: int) -> None:
    """Choose (and withdraw) nodes under the lowest switch that takes the whole job."""
    domains = site.domains
    level, first, last = 0, 0, 1
    if domains.levels > 0:
        domain = _tightest(site, 0, 0, domains.level[0]["size"], kinds)
        while domain == NOBODY and level + 1 < domains.levels:
            level += 1
            domain = _tightest(site, level, 0, domains.level[level]["size"], kinds)
        first, last = domain, domain + 1
        if domain == NOBODY:
            first, last, level = 0, domains.level[0]["size"], 0
        for lower in range(level, 0, -1):
            base = domains.level[lower]["base"]
            first, last = domains.domain[base + first]["first_child"], domains.domain[base + last]["first_child"]
    _choose_on_leaves(site, kinds, first, last, NEVER)


@inner
def _choose_by_block(site: Site, kinds: int, segment: int) -> None:
    """Choose (and withdraw) nodes for one segment after the other, each on as few blocks as could hold it."""
    plan = site.plan
    large, small = plan[Left.LARGE], plan[Left.SMALL]
    size = large + small
    if 0 < segment <= size:
        if size % segment > 0:
            return
        size = segment
    block = site.block[nth(plan[Left.KIND])] if plan[Left.KIND] != NOBODY else site.block[nth(site.openings.kinds)]
    last = 1 if site.domains.levels == 0 else site.domains.level[0]["size"]
    while large + small > 0:
        plan[Left.LARGE] = min(size, large)
        plan[Left.SMALL] = size - plan[Left.LARGE]
        large -= plan[Left.LARGE]
        small -= plan[Left.SMALL]
        _choose_on_leaves(site, kinds, 0, last, -(-size // block))
        if plan[Left.LARGE] + plan[Left.SMALL] > 0:
            return


@kernel
def _choose_on_leaves(site: Site, kinds: int, first: int, last: int, most: int) -> None:
    """Choose nodes for what is planned on at most ``most`` of the leaves ``first`` to ``last - 1``.

    A leaf that takes all that is left gets it, the tightest of them; without one, the leaf that takes the most.
    """
    plan = site.plan
    if site.domains.levels == 0:
        _fill_leaf(site, kinds, 0, site.node.size)
        return
    used = 0
    while plan[Left.LARGE] + plan[Left.SMALL] > 0 and used < most:
        leaf = _tightest(site, 0, first, last, kinds)
        if leaf == NOBODY and used + 1 < most:
            leaf = _roomiest(site, first, last, kinds)
        if leaf == NOBODY:
            return
        _fill_leaf(site, kinds, site.domains.domain[leaf]["first_node"], site.domains.domain[leaf + 1]["first_node"])
        used += 1


@kernel
def _taken(site: Site, level: int, domain: int, kinds: int) -> tuple[int, int]:
    """Return how many of the chunks left a domain takes, and how many of its nodes fit the smallest of them."""
    plan = site.plan
    fitting, large = 0, 0
    if plan[Left.LARGE] > 0:
        gpus = plan[Left.LARGE_GPUS]
        cpu, memory = plan[Left.CPU] * max(gpus, 1), plan[Left.MEMORY] * max(gpus, 1)
        fitting = nodes_fitting(site, level, domain, kinds, gpus, cpu, memory)
        large = min(plan[Left.LARGE], fitting)
    if plan[Left.SMALL] == 0:
        return large, fitting
    gpus = plan[Left.SMALL_GPUS]
    cpu, memory = plan[Left.CPU] * max(gpus, 1), plan[Left.MEMORY] * max(gpus, 1)
    fitting = nodes_fitting(site, level, domain, kinds, gpus, cpu, memory)
    return large + min(plan[Left.SMALL], fitting - large), fitting


@kernel
def _tightest(site: Site, level: int, first: int, last: int, kinds: int) -> int:
    """Return the domain with the fewest fitting nodes of those that take all that is left, or NOBODY."""
    left = site.plan[Left.LARGE] + site.plan[Left.SMALL]
    if left > site.domains.level[level]["most"]:
        return NOBODY
    large, small = _rows(site, level, kinds)
    if min(large, small) != NOBODY:
        return _best_counted(
            site.domains.tally, large, site.plan[Left.LARGE], small, site.plan[Left.SMALL], first, last, True
        )
    best, fewest = NOBODY, NEVER
    for domain in range(first, last):
        taken, fitting = _taken(site, level, domain, kinds)
        if taken == left and fitting < fewest:
            best, fewest = domain, fitting
    return best


@kernel
def _rows(site: Site, level: int, kinds: int) -> tuple[int, int]:
    """Return where the counts of nodes that fit a large and a small chunk begin, NOBODY where there are none."""
    plan = site.plan
    large = counted_at(site, level, kinds, plan[Left.LARGE_GPUS], plan[Left.CPU], plan[Left.MEMORY])
    if plan[Left.SMALL] == 0:
        return large, large
    return large, counted_at(site, level, kinds, plan[Left.SMALL_GPUS], plan[Left.CPU], plan[Left.MEMORY])


@kernel
def _best_counted(
    tally: NDArray[np.int32],
    large: int,
    many: int,
    small: int,
    few: int,
    first: int,
    last: int,
    whole: bool,
) -> int:
    """As :func:`_tightest` (``whole``) or :func:`_roomiest`, from the counts alone."""
    best = NOBODY
    fewest, most = NEVER, 0
    for domain in range(first, last):
        fitting = int(tally[nth(small + domain)])
        taken = min(many, int(tally[nth(large + domain)]))
        if few > 0:
            taken += min(few, fitting - taken)
        if whole:
            if taken == many + few and fitting < fewest:
                best, fewest = domain, fitting
        elif taken > most:
            best, most = domain, taken
    return best


@kernel
def _roomiest(site: Site, first: int, last: int, kinds: int) -> int:
    """Return the leaf that takes the most of the chunks left, or NOBODY where none takes any."""
    large, small = _rows(site, 0, kinds)
    if min(large, small) != NOBODY:
        return _best_counted(
            site.domains.tally, large, site.plan[Left.LARGE], small, site.plan[Left.SMALL], first, last, False
        )
    best, most = NOBODY, 0
    for leaf in range(first, last):
        taken, _ = _taken(site, 0, leaf, kinds)
        if taken > most:
            best, most = leaf, taken
    return best


@kernel
def _fill_leaf(site: Site, kinds: int, first: int, last: int) -> None:
    """Place what fits on nodes ``first`` to ``last - 1``, large chunks first, by best fit."""
    plan = site.plan
    for size in range(2):
        gpus = plan[Left.LARGE_GPUS + size]
        cpu, memory = plan[Left.CPU] * max(gpus, 1), plan[Left.MEMORY] * max(gpus, 1)
        while plan[Left.LARGE + size] > 0:
            node = tightest_in_range(site, kinds, gpus, cpu, memory, 0, first, last)
            if node == NOBODY:
                break
            withdraw_node(site, node)
            chunk = site.chunk[nth(plan[Left.PLACED])]
            chunk["node"] = node
            chunk["gpus"] = gpus
            plan[Left.PLACED] += 1
            plan[Left.LARGE + size] -= 1
