"""The order of gaps: the ranks of a normal process, a sum of first-order autoregressive ones, block by block.

A rank is known only when all values are.  Up to ``MOST_SORTED`` gaps the values are sorted.  More than that are not
held: they are made once to be counted in narrow cells, and made anew to be ranked, by cell and in a cell by time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuyard.streams import Stream

__all__ = ["BLOCK", "Order", "ranks"]

BLOCK = 1 << 18
"""Gaps of which the values are made at once."""
MOST_SORTED = 1 << 22
"""So many gaps, 4 million, are sorted; it takes 20 bytes for each."""
WIDEST, CELLS = 8.0, 1 << 22
"""Values, which have a variance of 1, are told apart in so many cells from -8 to 8; those beyond are in the outer ones.

At the middle a cell holds 1.5 millionths of the gaps.  Where gaps are longest or shortest each has a cell of its own.
"""


class _Values:
    """The values of the process, which follow from the seed, in their order."""

    def __init__(self, persistence: Sequence[tuple[float, float]], seed: int) -> None:
        rest = max(0.0, 1.0 - sum(weight for _, weight in persistence))
        self._rest, self._own = math.sqrt(rest), Stream(seed, "fit:gap")
        self._kept = [(math.exp(-1 / scale), math.sqrt(weight)) for scale, weight in persistence]
        self._noise = [Stream(seed, f"fit:gap:{scale:g}") for scale, _ in persistence]
        self._state: list[NDArray[np.float64] | None] = [None] * len(self._kept)

    def next(self, size: int) -> NDArray[np.float64]:
        """Return the next values, shape (size,)."""
        from scipy.signal import lfilter

        values = self._rest * _normal(self._own, size)
        for place, (keep, weight) in enumerate(self._kept):
            noise, state = _normal(self._noise[place], size), self._state[place]
            noise[0 if state is not None else 1 :] *= math.sqrt(1 - keep * keep)
            made, self._state[place] = lfilter([1.0], [1.0, -keep], noise, zi=np.zeros(1) if state is None else state)
            values += weight * made
        return values


def _normal(stream: Stream, size: int) -> NDArray[np.float64]:
    from scipy.special import ndtri

    return np.asarray(ndtri(stream.uniform(size) + 2.0**-54), dtype=np.float64)


class Order:
    """The ranks, 0 to ``size`` - 1, of so many gaps, as often as one likes."""

    def __init__(self, persistence: Sequence[tuple[float, float]], size: int, seed: int) -> None:
        self.size, self._process = size, (persistence, seed)
        self._ranks = ranks(persistence, size, seed) if size <= MOST_SORTED else None
        self._first = self._counted() if self._ranks is None else None

    def blocks(self, rows: int) -> Iterator[NDArray[np.int64]]:
        """Return the ranks in the order of the gaps, in blocks of ``rows`` and a last one of what is left."""
        if self._ranks is not None:
            yield from (self._ranks[begin : begin + rows].astype(np.int64) for begin in range(0, self.size, rows))
        if self._first is not None:
            taken = self._first.copy()
            yield from (_in_turn(cells, taken) for cells in self._cells(rows))

    def anyhow(self) -> Iterator[NDArray[np.int64]]:
        """Return each rank once, in an order that costs little."""
        if self._ranks is not None:
            return self.blocks(BLOCK)
        return (np.arange(begin, min(begin + BLOCK, self.size)) for begin in range(0, self.size, BLOCK))

    def _cells(self, rows: int) -> Iterator[NDArray[np.int64]]:
        """Return the cell of each value, in blocks."""
        values = _Values(*self._process)
        for begin in range(0, self.size, rows):
            places = (values.next(min(rows, self.size - begin)) + WIDEST) * (CELLS / (2 * WIDEST))
            yield np.clip(places.astype(np.int64), 0, CELLS - 1)

    def _counted(self) -> NDArray[np.int64]:
        """Return the first rank of each cell, shape (CELLS,)."""
        first = np.zeros(CELLS, np.int64)
        for cells in self._cells(BLOCK):
            _in_turn(cells, first)
        first[1:] = np.cumsum(first[:-1])
        first[0] = 0
        return first


def _in_turn(cells: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the next number of the cell of each, as they come; ``taken`` holds the next ones, and is carried on."""
    order = np.argsort(cells, kind="stable")
    ranked = cells[order]
    begins = np.flatnonzero(np.diff(ranked, prepend=-1))
    lengths = np.diff(begins, append=ranked.size)
    found = np.empty(cells.size, np.int64)
    found[order] = taken[ranked] + np.arange(ranked.size) - np.repeat(begins, lengths)
    taken[ranked[begins]] += lengths
    return found


def ranks(persistence: Sequence[tuple[float, float]], size: int, seed: int) -> NDArray[np.int32]:
    """Return the rank of each gap, 0 to size - 1, in the order of the gaps; of equal values the first is lower."""
    values, made = np.empty(size), _Values(persistence, seed)
    for begin in range(0, size, BLOCK):
        end = min(begin + BLOCK, size)
        values[begin:end] = made.next(end - begin)
    places = np.empty(size, np.int32)
    places[np.argsort(values, kind="stable")] = np.arange(size, dtype=np.int32)
    return places
