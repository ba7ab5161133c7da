"""Where on the clock a workload's seconds lie, and how submissions spread over hours and weekdays."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError

__all__ = ["DAY", "HOUR", "WEEK", "exposure", "hours_of", "profiles", "start_of_clock"]

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0


def start_of_clock(origin: str) -> float:
    """Return the seconds from Monday 0:00 to the origin, on the clock that the origin states; 0 where there is none.

    Raises
    ------
    ConfigError
        For an origin that is no ISO 8601 timestamp.
    """
    if not origin:
        return 0.0
    try:
        moment = datetime.fromisoformat(origin)
    except ValueError:
        raise ConfigError(f"a start must be like '2027-01-04T00:00:00+09:00', got '{origin}'") from None
    clock = moment.hour * HOUR + moment.minute * 60.0 + moment.second + moment.microsecond / 1e6
    return moment.weekday() * DAY + clock


def hours_of(clock: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the hour of the week, 0 (Monday 0:00) to 167, of seconds since a Monday 0:00; same shape."""
    return np.asarray((clock // HOUR).astype(np.int64) % 168)


def exposure(first: float, last: float) -> NDArray[np.float64]:
    """Return how long each hour of the week lasted between two instants, s since a Monday 0:00; shape (168,)."""
    edges = np.arange(169) * HOUR
    weeks, rest = divmod(last, WEEK)
    until = weeks * HOUR + np.diff(np.minimum(edges, rest))
    weeks, rest = divmod(first, WEEK)
    return np.asarray(until - weeks * HOUR - np.diff(np.minimum(edges, rest)), dtype=np.float64)


def profiles(clock: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the relative rate of submissions by hour of the day (24) and day of the week (7), each of mean 1.

    The rate of an hour of the week is the product of the two: a Poisson model of which these are the most likely
    factors (iterative proportional fitting).  Hours are all alike in a workload shorter than a day, and days in one
    shorter than a week.

    Parameters
    ----------
    clock
        Submissions in ascending order, s since a Monday 0:00, shape (jobs,).
    """
    hourly, weekly = np.ones(24), np.ones(7)
    span = float(clock[-1] - clock[0]) if clock.size else 0.0
    if span < DAY:
        return hourly, weekly
    count = np.bincount(hours_of(clock), minlength=168).reshape(7, 24).astype(np.float64)
    lasted = exposure(float(clock[0]), float(clock[-1])).reshape(7, 24)
    for _ in range(50):
        hourly = count.sum(axis=0) / np.maximum(weekly @ lasted, 1e-9)
        hourly /= hourly.mean()
        if span >= WEEK:
            weekly = count.sum(axis=1) / np.maximum(lasted @ hourly, 1e-9)
            weekly /= weekly.mean()
    return hourly, weekly
