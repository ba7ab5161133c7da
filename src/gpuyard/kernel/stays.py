"""What a loop that preempts knows: the work each job has left, who waits, who may be taken away, what happened."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import Agenda, Timetable, build_agenda, build_timetable, thousandths_asked
from gpuyard.kernel.tables import Records

__all__ = [
    "ATTEMPT",
    "LEVEL_SHIFT",
    "MOST_LEVELS",
    "STAY",
    "Gain",
    "Rule",
    "Stays",
    "Tenure",
    "Terms",
    "build_lanes",
    "build_stays",
]

LEVEL_SHIFT = 52
"""Bits of the time since the origin in the key of a running job: 142 years."""
MOST_LEVELS = 1 << (62 - LEVEL_SHIFT)
"""Levels that such a key has room for."""

STAY = np.dtype(
    [
        ("saved", np.int64),  # work that need not be repeated
        ("since", np.int64),  # since when it runs, or waits
        ("end", np.int64),  # of the running attempt, or NEVER
        ("interval", np.int64),  # of its checkpoints; 0 = nothing is lost, NEVER = there are none
        ("min_run", np.int64),  # for which an attempt is left alone
        ("attempt", np.int32),  # number of the running attempt, or NOBODY
        ("times", np.int32),  # how often it was preempted
        ("place", np.int32),  # in its lane, from its base on, while it waits
        ("fresh", np.int32),  # place in Stays.fresh, or NOBODY
        ("key", np.int64),  # of a waiting job in the queue; of one that may be taken away, among these
        ("bin", np.int32),  # thresholds reached
        ("fixed", np.int32),  # a :class:`Tenure`: above 0, never to be preempted
        ("expected", np.int64),  # when the running attempt is expected to end; only where levels are remaining times
        ("patience", np.int64),  # of a waiting job among tenants: of slots, before which it cannot make room
        ("attained", np.int64),  # time held in earlier attempts, since the last promotion
        ("level", np.int64),  # at which a running job may be taken away; NOBODY if it may not now
    ]
)
"""What a job has got and has left; what each start and end touches comes first."""

ATTEMPT = np.dtype(
    [
        ("start", np.int64),
        ("end", np.int64),  # NEVER while it runs
        ("useful", np.int64),  # time of it that counted
        ("slot", np.int64),  # its first slot
        ("job", np.int32),
        ("cause", np.int32),  # the job that it made room for, or NOBODY
        ("guest", np.int32),  # 1 = it ran in cells that were lent
    ]
)
"""One stay of a job on its GPUs."""

LINE = np.dtype(
    [
        ("base", np.int64),  # its first place in Stays.line
        ("room", np.int32),  # jobs that it may ever have: so many places for its row, then as many for its heap
        ("waiting", np.int32),
        ("first", np.int32),  # the first job, if any waits
        ("head", np.int32),  # of the row: the place of its first job
        ("tail", np.int32),  # and after its last
        ("heap", np.int32),  # jobs in the heap
        ("blocked", np.int64),  # up to which Gain.ROOM its first job finds none
        ("last", np.int64),  # key of the last job in the row, if there is any
    ]
)
"""A lane of the queue: waiting jobs that ask for the same."""

CATCH = np.dtype([("level", np.int64), ("loss", np.int64), ("row", np.int32), ("gpus", np.int32), ("spared", np.int32)])
"""A running job that may be taken away; ``gpus`` is where the note of its GPUs begins, if single GPUs are tracked."""


class Rule(IntEnum):
    """Who may take GPUs from whom."""

    PRIORITY = 1
    REMAINING = 2
    """time"""
    REMAINING_SERVICE = 3
    """time x GPUs"""
    BINS = 4
    SLICE = 5


class Victims(IntEnum):
    """Whom first of those who are equally urgent."""

    LATEST_START = 0
    LEAST_LOST = 1
    FEWEST_GPUS = 2


class Tenure(IntEnum):
    """What a preemption is to a job."""

    EXPENDABLE = -1
    """the end: it is cancelled"""
    PLAIN = 0
    FIXED = 1
    """it is never preempted"""
    CANCELLED = 2
    """it was, and has ended"""


class Terms(IntEnum):
    """Places in the numbers of a preemption; times in microseconds."""

    RULE = 0
    VICTIMS = 1
    """whom first: a :class:`Victims`"""
    SLICE = 2
    MIN_RUN = 3
    """the least of any job"""
    MOST = 4
    """preemptions of a job"""
    INTERVAL = 5
    """of checkpoints, where jobs state none of their own; 0 = nothing is lost, NEVER = there are none"""
    COST = 6
    """of a checkpoint"""
    RESTART = 7
    BY_SERVICE = 8
    """1 = thresholds are of time x GPUs"""
    COUNTED = 9
    """1 = all jobs are plain, and who may be taken away stands in order: no hunter is needed"""
    SIZE = 10


class Gain(IntEnum):
    """Places in the state of the loop."""

    ROOM = 0
    """number of slots that were given back, or may be taken away since"""
    ATTEMPTS = 1
    TICKETS = 2
    """jobs that joined the queue, each time that they did"""
    TICKS = 3
    CHUNKS = 4
    """slots that the jobs that wait or run may need if all start anew"""
    ACTIVE = 5
    """jobs that wait or run"""
    PAUSED = 6
    """1 = there is no room to write the next pass down"""
    CAUGHT = 7
    """entries of Stays.catch"""
    TURNS = 8
    """lanes that this pass still has to try"""
    SHORT = 9
    """how many more slots at least it would take for the job that found no room last"""
    FRESH = 10
    """entries of Stays.fresh"""
    SIZE = 11


class Stays(NamedTuple):
    """Everything about attempts.  A *lane* is as in the queue; a *cut* is a level that splits running jobs in two."""

    stay: Records  # shape (jobs,)
    estimate: NDArray[np.int64]  # shape (jobs,): at least 1
    urgency: NDArray[np.int64]  # shape (jobs,): level where that is fixed
    thousandths: NDArray[np.int64]  # shape (demands,): GPUs asked for
    chunks: NDArray[np.int64]  # shape (demands,): most slots
    threshold: NDArray[np.int64]  # microseconds, or GPU microseconds
    bin_level: NDArray[np.int64]  # shape (thresholds + 1,)
    terms: NDArray[np.int64]  # by Terms
    promote: NDArray[np.float64]  # shape (1,) or empty: never
    ends: Timetable  # of running jobs
    ticks: Timetable  # of running and waiting jobs
    prey: Agenda  # running jobs that may be taken away, the first to go first
    fresh: NDArray[np.int32]  # running jobs that neither ``prey`` nor ``reach`` knows of yet
    line: NDArray[np.int32]  # waiting jobs, lane after lane
    lane: Records
    turn: NDArray[np.int32]  # a heap of lanes, by their first job
    attempt: Records
    catch: Records  # room for the candidates of one try
    noted_gpu: NDArray[np.int32]  # GPUs of jobs taken away in imagination
    returned: NDArray[np.int32]  # shape (nodes,): GPUs that come back in imagination
    reach: NDArray[np.int32]  # shape (cuts * nodes,): free GPUs and those of candidates above the cut; empty: not kept
    reached: NDArray[np.int64]  # shape (cuts * keys,): nodes by that number
    state: NDArray[np.int64]  # by Gain


def build_lanes(sizes: NDArray[np.int64]) -> Records:
    """Return lanes that may have so many jobs, in which nobody waits."""
    lane = np.zeros(sizes.size, LINE)
    lane["base"], lane["room"] = 2 * (np.cumsum(sizes) - sizes), sizes
    lane["blocked"] = NOBODY
    return lane


def build_stays(
    *,
    estimate: NDArray[np.int64],
    tenure: NDArray[np.int32],
    min_run: NDArray[np.int64],
    urgency: NDArray[np.int64],
    interval: NDArray[np.int64],
    demand: NDArray[np.int32],
    demands: Records,
    chunks: NDArray[np.int64],
    node: Records,
    quanta: int,
    threshold: NDArray[np.int64],
    bin_level: NDArray[np.int64],
    promote: float | None,
    terms: NDArray[np.int64],
    cuts: int,
    running: int,
    attempts: int,
) -> Stays:
    """Return what is known before anything happens, with room for so many ``attempts``."""
    jobs, lanes = estimate.size, int(demands["lane"].max(initial=0)) + 1
    stay = np.zeros(jobs, STAY)
    stay["end"] = NEVER
    stay["level"] = stay["attempt"] = stay["place"] = stay["fresh"] = NOBODY
    stay["fixed"], stay["min_run"] = tenure, min_run
    stay["interval"] = interval if interval.size else terms[Terms.INTERVAL]
    lane = build_lanes(np.bincount(demands["lane"][demand[demand >= 0]], minlength=lanes))
    keys = int(node["size"].max(initial=0)) + 1
    reached = np.tile(np.bincount(node["size"], minlength=keys), cuts).astype(np.int64)
    return Stays(
        stay=stay,
        estimate=np.maximum(estimate, 1),
        urgency=urgency,
        thousandths=thousandths_asked(demands, quanta),
        chunks=chunks,
        threshold=threshold,
        bin_level=bin_level,
        terms=terms,
        promote=np.array([] if promote is None else [promote], np.float64),
        ends=build_timetable(jobs, running),
        ticks=build_timetable(jobs, jobs),
        prey=build_agenda(running),
        fresh=np.empty(running + 1, np.int32),
        line=np.empty(2 * jobs, np.int32),
        lane=lane,
        turn=np.empty(lanes + 1, np.int32),
        attempt=np.empty(attempts, ATTEMPT),
        catch=np.empty(running + 1, CATCH),
        noted_gpu=np.empty(int(node["size"].sum()) if quanta else 0, np.int32),
        returned=np.zeros(node.size, np.int32),
        reach=np.tile(node["size"], cuts).astype(np.int32),
        reached=reached,
        state=np.zeros(Gain.SIZE, np.int64),
    )
