"""The tenants that borrow and have somebody to take: in the order in which they are taken from."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.pairing import bring_forward, put, put_off, set_key, take_out
from gpuyard.kernel.quotas import fair_share, is_above_quota, tell_above
from gpuyard.kernel.tenancy import Reclaim, Share, Tenancy
from gpuyard.kernel.vain import knows_vain, note_change

__all__ = ["mark_borrower", "note_borrower", "settle_borrowers", "tenant_of"]


@inlined
def tenant_of(tenancy: Tenancy, row: int) -> int:
    """Return the tenant that a job belongs to."""
    return int(tenancy.ledger.asker[nth(tenancy.ledger.asker_of[nth(row)])]["tenant"])


@inlined
def _stand_by_key(tenancy: Tenancy, tenant: int, row: int) -> int:
    """Give a tenant that borrows the key by which it is taken from; return -1 or 1 if it is smaller or larger, else 0.

    That is the key of ``row``, its first job, or its share of what may be lent, the largest first.
    """
    its, item = tenancy.booty.borrowers.item[nth(tenant)], tenancy.booty.prey.item[nth(row)]
    share, first, second, third = 0.0, int(item["first"]), int(item["second"]), row
    if tenancy.ledger.state[Share.RECLAIM] == Reclaim.FAIR:
        share, first, second, third = -fair_share(tenancy.ledger, tenant, NOBODY, 0), 0, 0, tenant
    moved = _order(share, float(its["share"]))
    if moved == 0:
        moved = _order(first, int(its["first"]))
    if moved == 0:
        moved = _order(second, int(its["second"]))
    if moved == 0:
        moved = _order(third, int(its["third"]))
    its["share"] = share
    set_key(tenancy.booty.borrowers, tenant, first, second, third)
    return moved


@inlined
def _order(one: float, other: float) -> int:
    """Return -1, 0 or 1 for a smaller, an equal, a larger number."""
    return int(one > other) - int(one < other)


@inlined
def mark_borrower(tenancy: Tenancy, tenant: int) -> None:
    """Note that what a tenant holds, or its place among those that borrow, may have changed, until somebody asks."""
    this, state = tenancy.ledger.tenant[nth(tenant)], tenancy.ledger.state
    if this["marked"] == 0:
        this["marked"] = 1
        tenancy.booty.marked[nth(state[Share.MARKED])] = tenant
        state[Share.MARKED] += 1


@inlined
def settle_borrowers(tenancy: Tenancy) -> None:
    """Bring all that were marked up to date."""
    if tenancy.ledger.state[Share.MARKED] > 0:
        _settle_borrowers(tenancy)


@kernel
def _settle_borrowers(tenancy: Tenancy) -> None:
    state, vain = tenancy.ledger.state, knows_vain(tenancy)
    state[Share.SETTLED] += vain
    for place in range(state[Share.MARKED]):
        tenant = int(tenancy.booty.marked[nth(place)])
        tenancy.ledger.tenant[nth(tenant)]["marked"] = 0
        tell_above(tenancy.ledger, tenant)
        before = _share_lent(tenancy, tenant) if vain else 0.0
        note_borrower(tenancy, tenant)
        if vain and max(before, _share_lent(tenancy, tenant)) > 0.0:
            note_change(tenancy, max(before, _share_lent(tenancy, tenant)))
    state[Share.MARKED] = 0


@inlined
def _share_lent(tenancy: Tenancy, tenant: int) -> float:
    """Return the share by which a tenant stands among those that borrow, 0 if it does not."""
    its = tenancy.booty.borrowers.item[nth(tenant)]
    return -float(its["share"]) if its["heap"] > 0 else 0.0


@kernel
def note_borrower(tenancy: Tenancy, tenant: int) -> None:
    """Bring the place of a tenant among those that borrow, and have somebody to take, up to date."""
    state = tenancy.ledger.state
    first = int(tenancy.ledger.tenant[nth(tenant)]["prey"])
    borrows = first != NOBODY and is_above_quota(tenancy.ledger, tenant)
    this = tenancy.ledger.tenant[nth(tenant)]
    state[Share.LENT] -= this["lent"]
    this["lent"] = this["prey_gpus"] if borrows else 0
    state[Share.LENT] += this["lent"]
    borrowers, root, moved = tenancy.booty.borrowers, int(state[Share.BORROWERS]), 0
    its = borrowers.item[nth(tenant)]
    if borrows:
        moved = _stand_by_key(tenancy, tenant, first)
    if its["heap"] <= 0:
        if borrows:
            state[Share.BORROWERS] = put(borrowers, root, tenant)
            its["heap"] = 1
    elif not borrows:
        state[Share.BORROWERS] = take_out(borrowers, root, tenant)
        its["heap"] = 0
    elif moved < 0:
        state[Share.BORROWERS] = bring_forward(borrowers, root, tenant)
    elif moved > 0:
        state[Share.BORROWERS] = put_off(borrowers, root, tenant)
