"""Reservations that are kept from pass to pass: who needs a new one, and where it begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import Timetable
from gpuyard.kernel.frontier import Frontier, first_hope, note_gift, note_vain
from gpuyard.kernel.jit import inner, inner_inlined
from gpuyard.kernel.marks import Marks, drop_mark, put_mark
from gpuyard.kernel.planning import UNPLANNED
from gpuyard.kernel.plans import Plan, Plans, Profile
from gpuyard.kernel.profile import change, first_room, free_before, plus
from gpuyard.kernel.tables import Jobs
from gpuyard.kernel.timetable import enter, first_time, look_begin, look_next, strike

__all__ = ["STAYS", "give_up", "is_everybody_planned", "keep", "mark_beginning", "prolong", "seek"]

STAYS = -NEVER
"""In the place of an instant: the reservation that there is."""


@inner
def prolong(jobs: Jobs, thousandths: NDArray[np.int64], ends: Timetable, plan: Profile, now: int) -> None:
    """Expect jobs that should have ended by now to run on for as long as they have run."""
    while first_time(ends, NEVER) <= now:
        row = int(ends.row[0])
        end = plus(now, max(now - int(jobs.job[nth(row)]["start"]), 1))
        strike(ends, row)
        enter(ends, end, row)
        change(plan, now, end, -int(thousandths[nth(jobs.claim[nth(row)]["demand"])]))


@inner
def mark_beginning(jobs: Jobs, begins: Timetable, marks: Marks, now: int) -> None:
    """Mark the jobs whose reservation begins, to be planned."""
    look_begin(begins)
    entry = look_next(begins)
    while entry != NOBODY and begins.time[nth(entry)] <= now:
        put_mark(marks, UNPLANNED, int(jobs.place[nth(begins.row[nth(entry)])]["position"]))
        entry = look_next(begins)


@inner
def give_up(begins: Timetable, plan: Profile, row: int, gpus: int, duration: int) -> None:
    """Take a reservation out of the plan."""
    begin = int(begins.time[nth(begins.place[nth(row)])])
    strike(begins, row)
    change(plan, begin, plus(begin, duration), gpus)


@inner_inlined
def is_everybody_planned(state: NDArray[np.int64], now: int) -> bool:
    """Return whether all are planned in this pass, as after an early end; if it is too soon, let a pass be due."""
    state[Plan.DUE] = NEVER
    if state[Plan.EARLY] == 0:
        return False
    if state[Plan.BEFORE] > 0 and now - state[Plan.LAST] < state[Plan.INTERVAL]:
        state[Plan.DUE] = state[Plan.LAST] + state[Plan.INTERVAL]
        return False
    state[Plan.EARLY] = 0
    state[Plan.BEFORE] = 1
    state[Plan.LAST] = now
    return True


@inner_inlined
def seek(plans: Plans, row: int, wish: int, everybody: bool, sound: bool, now: int) -> int:
    """Return where a job's reservation may begin, having taken out the one it has, or STAYS if that cannot be earlier.

    Where nothing is promised twice (``sound``), a reservation that is to be made anew is searched for as if it ended
    where it begins now, and nothing changes if there is no earlier one: its own GPUs are free to it from then on.
    """
    plan, begins, frontier = plans.plan, plans.begins, plans.frontier
    gpus, duration = int(plans.thousandths[nth(wish)]), int(plans.estimate[nth(row)])
    entry = int(begins.place[nth(row)])
    limit = NEVER
    if sound and entry != NOBODY and begins.time[nth(entry)] > now:
        limit = int(begins.time[nth(entry)])
    elif entry != NOBODY:
        note_gift(frontier, int(begins.time[nth(entry)]))
        give_up(begins, plan, row, gpus, duration)
    hope = now
    if everybody:
        hope = _first_hope(frontier, plan, wish, gpus, duration, now, limit)
    begin = first_room(plan, hope, gpus, duration, limit)
    if everybody and begin > now:
        note_vain(frontier, wish, duration, begin)
    if limit != NEVER:
        if begin >= limit:
            return STAYS
        note_gift(frontier, limit)
        give_up(begins, plan, row, gpus, duration)
    return begin


@inner
def _first_hope(frontier: Frontier, plan: Profile, wish: int, gpus: int, duration: int, now: int, limit: int) -> int:
    """Return an instant before which a job finds no room, or now; ``limit`` is where its own reservation begins.

    Others did not have its own GPUs.  That matters only to a stay that reaches them, for which there must be room right
    before they begin.
    """
    hope = first_hope(frontier, wish, duration, now)
    if limit != NEVER and hope > limit - duration and free_before(plan, limit) >= gpus:
        hope = max(limit - duration + 1, now)
    return hope


@inner_inlined
def keep(
    begins: Timetable, marks: Marks, plan: Profile, row: int, position: int, begin: int, end: int, gpus: int
) -> None:
    """Give a job its reservation; without one it will have to be planned again."""
    if begin == NEVER:
        put_mark(marks, UNPLANNED, position)
        return
    drop_mark(marks, UNPLANNED, position)
    enter(begins, begin, row)
    change(plan, begin, end, -gpus)
