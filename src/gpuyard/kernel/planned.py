"""The event loops of backfilling with a plan: conservative, where everybody holds a reservation, and slurm.

The plan counts GPUs; types, shapes, CPUs and memory are obeyed when a job is to start.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, start_job
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.marks import drop_mark, last_mark, next_mark, put_mark
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.plans import Plan, Plans
from gpuyard.kernel.profile import advance, change, copy_profile, first_room, least_free, next_change, plus
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
        _prolong(jobs, plans, now)
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
    row = events.counter[Count.NEXT]
    while row < jobs.job.size and jobs.claim[nth(row)]["demand"] == NOBODY and jobs.job[nth(row)]["submit"] <= stop:
        row += 1
    events.counter[Count.NEXT] = row
    now = next_instant(jobs, events)
    if now == NEVER and events.counter[Count.WAITING] == 0:
        return NEVER
    return min(now, int(plans.state[Plan.DUE]), first_time(plans.begins, NEVER))


@inlined
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
    count, state = events.counter, plans.state
    count[Count.LAST] = now
    count[Count.PASSES] += 1
    advance(plans.plan, now)
    while True:
        row = next_end(events, now)
        if row == NOBODY:
            break
        release(jobs, demand, dependencies, site, log, events, releaser, row, now)
        state[Plan.ROOM] += 1
        end = int(plans.ends.time[nth(plans.ends.place[nth(row)])])
        strike(plans.ends, row)
        if end > now:
            state[Plan.EARLY] = 1
            change(plans.plan, now, end, int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])]))
    while True:
        row = next_eligible(jobs, dependencies, events, now)
        if row == NOBODY:
            break
        position = int(jobs.place[nth(row)]["position"])
        count[Count.WAITING] += 1
        put_mark(plans.marks, _WAITS, position)
        if position <= state[Plan.REACH]:
            state[Plan.NEAR] += 1
            put_mark(plans.marks, _UNPLANNED, position)


@inlined
def _rounded(instant: int, resolution: int) -> int:
    """Return an instant rounded up to a multiple of the resolution."""
    return NEVER if instant > NEVER - resolution else -(-instant // resolution) * resolution


@inlined
def _run_job(jobs: Jobs, log: Log, events: Events, plans: Plans, row: int, first: int, now: int) -> None:
    """Let a job run that holds the slots from ``first`` on: it leaves the queue, and the plan has it."""
    start_job(jobs, log, events, row, first, now)
    position = int(jobs.place[nth(row)]["position"])
    events.counter[Count.WAITING] -= 1
    plans.state[Plan.NEAR] -= 1
    drop_mark(plans.marks, _WAITS, position)
    drop_mark(plans.marks, _UNPLANNED, position)
    end = _rounded(plus(now, int(plans.estimate[nth(row)])), int(plans.state[Plan.RESOLUTION]))
    enter(plans.ends, end, row)
    change(plans.plan, now, end, -int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])]))


# --- conservative ------------------------------------------------------------------------------------------


@kernel
def _prolong(jobs: Jobs, plans: Plans, now: int) -> None:
    """Expect jobs that should have ended by now to run on for as long as they have run."""
    while first_time(plans.ends, NEVER) <= now:
        row = int(plans.ends.row[0])
        end = plus(now, max(now - int(jobs.job[nth(row)]["start"]), 1))
        strike(plans.ends, row)
        enter(plans.ends, end, row)
        change(plans.plan, now, end, -int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])]))


@kernel
def _mark_those_to_plan(jobs: Jobs, queue: Queue, plans: Plans, now: int) -> None:
    """Mark jobs whose reservation begins; who falls behind the first so many of the queue loses its reservation."""
    state = plans.state
    look_begin(plans.begins)
    entry = look_next(plans.begins)
    while entry != NOBODY and plans.begins.time[nth(entry)] <= now:
        put_mark(plans.marks, _UNPLANNED, int(jobs.place[nth(plans.begins.row[nth(entry)])]["position"]))
        entry = look_next(plans.begins)
    while state[Plan.REACH] != NEVER and state[Plan.NEAR] > state[Plan.DEPTH]:
        position = last_mark(plans.marks, _WAITS, int(state[Plan.REACH]))
        drop_mark(plans.marks, _UNPLANNED, position)
        row = int(queue.job[nth(position)])
        if plans.begins.place[nth(row)] != NOBODY:
            _give_up(jobs, plans, row)
        state[Plan.REACH] = position - 1
        state[Plan.NEAR] -= 1


@kernel
def _give_up(jobs: Jobs, plans: Plans, row: int) -> None:
    """Take a reservation out of the plan."""
    begin = int(plans.begins.time[nth(plans.begins.place[nth(row)])])
    strike(plans.begins, row)
    gpus = int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])])
    change(plans.plan, begin, plus(begin, int(plans.estimate[nth(row)])), gpus)


@inlined
def _is_everybody_planned(plans: Plans, now: int) -> bool:
    """Return whether all are planned in this pass, as after an early end; if it is too soon, let a pass be due."""
    state = plans.state
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


@inlined
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
    count, state = events.counter, plans.state
    everybody = _is_everybody_planned(plans, now)
    _mark_those_to_plan(jobs, queue, plans, now)
    plane = _WAITS if everybody else _UNPLANNED
    sound = everybody and least_free(plans.plan) >= 0
    position = next_mark(plans.marks, plane, 0)
    while True:
        if position == NOBODY or position > state[Plan.REACH]:
            position = _next_in_reach(plans)
            if position == NOBODY:
                break
        row = int(queue.job[nth(position)])
        wish = int(jobs.claim[nth(row)]["demand"])
        asked = demand[nth(wish)]
        gpus, duration = int(plans.thousandths[nth(wish)]), int(plans.estimate[nth(row)])
        held = plans.begins.place[nth(row)] != NOBODY
        limit = NEVER
        if held and sound and plans.begins.time[nth(plans.begins.place[nth(row)])] > now:
            limit = int(plans.begins.time[nth(plans.begins.place[nth(row)])])
        elif held:
            _give_up(jobs, plans, row)
        begin = first_room(plans.plan, now, gpus, duration, limit)
        if limit == NEVER or begin < limit:
            if limit != NEVER:
                _give_up(jobs, plans, row)
            if begin == now:
                placed = False
                first = count[Count.SLOTS]
                if plans.refused[nth(wish)] != state[Plan.ROOM]:
                    if asked["plain"] == 0:
                        placed = placer(site, demand, log, events, row, wish)
                    else:
                        placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
                if placed:
                    _run_job(jobs, log, events, plans, row, first, now)
                else:
                    plans.refused[nth(wish)] = state[Plan.ROOM]
                    begin = next_change(plans.plan, now)
                    if begin != NEVER:
                        begin = first_room(plans.plan, begin, gpus, duration, NEVER)
            if begin == NEVER:
                put_mark(plans.marks, _UNPLANNED, position)
            elif begin > now:
                drop_mark(plans.marks, _UNPLANNED, position)
                enter(plans.begins, begin, row)
                change(plans.plan, begin, plus(begin, duration), -gpus)
        position = next_mark(plans.marks, plane, position + 1)


@kernel
def _next_in_reach(plans: Plans) -> int:
    """Let the next job be planned if fewer are than may be; return its position, or NOBODY."""
    state = plans.state
    if state[Plan.REACH] == NEVER or state[Plan.NEAR] >= state[Plan.DEPTH]:
        return NOBODY
    position = next_mark(plans.marks, _WAITS, int(state[Plan.REACH]) + 1)
    if position != NOBODY:
        state[Plan.REACH] = position
        state[Plan.NEAR] += 1
    return position


# --- slurm -------------------------------------------------------------------------------------------------


@kernel
def _begin_draft(jobs: Jobs, plans: Plans, now: int) -> None:
    """Start a draft from the running jobs; those that should have ended are expected to end at the next instant."""
    copy_profile(plans.plan, plans.draft)
    late = 0
    look_begin(plans.ends)
    entry = look_next(plans.ends)
    while entry != NOBODY and plans.ends.time[nth(entry)] <= now:
        late += plans.thousandths[nth(jobs.claim[nth(plans.ends.row[nth(entry)])]["demand"])]
        entry = look_next(plans.ends)
    change(plans.draft, now, _rounded(now + 1, int(plans.state[Plan.RESOLUTION])), -late)


@inlined
def _is_draft_due(plans: Plans, now: int, waiting: int) -> bool:
    """Return whether a draft is made in this pass; if it is too soon and somebody waits, let a pass be due."""
    state = plans.state
    if state[Plan.DUE] <= now:
        state[Plan.DUE] = NEVER
    if state[Plan.BEFORE] == 0 or now - state[Plan.LAST] >= state[Plan.INTERVAL]:
        state[Plan.BEFORE] = 1
        state[Plan.LAST] = now
        return True
    if waiting > 0 and state[Plan.DUE] == NEVER:
        state[Plan.DUE] = state[Plan.LAST] + state[Plan.INTERVAL]
    return False


@inlined
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
    count, state = events.counter, plans.state
    drafted = False
    left = int(state[Plan.DEPTH])
    position = next_mark(plans.marks, _WAITS, 0)
    while True:
        wish = NOBODY
        if position != NOBODY:
            wish = int(jobs.claim[nth(queue.job[nth(position)])]["demand"])
        if not drafted and (wish == NOBODY or plans.refused[nth(wish)] == state[Plan.ROOM]):
            if not _is_draft_due(plans, now, count[Count.WAITING]):
                break
            drafted = True
            if wish != NOBODY:
                _begin_draft(jobs, plans, now)
        if wish == NOBODY or left == 0:
            break
        row = int(queue.job[nth(position)])
        asked = demand[nth(wish)]
        gpus = int(plans.thousandths[nth(wish)])
        duration = _rounded(int(plans.estimate[nth(row)]), int(state[Plan.RESOLUTION]))
        begin = now
        if drafted:
            left -= 1
            begin = first_room(plans.draft, now, gpus, duration, NEVER)
        if begin == now:
            placed = False
            first = count[Count.SLOTS]
            if plans.refused[nth(wish)] != state[Plan.ROOM]:
                if asked["plain"] == 0:
                    placed = placer(site, demand, log, events, row, wish)
                else:
                    placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
            if placed:
                _run_job(jobs, log, events, plans, row, first, now)
            else:
                plans.refused[nth(wish)] = state[Plan.ROOM]
                if not drafted:
                    continue
                begin = next_change(plans.draft, now)
                if begin != NEVER:
                    begin = first_room(plans.draft, begin, gpus, duration, NEVER)
        if drafted and begin != NEVER and begin <= plus(now, int(state[Plan.WINDOW])):
            change(plans.draft, begin, plus(begin, duration), -gpus)
        position = next_mark(plans.marks, _WAITS, position + 1)
