"""The event loop of a cluster that tenants share.  ``docs/semantics.md``, *Tenants*, is the specification."""

from __future__ import annotations

from gpuyard.kernel.aside import end_round, nobody_claims, wake
from gpuyard.kernel.attempting import begin_attempt, begin_for_good, end_attempt, keep_gain, plan_end
from gpuyard.kernel.bits import fetch, nth
from gpuyard.kernel.booty import count_in_views, offer_fresh
from gpuyard.kernel.cancelling import cancel, is_expendable
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.envy import note_refused
from gpuyard.kernel.foresight import MAYBE, be_patient, end_patience, foresee
from gpuyard.kernel.heads import finds_no_room, gather_heads, gather_stirred, head_of, settle_head
from gpuyard.kernel.hunt import try_place
from gpuyard.kernel.instants import next_arrival, skip_rejected
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.latecomers import is_latecomer
from gpuyard.kernel.lending import settle_borrowers
from gpuyard.kernel.levels import time_of_promotion
from gpuyard.kernel.line import stand_out
from gpuyard.kernel.parting import (
    asker_first,
    enter_lane,
    hold_lane,
    is_claimant,
    leave_lane,
    lose_hope,
    note_first,
    note_turns,
    put_aside,
    raise_envious,
    raise_hopes,
    reorder,
    succeed,
)
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.prey import announce
from gpuyard.kernel.quotas import charge_own, holder_of, resource_held, resources_of
from gpuyard.kernel.regaining import Regainer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Between, Held, Share, Tenancy
from gpuyard.kernel.tenant_instants import end_due, give_back, join_tenant, line_up_due, next_to_come, note_borrower_of
from gpuyard.kernel.timetable import enter, first_time
from gpuyard.kernel.views import note_nodes
from gpuyard.kernel.worth import work_saved

__all__ = ["run_tenanted"]

_WAITS = -2
"""The lane waits for a number of GPUs or slots."""


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
    count, state, preempts = events.counter, stays.state, tenancy.ledger.state[Share.PREEMPTS] > 0
    _write_ends(jobs, stays, preempts)
    while count[Count.CANCEL] == 0:
        if state[Gain.PAUSED] == 0:
            skip_rejected(jobs, events, stop)
            now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER), first_time(stays.ticks, NEVER))
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            end_due(jobs, demand, dependencies, site, log, events, stays, tenancy, releaser, now)
            row = next_to_come(jobs, dependencies, events, stays, tenancy, now)
            if row != NOBODY and count[Count.WAITING] == 0 and _is_alone(jobs, log, events, stays, now):
                if _start_at_once(jobs, demand, site, log, events, stays, tenancy, placer, row, now):
                    count[Count.PASSES] += 1
                    continue
                tenancy.ledger.state[Share.LEFT] = tenancy.ledger.state[Share.ALIKE] == 0
            line_up_due(jobs, dependencies, site, log, events, stays, tenancy, row, now)
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = _lacks_log(log, events, stays)
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0 and (
            tenancy.ledger.state[Share.STIRRED] > 0 or (preempts and not nobody_claims(tenancy))
        ):
            tenancy.ledger.state[Share.OFFERED] = 0
            tenancy.ledger.state[Share.CHANCE] += tenancy.ledger.state[Share.LISTED]  # who is taken first decides
            if tenancy.ledger.state[Share.LEFT] > 0:
                _offer_once(jobs, site, log, stays, tenancy, now)
            while _make_round(jobs, demand, site, log, events, stays, tenancy, regainer, placer, releaser, now):
                pass
            tenancy.ledger.state[Share.STIRRED] = 0  # all that wait were refused, and starts have left them less
        count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
        tenancy.ledger.state[Share.LEFT] = 0 if nobody_claims(tenancy) else count[Count.WAITING]
    for place in range(stays.ends.size[0] if preempts else 0):
        row = int(stays.ends.row[nth(place)])
        if is_latecomer(stays, row):
            continue
        attempt = stays.attempt[nth(stays.stay[nth(row)]["attempt"])]
        attempt["end"] = NEVER
        attempt["useful"] = work_saved(jobs, stays, row, stop)


@kernel
def _write_ends(jobs: Jobs, stays: Stays, preempts: bool) -> None:
    """Write down when those end who run at the beginning; where nobody is preempted, others have no attempt there."""
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        this = stays.stay[nth(row)]
        if this["attempt"] != NOBODY:
            if preempts:
                plan_end(jobs, stays, row)
            else:
                stays.attempt[nth(this["attempt"])]["end"] = this["end"]


@inlined
def _lacks_log(log: Log, events: Events, stays: Stays) -> bool:
    """Return whether there is no room to write down what the next pass may do."""
    state = stays.state
    return bool(
        log.slots.size - events.counter[Count.SLOTS] < state[Gain.CHUNKS]
        or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
    )


@inlined
def _is_alone(jobs: Jobs, log: Log, events: Events, stays: Stays, now: int) -> bool:
    """Return whether nothing else happens at an instant at which a job has become eligible, and may be written down."""
    if next_arrival(jobs, events) == now or first_time(stays.ticks, NEVER) == now:
        return False
    return not _lacks_log(log, events, stays)


@inlined
def _start_at_once(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    placer: Placer,
    row: int,
    now: int,
) -> bool:
    """Let the only job that wants to start run if it is admitted and there is room; return whether it does."""
    number, first = int(tenancy.ledger.asker_of[nth(row)]), int(events.counter[Count.SLOTS])
    if not _try(demand, site, log, events, tenancy, placer, row, number)[0]:
        return False
    _run(jobs, site, log, events, stays, tenancy, row, number, first, now)
    return True


@inlined
def _offer_once(jobs: Jobs, site: Site, log: Log, stays: Stays, tenancy: Tenancy, now: int) -> bool:
    """Let those be taken away who started before this instant, if somebody may be and it was not done in this pass.

    Where everybody who waits has joined at this instant, that can wait until one of them finds no room; likewise where
    nobody waits who can make room.  Most jobs have ended by then.
    """
    state = tenancy.ledger.state
    if state[Share.PREEMPTS] == 0 or state[Share.OFFERED] > 0:
        return False
    state[Share.OFFERED] = 1
    offer_fresh(jobs, site, log, stays, tenancy, now)
    return True


@inlined
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
    state[Share.ROUND] += 1
    _raise(tenancy, NOBODY)
    end_patience(jobs, demand, site, log, stays, tenancy)
    heads = gather_stirred(waiting, state, demand, site)
    while heads > 0:
        wish = int(tenancy.waiting.heads[0])
        lane = head_of(waiting, state, wish)
        if lane == waiting.wish[nth(wish)]["ready"] and finds_no_room(waiting, state, demand, site, wish):
            heads = settle_head(waiting, state, heads)
            continue
        row = int(waiting.lanes.item[nth(lane)]["third"])
        fetch(jobs.job, row)  # if it starts, what this takes will have come
        fetch(jobs.claim, row)
        fetch(stays.stay, row)
        _fetch_next(stays, lane)
        number = asker_first(tenancy, lane)
        leave_lane(tenancy.waiting, lane)
        first = int(events.counter[Count.SLOTS])
        placed, link, need = _try(demand, site, log, events, tenancy, placer, row, number)
        if placed:
            stirred = int(state[Share.STIRRED])
            woken = wake(tenancy, lane) | _start(jobs, site, log, events, stays, tenancy, lane, row, first, now)
            succeed(tenancy, number)
            more = stays.lane[nth(lane)]["waiting"] > 0
            same = not more or tenancy.ledger.asker[nth(asker_first(tenancy, lane))]["wish"] == wish
            # no other demand had a lane to be tried, and none has one now: nobody but this lane was let in
            alone = heads == 1 and waiting.state[Held.CLAIMS] == 0 and state[Share.STIRRED] <= stirred + more
            if not same or woken or (state[Share.BETWEEN] != Between.QUEUE and not alone):
                heads = gather_heads(waiting, state, demand, site)
            else:
                heads = settle_head(waiting, state, heads)
            continue
        offered = (state[Share.ALIKE] == 0 or is_claimant(tenancy, lane)) and _offer_once(
            jobs, site, log, stays, tenancy, now
        )
        if offered:
            _raise_envious(tenancy, NOBODY)
        claimant = is_claimant(tenancy, lane)
        taken = 0
        if claimant and state[Share.PREEMPTS] > 0:
            taken = _make_way(
                jobs, demand, site, log, events, stays, tenancy, regainer, placer, releaser, lane, row, link, now
            )
        if taken > 0:
            _preempt_caught(jobs, site, log, events, stays, tenancy, taken, row, now)
            _start(jobs, site, log, events, stays, tenancy, lane, row, first, now)
            end_round(tenancy, stays)
            return True
        note_refused(tenancy, lane)
        if taken != _WAITS:
            _refuse(stays, tenancy, lane, number, link, need, claimant, taken)
        heads = gather_heads(waiting, state, demand, site) if offered else settle_head(waiting, state, heads)
    end_round(tenancy, stays)
    return False


@inlined
def _fetch_next(stays: Stays, lane: int) -> None:
    """Fetch what is looked up of the second job of a lane's row, if it becomes the first."""
    its = stays.lane[nth(lane)]
    if its["head"] + 1 < its["tail"]:
        fetch(stays.stay, max(int(stays.line[nth(its["base"] + its["head"] + 1)]), 0))


@inlined
def _make_way(
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
    lane: int,
    row: int,
    link: int,
    now: int,
) -> int:
    """Make room for the first job of a lane that is in no heap; return what the regainer does, or that it waits now."""
    if stays.lane[nth(lane)]["blocked"] == tenancy.ledger.state[Share.CHANCE]:
        return 0
    settle_borrowers(tenancy)
    if lose_hope(tenancy, lane):
        return _WAITS
    taken = foresee(jobs, demand, site, log, stays, tenancy, row)
    if taken == 0:
        be_patient(stays, tenancy, lane, row)
        if link != NOBODY:
            succeed(tenancy, int(tenancy.ledger.asker_of[nth(row)]))
        return _WAITS
    if taken == MAYBE:
        taken = regainer(jobs, demand, site, log, events, stays, tenancy, placer, releaser, row, now)
    return taken


@inlined
def _refuse(
    stays: Stays, tenancy: Tenancy, lane: int, number: int, link: int, need: int, claimant: bool, taken: int
) -> None:
    """Let a lane that is in no heap wait where it belongs: its first job, of an asker, was not let in.

    ``link`` is where it was not admitted, and ``need`` what it lacks there, as of :func:`_try`.
    """
    stays.lane[nth(lane)]["blocked"] = tenancy.ledger.state[Share.CHANCE]
    partly = link != NOBODY and need < tenancy.ledger.asker[nth(number)]["gpus"]
    if link != NOBODY and not partly and (not claimant or taken == NOBODY):
        hold_lane(tenancy, lane, link)
        succeed(tenancy, number)
    elif claimant or partly:
        put_aside(tenancy, lane)
        if link != NOBODY:
            succeed(tenancy, number)
    else:
        enter_lane(tenancy, lane)


@inlined
def _raise(tenancy: Tenancy, after: int) -> bool:
    """As :func:`raise_hopes`, by what is lent now."""
    if tenancy.waiting.state[Held.CLAIM_HOPE] != NOBODY:
        settle_borrowers(tenancy)
    return raise_hopes(tenancy, after) | _raise_envious(tenancy, after)


@inlined
def _raise_envious(tenancy: Tenancy, after: int) -> bool:
    """As :func:`raise_envious`, by what is borrowed now."""
    if tenancy.waiting.state[Held.ENVY] != NOBODY:
        settle_borrowers(tenancy)
    return raise_envious(tenancy, after)


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


@inlined
def _run(
    jobs: Jobs,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    row: int,
    number: int,
    first: int,
    now: int,
) -> None:
    """Let a job of an asker run, which holds the slots from ``first`` on, and charge it."""
    if tenancy.ledger.state[Share.PREEMPTS] == 0:
        begin_for_good(jobs, events, stays, row, first, now)
    else:
        begin_attempt(jobs, events, stays, row, first, now)
        plan_end(jobs, stays, row)
        announce(stays, row)
        note_nodes(tenancy.booty.views, log, first, int(events.counter[Count.SLOTS]) - first)
    charge_own(tenancy.ledger, number, resource_held(jobs, site, log, tenancy.ledger, row), 1)
    tenancy.ledger.state[Share.CHANCE] += 1
    note_borrower_of(tenancy, number)


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
    number = asker_first(tenancy, lane)
    stand_out(stays, lane, row)
    events.counter[Count.WAITING] -= 1
    tenancy.ledger.tenant[nth(tenancy.ledger.asker[nth(number)]["tenant"])]["waiting"] -= 1
    _run(jobs, site, log, events, stays, tenancy, row, number, first, now)
    note_turns(tenancy, lane)
    raised = _raise(tenancy, lane)
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
    """End the attempts of those that made room, in the order in which they were taken: they wait again, or end."""
    for place in range(taken):
        if stays.catch[nth(place)]["spared"] > 0:
            continue
        row = int(stays.catch[nth(place)]["row"])
        note_nodes(tenancy.booty.views, log, int(jobs.claim[nth(row)]["slot"]), int(jobs.claim[nth(row)]["slots"]))
        count_in_views(jobs, site, log, tenancy, row, -1)
        wish = int(jobs.claim[nth(row)]["demand"])
        resource = resource_held(jobs, site, log, tenancy.ledger, row)
        useful = work_saved(jobs, stays, row, now)
        end_attempt(events, stays, row, now, useful, cause)
        if is_expendable(stays, row):
            cancel(stays, row, now)
        else:
            keep_gain(stays, row, wish, useful, now)
            stays.stay[nth(row)]["patience"] = 0
            join_tenant(jobs, events, stays, tenancy, row, wish)
            promotion = time_of_promotion(stays, row)
            if promotion != NEVER:
                enter(stays.ticks, promotion, row)
        give_back(jobs, stays, tenancy, row, resource)
