"""What a scheduler that plans ahead knows: expected ends, reservations, and how many GPUs are free at each instant."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import Timetable, build_timetable, thousandths_asked
from gpuyard.kernel.frontier import Frontier, build_frontier
from gpuyard.kernel.marks import Marks, build_marks
from gpuyard.kernel.tables import Records

__all__ = ["SHIFT", "STRETCH", "WIDTH", "Plan", "Plans", "Profile", "Used", "build_plans", "build_profile"]

SHIFT = 7
WIDTH = 1 << SHIFT
"""Steps that a stretch has room for."""

STRETCH = np.dtype(
    [
        ("first", np.int64),  # when its first step begins
        ("low", np.int64),  # not more than the least free of its steps
        ("high", np.int64),  # not less than the most free of its steps
        ("pending", np.int64),  # still to be added to each of its steps
        ("room", np.int32),  # where its steps are kept
        ("size", np.int32),  # its steps
    ]
)
"""A stretch of the future: steps that follow one another, summed up."""


class Used(IntEnum):
    """Places in the state of a profile."""

    STRETCHES = 0
    RETURNED = 1
    """rooms given back"""
    FRESH = 2
    """rooms that were ever in use"""
    SIZE = 3


class Plan(IntEnum):
    """Places in the state of a scheduler that plans ahead."""

    DUE = 0
    """when a pass is due although nothing happens; NEVER if none is"""
    EARLY = 1
    """1 = a job ended before its expected end since everybody was planned"""
    BEFORE = 2
    """1 = LAST says when"""
    LAST = 3
    """when everybody was planned (slurm: when a plan was made) last"""
    REACH = 4
    """position: whoever waits up to here is planned"""
    NEAR = 5
    """how many that are"""
    ROOM = 6
    """number of jobs that ended: a demand refused at this number finds no place yet"""
    DEPTH = 7
    INTERVAL = 8
    WINDOW = 9
    RESOLUTION = 10
    SIZE = 11


class Profile(NamedTuple):
    """A step function of time: thousandths of GPUs that are free from the beginning of each step to that of the next.

    Neighbouring steps differ; the last one lasts for ever.  Any two neighbouring stretches but the first two have more
    than half a WIDTH of steps together, so that the number of stretches is bounded by that of the steps.
    """

    time: NDArray[np.int64]  # shape (rooms * WIDTH,): when each step begins
    free: NDArray[np.int64]  # likewise: what is free, without what is pending
    stretch: Records  # in the order of time
    returned: NDArray[np.int32]  # rooms that may be used again
    used: NDArray[np.int64]  # by Used


class Plans(NamedTuple):
    """Estimates, expected ends, reservations, and the plan that they make."""

    estimate: NDArray[np.int64]  # shape (jobs,): at least 1
    thousandths: NDArray[np.int64]  # shape (demands,): GPUs asked for
    refused: NDArray[np.int64]  # shape (demands,): at which Plan.ROOM the demand found no place
    ends: Timetable  # of running jobs, by expected end
    begins: Timetable  # of waiting jobs, by the beginning of their reservation
    marks: Marks  # by position: who waits; who waits and has to be planned in the next pass
    plan: Profile  # running jobs, and the reservations that are kept
    draft: Profile  # with reservations that are not kept
    frontier: Frontier
    state: NDArray[np.int64]  # by Plan


def build_profile(free: int, steps: int) -> Profile:
    """Return a profile in which so many thousandths are free for ever, with room for so many steps."""
    rooms = steps // (WIDTH // 4) + 8
    stretch = np.zeros(rooms, STRETCH)
    stretch[0] = (-NEVER, free, free, 0, 0, 1)
    time, value = np.empty(rooms * WIDTH, np.int64), np.empty(rooms * WIDTH, np.int64)
    time[0], value[0] = -NEVER, free
    used = np.zeros(Used.SIZE, np.int64)
    used[Used.STRETCHES] = used[Used.FRESH] = 1
    return Profile(time=time, free=value, stretch=stretch, returned=np.empty(rooms, np.int32), used=used)


def build_plans(
    *,
    estimate: NDArray[np.int64],
    demands: Records,
    node: Records,
    running: int,
    quanta: int,
    kept: bool,
    by_position: bool,
    depth: int,
    interval: int,
    window: int,
    resolution: int,
) -> Plans:
    """Return what is known before anything happens.

    ``running`` jobs at most run at once.  Reservations are ``kept`` from pass to pass, or drafted anew; the first
    ``depth`` waiting jobs have one: those up to some place in the queue (``by_position``), or those whose turn comes
    first in a pass.  ``interval``, ``window`` and ``resolution`` are microseconds.
    """
    free = 1000 * int(node["size"].sum(dtype=np.int64))
    jobs = estimate.size
    near = min(depth, jobs)
    state = np.zeros(Plan.SIZE, np.int64)
    state[Plan.DUE] = NEVER
    state[Plan.REACH] = NOBODY if by_position and depth < jobs else NEVER
    state[Plan.DEPTH] = near
    state[Plan.INTERVAL], state[Plan.WINDOW], state[Plan.RESOLUTION] = interval, window, resolution
    state[Plan.ROOM] = 1
    thousandths = thousandths_asked(demands, quanta)
    return Plans(
        estimate=np.maximum(estimate, 1),
        thousandths=thousandths,
        refused=np.zeros(demands.size, np.int64),
        ends=build_timetable(jobs, running),
        begins=build_timetable(jobs if kept else 0, near if kept else 0),
        marks=build_marks(jobs),
        plan=build_profile(free, 2 * (running + (near if kept else 0)) + 8),
        draft=build_profile(free, 0 if kept else 2 * (running + near) + 8),
        frontier=build_frontier(thousandths, near if kept else 0),
        state=state,
    )
