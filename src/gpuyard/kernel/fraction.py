"""Shares of one GPU: what each placement chooses, and how a share is held and given back."""

from __future__ import annotations

from gpuyard.kernel.choice import draw_for
from gpuyard.kernel.codes import NOBODY, Placement
from gpuyard.kernel.index import insert, loosest_key, lowest_item, remove, tightest_key
from gpuyard.kernel.jit import inner, kernel
from gpuyard.kernel.nodes import has_room, offer_node, withdraw_node
from gpuyard.kernel.tables import Site

__all__ = ["give_share", "pick_gpu", "take_share"]


@inner
def pick_gpu(site: Site, kinds: int, share: int, cpu: int, memory: int, row: int) -> int:
    """Return the GPU for a share under the site's placement rule, or NOBODY."""
    if site.rule == Placement.FIRST_FIT:
        return _first(site, kinds, share, cpu, memory)
    if site.rule in (Placement.WORST_FIT, Placement.SPREAD):
        key = loosest_key(site.shares, kinds, site.quanta)
        while key >= share:
            gpu = _with_key(site, kinds, key, cpu, memory, 0)
            if gpu != NOBODY:
                return gpu
            key = loosest_key(site.shares, kinds, key - 1)
        return NOBODY
    place = 0
    if site.rule == Placement.RANDOM:
        choices = _fitting(site, kinds, share, cpu, memory)
        if choices == 0:
            return NOBODY
        place = draw_for(site, row, 0, choices)
    return _at(site, kinds, share, cpu, memory, place)


@kernel
def _with_key(site: Site, kinds: int, free: int, cpu: int, memory: int, start: int) -> int:
    """Return the lowest GPU not below ``start`` with exactly so much free, on a node with room, or NOBODY."""
    gpu = lowest_item(site.shares, kinds, free, start)
    while gpu != NOBODY and not has_room(site, int(site.gpu[gpu]["node"]), cpu, memory):
        gpu = lowest_item(site.shares, kinds, free, gpu + 1)
    return gpu


@kernel
def _first(site: Site, kinds: int, share: int, cpu: int, memory: int) -> int:
    """Return the lowest fitting GPU, or NOBODY."""
    best = NOBODY
    key = tightest_key(site.shares, kinds, share)
    while key != NOBODY:
        gpu = _with_key(site, kinds, key, cpu, memory, 0)
        if gpu != NOBODY and (best == NOBODY or gpu < best):
            best = gpu
        key = tightest_key(site.shares, kinds, key + 1)
    return best


@kernel
def _fitting(site: Site, kinds: int, share: int, cpu: int, memory: int) -> int:
    """Return how many GPUs fit a share."""
    found = 0
    key = tightest_key(site.shares, kinds, share)
    while key != NOBODY:
        gpu = _with_key(site, kinds, key, cpu, memory, 0)
        while gpu != NOBODY:
            found += 1
            gpu = _with_key(site, kinds, key, cpu, memory, gpu + 1)
        key = tightest_key(site.shares, kinds, key + 1)
    return found


@kernel
def _at(site: Site, kinds: int, share: int, cpu: int, memory: int, place: int) -> int:
    """Return the fitting GPU with ``place`` others before it, listed by (free share, GPU), or NOBODY."""
    left = place
    key = tightest_key(site.shares, kinds, share)
    while key != NOBODY:
        gpu = _with_key(site, kinds, key, cpu, memory, 0)
        while gpu != NOBODY:
            if left == 0:
                return gpu
            left -= 1
            gpu = _with_key(site, kinds, key, cpu, memory, gpu + 1)
        key = tightest_key(site.shares, kinds, key + 1)
    return NOBODY


@inner
def take_share(site: Site, gpu: int, share: int) -> None:
    """Hold a share of a GPU; a GPU that was wholly free is so no longer."""
    node = int(site.gpu[gpu]["node"])
    kind = int(site.node[node]["kind"])
    free = int(site.gpu[gpu]["free"])
    remove(site.shares, kind, free, gpu)
    if free == site.quanta:
        withdraw_node(site, node)
        site.node[node]["free"] -= 1
        offer_node(site, node)
    free -= share
    site.gpu[gpu]["free"] = free
    if free > 0:
        insert(site.shares, kind, free, gpu)


@inner
def give_share(site: Site, gpu: int, share: int) -> None:
    """Give back a share of a GPU; it may become wholly free."""
    node = int(site.gpu[gpu]["node"])
    kind = int(site.node[node]["kind"])
    free = int(site.gpu[gpu]["free"])
    if free > 0:
        remove(site.shares, kind, free, gpu)
    free += share
    site.gpu[gpu]["free"] = free
    insert(site.shares, kind, free, gpu)
    if free == site.quanta:
        withdraw_node(site, node)
        site.node[node]["free"] += 1
        offer_node(site, node)
