"""Many heaps over one set of items, each item in one of them at most: pairing heaps.

Source: Fredman, Sedgewick, Sleator and Tarjan 1986, Algorithmica 1.  A heap is known by its root, NOBODY if it is
empty; it needs no room of its own, so that there may be as many as wished.  Smallest key first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Records

__all__ = [
    "ITEM",
    "Pairing",
    "bring_forward",
    "build_pairing",
    "goes_before",
    "put",
    "put_off",
    "set_key",
    "take_out",
]

ITEM = np.dtype(
    [
        ("first", np.int64),
        ("second", np.int64),
        ("third", np.int64),
        ("share", np.float64),
        ("level", np.int64),  # kept by whoever uses it
        ("child", np.int32),
        ("next", np.int32),
        ("before", np.int32),  # its left neighbour, or its parent if it is the first child
        ("heap", np.int32),  # a number of the heap it is in, NOBODY for none; kept by whoever uses it
    ]
)
"""An item: its key, compared by ``share`` and then from ``first`` to ``third``, and its place in a heap."""


class Pairing(NamedTuple):
    """Items that are in heaps."""

    item: Records


def build_pairing(items: int) -> Pairing:
    """Return items that are in no heap."""
    item = np.zeros(items, ITEM)
    item["child"] = item["next"] = item["before"] = item["heap"] = NOBODY
    return Pairing(item=item)


@inlined
def set_key(heap: Pairing, one: int, first: int, second: int, third: int) -> None:
    """Give an item that is in no heap its key."""
    item = heap.item[nth(one)]
    item["first"], item["second"], item["third"] = first, second, third


@inlined
def goes_before(heap: Pairing, one: int, other: int) -> bool:
    """Return whether an item's key is smaller than another's."""
    left, right = heap.item[nth(one)], heap.item[nth(other)]
    if left["share"] != right["share"]:
        return bool(left["share"] < right["share"])
    if left["first"] != right["first"]:
        return bool(left["first"] < right["first"])
    if left["second"] != right["second"]:
        return bool(left["second"] < right["second"])
    return bool(left["third"] < right["third"])


@inlined
def _merge(heap: Pairing, one: int, other: int) -> int:
    """Make one heap of two that are not empty; their roots have no neighbours."""
    if goes_before(heap, other, one):
        one, other = other, one
    above, below = heap.item[nth(one)], heap.item[nth(other)]
    following = int(above["child"])
    below["next"] = following
    below["before"] = one
    if following != NOBODY:
        heap.item[nth(following)]["before"] = other
    above["child"] = other
    return one


@inlined
def put(heap: Pairing, root: int, one: int) -> int:
    """Put an item that is in no heap into one; return the root."""
    return one if root == NOBODY else _merge(heap, root, one)


@kernel
def _merge_children(heap: Pairing, first: int) -> int:
    """Make one heap of the children of an item that left: in pairs from the left, then all from the right."""
    done = NOBODY
    while first != NOBODY:
        one = first
        two = int(heap.item[nth(one)]["next"])
        first = NOBODY
        heap.item[nth(one)]["next"] = NOBODY
        if two != NOBODY:
            first = int(heap.item[nth(two)]["next"])
            heap.item[nth(two)]["next"] = NOBODY
            one = _merge(heap, one, two)
        heap.item[nth(one)]["next"] = done
        done = one
    if done == NOBODY:
        return NOBODY
    root = done
    rest = int(heap.item[nth(root)]["next"])
    heap.item[nth(root)]["next"] = NOBODY
    while rest != NOBODY:
        following = int(heap.item[nth(rest)]["next"])
        heap.item[nth(rest)]["next"] = NOBODY
        root = _merge(heap, root, rest)
        rest = following
    heap.item[nth(root)]["before"] = NOBODY
    return root


@kernel
def take_out(heap: Pairing, root: int, one: int) -> int:
    """Take an item out of the heap it is in; return the root of what is left.

    What was below it takes its place, so that jobs that began one after the other stay a chain, in which none is
    compared with another.
    """
    item = heap.item[nth(one)]
    children = int(item["child"])
    if children != NOBODY:
        if heap.item[nth(children)]["next"] != NOBODY:
            children = _merge_children(heap, children)
        heap.item[nth(children)]["before"] = NOBODY
        item["child"] = NOBODY
    if one == root:
        return children
    if children == NOBODY:
        _detach(heap, one)
    else:
        _replace(heap, one, children)
    return root


@inlined
def _replace(heap: Pairing, one: int, other: int) -> None:
    """Put the root of a heap, whose keys are larger, in the place of an item that is no root and has no children."""
    item, its = heap.item[nth(one)], heap.item[nth(other)]
    before, following = int(item["before"]), int(item["next"])
    its["before"], its["next"] = before, following
    if heap.item[nth(before)]["child"] == one:
        heap.item[nth(before)]["child"] = other
    else:
        heap.item[nth(before)]["next"] = other
    if following != NOBODY:
        heap.item[nth(following)]["before"] = other
    item["next"] = item["before"] = NOBODY


@inlined
def _detach(heap: Pairing, one: int) -> None:
    """Take an item that is no root, and all below it, off the one above it."""
    item = heap.item[nth(one)]
    before, following = int(item["before"]), int(item["next"])
    if heap.item[nth(before)]["child"] == one:
        heap.item[nth(before)]["child"] = following
    else:
        heap.item[nth(before)]["next"] = following
    if following != NOBODY:
        heap.item[nth(following)]["before"] = before
    item["next"] = item["before"] = NOBODY


@inlined
def bring_forward(heap: Pairing, root: int, one: int) -> int:
    """Put an item of a heap in its place again whose key has become smaller; return the root.

    What is below it stays there.
    """
    if one == root:
        return root
    _detach(heap, one)
    return _merge(heap, root, one)


@inlined
def put_off(heap: Pairing, root: int, one: int) -> int:
    """As :func:`bring_forward`, an item whose key has become larger: it stays below what it was below."""
    item = heap.item[nth(one)]
    child = int(item["child"])
    if child == NOBODY or (heap.item[nth(child)]["next"] == NOBODY and goes_before(heap, one, child)):
        return root
    children = _merge_children(heap, child)
    item["child"] = NOBODY
    return _merge(heap, children, one if one == root else root)
