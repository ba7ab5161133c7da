"""The demands whose lanes are tried in a round: a heap by their first lane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.pairing import goes_before
from gpuyard.kernel.placement import has_room_for
from gpuyard.kernel.tables import Records, Site
from gpuyard.kernel.tenancy import Held, Share, Waiting

__all__ = ["finds_no_room", "gather_heads", "gather_stirred", "head_of", "settle_head"]


@inlined
def finds_no_room(waiting: Waiting, state: NDArray[np.int64], demand: Records, site: Site, number: int) -> bool:
    """Return whether a demand is known to find no place; that of a plain one is looked for in the counts, and noted.

    Nothing is noted while a refusal may let others make room (Share.OFFERED).
    """
    wish, asked = waiting.wish[nth(number)], demand[nth(number)]
    if wish["no_room"] == state[Share.ROOM]:
        return True
    if asked["plain"] == 0 or (state[Share.PREEMPTS] > 0 and state[Share.OFFERED] == 0 and state[Share.ALIKE] == 0):
        return False
    if has_room_for(site, int(asked["large"]), int(asked["many"]), int(asked["rest"])):
        return False
    wish["no_room"] = state[Share.ROOM]
    return True


@inlined
def head_of(waiting: Waiting, state: NDArray[np.int64], number: int) -> int:
    """Return the lane of a demand that is tried next, or NOBODY; ``state`` is that of the ledger."""
    wish = waiting.wish[nth(number)]
    lane = NOBODY
    if wish["no_room"] != state[Share.ROOM]:
        lane = int(wish["ready"])
    if wish["quiet"] != state[Share.CHANCE]:
        other = int(wish["claim"])
        if lane == NOBODY or (other != NOBODY and goes_before(waiting.lanes, other, lane)):
            lane = other
    return lane


@kernel
def gather_heads(waiting: Waiting, state: NDArray[np.int64], demand: Records, site: Site) -> int:
    """Make a heap of all demands with a lane to be tried; return how many there are."""
    size = 0
    for wish in range(waiting.wish.size):
        if waiting.wish[nth(wish)]["ready"] != NOBODY:
            finds_no_room(waiting, state, demand, site, wish)
        if head_of(waiting, state, wish) != NOBODY:
            waiting.heads[nth(size)] = wish
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sink_head(waiting, state, size, at)
    return size


@inlined
def gather_stirred(waiting: Waiting, state: NDArray[np.int64], demand: Records, site: Site) -> int:
    """As :func:`gather_heads`, at the beginning of a round: most often only one lane has come since the last pass.

    That pass left no demand a lane to be tried, and one that does not claim can be let in by nothing else.
    """
    if state[Share.STIRRED] != 1 or waiting.state[Held.CLAIMS] > 0:
        return gather_heads(waiting, state, demand, site)
    wish = int(state[Share.CAME])
    if finds_no_room(waiting, state, demand, site, wish) or waiting.wish[nth(wish)]["ready"] == NOBODY:
        return 0
    waiting.heads[0] = wish
    return 1


@kernel
def settle_head(waiting: Waiting, state: NDArray[np.int64], size: int) -> int:
    """Put the first demand in its place again, or take it out if it has no lane to be tried; return how many stay."""
    if head_of(waiting, state, int(waiting.heads[0])) == NOBODY:
        size -= 1
        waiting.heads[0] = waiting.heads[nth(size)]
    if size > 0:
        _sink_head(waiting, state, size, 0)
    return size


@kernel
def _sink_head(waiting: Waiting, state: NDArray[np.int64], size: int, at: int) -> None:
    wish = int(waiting.heads[nth(at)])
    lane = head_of(waiting, state, wish)
    child = 2 * at + 1
    while child < size:
        below = head_of(waiting, state, int(waiting.heads[nth(child)]))
        if child + 1 < size:
            right = head_of(waiting, state, int(waiting.heads[nth(child + 1)]))
            if goes_before(waiting.lanes, right, below):
                child += 1
                below = right
        if goes_before(waiting.lanes, lane, below):
            break
        waiting.heads[nth(at)] = waiting.heads[nth(child)]
        at = child
        child = 2 * at + 1
    waiting.heads[nth(at)] = wish
