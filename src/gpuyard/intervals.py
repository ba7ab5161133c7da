"""Exact integrals over time of quantities that change in steps.

Times are int64 microseconds and quantities whole numbers (GPU thousandths, milliwatts), so an
integral is a whole number too.  It need not fit 64 bits: 1 GW is 10**12 mW, a year 3 * 10**13 us,
and their product 3 * 10**25 nJ.  Integer arithmetic in NumPy is arithmetic modulo 2**64, which keeps
the low 64 bits of every sum exactly right however often it wraps; a float64 computed beside it says
which multiple of 2**64 is missing.  The float may be wrong by up to 2**62 (for energies: 1,281 kWh);
with its rounding errors that leaves room for totals beyond 10**30 (for energies: 277 TWh).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spans", "Steps", "exact_integers", "integrated"]

_TURN = 2.0**64


def exact_integers(low: NDArray[np.int64], estimate: NDArray[np.float64]) -> list[int]:
    """Return the whole numbers that are ``low`` modulo 2**64 and nearest to ``estimate``."""
    turns = np.rint((estimate - low.astype(np.float64)) / _TURN)
    return [rest + (int(turn) << 64) for rest, turn in zip(low.tolist(), turns.tolist(), strict=True)]


def integrated(
    start: NDArray[np.int64], end: NDArray[np.int64], weight: NDArray[np.int64], edges: NDArray[np.int64]
) -> list[int]:
    """Return the time integral of the weights of spans [start, end) between each pair of ascending edges; exact.

    All in int64, times in microseconds; ``start``, ``end`` and ``weight`` of shape (spans,), ``edges`` (bins + 1,).
    """
    from gpuyard.kernel.energy import Integrals, integrate

    bins = edges.size - 1
    if bins < 1:
        return []
    start, end, weight = (np.ascontiguousarray(each, dtype=np.int64) for each in (start, end, weight))
    into = Integrals(edges=edges, low=np.zeros(bins, dtype=np.int64), estimate=np.zeros(bins, dtype=np.float64))
    with np.errstate(over="ignore"):
        integrate(start, end, weight, np.zeros(bins + 1, dtype=np.int64), into)
    return exact_integers(into.low, into.estimate)


def _rows_in_order(times: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the rows of ``times``, shape (times,), in the order of time, equal ones as they are."""
    from gpuyard.kernel.energy import order_ends

    low, high = (int(times.min()), int(times.max())) if times.size else (0, 0)
    reach = high - low
    if reach.bit_length() < 64:
        shift = max(0, reach.bit_length() - times.size.bit_length())
        order = np.empty(times.size, dtype=np.intp)
        if order_ends(times, low, shift, np.zeros((reach >> shift) + 2, dtype=np.int64), order):
            return order
    return np.argsort(times, kind="stable")


@dataclass(frozen=True)
class Spans:
    """Stretches of time [start, end), int64 microseconds, shape (spans,); ``start <= end``.

    Sorted once, however many quantities are then integrated over them.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]

    @cached_property
    def by_end(self) -> NDArray[np.intp]:
        """int64, shape (spans,): the spans in the order of their ends, at one instant in their own."""
        return _rows_in_order(self.end)

    @cached_property
    def by_start(self) -> NDArray[np.intp] | None:
        """int64, shape (spans,): the spans in the order of their starts, ``None`` if they are sorted already."""
        return None if bool(np.all(self.start[1:] >= self.start[:-1])) else np.argsort(self.start, kind="stable")

    def subset(self, keep: NDArray[np.bool_]) -> Spans:
        """Return only the spans that ``keep`` (bool, shape (spans,)) marks."""
        return Spans(self.start[keep], self.end[keep])

    def starts_of(self, weight: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the start times in order, and the weight that begins at each."""
        if self.by_start is None:
            return self.start, weight
        return self.start[self.by_start], weight[self.by_start]

    def ends_of(self, weight: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the end times in order, and the weight that ends at each."""
        return self.end[self.by_end], weight[self.by_end]

    def integrals(self, weight: NDArray[np.int64], edges: NDArray[np.int64]) -> list[int]:
        """Return the time integral of the weights of the spans under way, between each pair of edges.

        Parameters
        ----------
        weight
            int64, shape (spans,).
        edges
            int64 microseconds, shape (bins + 1,), ascending.

        Returns
        -------
        list of int
            ``bins`` whole numbers, in weight x microseconds, exact.
        """
        return integrated(self.start, self.end, weight, edges)

    def peak_count(self, start: int, stop: int) -> int:
        """Return the largest number of spans of positive length that are under way at one instant of [start, stop]."""
        lasting = (self.end > self.start) & (self.end > start) & (self.start <= stop)
        begins = np.sort(np.maximum(self.start[lasting], start))
        if begins.size == 0:
            return 0
        ends = np.sort(self.end[lasting])
        under_way = np.arange(1, begins.size + 1) - np.searchsorted(ends, begins, side="right")
        return int(under_way.max())


@dataclass(frozen=True)
class Steps:
    """A quantity over time: ``values[i]`` (int64) from ``times[i]`` up to ``times[i + 1]`` (int64 microseconds)."""

    times: NDArray[np.int64]
    values: NDArray[np.int64]

    @classmethod
    def of(cls, spans: Spans, weight: NDArray[np.int64], *, base: int, start: int, stop: int) -> Steps:
        """Return ``base`` plus the weights of the spans under way, from ``start`` to ``stop``.

        The spans lie inside.  Ends come before starts at one instant, so that no value, not even
        one that lasts no time, is above what the quantity really is at that instant.
        """
        ends, leaving = spans.ends_of(weight)
        starts, arriving = spans.starts_of(weight)
        times = np.concatenate([[start], ends, starts])
        order = np.argsort(times, kind="stable")
        changes = np.concatenate([[base], -leaving, arriving])[order]
        return cls(np.append(times[order], stop), np.cumsum(changes))

    def integrals(self, edges: NDArray[np.int64]) -> list[int]:
        """Return the time integral between each pair of ascending edges, which lie inside the times; exact."""
        return integrated(self.times[:-1], self.times[1:], self.values, edges)

    def peak(self, start: int, stop: int) -> int:
        """Return the largest value that lasts in [start, stop]; the value at ``start`` if that is the stop too."""
        first = int(np.clip(np.searchsorted(self.times, start, side="right") - 1, 0, self.values.size - 1))
        last = int(np.searchsorted(self.times[:-1], stop, side="left"))
        return int(self.values[first : max(last, first + 1)].max())
