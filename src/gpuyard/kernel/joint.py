"""The event loop that has all together: levels and tenants, scores, reservations, and nodes that are closed at times.

Every waiting job is looked at in every pass: what one job learns of its chances says little of the next, which may be
shorter, more urgent, of another tenant, or invited where it is not.  Only a job that asks for the same, is no more
urgent, and has no nodes that the other had not, is not tried where that one was refused in the same pass.
``docs/semantics.md``, *Scores, easy and windows beside preemption and tenants*, is the specification.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_arrival, skip_rejected
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_admission import try_admitted
from gpuyard.kernel.joint_changes import change_jointly, preempt_victims, start_at
from gpuyard.kernel.joint_room import Roomer
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.joint_turns import (
    close_ranks,
    line_up_all,
    next_turn,
    queue_up,
    score_all_places,
    score_place,
    turn_over,
)
from gpuyard.kernel.latecomers import is_latecomer
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.outstaying import expect_longer
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.reservation import drop_reservation, reserve_open
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import Ledger, Tenancy
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.windows import Windows, begins_later, close_for, hide_reserved, is_window_end, next_window_end
from gpuyard.kernel.worth import work_saved

__all__ = ["run_joint"]


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
                expected.promise[Promise.RELEASED] = 1
            change_jointly(
                jobs, demand, dependencies, site, log, events, stays, ledger, contenders, expected, joint, releaser, now
            )
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = (
            log.slots.size - count[Count.SLOTS] < state[Gain.CHUNKS]
            or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
        )
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        joint.state[Party.LISTED] = NOBODY
        joint.state[Party.STAMP] += 1
        joint.state[Party.OPENS] = not begins_later(windows, now)
        scored = joint.state[Party.SCORED] > 0
        if count[Count.WAITING] > 0 and (
            not scored or score_all_places(contenders, jobs, events, stays, joint, scorer, now)
        ):
            anew = expect_longer(expected, now)
            while _make_round(
                jobs, demand, site, log, events, stays, contenders, expected, tenancy, windows, joint, roomer, scorer,
                placer, releaser, anew, now,
            ):  # fmt: skip
                anew = True
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        if is_latecomer(stays, row):
            continue
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


@kernel
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
    anew: bool,
    now: int,
) -> bool:
    """Try the waiting jobs in order; return whether somebody made room and another round is to follow.

    Without tenants there is one round, and those who made room are tried in it.  ``anew``: whether a reservation of an
    earlier pass has to be made again.
    """
    state, promise, ledger = joint.state, expected.promise, tenancy.ledger
    state[Party.ROUND] += 1
    line_up_all(contenders, stays, ledger, joint)
    headless = True
    again = False
    place = next_turn(joint)
    while place != NOBODY:
        row = int(contenders.waiting[nth(place)]["row"])
        waiting = int(state[Party.LENGTH])
        if not _is_passed_over(ledger, joint, row):
            short = headless or expected.estimate[nth(row)] <= promise[Promise.SHADOW] - now
            first = int(events.counter[Count.SLOTS])
            placed, wish, taken = _find_place(
                jobs, demand, site, log, events, stays, expected, tenancy, windows, joint, roomer, placer, releaser,
                row, short, now,
            )  # fmt: skip
            if placed:
                preempt_victims(jobs, events, stays, ledger, contenders, expected, joint, taken, row, now)
                start_at(jobs, site, log, events, stays, ledger, contenders, expected, place, first, short, now)
                anew = True
                state[Party.STAMP] += taken > 0
                again = taken > 0 and state[Party.SHARED] > 0
            elif state[Party.PASSING] != Passing.BESIDE:
                _pass_over(ledger, joint, row)
            elif headless and wish != NOBODY:
                headless = False
                anew = anew or promise[Promise.HEAD] != row or state[Party.WISH] != wish
                if anew or promise[Promise.RELEASED] > 0:
                    reserve_open(jobs, demand, site, log, events, expected, windows, placer, releaser, row, wish, now)
                    state[Party.WISH] = wish
                promise[Promise.RELEASED] = 0
        turn_over(contenders, stays, ledger, joint)
        for other in range(waiting, state[Party.LENGTH]):
            if state[Party.SCORED] > 0:
                score_place(contenders, events, scorer, other, now)
            if not again:
                queue_up(contenders, stays, joint, other)
        place = NOBODY if again else next_turn(joint)
    if headless and not again:
        drop_reservation(expected)
    close_for(site, windows, 0, now, 0)
    close_ranks(contenders, joint)
    return again


@inlined
def _is_passed_over(ledger: Ledger, joint: Joint, row: int) -> bool:
    """Return whether a job is not tried any more in this round, because another was refused."""
    number = ledger.asker_of[nth(row)]
    tenant = ledger.asker[nth(number)]["tenant"]
    return bool(max(joint.over[nth(number)], joint.queue[nth(tenant)]["over"]) == joint.state[Party.ROUND])


@inlined
def _pass_over(ledger: Ledger, joint: Joint, row: int) -> None:
    """Let nobody else of a refused job's tenant be tried in this round, or nobody who asks for the same."""
    number = ledger.asker_of[nth(row)]
    if joint.state[Party.PASSING] == Passing.NOBODY:
        joint.queue[nth(ledger.asker[nth(number)]["tenant"])]["over"] = joint.state[Party.ROUND]
    elif joint.state[Party.SKIPS] > 0:
        joint.over[nth(number)] = joint.state[Party.ROUND]


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
    short: bool,
    now: int,
) -> tuple[bool, int, int]:
    """Place a job on the nodes open to it and, unless it is short, beside what is promised, or make room for it there.

    Return whether it is placed; the demand with which it was admitted first, or NOBODY; how many were taken off.
    """
    promise = expected.promise
    wish = int(jobs.claim[nth(row)]["demand"])
    if not short and promise[Promise.COUNTS] > 0 and expected.thousandths[nth(wish)] > promise[Promise.EXTRA]:
        return False, NOBODY, 0
    if joint.state[Party.RECALLS] > 0 and _is_vain(stays, expected, tenancy.ledger, windows, joint, row, short):
        return False, NOBODY, 0
    close_for(site, windows, row, now, int(expected.estimate[nth(row)]))
    if not short:
        hide_reserved(site, windows, expected, True)
    placed, admitted = try_admitted(demand, site, log, events, tenancy, joint, placer, row)
    taken = 0
    if not placed and joint.state[Party.PREEMPTS] > 0:
        taken = roomer(jobs, demand, site, log, events, stays, tenancy, windows, joint, placer, releaser, row, now)
    if not short:
        hide_reserved(site, windows, expected, False)
    if not placed and taken == 0 and joint.state[Party.RECALLS] > 0:
        _note_vain(stays, expected, tenancy.ledger, windows, joint, row, short)
    return placed or taken > 0, admitted, taken


@inlined
def _is_vain(
    stays: Stays, expected: Expectations, ledger: Ledger, windows: Windows, joint: Joint, row: int, short: bool
) -> bool:
    """Return whether a job of the same asker with no worse chances was refused, and nothing was given back since.

    Before there is a head, nobody was refused but by limits, which do not admit this one either.
    """
    this = joint.vain[nth(ledger.asker_of[nth(row)])]
    if this["stamp"] != joint.state[Party.STAMP] or this["standing"] != windows.standing[nth(row)]:
        return False
    if this["level"] > level_of_waiting(stays, row) or (short and this["short"] == 0):
        return False
    return bool(joint.state[Party.OPENS] > 0 or this["length"] <= expected.estimate[nth(row)])


@inlined
def _note_vain(
    stays: Stays, expected: Expectations, ledger: Ledger, windows: Windows, joint: Joint, row: int, short: bool
) -> None:
    """Remember that a job was refused."""
    this = joint.vain[nth(ledger.asker_of[nth(row)])]
    this["stamp"] = joint.state[Party.STAMP]
    this["standing"] = windows.standing[nth(row)]
    this["level"] = level_of_waiting(stays, row)
    this["length"] = expected.estimate[nth(row)]
    this["short"] = short
