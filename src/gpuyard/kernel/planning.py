"""What happens in a pass of a scheduler with a plan, whatever the order: who ends, who joins, who runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, skip_rejected, start_job
from gpuyard.kernel.jit import inner, inner_inlined
from gpuyard.kernel.marks import drop_mark, put_mark
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.plans import Plan, Plans, Profile
from gpuyard.kernel.profile import advance, change, first_room
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Records, Site
from gpuyard.kernel.timetable import enter, first_time, strike

__all__ = ["UNPLANNED", "WAITS", "change_state", "finds_place", "next_pass", "room_from", "run_job"]

WAITS = 0
"""Plane of the marks: who waits."""
UNPLANNED = 1
"""Plane of the marks: who waits and has to be planned in the next pass."""


@inner_inlined
def next_pass(jobs: Jobs, events: Events, plans: Plans, stop: int) -> int:
    """Return the next instant, or NEVER: something happens, a reservation begins, or a pass is due.

    That a rejected job is submitted is nothing that happens.
    """
    skip_rejected(jobs, events, stop)
    now = next_instant(jobs, events)
    if now == NEVER and events.counter[Count.WAITING] == 0:
        return NEVER
    return min(now, int(plans.state[Plan.DUE]), first_time(plans.begins, NEVER))


@inner
def change_state(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    log: Log,
    events: Events,
    plans: Plans,
    releaser: Releaser,
    now: int,
) -> None:
    """Apply what happens at an instant: who ends, who joins the queue."""
    count, state, plan, ends, marks = events.counter, plans.state, plans.plan, plans.ends, plans.marks
    count[Count.LAST] = now
    count[Count.PASSES] += 1
    advance(plan, now)
    while True:
        row = next_end(events, now)
        if row == NOBODY:
            break
        release(jobs, demand, dependencies, site, log, events, releaser, row, now)
        state[Plan.ROOM] += 1
        end = int(ends.time[nth(ends.place[nth(row)])])
        strike(ends, row)
        if end > now:
            state[Plan.EARLY] = 1
            change(plan, now, end, int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])]))
    while True:
        row = next_eligible(jobs, dependencies, events, now)
        if row == NOBODY:
            break
        position = int(jobs.place[nth(row)]["position"])
        count[Count.WAITING] += 1
        put_mark(marks, WAITS, position)
        if position <= state[Plan.REACH]:
            state[Plan.NEAR] += 1
            put_mark(marks, UNPLANNED, position)


@inner_inlined
def finds_place(
    site: Site,
    demand: Records,
    log: Log,
    events: Events,
    refused: NDArray[np.int64],
    state: NDArray[np.int64],
    placer: Placer,
    row: int,
    wish: int,
) -> bool:
    """Try a job; a demand that found no place since a job ended last finds none."""
    if refused[nth(wish)] == state[Plan.ROOM]:
        return False
    asked = demand[nth(wish)]
    if asked["plain"] == 0:
        placed = placer(site, demand, log, events, row, wish)
    else:
        placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
    if not placed:
        refused[nth(wish)] = state[Plan.ROOM]
    return placed


@inner_inlined
def run_job(jobs: Jobs, log: Log, events: Events, plans: Plans, row: int, first: int, now: int, end: int) -> None:
    """Let a job run that holds the slots from ``first`` on: it leaves the queue, and the plan has it."""
    start_job(jobs, log, events, row, first, now)
    position = int(jobs.place[nth(row)]["position"])
    events.counter[Count.WAITING] -= 1
    plans.state[Plan.NEAR] -= 1
    drop_mark(plans.marks, WAITS, position)
    drop_mark(plans.marks, UNPLANNED, position)
    enter(plans.ends, end, row)
    change(plans.plan, now, end, -int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])]))


@inner
def room_from(plan: Profile, begin: int, gpus: int, duration: int) -> int:
    """Return the first instant from ``begin`` on from which so much is free for so long, or NEVER."""
    return NEVER if begin == NEVER else first_room(plan, begin, gpus, duration, NEVER)
