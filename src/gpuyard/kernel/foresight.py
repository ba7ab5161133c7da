"""Whether what a job's own tenant runs at a lower urgency is enough to make room for it, counted beforehand.

Most jobs that try to make room in long overload may take from their own tenant alone, and would find too few whole
nodes even so.  To see that, their tenant's jobs are looked at once; nobody is taken off and put back.  Who lacks
several nodes does not look again until so many slots were given back or may be taken.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.booty import count_in_view, list_own
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.parting import enter_lane, leave_lane, takes_own_only, wait_for_slots
from gpuyard.kernel.quotas import resource_held, resources_of
from gpuyard.kernel.stays import Stays, Terms
from gpuyard.kernel.tables import Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import Held, Ledger, Share, Tenancy
from gpuyard.kernel.vain import slots_offered
from gpuyard.kernel.views import Look, nodes_short, open_view

__all__ = ["MAYBE", "be_patient", "end_patience", "foresee"]

MAYBE = 1
"""It is not certain that no room can be made."""
_MANY = 16_000
"""Thousandths of GPUs of a tenant's jobs, above which they are not looked at one by one."""


@inlined
def foresee(jobs: Jobs, demand: Records, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int) -> int:
    """Return what trying to make room for a job would, where it is certain to fail; else MAYBE.

    Known only where all jobs are plain and their order is up to date, for one that may take from its own tenant alone.
    """
    number = int(tenancy.ledger.asker_of[nth(row)])
    if stays.terms[Terms.COUNTED] == 0 or tenancy.ledger.state[Share.LISTED] > 0:
        return MAYBE
    if not takes_own_only(tenancy.ledger, number):
        return MAYBE
    if slots_offered(tenancy.ledger, number) < stays.stay[nth(row)]["patience"]:
        return 0
    return _foresee(jobs, demand, site, log, stays, tenancy, row, number)


@inlined
def be_patient(stays: Stays, tenancy: Tenancy, lane: int, row: int) -> None:
    """Let a lane that is in no heap wait until its first job, ``row``, may make room: :func:`foresee` was 0."""
    tenant = tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["tenant"]
    offered = tenancy.ledger.tenant[nth(tenant)]["offered"]
    wait_for_slots(tenancy, lane, int(stays.stay[nth(row)]["patience"] - offered))


@inlined
def end_patience(jobs: Jobs, demand: Records, site: Site, log: Log, stays: Stays, tenancy: Tenancy) -> None:
    """Let those be tried who waited for slots, and may make room now."""
    lane = int(tenancy.waiting.state[Held.PATIENCE])
    if lane != NOBODY and tenancy.waiting.lanes.item[nth(lane)]["first"] <= tenancy.ledger.state[Share.GIVEN]:
        _end_patience(jobs, demand, site, log, stays, tenancy)


@kernel
def _end_patience(jobs: Jobs, demand: Records, site: Site, log: Log, stays: Stays, tenancy: Tenancy) -> None:
    waiting = tenancy.waiting
    lane = int(waiting.state[Held.PATIENCE])
    while lane != NOBODY and waiting.lanes.item[nth(lane)]["first"] <= tenancy.ledger.state[Share.GIVEN]:
        leave_lane(waiting, lane)
        row = int(waiting.lanes.item[nth(lane)]["third"])
        if foresee(jobs, demand, site, log, stays, tenancy, row) == 0:
            be_patient(stays, tenancy, lane, row)
        else:
            enter_lane(tenancy, lane)
        lane = int(waiting.state[Held.PATIENCE])


@kernel
def _foresee(
    jobs: Jobs, demand: Records, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int, number: int
) -> int:
    """As :func:`foresee`, where it can be known."""
    ledger = tenancy.ledger
    asker = ledger.asker[nth(number)]
    resource = int(asker["resource"])
    tenant, level = int(asker["tenant"]), level_of_waiting(stays, row)
    if ledger.tenant[nth(tenant)]["prey_gpus"] > _MANY:
        number_of_view = _view_of(jobs, site, log, tenancy, tenant, level)
        given = int(tenancy.booty.views.about[nth(number_of_view)]["gpus"])
        if resource != NOBODY and _is_held_even_so(ledger, tenant, resource, int(asker["gpus"]) - given):
            return NOBODY
        short = nodes_short(tenancy.booty.views, site, demand[nth(asker["wish"])], number_of_view)
        stays.stay[nth(row)]["patience"] = slots_offered(ledger, number) + short
        return 0 if short > 0 else MAYBE
    found = list_own(tenancy, tenant, level)
    given = 0
    if resource != NOBODY:
        for place in range(found):
            other = int(tenancy.booty.seen[nth(place)])
            if resource_held(jobs, site, log, ledger, other) == resource:
                given += int(ledger.asker[nth(ledger.asker_of[nth(other)])]["gpus"])
        if _is_held_even_so(ledger, tenant, resource, int(asker["gpus"]) - given):
            return NOBODY
    short = _nodes_short(jobs, demand[nth(asker["wish"])], site, log, stays, tenancy, found)
    stays.stay[nth(row)]["patience"] = slots_offered(ledger, number) + short
    return 0 if short > 0 else MAYBE


@inlined
def _is_held_even_so(ledger: Ledger, tenant: int, resource: int, more: int) -> bool:
    """Return whether a tenant without tenants below may not use so much more than now of its own quota."""
    quota = ledger.quota[nth(tenant * resources_of(ledger) + resource)]
    return bool(ledger.tenant[nth(tenant)]["end"] == tenant + 1 and quota["used"] + more > quota["most"])


@kernel
def _view_of(jobs: Jobs, site: Site, log: Log, tenancy: Tenancy, tenant: int, level: int) -> int:
    """Return what is kept of the room without a tenant's jobs above a level; from now on, if it was not."""
    ledger, views = tenancy.ledger, tenancy.booty.views
    number = int(ledger.tenant[nth(tenant)]["view"])
    while number != NOBODY and views.about[nth(number)]["level"] != level:
        number = int(views.about[nth(number)]["next"])
    if number != NOBODY:
        return number
    number = _close_oldest(tenancy)
    open_view(views, site, number, tenant, level, int(ledger.tenant[nth(tenant)]["view"]))
    ledger.tenant[nth(tenant)]["view"] = number
    for place in range(list_own(tenancy, tenant, level)):
        count_in_view(jobs, site, log, tenancy, int(tenancy.booty.seen[nth(place)]), number, 1)
    return number


@inlined
def _close_oldest(tenancy: Tenancy) -> int:
    """Close the view that was opened first, where all are in use; return a number of one that is not."""
    views = tenancy.booty.views
    number = int(views.state[Look.OPENED] % views.about.size)
    old = int(views.about[nth(number)]["tenant"])
    if old != NOBODY:
        following = int(views.about[nth(number)]["next"])
        at = int(tenancy.ledger.tenant[nth(old)]["view"])
        if at == number:
            tenancy.ledger.tenant[nth(old)]["view"] = following
        else:
            while views.about[nth(at)]["next"] != number:
                at = int(views.about[nth(at)]["next"])
            views.about[nth(at)]["next"] = following
    return number


@kernel
def _nodes_short(jobs: Jobs, asked: Records, site: Site, log: Log, stays: Stays, tenancy: Tenancy, found: int) -> int:
    """Return how many nodes at least a plain job would lack if those listed were away; 0 if it would find room."""
    large, many, rest = int(asked["large"]), int(asked["many"]), int(asked["rest"])
    fitting = members(site.openings, 1, large, many)
    smaller = members(site.openings, 1, rest, many + 1) if rest > 0 else many + 1
    back = stays.returned
    looked = 0
    while looked < found and (fitting < many or smaller <= many):
        claim = jobs.claim[nth(tenancy.booty.seen[nth(looked)])]
        for slot in range(claim["slot"], claim["slot"] + claim["slots"]):
            node, gpus = int(log.slots[nth(slot)]["node"]), int(log.slots[nth(slot)]["gpus"])
            before = int(site.node[nth(node)]["free"]) + int(back[nth(node)])
            back[nth(node)] += gpus
            fitting += before < large <= before + gpus
            smaller += rest > 0 and before < rest <= before + gpus
        looked += 1
    for place in range(looked):
        claim = jobs.claim[nth(tenancy.booty.seen[nth(place)])]
        for slot in range(claim["slot"], claim["slot"] + claim["slots"]):
            back[nth(log.slots[nth(slot)]["node"])] = 0
    return max(many - fitting, many + 1 - smaller, 0)
