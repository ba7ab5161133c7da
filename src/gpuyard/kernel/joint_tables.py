"""What a loop knows that tries every waiting job in every pass: whose turn it is, and who may be taken away.

``docs/semantics.md``, *Scores, easy and windows beside preemption and tenants*, is the specification.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.tables import Records

__all__ = ["ENTRY", "HELD", "LANE", "PREY", "QUEUE", "VAIN", "Joint", "Ordered", "Party", "build_joint"]

QUEUE = np.dtype(
    [
        ("first", np.int64),  # where its heap begins in Joint.turn
        ("size", np.int64),  # jobs that are still to be tried
        ("manned", np.int64),  # the n-th of those of which somebody waits, at place n
        ("prey", np.int64),  # the first of its running jobs in Joint.prey, or NOBODY
        ("cursor", np.int64),  # likewise, the first that was not looked at
        ("held", np.int64),  # thousandths of GPUs of those that are listed there
        ("gives", np.int64),  # the try in which it was last among those of whom some may be taken
        ("greedy", np.int64),  # 1 = it is known whom fair sharing would take of it, as shares tell
        ("low", np.float64),  # the least that the share of the asker's may become
        ("started", np.int64),  # the instant at which a job of its tenant started last
        ("named", np.int64),  # where cohorts share: the queue whose first job its tenant names, or NOBODY
        ("resource", np.int64),  # likewise, which resource that job is of
        ("more", np.int64),  # thousandths of GPUs that it adds to what its tenant uses
        ("share", np.float64),  # of the child that named it, with it
        ("eligible", np.int64),  # 1 = it counts
        ("counts", np.int64),  # 1 = its tenant counts
        ("below", np.int64),  # how many of those directly below its tenant count
        ("part", np.float64),  # the share of its tenant, if that counts
        ("own_part", np.float64),  # and of itself, if it counts
        ("robbed", np.int64),  # the n-th of those that have running jobs in Joint.prey, at place n
    ]
)
"""A tenant's queue; where one queue is for all, that of the root."""

PREY = np.dtype(
    [
        ("level", np.int64),
        ("loss", np.int64),  # by which those of one level are listed
        ("taken", np.int64),  # the try in which it was taken last
        ("chosen", np.int64),  # likewise, in which it was among those that fair sharing would take
        ("row", np.int32),
        ("attempt", np.int32),
        ("next", np.int32),  # the next of its tenant, or NOBODY
    ]
)
"""A running job that may be taken away in a pass."""

VAIN = np.dtype(
    [
        ("until", np.int64),  # Party.GIVEN before which nobody of its kin finds room who is no better off
        ("level", np.int64),  # of the job that found none
        ("length", np.int64),  # of the attempt that was expected
        ("moves", np.int64),  # 1 = Party.MOVED counts as well
        ("exact", np.int64),  # 1 = it tells nothing of less urgent jobs
        ("beside_until", np.int64),  # the same of one that could not have the reserved nodes
        ("beside_level", np.int64),
        ("beside_length", np.int64),
        ("beside_moves", np.int64),
        ("beside_exact", np.int64),
        ("beside_heads", np.int64),  # the heads that held it back, of partitions.heads_that_hold
        ("beside_terms", np.int64),  # and when their reservations were made, of partitions.made_of
        ("breed", np.int64),  # of a kin: where it is known what holds for other tenants' jobs as well
    ]
)
"""What is known of a *kin*: of jobs that ask for the same and are of one tenant and queue, to which the same nodes are
open; or of a *breed*: of those kins that differ in the tenant only.
"""

HELD = np.dtype(
    [
        ("until", np.int64),  # Party.GIVEN before which nobody else's start lets more be taken
        ("stirred", np.int64),  # Joint.stirred of the tenant or group when it held the asker; NOBODY if none did
        ("level", np.int64),  # of the job that was held
        ("moves", np.int64),  # 1 = Party.MOVED counts as well
        ("node", np.int32),  # the tenant or group, numbered as in tenancy.LINK
    ]
)
"""What holds an asker even if all were taken away that may be."""


LANE = np.dtype(
    [
        ("row", np.int64),  # a job of it
        ("kin", np.int64),
        ("look", np.int64),  # Party.LOOK when what follows was written
        ("level", np.int64),  # from which on none of its jobs starts
        ("exact", np.int64),  # 1 = none of those does that have this level
        ("beside_level", np.int64),  # from which on none of those does that are not short and stay
        ("beside_length", np.int64),  # so long or longer
        ("beside_exact", np.int64),
        ("least", np.int64),  # none of those of its jobs that wait has a lower level
        ("most", np.int64),  # nor a higher one
        ("first", np.int64),  # the place of one of them, or NOBODY
        ("best", np.int64),  # of the one whose turn is next, or is now
        ("heap", np.int64),  # where the heap of those after it begins in Joint.turn; NOBODY: they are in no order yet
        ("size", np.int64),  # of that heap
        ("listed", np.int64),  # the n-th lane of which somebody waits, at place n
        ("stands", np.int64),  # at which place it is listed itself
    ]
)
"""A *lane*: jobs that are kin and of one asker."""

ENTRY = np.dtype(
    [
        ("level", np.int64),
        ("length", np.int64),  # how long its next attempt is expected to last
        ("lane", np.int32),
        ("before", np.int32),  # the place of the job before it in its lane, or NOBODY
        ("after", np.int32),  # of a gap in the list: the gap before it
        ("row", np.int32),
    ]
)
"""A waiting job."""


class Party(IntEnum):
    """Places in the state of the loop."""

    LENGTH = 0
    """places of the list of waiting jobs in use, those of jobs that started in this round included"""
    PASSING = 1
    """who may pass a job that finds no room, of scored_queue.Passing"""
    SKIPS = 2
    """1 = who asks for the same as one that was refused is not tried"""
    SHARED = 3
    """1 = there are tenants: passes go in rounds"""
    PREEMPTS = 4
    """1 = there is a preemption rule"""
    SCORED = 5
    """1 = the order has a score"""
    ROUND = 6
    """number of the round"""
    TRY = 7
    """number of the last try to make room"""
    LISTED = 8
    """jobs that may be taken away in this pass, NOBODY if that was not asked yet"""
    QUEUES = 9
    """queues with jobs that are still to be tried"""
    GIVEN = 10
    """number of slots that were given back, or may be taken away since; it jumps where nobody counts them"""
    RECALLS = 11
    """1 = who was refused is remembered"""
    OPENS = 12
    """1 = no window begins after this instant: how long a job stays does not matter to any"""
    SHIFTS = 13
    """1 = any start may change who finds room: shares decide whose turn it is, or from whom others may take"""
    SHIFTED = 14
    """1 = a start was at this instant after which others may find room at the next"""
    HOLDER = 15
    """the tenant or group that holds the job for which no room was made last, or NOBODY: it is for want of room"""
    ORIGIN = 16
    """an instant before which nothing happens"""
    PROMOTED = 17
    """1 = the level of a waiting job changed"""
    ORDERED = 18
    """how far the queues are in order, of Ordered"""
    GAPS = 19
    """the last place of the list whose job has started, plus 1, or 0; ENTRY.after names the one before it"""
    LEAVES = 20
    """1 = who is known to find no room is left off the queues"""
    LENDS = 21
    """1 = a start of who borrows may change from whom others may take"""
    MOVED = 22
    """number of such starts, and of passes after which those who started in them may be taken"""
    AGAIN = 23
    """1 = this instant has had several rounds, or passes"""
    HOLDS = 24
    """1 = quotas or limits have held somebody"""
    LOOK = 25
    """how often it was looked through who is to be left off"""
    EXACT = 26
    """1 = that one is held, or found no room by trial, says nothing of one that is less urgent"""
    PASSED = 27
    """the instant of the last pass"""
    LANES = 28
    """lanes of which somebody waits"""
    HEAPED = 29
    """how much of Joint.turn is taken by heaps"""
    SOON = 30
    """how long a job may stay that is short for all heads, when it was looked last"""
    MARK = 31
    """the place of the job after which others are tried again, or NOBODY: all are"""
    MARK_KEY = 32
    """its key, when it waited"""
    JOINED = 33
    """those from this place on are tried whether or not they come after it: they joined since"""
    ROBBED = 34
    """queues that have running jobs in Joint.prey"""
    CHANGED = 35
    """where cohorts share: the queue whose job was taken last in this stage, or NOBODY: nothing is counted yet"""
    BY_LANE = 36
    """1 = turns are told lane by lane in this round"""
    LACKING = 37
    """thousandths of GPUs that a job lacks with all away that were counted"""
    SHORT = 38
    """how many more nodes would have to hold a large chunk of it then"""
    SHORT_REST = 39
    """and how many more any chunk"""
    COUNTED = 40
    """1 = it is known what those hold on each node that were counted"""
    TRIED = 41
    """1 = somebody was taken off for the job for which no room was made last: it was not told by sums"""
    MANNED = 42
    """queues of which somebody waited when all were lined up"""
    SIZE = 43


class Ordered(IntEnum):
    """How far queues are in order."""

    NOT = 0
    LATER = 1
    """not yet, and most will be left off before they are tried: only the first is brought forward"""
    FIRST = 2
    """the first of the only one stands before all others"""
    ALL = 3
    """all are heaps, and so are they themselves"""


class Joint(NamedTuple):
    """Turns, and who may be taken away."""

    turn: NDArray[np.int32]  # places of waiting jobs, queue after queue; each a heap, the first to be tried on top
    entry: Records  # by place: waiting jobs
    queue: Records  # shape (tenants,)
    top: NDArray[np.int32]  # a heap of queues
    over: NDArray[np.int64]  # by asker, then by (tenant, queue of a partition): the round in which jobs are passed over
    lane_of: NDArray[np.int32]  # shape (jobs,)
    lane: Records  # shape (lanes,)
    vain: Records  # shape (kins + breeds,)
    held: Records  # shape (askers,)
    stirred: NDArray[np.int64]  # shape (tenants + groups,): how often something charged there was given back
    shut: NDArray[np.int8]  # shape (standings * nodes,): 1 = a window without beginning or end closes the node
    prey: Records
    place: NDArray[np.int32]  # shape (jobs,): which nodes each job may use at all
    fits: NDArray[np.int8]  # shape (places * demands,): 1 = those nodes can hold the demand when they are empty
    name_of: NDArray[np.int16]  # shape (jobs,): the name by which lists go; empty: there are none
    listed: NDArray[np.int8]  # shape (names, names): 1 = the jobs of the first may take from those of the second
    state: NDArray[np.int64]  # by Party


def build_joint(
    *,
    tenants: int,
    groups: int,
    askers: int,
    partitions: int,
    running: int,
    lane_of: NDArray[np.int32],
    lane: Records,
    breed: NDArray[np.int64],
    shut: NDArray[np.int8],
    place: NDArray[np.int32],
    fits: NDArray[np.bool_],
    demands: int,
    lists: tuple[NDArray[np.int16], NDArray[np.int8]],
    state: NDArray[np.int64],
) -> Joint:
    """Return what is known before anybody waits; ``running`` is how many jobs can run at once.

    ``breed`` is the place in ``vain`` of each kin's breed, shape (kins,): beyond the kins, or that of the only kin.
    ``fits`` has the shape (places, fewer demands): nobody asks for those that are not there.  ``lists``: the name of
    each job, and which names each may take from, shape (names, names).
    """
    jobs = place.size
    held = np.zeros(askers, HELD)
    held["stirred"] = NOBODY
    known = np.zeros((fits.shape[0], demands), np.int8)
    known[:, : fits.shape[1]] = fits
    vain = np.zeros(int(breed.max(initial=breed.size - 1)) + 1, VAIN)
    vain["breed"][: breed.size] = breed
    return Joint(
        turn=np.empty(lane.size + jobs, np.int32),
        entry=np.empty(jobs, ENTRY),
        queue=np.zeros(tenants, QUEUE),
        top=np.empty(tenants + 1, np.int32),
        over=np.zeros(askers + tenants * partitions, np.int64),
        lane_of=lane_of,
        lane=lane,
        vain=vain,
        held=held,
        stirred=np.zeros(tenants + groups, np.int64),
        shut=shut,
        prey=np.empty(running + 1, PREY),
        place=place,
        fits=known.ravel(),
        name_of=lists[0],
        listed=lists[1],
        state=state,
    )
