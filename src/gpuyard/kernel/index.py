"""An index over free resources: items by key, the lowest item of a key in a handful of instructions."""

from __future__ import annotations

from gpuyard.kernel.bits import ONE, ones, trailing_zeros
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Index

__all__ = ["first_item", "insert", "item_at", "key_above", "key_below", "members", "next_item", "remove"]


@inlined
def insert(index: Index, kind: int, key: int, item: int) -> None:
    """Add an item under a key."""
    row = kind * index.n_keys + key
    word = item >> 6
    at = row * index.width + word
    before = index.words[at]
    index.words[at] = before | (ONE << (item & 63))
    if before == 0:
        block = row * index.block_width + (word >> 6)
        index.blocks[block] |= ONE << (word & 63)
        index.tops[row] |= ONE << (word >> 6)
        index.keys[kind * index.key_words + (key >> 6)] |= ONE << (key & 63)
    index.count[row] += 1


@inlined
def remove(index: Index, kind: int, key: int, item: int) -> None:
    """Take an item from under its key."""
    row = kind * index.n_keys + key
    word = item >> 6
    at = row * index.width + word
    after = index.words[at] & ~(ONE << (item & 63))
    index.words[at] = after
    index.count[row] -= 1
    if after == 0:
        block = row * index.block_width + (word >> 6)
        left = index.blocks[block] & ~(ONE << (word & 63))
        index.blocks[block] = left
        if left == 0:
            top = index.tops[row] & ~(ONE << (word >> 6))
            index.tops[row] = top
            if top == 0:
                index.keys[kind * index.key_words + (key >> 6)] &= ~(ONE << (key & 63))


@inlined
def first_item(index: Index, kind: int, key: int) -> int:
    """Return the lowest item of a key that has one."""
    row = kind * index.n_keys + key
    block = trailing_zeros(index.tops[row])
    word = (block << 6) + trailing_zeros(index.blocks[row * index.block_width + block])
    return (word << 6) + trailing_zeros(index.words[row * index.width + word])


@kernel
def next_item(index: Index, kind: int, key: int, start: int) -> int:
    """Return the lowest item of a key that is not below ``start``, or NOBODY."""
    row = kind * index.n_keys + key
    word = start >> 6
    if word >= index.width:
        return NOBODY
    bits = index.words[row * index.width + word] & (-ONE << (start & 63))
    if bits != 0:
        return (word << 6) + trailing_zeros(bits)
    word += 1
    if word >= index.width:
        return NOBODY
    block = word >> 6
    bits = index.blocks[row * index.block_width + block] & (-ONE << (word & 63))
    if bits == 0:
        if block >= 63:
            return NOBODY
        bits = index.tops[row] & (-ONE << (block + 1))
        if bits == 0:
            return NOBODY
        block = trailing_zeros(bits)
        bits = index.blocks[row * index.block_width + block]
    word = (block << 6) + trailing_zeros(bits)
    return (word << 6) + trailing_zeros(index.words[row * index.width + word])


@inlined
def key_above(index: Index, kind: int, least: int) -> int:
    """Return the smallest key in use that is not below ``least``, or NOBODY."""
    word = least >> 6
    if word >= index.key_words:
        return NOBODY
    bits = index.keys[kind * index.key_words + word] & (-ONE << (least & 63))
    while bits == 0:
        word += 1
        if word == index.key_words:
            return NOBODY
        bits = index.keys[kind * index.key_words + word]
    return (word << 6) + trailing_zeros(bits)


@kernel
def key_below(index: Index, kind: int, most: int) -> int:
    """Return the largest key in use that is not above ``most``, or NOBODY."""
    for key in range(most, -1, -1):
        if index.count[kind * index.n_keys + key] > 0:
            return key
    return NOBODY


@kernel
def members(index: Index, kind: int, least: int, enough: int) -> int:
    """Return how many items have a key of at least ``least``; stop counting at ``enough``."""
    found = 0
    key = key_above(index, kind, least)
    while key != NOBODY and found < enough:
        found += index.count[kind * index.n_keys + key]
        key = key_above(index, kind, key + 1)
    return found


@kernel
def item_at(index: Index, kind: int, key: int, place: int) -> int:
    """Return the item with ``place`` lower items under the same key."""
    row = kind * index.n_keys + key
    left = place
    for word in range(index.width):
        bits = index.words[row * index.width + word]
        here = ones(bits)
        if left < here:
            for _ in range(left):
                bits &= bits - 1
            return (word << 6) + trailing_zeros(bits)
        left -= here
    return NOBODY
