"""Queues of partitions: who is the head of each in a pass, what it was promised, and which queues are blocked.

A site whose partitions have no nodes of their own has one queue, that of the whole cluster.
``docs/semantics.md``, *Queues of partitions*, is the specification.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.expectations import CHUNK_ROOM, Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Records

__all__ = [
    "MOST_TOLD",
    "PARTITION",
    "WHOLE",
    "Partitions",
    "Round",
    "build_partitions",
    "close_round",
    "has_head",
    "heads_that_hold",
    "holds_back",
    "is_blocked",
    "is_outdated",
    "is_over",
    "join_queue",
    "lead",
    "leave_queue",
    "made_for_all",
    "made_of",
    "note_ahead",
    "note_end",
    "note_ends",
    "note_outstaying",
    "open_round",
    "partition_of",
    "reserve_for",
]

WHOLE = 0
"""The queue of the whole cluster."""
MOST_TOLD = 62
"""Queues that :func:`heads_that_hold` has bits for."""

PARTITION = np.dtype(
    [
        ("first", np.int64),  # its first node in Partitions.node
        ("last", np.int64),  # after its last node
        ("waiting", np.int64),  # jobs that wait in it
        ("head", np.int64),  # the job that its reservation is for, or NOBODY
        ("wish", np.int64),  # the demand of the head that it is for: its own, or that with one of its types alone
        ("shadow", np.int64),  # when the head is expected to start
        ("until", np.int64),  # and to end
        ("reserved", np.int64),  # nodes reserved, of Partitions.promised
        ("stale", np.int64),  # 1 = something happened that the reservation does not know of
        ("found", np.int64),  # the round in which it had a head last
        ("made", np.int64),  # the round in which its reservation was made
        ("blocked", np.int64),  # the round in which it was blocked last
        ("withheld", np.int64),  # 1 = its nodes are hidden now
        ("noted", np.int64),  # what the log of decisions says last of it, or NOBODY
        ("listed", np.int64),  # the n-th of the queues that have a head in this round, at place n
    ]
)
"""A queue; microseconds."""

PAIR = np.dtype(
    [
        ("meets", np.int8),  # 1 = the two have a node in common
        ("ahead", np.int64),  # when the other's reservation was made beside which the one's was; 0 = beside none
    ]
)
"""What one queue has to do with another."""


class Round(IntEnum):
    """Places in the state of the queues."""

    NUMBER = 0
    """of the round"""
    HEADS = 1
    """queues that have a head in it"""
    SIZE = 2


class Partitions(NamedTuple):
    """Queues of partitions."""

    own: Records  # shape (queues,)
    pair: Records  # by (queue, queue)
    of: NDArray[np.int32]  # shape (jobs,)
    node: NDArray[np.int32]  # nodes, queue after queue
    promised: NDArray[np.int32]  # by (queue, place): nodes reserved
    state: NDArray[np.int64]  # by Round


def build_partitions(of: NDArray[np.int64], nodes: list[NDArray[np.int64]], total: int) -> Partitions:
    """Return queues in which nobody waits.

    Parameters
    ----------
    of
        The queue of each job, shape (jobs,): 0 is that of the whole cluster.
    nodes
        The numbers of the nodes of each other queue.
    total
        Nodes of the site.
    """
    all_nodes = [np.arange(total), *nodes]
    own = np.zeros(len(all_nodes), PARTITION)
    own["last"] = np.cumsum([each.size for each in all_nodes])
    own["first"] = own["last"] - [each.size for each in all_nodes]
    own["head"] = own["noted"] = NOBODY
    has = np.zeros((own.size, total), np.bool_)
    for number, each in enumerate(all_nodes):
        has[number, each] = True
    pair = np.zeros(own.size * own.size, PAIR)
    pair["meets"] = (has[:, None, :] & has[None, :, :]).any(axis=2).ravel()
    return Partitions(
        own=own,
        pair=pair,
        of=of.astype(np.int32),
        node=np.concatenate(all_nodes).astype(np.int32),
        promised=np.empty(own.size * total, np.int32),
        state=np.zeros(Round.SIZE, np.int64),
    )


@inlined
def partition_of(partitions: Partitions, row: int) -> int:
    """Return the queue of a job."""
    return int(partitions.of[nth(row)])


@inlined
def join_queue(partitions: Partitions, row: int) -> None:
    """Note that a job waits in its queue."""
    partitions.own[nth(partitions.of[nth(row)])]["waiting"] += 1


@inlined
def leave_queue(partitions: Partitions, number: int) -> None:
    """Note that a job of a queue waits no more."""
    partitions.own[nth(number)]["waiting"] -= 1


@inlined
def open_round(partitions: Partitions) -> None:
    """Begin with the first job again: no queue has a head, and none is blocked."""
    partitions.state[Round.NUMBER] += 1
    partitions.state[Round.HEADS] = 0


@inlined
def close_round(partitions: Partitions) -> None:
    """Let the queues that found no head lose their reservations."""
    for number in range(partitions.own.size):
        if partitions.own[nth(number)]["found"] != partitions.state[Round.NUMBER]:
            partitions.own[nth(number)]["head"] = NOBODY


@inlined
def has_head(partitions: Partitions, number: int) -> bool:
    """Return whether a queue has found its head in this round."""
    return bool(partitions.own[nth(number)]["found"] == partitions.state[Round.NUMBER])


@inlined
def is_blocked(partitions: Partitions, number: int) -> bool:
    """Return whether nobody of a queue is tried any more in this round."""
    return bool(partitions.own[nth(number)]["blocked"] == partitions.state[Round.NUMBER])


@kernel
def is_over(partitions: Partitions) -> bool:
    """Return whether nobody is left in this round who could be tried: all who wait are in queues that are blocked."""
    over = True
    for number in range(partitions.own.size):
        over = over and (partitions.own[nth(number)]["waiting"] == 0 or is_blocked(partitions, number))
    return bool(over or is_blocked(partitions, WHOLE))


@inlined
def holds_back(partitions: Partitions, length: int, now: int) -> bool:
    """Return whether a job that would stay so long is not short for the head of some queue."""
    held = False
    for place in range(partitions.state[Round.HEADS]):
        held = held or length > partitions.own[nth(partitions.own[nth(place)]["listed"])]["shadow"] - now
    return bool(held)


@inlined
def heads_that_hold(partitions: Partitions, number: int, length: int, now: int) -> int:
    """Return for the heads of which queues a job of a queue that would stay so long is not short: a bit for each.

    Those whose nodes no job of the queue can use are left out.
    """
    heads = 0
    for place in range(partitions.state[Round.HEADS]):
        other = int(partitions.own[nth(place)]["listed"])
        meets = partitions.pair[nth(number * partitions.own.size + other)]["meets"] > 0
        if meets and length > partitions.own[nth(other)]["shadow"] - now:
            heads |= 1 << other
    return heads


@inlined
def made_of(partitions: Partitions, heads: int) -> int:
    """Return the sum of the rounds in which the reservations of some heads were made: it rises when one is made anew.

    NOBODY if one of these queues has not found its head in this round.
    """
    made = 0
    for number in range(partitions.own.size):
        if heads >> number & 1:
            if not has_head(partitions, number):
                return NOBODY
            made += int(partitions.own[nth(number)]["made"])
    return made


@inlined
def made_for_all(partitions: Partitions) -> int:
    """Return when the reservation for the head of the whole cluster was made, or NOBODY if none is found."""
    return int(partitions.own[WHOLE]["made"]) if has_head(partitions, WHOLE) else NOBODY


@inlined
def note_end(partitions: Partitions, row: int) -> None:
    """Note that a job ended, was preempted or outstayed its estimate; what ends beyond the jobs is of all queues."""
    number = partitions.of[nth(row)] if row < partitions.of.size else WHOLE
    for other in range(partitions.own.size):
        if partitions.pair[nth(number * partitions.own.size + other)]["meets"] > 0:
            partitions.own[nth(other)]["stale"] = 1


@inlined
def note_ends(partitions: Partitions) -> None:
    """Note what every queue has to know: a window ended."""
    for number in range(partitions.own.size):
        partitions.own[nth(number)]["stale"] = 1


@inlined
def note_ahead(partitions: Partitions, number: int) -> None:
    """Note that a job of a queue started: ahead of the heads that are not found yet."""
    for other in range(partitions.own.size):
        meets = partitions.pair[nth(number * partitions.own.size + other)]["meets"] > 0
        if meets and not has_head(partitions, other):
            partitions.own[nth(other)]["stale"] = 1


@kernel
def note_outstaying(partitions: Partitions, expected: Expectations, now: int) -> None:
    """Note which running jobs have outstayed their expected ends, before these are corrected."""
    ends = expected.ends
    for chunk in range(ends.size[0]):
        base = ends.order[nth(chunk)] * CHUNK_ROOM
        for at in range(base, base + ends.held[nth(ends.order[nth(chunk)])]):
            if ends.time[nth(at)] > now:
                return
            note_end(partitions, int(ends.row[nth(at)]))


@kernel
def is_outdated(partitions: Partitions, number: int, row: int, wish: int) -> bool:
    """Return whether a queue whose head is this job needs another reservation than it has."""
    own = partitions.own[nth(number)]
    outdated = own["head"] != row or own["wish"] != wish or own["stale"] > 0
    for other in range(partitions.own.size):
        pair = partitions.pair[nth(number * partitions.own.size + other)]
        outdated = outdated or (pair["meets"] > 0 and pair["ahead"] != _made_ahead(partitions, other))
    return bool(outdated)


@inlined
def _made_ahead(partitions: Partitions, other: int) -> int:
    """Return the round in which a queue's reservation was made, if its head is found in this round, else 0."""
    return int(partitions.own[nth(other)]["made"]) if has_head(partitions, other) else 0


@inlined
def lead(partitions: Partitions, number: int) -> None:
    """Note that a queue has found its head, for whom its reservation is."""
    own, state = partitions.own[nth(number)], partitions.state
    own["found"] = state[Round.NUMBER]
    own["stale"] = 0
    partitions.own[nth(state[Round.HEADS])]["listed"] = number
    state[Round.HEADS] += 1


@kernel
def reserve_for(partitions: Partitions, number: int, row: int, wish: int) -> None:
    """Begin a reservation, of nothing yet, for a job that is the head of a queue."""
    own, now = partitions.own[nth(number)], partitions.state[Round.NUMBER]
    own["head"], own["wish"], own["made"], own["reserved"] = row, wish, now, 0
    for other in range(partitions.own.size):
        pair = partitions.pair[nth(number * partitions.own.size + other)]
        pair["ahead"] = _made_ahead(partitions, other) if pair["meets"] > 0 else 0
