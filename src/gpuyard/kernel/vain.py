"""Tries to make room under fair sharing that failed for want of nodes, and that are known to fail again.

Whom a try takes off from a tenant is told by that tenant alone: by its share, its jobs that may be taken away, and the
share that the asking tenant would have; a tenant whose share is smaller than that loses nobody.  So what was too little
with all of them away is too little again, until somebody whose share is or was as large as that changes, or as many
slots were given back, or may be taken from the asking tenant itself, as nodes were lacking: each slot is on one node.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.quotas import share_with
from gpuyard.kernel.stays import Stays, Terms
from gpuyard.kernel.tables import Records
from gpuyard.kernel.tenancy import Ledger, Share, Tenancy

__all__ = ["forget_vain", "is_vain", "knows_vain", "note_change", "note_if_vain", "slots_offered"]

_ALL = float("inf")


@inlined
def slots_offered(ledger: Ledger, number: int) -> int:
    """Return how many slots were given back, or may be taken from an asker's tenant since, ever since the beginning."""
    return int(ledger.state[Share.GIVEN] + ledger.tenant[nth(ledger.asker[nth(number)]["tenant"])]["offered"])


@inlined
def knows_vain(tenancy: Tenancy) -> bool:
    """Return whether tries are remembered: under fair sharing, where who is taken first does not change with time."""
    return bool(tenancy.booty.borrowers.item.size > tenancy.ledger.tenant.size)


@kernel
def note_change(tenancy: Tenancy, share: float) -> None:
    """Note that a tenant changed at Share.SETTLED, whose share was before or is now ``share``, the larger of both.

    Of those that were noted, only who has a larger share than all later ones is kept.
    """
    item, state, first = tenancy.booty.borrowers.item, tenancy.ledger.state, tenancy.ledger.tenant.size
    at = first + int(state[Share.CHANGES])
    while at > first and item[nth(at - 1)]["share"] <= share:
        at -= 1
    if at == item.size:  # then it counts as the last of those that are kept, whose share is larger: told more often
        at -= 1
    else:
        item[nth(at)]["share"] = share
    item[nth(at)]["first"] = state[Share.SETTLED]
    state[Share.CHANGES] = at + 1 - first


@inlined
def forget_vain(tenancy: Tenancy) -> None:
    """Let all be tried again: somebody made room, and the shares of those that he took from are not known any more."""
    if knows_vain(tenancy):
        tenancy.ledger.state[Share.SETTLED] += 1
        note_change(tenancy, _ALL)


@kernel
def _last_change(tenancy: Tenancy, share: float) -> int:
    """Return the Share.SETTLED at which a tenant with a share as large, or larger, last changed."""
    item, at = tenancy.booty.borrowers.item, tenancy.ledger.tenant.size
    end = at + int(tenancy.ledger.state[Share.CHANGES])
    last = 0
    while at < end and item[nth(at)]["share"] >= share:
        last = int(item[nth(at)]["first"])
        at += 1
    return last


@inlined
def note_if_vain(
    stays: Stays,
    tenancy: Tenancy,
    number: int,
    row: int,
    resource: int,
    share: float,
    left: int,
    lacks: int,
    lacks_smaller: int,
) -> None:
    """Note a try that failed for want of nodes, if it can be known till when it would.

    It cannot where somebody was left out because what he borrows was not the asking tenant's any more, which others
    decide as well.  So many nodes more would have to have room for a large chunk, and for the last, smaller one:
    ``lacks`` and ``lacks_smaller``.
    """
    asker = tenancy.ledger.asker[nth(number)]
    fair = knows_vain(tenancy) and resource != NOBODY and asker["resource"] == resource
    short = max(lacks, lacks_smaller)
    if not fair or stays.terms[Terms.COUNTED] == 0 or short <= 0:
        return
    if left == 0 or (left == 1 and tenancy.booty.seen[0] == asker["tenant"]):
        _note_vain(stays, tenancy, number, row, share, short)


@kernel
def _note_vain(stays: Stays, tenancy: Tenancy, number: int, row: int, share: float, short: int) -> None:
    """Note that a job of an asker lacks so many nodes even with all off whom a tenant with such a share may take."""
    memo = _memo_of(tenancy, number)
    memo["third"], memo["share"], memo["second"] = row, share, tenancy.ledger.state[Share.SETTLED]
    stays.stay[nth(row)]["patience"] = slots_offered(tenancy.ledger, number) + short


@inlined
def is_vain(stays: Stays, tenancy: Tenancy, row: int, number: int) -> bool:
    """Return whether a job of an asker is known to find no room; borrowers are up to date."""
    return knows_vain(tenancy) and _is_vain(stays, tenancy, row, number)


@inlined
def _memo_of(tenancy: Tenancy, number: int) -> Records:
    """Return what is kept of the last try in vain of an asker's lane."""
    lane = int(tenancy.ledger.asker[nth(number)]["lane"])
    return tenancy.waiting.lanes.item[nth(2 * tenancy.waiting.aside.size + lane)]


@kernel
def _is_vain(stays: Stays, tenancy: Tenancy, row: int, number: int) -> bool:
    memo = _memo_of(tenancy, number)
    if memo["third"] != row or stays.stay[nth(row)]["patience"] <= slots_offered(tenancy.ledger, number):
        return False
    share = float(memo["share"])
    return bool(share_with(tenancy.ledger, number) == share and _last_change(tenancy, share) <= memo["second"])
