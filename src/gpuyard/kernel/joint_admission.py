"""Whether quotas and limits admit a job; where types are tried one by one, the first that will do is taken."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.hunt import try_place
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_tables import Joint
from gpuyard.kernel.placement import Placer
from gpuyard.kernel.quotas import holder_of, resources_of
from gpuyard.kernel.tables import Events, Log, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Tenancy

__all__ = ["is_admitted", "try_admitted"]


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


@kernel
def is_admitted(demand: Records, tenancy: Tenancy, joint: Joint, row: int) -> bool:
    """Return whether a job is admitted, as by :func:`try_admitted`."""
    ledger = tenancy.ledger
    number = int(ledger.asker_of[nth(row)])
    asker = ledger.asker[nth(number)]
    wish = int(asker["wish"])
    if asker["resource"] != ANY_TYPE:
        return bool(holder_of(ledger, number, int(asker["resource"]))[0] == NOBODY)
    types = resources_of(ledger)
    for kind in range(types):
        if demand[nth(wish)]["kinds"] >> kind & 1 and holder_of(ledger, number, kind)[0] == NOBODY:
            only = int(tenancy.variant[nth(wish * types + kind)])
            if joint.fits[nth(joint.place[nth(row)] * demand.size + only)] > 0:
                return True
    return False
