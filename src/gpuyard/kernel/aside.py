"""Claims that found no room in a round: they stand aside until it ends, or until somebody behind them starts."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.pairing import goes_before
from gpuyard.kernel.parting import asker_first, keep_lane, leave_lane, put_aside
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Records
from gpuyard.kernel.tenancy import Held, Share, Tenancy

__all__ = ["end_round", "nobody_claims", "wake"]


@inlined
def nobody_claims(tenancy: Tenancy) -> bool:
    """Return whether none of those who wait can make room, nor will before Share.STIRRED says that something changed.

    Where nobody is more urgent than another, who may take from others is told by what its own tenant holds alone
    (Share.ALIKE): whoever starts, or may be taken away from now on, changes nothing for those who could not.
    """
    ledger, held = tenancy.ledger.state, tenancy.waiting.state
    if ledger[Share.ALIKE] == 0 or held[Held.CLAIMS] > 0:
        return False
    return bool(held[Held.HOPE] == held[Held.CLAIM_HOPE] == held[Held.PATIENCE] == NOBODY)


@inlined
def wake(tenancy: Tenancy, lane: int) -> bool:
    """Let claims be tried that could not make room before a lane's job started; those that stand before it could not.

    Return whether there are such claims.
    """
    return tenancy.waiting.state[Held.CLAIMS] > 0 and _wake_claims(tenancy, lane)


@kernel
def _wake_claims(tenancy: Tenancy, lane: int) -> bool:
    state = tenancy.ledger.state
    found = False
    waiting = tenancy.waiting
    for number in range(waiting.wish.size):
        wish = waiting.wish[nth(number)]
        if wish["quiet"] != state[Share.CHANCE] or wish["claim"] == NOBODY:
            continue
        found = True
        while wish["claim"] != NOBODY and goes_before(waiting.lanes, int(wish["claim"]), lane):
            earlier = int(wish["claim"])
            leave_lane(waiting, earlier)
            put_aside(tenancy, earlier)
    return found


@inlined
def _wish_of(tenancy: Tenancy, lane: int) -> Records:
    """Return what is known of the demand of the first job of a lane."""
    return tenancy.waiting.wish[nth(tenancy.ledger.asker[nth(asker_first(tenancy, lane))]["wish"])]


@inlined
def end_round(tenancy: Tenancy, stays: Stays) -> None:
    """Put the lanes that were put aside among the claims again; note where none of these could make room.

    A lane that a preempted job has joined in front is to be tried already.
    """
    if tenancy.ledger.state[Share.ASIDE] > 0:
        _bring_back(tenancy, stays)


@kernel
def _bring_back(tenancy: Tenancy, stays: Stays) -> None:
    state = tenancy.ledger.state
    for place in range(state[Share.ASIDE]):
        lane = int(tenancy.waiting.aside[nth(place)])
        if tenancy.waiting.lanes.item[nth(lane)]["heap"] == NOBODY:
            _wish_of(tenancy, lane)["quiet"] = state[Share.CHANCE]
    for place in range(state[Share.ASIDE]):
        lane = int(tenancy.waiting.aside[nth(place)])
        if tenancy.waiting.lanes.item[nth(lane)]["heap"] != NOBODY:
            continue
        keep_lane(tenancy, lane)
        if stays.lane[nth(lane)]["blocked"] != state[Share.CHANCE]:
            _wish_of(tenancy, lane)["quiet"] = NOBODY
    state[Share.ASIDE] = 0
