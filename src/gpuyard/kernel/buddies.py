"""Buddy allocation of cells in a forest (Zhao et al. 2020, HiveD, section 3.3): take one, give it back, find one.

``docs/semantics.md``, *Buddy allocation*, is the specification.  A cell is taken as a whole: what is known of the cells
in it stays as if it were free, and is right again as soon as it is given back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import ONE, nth, trailing_zeros
from gpuyard.kernel.cells import Forests, Kept
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.jit import inlined, inner, kernel

__all__ = ["buddy", "choose", "fewest", "give", "has_cells", "layer_of", "next_maximal", "take"]


@inlined
def layer_of(forests: Forests, forest: int, level: int) -> Any:
    """Return a level of a forest."""
    return forests.layer[nth(forest * forests.rung.size + level)]


@inlined
def _is_free(forests: Forests, forest: int, level: int, number: int) -> bool:
    return bool(
        forests.left[nth(layer_of(forests, forest, level)["base"] + number)] == forests.rung[nth(level)]["size"]
    )


@inlined
def _enter(forests: Forests, forest: int, level: int, number: int) -> None:
    """Note a cell as maximal."""
    layer = layer_of(forests, forest, level)
    word = number >> 6
    forests.bits[nth(layer["word"] + word)] |= ONE << (number & 63)
    layer["hint"] = min(int(layer["hint"]), word)
    layer["maximal"] += 1


@inlined
def _strike(forests: Forests, forest: int, level: int, number: int) -> None:
    """Note a cell as not maximal any more."""
    layer = layer_of(forests, forest, level)
    forests.bits[nth(layer["word"] + (number >> 6))] &= ~(ONE << (number & 63))
    layer["maximal"] -= 1


@kernel
def next_maximal(forests: Forests, forest: int, level: int, number: int, end: int) -> int:
    """Return the first maximal cell of a level from ``number`` on and before ``end``, or NOBODY."""
    first = int(layer_of(forests, forest, level)["word"])
    word = number >> 6
    while word << 6 < end:
        bits = forests.bits[nth(first + word)]
        if word == number >> 6:
            bits = (bits >> (number & 63)) << (number & 63)
        if bits != 0:
            found = (word << 6) + trailing_zeros(bits)
            return found if found < end else NOBODY
        word += 1
    return NOBODY


@inlined
def _first_maximal(forests: Forests, forest: int, level: int) -> int:
    """Return the lowest maximal cell of a level that has one."""
    layer = layer_of(forests, forest, level)
    word = int(layer["hint"])
    while forests.bits[nth(layer["word"] + word)] == 0:
        word += 1
    layer["hint"] = word
    return (word << 6) + trailing_zeros(forests.bits[nth(layer["word"] + word)])


@inner
def _change_left(forests: Forests, forest: int, level: int, number: int, more: int) -> None:
    """Add GPUs to what is left of a cell, and of those that it is part of."""
    at = number
    for up in range(level, forests.rung.size):
        layer = layer_of(forests, forest, up)
        forests.left[nth(layer["base"] + at)] += more
        if at >= layer["inner"]:
            break
        at //= int(forests.rung[nth(up + 1)]["fan"])


@inner
def _change_whole(forests: Forests, forest: int, level: int, number: int, more: int) -> None:
    """Count one node more, or one less, as free, if it is: the node with this cell."""
    node = int(forests.state[Kept.NODE])
    if level > node:
        return
    at = number // int(forests.rung[nth(node)]["size"] // forests.rung[nth(level)]["size"])
    layer = layer_of(forests, forest, node)
    if at >= layer["cells"] or not _is_free(forests, forest, node, at):
        return
    layer["whole"] += more
    for up in range(node + 1, forests.rung.size):
        if at >= layer["inner"]:
            break
        at //= int(forests.rung[nth(up)]["fan"])
        layer = layer_of(forests, forest, up)
        forests.whole[nth(layer["base"] + at)] += more


@kernel
def take(forests: Forests, forest: int, level: int, number: int) -> None:
    """Take a free cell: split what it is part of."""
    _change_whole(forests, forest, level, number, -1)
    up, at = level, number
    while at < layer_of(forests, forest, up)["inner"]:
        fan = int(forests.rung[nth(up + 1)]["fan"])
        if not _is_free(forests, forest, up + 1, at // fan):
            break
        parent = at // fan
        for child in range(parent * fan, parent * fan + fan):
            if child != at:
                _enter(forests, forest, up, child)
        up, at = up + 1, parent
    _strike(forests, forest, up, at)
    _change_left(forests, forest, level, number, -int(forests.rung[nth(level)]["size"]))


@kernel
def give(forests: Forests, forest: int, level: int, number: int) -> None:
    """Give a taken cell back: join it with its free buddies."""
    forests.given[nth(forest)] += 1
    _change_left(forests, forest, level, number, int(forests.rung[nth(level)]["size"]))
    up, at = level, number
    while at < layer_of(forests, forest, up)["inner"]:
        fan = int(forests.rung[nth(up + 1)]["fan"])
        parent = at // fan
        if not _is_free(forests, forest, up + 1, parent):
            break
        for child in range(parent * fan, parent * fan + fan):
            if child != at:
                _strike(forests, forest, up, child)
        up, at = up + 1, parent
    _enter(forests, forest, up, at)
    _change_whole(forests, forest, level, number, 1)


@inlined
def _ratio(forests: Forests, level: int, below: int) -> int:
    """Return how many cells of a level below are in a cell."""
    return int(forests.rung[nth(level)]["size"] // forests.rung[nth(below)]["size"])


@kernel
def buddy(forests: Forests, forest: int, level: int) -> int:
    """Return the cell of a level that the buddy rule takes, or NOBODY."""
    for up in range(level, forests.rung.size):
        if layer_of(forests, forest, up)["maximal"] > 0:
            return _first_maximal(forests, forest, up) * _ratio(forests, up, level)
    return NOBODY


@inner
def _buddy_inside(forests: Forests, forest: int, level: int, outer: int, number: int) -> int:
    """Return the cell of a level that the buddy rule takes in cell ``number`` of the level ``outer`` above it."""
    if _is_free(forests, forest, outer, number):
        return number * _ratio(forests, outer, level)
    for up in range(level, outer):
        first = number * _ratio(forests, outer, up)
        found = next_maximal(forests, forest, up, first, first + _ratio(forests, outer, up))
        if found != NOBODY:
            return found * _ratio(forests, up, level)
    return NOBODY


@inner
def _nearest(forests: Forests, forest: int, count: int) -> tuple[int, int]:
    """Return level and number of the tightest cell, of the lowest level, that holds so many free nodes, or NOBODY."""
    for level in range(forests.state[Kept.NODE] + 1, forests.rung.size):
        layer = layer_of(forests, forest, level)
        found, least = NOBODY, NEVER
        for number in range(layer["cells"]):
            held = int(forests.whole[nth(layer["base"] + number)])
            if count <= held < least:
                found, least = number, held
        if found != NOBODY:
            return level, found
    return NOBODY, NOBODY


@inlined
def has_cells(forests: Forests, forest: int, level: int, count: int) -> bool:
    """Return whether so many cells of a level are free; more than one are of the level of nodes."""
    if count > 1:
        return bool(layer_of(forests, forest, level)["whole"] >= count)
    return buddy(forests, forest, level) != NOBODY


@kernel
def choose(forests: Forests, forest: int, level: int, count: int, chosen: NDArray[np.int64]) -> bool:
    """Take so many cells of a level and write their numbers; return whether there are so many.

    More than one cell are of the level of nodes.
    """
    if count == 1:
        found = buddy(forests, forest, level)
        if found == NOBODY:
            return False
        chosen[0] = found
        take(forests, forest, level, found)
        return True
    if layer_of(forests, forest, level)["whole"] < count:
        return False
    outer, number = _nearest(forests, forest, count)
    for place in range(count):
        if outer == NOBODY:
            found = buddy(forests, forest, level)
        else:
            found = _buddy_inside(forests, forest, level, outer, number)
        chosen[nth(place)] = found
        take(forests, forest, level, found)
    return True


@kernel
def fewest(forests: Forests, forest: int, level: int, weight: NDArray[np.int32]) -> int:
    """Return the cell of a level that the buddy rule takes where the least weight goes first, or NOBODY.

    ``weight`` is of each cell of this forest, which is the first.
    """
    up = level
    while up < forests.rung.size and layer_of(forests, forest, up)["maximal"] == 0:
        up += 1
    if up == forests.rung.size:
        return NOBODY
    layer = layer_of(forests, forest, up)
    end = int(layer["cells"])
    best = at = _first_maximal(forests, forest, up)
    while at != NOBODY and weight[nth(layer["base"] + best)] > 0:
        if weight[nth(layer["base"] + at)] < weight[nth(layer["base"] + best)]:
            best = at
        at = next_maximal(forests, forest, up, at + 1, end)
    while up > level:
        fan = int(forests.rung[nth(up)]["fan"])
        up -= 1
        base = int(layer_of(forests, forest, up)["base"])
        first = best = best * fan
        for child in range(first, first + fan):
            if weight[nth(base + child)] < weight[nth(base + best)]:
                best = child
    return best
