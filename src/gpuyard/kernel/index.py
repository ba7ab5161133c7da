"""An index over free resources: items by key, the lowest item of a key in a handful of instructions."""

from __future__ import annotations

from gpuyard.kernel.bits import ONE, highest, nth, ones, trailing_zeros
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.tables import Index

__all__ = [
    "count_at",
    "emptiest_kind",
    "first_item",
    "has_item",
    "has_members",
    "insert",
    "item_at",
    "key_above",
    "key_last",
    "loosest_key",
    "lowest_first",
    "lowest_item",
    "members",
    "next_item",
    "remove",
    "tightest_key",
    "tightest_of",
]


@inlined
def insert(index: Index, kind: int, key: int, item: int) -> None:
    """Add an item under a key."""
    bits = index.bits
    row = kind * index.n_keys + key
    word = item >> 6
    at = row * index.width + word
    before = bits[nth(at)]
    bits[nth(at)] = before | (ONE << (item & 63))
    if before == 0:
        bits[nth(index.blocks + row * index.block_width + (word >> 6))] |= ONE << (word & 63)
        bits[nth(index.tops + row)] |= ONE << (word >> 6)
        bits[nth(index.keys + kind * index.key_words + (key >> 6))] |= ONE << (key & 63)
    bits[nth(index.held + row)] += 1


@inlined
def remove(index: Index, kind: int, key: int, item: int) -> None:
    """Take an item from under its key."""
    bits = index.bits
    row = kind * index.n_keys + key
    word = item >> 6
    at = row * index.width + word
    after = bits[nth(at)] & ~(ONE << (item & 63))
    bits[nth(at)] = after
    bits[nth(index.held + row)] -= 1
    if after == 0:
        at = index.blocks + row * index.block_width + (word >> 6)
        after = bits[nth(at)] & ~(ONE << (word & 63))
        bits[nth(at)] = after
        if after == 0:
            at = index.tops + row
            after = bits[nth(at)] & ~(ONE << (word >> 6))
            bits[nth(at)] = after
            if after == 0:
                bits[nth(index.keys + kind * index.key_words + (key >> 6))] &= ~(ONE << (key & 63))


@inlined
def has_item(index: Index, kind: int, key: int, item: int) -> bool:
    """Return whether an item is kept under a key."""
    word = (kind * index.n_keys + key) * index.width + (item >> 6)
    return bool((index.bits[nth(word)] >> (item & 63)) & 1)


@inlined
def first_item(index: Index, kind: int, key: int) -> int:
    """Return the lowest item of a key that has one."""
    row = kind * index.n_keys + key
    block = trailing_zeros(index.bits[nth(index.tops + row)])
    word = (block << 6) + trailing_zeros(index.bits[nth(index.blocks + row * index.block_width + block)])
    return (word << 6) + trailing_zeros(index.bits[nth(row * index.width + word)])


@kernel
def next_item(index: Index, kind: int, key: int, start: int) -> int:
    """Return the lowest item of a key that is not below ``start``, or NOBODY."""
    row = kind * index.n_keys + key
    word = start >> 6
    if word >= index.width:
        return NOBODY
    bits = index.bits[nth(row * index.width + word)] & (-ONE << (start & 63))
    if bits != 0:
        return (word << 6) + trailing_zeros(bits)
    word += 1
    if word >= index.width:
        return NOBODY
    block = word >> 6
    bits = index.bits[nth(index.blocks + row * index.block_width + block)] & (-ONE << (word & 63))
    if bits == 0:
        if block >= 63:
            return NOBODY
        bits = index.bits[nth(index.tops + row)] & (-ONE << (block + 1))
        if bits == 0:
            return NOBODY
        block = trailing_zeros(bits)
        bits = index.bits[nth(index.blocks + row * index.block_width + block)]
    word = (block << 6) + trailing_zeros(bits)
    return (word << 6) + trailing_zeros(index.bits[nth(row * index.width + word)])


@inlined
def key_above(index: Index, kind: int, least: int) -> int:
    """Return the smallest key in use that is not below ``least``, or NOBODY."""
    word = least >> 6
    if word >= index.key_words:
        return NOBODY
    base = index.keys + kind * index.key_words
    bits = index.bits[nth(base + word)] & (-ONE << (least & 63))
    while bits == 0:
        word += 1
        if word == index.key_words:
            return NOBODY
        bits = index.bits[nth(base + word)]
    return (word << 6) + trailing_zeros(bits)


@inlined
def key_last(index: Index, kind: int) -> int:
    """Return the largest key in use, or NOBODY."""
    for word in range(index.key_words - 1, -1, -1):
        bits = index.bits[nth(index.keys + kind * index.key_words + word)]
        if bits != 0:
            return (word << 6) + highest(bits)
    return NOBODY


@inlined
def tightest_of(index: Index, kinds: int, least: int) -> int:
    """Return the smallest key of all allowed kinds that is not below ``least``, or NOBODY; for the hot path."""
    best = NOBODY
    for kind in range(index.kinds):
        if kinds >> kind & 1:
            key = key_above(index, kind, least)
            if key != NOBODY and (best == NOBODY or key < best):
                best = key
    return best


@kernel
def tightest_key(index: Index, kinds: int, least: int) -> int:
    """As :func:`tightest_of`, by a call."""
    return tightest_of(index, kinds, least)


@inlined
def lowest_first(index: Index, kinds: int, key: int) -> int:
    """Return the lowest item with a key that one of the allowed kinds has in use."""
    best = NOBODY
    for kind in range(index.kinds):
        if kinds >> kind & 1 and index.bits[nth(index.tops + kind * index.n_keys + key)] != 0:
            item = first_item(index, kind, key)
            if best == NOBODY or item < best:
                best = item
    return best


@kernel
def loosest_key(index: Index, kinds: int, most: int) -> int:
    """Return the largest key of all allowed kinds that is not above ``most``, or NOBODY."""
    for key in range(most, -1, -1):
        for kind in range(index.kinds):
            if kinds >> kind & 1 and index.bits[nth(index.held + kind * index.n_keys + key)] > 0:
                return key
    return NOBODY


@kernel
def lowest_item(index: Index, kinds: int, key: int, start: int) -> int:
    """Return the lowest item not below ``start`` with this key, of all allowed kinds, or NOBODY."""
    best = NOBODY
    for kind in range(index.kinds):
        if kinds >> kind & 1:
            item = next_item(index, kind, key, start)
            if item != NOBODY and (best == NOBODY or item < best):
                best = item
    return best


@kernel
def count_at(index: Index, kinds: int, key: int) -> int:
    """Return how many items of all allowed kinds have this key."""
    found = 0
    for kind in range(index.kinds):
        if kinds >> kind & 1:
            found += index.bits[nth(index.held + kind * index.n_keys + key)]
    return found


@kernel
def members(index: Index, kinds: int, least: int, enough: int) -> int:
    """Return how many items of all allowed kinds have a key of at least ``least``; stop counting at ``enough``."""
    found = 0
    for key in range(least, index.n_keys):
        found += count_at(index, kinds, key)
        if found >= enough:
            break
    return found


@inner
def emptiest_kind(index: Index, kinds: int) -> int:
    """Return that of some kinds whose keys add up to most (of GPUs free on nodes), the first of equals, or NOBODY."""
    best, most = NOBODY, NOBODY
    for kind in range(index.kinds):
        if kinds == 1 << kind:
            return kind
        if kinds >> kind & 1:
            free = 0
            for key in range(1, index.n_keys):
                free += key * index.bits[nth(index.held + kind * index.n_keys + key)]
            if free > most:
                best, most = kind, free
    return best


@inlined
def has_members(index: Index, kind: int, least: int, enough: int) -> bool:
    """Return whether so many items of a kind have a key of at least ``least``."""
    found = 0
    for key in range(least, index.n_keys):
        found += index.bits[nth(index.held + kind * index.n_keys + key)]
        if found >= enough:
            return True
    return False


@kernel
def item_at(index: Index, kinds: int, key: int, place: int) -> int:
    """Return the item with ``place`` lower items under the same key, of all allowed kinds."""
    left = place
    for word in range(index.width):
        bits = ONE - ONE
        for kind in range(index.kinds):
            if kinds >> kind & 1:
                bits |= index.bits[nth((kind * index.n_keys + key) * index.width + word)]
        here = ones(bits)
        if left < here:
            for _ in range(left):
                bits &= bits - 1
            return (word << 6) + trailing_zeros(bits)
        left -= here
    return NOBODY
