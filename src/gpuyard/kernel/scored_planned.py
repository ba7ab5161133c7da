"""The event loops of plans whose order changes from pass to pass, or whose nodes close at times: conservative, slurm.

Every waiting job is scored in every pass in which the order matters; the rest is as in :mod:`gpuyard.kernel.planned`.
An order with a fixed key is scored by where its jobs stand.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.contenders import MICROSECONDS, Contenders
from gpuyard.kernel.decisions import note_plan
from gpuyard.kernel.draft import begin_draft, is_draft_due, rounded
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.frontier import open_frontier
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.kept import give_up, is_everybody_planned, keep, mark_beginning, prolong, seek
from gpuyard.kernel.marks import has_mark, next_mark, put_mark
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.planning import UNPLANNED, WAITS, change_state, finds_place, next_pass, room_from, run_job
from gpuyard.kernel.plans import Plan, Plans
from gpuyard.kernel.profile import change, first_room, least_free, next_change, plus
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.turns import heapify, score_all, take_first
from gpuyard.kernel.windows import Windows, close_for, next_opening, next_window_end

__all__ = ["run_scored_conservative", "run_scored_slurm"]


@kernel
def run_scored_conservative(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    contenders: Contenders,
    windows: Windows,
    scorer: Scorer,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count = events.counter
    while count[Count.CANCEL] == 0:
        now = _next_pass(jobs, events, plans, contenders, windows, stop)
        if now == NEVER or now > stop:
            break
        change_state(jobs, demand, dependencies, site, log, events, plans, releaser, now)
        prolong(jobs, plans.thousandths, plans.ends, plans.plan, now)
        mark_beginning(jobs, plans.begins, plans.marks, now)
        _plan_in_turn(jobs, demand, site, queue, log, events, plans, contenders, windows, scorer, placer, now)
        count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


@kernel
def run_scored_slurm(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    contenders: Contenders,
    windows: Windows,
    scorer: Scorer,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count = events.counter
    while count[Count.CANCEL] == 0:
        now = _next_pass(jobs, events, plans, contenders, windows, stop)
        if now == NEVER or now > stop:
            break
        change_state(jobs, demand, dependencies, site, log, events, plans, releaser, now)
        _draft_in_turn(jobs, demand, site, queue, log, events, plans, contenders, windows, scorer, placer, now)
        count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


# --- one pass ----------------------------------------------------------------------------------------------


@inlined
def _next_pass(jobs: Jobs, events: Events, plans: Plans, contenders: Contenders, windows: Windows, stop: int) -> int:
    """Return the next instant, or NEVER: also one at which a window ends, or shares change, while somebody waits."""
    now = next_pass(jobs, events, plans, stop)
    if events.counter[Count.WAITING] > 0:
        last = int(events.counter[Count.LAST])
        now = min(now, next_window_end(windows, last), next_recalculation(contenders.accounts, last))
    return now


@inner
def _line_up(
    jobs: Jobs,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    contenders: Contenders,
    scorer: Scorer,
    everybody: bool,
    now: int,
) -> int:
    """Score those who wait and put all of them, or those who have to be planned, on the heap; return how many."""
    if not everybody and next_mark(plans.marks, UNPLANNED, 0) == NOBODY:
        return 0
    waiting, size = 0, 0
    position = next_mark(plans.marks, WAITS, 0)
    while position != NOBODY:
        row = int(queue.job[nth(position)])
        contenders.waiting[nth(waiting)] = contenders.feature[nth(row)]
        wait = (now - jobs.job[nth(row)]["eligible"]) / MICROSECONDS
        contenders.waiting[nth(waiting)]["wait"] = wait
        if everybody or has_mark(plans.marks, UNPLANNED, position):
            contenders.turn[nth(size)] = waiting
            size += 1
        waiting += 1
        position = next_mark(plans.marks, WAITS, position + 1)
    if waiting == 0 or not score_all(contenders, jobs, log, events, waiting, scorer, now):
        return 0
    heapify(contenders, size)
    return size


@inlined
def _finds_place(
    site: Site,
    demand: Records,
    log: Log,
    events: Events,
    plans: Plans,
    windows: Windows,
    placer: Placer,
    row: int,
    wish: int,
    now: int,
) -> bool:
    """Try a job on the nodes that are open to it.

    Where nodes close, that one job found no place says nothing of another that asks for the same.
    """
    if windows.window.size > 0:
        close_for(site, windows, row, now, int(plans.estimate[nth(row)]))
        plans.refused[nth(wish)] = 0
    return finds_place(site, demand, log, events, plans.refused, plans.state, placer, row, wish)


@inlined
def _open_all(site: Site, windows: Windows, now: int) -> None:
    """Show all nodes again at the end of a pass."""
    if windows.window.size > 0:
        close_for(site, windows, 0, now, 0)


# --- conservative ------------------------------------------------------------------------------------------


@kernel
def _plan_in_turn(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    contenders: Contenders,
    windows: Windows,
    scorer: Scorer,
    placer: Placer,
    now: int,
) -> None:
    """Make one pass: start or reserve for the jobs that need it, in the order of this pass.

    Those who are ahead stand at the end of ``turn``, the first of them last; when one starts, the next one joins them.
    """
    state, plan, marks, turn = plans.state, plans.plan, plans.marks, contenders.turn
    everybody = is_everybody_planned(state, now)
    bound = events.counter[Count.WAITING] > state[Plan.DEPTH]
    size = _line_up(jobs, queue, log, events, plans, contenders, scorer, everybody or bound, now)
    ahead = 0
    while ahead < size and ahead < state[Plan.DEPTH]:
        turn[nth(size - 1 - ahead)] = take_first(contenders, size - ahead)
        ahead += 1
    _leave_behind(jobs, plans, contenders, size - ahead)
    sound = everybody and least_free(plan) >= 0
    open_frontier(plans.frontier)
    number = 0
    while number < ahead:
        row = int(contenders.waiting[nth(turn[nth(size - 1 - number)])]["row"])
        position = int(jobs.place[nth(row)]["position"])
        number += 1
        if not everybody and not has_mark(marks, UNPLANNED, position):
            continue
        wish = int(jobs.claim[nth(row)]["demand"])
        gpus, duration = int(plans.thousandths[nth(wish)]), int(plans.estimate[nth(row)])
        begin = seek(plans, row, wish, everybody, sound, now)
        if begin == now:
            first = events.counter[Count.SLOTS]
            if _finds_place(site, demand, log, events, plans, windows, placer, row, wish, now):
                run_job(jobs, log, events, plans, row, first, now, plus(now, duration))
                if ahead < size:
                    turn[nth(size - 1 - ahead)] = take_first(contenders, size - ahead)
                    ahead += 1
            else:
                again = min(first_time(plans.ends, NEVER), next_opening(windows, row, now))
                begin = room_from(plan, again, gpus, duration)
        if begin > now:
            keep(plans.begins, marks, plan, row, position, begin, plus(begin, duration), gpus)
            note_plan(log, row, begin, now)
    _open_all(site, windows, now)


@inner
def _leave_behind(jobs: Jobs, plans: Plans, contenders: Contenders, size: int) -> None:
    """Let those who are left on the heap lose their reservations."""
    for number in range(size):
        row = int(contenders.waiting[nth(contenders.turn[nth(number)])]["row"])
        if plans.begins.place[nth(row)] != NOBODY:
            gpus = int(plans.thousandths[nth(jobs.claim[nth(row)]["demand"])])
            give_up(plans.begins, plans.plan, row, gpus, int(plans.estimate[nth(row)]))
            put_mark(plans.marks, UNPLANNED, int(jobs.place[nth(row)]["position"]))


# --- slurm -------------------------------------------------------------------------------------------------


@kernel
def _draft_in_turn(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    plans: Plans,
    contenders: Contenders,
    windows: Windows,
    scorer: Scorer,
    placer: Placer,
    now: int,
) -> None:
    """Make one pass: start jobs up to the first that finds no place; then, if it is time, draft a plan from there."""
    count, state, draft = events.counter, plans.state, plans.draft
    resolution = int(state[Plan.RESOLUTION])
    horizon = min(plus(now, int(state[Plan.WINDOW])), NEVER - 1)
    size = _line_up(jobs, queue, log, events, plans, contenders, scorer, True, now)
    drafted = False
    left = int(state[Plan.DEPTH])
    while size > 0 and left > 0:
        row = int(contenders.waiting[nth(contenders.turn[0])]["row"])
        wish = int(jobs.claim[nth(row)]["demand"])
        gpus, duration = int(plans.thousandths[nth(wish)]), rounded(int(plans.estimate[nth(row)]), resolution)
        begin = now
        if drafted:
            left -= 1
            begin = first_room(draft, now, gpus, duration, NEVER)
        if begin == now:
            first = count[Count.SLOTS]
            if _finds_place(site, demand, log, events, plans, windows, placer, row, wish, now):
                end = rounded(plus(now, int(plans.estimate[nth(row)])), resolution)
                run_job(jobs, log, events, plans, row, first, now, end)
            elif drafted:
                again = min(next_change(draft, now), next_opening(windows, row, now))
                begin = room_from(draft, again, gpus, duration)
            elif is_draft_due(state, now, count[Count.WAITING]):
                drafted = True
                begin_draft(jobs, plans.thousandths, plans.ends, plans.plan, draft, resolution, now)
                continue
            else:
                break
        if drafted and begin <= horizon:
            change(draft, begin, plus(begin, duration), -gpus)
        if drafted and begin > now:
            note_plan(log, row, begin if begin <= horizon else NEVER, now)
        take_first(contenders, size)
        size -= 1
    if size == 0 and not drafted:
        is_draft_due(state, now, count[Count.WAITING])
    _open_all(site, windows, now)
