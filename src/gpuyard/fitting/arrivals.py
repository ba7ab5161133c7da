"""Arrivals: the profile of the week, the gaps that remain without it, and how long short and long gaps keep together.

Time is bent by the profile, so that without bursts the rate would be constant (the time change of Lewis and Shedler
1979).  In that time the gaps between submissions have a distribution, kept by its quantiles, and an order, in which
short ones follow short ones.  The order is that of a normal process of the same ranks: a sum of first-order
autoregressive processes, one for each number of jobs over which gaps keep together (a NORTA process: Cario and Nelson,
"Modeling and generating random vectors with arbitrary marginal distributions and correlation matrix", 1997).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gpuyard.fitting.curves import curve_of
from gpuyard.fitting.model import Arrivals
from gpuyard.portrait.calendar import DAY, HOUR, WEEK, profiles
from gpuyard.streams import Stream

__all__ = ["BentTime", "fit_arrivals", "growth", "make_arrivals"]

SCALES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)
"""Numbers of jobs over which gaps may keep together."""
BLOCKS = 40
"""Blocks of jobs that a trace must have for their variance to be taken for a fact."""


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
        persistence=_persistence(_scores(gaps)),
        resolution_s=1.0 if whole else 0.001,
    )


def _scores(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal quantiles of the ranks, of mean 0 and variance 1; equal gaps have equal ranks."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores = ndtri((rankdata(gaps) - 0.5) / gaps.size)
    spread = float(scores.std())
    return np.asarray((scores - scores.mean()) / spread if spread > 0 else scores, dtype=np.float64)


def _persistence(scores: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return the scales and weights by which sums over blocks of jobs vary as they do: non-negative least squares."""
    from scipy.optimize import nnls

    lengths = [2**power for power in range(1, 32) if 2**power * BLOCKS <= scores.size]
    if not lengths:
        return []
    total = np.concatenate(([0.0], np.cumsum(scores)))
    seen = np.array([float(np.mean((total[k:] - total[:-k]) ** 2)) / k for k in lengths])
    scales = [scale for scale in SCALES if scale <= 2 * lengths[-1]]
    columns = [np.array([growth(scale, k) - 1.0 for k in lengths]) for scale in scales]
    trust = 1 / (seen * np.sqrt(2.0 * np.array(lengths) / scores.size))
    weights, _ = nnls(np.stack(columns, axis=1) * trust[:, None], (seen - 1.0) * trust)
    weights = weights / max(1.0, float(weights.sum()))
    return [(scale, round(float(weight), 4)) for scale, weight in zip(scales, weights, strict=True) if weight >= 5e-4]


def growth(scale: float, block: int) -> float:
    """Return variance over length of the sum of a block of an autoregressive process of variance 1."""
    keep = math.exp(-1 / scale)
    return (1 + keep) / (1 - keep) - 2 * keep * (1 - keep**block) / (block * (1 - keep) ** 2)


def make_arrivals(
    arrivals: Arrivals, *, start: float, jobs: int | None, span: float | None, seed: int
) -> tuple[NDArray[np.float64], float]:
    """Return ascending submissions, s since the start, and the length of the window.

    The gaps are the quantiles of their curve, each once, so that their mean is met exactly; only their order is drawn.

    Parameters
    ----------
    start
        Seconds from a Monday 0:00 to the start.
    jobs, span
        One of them, or both; the other follows from the rate.
    """
    time = BentTime(np.array(arrivals.hourly), np.array(arrivals.weekly))
    begin = float(time.bent(np.array([start]))[0])
    if span is None:
        assert jobs is not None
        end = begin + jobs * DAY / arrivals.jobs_per_day
        span = round(float(time.clock(np.array([end]))[0]) - start, 3)
    else:
        end = float(time.bent(np.array([start + span]))[0])
        jobs = max(1, round((end - begin) * arrivals.jobs_per_day / DAY)) if jobs is None else jobs
    gaps = arrivals.gaps.quantile((_ranks(arrivals, jobs + 1, seed) + 0.5) / (jobs + 1))
    passed = np.cumsum(gaps)
    bent = begin + passed[:-1] * ((end - begin) / passed[-1])
    submit = np.clip(time.clock(bent) - start, 0.0, span)
    grain = arrivals.resolution_s
    return np.minimum(np.floor(submit / grain + 1e-6) * grain, span), span


def _ranks(arrivals: Arrivals, size: int, seed: int) -> NDArray[np.int64]:
    """Return the rank of each gap, 0 to size - 1, in the order of the gaps."""
    from scipy.signal import lfilter
    from scipy.special import ndtri

    def normal(name: str) -> NDArray[np.float64]:
        return np.asarray(ndtri(Stream(seed, f"fit:{name}").uniform(size) + 2.0**-54), dtype=np.float64)

    rest = max(0.0, 1.0 - sum(weight for _, weight in arrivals.persistence))
    scores = math.sqrt(rest) * normal("gap")
    for scale, weight in arrivals.persistence:
        keep = math.exp(-1 / scale)
        noise = normal(f"gap:{scale:g}")
        noise[1:] *= math.sqrt(1 - keep * keep)
        scores += math.sqrt(weight) * lfilter([1.0], [1.0, -keep], noise)
    ranks = np.empty(size, np.int64)
    ranks[np.argsort(scores, kind="stable")] = np.arange(size)
    return ranks
