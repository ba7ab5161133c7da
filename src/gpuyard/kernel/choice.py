"""One chunk, one node: what first-fit, best-fit, worst-fit and random choose.

``kinds`` is a bit set of GPU types.  Without CPUs or memory to respect, the index answers at once; with
them, nodes are tried in the placement's own order until one has room, which can cost a look at every node.
"""

from __future__ import annotations

from gpuyard.kernel.bits import draw
from gpuyard.kernel.codes import NOBODY, Placement
from gpuyard.kernel.index import first_item, item_at, key_above, key_below, next_item
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.nodes import has_room
from gpuyard.kernel.tables import Index, Nodes

__all__ = ["pick_node", "tightest_in_range"]


@inlined
def pick_node(
    rule: int, index: Index, nodes: Nodes, kinds: int, gpus: int, cpu: int, memory: int, stream: int, row: int, chunk: int
) -> int:
    """Return the node for a chunk under a placement rule, or NOBODY."""
    if rule == Placement.RANDOM:
        return _random(index, nodes, kinds, gpus, cpu, memory, stream, row, chunk)
    if cpu > 0 or memory > 0:
        return _walk(rule, index, nodes, kinds, gpus, cpu, memory)
    if rule == Placement.FIRST_FIT:
        return _first(index, kinds, gpus, 0)
    if index.kinds == 1:
        key = key_below(index, 0, index.n_keys - 1) if rule == Placement.WORST_FIT else key_above(index, 0, gpus)
        return first_item(index, 0, key) if key >= gpus else NOBODY
    key = _loosest(index, kinds, index.n_keys - 1) if rule == Placement.WORST_FIT else _tightest(index, kinds, gpus)
    return _lowest(index, kinds, key, 0) if key >= gpus else NOBODY


@kernel
def _tightest(index: Index, kinds: int, least: int) -> int:
    """Return the smallest key of all allowed types that is not below ``least``, or NOBODY."""
    best = NOBODY
    for kind in range(index.kinds):
        if kinds >> kind & 1:
            key = key_above(index, kind, least)
            if key != NOBODY and (best == NOBODY or key < best):
                best = key
    return best


@kernel
def _loosest(index: Index, kinds: int, most: int) -> int:
    """Return the largest key of all allowed types that is not above ``most``, or NOBODY."""
    best = NOBODY
    for kind in range(index.kinds):
        if kinds >> kind & 1:
            best = max(best, key_below(index, kind, most))
    return best


@kernel
def _lowest(index: Index, kinds: int, key: int, start: int) -> int:
    """Return the lowest node not below ``start`` with this key, of all allowed types, or NOBODY."""
    best = NOBODY
    for kind in range(index.kinds):
        if kinds >> kind & 1:
            node = next_item(index, kind, key, start)
            if node != NOBODY and (best == NOBODY or node < best):
                best = node
    return best


@kernel
def _first(index: Index, kinds: int, least: int, start: int) -> int:
    """Return the lowest node not below ``start`` with a key of at least ``least``, or NOBODY."""
    best = NOBODY
    key = _tightest(index, kinds, least)
    while key != NOBODY:
        node = _lowest(index, kinds, key, start)
        if node != NOBODY and (best == NOBODY or node < best):
            best = node
        key = _tightest(index, kinds, key + 1)
    return best


@kernel
def _walk(rule: int, index: Index, nodes: Nodes, kinds: int, gpus: int, cpu: int, memory: int) -> int:
    """Return the first node with room, in the order of the placement rule, or NOBODY."""
    if rule == Placement.FIRST_FIT:
        node = _first(index, kinds, gpus, 0)
        while node != NOBODY and not has_room(nodes, node, cpu, memory):
            node = _first(index, kinds, gpus, node + 1)
        return node
    worst = rule == Placement.WORST_FIT
    key = _loosest(index, kinds, index.n_keys - 1) if worst else _tightest(index, kinds, gpus)
    while key >= gpus and key != NOBODY:
        node = _lowest(index, kinds, key, 0)
        while node != NOBODY:
            if has_room(nodes, node, cpu, memory):
                return node
            node = _lowest(index, kinds, key, node + 1)
        key = _loosest(index, kinds, key - 1) if worst else _tightest(index, kinds, key + 1)
    return NOBODY


@kernel
def _random(
    index: Index, nodes: Nodes, kinds: int, gpus: int, cpu: int, memory: int, stream: int, row: int, chunk: int
) -> int:
    """Return one of the fitting nodes, listed by (free GPUs, node), with equal chance, or NOBODY."""
    bound = cpu > 0 or memory > 0
    choices = 0
    key = _tightest(index, kinds, gpus)
    while key != NOBODY:
        choices += _with_room(index, nodes, kinds, key, cpu, memory) if bound else _members(index, kinds, key)
        key = _tightest(index, kinds, key + 1)
    if choices == 0:
        return NOBODY
    left = draw(stream, row, chunk, choices)
    key = _tightest(index, kinds, gpus)
    while True:
        here = _with_room(index, nodes, kinds, key, cpu, memory) if bound else _members(index, kinds, key)
        if left < here:
            break
        left -= here
        key = _tightest(index, kinds, key + 1)
    if index.kinds == 1 and not bound:
        return item_at(index, 0, key, left)
    node = _lowest(index, kinds, key, 0)
    while left > 0 or not has_room(nodes, node, cpu, memory):
        if has_room(nodes, node, cpu, memory):
            left -= 1
        node = _lowest(index, kinds, key, node + 1)
    return node


@kernel
def _members(index: Index, kinds: int, key: int) -> int:
    """Return how many nodes of the allowed types have this key."""
    found = 0
    for kind in range(index.kinds):
        if kinds >> kind & 1:
            found += index.count[kind * index.n_keys + key]
    return found


@kernel
def _with_room(index: Index, nodes: Nodes, kinds: int, key: int, cpu: int, memory: int) -> int:
    """Return how many nodes with this key have room for a chunk."""
    found = 0
    node = _lowest(index, kinds, key, 0)
    while node != NOBODY:
        found += has_room(nodes, node, cpu, memory)
        node = _lowest(index, kinds, key, node + 1)
    return found


@kernel
def tightest_in_range(
    index: Index, nodes: Nodes, kinds: int, gpus: int, cpu: int, memory: int, first: int, last: int
) -> int:
    """Return the best-fit node among nodes ``first`` to ``last - 1``, or NOBODY."""
    key = _tightest(index, kinds, gpus)
    while key != NOBODY:
        node = _lowest(index, kinds, key, first)
        while node != NOBODY and node < last:
            if has_room(nodes, node, cpu, memory):
                return node
            node = _lowest(index, kinds, key, node + 1)
        key = _tightest(index, kinds, key + 1)
    return NOBODY
