"""Whether quotas and limits admit a job; where types are tried one by one, the first that will do is taken."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.hunt import try_place
from gpuyard.kernel.jit import inlined, inner
from gpuyard.kernel.joint_tables import Joint
from gpuyard.kernel.placement import Placer
from gpuyard.kernel.quotas import holder_of, resources_of
from gpuyard.kernel.tables import Events, Log, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Ledger, Tenancy

__all__ = ["admitted_with", "holder_of_asker", "try_admitted"]


@inlined
def try_admitted(
    demand: Records, site: Site, log: Log, events: Events, tenancy: Tenancy, joint: Joint, placer: Placer, row: int
) -> tuple[bool, int]:
    """Place a job if it is admitted and there is room; return also the demand with which it was admitted first.

    A type whose nodes could not hold the job if they were empty does not count as admitting it.
    """
    ledger = tenancy.ledger
    number = int(ledger.asker_of[nth(row)])
    asker = ledger.asker[nth(number)]
    wish = int(asker["wish"])
    if asker["resource"] != ANY_TYPE:
        if holder_of(ledger, number, int(asker["resource"]))[0] != NOBODY:
            return False, NOBODY
        return try_place(demand, site, log, events, placer, row, wish), wish
    types = resources_of(ledger)
    admitted = NOBODY
    for kind in range(types):
        if demand[nth(wish)]["kinds"] >> kind & 1 and holder_of(ledger, number, kind)[0] == NOBODY:
            only = int(tenancy.variant[nth(wish * types + kind)])
            if joint.fits[nth(joint.place[nth(row)] * demand.size + only)] == 0:
                continue
            if try_place(demand, site, log, events, placer, row, only):
                return True, only
            if admitted == NOBODY:
                admitted = only
    return False, admitted


@inner
def admitted_with(demand: Records, tenancy: Tenancy, joint: Joint, row: int) -> int:
    """Return the demand with which a job is admitted first, or NOBODY."""
    ledger = tenancy.ledger
    number = int(ledger.asker_of[nth(row)])
    wish, resource = int(ledger.asker[nth(number)]["wish"]), int(ledger.asker[nth(number)]["resource"])
    if resource != ANY_TYPE:
        return wish if holder_of(ledger, number, resource)[0] == NOBODY else NOBODY
    types = resources_of(ledger)
    for kind in range(types):
        if demand[nth(wish)]["kinds"] >> kind & 1 and holder_of(ledger, number, kind)[0] == NOBODY:
            only = int(tenancy.variant[nth(wish * types + kind)])
            if joint.fits[nth(joint.place[nth(row)] * demand.size + only)] > 0:
                return only
    return NOBODY


@inner
def holder_of_asker(ledger: Ledger, row: int) -> int:
    """Return the tenant or group that does not admit a job; NOBODY if it is admitted, or its types go one by one."""
    number = int(ledger.asker_of[nth(row)])
    resource = int(ledger.asker[nth(number)]["resource"])
    at = NOBODY if resource == ANY_TYPE else holder_of(ledger, number, resource)[0]
    return NOBODY if at == NOBODY else int(ledger.link[nth(at)]["node"])
