"""The event loop that has all together: levels and tenants, scores, reservations, and nodes that are closed at times.

What one job learns of its chances says little of the next, which may be shorter, more urgent, of another tenant, or
invited where it is not.  So every waiting job is tried but those who are known to find no room, as another one like
them found none (:mod:`gpuyard.kernel.joint_memory`), and, where everybody is tried, those of whom one that asks for
the same was refused in the same pass.
``docs/semantics.md``, *Scores, easy and windows beside preemption and tenants*, is the specification.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.cohort_turns import drop_passed_over, whose_turn
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_arrival, skip_rejected
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_admission import admitted_with, holder_of_asker, try_admitted
from gpuyard.kernel.joint_changes import change_jointly, preempt_victims, start_at
from gpuyard.kernel.joint_lane_turns import begin_after, choose_way, line_up_lanes, next_of_lanes, pass_on
from gpuyard.kernel.joint_lanes import leave_off
from gpuyard.kernel.joint_memory import (
    is_held,
    is_vain,
    may_lend,
    note_held,
    note_pass,
    note_vain,
    note_vain_by_counts,
)
from gpuyard.kernel.joint_passing import is_passed_over, own_queue, pass_over
from gpuyard.kernel.joint_reach import may_find
from gpuyard.kernel.joint_room import Roomer
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.joint_turns import (
    close_ranks,
    line_up_after,
    line_up_all,
    renew_levels,
    turn_over,
)
from gpuyard.kernel.latecomers import is_latecomer
from gpuyard.kernel.outstaying import expect_longer
from gpuyard.kernel.partitions import (
    Partitions,
    Round,
    close_round,
    has_head,
    holds_back,
    made_for_all,
    note_ahead,
    note_ends,
    note_outstaying,
    open_round,
    partition_of,
)
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.promising import find_head
from gpuyard.kernel.rescoring import score_all_places, score_place
from gpuyard.kernel.reservation import drop_reservation
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import Ledger, Tenancy
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.windows import (
    Windows,
    begins_later,
    close_for,
    hide_promised,
    is_window_end,
    next_window_end,
    show_withheld,
    withhold,
)
from gpuyard.kernel.worth import work_saved

__all__ = ["run_joint"]


_VAIN = 16
"""Once a round has looked in vain at one in so many of those who wait, the hopeless are left off."""


@kernel
def run_joint(
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
    tenancy: Tenancy,
    windows: Windows,
    joint: Joint,
    roomer: Roomer,
    scorer: Scorer,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened.

    Where the log has no room for what the next pass may write, the loop stops before it, with Gain.PAUSED set; called
    again with more room, it goes on from there.
    """
    count, state, ledger = events.counter, stays.state, tenancy.ledger
    while count[Count.CANCEL] == 0:
        if state[Gain.PAUSED] == 0:
            skip_rejected(jobs, events, stop)
            now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER), first_time(stays.ticks, NEVER))
            if count[Count.WAITING] > 0:
                last = int(count[Count.LAST])
                now = min(now, next_window_end(windows, last), next_recalculation(contenders.accounts, last))
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            if is_window_end(windows, now):
                note_ends(windows.partitions)
                joint.state[Party.GIVEN] += site.node.size + 1
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
        note_pass(site, stays, tenancy.ledger, joint, now)
        joint.state[Party.OPENS] = not begins_later(windows, now)
        scored = joint.state[Party.SCORED] > 0
        if count[Count.WAITING] > 0 and (not scored or score_all_places(contenders, jobs, events, stays, scorer, now)):
            note_outstaying(windows.partitions, expected, now)
            expect_longer(expected, now)
            while _make_round(
                jobs, demand, site, log, events, stays, contenders, expected, tenancy, windows, joint, roomer, scorer,
                placer, releaser, now,
            ):  # fmt: skip
                pass
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        if is_latecomer(stays, row):
            continue
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


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
    tenancy: Tenancy,
    windows: Windows,
    joint: Joint,
    roomer: Roomer,
    scorer: Scorer,
    placer: Placer,
    releaser: Releaser,
    now: int,
) -> bool:
    """Try the waiting jobs in order; return whether somebody made room and another round is to follow.

    Without tenants there is one round, and those who made room are tried in it.
    """
    state, partitions, ledger = joint.state, windows.partitions, tenancy.ledger
    state[Party.ROUND] += 1
    open_round(partitions)
    again = False
    vain = 0
    _line_up(contenders, stays, ledger, expected, partitions, joint, now)
    place = _whose_turn(demand, contenders, stays, ledger, expected, partitions, joint)
    while place != NOBODY:
        row = int(contenders.waiting[nth(place)]["row"])
        waiting = int(state[Party.LENGTH])
        renewed = placed = False
        vain += 1
        number = partition_of(partitions, row)
        if not is_passed_over(ledger, joint, partitions, row, number):
            short = not holds_back(partitions, int(expected.estimate[nth(row)]), now)
            headless = not has_head(partitions, number)
            first = int(events.counter[Count.SLOTS])
            placed, wish, taken = _seek_place(
                jobs, demand, site, log, events, stays, expected, tenancy, windows, joint, roomer, placer, releaser,
                row, int(joint.entry[nth(place)]["level"]), short, headless, now,
            )  # fmt: skip
            if placed:
                vain -= 1
                again = taken > 0 and state[Party.SHARED] > 0
                renewed = not again and (taken > 0 or (state[Party.LEAVES] > 0 and may_lend(ledger, joint, row)))
                _let_start(
                    jobs, site, log, events, stays, ledger, contenders, expected, joint, windows, scorer, place, taken,
                    first, short, renewed, now,
                )  # fmt: skip
                note_ahead(partitions, number)
            elif state[Party.PASSING] != Passing.BESIDE:
                pass_over(ledger, joint, partitions, row, number)
            elif headless and wish != NOBODY:
                vain = waiting
                find_head(jobs, demand, site, log, events, expected, windows, placer, releaser, row, wish, now)
        if again:
            break
        vain = _go_on(
            contenders, stays, ledger, expected, partitions, joint, placed, renewed, vain * _VAIN > waiting, vain, now
        )
        place = _whose_turn(demand, contenders, stays, ledger, expected, partitions, joint)
    if again:
        state[Party.AGAIN] = 1
    else:
        close_round(partitions)
        if partitions.state[Round.HEADS] == 0:
            drop_reservation(expected)
    close_for(site, windows, 0, now, 0)
    close_ranks(contenders, joint)
    return again


@inlined
def _line_up(
    contenders: Contenders,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    partitions: Partitions,
    joint: Joint,
    now: int,
) -> None:
    """Let all who wait be tried, but those who are known not to start."""
    renew_levels(contenders, stays, joint)
    if choose_way(ledger, joint):
        line_up_lanes(contenders, stays, ledger, expected, partitions, joint, now)
        return
    line_up_all(contenders, stays, ledger, joint)
    if joint.state[Party.LEAVES] > 0 and (joint.state[Party.HOLDS] > 0 or joint.state[Party.PASSING] == Passing.ALL):
        leave_off(ledger, expected, partitions, joint, now)


@inlined
def _go_on(
    contenders: Contenders,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    partitions: Partitions,
    joint: Joint,
    placed: bool,
    renewed: bool,
    due: bool,
    vain: int,
    now: int,
) -> int:
    """Note that somebody was tried; return how many were in vain since it was looked who is to be left off.

    That is ``due``, where turns are not told lane by lane.
    """
    if joint.state[Party.BY_LANE] > 0:
        if not renewed:
            pass_on(contenders, stays, ledger, expected, partitions, joint, placed, now)
        return vain
    if not renewed:
        turn_over(contenders, stays, ledger, joint)
        drop_passed_over(contenders, stays, ledger, partitions, joint)
    if joint.state[Party.LEAVES] > 0 and due:
        leave_off(ledger, expected, partitions, joint, now)
        return 0
    return vain


@inlined
def _whose_turn(
    demand: Records,
    contenders: Contenders,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    partitions: Partitions,
    joint: Joint,
) -> int:
    """Return the place whose turn it is, or NOBODY."""
    if joint.state[Party.BY_LANE] > 0:
        return next_of_lanes(contenders, stays, ledger, expected, partitions, joint)
    return whose_turn(demand, contenders, stays, ledger, joint)


@inlined
def _let_start(
    jobs: Jobs,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    joint: Joint,
    windows: Windows,
    scorer: Scorer,
    place: int,
    taken: int,
    first: int,
    short: bool,
    renewed: bool,
    now: int,
) -> None:
    """Let a job start for which so many were taken off; ``renewed``: those after it may find room again."""
    waiting = int(joint.state[Party.LENGTH])
    row = int(contenders.waiting[nth(place)]["row"])
    if taken > 0:
        preempt_victims(jobs, site, log, events, stays, ledger, contenders, expected, joint, windows, taken, row, now)
    for other in range(waiting, joint.state[Party.LENGTH] if joint.state[Party.SCORED] > 0 else 0):
        score_place(contenders, events, scorer, other, now)
    lanes = renewed and joint.state[Party.BY_LANE] > 0
    if lanes:
        begin_after(stays, joint, place, waiting)
    elif renewed:
        line_up_after(contenders, stays, joint, place, waiting)
    start_at(jobs, site, log, events, stays, ledger, contenders, expected, joint, place, first, short, now)
    if lanes:  # not before: it is the start after which others may find room
        line_up_lanes(contenders, stays, ledger, expected, windows.partitions, joint, now)


@inlined
def _withhold(site: Site, ledger: Ledger, joint: Joint, windows: Windows, row: int) -> None:
    """Hide the nodes of the queues in which a job's tenant was refused in this round, where nobody may pass."""
    if joint.state[Party.PASSING] == Passing.NOBODY:
        for number in range(windows.partitions.own.size):
            if joint.over[nth(own_queue(ledger, windows.partitions, row, number))] == joint.state[Party.ROUND]:
                withhold(site, windows, number, True)


@inlined
def _seek_place(
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
    level: int,
    short: bool,
    asked: bool,
    now: int,
) -> tuple[bool, int, int]:
    """Place a job if it is not known to find no room; return what :func:`_find_place` does.

    The demand with which it was admitted is NOBODY unless it is ``asked``.  Most who wait are known to find none: this
    is told here, before so much is handed on as it takes to try.
    """
    if _is_held_back(jobs, tenancy.ledger, expected, joint, row, level, short):
        return False, NOBODY, 0
    if _may_find_room(jobs, demand, site, log, stays, tenancy.ledger, expected, windows, joint, row, level, short, now):
        return _find_place(
            jobs, demand, site, log, events, stays, expected, tenancy, windows, joint, roomer, placer, releaser,
            row, level, short, now,
        )  # fmt: skip
    return False, admitted_with(demand, tenancy, joint, row) if asked else NOBODY, 0


@inlined
def _is_held_back(
    jobs: Jobs, ledger: Ledger, expected: Expectations, joint: Joint, row: int, level: int, short: bool
) -> bool:
    """Return whether a job is known not to start, whatever room there is: too many GPUs for what is left, or held."""
    promise = expected.promise
    if not short and promise[Promise.COUNTS] > 0:
        wish = jobs.claim[nth(row)]["demand"]
        if expected.thousandths[nth(wish)] > promise[Promise.EXTRA]:
            return True
    return bool(joint.state[Party.RECALLS] > 0 and is_held(ledger, joint, row, level))


@inlined
def _may_find_room(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    windows: Windows,
    joint: Joint,
    row: int,
    level: int,
    short: bool,
    now: int,
) -> bool:
    """Return whether a job is not known to find no room."""
    partitions = windows.partitions
    made = made_for_all(partitions)
    if joint.state[Party.RECALLS] > 0 and is_vain(partitions, ledger, expected, joint, row, level, short, made):
        return False
    if may_find(jobs, demand, site, log, stays, ledger, expected, windows, joint, row, level, short, now):
        return True
    note_vain_by_counts(partitions, expected, joint, row, level, short, int(stays.state[Gain.SHORT]), now)
    return False


@kernel
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
    level: int,
    short: bool,
    now: int,
) -> tuple[bool, int, int]:
    """Place a job on the nodes open to it and, unless it is short, beside what is promised, or make room for it there.

    Nodes that are withheld from its tenant are not open.  Return whether it is placed; the demand with which it was
    admitted first, or NOBODY; how many were taken off.
    """
    ledger, length = tenancy.ledger, int(expected.estimate[nth(row)])
    close_for(site, windows, row, now, length)
    if not short:
        hide_promised(site, windows, length, now, now, True)
    _withhold(site, ledger, joint, windows, row)
    placed, admitted = try_admitted(demand, site, log, events, tenancy, joint, placer, row)
    taken = 0
    joint.state[Party.HOLDER] = NOBODY
    if not placed:
        if joint.state[Party.PREEMPTS] > 0:
            taken = roomer(jobs, demand, site, log, events, stays, tenancy, windows, joint, placer, releaser, row, now)
        elif admitted == NOBODY:
            joint.state[Party.HOLDER] = holder_of_asker(ledger, row)
    if not short:
        hide_promised(site, windows, length, now, now, False)
    show_withheld(site, windows)
    if not placed and taken == 0 and joint.state[Party.RECALLS] > 0:
        if joint.state[Party.HOLDER] == NOBODY:
            note_vain(windows.partitions, stays, ledger, expected, joint, row, level, short, now)
        else:
            note_held(stays, ledger, joint, row, level, int(joint.state[Party.HOLDER]), now)
    return placed or taken > 0, admitted, taken
