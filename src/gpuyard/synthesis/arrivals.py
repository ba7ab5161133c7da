"""When jobs are submitted: a non-homogeneous Poisson process by hour of the day and day of the week, with bursts.

Given how many arrivals there are, those of such a process are independent draws with a density proportional to the rate
(Cinlar 1975, section 4.7; Lewis and Shedler 1979).  Taken in order of time they are the inverse of the cumulative rate
at sums of exponential numbers over their total (Devroye 1986, section V.2.2), so that they can be made one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.streams import Stream
from gpuyard.synthesis.calibration import BLOCK
from gpuyard.synthesis.kinds import Rhythm
from gpuyard.synthesis.published import Profile

__all__ = ["Arrivals", "Bursts", "Calendar", "Clock", "burst_sizes", "flat_clock"]

HOUR = 3600.0


class Clock(NamedTuple):
    """The cumulative rate of submissions at the edges of clock hours, both of shape (hours + 1,)."""

    edges: NDArray[np.float64]
    cumulative: NDArray[np.float64]

    def times(self, chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return seconds since the start, same shape: where the cumulative rate reaches ``chance`` of its total.

        They are whole milliseconds before the end of the window.
        """
        seconds = np.interp(chance * self.cumulative[-1], self.cumulative, self.edges)
        return np.asarray(np.minimum(np.round(seconds, 3), round(self.edges[-1] - 0.001, 3)), dtype=np.float64)


def flat_clock(span: float) -> Clock:
    """Return the clock of a window of ``span`` seconds in which all times are alike."""
    return Clock(np.array([0.0, span]), np.array([0.0, span]))


class Calendar:
    """The clock hours of a window of ``span`` seconds that begins at the instant ``start``, and its free days."""

    def __init__(self, start: datetime, span: float, free: frozenset[date] = frozenset()) -> None:
        self._edges = _clock_hours(start, span)
        since_midnight = start.hour * HOUR + start.minute * 60.0 + start.second + start.microsecond / 1e6
        middle = (self._edges[:-1] + self._edges[1:]) / 2 + since_midnight
        hour = (middle // HOUR).astype(np.int64)
        self._hour, self.day = hour % 24, hour // 24
        self._weekday = (start.weekday() + self.day) % 7
        days = [start.date() + timedelta(days=at) for at in range(int(self.day[-1]) + 1)]
        self._free = np.array([each in free for each in days])[self.day]

    def clock(
        self,
        rhythm: Rhythm,
        profile: Profile,
        *,
        free: float | None = None,
        multipliers: NDArray[np.float64] | None = None,
    ) -> Clock:
        """Return the cumulative rate of a rhythm.

        A free day has the rate of a Sunday, or ``free`` of that of the mean day, and no working hours.  ``multipliers``
        are those of the clock hours.  A window without a moment of the rhythm (a Sunday without working hours) is used
        evenly.
        """
        if rhythm == "flat":
            rate = np.ones(self.day.size)
        elif rhythm == "working-hours":
            rate = ((self._hour >= 8) & (self._hour < 19) & (self._weekday < 5) & ~self._free).astype(np.float64)
        else:
            weekly = np.asarray(profile.weekly)
            rest = weekly[6] if free is None else free * weekly.mean()
            rate = np.asarray(profile.hourly)[self._hour] * np.where(self._free, rest, weekly[self._weekday])
        if multipliers is not None:
            rate = rate * multipliers
        height = (rate if rate.any() else np.ones_like(rate)) * np.diff(self._edges)
        return Clock(self._edges, np.concatenate(([0.0], np.cumsum(height))))


def _clock_hours(start: datetime, span: float) -> NDArray[np.float64]:
    """Return the seconds at which the window begins, each clock hour in it begins, and it ends."""
    first = HOUR - (start.minute * 60.0 + start.second + start.microsecond / 1e6)
    inner = np.arange(first, span, HOUR)
    return np.concatenate(([0.0], inner, [span]))


class Bursts(NamedTuple):
    """Some bursts of a kind, one after the other; their jobs are submitted together.

    ``first`` and ``first_job`` count from 0 over the whole window; the columns have shape (bursts,).
    """

    first: int
    first_job: int
    sizes: NDArray[np.int64]
    times: NDArray[np.float64]  # s since the start of the window, whole milliseconds


def burst_sizes(chance: NDArray[np.float64], mean: float) -> NDArray[np.int64]:
    """Return geometric numbers of jobs, 1 or more, int64 of the shape of the uniform numbers."""
    if mean <= 1.0:
        return np.ones(chance.size, dtype=np.int64)
    return 1 + np.floor(np.log1p(-chance) / np.log1p(-1.0 / mean)).astype(np.int64)


class Arrivals:
    """The bursts of ``jobs`` jobs over the window, in order of time; the last burst has what is left of the jobs.

    About ``block`` jobs are made together.
    """

    def __init__(self, jobs: int, mean: float, clock: Clock, seed: int, stem: str, block: int = BLOCK) -> None:
        self._mean, self._clock = max(mean, 1.0), clock
        self._block = max(1, round(block / self._mean))
        self._size, self._gap = Stream(seed, f"{stem}:burst"), Stream(seed, f"{stem}:arrival")
        self._jobs = [0]
        self._sums = [0.0]
        bursts = 0
        while self._jobs[-1] < jobs:
            sizes = self._sizes(bursts, jobs - self._jobs[-1])
            bursts += sizes.size
            self._jobs.append(self._jobs[-1] + int(sizes.sum()))
            self._sums.append(self._sums[-1] + float(self._gaps(bursts - sizes.size, sizes.size)[-1]))
        self._total = self._sums[-1] + float(self._gaps(bursts, 1)[-1])

    def _sizes(self, first: int, jobs: int) -> NDArray[np.int64]:
        """Return the sizes of the bursts of a block, as many as hold at most ``jobs`` jobs."""
        if self._mean <= 1.0:
            return np.ones(min(self._block, jobs), dtype=np.int64)
        sizes = burst_sizes(self._size.at(first, self._block), self._mean)
        held = np.cumsum(sizes)
        last = int(np.searchsorted(held, jobs))
        if last == sizes.size:
            return sizes
        sizes[last] -= held[last] - jobs
        return sizes[: last + 1]

    def _gaps(self, first: int, bursts: int) -> NDArray[np.float64]:
        """Return sums of exponential numbers up to each burst, shape (bursts,)."""
        return np.cumsum(-np.log1p(-self._gap.at(first, bursts)))

    def __iter__(self) -> Iterator[Bursts]:
        """Return all bursts, block by block."""
        first = 0
        for done, after, before in zip(self._jobs, self._jobs[1:], self._sums, strict=False):
            sizes = self._sizes(first, after - done if after == self._jobs[-1] else 2**62)
            chance = (before + self._gaps(first, sizes.size)) / self._total
            yield Bursts(first, done, sizes, self._clock.times(chance))
            first += sizes.size
