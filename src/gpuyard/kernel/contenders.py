"""Waiting jobs in a list without gaps, each with what a score is made of: for orders that change from pass to pass."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.fairshare import Accounts
from gpuyard.kernel.jit import inlined
from gpuyard.kernel.tables import Events, Jobs, Records

__all__ = [
    "CHANCE",
    "FEATURES",
    "MICROSECONDS",
    "Contenders",
    "build_contenders",
    "close_gaps",
    "forget_started",
    "join_contenders",
    "note_waits",
]

FEATURES: Final = np.dtype(
    [
        ("submit", np.float64),  # s
        ("wait", np.float64),  # s since it became eligible; written in every pass
        ("estimate", np.float64),  # s, at least a microsecond
        ("limit", np.float64),  # s, infinity where there is none
        ("gpus", np.float64),  # GPUs, a fraction as such
        ("doublings", np.float64),  # the binary logarithm of gpus, at least 1
        ("priority", np.float64),
        ("nice", np.float64),
        ("qos", np.float64),  # factor of the job's QOS
        ("partition", np.float64),  # factor of the job's partition
        ("deadline", np.float64),  # s, infinity where there is none
        ("size", np.float64),  # weight of the size times gpus over the cluster's GPUs
        ("row", np.int64),
        ("user", np.int64),  # number among the sorted distinct names; no name sorts first
        ("tenant", np.int64),
        ("job_class", np.int64),
        ("fairshare", np.float64),  # factor of the job's user; written in every pass, 1 where nothing is shared out
    ]
)
"""What a score may be made of, one record a job."""

CHANCE: Final = np.dtype([("blocked", np.int64), ("narrow", np.int64)])
"""At which codes.Promise.ROOM a job of a demand found no room, and at which TERMS none beside the reservation."""

MICROSECONDS: Final = 1_000_000.0


class Contenders(NamedTuple):
    """The waiting jobs, in any order, and room to order them.  A place is one in this list."""

    feature: Records  # FEATURES of every job
    waiting: Records  # FEATURES of waiting jobs, without gaps
    eligible: NDArray[np.int64]  # by place: since when, microseconds
    score: NDArray[np.float64]  # by place
    turn: NDArray[np.int32]  # a heap of places, the first to be tried on top; at its other end, the places that started
    chance: Records  # by demand
    weights: NDArray[np.float64]  # for the score
    accounts: Accounts
    fault: NDArray[np.int64]  # row whose score is no number, and the instant; NOBODY where all is well


def build_contenders(feature: Records, demands: int, weights: NDArray[np.float64], accounts: Accounts) -> Contenders:
    """Return an empty list with room for all jobs; memory that is never used costs nothing."""
    jobs = feature.size
    return Contenders(
        feature=feature,
        waiting=np.empty(jobs, FEATURES),
        eligible=np.empty(jobs, np.int64),
        score=np.empty(jobs, np.float64),
        turn=np.empty(jobs, np.int32),
        chance=np.zeros(demands, CHANCE),
        weights=weights,
        accounts=accounts,
        fault=np.full(2, NOBODY, np.int64),
    )


@inlined
def join_contenders(contenders: Contenders, events: Events, row: int, now: int) -> None:
    """Let a job that became eligible wait."""
    place = events.counter[Count.WAITING]
    contenders.waiting[nth(place)] = contenders.feature[nth(row)]
    contenders.eligible[nth(place)] = now
    events.counter[Count.WAITING] = place + 1


@inlined
def note_waits(contenders: Contenders, waiting: int, now: int) -> None:
    """Write how long each job has waited."""
    for place in range(waiting):
        contenders.waiting[nth(place)]["wait"] = (now - contenders.eligible[nth(place)]) / MICROSECONDS


@inlined
def forget_started(contenders: Contenders, events: Events, started: int) -> None:
    """Close the gaps of the jobs that started, whose places stand at the end of ``turn``; the last ones move there."""
    count = events.counter
    end = count[Count.WAITING]
    left = end - started
    last = end - 1
    for number in range(end - started, end):
        place = contenders.turn[nth(number)]
        if place < left:
            while contenders.waiting[nth(last)]["row"] == NOBODY:
                last -= 1
            contenders.waiting[nth(place)] = contenders.waiting[nth(last)]
            contenders.eligible[nth(place)] = contenders.eligible[nth(last)]
            last -= 1
    count[Count.WAITING] = left


@inlined
def close_gaps(contenders: Contenders, jobs: Jobs, events: Events) -> None:
    """Close the gaps of the jobs that started; the others keep their order."""
    kept = 0
    for place in range(events.counter[Count.WAITING]):
        if jobs.job[nth(contenders.waiting[nth(place)]["row"])]["start"] != NEVER:
            continue
        if kept < place:
            contenders.waiting[nth(kept)] = contenders.waiting[nth(place)]
            contenders.eligible[nth(kept)] = contenders.eligible[nth(place)]
        kept += 1
    events.counter[Count.WAITING] = kept
