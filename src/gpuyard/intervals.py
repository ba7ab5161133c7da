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

__all__ = ["Spans", "Steps", "exact_integers"]

_TURN = 2.0**64


def exact_integers(low: NDArray[np.int64], estimate: NDArray[np.float64]) -> list[int]:
    """Return the whole numbers that are ``low`` modulo 2**64 and nearest to ``estimate``."""
    turns = np.rint((estimate - low.astype(np.float64)) / _TURN)
    return [rest + (int(turn) << 64) for rest, turn in zip(low.tolist(), turns.tolist(), strict=True)]


def _prefix(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sums of the first 0, 1, 2, ... values, modulo 2**64."""
    sums = np.zeros(values.size + 1, dtype=np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def _float_prefix(values: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros(values.size + 1, dtype=np.float64)
    np.cumsum(values, out=sums[1:])
    return sums


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
        begun, begun_estimate = _ramp(*self.starts_of(weight), edges)
        ended, ended_estimate = _ramp(*self.ends_of(weight), edges)
        return exact_integers(np.diff(begun - ended), np.diff(begun_estimate - ended_estimate))

    def peak_count(self, start: int, stop: int) -> int:
        """Return the largest number of spans of positive length that are under way at one instant of [start, stop]."""
        lasting = (self.end > self.start) & (self.end > start) & (self.start <= stop)
        begins = np.sort(np.maximum(self.start[lasting], start))
        if begins.size == 0:
            return 0
        ends = np.sort(self.end[lasting])
        under_way = np.arange(1, begins.size + 1) - np.searchsorted(ends, begins, side="right")
        return int(under_way.max())


def _ramp(
    times: NDArray[np.int64], weight: NDArray[np.int64], edges: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return, at each edge, the sum of weight x (edge - time) over earlier times: modulo 2**64, and as a float."""
    base = edges[0] if edges.size else np.int64(0)
    since, ticks = times - base, edges - base
    before = np.searchsorted(times, edges, side="right")
    weights = _prefix(weight)[before]
    moments = _prefix(weight * since)[before]
    float_moments = _float_prefix(weight.astype(np.float64) * since)[before]
    return ticks * weights - moments, ticks.astype(np.float64) * weights - float_moments


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

    @cached_property
    def _area(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        lengths = np.diff(self.times)
        return _prefix(self.values * lengths), _float_prefix(self.values.astype(np.float64) * lengths)

    def integrals(self, edges: NDArray[np.int64]) -> list[int]:
        """Return the time integral between each pair of ascending edges, which lie inside the times; exact."""
        step = np.clip(np.searchsorted(self.times, edges, side="right") - 1, 0, self.values.size - 1)
        into = edges - self.times[step]
        area, estimate = self._area
        low = area[step] + self.values[step] * into
        rough = estimate[step] + self.values[step].astype(np.float64) * into
        return exact_integers(np.diff(low), np.diff(rough))

    def peak(self, start: int, stop: int) -> int:
        """Return the largest value that lasts in [start, stop]; the value at ``start`` if that is the stop too."""
        first = int(np.clip(np.searchsorted(self.times, start, side="right") - 1, 0, self.values.size - 1))
        last = int(np.searchsorted(self.times[:-1], stop, side="left"))
        return int(self.values[first : max(last, first + 1)].max())
