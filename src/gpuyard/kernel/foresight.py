"""Whether what a job's own tenant runs at a lower urgency is enough to make room for it, counted beforehand.

Most jobs that try to make room in long overload may take from their own tenant alone, and would find too few whole
nodes even so.  To see that, their tenant's jobs are looked at once; nobody is taken off and put back.  Who lacks
several nodes does not look again until so many slots were given back or may be taken.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.quotas import is_within_quota, resource_held, resources_of
from gpuyard.kernel.stays import Stays, Terms
from gpuyard.kernel.tables import Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Ledger, Reclaim, Share, Tenancy

__all__ = ["MAYBE", "foresee"]

MAYBE = 1
"""It is not certain that no room can be made."""


@inlined
def foresee(jobs: Jobs, demand: Records, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int) -> int:
    """Return what trying to make room for a job would, where it is certain to fail; else MAYBE.

    Known only where all jobs are plain and their order is up to date, for one that may take from its own tenant alone.
    """
    number = int(tenancy.ledger.asker_of[nth(row)])
    if stays.terms[Terms.COUNTED] == 0 or tenancy.ledger.state[Share.LISTED] > 0:
        return MAYBE
    if not _takes_own_only(tenancy.ledger, number):
        return MAYBE
    if _offers(tenancy.ledger, number) < stays.stay[nth(row)]["patience"]:
        return 0
    return _foresee(jobs, demand, site, log, stays, tenancy, row, number)


@inlined
def _offers(ledger: Ledger, number: int) -> int:
    """Return how many slots were given back, or may be taken from an asker's tenant since, ever since the beginning."""
    return int(ledger.state[Share.GIVEN] + ledger.tenant[nth(ledger.asker[nth(number)]["tenant"])]["offered"])


@inlined
def _takes_own_only(ledger: Ledger, number: int) -> bool:
    """Return whether a job of an asker may take from its own tenant alone."""
    resource, reclaim = int(ledger.asker[nth(number)]["resource"]), ledger.state[Share.RECLAIM]
    if resource == ANY_TYPE:
        return False
    if resource == NOBODY or reclaim == Reclaim.NEVER:
        return True
    return bool(reclaim != Reclaim.FAIR and not is_within_quota(ledger, number, resource))


@kernel
def _foresee(
    jobs: Jobs, demand: Records, site: Site, log: Log, stays: Stays, tenancy: Tenancy, row: int, number: int
) -> int:
    """As :func:`foresee`, where it can be known."""
    ledger = tenancy.ledger
    asker = ledger.asker[nth(number)]
    resource = int(asker["resource"])
    found = _list_own(tenancy, int(asker["tenant"]), level_of_waiting(stays, row))
    given = 0
    if resource != NOBODY:
        for place in range(found):
            other = int(tenancy.booty.seen[nth(place)])
            if resource_held(jobs, site, log, ledger, other) == resource:
                given += int(ledger.asker[nth(ledger.asker_of[nth(other)])]["gpus"])
        if _is_held_even_so(ledger, int(asker["tenant"]), resource, int(asker["gpus"]) - given):
            return NOBODY
    short = _nodes_short(jobs, demand[nth(asker["wish"])], site, log, stays, tenancy, found)
    stays.stay[nth(row)]["patience"] = _offers(ledger, number) + short
    return 0 if short > 0 else MAYBE


@inlined
def _is_held_even_so(ledger: Ledger, tenant: int, resource: int, more: int) -> bool:
    """Return whether a tenant without tenants below may not use so much more than now of its own quota."""
    quota = ledger.quota[nth(tenant * resources_of(ledger) + resource)]
    return bool(ledger.tenant[nth(tenant)]["end"] == tenant + 1 and quota["used"] + more > quota["most"])


@kernel
def _list_own(tenancy: Tenancy, tenant: int, level: int) -> int:
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
