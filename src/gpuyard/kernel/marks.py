"""Sets of positions: who is next, who is last.  Layers of bits, each with a bit for every word of the one below."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import ONE, highest, nth, trailing_zeros
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel

__all__ = ["Marks", "build_marks", "drop_mark", "has_mark", "last_mark", "next_mark", "put_mark"]

_PLANES = 2


class Marks(NamedTuple):
    """Two sets of positions, plane 0 and plane 1."""

    bits: NDArray[np.int64]
    layer: NDArray[np.int64]  # where each layer starts, plane after plane


def build_marks(positions: int) -> Marks:
    """Return two empty sets of positions below a number; each layer has a word more than that may need."""
    layers, size = [], 0
    for _ in range(_PLANES):
        words = positions
        while True:
            words = words // 64 + 1
            layers.append(size)
            size += words
            if words == 1:
                break
    return Marks(bits=np.zeros(size, np.int64), layer=np.array(layers, np.int64))


@inlined
def put_mark(marks: Marks, plane: int, at: int) -> None:
    """Put a position into a set."""
    layers = marks.layer.size >> 1
    for layer in range(plane * layers, (plane + 1) * layers):
        word = nth(marks.layer[nth(layer)] + (at >> 6))
        before = marks.bits[word]
        marks.bits[word] = before | (ONE << (at & 63))
        if before != 0:
            break
        at >>= 6


@inlined
def drop_mark(marks: Marks, plane: int, at: int) -> None:
    """Take a position out of a set, if it is there."""
    layers = marks.layer.size >> 1
    for layer in range(plane * layers, (plane + 1) * layers):
        word = nth(marks.layer[nth(layer)] + (at >> 6))
        after = marks.bits[word] & ~(ONE << (at & 63))
        marks.bits[word] = after
        if after != 0:
            break
        at >>= 6


@inlined
def has_mark(marks: Marks, plane: int, at: int) -> bool:
    """Return whether a position is in a set."""
    first = marks.layer[nth(plane * (marks.layer.size >> 1))]
    return bool(marks.bits[nth(first + (at >> 6))] >> (at & 63) & ONE != 0)


@kernel
def next_mark(marks: Marks, plane: int, at: int) -> int:
    """Return the first position of a set that is not before ``at``, or NOBODY."""
    layers = marks.layer.size >> 1
    layer = plane * layers
    bits = marks.bits[nth(marks.layer[nth(layer)] + (at >> 6))] & (-ONE << (at & 63))
    while bits == 0:
        layer += 1
        if layer == (plane + 1) * layers:
            return NOBODY
        at = (at >> 6) + 1
        bits = marks.bits[nth(marks.layer[nth(layer)] + (at >> 6))] & (-ONE << (at & 63))
    at = ((at >> 6) << 6) + trailing_zeros(bits)
    while layer > plane * layers:
        layer -= 1
        at = (at << 6) + trailing_zeros(marks.bits[nth(marks.layer[nth(layer)] + at)])
    return at


@kernel
def last_mark(marks: Marks, plane: int, at: int) -> int:
    """Return the last position of a set that is not after ``at``, or NOBODY."""
    layers = marks.layer.size >> 1
    layer = plane * layers
    while at >= 0 and layer < (plane + 1) * layers:
        bits = marks.bits[nth(marks.layer[nth(layer)] + (at >> 6))] & ~(-ONE << (at & 63) << 1)
        if bits != 0:
            at = ((at >> 6) << 6) + highest(bits)
            while layer > plane * layers:
                layer -= 1
                at = (at << 6) + highest(marks.bits[nth(marks.layer[nth(layer)] + at)])
            return at
        at = (at >> 6) - 1
        layer += 1
    return NOBODY
