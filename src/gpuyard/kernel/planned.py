"""The event loops of backfilling with a plan: conservative, where everybody holds a reservation, and slurm.

The plan counts GPUs; types, shapes, CPUs and memory are obeyed when a job is to start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.decisions import note_plan
from gpuyard.kernel.draft import begin_draft, is_draft_due, rounded
from gpuyard.kernel.frontier import open_frontier
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.kept import give_up, is_everybody_planned, keep, mark_beginning, prolong, seek
from gpuyard.kernel.marks import Marks, drop_mark, last_mark, next_mark
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.planning import UNPLANNED, WAITS, change_state, finds_place, next_pass, room_from, run_job
from gpuyard.kernel.plans import Plan, Plans
from gpuyard.kernel.profile import change, first_room, least_free, next_change, plus
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.timetable import first_time

__all__ = ["run_conservative", "run_slurm"]


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
        now = next_pass(jobs, events, plans, stop)
        if now == NEVER or now > stop:
            break
        change_state(jobs, demand, dependencies, site, log, events, plans, releaser, now)
        prolong(jobs, plans.thousandths, plans.ends, plans.plan, now)
        mark_beginning(jobs, plans.begins, plans.marks, now)
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
        now = next_pass(jobs, events, plans, stop)
        if now == NEVER or now > stop:
            break
        change_state(jobs, demand, dependencies, site, log, events, plans, releaser, now)
        _start_and_draft(jobs, demand, site, queue, log, events, plans, placer, now)
        count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


# --- conservative ------------------------------------------------------------------------------------------


@kernel
def _leave_behind(jobs: Jobs, queue: Queue, plans: Plans) -> None:
    """Let those who fell behind the first so many of the queue lose their reservations."""
    state = plans.state
    while state[Plan.NEAR] > state[Plan.DEPTH]:
        position = last_mark(plans.marks, WAITS, int(state[Plan.REACH]))
        drop_mark(plans.marks, UNPLANNED, position)
        row = int(queue.job[nth(position)])
        if plans.begins.place[nth(row)] != NOBODY:
            gpus = int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])])
            give_up(plans.begins, plans.plan, row, gpus, int(plans.estimate[nth(row)]))
        state[Plan.REACH] = position - 1
        state[Plan.NEAR] -= 1


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
    position = next_mark(marks, WAITS, int(state[Plan.REACH]) + 1)
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
    """Make one pass: start or reserve for the jobs that need it, in order."""
    state, plan, marks = plans.state, plans.plan, plans.marks
    everybody = is_everybody_planned(state, now)
    plane = WAITS if everybody else UNPLANNED
    sound = everybody and least_free(plan) >= 0
    open_frontier(plans.frontier)
    position = _next_to_plan(marks, state, plane, 0)
    while position != NOBODY:
        row = int(queue.job[nth(position)])
        wish = int(jobs.claim[nth(row)]["demand"])
        gpus, duration = int(plans.thousandths[nth(wish)]), int(plans.estimate[nth(row)])
        begin = seek(plans, row, wish, everybody, sound, now)
        if begin == now:
            first = events.counter[Count.SLOTS]
            if finds_place(site, demand, log, events, plans.refused, state, placer, row, wish):
                run_job(jobs, log, events, plans, row, first, now, plus(now, duration))
            else:
                begin = room_from(plan, first_time(plans.ends, NEVER), gpus, duration)
        if begin > now:
            keep(plans.begins, marks, plan, row, position, begin, plus(begin, duration), gpus)
            note_plan(log, row, begin, now)
        position = _next_to_plan(marks, state, plane, position + 1)


# --- slurm -------------------------------------------------------------------------------------------------


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
    position = next_mark(plans.marks, WAITS, 0)
    while left > 0:
        blocked = (
            position == NOBODY or refused[nth(jobs.claim[nth(queue.job[nth(position)])]["demand"])] == state[Plan.ROOM]
        )
        if blocked and not drafted and not is_draft_due(state, now, count[Count.WAITING]):
            break
        if position == NOBODY:
            break
        row = int(queue.job[nth(position)])
        wish = int(jobs.claim[nth(row)]["demand"])
        if blocked and not drafted:
            drafted = True
            begin_draft(jobs, plans.thousandths, plans.ends, plans.plan, draft, resolution, now)
        gpus, duration = int(plans.thousandths[nth(wish)]), rounded(int(plans.estimate[nth(row)]), resolution)
        begin = now
        if drafted:
            left -= 1
            begin = first_room(draft, now, gpus, duration, NEVER)
        if begin == now:
            first = count[Count.SLOTS]
            if finds_place(site, demand, log, events, refused, state, placer, row, wish):
                end = rounded(plus(now, int(plans.estimate[nth(row)])), resolution)
                run_job(jobs, log, events, plans, row, first, now, end)
            elif drafted:
                begin = room_from(draft, next_change(draft, now), gpus, duration)
            else:
                continue
        if drafted and begin <= horizon:
            change(draft, begin, plus(begin, duration), -gpus)
        if drafted and begin > now:
            note_plan(log, row, begin if begin <= horizon else NEVER, now)
        position = next_mark(plans.marks, WAITS, position + 1)
