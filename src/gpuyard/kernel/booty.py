"""Running jobs of tenants that may be taken away, tenant by tenant."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.latecomers import is_latecomer
from gpuyard.kernel.lending import mark_borrower, note_borrower, tenant_of
from gpuyard.kernel.levels import running_level
from gpuyard.kernel.pairing import put, set_key, take_out
from gpuyard.kernel.parting import anybody_waits_for_more, reconsider
from gpuyard.kernel.stays import Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Jobs, Log, Site
from gpuyard.kernel.tenancy import Share, Tenancy
from gpuyard.kernel.views import add_to_view
from gpuyard.kernel.worth import price

__all__ = [
    "count_in_view",
    "count_in_views",
    "drop_prey",
    "list_own",
    "look_again",
    "offer_fresh",
    "put_prey",
    "refresh",
    "withdraw",
]


@kernel
def _note_key(jobs: Jobs, stays: Stays, tenancy: Tenancy, row: int, now: int) -> None:
    """Give a running job its place among those that may be taken away: by level, then by who goes first."""
    this, terms = stays.stay[nth(row)], stays.terms
    wish = int(jobs.claim[nth(row)]["demand"])
    second = 0
    if terms[Terms.VICTIMS] > 0:
        second = price(jobs, stays, row, wish, now)
    elif terms[Terms.RULE] != Rule.REMAINING and terms[Terms.RULE] != Rule.REMAINING_SERVICE:
        second = -int(this["since"])
    set_key(tenancy.booty.prey, row, -running_level(stays, row, wish, now), second, row)


@kernel
def put_prey(tenancy: Tenancy, row: int) -> None:
    """Put a job that has its key among those of its tenant that may be taken away."""
    tenant = tenancy.ledger.tenant[nth(tenant_of(tenancy, row))]
    tenant["prey"] = put(tenancy.booty.prey, int(tenant["prey"]), row)
    tenant["prey_gpus"] += tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["gpus"]
    tenancy.booty.prey.item[nth(row)]["heap"] = 1


@kernel
def drop_prey(tenancy: Tenancy, row: int) -> None:
    """Take a job out of those of its tenant that may be taken away."""
    tenant = tenancy.ledger.tenant[nth(tenant_of(tenancy, row))]
    tenant["prey"] = take_out(tenancy.booty.prey, int(tenant["prey"]), row)
    tenant["prey_gpus"] -= tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["gpus"]
    tenancy.booty.prey.item[nth(row)]["heap"] = 0


@kernel
def list_own(tenancy: Tenancy, tenant: int, level: int) -> int:
    """List the running jobs of a tenant above a level that may be taken away in ``Booty.seen``; return how many."""
    item, seen = tenancy.booty.prey.item, tenancy.booty.seen
    root = int(tenancy.ledger.tenant[nth(tenant)]["prey"])
    if root == NOBODY or -item[nth(root)]["first"] <= level:
        return 0
    seen[0] = root
    at, found = 0, 1
    while at < found:
        below = int(item[nth(seen[nth(at)])]["child"])
        while below != NOBODY:
            if -item[nth(below)]["first"] > level:
                seen[nth(found)] = below
                found += 1
            below = int(item[nth(below)]["next"])
        at += 1
    return found


@inlined
def count_in_view(jobs: Jobs, site: Site, log: Log, tenancy: Tenancy, row: int, number: int, sign: int) -> None:
    """Count a running job for a view of its tenant, or against it."""
    gpus = int(tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["gpus"])
    claim = jobs.claim[nth(row)]
    add_to_view(tenancy.booty.views, site, log, number, gpus, int(claim["slot"]), int(claim["slots"]), sign)


@inlined
def count_in_views(jobs: Jobs, site: Site, log: Log, tenancy: Tenancy, row: int, sign: int) -> None:
    """Count a running job that may be taken away, or may not any more, for or against the views of its tenant."""
    number = int(tenancy.ledger.tenant[nth(tenant_of(tenancy, row))]["view"])
    if number != NOBODY:
        _count_in_views(jobs, site, log, tenancy, row, number, sign)


@kernel
def _count_in_views(jobs: Jobs, site: Site, log: Log, tenancy: Tenancy, row: int, number: int, sign: int) -> None:
    """Count a job in those views from ``number`` on that are of a level below its own."""
    views = tenancy.booty.views
    while number != NOBODY:
        if views.about[nth(number)]["level"] < -tenancy.booty.prey.item[nth(row)]["first"]:
            count_in_view(jobs, site, log, tenancy, row, number, sign)
        number = int(views.about[nth(number)]["next"])


@kernel
def _offer(jobs: Jobs, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int, now: int) -> None:
    """Let a running job be taken away from now on if it may be."""
    this, terms = stays.stay[nth(row)], stays.terms
    if this["fixed"] > 0 or this["times"] >= terms[Terms.MOST] or now - this["since"] < this["min_run"]:
        return
    _note_key(jobs, stays, tenancy, row, now)
    first = int(tenancy.ledger.tenant[nth(tenant_of(tenancy, row))]["prey"])
    item = tenancy.booty.prey.item
    higher = first == NOBODY or item[nth(row)]["first"] < item[nth(first)]["first"]
    put_prey(tenancy, row)
    count_in_views(jobs, site, log, tenancy, row, 1)
    tenant, slots = tenant_of(tenancy, row), int(jobs.claim[nth(row)]["slots"])
    tenancy.ledger.tenant[nth(tenant)]["offered"] += slots
    mark_borrower(tenancy, tenant)
    tenancy.ledger.state[Share.CHANCE] += 1
    if higher or anybody_waits_for_more(tenancy):
        reconsider(tenancy, tenant, slots)


@kernel
def offer_fresh(jobs: Jobs, site: Site, log: Log, stays: Stays, tenancy: Tenancy, now: int) -> None:
    """Let those be taken away who started at an earlier instant and were not told apart yet."""
    kept = 0
    for number in range(stays.state[Gain.FRESH]):
        row = int(stays.fresh[nth(number)])
        if stays.stay[nth(row)]["since"] == now:
            stays.fresh[nth(kept)] = row
            stays.stay[nth(row)]["fresh"] = kept
            kept += 1
        else:
            stays.stay[nth(row)]["fresh"] = NOBODY
            _offer(jobs, site, log, stays, tenancy, row, now)
    stays.state[Gain.FRESH] = kept


@inlined
def withdraw(jobs: Jobs, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int) -> None:
    """Note that a job does not run any more; its tenant may borrow less (:func:`mark_borrower`)."""
    this = stays.stay[nth(row)]
    if this["fresh"] == NOBODY:
        if tenancy.booty.prey.item[nth(row)]["heap"] > 0:
            _let_go(jobs, site, log, tenancy, row)
    else:
        last = stays.state[Gain.FRESH] - 1
        moved = int(stays.fresh[nth(last)])
        stays.fresh[nth(this["fresh"])] = moved
        stays.stay[nth(moved)]["fresh"] = this["fresh"]
        this["fresh"] = NOBODY
        stays.state[Gain.FRESH] = last


@kernel
def _let_go(jobs: Jobs, site: Site, log: Log, tenancy: Tenancy, row: int) -> None:
    """Take a job that ends out of those that may be taken away."""
    drop_prey(tenancy, row)
    count_in_views(jobs, site, log, tenancy, row, -1)


@kernel
def look_again(jobs: Jobs, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int, now: int) -> None:
    """Bring the place of a running job among those who may be taken away up to date: its level changed, or it may."""
    if stays.stay[nth(row)]["fresh"] == NOBODY:
        withdraw(jobs, site, log, stays, tenancy, row)
        mark_borrower(tenancy, tenant_of(tenancy, row))
        _offer(jobs, site, log, stays, tenancy, row, now)


@kernel
def refresh(jobs: Jobs, stays: Stays, tenancy: Tenancy, now: int) -> None:
    """Put all that may be taken away in the order of this instant, where that changes with time."""
    state = tenancy.ledger.state
    if state[Share.LISTED] == 0 or state[Share.LISTED_AT] == now:
        return
    state[Share.LISTED_AT] = now
    for tenant in range(tenancy.ledger.tenant.size):
        tenancy.ledger.tenant[nth(tenant)]["prey"] = NOBODY
        tenancy.ledger.tenant[nth(tenant)]["prey_gpus"] = 0
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        if not is_latecomer(stays, row) and tenancy.booty.prey.item[nth(row)]["heap"] > 0:
            item = tenancy.booty.prey.item[nth(row)]
            item["child"], item["next"], item["before"] = NOBODY, NOBODY, NOBODY
            _note_key(jobs, stays, tenancy, row, now)
            put_prey(tenancy, row)
    for tenant in range(tenancy.ledger.tenant.size):
        note_borrower(tenancy, tenant)
