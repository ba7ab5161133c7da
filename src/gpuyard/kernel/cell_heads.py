"""Who is first in a queue of cells and finds none: when it may count on them, and who may start before it.

A head waits for a number of free cells of its level.  Of each such cell of its forest it is counted how many holders
stand in its way at the shadow time.  ``docs/semantics.md``, *The pass in cells*, is the specification.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import layer_of
from gpuyard.kernel.cells import FREE, IDLE, Cells, Claims, Forests, Kept
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import CHUNK_ROOM, Expectations
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Jobs, Log, Records

__all__ = ["Heads", "build_heads", "has_head", "may_stay", "reserve_cells"]

HEAD = np.dtype(
    [
        ("turn", np.int64),  # the pass in which it was found
        ("level", np.int64),
        ("count", np.int64),  # cells that it waits for
        ("shadow", np.int64),  # NEVER: there will never be as many
        ("free", np.int64),  # cells of its level that are expected to be free then
    ]
)
"""The head of the queue of a forest."""


class Heads(NamedTuple):
    """The heads of all queues, by forest."""

    head: Records  # shape (forests,)
    load: NDArray[np.int32]  # shape (cells,): who is expected to hold some of a cell at the shadow time, or all of it


def build_heads(forests: Forests) -> Heads:
    """Return queues without heads."""
    head = np.zeros(forests.given.size, HEAD)
    head["turn"] = NOBODY
    return Heads(head=head, load=np.zeros(forests.left.size, np.int32))


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


@inner
def _weigh_job(
    jobs: Jobs, log: Log, forests: Forests, cells: Cells, claims: Claims, heads: Heads, forest: int, row: int, sign: int
) -> None:
    """Note that the cells of a running job stand in the way of a head, or, with -1, that they do not."""
    level = int(claims.claim[nth(jobs.claim[nth(row)]["demand"])]["level"])
    size, node_size = forests.rung[nth(level)]["size"], forests.rung[nth(forests.state[Kept.NODE])]["size"]
    first = int(jobs.claim[nth(row)]["slot"])
    for slot in range(first, first + jobs.claim[nth(row)]["slots"]):
        number = int((log.slots[nth(slot)]["node"] * node_size + log.gpu[nth(slot)]) // size)
        if forest != IDLE:
            number = int(cells.virtual[nth(layer_of(forests, FREE, level)["base"] + number)])
        _weigh(forests, heads, forest, level, number, sign)


@inlined
def _holds(jobs: Jobs, stays: Stays, claims: Claims, forest: int, row: int) -> bool:
    """Return whether a running job holds cells of a forest."""
    if forest == IDLE:
        return True
    lent = stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["guest"] > 0
    return bool(not lent and claims.claim[nth(jobs.claim[nth(row)]["demand"])]["forest"] == forest)


@kernel
def reserve_cells(
    jobs: Jobs,
    log: Log,
    stays: Stays,
    expected: Expectations,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    heads: Heads,
    forest: int,
    row: int,
    turn: int,
) -> None:
    """Let a job be the head of the queue of a forest: find the first expected end after which there are its cells."""
    asked, head = claims.claim[nth(jobs.claim[nth(row)]["demand"])], heads.head[nth(forest)]
    head["turn"], head["level"], head["count"], head["shadow"] = turn, asked["level"], asked["count"], NEVER
    layer = layer_of(forests, forest, int(asked["level"]))
    head["free"] = layer["cells"]
    for cell in range(layer["base"], layer["base"] + layer["cells"]):
        heads.load[nth(cell)] = 0
    ends = expected.ends
    for chunk in range(ends.size[0]):
        base = int(ends.order[nth(chunk)]) * CHUNK_ROOM
        for at in range(base, base + ends.held[nth(base // CHUNK_ROOM)]):
            if _holds(jobs, stays, claims, forest, int(ends.row[nth(at)])):
                _weigh_job(jobs, log, forests, cells, claims, heads, forest, int(ends.row[nth(at)]), 1)
    last = NEVER
    for chunk in range(ends.size[0]):
        base = int(ends.order[nth(chunk)]) * CHUNK_ROOM
        for at in range(base, base + ends.held[nth(base // CHUNK_ROOM)]):
            if ends.time[nth(at)] != last and last != NEVER and head["free"] >= head["count"]:
                head["shadow"] = last
                return
            if _holds(jobs, stays, claims, forest, int(ends.row[nth(at)])):
                _weigh_job(jobs, log, forests, cells, claims, heads, forest, int(ends.row[nth(at)]), -1)
                last = int(ends.time[nth(at)])
    if head["free"] >= head["count"]:
        head["shadow"] = last


@kernel
def may_stay(
    jobs: Jobs, expected: Expectations, forests: Forests, claims: Claims, heads: Heads, forest: int, row: int, now: int
) -> bool:
    """Return whether a job may start behind the head in the cells that are chosen: it is short, or leaves enough."""
    asked, head = claims.claim[nth(jobs.claim[nth(row)]["demand"])], heads.head[nth(forest)]
    if head["shadow"] == NEVER or expected.estimate[nth(row)] <= head["shadow"] - now:
        return True
    for place in range(asked["count"]):
        _weigh(forests, heads, forest, int(asked["level"]), int(claims.chosen[nth(place)]), 1)
    if head["free"] >= head["count"]:
        return True
    for place in range(asked["count"]):
        _weigh(forests, heads, forest, int(asked["level"]), int(claims.chosen[nth(place)]), -1)
    return False
