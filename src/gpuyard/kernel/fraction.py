"""Shares of one GPU: what each placement chooses, and how a share is held and given back."""

from __future__ import annotations

from gpuyard.kernel.bits import draw
from gpuyard.kernel.codes import NOBODY, Placement
from gpuyard.kernel.index import insert, key_above, next_item, remove
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.nodes import has_room, offer, withdraw
from gpuyard.kernel.tables import Domains, Gpus, Index, Nodes

__all__ = ["give_share", "pick_gpu", "take_share"]


@kernel
def pick_gpu(
    rule: int, shares: Index, gpus: Gpus, nodes: Nodes, kinds: int, share: int, cpu: int, memory: int, stream: int, row: int
) -> int:
    """Return the GPU for a share under a placement rule, or NOBODY."""
    if rule == Placement.FIRST_FIT:
        return _first(shares, gpus, nodes, kinds, share, cpu, memory)
    if rule == Placement.RANDOM:
        choices = _choices(shares, gpus, nodes, kinds, share, cpu, memory)
        if choices == 0:
            return NOBODY
        return _by_key(shares, gpus, nodes, kinds, share, cpu, memory, draw(stream, row, 0, choices))
    if rule == Placement.WORST_FIT:
        for free in range(gpus.quanta, share - 1, -1):
            gpu = _with_key(shares, gpus, nodes, kinds, free, cpu, memory, 0)
            if gpu != NOBODY:
                return gpu
        return NOBODY
    return _by_key(shares, gpus, nodes, kinds, share, cpu, memory, 0)


@kernel
def _with_key(
    shares: Index, gpus: Gpus, nodes: Nodes, kinds: int, free: int, cpu: int, memory: int, start: int
) -> int:
    """Return the lowest GPU not below ``start`` with exactly so much free, on a node with room, or NOBODY."""
    best = NOBODY
    for kind in range(shares.kinds):
        if kinds >> kind & 1 and shares.count[kind * shares.n_keys + free] > 0:
            gpu = next_item(shares, kind, free, start)
            while gpu != NOBODY and not has_room(nodes, gpus.node[gpu], cpu, memory):
                gpu = next_item(shares, kind, free, gpu + 1)
            if gpu != NOBODY and (best == NOBODY or gpu < best):
                best = gpu
    return best


@kernel
def _next_key(shares: Index, kinds: int, least: int) -> int:
    """Return the smallest free share of all allowed types that is not below ``least``, or NOBODY."""
    best = NOBODY
    for kind in range(shares.kinds):
        if kinds >> kind & 1:
            key = key_above(shares, kind, least)
            if key != NOBODY and (best == NOBODY or key < best):
                best = key
    return best


@kernel
def _first(shares: Index, gpus: Gpus, nodes: Nodes, kinds: int, share: int, cpu: int, memory: int) -> int:
    """Return the lowest fitting GPU, or NOBODY."""
    best = NOBODY
    key = _next_key(shares, kinds, share)
    while key != NOBODY:
        gpu = _with_key(shares, gpus, nodes, kinds, key, cpu, memory, 0)
        if gpu != NOBODY and (best == NOBODY or gpu < best):
            best = gpu
        key = _next_key(shares, kinds, key + 1)
    return best


@kernel
def _by_key(shares: Index, gpus: Gpus, nodes: Nodes, kinds: int, share: int, cpu: int, memory: int, place: int) -> int:
    """Return the fitting GPU with ``place`` others before it, listed by (free share, GPU), or NOBODY."""
    left = place
    key = _next_key(shares, kinds, share)
    while key != NOBODY:
        gpu = _with_key(shares, gpus, nodes, kinds, key, cpu, memory, 0)
        while gpu != NOBODY:
            if left == 0:
                return gpu
            left -= 1
            gpu = _with_key(shares, gpus, nodes, kinds, key, cpu, memory, gpu + 1)
        key = _next_key(shares, kinds, key + 1)
    return NOBODY


@kernel
def _choices(shares: Index, gpus: Gpus, nodes: Nodes, kinds: int, share: int, cpu: int, memory: int) -> int:
    """Return how many GPUs fit a share."""
    found = 0
    key = _next_key(shares, kinds, share)
    while key != NOBODY:
        gpu = _with_key(shares, gpus, nodes, kinds, key, cpu, memory, 0)
        while gpu != NOBODY:
            found += 1
            gpu = _with_key(shares, gpus, nodes, kinds, key, cpu, memory, gpu + 1)
        key = _next_key(shares, kinds, key + 1)
    return found


@kernel
def take_share(gpus: Gpus, shares: Index, nodes: Nodes, index: Index, domains: Domains, gpu: int, share: int) -> None:
    """Hold a share of a GPU; a GPU that was wholly free is so no longer."""
    node = gpus.node[gpu]
    kind = nodes.kind[node]
    remove(shares, kind, gpus.free[gpu], gpu)
    if gpus.free[gpu] == gpus.quanta:
        withdraw(nodes, index, domains, node)
        nodes.free[node] -= 1
        offer(nodes, index, domains, node)
    gpus.free[gpu] -= share
    if gpus.free[gpu] > 0:
        insert(shares, kind, gpus.free[gpu], gpu)


@kernel
def give_share(gpus: Gpus, shares: Index, nodes: Nodes, index: Index, domains: Domains, gpu: int, share: int) -> None:
    """Give back a share of a GPU; it may become wholly free."""
    node = gpus.node[gpu]
    kind = nodes.kind[node]
    if gpus.free[gpu] > 0:
        remove(shares, kind, gpus.free[gpu], gpu)
    gpus.free[gpu] += share
    insert(shares, kind, gpus.free[gpu], gpu)
    if gpus.free[gpu] == gpus.quanta:
        withdraw(nodes, index, domains, node)
        nodes.free[node] += 1
        offer(nodes, index, domains, node)
