"""The event loop of policies under which running jobs make room for more urgent ones.

``docs/semantics.md``, *Preemption*, is the specification.  Jobs of equal demand wait in one lane.  A lane whose first
job found no room, even without all jobs less urgent than itself, is tried again when something is given back, when
more may be taken away, or when another job comes first in it.
"""

from __future__ import annotations

from gpuyard.kernel.attempting import begin_attempt, end_attempt, keep_gain
from gpuyard.kernel.bits import nth
from gpuyard.kernel.cancelling import cancel, end_cancelled, is_cancelled, is_expendable
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.hunt import Hunter, make_room
from gpuyard.kernel.instants import next_arrival, next_eligible, tell_others, vacate
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.latecomers import is_latecomer, let_come
from gpuyard.kernel.levels import key_to_wait, level_of_waiting, next_tick, pass_bins, time_of_promotion
from gpuyard.kernel.line import first_of, line_up, stand_out, take_turn, turn_back, turns_after
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.prey import announce, look_again, withdraw
from gpuyard.kernel.stays import Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.timetable import enter, first_time, strike
from gpuyard.kernel.worth import work_saved

__all__ = ["run_preempting"]


@kernel
def run_preempting(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    stays: Stays,
    hunter: Hunter,
    origin: int,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened.

    Where the log has no room for what the next pass may write, the loop stops before it, with Gain.PAUSED set; called
    again with more room, it goes on from there.  No time is before ``origin``.
    """
    count, state = events.counter, stays.state
    while count[Count.CANCEL] == 0:
        if state[Gain.PAUSED] == 0:
            now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER), first_time(stays.ticks, NEVER))
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            _change(jobs, demand, dependencies, site, log, events, stays, releaser, now, origin)
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = (
            log.slots.size - count[Count.SLOTS] < state[Gain.CHUNKS]
            or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
        )
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, log, events, stays, hunter, placer, releaser, now, origin)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        if is_latecomer(stays, row):
            continue
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


@inlined
def _change(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    releaser: Releaser,
    now: int,
    origin: int,
) -> None:
    """Apply the changes of an instant: END, RELEASE and SUBMIT, TICK."""
    state = stays.state
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        if is_cancelled(stays, row):
            end_cancelled(jobs, dependencies, events, stays, row, now)
            continue
        if is_latecomer(stays, row):
            withdraw(jobs, site, log, stays, row)
            let_come(jobs, demand, site, log, events, stays, releaser, row)
            state[Gain.ROOM] += int(jobs.claim[nth(row)]["slots"])
            continue
        wish = int(jobs.claim[nth(row)]["demand"])
        useful = int(jobs.job[nth(row)]["duration"] - stays.stay[nth(row)]["saved"])
        _end_attempt(jobs, site, log, events, stays, row, now, useful, NOBODY)
        vacate(jobs, demand, site, log, releaser, row)
        tell_others(dependencies, events, row, now)
        state[Gain.ROOM] += max(int(jobs.claim[nth(row)]["slots"]), 1)
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
        _join(jobs, demand, events, stays, row, wish)
    while first_time(stays.ticks, NEVER) == now:
        row = int(stays.ticks.row[0])
        strike(stays.ticks, row)
        state[Gain.TICKS] += 1
        wish = int(jobs.claim[nth(row)]["demand"])
        if stays.stay[nth(row)]["attempt"] == NOBODY:
            _promote(jobs, demand, stays, row, wish)
        else:
            _tick(jobs, site, log, stays, row, wish, now, origin)


@kernel
def _join(jobs: Jobs, demand: Records, events: Events, stays: Stays, row: int, wish: int) -> None:
    """Let a job wait in its place in the order."""
    stays.stay[nth(row)]["key"] = key_to_wait(jobs, stays, row, wish)
    line_up(stays, int(demand[nth(wish)]["lane"]), row)
    events.counter[Count.WAITING] += 1


@kernel
def _promote(jobs: Jobs, demand: Records, stays: Stays, row: int, wish: int) -> None:
    """Let a waiting job count its attained time from nothing again."""
    number = int(demand[nth(wish)]["lane"])
    this = stays.stay[nth(row)]
    this["attained"] = 0
    this["bin"] = 0
    stand_out(stays, number, row)
    this["key"] = key_to_wait(jobs, stays, row, wish)
    line_up(stays, number, row)
    stays.lane[nth(number)]["blocked"] = NOBODY


@kernel
def _tick(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int, wish: int, now: int, origin: int) -> None:
    """Bring the level of a running job up to date, and let it be taken away if it may be from now on."""
    this = stays.stay[nth(row)]
    if stays.terms[Terms.RULE] == Rule.BINS:
        pass_bins(stays, row, wish, int(this["attained"] + now - this["since"]))
    look_again(jobs, site, log, stays, row, now, origin)
    tick = next_tick(stays, row, wish, now)
    if tick != NEVER:
        enter(stays.ticks, tick, row)
    stays.state[Gain.ROOM] += max(int(jobs.claim[nth(row)]["slots"]), 1)


@kernel
def _end_attempt(
    jobs: Jobs, site: Site, log: Log, events: Events, stays: Stays, row: int, now: int, useful: int, cause: int
) -> None:
    """Write down that an attempt ends; its job cannot be taken away any more."""
    end_attempt(events, stays, row, now, useful, cause)
    withdraw(jobs, site, log, stays, row)


@inlined
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    hunter: Hunter,
    placer: Placer,
    releaser: Releaser,
    now: int,
    origin: int,
) -> None:
    """Make one pass: each job in order starts if it can be placed, or if it can be once others have made room."""
    count, state = events.counter, stays.state
    turns_after(stays, -NEVER, NOBODY, 0)
    while state[Gain.TURNS] > 0:
        number = take_turn(stays)
        lane = stays.lane[nth(number)]
        row = first_of(stays, number)
        wish = int(jobs.claim[nth(row)]["demand"])
        asked = demand[nth(wish)]
        first = int(count[Count.SLOTS])
        taken = 0
        if asked["plain"] == 0:
            placed = placer(site, demand, log, events, row, wish)
        else:
            placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
        if not placed:
            level = level_of_waiting(stays, row)
            taken = make_room(jobs, demand, site, log, events, stays, hunter, placer, releaser, row, level, now, origin)
        if not placed and taken == 0:
            lane["blocked"] = state[Gain.ROOM] + state[Gain.SHORT] - 1
            continue
        key = int(stays.stay[nth(row)]["key"])
        stand_out(stays, number, row)
        count[Count.WAITING] -= 1
        given = 0
        for place in range(taken):
            if stays.catch[nth(place)]["spared"] == 0:
                victim = int(stays.catch[nth(place)]["row"])
                given += max(int(jobs.claim[nth(victim)]["slots"]), 1)
                _preempt(jobs, demand, site, log, events, stays, victim, row, now)
        begin_attempt(jobs, events, stays, row, first, now)
        announce(stays, row)
        if taken > 0:
            state[Gain.ROOM] += given
            turns_after(stays, key, row, given)
        elif lane["waiting"] > 0:
            turn_back(stays, number)


@inlined
def _preempt(
    jobs: Jobs, demand: Records, site: Site, log: Log, events: Events, stays: Stays, row: int, cause: int, now: int
) -> None:
    """End the attempt of a job whose GPUs are free already, and let it wait again, or end if it is expendable."""
    wish = int(jobs.claim[nth(row)]["demand"])
    useful = work_saved(jobs, stays, row, now)
    _end_attempt(jobs, site, log, events, stays, row, now, useful, cause)
    if is_expendable(stays, row):
        cancel(stays, row, now)
        return
    keep_gain(stays, row, wish, useful, now)
    _join(jobs, demand, events, stays, row, wish)
    promotion = time_of_promotion(stays, row)
    if promotion != NEVER:
        enter(stays.ticks, promotion, row)
