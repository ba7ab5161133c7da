"""The event loop of a cluster that tenants share.  ``docs/semantics.md``, *Tenants*, is the specification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.attempting import begin_attempt, end_attempt, keep_gain
from gpuyard.kernel.bits import nth
from gpuyard.kernel.booty import look_again, note_borrower, offer_fresh, withdraw
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.hunt import try_place
from gpuyard.kernel.instants import next_arrival, next_eligible, skip_rejected, tell_others, vacate
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import key_to_wait, next_tick, pass_bins, time_of_promotion
from gpuyard.kernel.line import line_up, stand_out
from gpuyard.kernel.pairing import goes_before
from gpuyard.kernel.parting import (
    asker_first,
    enter_lane,
    head_of,
    hold_lane,
    is_claimant,
    keep_lane,
    leave_lane,
    lose_hope,
    note_first,
    open_up,
    raise_hopes,
    reconsider,
    reorder,
    succeed,
)
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.prey import announce
from gpuyard.kernel.quotas import charge, holder_of, resource_held, resources_of
from gpuyard.kernel.regaining import Regainer
from gpuyard.kernel.stays import Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Between, Held, Share, Tenancy, Waiting
from gpuyard.kernel.timetable import enter, first_time, strike
from gpuyard.kernel.worth import work_saved

__all__ = ["run_tenanted"]


@kernel
def run_tenanted(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    regainer: Regainer,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened.

    Where the log has no room for what the next pass may write, the loop stops before it, with Gain.PAUSED set; called
    again with more room, it goes on from there.
    """
    count, state = events.counter, stays.state
    while count[Count.CANCEL] == 0:
        if state[Gain.PAUSED] == 0:
            skip_rejected(jobs, events, stop)
            now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER), first_time(stays.ticks, NEVER))
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            _change(jobs, demand, dependencies, site, log, events, stays, tenancy, releaser, now)
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = (
            log.slots.size - count[Count.SLOTS] < state[Gain.CHUNKS]
            or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
        )
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            tenancy.ledger.state[Share.OFFERED] = 0
            tenancy.ledger.state[Share.CHANCE] += tenancy.ledger.state[Share.LISTED]  # who is taken first decides
            if tenancy.ledger.state[Share.LEFT] > 0:
                _offer_once(jobs, stays, tenancy, now)
            while _make_round(jobs, demand, site, log, events, stays, tenancy, regainer, placer, releaser, now):
                pass
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
        tenancy.ledger.state[Share.LEFT] = count[Count.WAITING]
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


@kernel
def _change(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    releaser: Releaser,
    now: int,
) -> None:
    """Apply the changes of an instant: END, RELEASE and SUBMIT, TICK."""
    state = stays.state
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        wish = int(jobs.claim[nth(row)]["demand"])
        useful = int(jobs.job[nth(row)]["duration"] - stays.stay[nth(row)]["saved"])
        resource = resource_held(jobs, site, log, tenancy.ledger, row)
        end_attempt(events, stays, row, now, useful, NOBODY)
        vacate(jobs, demand, site, log, releaser, row)
        if tenancy.ledger.state[Share.PREEMPTS] > 0:
            withdraw(stays, tenancy, row)
        charge(tenancy.ledger, int(tenancy.ledger.asker_of[nth(row)]), resource, -1)
        _give_back(jobs, stays, tenancy, row, resource)
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
        _join(jobs, events, stays, tenancy, row, wish)
    while first_time(stays.ticks, NEVER) == now:
        row = int(stays.ticks.row[0])
        strike(stays.ticks, row)
        state[Gain.TICKS] += 1
        wish = int(jobs.claim[nth(row)]["demand"])
        if stays.stay[nth(row)]["attempt"] == NOBODY:
            _promote(jobs, stays, tenancy, row, wish)
        else:
            _tick(jobs, stays, tenancy, row, wish, now)


@inlined
def _offer_once(jobs: Jobs, stays: Stays, tenancy: Tenancy, now: int) -> bool:
    """Let those be taken away who started before this instant, if somebody may be and it was not done in this pass.

    Where everybody who waits has joined at this instant, that can wait until one of them finds no room.
    """
    state = tenancy.ledger.state
    if state[Share.PREEMPTS] == 0 or state[Share.OFFERED] > 0:
        return False
    state[Share.OFFERED] = 1
    offer_fresh(jobs, stays, tenancy, now)
    return True


@kernel
def _give_back(jobs: Jobs, stays: Stays, tenancy: Tenancy, row: int, resource: int) -> None:
    """Let others be tried for what a job held, which has been taken off those that it was charged to."""
    number = int(tenancy.ledger.asker_of[nth(row)])
    tenancy.ledger.state[Share.ROOM] += 1
    tenancy.ledger.state[Share.CHANCE] += 1
    _note_borrower_of(tenancy, number)
    reorder(tenancy, number)
    open_up(tenancy, number, resource)
    reconsider(tenancy, int(tenancy.ledger.asker[nth(number)]["tenant"]))


@inlined
def _note_borrower_of(tenancy: Tenancy, number: int) -> None:
    """Bring the place of an asker's tenant among those that borrow up to date."""
    tenant = int(tenancy.ledger.asker[nth(number)]["tenant"])
    this = tenancy.ledger.tenant[nth(tenant)]
    if this["prey"] != NOBODY or this["lent"] > 0 or tenancy.booty.borrowers.item[nth(tenant)]["heap"] > 0:
        note_borrower(tenancy, tenant)


@kernel
def _join(jobs: Jobs, events: Events, stays: Stays, tenancy: Tenancy, row: int, wish: int) -> None:
    """Let a job wait in its place in the order."""
    stays.stay[nth(row)]["key"] = key_to_wait(jobs, stays, row, wish)
    lane = int(tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["lane"])
    line_up(stays, lane, row)
    events.counter[Count.WAITING] += 1
    tenancy.ledger.tenant[nth(tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["tenant"])]["waiting"] += 1
    if stays.stay[nth(row)]["place"] == 0:
        _change_first(stays, tenancy, lane)


@kernel
def _change_first(stays: Stays, tenancy: Tenancy, lane: int) -> None:
    """Let a lane be tried whose first job may be another one; the next of those held where the old one was, as well.

    The old one may have been let in there, and does not try any more.
    """
    before = asker_first(tenancy, lane)
    leave_lane(tenancy.waiting, lane)
    note_first(tenancy, stays, lane)
    enter_lane(tenancy, lane)
    if before != asker_first(tenancy, lane):
        succeed(tenancy, before)


@kernel
def _promote(jobs: Jobs, stays: Stays, tenancy: Tenancy, row: int, wish: int) -> None:
    """Let a waiting job count its attained time from nothing again."""
    lane = int(tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["lane"])
    this = stays.stay[nth(row)]
    this["attained"] = 0
    this["bin"] = 0
    stand_out(stays, lane, row)
    this["key"] = key_to_wait(jobs, stays, row, wish)
    line_up(stays, lane, row)
    _change_first(stays, tenancy, lane)


@kernel
def _tick(jobs: Jobs, stays: Stays, tenancy: Tenancy, row: int, wish: int, now: int) -> None:
    """Bring the level of a running job up to date, and let it be taken away if it may be from now on."""
    this = stays.stay[nth(row)]
    if stays.terms[Terms.RULE] == Rule.BINS:
        pass_bins(stays, row, wish, int(this["attained"] + now - this["since"]))
    look_again(jobs, stays, tenancy, row, now)
    tick = next_tick(stays, row, wish, now)
    if tick != NEVER:
        enter(stays.ticks, tick, row)
    tenancy.ledger.state[Share.CHANCE] += 1


@kernel
def _make_round(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    regainer: Regainer,
    placer: Placer,
    releaser: Releaser,
    now: int,
) -> bool:
    """Try every lane once, the first in the order next; return whether somebody was preempted, which ends the round."""
    state, waiting = tenancy.ledger.state, tenancy.waiting
    state[Share.ASIDE] = 0
    raise_hopes(tenancy, NOBODY)
    heads = _gather_heads(waiting, state)
    while heads > 0:
        wish = int(tenancy.waiting.heads[0])
        lane = head_of(waiting, state, wish)
        row = int(waiting.lanes.item[nth(lane)]["third"])
        number = int(tenancy.ledger.asker_of[nth(row)])
        leave_lane(tenancy.waiting, lane)
        first = int(events.counter[Count.SLOTS])
        placed, link, need = _try(demand, site, log, events, tenancy, placer, row, number)
        if placed:
            woken = _wake(tenancy, lane)
            woken |= _start(jobs, site, log, events, stays, tenancy, lane, row, first, now)
            succeed(tenancy, number)
            same = stays.lane[nth(lane)]["waiting"] == 0 or (
                tenancy.ledger.asker[nth(asker_first(tenancy, lane))]["wish"] == wish
            )
            if state[Share.BETWEEN] != Between.QUEUE or woken or not same:
                heads = _gather_heads(waiting, state)
            else:
                heads = _settle_head(waiting, state, heads)
            continue
        offered = _offer_once(jobs, stays, tenancy, now)
        claimant = is_claimant(tenancy, lane)
        taken = 0
        if claimant and state[Share.PREEMPTS] > 0 and stays.lane[nth(lane)]["blocked"] != state[Share.CHANCE]:
            if lose_hope(tenancy, lane):
                heads = _gather_heads(waiting, state) if offered else _settle_head(waiting, state, heads)
                continue
            taken = regainer(jobs, demand, site, log, events, stays, tenancy, placer, releaser, row, now)
        if taken > 0:
            _preempt_caught(jobs, site, log, events, stays, tenancy, taken, row, now)
            _start(jobs, site, log, events, stays, tenancy, lane, row, first, now)
            _end_round(tenancy, stays)
            return True
        stays.lane[nth(lane)]["blocked"] = state[Share.CHANCE]
        partly = link != NOBODY and need < tenancy.ledger.asker[nth(number)]["gpus"]
        if link != NOBODY and not partly and (not claimant or taken == NOBODY):
            hold_lane(tenancy, lane, link)
            succeed(tenancy, number)
        elif claimant or partly:
            tenancy.waiting.aside[nth(state[Share.ASIDE])] = lane
            state[Share.ASIDE] += 1
            if link != NOBODY:
                succeed(tenancy, number)
        else:
            enter_lane(tenancy, lane)
        heads = _gather_heads(waiting, state) if offered else _settle_head(waiting, state, heads)
    _end_round(tenancy, stays)
    return False


@inlined
def _wake(tenancy: Tenancy, lane: int) -> bool:
    """Let claims be tried that could not make room before a lane's job started; those that stand before it could not.

    Return whether there are such claims.
    """
    return tenancy.waiting.state[Held.CLAIMS] > 0 and _wake_claims(tenancy, lane)


@kernel
def _wake_claims(tenancy: Tenancy, lane: int) -> bool:
    state = tenancy.ledger.state
    found = False
    waiting = tenancy.waiting
    for number in range(waiting.wish.size):
        wish = waiting.wish[nth(number)]
        if wish["quiet"] != state[Share.CHANCE] or wish["claim"] == NOBODY:
            continue
        found = True
        while wish["claim"] != NOBODY and goes_before(waiting.lanes, int(wish["claim"]), lane):
            earlier = int(wish["claim"])
            leave_lane(waiting, earlier)
            waiting.aside[nth(state[Share.ASIDE])] = earlier
            state[Share.ASIDE] += 1
    return found


@inlined
def _try(
    demand: Records, site: Site, log: Log, events: Events, tenancy: Tenancy, placer: Placer, row: int, number: int
) -> tuple[bool, int, int]:
    """Place a job if it is admitted and there is room; else say which link does not admit it, and what it lacks."""
    asker = tenancy.ledger.asker[nth(number)]
    wish, room = int(asker["wish"]), tenancy.ledger.state[Share.ROOM]
    if asker["resource"] != ANY_TYPE:
        link, need = holder_of(tenancy.ledger, number, int(asker["resource"]))
        if link != NOBODY or tenancy.waiting.wish[nth(wish)]["no_room"] == room:
            return False, link, need
        if try_place(demand, site, log, events, placer, row, wish):
            return True, link, need
        tenancy.waiting.wish[nth(wish)]["no_room"] = room
        return False, link, need
    types = resources_of(tenancy.ledger)
    for kind in range(types):
        if demand[nth(wish)]["kinds"] >> kind & 1 and holder_of(tenancy.ledger, number, kind)[0] == NOBODY:
            only = int(tenancy.variant[nth(wish * types + kind)])
            if tenancy.waiting.wish[nth(only)]["no_room"] != room:
                if try_place(demand, site, log, events, placer, row, only):
                    return True, NOBODY, 0
                tenancy.waiting.wish[nth(only)]["no_room"] = room
    return False, NOBODY, 0


@kernel
def _start(
    jobs: Jobs,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    lane: int,
    row: int,
    first: int,
    now: int,
) -> bool:
    """Let the first job of a lane run, which holds the slots from ``first`` on; the next one is first then.

    Return whether lanes that waited for GPUs are to be tried now.
    """
    number = int(tenancy.ledger.asker_of[nth(row)])
    stand_out(stays, lane, row)
    events.counter[Count.WAITING] -= 1
    tenancy.ledger.tenant[nth(tenancy.ledger.asker[nth(number)]["tenant"])]["waiting"] -= 1
    begin_attempt(jobs, events, stays, row, first, now)
    if tenancy.ledger.state[Share.PREEMPTS] > 0:
        announce(stays, row)
    charge(tenancy.ledger, number, resource_held(jobs, site, log, tenancy.ledger, row), 1)
    tenancy.ledger.state[Share.CHANCE] += 1
    _note_borrower_of(tenancy, number)
    raised = raise_hopes(tenancy, lane)
    reorder(tenancy, number)
    if stays.lane[nth(lane)]["waiting"] > 0:
        leave_lane(tenancy.waiting, lane)
        note_first(tenancy, stays, lane)
        enter_lane(tenancy, lane)
    return raised


@kernel
def _preempt_caught(
    jobs: Jobs,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    taken: int,
    cause: int,
    now: int,
) -> None:
    """End the attempts of those that made room, in the order in which they were taken, and let them wait again."""
    for place in range(taken):
        if stays.catch[nth(place)]["spared"] > 0:
            continue
        row = int(stays.catch[nth(place)]["row"])
        wish = int(jobs.claim[nth(row)]["demand"])
        resource = resource_held(jobs, site, log, tenancy.ledger, row)
        useful = work_saved(jobs, stays, row, now)
        end_attempt(events, stays, row, now, useful, cause)
        keep_gain(stays, row, wish, useful, now)
        _join(jobs, events, stays, tenancy, row, wish)
        promotion = time_of_promotion(stays, row)
        if promotion != NEVER:
            enter(stays.ticks, promotion, row)
        _give_back(jobs, stays, tenancy, row, resource)


@inlined
def _wish_of(tenancy: Tenancy, lane: int) -> Records:
    """Return what is known of the demand of the first job of a lane."""
    return tenancy.waiting.wish[nth(tenancy.ledger.asker[nth(asker_first(tenancy, lane))]["wish"])]


@inlined
def _end_round(tenancy: Tenancy, stays: Stays) -> None:
    """Put the lanes that were put aside among the claims again; note where none of these could make room.

    A lane that a preempted job has joined in front is to be tried already.
    """
    if tenancy.ledger.state[Share.ASIDE] > 0:
        _bring_back(tenancy, stays)


@kernel
def _bring_back(tenancy: Tenancy, stays: Stays) -> None:
    state = tenancy.ledger.state
    for place in range(state[Share.ASIDE]):
        lane = int(tenancy.waiting.aside[nth(place)])
        if tenancy.waiting.lanes.item[nth(lane)]["heap"] == NOBODY:
            _wish_of(tenancy, lane)["quiet"] = state[Share.CHANCE]
    for place in range(state[Share.ASIDE]):
        lane = int(tenancy.waiting.aside[nth(place)])
        if tenancy.waiting.lanes.item[nth(lane)]["heap"] != NOBODY:
            continue
        keep_lane(tenancy, lane)
        if stays.lane[nth(lane)]["blocked"] != state[Share.CHANCE]:
            _wish_of(tenancy, lane)["quiet"] = NOBODY
    state[Share.ASIDE] = 0


# --- the demands whose lanes are tried: a heap by their first lane -----------------------------------------


@kernel
def _gather_heads(waiting: Waiting, state: NDArray[np.int64]) -> int:
    """Make a heap of all demands with a lane to be tried; return how many there are."""
    size = 0
    for wish in range(waiting.wish.size):
        if head_of(waiting, state, wish) != NOBODY:
            waiting.heads[nth(size)] = wish
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sink_head(waiting, state, size, at)
    return size


@kernel
def _settle_head(waiting: Waiting, state: NDArray[np.int64], size: int) -> int:
    """Put the first demand in its place again, or take it out if it has no lane to be tried; return how many stay."""
    if head_of(waiting, state, int(waiting.heads[0])) == NOBODY:
        size -= 1
        waiting.heads[0] = waiting.heads[nth(size)]
    if size > 0:
        _sink_head(waiting, state, size, 0)
    return size


@kernel
def _sink_head(waiting: Waiting, state: NDArray[np.int64], size: int, at: int) -> None:
    wish = int(waiting.heads[nth(at)])
    lane = head_of(waiting, state, wish)
    child = 2 * at + 1
    while child < size:
        below = head_of(waiting, state, int(waiting.heads[nth(child)]))
        if child + 1 < size:
            right = head_of(waiting, state, int(waiting.heads[nth(child + 1)]))
            if goes_before(waiting.lanes, right, below):
                child += 1
                below = right
        if goes_before(waiting.lanes, lane, below):
            break
        waiting.heads[nth(at)] = waiting.heads[nth(child)]
        at = child
        child = 2 * at + 1
    waiting.heads[nth(at)] = wish
