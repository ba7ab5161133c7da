"""The log of decisions: what was promised to whom, and who was first and found no room.

Only the engine knows these; everything else about a run can be worked out from who ran where.  A log with no room
costs one comparison where a reservation is made, which is rare.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, Promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.partitions import WHOLE, Partitions
from gpuyard.kernel.tables import DECISION, Decisions, Log

__all__ = [
    "MOST_ENTRIES",
    "MOST_NODES",
    "Noted",
    "build_decisions",
    "note_block",
    "note_head",
    "note_plan",
    "note_promise",
    "note_reservation",
]

MOST_ENTRIES = 1_000_000
"""Entries that a log has room for: 40 MB."""
MOST_NODES = 8_000_000
"""Reserved nodes that it has room for, over all entries: 32 MB."""


class Noted(IntEnum):
    """Places in the state of a log of decisions."""

    ENTRIES = 0
    NODES = 1
    LOST = 2
    """entries that found no room"""
    NAMELESS = 3
    """entries whose nodes found no room"""
    SIZE = 4


def build_decisions(jobs: int, entries: int = MOST_ENTRIES, nodes: int = MOST_NODES) -> Decisions:
    """Return an empty log with room for so many entries and reserved nodes; 0 entries for no log."""
    return Decisions(
        entry=np.empty(entries, DECISION),
        node=np.empty(nodes if entries else 0, np.int32),
        last=np.full(jobs if entries else 0, NEVER, np.int64),
        state=np.zeros(Noted.SIZE, np.int64),
    )


@inlined
def note_reservation(log: Log, expected: Expectations, head: int, now: int) -> None:
    """Note what was promised to the head, unless it is what was noted last."""
    if log.decisions.entry.size > 0:
        promise, last = expected.promise, int(log.decisions.state[Noted.ENTRIES] - 1)
        extra = promise[Promise.EXTRA] if promise[Promise.COUNTS] > 0 else -1
        nodes, begin = int(promise[Promise.RESERVED]), int(promise[Promise.SHADOW])
        _write_reservation(log.decisions, last, begin, int(extra), expected.reserved, 0, nodes, head, now)


@inlined
def note_promise(log: Log, partitions: Partitions, number: int, extra: int, now: int) -> None:
    """Note what was promised to the head of a queue, unless it is what was noted last of the queue.

    ``extra``: thousandths of a GPU left to others, or -1 where these are not counted.
    """
    if log.decisions.entry.size > 0:
        own, promised = partitions.own[nth(number)], partitions.promised
        base = number * partitions.own[WHOLE]["last"]
        own["noted"] = _write_reservation(
            log.decisions, own["noted"], own["shadow"], extra, promised, base, own["reserved"], own["head"], now
        )


@inlined
def note_head(log: Log, head: int, now: int) -> None:
    """Note who is first and finds no room, with nobody allowed to pass, unless it was noted last."""
    if log.decisions.entry.size > 0:
        _write_head(log.decisions, int(log.decisions.state[Noted.ENTRIES] - 1), head, now)


@inlined
def note_block(log: Log, partitions: Partitions, number: int, head: int, now: int) -> None:
    """Note who blocks a queue, unless it was noted last of the queue."""
    if log.decisions.entry.size > 0:
        own = partitions.own[nth(number)]
        own["noted"] = _write_head(log.decisions, own["noted"], head, now)


@inlined
def note_plan(log: Log, row: int, begin: int, now: int) -> None:
    """Note when a job is planned to begin (NEVER: it is not planned), unless that was noted last of it."""
    if log.decisions.entry.size > 0 and log.decisions.last[nth(row)] != begin:
        log.decisions.last[nth(row)] = begin
        _write(log.decisions, row, begin, -1, 0, now)


@kernel
def _write(decisions: Decisions, row: int, begin: int, extra: int, nodes: int, now: int) -> bool:
    """Write an entry, and return whether there was room."""
    state = decisions.state
    if state[Noted.ENTRIES] == decisions.entry.size:
        state[Noted.LOST] += 1
        return False
    entry = decisions.entry[state[Noted.ENTRIES]]
    entry["time"] = now
    entry["begin"] = begin
    entry["extra"] = extra
    entry["first"] = state[Noted.NODES]
    entry["job"] = row
    entry["nodes"] = nodes
    state[Noted.ENTRIES] += 1
    return True


@kernel
def _write_head(decisions: Decisions, last: int, head: int, now: int) -> int:
    """Write who is first, unless it is what entry ``last`` says; return the entry that says it."""
    if last >= 0 and decisions.entry[last]["job"] == head:
        return last
    return int(decisions.state[Noted.ENTRIES] - 1) if _write(decisions, head, NEVER, -1, 0, now) else last


@kernel
def _write_reservation(
    decisions: Decisions,
    last: int,
    begin: int,
    extra: int,
    reserved: NDArray[np.int32],
    base: int,
    nodes: int,
    head: int,
    now: int,
) -> int:
    """Write what was promised, unless it is what entry ``last`` says; return the entry that says it.

    The nodes reserved are ``reserved``, from ``base`` on.
    """
    state = decisions.state
    if state[Noted.LOST] == 0 and _says(decisions, last, head, begin, extra, reserved, base, nodes):
        return last
    if not _write(decisions, head, begin, extra, nodes, now):
        return last
    if state[Noted.NODES] + nodes > decisions.node.size:
        decisions.entry[state[Noted.ENTRIES] - 1]["first"] = -1
        state[Noted.NAMELESS] += 1
        return int(state[Noted.ENTRIES] - 1)
    for place in range(nodes):
        decisions.node[nth(state[Noted.NODES] + place)] = reserved[nth(base + place)]
    state[Noted.NODES] += nodes
    return int(state[Noted.ENTRIES] - 1)


@kernel
def _says(
    decisions: Decisions,
    number: int,
    head: int,
    begin: int,
    extra: int,
    reserved: NDArray[np.int32],
    base: int,
    nodes: int,
) -> bool:
    """Return whether an entry says that this was promised; -1 says nothing."""
    if number < 0:
        return False
    entry = decisions.entry[number]
    if entry["job"] != head or entry["begin"] != begin or entry["extra"] != extra or entry["nodes"] != nodes:
        return False
    if entry["first"] < 0:
        return nodes == 0
    differs = False
    for place in range(nodes):
        differs |= decisions.node[nth(entry["first"] + place)] != reserved[nth(base + place)]
    return not differs
