"""The changes of an instant where tenants share a cluster: who ends, who comes, whose level changes."""

from __future__ import annotations

from gpuyard.kernel.attempting import end_as_planned, end_for_good
from gpuyard.kernel.bits import fetch, nth
from gpuyard.kernel.booty import look_again, withdraw
from gpuyard.kernel.cancelling import end_cancelled, is_cancelled
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.instants import next_eligible, tell_others, vacate
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.latecomers import holds_absent, let_come
from gpuyard.kernel.lending import mark_borrower
from gpuyard.kernel.levels import key_to_wait, next_tick, pass_bins
from gpuyard.kernel.line import first_of, line_up, stand_out
from gpuyard.kernel.parting import (
    asker_first,
    enter_lane,
    leave_lane,
    note_first,
    open_up,
    reconsider,
    reorder,
    succeed,
)
from gpuyard.kernel.placement import Releaser
from gpuyard.kernel.quotas import charge_own, note_share, resource_held
from gpuyard.kernel.stays import Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import MANY, Share, Tenancy
from gpuyard.kernel.timetable import enter, first_time, strike
from gpuyard.kernel.views import note_nodes

__all__ = ["end_due", "give_back", "join_tenant", "line_up_due", "next_to_come", "note_borrower_of"]

_AHEAD = 7
"""Running jobs that are looked at before they end: the first three layers of the heap."""


@inlined
def end_due(
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
    """END: let the jobs end that do now, and others be tried for what they held; likewise the nodes that come now."""
    state, preempts = stays.state, tenancy.ledger.state[Share.PREEMPTS] > 0
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        if preempts and is_cancelled(stays, row):
            end_cancelled(jobs, dependencies, events, stays, row, now)
            continue
        _look_ahead(jobs, site, log, stays, tenancy, preempts)
        wish = int(jobs.claim[nth(row)]["demand"])
        if holds_absent(demand, wish):
            stays.ends.place[nth(row)] = 0  # where it stands; only those are kept that may be preempted
            let_come(jobs, demand, site, log, events, stays, releaser, row)
            note_nodes(tenancy.booty.views, log, int(jobs.claim[nth(row)]["slot"]), int(jobs.claim[nth(row)]["slots"]))
            tenancy.ledger.state[Share.FREE] += stays.thousandths[nth(wish)]
            tenancy.ledger.state[Share.GIVEN] += jobs.claim[nth(row)]["slots"]
            tenancy.ledger.state[Share.ROOM] += 1
            tenancy.ledger.state[Share.CHANCE] += 1
            tenancy.ledger.state[Share.STIRRED] = MANY
            continue
        charged = int(jobs.claim[nth(row)]["slots"]) > 0
        resource = resource_held(jobs, site, log, tenancy.ledger, row) if charged else NOBODY
        if preempts:
            end_as_planned(events, stays, row)
        else:
            end_for_good(events, stays)
        vacate(jobs, demand, site, log, releaser, row)
        if preempts:
            note_nodes(tenancy.booty.views, log, int(jobs.claim[nth(row)]["slot"]), int(jobs.claim[nth(row)]["slots"]))
            withdraw(jobs, site, log, stays, tenancy, row)
        if charged:
            charge_own(tenancy.ledger, int(tenancy.ledger.asker_of[nth(row)]), resource, -1)
            give_back(jobs, stays, tenancy, row, resource)
        else:
            note_borrower_of(tenancy, int(tenancy.ledger.asker_of[nth(row)]))
        tell_others(dependencies, events, row, now)
        state[Gain.ACTIVE] -= 1
        state[Gain.CHUNKS] -= stays.chunks[nth(wish)]


@inlined
def _look_ahead(jobs: Jobs, site: Site, log: Log, stays: Stays, tenancy: Tenancy, preempts: bool) -> None:
    """Fetch what the next end looks up, and for those that may come after it what to fetch then."""
    row, ledger = stays.ends.row, tenancy.ledger
    if stays.ends.size[0] < _AHEAD or jobs.claim.size > ledger.asker_of.size:
        return
    first = jobs.claim[nth(row[0])]
    if first["slots"] > 0:
        fetch(site.node, log.slots[nth(first["slot"])]["node"])
    fetch(ledger.tenant, ledger.asker[nth(ledger.asker_of[nth(row[0])])]["tenant"])
    for place in range(1, 3):
        fetch(log.slots, jobs.claim[nth(row[nth(place)])]["slot"])
        fetch(ledger.asker, ledger.asker_of[nth(row[nth(place)])])
        if preempts and stays.stay[nth(row[nth(place)])]["fresh"] == NOBODY:
            its = tenancy.booty.prey.item[nth(row[nth(place)])]
            if its["heap"] > 0:
                fetch(tenancy.booty.prey.item, max(its["before"], 0))
                fetch(tenancy.booty.prey.item, max(its["next"], 0))
                fetch(tenancy.booty.prey.item, max(its["child"], 0))
    for place in range(3, _AHEAD):
        fetch(jobs.claim, row[nth(place)])
        fetch(ledger.asker_of, row[nth(place)])
        if preempts:
            fetch(stays.stay, row[nth(place)])
            if ledger.state[Share.ALIKE] == 0:  # there most end before anybody looks for room
                fetch(tenancy.booty.prey.item, row[nth(place)])


@inlined
def _look_for_next(events: Events, stays: Stays, tenancy: Tenancy) -> None:
    """Fetch what the two jobs look up that come next, where they are in the order of their rows."""
    ledger, ahead = tenancy.ledger, int(events.counter[Count.NEXT])
    if ahead + 1 < ledger.asker_of.size:
        number = int(ledger.asker_of[nth(ahead)])
        if number != NOBODY:
            fetch(stays.lane, ledger.asker[nth(number)]["lane"])
            fetch(ledger.tenant, ledger.asker[nth(number)]["tenant"])
        number = int(ledger.asker_of[nth(ahead + 1)])
        if number != NOBODY:
            fetch(ledger.asker, number)


@inlined
def next_to_come(
    jobs: Jobs, dependencies: Dependencies, events: Events, stays: Stays, tenancy: Tenancy, now: int
) -> int:
    """RELEASE, then SUBMIT: return the next job that becomes eligible now; NOBODY when there is none left."""
    row = next_eligible(jobs, dependencies, events, now)
    if row != NOBODY:
        _look_for_next(events, stays, tenancy)
        stays.state[Gain.ACTIVE] += 1
        stays.state[Gain.CHUNKS] += stays.chunks[nth(jobs.claim[nth(row)]["demand"])]
        if tenancy.ledger.state[Share.PREEMPTS] > 0:
            stays.stay[nth(row)]["since"] = now
    return row


@kernel
def line_up_due(
    jobs: Jobs,
    dependencies: Dependencies,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    row: int,
    now: int,
) -> None:
    """Let a job that has become eligible wait, and all that do now; then TICK."""
    while row != NOBODY:
        join_tenant(jobs, events, stays, tenancy, row, int(jobs.claim[nth(row)]["demand"]))
        row = next_to_come(jobs, dependencies, events, stays, tenancy, now)
    while first_time(stays.ticks, NEVER) == now:
        row = int(stays.ticks.row[0])
        strike(stays.ticks, row)
        stays.state[Gain.TICKS] += 1
        wish = int(jobs.claim[nth(row)]["demand"])
        if stays.stay[nth(row)]["attempt"] == NOBODY:
            _promote(jobs, stays, tenancy, row, wish)
        else:
            _tick(jobs, site, log, stays, tenancy, row, wish, now)


@kernel
def give_back(jobs: Jobs, stays: Stays, tenancy: Tenancy, row: int, resource: int) -> None:
    """Let others be tried for what a job held, which has been taken off those that it was charged to."""
    number = int(tenancy.ledger.asker_of[nth(row)])
    tenancy.ledger.state[Share.GIVEN] += jobs.claim[nth(row)]["slots"]
    tenancy.ledger.state[Share.ROOM] += 1
    tenancy.ledger.state[Share.CHANCE] += 1
    tenancy.ledger.state[Share.STIRRED] = MANY
    note_borrower_of(tenancy, number)
    reorder(tenancy, number)
    open_up(tenancy, number, resource)
    reconsider(tenancy, int(tenancy.ledger.asker[nth(number)]["tenant"]), 0)


@inlined
def note_borrower_of(tenancy: Tenancy, number: int) -> None:
    """Note that an asker's tenant holds more or less, where somebody may ask for that to make room."""
    if tenancy.ledger.state[Share.PREEMPTS] > 0:
        mark_borrower(tenancy, int(tenancy.ledger.asker[nth(number)]["tenant"]))


@kernel
def join_tenant(jobs: Jobs, events: Events, stays: Stays, tenancy: Tenancy, row: int, wish: int) -> None:
    """Let a job wait in its place in the order."""
    stays.stay[nth(row)]["key"] = key_to_wait(jobs, stays, row, wish)
    asker = tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]
    lane, tenant = int(asker["lane"]), int(asker["tenant"])
    line_up(stays, lane, row)
    events.counter[Count.WAITING] += 1
    if tenancy.ledger.tenant[nth(tenant)]["waiting"] == 0:
        note_share(tenancy.ledger, tenant)
    tenancy.ledger.tenant[nth(tenant)]["waiting"] += 1
    if first_of(stays, lane) == row:
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
    this["patience"] = 0
    stand_out(stays, lane, row)
    this["key"] = key_to_wait(jobs, stays, row, wish)
    line_up(stays, lane, row)
    _change_first(stays, tenancy, lane)


@kernel
def _tick(jobs: Jobs, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int, wish: int, now: int) -> None:
    """Bring the level of a running job up to date, and let it be taken away if it may be from now on."""
    this = stays.stay[nth(row)]
    if stays.terms[Terms.RULE] == Rule.BINS:
        pass_bins(stays, row, wish, int(this["attained"] + now - this["since"]))
    look_again(jobs, site, log, stays, tenancy, row, now)
    tick = next_tick(stays, row, wish, now)
    if tick != NEVER:
        enter(stays.ticks, tick, row)
    tenancy.ledger.state[Share.CHANCE] += 1
