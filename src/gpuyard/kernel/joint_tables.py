"""What a loop knows that tries every waiting job in every pass: whose turn it is, and who may be taken away.

``docs/semantics.md``, *Scores, easy and windows beside preemption and tenants*, is the specification.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.tables import Records

__all__ = ["PREY", "QUEUE", "Joint", "Party", "build_joint"]

QUEUE = np.dtype(
    [
        ("first", np.int64),  # where its heap begins in Joint.turn
        ("size", np.int64),  # jobs that are still to be tried
        ("prey", np.int64),  # the first of its running jobs in Joint.prey, or NOBODY
        ("cursor", np.int64),  # likewise, the first that was not looked at
        ("over", np.int64),  # the round in which its jobs are passed over
    ]
)
"""A tenant's queue; where one queue is for all, that of the root."""

PREY = np.dtype(
    [
        ("level", np.int64),
        ("loss", np.int64),  # by which those of one level are listed
        ("taken", np.int64),  # the try in which it was taken last
        ("row", np.int32),
        ("attempt", np.int32),
        ("next", np.int32),  # the next of its tenant, or NOBODY
    ]
)
"""A running job that may be taken away in a pass."""

VAIN = np.dtype(
    [
        ("stamp", np.int64),  # Party.STAMP at which it was refused
        ("level", np.int64),
        ("length", np.int64),  # of the attempt that was expected
        ("standing", np.int32),  # by which windows close nodes to it
        ("short", np.int32),  # 1 = not even the reserved nodes would do
    ]
)
"""The job of an asker that was tried in vain last."""


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
    WISH = 10
    """the demand of the head for which the reservation was made: its own, or that with one of its types alone"""
    STAMP = 11
    """number of times that something was given back, or time passed: who was refused at the same one would be again"""
    RECALLS = 12
    """1 = who was refused is remembered; quotas change with each start who may be taken from, so not with quotas"""
    OPENS = 13
    """1 = no window begins after this instant: how long a job stays does not matter to any"""
    SIZE = 14


class Joint(NamedTuple):
    """Turns, and who may be taken away."""

    turn: NDArray[np.int32]  # places of waiting jobs, queue after queue; each a heap, the first to be tried on top
    level: NDArray[np.int64]  # by place: of waiting jobs
    queue: Records  # shape (tenants,)
    top: NDArray[np.int32]  # a heap of queues
    over: NDArray[np.int64]  # shape (askers,): the round in which its jobs are passed over
    vain: Records  # shape (askers,)
    prey: Records
    place: NDArray[np.int32]  # shape (jobs,): which nodes each job may use at all
    fits: NDArray[np.int8]  # shape (places * demands,): 1 = those nodes can hold the demand when they are empty
    state: NDArray[np.int64]  # by Party


def build_joint(
    *,
    tenants: int,
    askers: int,
    running: int,
    place: NDArray[np.int32],
    fits: NDArray[np.bool_],
    demands: int,
    state: NDArray[np.int64],
) -> Joint:
    """Return what is known before anybody waits; ``running`` is how many jobs can run at once.

    ``fits`` has the shape (places, fewer demands): nobody asks for those that are not there.
    """
    jobs = place.size
    known = np.zeros((fits.shape[0], demands), np.int8)
    known[:, : fits.shape[1]] = fits
    return Joint(
        turn=np.empty(jobs, np.int32),
        level=np.empty(jobs, np.int64),
        queue=np.zeros(tenants, QUEUE),
        top=np.empty(tenants + 1, np.int32),
        over=np.zeros(askers, np.int64),
        vain=np.zeros(askers, VAIN),
        prey=np.empty(running + 1, PREY),
        place=place,
        fits=known.ravel(),
        state=state,
    )
