"""The least of a row of numbers, and the first that is small enough: a tree of eights, a cache line a group."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import Minima
from gpuyard.kernel.jit import inlined, kernel

__all__ = ["first_within", "put_value", "take_value"]


@inlined
def put_value(minima: Minima, at: int, value: int) -> None:
    """Set a number that was NEVER."""
    tree = minima.tree
    for layer in range(minima.layer.size):
        place = nth(minima.layer[nth(layer)] + at)
        if tree[place] <= value:
            break
        tree[place] = value
        at >>= 3


@inlined
def take_value(minima: Minima, at: int) -> None:
    """Set a number to NEVER."""
    tree = minima.tree
    gone = tree[nth(at)]
    tree[nth(at)] = NEVER
    for layer in range(1, minima.layer.size):
        below = minima.layer[nth(layer - 1)] + (at & -8)
        at >>= 3
        place = nth(minima.layer[nth(layer)] + at)
        if tree[place] < gone:
            break
        least = tree[nth(below)]
        for other in range(below + 1, below + 8):
            least = min(least, tree[nth(other)])
        if tree[place] == least:
            break
        tree[place] = least


@kernel
def first_within(minima: Minima, start: int, most: int) -> int:
    """Return the first place not before ``start`` whose number is at most ``most``, or NOBODY."""
    tree = minima.tree
    at = start
    layer = 0
    while True:
        base = minima.layer[nth(layer)]
        stop = (at | 7) + 1
        while at < stop and tree[nth(base + at)] > most:
            at += 1
        if at < stop:
            break
        layer += 1
        at = stop >> 3
        while layer < minima.layer.size and at & 7 == 0:
            layer += 1
            at >>= 3
        if layer >= minima.layer.size:
            return NOBODY
    while layer > 0:
        layer -= 1
        at <<= 3
        base = minima.layer[nth(layer)]
        while tree[nth(base + at)] > most:
            at += 1
    return at
