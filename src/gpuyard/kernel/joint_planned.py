"""The event loop of slurm's plan beside preemption and tenants, with scores and windows.

A pass goes as in :mod:`gpuyard.kernel.joint` up to the first job that is admitted, finds no place and can make no room;
from there on, if it is time, a plan is drafted that says who may start and who is reserved for.
``docs/semantics.md``, *Scores, easy and windows beside preemption and tenants*, is the specification.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.cohort_turns import whose_turn
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.decisions import note_plan
from gpuyard.kernel.draft import is_draft_due, rounded
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_arrival, skip_rejected
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_admission import admitted_with, try_admitted
from gpuyard.kernel.joint_changes import change_jointly, preempt_victims, start_at
from gpuyard.kernel.joint_prey import list_prey
from gpuyard.kernel.joint_room import Roomer
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.joint_turns import (
    close_ranks,
    line_up_all,
    queue_up,
    renew_levels,
    turn_over,
)
from gpuyard.kernel.latecomers import is_latecomer
from gpuyard.kernel.outlook import Outlook, draft_running, look, look_anew
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.planning import room_from
from gpuyard.kernel.plans import Plan
from gpuyard.kernel.profile import change, first_room, next_change, plus
from gpuyard.kernel.rescoring import score_all_places, score_place
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import Ledger, Tenancy
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.windows import Windows, close_for, next_opening, next_window_end
from gpuyard.kernel.worth import work_saved

__all__ = ["run_joint_slurm"]


@kernel
def run_joint_slurm(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    stays: Stays,
    contenders: Contenders,
    expected: Expectations,
    outlook: Outlook,
    tenancy: Tenancy,
    windows: Windows,
    joint: Joint,
    roomer: Roomer,
    scorer: Scorer,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; pauses as :func:`gpuyard.kernel.joint.run_joint` does."""
    count, state, ledger = events.counter, stays.state, tenancy.ledger
    while count[Count.CANCEL] == 0:
        if state[Gain.PAUSED] == 0:
            now = _next_pass(jobs, events, stays, contenders, outlook, windows, stop)
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            change_jointly(
                jobs, demand, dependencies, site, log, events, stays, ledger, contenders, expected, joint, windows,
                releaser, now,
            )  # fmt: skip
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = (
            log.slots.size - count[Count.SLOTS] < state[Gain.CHUNKS]
            or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
        )
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        joint.state[Party.LISTED] = NOBODY
        plans = is_draft_due(outlook.state, now, 0)
        scored = joint.state[Party.SCORED] > 0
        if count[Count.WAITING] > 0 and (not scored or score_all_places(contenders, jobs, events, stays, scorer, now)):
            while _make_round(
                jobs, demand, site, log, events, stays, contenders, expected, outlook, tenancy, windows, joint, roomer,
                scorer, placer, releaser, plans, now,
            ):  # fmt: skip
                pass
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
        if not plans:
            is_draft_due(outlook.state, now, count[Count.WAITING])
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        if is_latecomer(stays, row):
            continue
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


@inlined
def _next_pass(
    jobs: Jobs, events: Events, stays: Stays, contenders: Contenders, outlook: Outlook, windows: Windows, stop: int
) -> int:
    """Return the next instant, or NEVER: something happens, or a pass is due."""
    skip_rejected(jobs, events, stop)
    now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER), first_time(stays.ticks, NEVER))
    if events.counter[Count.WAITING] > 0:
        last = int(events.counter[Count.LAST])
        now = min(now, next_window_end(windows, last), next_recalculation(contenders.accounts, last))
    elif now == NEVER:
        return NEVER
    return min(now, int(outlook.state[Plan.DUE]))


@inlined
def _make_round(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    contenders: Contenders,
    expected: Expectations,
    outlook: Outlook,
    tenancy: Tenancy,
    windows: Windows,
    joint: Joint,
    roomer: Roomer,
    scorer: Scorer,
    placer: Placer,
    releaser: Releaser,
    plans: bool,
    now: int,
) -> bool:
    """Try the waiting jobs in order up to the head, then plan; return whether another round is to follow.

    That is so among tenants, when somebody made room.
    """
    state, ledger = joint.state, tenancy.ledger
    renew_levels(contenders, stays, joint)
    line_up_all(contenders, stays, ledger, joint)
    head, again = NOBODY, False
    left = int(outlook.state[Plan.DEPTH])
    place = whose_turn(demand, contenders, stays, ledger, joint)
    while place != NOBODY and left > 0:
        row = int(contenders.waiting[nth(place)]["row"])
        waiting = int(state[Party.LENGTH])
        first = int(events.counter[Count.SLOTS])
        begin, admitted = now, False
        drafted = head != NOBODY
        if drafted:
            admitted = admitted_with(demand, tenancy, joint, row) != NOBODY
            left -= admitted
            look(jobs, demand, site, log, stays, ledger, expected, joint, outlook, row, now)
            begin = _first_room(jobs, expected, outlook, row, now)
        placed, taken = False, 0
        if begin == now and row != head:
            placed, found, taken = _find_place(
                jobs, demand, site, log, events, stays, expected, tenancy, windows, joint, roomer, placer, releaser,
                row, now,
            )  # fmt: skip
            if not drafted and not placed and found:
                if not plans:
                    break
                head = row
                _begin_plan(jobs, stays, ledger, expected, joint, outlook, now)
                continue
        if placed:
            preempt_victims(
                jobs, site, log, events, stays, ledger, contenders, expected, joint, windows, taken, row, now
            )
            start_at(jobs, site, log, events, stays, ledger, contenders, expected, joint, place, first, True, now)
            again = taken > 0 and state[Party.SHARED] > 0
            look_anew(outlook)
        if admitted or (placed and drafted):
            _reserve(jobs, log, expected, outlook, windows, row, begin, placed, now)
        turn_over(contenders, stays, ledger, joint)
        for other in range(waiting, state[Party.LENGTH]):
            if state[Party.SCORED] > 0:
                score_place(contenders, events, scorer, other, now)
            if not again:
                queue_up(contenders, stays, joint, other)
        place = NOBODY if again else whose_turn(demand, contenders, stays, ledger, joint)
    close_for(site, windows, 0, now, 0)
    close_ranks(contenders, joint)
    return again


@kernel
def _begin_plan(
    jobs: Jobs, stays: Stays, ledger: Ledger, expected: Expectations, joint: Joint, outlook: Outlook, now: int
) -> None:
    """Begin to plan: with the running jobs, of whom those are listed who may be preempted."""
    if joint.state[Party.PREEMPTS] > 0 and joint.state[Party.LISTED] == NOBODY:
        list_prey(jobs, stays, ledger, joint, now)
    draft_running(jobs, expected, outlook, now)


@kernel
def _first_room(jobs: Jobs, expected: Expectations, outlook: Outlook, row: int, now: int) -> int:
    """Return the first instant from now on from which a job's GPUs are free in the plan for as long as it stays."""
    gpus = int(expected.thousandths[nth(jobs.claim[nth(row)]["demand"])])
    return first_room(outlook.draft, now, gpus, _stay(expected, outlook, row), NEVER)


@kernel
def _stay(expected: Expectations, outlook: Outlook, row: int) -> int:
    """Return how long a waiting job is planned to stay."""
    return rounded(int(expected.estimate[nth(row)]), int(outlook.state[Plan.RESOLUTION]))


@kernel
def _reserve(
    jobs: Jobs,
    log: Log,
    expected: Expectations,
    outlook: Outlook,
    windows: Windows,
    row: int,
    begin: int,
    placed: bool,
    now: int,
) -> None:
    """Take a job's GPUs from the plan: from now on if it has its place, else from when it may find one."""
    gpus = int(expected.thousandths[nth(jobs.claim[nth(row)]["demand"])])
    draft, stay = outlook.draft, _stay(expected, outlook, row)
    if not placed and begin == now:
        again = min(next_change(draft, now), next_opening(windows, row, now))
        begin = room_from(draft, again, gpus, stay)
    kept = begin <= min(plus(now, int(outlook.state[Plan.WINDOW])), NEVER - 1)
    if kept:
        change(draft, begin, plus(begin, stay), -gpus)
    if not placed:
        note_plan(log, row, begin if kept else NEVER, now)


@inlined
def _find_place(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    expected: Expectations,
    tenancy: Tenancy,
    windows: Windows,
    joint: Joint,
    roomer: Roomer,
    placer: Placer,
    releaser: Releaser,
    row: int,
    now: int,
) -> tuple[bool, bool, int]:
    """Place a job on the nodes open to it, or make room for it there.

    Return whether it is placed, whether it was admitted before anybody was taken off, and how many were.
    """
    close_for(site, windows, row, now, int(expected.estimate[nth(row)]))
    placed, wish = try_admitted(demand, site, log, events, tenancy, joint, placer, row)
    taken = 0
    if not placed and joint.state[Party.PREEMPTS] > 0:
        taken = roomer(jobs, demand, site, log, events, stays, tenancy, windows, joint, placer, releaser, row, now)
    return placed or taken > 0, wish != NOBODY, taken
