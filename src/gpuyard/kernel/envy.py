"""Lanes that may take from others only once somebody borrows more: under fair sharing, where their share is too large.

A job may take from tenants whose share is as large as its own tenant's would be with it, or larger.  Where there is
none, its lane waits as one that cannot make room, and what stands for it in a heap by that share tells when it can.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.lending import settle_borrowers
from gpuyard.kernel.pairing import bring_forward, put, set_key, take_out
from gpuyard.kernel.quotas import share_with
from gpuyard.kernel.tenancy import ANY_TYPE, Held, Reclaim, Share, Tenancy

__all__ = ["may_take_by_share", "next_envious", "note_envy", "note_refused", "was_refused"]


@inlined
def _knows_turns(tenancy: Tenancy) -> bool:
    """Return whether something stands for each lane: it may wait for somebody's share, or shares change in a round."""
    return bool(tenancy.waiting.lanes.item.size > tenancy.waiting.aside.size)


@inlined
def _knows_envy(tenancy: Tenancy) -> bool:
    """Return whether lanes may wait for somebody's share."""
    return bool(_knows_turns(tenancy) and tenancy.ledger.state[Share.RECLAIM] == Reclaim.FAIR)


@kernel
def may_take_by_share(tenancy: Tenancy, number: int) -> bool:
    """Return whether somebody's share is as large as that of an asker's tenant would be, or larger."""
    settle_borrowers(tenancy)
    first = int(tenancy.ledger.state[Share.BORROWERS])
    return first != NOBODY and share_with(tenancy.ledger, number) <= -tenancy.booty.borrowers.item[nth(first)]["share"]


@inlined
def note_envy(tenancy: Tenancy, lane: int, number: int) -> None:
    """Let a lane that cannot make room, whose first job is of an asker, know when it may take from others."""
    if _knows_envy(tenancy) and tenancy.ledger.asker[nth(number)]["resource"] not in (NOBODY, ANY_TYPE):
        _note_envy(tenancy, lane, number)


@kernel
def _note_envy(tenancy: Tenancy, lane: int, number: int) -> None:
    lanes, state = tenancy.waiting.lanes, tenancy.waiting.state
    stand_in = tenancy.waiting.aside.size + lane
    item, share = lanes.item[nth(stand_in)], share_with(tenancy.ledger, number)
    if item["heap"] > 0:
        if share < item["share"]:  # else it is told too early at worst
            item["share"] = share
            state[Held.ENVY] = bring_forward(lanes, int(state[Held.ENVY]), stand_in)
        return
    item["heap"] = 1
    item["share"] = share
    set_key(lanes, stand_in, 0, 0, lane)
    state[Held.ENVY] = put(lanes, int(state[Held.ENVY]), stand_in)


@kernel
def next_envious(tenancy: Tenancy) -> int:
    """Return a lane that is to be told that somebody's share is as large as its own was, or NOBODY."""
    lanes, state, first = tenancy.waiting.lanes, tenancy.waiting.state, int(tenancy.ledger.state[Share.BORROWERS])
    stand_in = int(state[Held.ENVY])
    if NOBODY in (stand_in, first):
        return NOBODY
    if lanes.item[nth(stand_in)]["share"] > -tenancy.booty.borrowers.item[nth(first)]["share"]:
        return NOBODY
    state[Held.ENVY] = take_out(lanes, stand_in, stand_in)
    lanes.item[nth(stand_in)]["heap"] = 0
    return stand_in - tenancy.waiting.aside.size


@inlined
def note_refused(tenancy: Tenancy, lane: int) -> None:
    """Note that a lane had its turn in this round."""
    if _knows_turns(tenancy):
        tenancy.waiting.lanes.item[nth(tenancy.waiting.aside.size + lane)]["level"] = tenancy.ledger.state[Share.ROUND]


@inlined
def was_refused(tenancy: Tenancy, lane: int) -> bool:
    """Return whether a lane is known to have had its turn in this round, whatever its place in the order is now."""
    if not _knows_turns(tenancy):
        return False
    item = tenancy.waiting.lanes.item[nth(tenancy.waiting.aside.size + lane)]
    return bool(item["level"] == tenancy.ledger.state[Share.ROUND])
