"""The event loops of backfilling with a plan: conservative, where everybody holds a reservation, and slurm.

The plan counts GPUs; types, shapes, CPUs and memory are obeyed when a job is to start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.decisions import note_plan
from gpuyard.kernel.expectations import Timetable
from gpuyard.kernel.frontier import Frontier, first_hope, note_gift, note_vain, open_frontier
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, skip_rejected, start_job
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.marks import Marks, drop_mark, last_mark, next_mark, put_mark
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.plans import Plan, Plans, Profile
from gpuyard.kernel.profile import advance, change, copy_profile, first_room, free_before, least_free, next_change, plus
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.timetable import enter, first_time, look_begin, look_next, strike

__all__ = ["run_conservative", "run_slurm"]

_WAITS = 0
_UNPLANNED = 1


@kernel
def run_conservative(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened.

    Source: Mu'alem and Feitelson 2001, IEEE TPDS 12(6).
    """
    count = events.counter
    while count[Count.CANCEL] == 0:
        now = _next_pass(jobs, events, plans, stop)
        if now == NEVER or now > stop:
            break
        _change_state(jobs, demand, dependencies, site, log, events, plans, releaser, now)
        _prolong(jobs, plans.thousandths, plans.ends, plans.plan, now)
        _mark_beginning(jobs, plans.begins, plans.marks, now)
        if plans.state[Plan.REACH] != NEVER:
            _leave_behind(jobs, queue, plans)
        _plan_jobs(jobs, demand, site, queue, log, events, plans, placer, now)
        count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


@kernel
def run_slurm(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened.

    Source: the manual of Slurm's plugin sched/backfill.
    """
    count = events.counter
    while count[Count.CANCEL] == 0:
        now = _next_pass(jobs, events, plans, stop)
        if now == NEVER or now > stop:
            break
        _change_state(jobs, demand, dependencies, site, log, events, plans, releaser, now)
        _start_and_draft(jobs, demand, site, queue, log, events, plans, placer, now)
        count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


# --- one instant -------------------------------------------------------------------------------------------


@inlined
def _next_pass(jobs: Jobs, events: Events, plans: Plans, stop: int) -> int:
    """Return the next instant, or NEVER: something happens, a reservation begins, or a pass is due.

    That a rejected job is submitted is nothing that happens.
    """
    skip_rejected(jobs, events, stop)
    now = next_instant(jobs, events)
    if now == NEVER and events.counter[Count.WAITING] == 0:
        return NEVER
    return min(now, int(plans.state[Plan.DUE]), first_time(plans.begins, NEVER))


@kernel
def _change_state(
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
        put_mark(marks, _WAITS, position)
        if position <= state[Plan.REACH]:
            state[Plan.NEAR] += 1
            put_mark(marks, _UNPLANNED, position)


@inlined
def _rounded(instant: int, resolution: int) -> int:
    """Return an instant rounded up to a multiple of the resolution."""
    return NEVER if instant > NEVER - resolution else -(-instant // resolution) * resolution


@inlined
def _finds_place(
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


@inlined
def _run_job(jobs: Jobs, log: Log, events: Events, plans: Plans, row: int, first: int, now: int, end: int) -> None:
    """Let a job run that holds the slots from ``first`` on: it leaves the queue, and the plan has it."""
    start_job(jobs, log, events, row, first, now)
    position = int(jobs.place[nth(row)]["position"])
    events.counter[Count.WAITING] -= 1
    plans.state[Plan.NEAR] -= 1
    drop_mark(plans.marks, _WAITS, position)
    drop_mark(plans.marks, _UNPLANNED, position)
    enter(plans.ends, end, row)
    change(plans.plan, now, end, -int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])]))


@kernel
def _room_from(plan: Profile, begin: int, gpus: int, duration: int) -> int:
    """Return the first instant from ``begin`` on from which so much is free for so long, or NEVER."""
    return NEVER if begin == NEVER else first_room(plan, begin, gpus, duration, NEVER)


# --- conservative ------------------------------------------------------------------------------------------


@kernel
def _prolong(jobs: Jobs, thousandths: NDArray[np.int64], ends: Timetable, plan: Profile, now: int) -> None:
    """Expect jobs that should have ended by now to run on for as long as they have run."""
    while first_time(ends, NEVER) <= now:
        row = int(ends.row[0])
        end = plus(now, max(now - int(jobs.job[nth(row)]["start"]), 1))
        strike(ends, row)
        enter(ends, end, row)
        change(plan, now, end, -int(thousandths[nth(jobs.claim[nth(row)]["demand"])]))


@kernel
def _mark_beginning(jobs: Jobs, begins: Timetable, marks: Marks, now: int) -> None:
    """Mark the jobs whose reservation begins, to be planned."""
    look_begin(begins)
    entry = look_next(begins)
    while entry != NOBODY and begins.time[nth(entry)] <= now:
        put_mark(marks, _UNPLANNED, int(jobs.place[nth(begins.row[nth(entry)])]["position"]))
        entry = look_next(begins)


@kernel
def _give_up(begins: Timetable, plan: Profile, row: int, gpus: int, duration: int) -> None:
    """Take a reservation out of the plan."""
    begin = int(begins.time[nth(begins.place[nth(row)])])
    strike(begins, row)
    change(plan, begin, plus(begin, duration), gpus)


@kernel
def _leave_behind(jobs: Jobs, queue: Queue, plans: Plans) -> None:
    """Let those who fell behind the first so many of the queue lose their reservations."""
    state = plans.state
    while state[Plan.NEAR] > state[Plan.DEPTH]:
        position = last_mark(plans.marks, _WAITS, int(state[Plan.REACH]))
        drop_mark(plans.marks, _UNPLANNED, position)
        row = int(queue.job[nth(position)])
        if plans.begins.place[nth(row)] != NOBODY:
            gpus = int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])])
            _give_up(plans.begins, plans.plan, row, gpus, int(plans.estimate[nth(row)]))
        state[Plan.REACH] = position - 1
        state[Plan.NEAR] -= 1


@inlined
def _is_everybody_planned(state: NDArray[np.int64], now: int) -> bool:
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


@kernel
def _next_to_plan(marks: Marks, state: NDArray[np.int64], plane: int, start: int) -> int:
    """Return the first position from ``start`` on whose job is to be planned in this pass, or NOBODY.

    When a job has started, the next one of the queue comes among the first so many.
    """
    position = next_mark(marks, plane, start)
    if position != NOBODY and position <= state[Plan.REACH]:
        return position
    if state[Plan.REACH] == NEVER or state[Plan.NEAR] >= state[Plan.DEPTH]:
        return NOBODY
    position = next_mark(marks, _WAITS, int(state[Plan.REACH]) + 1)
    if position != NOBODY:
        state[Plan.REACH] = position
        state[Plan.NEAR] += 1
    return position


@kernel
def _plan_jobs(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    placer: Placer,
    now: int,
) -> None:
    """Make one pass: start or reserve for the jobs that need it, in order.

    Where nothing is promised twice, a reservation that is to be made anew is searched for as if it ended where it
    begins now, and nothing changes if there is no earlier one: its own GPUs are free to it from then on.
    """
    state, plan, begins, marks, frontier = plans.state, plans.plan, plans.begins, plans.marks, plans.frontier
    everybody = _is_everybody_planned(state, now)
    plane = _WAITS if everybody else _UNPLANNED
    sound = everybody and least_free(plan) >= 0
    open_frontier(frontier)
    position = _next_to_plan(marks, state, plane, 0)
    while position != NOBODY:
        row = int(queue.job[nth(position)])
        wish = int(jobs.claim[nth(row)]["demand"])
        gpus, duration = int(plans.thousandths[nth(wish)]), int(plans.estimate[nth(row)])
        entry = int(begins.place[nth(row)])
        limit = NEVER
        if sound and entry != NOBODY and begins.time[nth(entry)] > now:
            limit = int(begins.time[nth(entry)])
        elif entry != NOBODY:
            note_gift(frontier, int(begins.time[nth(entry)]))
            _give_up(begins, plan, row, gpus, duration)
        hope = now
        if everybody:
            hope = _first_hope(frontier, plan, wish, gpus, duration, now, limit)
        begin = first_room(plan, hope, gpus, duration, limit)
        if everybody and begin > now:
            note_vain(frontier, wish, duration, begin)
        if begin < limit or limit == NEVER:
            if limit != NEVER:
                note_gift(frontier, limit)
                _give_up(begins, plan, row, gpus, duration)
            if begin == now:
                first = events.counter[Count.SLOTS]
                if _finds_place(site, demand, log, events, plans.refused, state, placer, row, wish):
                    _run_job(jobs, log, events, plans, row, first, now, plus(now, duration))
                else:
                    begin = _room_from(plan, first_time(plans.ends, NEVER), gpus, duration)
            if begin > now:
                _reserve(begins, marks, plan, row, position, begin, plus(begin, duration), gpus)
                note_plan(log, row, begin, now)
        position = _next_to_plan(marks, state, plane, position + 1)


@kernel
def _first_hope(frontier: Frontier, plan: Profile, wish: int, gpus: int, duration: int, now: int, limit: int) -> int:
    """Return an instant before which a job finds no room, or now; ``limit`` is where its own reservation begins.

    Others did not have its own GPUs.  That matters only to a stay that reaches them, for which there must be room right
    before they begin.
    """
    hope = first_hope(frontier, wish, duration, now)
    if limit != NEVER and hope > limit - duration and free_before(plan, limit) >= gpus:
        hope = max(limit - duration + 1, now)
    return hope


@inlined
def _reserve(
    begins: Timetable, marks: Marks, plan: Profile, row: int, position: int, begin: int, end: int, gpus: int
) -> None:
    """Give a job its reservation; without one it will have to be planned again."""
    if begin == NEVER:
        put_mark(marks, _UNPLANNED, position)
        return
    drop_mark(marks, _UNPLANNED, position)
    enter(begins, begin, row)
    change(plan, begin, end, -gpus)


# --- slurm -------------------------------------------------------------------------------------------------


@kernel
def _begin_draft(
    jobs: Jobs,
    thousandths: NDArray[np.int64],
    ends: Timetable,
    plan: Profile,
    draft: Profile,
    resolution: int,
    now: int,
) -> None:
    """Start a draft from the running jobs; those that should have ended are expected to end at the next instant."""
    copy_profile(plan, draft)
    late = 0
    look_begin(ends)
    entry = look_next(ends)
    while entry != NOBODY and ends.time[nth(entry)] <= now:
        late += thousandths[nth(jobs.claim[nth(ends.row[nth(entry)])]["demand"])]
        entry = look_next(ends)
    change(draft, now, _rounded(now + 1, resolution), -late)


@inlined
def _is_draft_due(state: NDArray[np.int64], now: int, waiting: int) -> bool:
    """Return whether a draft is made in this pass; if it is too soon and somebody waits, let a pass be due."""
    if state[Plan.DUE] <= now:
        state[Plan.DUE] = NEVER
    if state[Plan.BEFORE] == 0 or now - state[Plan.LAST] >= state[Plan.INTERVAL]:
        state[Plan.BEFORE] = 1
        state[Plan.LAST] = now
        return True
    if waiting > 0 and state[Plan.DUE] == NEVER:
        state[Plan.DUE] = state[Plan.LAST] + state[Plan.INTERVAL]
    return False


@kernel
def _start_and_draft(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    placer: Placer,
    now: int,
) -> None:
    """Make one pass: start jobs up to the first that finds no place; then, if it is time, draft a plan from there."""
    count, state, draft, refused = events.counter, plans.state, plans.draft, plans.refused
    resolution = int(state[Plan.RESOLUTION])
    horizon = min(plus(now, int(state[Plan.WINDOW])), NEVER - 1)
    drafted = False
    left = state[Plan.DEPTH]
    position = next_mark(plans.marks, _WAITS, 0)
    while left > 0:
        blocked = (
            position == NOBODY or refused[nth(jobs.claim[nth(queue.job[nth(position)])]["demand"])] == state[Plan.ROOM]
        )
        if blocked and not drafted and not _is_draft_due(state, now, count[Count.WAITING]):
            break
        if position == NOBODY:
            break
        row = int(queue.job[nth(position)])
        wish = int(jobs.claim[nth(row)]["demand"])
        if blocked and not drafted:
            drafted = True
            _begin_draft(jobs, plans.thousandths, plans.ends, plans.plan, draft, resolution, now)
        gpus, duration = int(plans.thousandths[nth(wish)]), _rounded(int(plans.estimate[nth(row)]), resolution)
        begin = now
        if drafted:
            left -= 1
            begin = first_room(draft, now, gpus, duration, NEVER)
        if begin == now:
            first = count[Count.SLOTS]
            if _finds_place(site, demand, log, events, refused, state, placer, row, wish):
                end = _rounded(plus(now, int(plans.estimate[nth(row)])), resolution)
                _run_job(jobs, log, events, plans, row, first, now, end)
            elif drafted:
                begin = _room_from(draft, next_change(draft, now), gpus, duration)
            else:
                continue
        if drafted and begin <= horizon:
            change(draft, begin, plus(begin, duration), -gpus)
        if drafted and begin > now:
            note_plan(log, row, begin if begin <= horizon else NEVER, now)
        position = next_mark(plans.marks, _WAITS, position + 1)
