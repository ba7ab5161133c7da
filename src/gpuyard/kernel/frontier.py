"""Where a search of the plan may begin: what was looked for in vain in this pass need not be looked for again.

If a job of so many GPUs found no room before an instant, neither does a later one that asks for as many for as long or
longer, unless GPUs were given back since at an instant that its stay would reach.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import highest, nth
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.jit import inlined, kernel

__all__ = ["Frontier", "build_frontier", "first_hope", "note_gift", "note_vain", "open_frontier"]

_CLASSES = 128
"""Durations are told apart by their highest bit and the one below."""
_OLDEST, _GIFTS, _KEPT = 0, 1, 2


class Frontier(NamedTuple):
    """What was looked for in vain, and what was given back since."""

    size: NDArray[np.int32]  # shape (demands,): numbers those of as many GPUs alike
    vain: NDArray[np.int64]  # shape (sizes * _CLASSES * 2,): before when there is no room; how many gifts there were
    gift: NDArray[np.int64]  # gifts that begin before all later ones: its begin, its number; by number
    state: NDArray[np.int64]  # gifts before this pass; gifts so far; entries of gift


def build_frontier(thousandths: NDArray[np.int64], jobs: int) -> Frontier:
    """Return a frontier for demands of so many thousandths of a GPU, and so many jobs that wait at once."""
    sizes, size = np.unique(thousandths, return_inverse=True)
    vain = np.full(sizes.size * _CLASSES * 2, -1, np.int64)
    state = np.zeros(3, np.int64)
    return Frontier(size=size.astype(np.int32), vain=vain, gift=np.empty(2 * jobs + 2, np.int64), state=state)


@inlined
def open_frontier(frontier: Frontier) -> None:
    """Begin a pass: nothing is known."""
    frontier.state[_GIFTS] += 1
    frontier.state[_OLDEST] = frontier.state[_GIFTS]
    frontier.state[_KEPT] = 0


@inlined
def note_gift(frontier: Frontier, begin: int) -> None:
    """Note that GPUs were given back from an instant on."""
    gift, kept = frontier.gift, int(frontier.state[_KEPT])
    while kept > 0 and gift[nth(2 * kept - 2)] >= begin:
        kept -= 1
    gift[nth(2 * kept)] = begin
    gift[nth(2 * kept + 1)] = frontier.state[_GIFTS]
    frontier.state[_KEPT] = kept + 1
    frontier.state[_GIFTS] += 1


@inlined
def note_vain(frontier: Frontier, wish: int, duration: int, before: int) -> None:
    """Note that there is no room for a demand and a duration that begins before an instant."""
    least = duration - 1  # the class is that of the next duration that needs no less
    at = 0
    if least >= 2:
        top = highest(least)
        at = 2 * top + ((least >> (top - 1)) & 1) + 1
    elif least == 1:
        at = 2
    at = 2 * (int(frontier.size[nth(wish)]) * _CLASSES + at)
    frontier.vain[nth(at)] = before
    frontier.vain[nth(at + 1)] = frontier.state[_GIFTS]


@inlined
def _earliest_gift(frontier: Frontier, since: int) -> int:
    """Return when the earliest of the gifts from a number on begins, or NEVER."""
    low, high = 0, int(frontier.state[_KEPT])
    while low < high:
        middle = (low + high) >> 1
        if frontier.gift[nth(2 * middle + 1)] < since:
            low = middle + 1
        else:
            high = middle
    return int(frontier.gift[nth(2 * low)]) if low < frontier.state[_KEPT] else NEVER


@kernel
def first_hope(frontier: Frontier, wish: int, duration: int, now: int) -> int:
    """Return an instant before which a demand finds no room for a duration, or now."""
    at = 0
    if duration >= 2:
        top = highest(duration)
        at = 2 * top + ((duration >> (top - 1)) & 1)
    first = now
    base = int(frontier.size[nth(wish)]) * _CLASSES
    for lower in range(max(at - 3, 0), at + 1):
        entry = 2 * (base + lower)
        since = int(frontier.vain[nth(entry + 1)])
        before = int(frontier.vain[nth(entry)])
        if since >= frontier.state[_OLDEST] and before > first:
            first = max(first, min(before, _earliest_gift(frontier, since) - duration + 1))
    return first
