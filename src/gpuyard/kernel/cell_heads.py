"""Who is first in a queue of cells and finds none: when it may count on them, and who may start before it.

A head waits for a number of free cells of its level.  Of each cell that a job holds it is known when that is expected
to end, so that a head's time needs no look at the jobs, and is known still where nothing changed in its forest.
``docs/semantics.md``, *The pass in cells*, is the specification.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import layer_of
from gpuyard.kernel.cells import FREE, IDLE, Cells, Claims, Forests, Kept
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Jobs, Log, Records

__all__ = ["FREE_NOW", "Heads", "build_heads", "expect_cells", "has_head", "is_short", "may_stay", "reserve_cells"]

FREE_NOW: Final = -NEVER
"""The expected end where nobody holds a cell."""

HEAD = np.dtype(
    [
        ("turn", np.int64),  # the pass in which it was found
        ("known", np.int64),  # the last pass in which it mattered when it may count on cells
        ("version", np.int64),  # that of its forest when this was worked out, or NOBODY
        ("level", np.int64),
        ("count", np.int64),  # cells that it waits for
        ("shadow", np.int64),  # NEVER: there will never be as many
        ("free", np.int64),  # cells of its level that are expected to be free then
    ]
)
"""The head of the queue of a forest."""


class Heads(NamedTuple):
    """The heads of all queues, and when the cells of all forests are expected to be free; cells as among all."""

    head: Records  # shape (forests,)
    version: NDArray[np.int64]  # shape (forests,): how often an expected end in it changed
    until: NDArray[np.int64]  # shape (cells,): expected end of the job that holds just this cell, or FREE_NOW
    clear: NDArray[np.int64]  # shape (cells,): room for when nobody will hold a cell, a cell in it, or one around it
    first: NDArray[np.int64]  # room for the first times of these
    load: NDArray[np.int32]  # shape (cells,): at the shadow time, 1 = held, and one more for each who may start there


def build_heads(forests: Forests, claims: Claims) -> Heads:
    """Return queues without heads, and cells that nobody holds."""
    head = np.zeros(forests.given.size, HEAD)
    head["turn"] = head["known"] = head["version"] = NOBODY
    cells = forests.left.size
    return Heads(
        head=head,
        version=np.zeros(head.size, np.int64),
        until=np.full(cells, FREE_NOW, np.int64),
        clear=np.empty(cells, np.int64),
        first=np.empty(claims.chosen.size, np.int64),
        load=np.zeros(cells, np.int32),
    )


@inlined
def has_head(heads: Heads, forest: int, turn: int) -> bool:
    """Return whether the queue of a forest has its head in this pass."""
    return bool(heads.head[nth(forest)]["turn"] == turn)


@kernel
def _weigh(forests: Forests, heads: Heads, forest: int, level: int, number: int, sign: int) -> None:
    """Note that a cell of a level stands in the way of those of the head's level, or, with -1, that it does not."""
    head = heads.head[nth(forest)]
    own = int(head["level"])
    first, last = number, number + 1
    if level >= own:
        ratio = int(forests.rung[nth(level)]["size"] // forests.rung[nth(own)]["size"])
        first, last = number * ratio, number * ratio + ratio
    else:
        for up in range(level, own):
            if first >= layer_of(forests, forest, up)["inner"]:
                return
            first //= int(forests.rung[nth(up + 1)]["fan"])
        last = first + 1
    base = int(layer_of(forests, forest, own)["base"])
    for cell in range(first, last):
        held = int(heads.load[nth(base + cell)])
        heads.load[nth(base + cell)] = held + sign
        if held == 0:
            head["free"] -= 1
        elif held + sign == 0:
            head["free"] += 1


@kernel
def expect_cells(
    jobs: Jobs, log: Log, stays: Stays, forests: Forests, cells: Cells, claims: Claims, heads: Heads, row: int, end: int
) -> None:
    """Note when a running job is expected to leave its cells, or, with FREE_NOW, that it does so now; if it has any."""
    if jobs.claim[nth(row)]["slots"] == 0:
        return
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    level, forest = int(asked["level"]), int(asked["forest"])
    lent = stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["guest"] > 0
    size, node_size = forests.rung[nth(level)]["size"], forests.rung[nth(forests.state[Kept.NODE])]["size"]
    first = int(jobs.claim[nth(row)]["slot"])
    heads.version[nth(IDLE)] += 1
    heads.version[nth(IDLE if lent else forest)] += 1
    for slot in range(first, first + jobs.claim[nth(row)]["slots"]):
        there = int((log.slots[nth(slot)]["node"] * node_size + log.gpu[nth(slot)]) // size)
        heads.until[nth(layer_of(forests, IDLE, level)["base"] + there)] = end
        if not lent:
            number = int(cells.virtual[nth(layer_of(forests, FREE, level)["base"] + there)])
            heads.until[nth(layer_of(forests, forest, level)["base"] + number)] = end


@inner
def _note_clear(forests: Forests, heads: Heads, forest: int, level: int) -> None:
    """Write for each cell of a level when nobody will hold it, a cell in it, or one that it is part of."""
    clear, until = heads.clear, heads.until
    for below in range(level + 1):
        layer = layer_of(forests, forest, below)
        for cell in range(layer["base"], layer["base"] + layer["cells"]):
            clear[nth(cell)] = until[nth(cell)]
    for below in range(level):
        layer, above = layer_of(forests, forest, below), layer_of(forests, forest, below + 1)
        fan, base = int(forests.rung[nth(below + 1)]["fan"]), int(layer["base"])
        for first in range(0, layer["inner"], fan):
            parent = nth(above["base"] + first // fan)
            for cell in range(base + first, base + first + fan):
                clear[parent] = max(clear[parent], clear[nth(cell)])
    layer = layer_of(forests, forest, level)
    for number in range(layer["inner"]):
        at, up = number, level
        while up < forests.state[Kept.NODE] and at < layer_of(forests, forest, up)["inner"]:
            up += 1
            at //= int(forests.rung[nth(up)]["fan"])
            around = until[nth(layer_of(forests, forest, up)["base"] + at)]
            clear[nth(layer["base"] + number)] = max(clear[nth(layer["base"] + number)], around)


@inner
def _time_of(heads: Heads, base: int, cells: int, count: int) -> int:
    """Return when so many of some cells are clear, or NEVER."""
    first, found = heads.first, 0
    for cell in range(base, base + cells):
        time = heads.clear[nth(cell)]
        at = found
        if found < count:
            found += 1
        elif time >= first[nth(count - 1)]:
            continue
        else:
            at = count - 1
        while at > 0 and first[nth(at - 1)] > time:
            first[nth(at)] = first[nth(at - 1)]
            at -= 1
        first[nth(at)] = time
    return int(first[nth(count - 1)]) if found == count else NEVER


@inlined
def reserve_cells(claims: Claims, heads: Heads, forest: int, wish: int, turn: int) -> None:
    """Let a job of a demand be the head of the queue of a forest."""
    asked, head = claims.claim[nth(wish)], heads.head[nth(forest)]
    head["turn"] = turn
    if head["level"] != asked["level"] or head["count"] != asked["count"]:
        head["level"], head["count"], head["version"] = asked["level"], asked["count"], NOBODY


@inlined
def _know_time(forests: Forests, heads: Heads, forest: int) -> None:
    """Find the first expected end after which there are cells for the head, if that is not known yet.

    Who starts behind the head leaves it that time.
    """
    head = heads.head[nth(forest)]
    if head["known"] != head["turn"]:
        head["known"] = head["turn"]
        if head["version"] != heads.version[nth(forest)]:
            _find_time(forests, heads, forest)


@inner
def _find_time(forests: Forests, heads: Heads, forest: int) -> None:
    """Work out when there are cells for the head, and which of its level are held then."""
    head = heads.head[nth(forest)]
    level, count = int(head["level"]), int(head["count"])
    head["version"] = heads.version[nth(forest)]
    layer = layer_of(forests, forest, level)
    base, cells = int(layer["base"]), int(layer["cells"])
    _note_clear(forests, heads, forest, level)
    shadow = _time_of(heads, base, cells, count)
    head["shadow"], head["free"] = shadow, 0
    for cell in range(base, base + cells):
        held = heads.clear[nth(cell)] > shadow
        heads.load[nth(cell)] = held
        head["free"] += not held


@inlined
def is_short(forests: Forests, heads: Heads, forest: int, length: int, now: int) -> bool:
    """Return whether an attempt of some length is no hindrance to the head, wherever it runs."""
    _know_time(forests, heads, forest)
    shadow = heads.head[nth(forest)]["shadow"]
    return bool(shadow == NEVER or length <= shadow - now)


@kernel
def may_stay(
    jobs: Jobs, expected: Expectations, forests: Forests, claims: Claims, heads: Heads, forest: int, row: int, now: int
) -> bool:
    """Return whether a job may start behind the head in the cells that are chosen: it is short, or leaves enough."""
    asked, head = claims.claim[nth(jobs.claim[nth(row)]["demand"])], heads.head[nth(forest)]
    if is_short(forests, heads, forest, int(expected.estimate[nth(row)]), now):
        return True
    for place in range(asked["count"]):
        _weigh(forests, heads, forest, int(asked["level"]), int(claims.chosen[nth(place)]), 1)
    if head["free"] >= head["count"]:
        return True
    for place in range(asked["count"]):
        _weigh(forests, heads, forest, int(asked["level"]), int(claims.chosen[nth(place)]), -1)
    return False
