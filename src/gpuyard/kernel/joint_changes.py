"""The changes of an instant where all waiting jobs are tried in every pass, and of a start and a preemption."""

from __future__ import annotations

from gpuyard.kernel.agenda import strike as strike_end
from gpuyard.kernel.attempting import begin_attempt, end_attempt, keep_gain
from gpuyard.kernel.bits import nth
from gpuyard.kernel.cancelling import cancel, end_cancelled, is_cancelled, is_expendable
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.instants import next_eligible, tell_others, vacate
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_entries import enter_lane, leave_lane
from gpuyard.kernel.joint_memory import note_given, note_start
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.latecomers import is_latecomer, let_come
from gpuyard.kernel.levels import key_to_wait, level_of_waiting, next_tick, pass_bins, time_of_promotion
from gpuyard.kernel.partitions import Partitions, note_end
from gpuyard.kernel.placement import Releaser
from gpuyard.kernel.prey import announce, look_again, withdraw
from gpuyard.kernel.quotas import charge, note_share, resource_held
from gpuyard.kernel.reservation import count_start
from gpuyard.kernel.stays import Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import Between, Ledger, Share
from gpuyard.kernel.timetable import enter, first_time, strike
from gpuyard.kernel.windows import Windows
from gpuyard.kernel.worth import expected_length, work_saved

__all__ = ["change_jointly", "preempt_victims", "start_at"]


@inlined
def change_jointly(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    joint: Joint,
    windows: Windows,
    releaser: Releaser,
    now: int,
) -> None:
    """Apply the changes of an instant: END, RELEASE and SUBMIT, TICK."""
    state = stays.state
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        if is_cancelled(stays, row):
            end_cancelled(jobs, dependencies, events, stays, row, now)
            continue
        wish = int(jobs.claim[nth(row)]["demand"])
        if joint.state[Party.PREEMPTS] > 0:
            withdraw(jobs, site, log, stays, row)
        if is_latecomer(stays, row):
            joint.state[Party.GIVEN] += jobs.claim[nth(row)]["slots"]
            ledger.state[Share.FREE] += expected.thousandths[nth(wish)]
            _expect_no_more(expected, windows.partitions, row, wish, int(jobs.job[nth(row)]["start"]))
            let_come(jobs, demand, site, log, events, stays, releaser, row)
            continue
        useful = int(jobs.job[nth(row)]["duration"] - stays.stay[nth(row)]["saved"])
        if jobs.claim[nth(row)]["slots"] > 0:
            _charge(jobs, site, log, ledger, row, -1)
        note_given(jobs, ledger, joint, row)
        _expect_no_more(expected, windows.partitions, row, wish, int(stays.stay[nth(row)]["since"]))
        end_attempt(events, stays, row, now, useful, NOBODY)
        vacate(jobs, demand, site, log, releaser, row)
        tell_others(dependencies, events, row, now)
        state[Gain.ACTIVE] -= 1
        state[Gain.CHUNKS] -= stays.chunks[nth(wish)]
    while True:
        row = next_eligible(jobs, dependencies, events, now)
        if row == NOBODY:
            break
        wish = int(jobs.claim[nth(row)]["demand"])
        state[Gain.ACTIVE] += 1
        state[Gain.CHUNKS] += stays.chunks[nth(wish)]
        stays.stay[nth(row)]["since"] = now
        _join(jobs, events, stays, contenders, expected, joint, row, wish)
    while first_time(stays.ticks, NEVER) == now:
        row = int(stays.ticks.row[0])
        strike(stays.ticks, row)
        state[Gain.TICKS] += 1
        if stays.stay[nth(row)]["attempt"] == NOBODY:
            _promote(jobs, stays, joint, row, int(jobs.claim[nth(row)]["demand"]))
        else:
            _tick(jobs, site, log, stays, ledger, joint, row, int(jobs.claim[nth(row)]["demand"]), now)


@inlined
def _charge(jobs: Jobs, site: Site, log: Log, ledger: Ledger, row: int, sign: int) -> None:
    """Charge a running job, or take it off what it is charged to; its tenant's share changes."""
    number = int(ledger.asker_of[nth(row)])
    charge(ledger, number, resource_held(jobs, site, log, ledger, row), sign)
    if ledger.state[Share.BETWEEN] != Between.QUEUE:
        note_share(ledger, int(ledger.asker[nth(number)]["tenant"]))


@inlined
def _expect_no_more(expected: Expectations, partitions: Partitions, row: int, wish: int, since: int) -> None:
    """Note that what runs since some time gives back what it holds."""
    strike_end(expected.ends, int(since + expected.estimate[nth(row)]), row)
    expected.promise[Promise.FREE] += expected.thousandths[nth(wish)]
    note_end(partitions, row)


@inlined
def _join(
    jobs: Jobs,
    events: Events,
    stays: Stays,
    contenders: Contenders,
    expected: Expectations,
    joint: Joint,
    row: int,
    wish: int,
) -> int:
    """Let a job wait, with what its next attempt is expected to last; return its place in the list."""
    stays.stay[nth(row)]["key"] = key_to_wait(jobs, stays, row, wish)
    expected.estimate[nth(row)] = expected_length(stays, row)
    place = int(joint.state[Party.LENGTH])
    contenders.waiting[nth(place)] = contenders.feature[nth(row)]
    contenders.eligible[nth(place)] = jobs.job[nth(row)]["eligible"]
    contenders.score[nth(place)] = 0.0
    enter_lane(joint, place, row, level_of_waiting(stays, row), int(expected.estimate[nth(row)]))
    joint.state[Party.LENGTH] = place + 1
    events.counter[Count.WAITING] += 1
    return place


@kernel
def _promote(jobs: Jobs, stays: Stays, joint: Joint, row: int, wish: int) -> None:
    """Let a waiting job count its attained time from nothing again."""
    this = stays.stay[nth(row)]
    this["attained"] = 0
    this["bin"] = 0
    this["key"] = key_to_wait(jobs, stays, row, wish)
    joint.state[Party.PROMOTED] = 1


@kernel
def _tick(
    jobs: Jobs, site: Site, log: Log, stays: Stays, ledger: Ledger, joint: Joint, row: int, wish: int, now: int
) -> None:
    """Bring the level of a running job up to date, and let it be taken away if it may be from now on."""
    this = stays.stay[nth(row)]
    if stays.terms[Terms.RULE] == Rule.BINS:
        pass_bins(stays, row, wish, int(this["attained"] + now - this["since"]))
    if joint.state[Party.PREEMPTS] > 0:
        look_again(jobs, site, log, stays, row, now, int(joint.state[Party.ORIGIN]))
    note_given(jobs, ledger, joint, row)
    tick = next_tick(stays, row, wish, now)
    if tick != NEVER:
        enter(stays.ticks, tick, row)


@inlined
def start_at(
    jobs: Jobs,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    joint: Joint,
    place: int,
    first: int,
    short: bool,
    now: int,
) -> None:
    """Let the job at a place of the list run, which holds the slots from ``first`` on."""
    row = int(contenders.waiting[nth(place)]["row"])
    contenders.waiting[nth(place)]["row"] = NOBODY
    leave_lane(joint, place)
    events.counter[Count.WAITING] -= 1
    begin_attempt(jobs, events, stays, row, first, now)
    if joint.state[Party.PREEMPTS] > 0:
        announce(stays, row)
    note_start(site, ledger, joint, row, now)
    count_start(site, log, events, expected, row, int(jobs.claim[nth(row)]["demand"]), first, now, short)
    _charge(jobs, site, log, ledger, row, 1)


@kernel
def preempt_victims(
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
    taken: int,
    cause: int,
    now: int,
) -> None:
    """End the attempts of those that made room, in the order in which they were taken, and let them wait again.

    Who is expendable ends instead.  What they held is free already, and they are charged to nobody.
    """
    for place in range(taken):
        if stays.catch[nth(place)]["spared"] > 0:
            continue
        row = int(stays.catch[nth(place)]["row"])
        wish = int(jobs.claim[nth(row)]["demand"])
        useful = work_saved(jobs, stays, row, now)
        _expect_no_more(expected, windows.partitions, row, wish, int(stays.stay[nth(row)]["since"]))
        end_attempt(events, stays, row, now, useful, cause)
        withdraw(jobs, site, log, stays, row)
        note_given(jobs, ledger, joint, row)
        if is_expendable(stays, row):
            cancel(stays, row, now)
        else:
            keep_gain(stays, row, wish, useful, now)
            _join(jobs, events, stays, contenders, expected, joint, row, wish)
            promotion = time_of_promotion(stays, row)
            if promotion != NEVER:
                enter(stays.ticks, promotion, row)
        if ledger.state[Share.BETWEEN] != Between.QUEUE:
            note_share(ledger, int(ledger.asker[nth(ledger.asker_of[nth(row)])]["tenant"]))
