"""How clumped submissions are: bursts of jobs at one instant, and days that are busier than others.

Two figures are published of a cluster: the index of dispersion of its hourly counts (variance over mean, 1 for a
Poisson process) and the coefficient of variation of the times between submissions (1 as well).  Two things make them.
Jobs come in *bursts*, geometric with mean m, of which the moments are Poisson (a compound process: Feller 1968,
section XII.2); and the rate of each day is multiplied by a random number of mean 1 (a doubly stochastic process: Cox
1955), whose mean square q is the *swing*.  With the relative rate r of the profiles, of mean 1, and u jobs an hour,

    index of dispersion of hourly counts = 2 m - 1 + u (q * mean of r^2 - 1).

The times between submissions have the mean square 2 u * (mean over time of the expected time to the next burst): a
random moment falls into a gap with a chance in proportion to its length, and waits for half of it (Feller 1971, I.4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.streams import Stream

__all__ = ["SWING", "WEEKS", "Clumping", "clumping", "multipliers", "weather"]

WEEKS = 8
"""Weeks in which the multipliers of each day of the week are the quantiles of one log-normal law, in random order."""
SWING = 6.0
"""The largest mean square of the multipliers."""
CANDIDATES = 60
WEEK = 168
SAMPLE_WEEKS = 52


class Clumping(NamedTuple):
    """Mean number of jobs of a burst, and mean square of the multiplier of a day."""

    burst: float = 1.0
    swing: float = 1.0


def multipliers(swing: float) -> NDArray[np.float64]:
    """Return WEEKS multipliers, ascending: log-normal quantiles with mean 1 and the given mean square."""
    from scipy.special import ndtri

    scores = ndtri((np.arange(WEEKS) + 0.5) / WEEKS)
    low, high = 0.0, 10.0
    for _ in range(60):
        sigma = (low + high) / 2
        low, high = (sigma, high) if _spread(scores, sigma)[1] < swing else (low, sigma)
    return _spread(scores, low)[0]


def _spread(scores: NDArray[np.float64], sigma: float) -> tuple[NDArray[np.float64], float]:
    """Return the log-normal numbers of mean 1 at these normal scores, and their mean square."""
    made = np.exp(sigma * scores)
    made /= made.mean()
    return made, float(np.mean(made**2))


def weather(stream: Stream, days: NDArray[np.int64], swing: float) -> NDArray[np.float64]:
    """Return the multiplier of each day, same shape; ``days`` ascend and are 0 or more."""
    if swing <= 1.0 or not days.size:
        return np.ones(days.size)
    parts = int(days[-1]) // (7 * WEEKS) + 1
    chances = stream.at(0, parts * 7 * WEEKS).reshape(parts, 7, WEEKS)
    made = multipliers(swing)[np.argsort(chances, axis=2, kind="stable")]
    return np.asarray(made.transpose(0, 2, 1).ravel()[days])


def clumping(
    rates: NDArray[np.float64], jobs_an_hour: float, dispersion: float | None, interarrival_cv: float | None
) -> Clumping:
    """Return what gives the index of dispersion and the CV where jobs are submitted at these rates.

    ``rates`` are those of the hours of a week from Monday, shape (168,), in any unit.  Where only one of the two
    figures is asked for, bursts alone make it.  Of several solutions that with the least swing is taken: for Philly it
    is the one that also has its index of daily counts.

    Raises
    ------
    ConfigError
        If no bursts and swings have both figures, or one that is asked for; it says what can be had.
    """
    r = rates / rates.mean()
    square = float(np.mean(r**2))
    if dispersion is None:
        if interarrival_cv is None:
            return Clumping()
        bursts = np.geomspace(1.0, 10 * (interarrival_cv**2 + 1), CANDIDATES)
        found = _cv(r, jobs_an_hour, bursts, np.ones(CANDIDATES))
        at = _crossing(found, interarrival_cv, f"interarrival_cv is {interarrival_cv:g}", "bursts alone")
        return Clumping(float(np.interp(interarrival_cv, found[at : at + 2], bursts[at : at + 2])))
    plain = 1 + jobs_an_hour * (square - 1)
    if dispersion < plain:
        raise ConfigError(
            f"dispersion is {dispersion:g}, and the hours and days of the profiles alone make it {plain:.3g} at "
            f"{jobs_an_hour:.3g} jobs an hour; ask for more"
        )
    if interarrival_cv is None:
        return Clumping((dispersion + 1 - jobs_an_hour * (square - 1)) / 2)
    largest = min(SWING, (1 + (dispersion - 1) / jobs_an_hour) / square)
    swings = np.geomspace(1.0, largest, CANDIDATES)
    bursts = (dispersion + 1 - jobs_an_hour * (square * swings - 1)) / 2
    found = _cv(r, jobs_an_hour, bursts, swings)
    asked = f"interarrival_cv is {interarrival_cv:g}"
    at = _crossing(found, interarrival_cv, asked, f"a dispersion of {dispersion:g} at {jobs_an_hour:.3g} jobs an hour")
    part = (interarrival_cv - found[at]) / (found[at + 1] - found[at])
    swing = float(swings[at] + part * (swings[at + 1] - swings[at]))
    return Clumping((dispersion + 1 - jobs_an_hour * (square * swing - 1)) / 2, swing)


def _crossing(found: NDArray[np.float64], wanted: float, asked: str, given: str) -> int:
    """Return the first place between which and the next the wanted value lies."""
    beside = np.flatnonzero((found[:-1] - wanted) * (found[1:] - wanted) <= 0)
    if not beside.size:
        raise ConfigError(f"{asked}, and with {given} it can be {found.min():.3g} to {found.max():.3g}; ask for that")
    return int(beside[0])


def _cv(
    r: NDArray[np.float64], jobs_an_hour: float, bursts: NDArray[np.float64], swings: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the CV of the times between submissions for each pair of burst and swing, over a year of days.

    The expected time to the next burst, going back hour by hour, each with a rate of its own.
    """
    hours = np.arange(SAMPLE_WEEKS * WEEK)
    days = np.stack([weather(Stream(0, "synthesis:clumping"), hours // 24, float(swing)) for swing in swings], axis=1)
    rate = jobs_an_hour / bursts * r[hours % WEEK, None] * days
    stays = np.exp(-rate)
    mean = np.where(rate > 0, (1 - stays) / np.where(rate > 0, rate, 1.0), 1.0)  # hours of the hour before a burst
    ahead, total = np.zeros(bursts.size), np.zeros(bursts.size)
    for hour in (*hours[::-1], *hours[::-1]):  # round twice, so that the end does not matter
        if hour == hours[-1]:
            total[:] = 0.0
        inside = np.where(rate[hour] > 0, (1 - mean[hour]) / np.where(rate[hour] > 0, rate[hour], 1.0), 0.5)
        total += inside + ahead * mean[hour]
        ahead = mean[hour] + stays[hour] * ahead
    square = 2 * jobs_an_hour * total / hours.size
    return np.asarray(np.sqrt(np.maximum(square - 1, 0.0)), dtype=np.float64)
