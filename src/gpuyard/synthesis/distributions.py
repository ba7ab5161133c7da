"""Distributions that published tables give: run times by their cumulative curve, sizes by their steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.units import counted

__all__ = ["WHOLE", "WHOLE_GPUS", "Fractions", "LogCdf", "Sizes"]

WHOLE = 1000
"""Thousandths of a GPU in a whole one."""


class _Bins(NamedTuple):
    """What lies between the knots of a curve."""

    between: NDArray[np.float64]  # probabilities of the knots but the first and the last
    low: NDArray[np.float64]  # probability at which each begins
    width: NDArray[np.float64]  # 1 where it is empty
    start: NDArray[np.float64]  # logarithm of the value at which each begins
    rise: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class LogCdf:
    """A positive quantity by knots of its cumulative distribution, straight in the logarithm between them.

    ``values`` increase strictly; ``cumulative`` never decreases and ends at 1.  What lies at or below the first knot is
    put on that knot.
    """

    values: tuple[float, ...]
    cumulative: tuple[float, ...]
    _bins: _Bins = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.values) != len(self.cumulative) or len(self.values) < 2:
            raise ConfigError("a cumulative curve needs as many probabilities as values, and two at least")
        rising = all(a < b for a, b in zip(self.values, self.values[1:], strict=False))
        climbing = all(a <= b for a, b in zip(self.cumulative, self.cumulative[1:], strict=False))
        if self.values[0] <= 0 or not rising or not climbing or self.cumulative[0] < 0 or self.cumulative[-1] != 1.0:
            raise ConfigError(
                "a cumulative curve has positive values that increase and probabilities that climb to 1, got "
                f"{list(zip(self.values, self.cumulative, strict=True))}"
            )
        cumulative, logs = np.asarray(self.cumulative), np.log(self.values)
        width = np.diff(cumulative)
        bins = _Bins(cumulative[1:-1], cumulative[:-1], np.where(width > 0, width, 1.0), logs[:-1], np.diff(logs))
        object.__setattr__(self, "_bins", bins)

    @classmethod
    def between(cls, low: float, high: float) -> LogCdf:
        """Return the log-uniform distribution on [low, high]."""
        return cls(values=(low, high), cumulative=(0.0, 1.0))

    @classmethod
    def lognormal(cls, *, median: float, sigma: float, low: float, high: float, knots: int = 65) -> LogCdf:
        """Return the log-normal distribution conditioned on [low, high], by knots that are even in the logarithm."""
        normal = NormalDist(math.log(median), sigma)
        grid = [math.log(low) + (math.log(high) - math.log(low)) * step / (knots - 1) for step in range(knots)]
        below, above = normal.cdf(grid[0]), normal.cdf(grid[-1])
        climb = [(normal.cdf(at) - below) / (above - below) for at in grid]
        return cls(values=tuple(math.exp(at) for at in grid), cumulative=(0.0, *climb[1:-1], 1.0))

    def quantile(self, chance: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the value that is not exceeded with the given probability, same shape: inverse-transform sampling."""
        bins = self._bins
        chance = np.asarray(chance, dtype=np.float64)
        at = np.searchsorted(bins.between, chance, side="left")
        part = chance - bins.low[at]
        part /= bins.width[at]
        part = np.minimum(np.maximum(part, 0.0), 1.0)
        part *= bins.rise[at]
        part += bins.start[at]
        return np.asarray(np.exp(part), dtype=np.float64)

    def below(self, value: float) -> float:
        """Return the probability of at most ``value``."""
        if value < self.values[0]:
            return 0.0
        return float(np.interp(math.log(value), np.log(self.values), self.cumulative))

    def mean(self, cut: float = math.inf) -> float:
        """Return the mean of min(value, cut), exactly for this curve."""
        total = self.cumulative[0] * min(self.values[0], cut)
        for low, high, before, after in zip(
            self.values, self.values[1:], self.cumulative, self.cumulative[1:], strict=False
        ):
            chance, edge = after - before, min(high, cut)
            if edge <= low:
                total += chance * cut
                continue
            width = math.log(high / low)
            total += chance * ((edge - low) + _above_cut(cut, edge, high)) / width
        return total


def _above_cut(cut: float, edge: float, high: float) -> float:
    """Return the part of a bin's mean above the cut: its log-width times the cut."""
    return cut * math.log(high / edge) if edge < high else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Numbers of GPUs with their probabilities; the numbers increase."""

    gpus: tuple[int, ...]
    chance: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.gpus) != len(self.chance) or not self.gpus or self.gpus[0] < 1:
            raise ConfigError("sizes need as many probabilities as numbers of GPUs, and 1 GPU at least")
        if any(a >= b for a, b in zip(self.gpus, self.gpus[1:], strict=False)):
            raise ConfigError(f"sizes must increase, got {list(self.gpus)}")
        if min(self.chance) < 0 or abs(sum(self.chance) - 1.0) > 1e-9:
            raise ConfigError(f"probabilities of sizes must sum to 1, got {sum(self.chance):g}")

    @classmethod
    def steps(cls, shares: dict[int, float]) -> Sizes:
        """Return sizes from a table of number of GPUs to weight; the weights are made to sum to 1."""
        total = sum(shares.values())
        kept = {gpus: share / total for gpus, share in sorted(shares.items()) if share > 0}
        return cls(gpus=tuple(kept), chance=tuple(kept.values()))

    def quantile(self, chance: NDArray[np.float64] | float) -> NDArray[np.int64]:
        """Return the least size that is not exceeded with the given probability, same shape."""
        cumulative = np.cumsum(self.chance)
        at = np.minimum(np.searchsorted(cumulative, chance, side="left"), len(self.gpus) - 1)
        return np.asarray(self.gpus, dtype=np.int64)[at]

    def mean(self) -> float:
        """Return the mean number of GPUs."""
        return sum(gpus * chance for gpus, chance in zip(self.gpus, self.chance, strict=True))

    def at_most(self, limit: int) -> Sizes:
        """Return the distribution conditioned on at most ``limit`` GPUs: as if larger draws were drawn again.

        Raises
        ------
        ConfigError
            If no size is that small.
        """
        kept = {gpus: chance for gpus, chance in zip(self.gpus, self.chance, strict=True) if gpus <= limit}
        if not kept:
            raise ConfigError(f"no job is as small as {counted(limit, 'GPU')}; the smallest has {self.gpus[0]}")
        return self if len(kept) == len(self.gpus) else Sizes.steps(kept)

    def scaled(self, factor: float) -> Sizes:
        """Return the sizes times ``factor``, rounded down but never below 1; equal ones are merged."""
        merged: dict[int, float] = {}
        for gpus, chance in zip(self.gpus, self.chance, strict=True):
            size = max(1, math.floor(gpus * factor))
            merged[size] = merged.get(size, 0.0) + chance
        return Sizes.steps(merged)


@dataclass(frozen=True, slots=True)
class Fractions:
    """Parts of a GPU that jobs of one GPU ask for: thousandths, ascending, each with its chance; the rest ask for all.

    Without any, all do.
    """

    milli: tuple[int, ...] = ()
    chance: tuple[float, ...] = ()

    @classmethod
    def of(cls, shares: dict[int, float]) -> Fractions:
        """Return fractions from a table of thousandths to chance.

        Raises
        ------
        ConfigError
            For a part that is none, and for chances that are more than 1 together.
        """
        kept = {milli: share for milli, share in sorted(shares.items()) if share > 0}
        if not all(1 <= milli < WHOLE for milli in kept) or sum(kept.values()) > 1 + 1e-9:
            raise ConfigError(
                f"fractions are thousandths of a GPU, from 1 to {WHOLE - 1}, and chances that sum to 1 at most, got "
                f"{dict(shares)}"
            )
        return cls(tuple(kept), tuple(kept.values()))

    def quantile(self, chance: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the thousandths that are not exceeded with the given probability, 1000 for a whole GPU, same shape."""
        return np.append(self.milli, WHOLE).astype(np.int64)[np.searchsorted(np.cumsum(self.chance), chance)]

    def mean(self) -> float:
        """Return the mean number of GPUs that a job of one GPU asks for."""
        return 1.0 - sum((1 - milli / WHOLE) * chance for milli, chance in zip(self.milli, self.chance, strict=True))


WHOLE_GPUS = Fractions()
"""Nobody asks for a part of a GPU."""
