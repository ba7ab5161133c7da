"""One chunk, one node: what first-fit, best-fit, worst-fit, random and spread choose.

``kinds`` is a bit set of GPU types.  Without CPUs or memory to respect, the first node that the index names has
room; with them, nodes are tried in the placement's own order until one has, which can cost a look at every node.
"""

from __future__ import annotations

from gpuyard.kernel.bits import draw
from gpuyard.kernel.codes import NOBODY, Placement
from gpuyard.kernel.index import count_at, item_at, loosest_key, lowest_item, tightest_key
from gpuyard.kernel.jit import inner, kernel
from gpuyard.kernel.nodes import has_room
from gpuyard.kernel.racks import emptiest_node
from gpuyard.kernel.tables import Site

__all__ = ["draw_for", "pick_any", "tightest_in_range"]


@inner
def draw_for(site: Site, row: int, chunk: int, choices: int) -> int:
    """Return the random number in [0, choices) of a job's chunk, by the row that the job has in the whole workload."""
    return draw(site.stream, row if site.number.size == 0 else int(site.number[row]), chunk, choices)


@inner
def pick_any(site: Site, rule: int, kinds: int, gpus: int, cpu: int, memory: int, row: int, chunk: int) -> int:
    """Return the node for a chunk under a placement rule, or NOBODY."""
    index = site.openings
    if rule == Placement.RANDOM:
        return _random(site, kinds, gpus, cpu, memory, row, chunk)
    if rule == Placement.SPREAD and site.domains.levels > 0:
        return emptiest_node(site, kinds, gpus, cpu, memory)
    if rule == Placement.FIRST_FIT:
        node = _first(site, kinds, gpus, 0)
        while node != NOBODY and not has_room(site, node, cpu, memory):
            node = _first(site, kinds, gpus, node + 1)
        return node
    worst = rule in (Placement.WORST_FIT, Placement.SPREAD)
    key = loosest_key(index, kinds, index.n_keys - 1) if worst else tightest_key(index, kinds, gpus)
    while key >= gpus and key != NOBODY:
        node = lowest_item(index, kinds, key, 0)
        while node != NOBODY:
            if has_room(site, node, cpu, memory):
                return node
            node = lowest_item(index, kinds, key, node + 1)
        key = loosest_key(index, kinds, key - 1) if worst else tightest_key(index, kinds, key + 1)
    return NOBODY


@kernel
def _first(site: Site, kinds: int, least: int, start: int) -> int:
    """Return the lowest node not below ``start`` with at least ``least`` wholly free GPUs, or NOBODY."""
    best = NOBODY
    key = tightest_key(site.openings, kinds, least)
    while key != NOBODY:
        node = lowest_item(site.openings, kinds, key, start)
        if node != NOBODY and (best == NOBODY or node < best):
            best = node
        key = tightest_key(site.openings, kinds, key + 1)
    return best


@kernel
def _random(site: Site, kinds: int, gpus: int, cpu: int, memory: int, row: int, chunk: int) -> int:
    """Return one of the fitting nodes, listed by (free GPUs, node), with equal chance, or NOBODY."""
    choices = 0
    for key in range(gpus, site.openings.n_keys):
        choices += _candidates(site, kinds, key, cpu, memory)
    if choices == 0:
        return NOBODY
    left = draw_for(site, row, chunk, choices)
    key = gpus
    here = _candidates(site, kinds, key, cpu, memory)
    while left >= here:
        left -= here
        key += 1
        here = _candidates(site, kinds, key, cpu, memory)
    if cpu == 0 and memory == 0:
        return item_at(site.openings, kinds, key, left)
    node = lowest_item(site.openings, kinds, key, 0)
    while left > 0 or not has_room(site, node, cpu, memory):
        left -= has_room(site, node, cpu, memory)
        node = lowest_item(site.openings, kinds, key, node + 1)
    return node


@kernel
def _candidates(site: Site, kinds: int, key: int, cpu: int, memory: int) -> int:
    """Return how many nodes with this key have room for a chunk."""
    index = site.openings
    if cpu == 0 and memory == 0:
        return count_at(index, kinds, key)
    found = 0
    node = lowest_item(index, kinds, key, 0)
    while node != NOBODY:
        found += has_room(site, node, cpu, memory)
        node = lowest_item(index, kinds, key, node + 1)
    return found


@inner
def tightest_in_range(
    site: Site, kinds: int, gpus: int, cpu: int, memory: int, rails: int, first: int, last: int
) -> int:
    """Return the best-fit node among nodes ``first`` to ``last - 1`` with these ``rails`` free, or NOBODY."""
    key = tightest_key(site.openings, kinds, gpus)
    while key != NOBODY:
        node = lowest_item(site.openings, kinds, key, first)
        while node != NOBODY and node < last:
            if has_room(site, node, cpu, memory) and (rails == 0 or site.rail[node] & rails == rails):
                return node
            node = lowest_item(site.openings, kinds, key, node + 1)
        key = tightest_key(site.openings, kinds, key + 1)
    return NOBODY
