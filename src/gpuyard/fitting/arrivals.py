"""Arrivals: the profile of the week, the gaps that remain without it, and how long short and long gaps keep together.

Time is bent by the profile, so that without bursts the rate would be constant (the time change of Lewis and Shedler
1979).  In that time the gaps between submissions have a distribution, kept by its quantiles, and an order, in which
short ones follow short ones: :mod:`gpuyard.fitting.bursts`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from gpuyard.fitting.bursts import fit_persistence
from gpuyard.fitting.curves import curve_of
from gpuyard.fitting.model import Arrivals
from gpuyard.fitting.order import Order
from gpuyard.portrait.calendar import DAY, HOUR, WEEK, profiles

__all__ = ["BentTime", "Submissions", "fit_arrivals"]


class BentTime:
    """Time in which the profile of the week is flat; a week is as long in it as on the clock.

    Instants are seconds since a Monday 0:00 on either side.
    """

    def __init__(self, hourly: NDArray[np.float64], weekly: NDArray[np.float64]) -> None:
        rate = np.outer(weekly, hourly).ravel()
        self._bent = np.concatenate(([0.0], np.cumsum(rate))) * (WEEK / rate.sum())
        self._clock = np.arange(169) * HOUR

    def bent(self, clock: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return instants of the clock in bent time, same shape."""
        weeks, rest = np.divmod(clock, WEEK)
        return np.asarray(weeks * WEEK + np.interp(rest, self._clock, self._bent), dtype=np.float64)

    def clock(self, bent: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return instants of bent time on the clock, same shape; hours without a rate are passed over."""
        weeks, rest = np.divmod(bent, WEEK)
        hour = np.clip(np.searchsorted(self._bent, rest, side="right") - 1, 0, 167)
        width = self._bent[hour + 1] - self._bent[hour]
        part = np.divide(rest - self._bent[hour], width, out=np.zeros(hour.shape), where=width > 0)
        return np.asarray(weeks * WEEK + self._clock[hour] + part * HOUR, dtype=np.float64)


def fit_arrivals(submit: NDArray[np.float64], start: float) -> Arrivals:
    """Return the arrivals of submissions in ascending order, s since the origin, which is at ``start`` of the week."""
    clock = submit + start
    hourly, weekly = (np.round(each, 4) for each in profiles(clock))
    bent = BentTime(hourly, weekly).bent(clock)
    gaps = np.diff(bent)
    mean = float(gaps.mean())
    whole = bool(np.all(submit == np.rint(submit)))
    return Arrivals(
        jobs_per_day=float(f"{DAY / mean:.6g}"),
        hourly=hourly.tolist(),
        weekly=weekly.tolist(),
        gaps=curve_of(gaps / mean),
        persistence=fit_persistence(gaps),
        resolution_s=1.0 if whole else 0.001,
    )


class Submissions:
    """When the jobs of a look-alike are submitted: ``jobs`` instants in the ``span`` seconds after the start.

    The gaps are the quantiles of their curve, each once, so that their mean is met exactly; only their order is drawn.

    Parameters
    ----------
    start
        Seconds from a Monday 0:00 to the start.
    jobs, span
        One of them, or both; the other follows from the rate.
    """

    def __init__(self, arrivals: Arrivals, *, start: float, jobs: int | None, span: float | None, seed: int) -> None:
        self._arrivals, self._start = arrivals, start
        self._time = BentTime(np.array(arrivals.hourly), np.array(arrivals.weekly))
        self._begin = self._bent(0.0)
        if span is None:
            assert jobs is not None
            self._end = self._begin + jobs * DAY / arrivals.jobs_per_day
            span = round(float(self._time.clock(np.array([self._end]))[0]) - start, 3)
        else:
            self._end = self._bent(span)
            lasts = self._end - self._begin
            jobs = max(1, round(lasts * arrivals.jobs_per_day / DAY)) if jobs is None else jobs
        self.jobs, self.span, self._seed = jobs, span, seed

    def _bent(self, instant: float) -> float:
        return float(self._time.bent(np.array([self._start + instant]))[0])

    def blocks(self, rows: int) -> Iterator[NDArray[np.float64]]:
        """Return them ascending, s since the start, in blocks of ``rows`` and a last one of what is left."""
        order = Order(self._arrivals.persistence, self.jobs + 1, self._seed)
        total = self._passed(order.anyhow(), order.size)
        stretch = (self._end - self._begin) / deque(total, maxlen=1)[0][-1]
        left, grain = self.jobs, self._arrivals.resolution_s
        for passed in self._passed(order.blocks(rows), order.size):
            bent = self._begin + passed[:left] * stretch
            submit = np.clip(self._time.clock(bent) - self._start, 0.0, self.span)
            if submit.size:
                yield np.minimum(np.floor(submit / grain + 1e-6) * grain, self.span)
            left -= submit.size

    def _passed(self, ranks: Iterable[NDArray[np.int64]], size: int) -> Iterator[NDArray[np.float64]]:
        """Return the sums of the gaps of these ranks of ``size`` up to each, block by block."""
        before = 0.0
        for each in ranks:
            gaps = self._arrivals.gaps.quantile((each + 0.5) / size)
            gaps[0] += before
            passed = np.cumsum(gaps)
            before = float(passed[-1])
            yield passed
