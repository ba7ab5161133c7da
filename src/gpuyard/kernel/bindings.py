"""Where virtual cells are: bound to physical ones while something in them is taken, where few have to leave."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import fewest, give, layer_of, take
from gpuyard.kernel.cells import FREE, Cells, Forests, Kept
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel

__all__ = ["bind", "count_guests", "guest_in", "unbind"]


@inlined
def _join(forests: Forests, cells: Cells, forest: int, level: int, number: int, there: int) -> None:
    """Note that a virtual cell is in a physical one."""
    cells.physical[nth(layer_of(forests, forest, level)["base"] + number)] = there
    cells.virtual[nth(layer_of(forests, FREE, level)["base"] + there)] = number


@kernel
def bind(forests: Forests, cells: Cells, forest: int, level: int, number: int) -> int:
    """Bind a virtual cell, after those that it is part of; return the physical cell, or NOBODY if there is none."""
    up, at = level, number
    while True:
        layer = layer_of(forests, forest, up)
        if cells.physical[nth(layer["base"] + at)] != NOBODY or at >= layer["inner"]:
            break
        up += 1
        at //= int(forests.rung[nth(up)]["fan"])
    there = int(cells.physical[nth(layer["base"] + at)])
    if there == NOBODY:
        there = fewest(forests, FREE, up, cells.guests)
        if there == NOBODY:
            return NOBODY
        take(forests, FREE, up, there)
        _join(forests, cells, forest, up, at, there)
    while up > level:
        cells.bound[nth(layer_of(forests, forest, up)["base"] + at)] += 1
        fan = int(forests.rung[nth(up)]["fan"])
        up -= 1
        at = number // int(forests.rung[nth(up)]["size"] // forests.rung[nth(level)]["size"])
        base = int(layer_of(forests, FREE, up)["base"])
        first, there = there * fan, NOBODY
        for child in range(first, first + fan):
            if cells.virtual[nth(base + child)] != NOBODY:
                continue
            if there == NOBODY or cells.guests[nth(base + child)] < cells.guests[nth(base + there)]:
                there = child
        _join(forests, cells, forest, up, at, there)
    return there


@kernel
def unbind(forests: Forests, cells: Cells, forest: int, level: int, number: int) -> None:
    """Unbind a virtual cell, and those that it is part of and in which nothing else is bound."""
    up, at = level, number
    while True:
        layer = layer_of(forests, forest, up)
        there = int(cells.physical[nth(layer["base"] + at)])
        cells.physical[nth(layer["base"] + at)] = NOBODY
        cells.virtual[nth(layer_of(forests, FREE, up)["base"] + there)] = NOBODY
        if at >= layer["inner"]:
            give(forests, FREE, up, there)
            return
        up += 1
        at //= int(forests.rung[nth(up)]["fan"])
        parent = layer_of(forests, forest, up)["base"] + at
        cells.bound[nth(parent)] -= 1
        if cells.bound[nth(parent)] > 0:
            return


@kernel
def count_guests(forests: Forests, cells: Cells, level: int, number: int, holder: int) -> None:
    """Note that an opportunistic job holds a physical cell, or, with NOBODY, that it does no longer."""
    size = int(forests.rung[nth(level)]["size"])
    cells.holder[nth(layer_of(forests, FREE, level)["base"] + number)] = holder
    at = number
    for up in range(level, forests.rung.size):
        layer = layer_of(forests, FREE, up)
        cells.guests[nth(layer["base"] + at)] += -size if holder == NOBODY else size
        if at >= layer["inner"]:
            break
        at //= int(forests.rung[nth(up + 1)]["fan"])


@kernel
def guest_in(forests: Forests, cells: Cells, level: int, number: int) -> int:
    """Return an opportunistic job that holds a physical cell, a cell in it, or one that it is part of, or NOBODY."""
    at = number
    for up in range(level, forests.state[Kept.NODE] + 1):
        found = int(cells.holder[nth(layer_of(forests, FREE, up)["base"] + at)])
        if found != NOBODY:
            return found
        if up + 1 < forests.rung.size:
            at //= int(forests.rung[nth(up + 1)]["fan"])
    if cells.guests[nth(layer_of(forests, FREE, level)["base"] + number)] == 0:
        return NOBODY
    for below in range(level - 1, -1, -1):
        ratio = int(forests.rung[nth(level)]["size"] // forests.rung[nth(below)]["size"])
        base = int(layer_of(forests, FREE, below)["base"])
        for child in range(number * ratio, number * ratio + ratio):
            if cells.holder[nth(base + child)] != NOBODY:
                return int(cells.holder[nth(base + child)])
    return NOBODY
