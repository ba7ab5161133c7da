"""Requests a second over time: a day with one bump, flash crowds on top, or the shape of a recorded request trace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.streams import Stream

__all__ = ["DAY", "HOUR", "Crowds", "Day", "Recording", "highest_peak"]

HOUR, DAY = 3600.0, 86_400.0
_ROOT = math.sqrt(2 * math.pi)

Floats = NDArray[np.float64]


def highest_peak(width_hours: float) -> float:
    """Return the largest peak over mean of a day whose bump has this standard deviation: at night nobody comes."""
    return 1.0 / _bump_mean(width_hours)


def _bump_mean(width_hours: float) -> float:
    """Return the mean over a day of a bump of height 1, cut 12 hours from its peak."""
    return width_hours * _ROOT * math.erf(12.0 / (width_hours * math.sqrt(2))) / 24.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """A day of mean 1 whose hours follow a Gaussian bump on a level floor, or a profile.

    Parameters
    ----------
    peak_hour
        Local hour of the peak, 0 to 24.
    width_hours
        Standard deviation of the bump, in hours.
    peak
        Highest rate over the mean rate of the day, 1 for no bump.
    weekend
        Rate on Saturdays, Sundays and holidays over that of the other days.
    hourly
        Relative rates of the hours 0 to 23, in place of the bump.
    """

    peak_hour: float
    width_hours: float
    peak: float
    weekend: float
    hourly: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.peak_hour <= 24 or not 0.1 <= self.width_hours <= 12:
            raise ConfigError(
                f"a peak_hour is 0 to 24 and a width_hours 0.1 to 12, got {self.peak_hour:g} and {self.width_hours:g}"
            )
        if not 1 <= self.peak <= highest_peak(self.width_hours):
            raise ConfigError(
                f"the peak over the mean is 1 to {highest_peak(self.width_hours):.2f} for a bump of "
                f"{self.width_hours:g} hours, got {self.peak:g}; make width_hours smaller for a steeper day"
            )
        if not 0 <= self.weekend < math.inf:
            raise ConfigError(
                f"weekend is the rate of a weekend over that of other days, 0 or more, got {self.weekend}"
            )

        hours = self.hourly
        if hours is not None and not (
            len(hours) == 24 and all(0 <= each < math.inf for each in hours) and sum(hours) > 0
        ):
            raise ConfigError(f"hourly needs 24 numbers of 0 or more, and one above 0, got {list(hours)}")

    def at(self, seconds: Floats, midnight: float, weekday: int, holidays: tuple[int, ...] = ()) -> Floats:
        """Return the rate over its mean at seconds since the origin, same shape.

        ``midnight`` is the second, 0 or before, at which the first day begins, and ``weekday`` what it is (0 Monday);
        ``holidays`` are numbers of days, 0 for the first.
        """
        day, hour = np.divmod((seconds - midnight) / HOUR, 24.0)
        is_free = (weekday + day.astype(np.int64)) % 7 >= 5
        if holidays:
            is_free |= np.isin(day, holidays)
        return self._over_mean(hour) * np.where(is_free, self.weekend, 1.0)

    def _over_mean(self, hour: Floats) -> Floats:
        """Return the rate over its mean at hours of the day, same shape."""
        if self.hourly is not None:
            rates = np.asarray(self.hourly, dtype=np.float64)
            return np.asarray((rates / rates.mean())[np.minimum(hour.astype(np.int64), 23)], dtype=np.float64)
        away = np.abs((hour - self.peak_hour + 12.0) % 24.0 - 12.0)
        mean = _bump_mean(self.width_hours)
        above = (np.exp(-(away**2) / (2 * self.width_hours**2)) - mean) / (1 - mean)
        return np.asarray(np.maximum(1 + (self.peak - 1) * above, 0.0), dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crowds:
    """Flash crowds: at random instants the rate is multiplied, and falls back exponentially.

    Parameters
    ----------
    a_week
        Mean number in a week (Poisson).
    factor
        What the rate is multiplied by at the height of a crowd, 1 or more.
    rise, decay
        Seconds of the linear rise, and the time constant of the fall.
    """

    a_week: float
    factor: float
    rise: float
    decay: float

    def __post_init__(self) -> None:
        if not (0 <= self.a_week <= 10_000 and 1 <= self.factor <= 1000):
            raise ConfigError(
                f"flash crowds are 0 to 10,000 a week and multiply by 1 to 1000, got {self.a_week:g} and "
                f"{self.factor:g}"
            )
        if not (0 < self.rise < math.inf and 0 < self.decay < math.inf):
            raise ConfigError(
                f"the rise and decay of a flash crowd are above 0 s, got {self.rise:g} and {self.decay:g}"
            )

    def begins(self, span: float, stream: Stream) -> list[float]:
        """Return when crowds begin, s, whole milliseconds, ascending: those of a longer span begin with the same."""
        if self.a_week == 0:
            return []
        found: list[float] = []
        at = 0.0
        while True:
            at += -math.log1p(-float(stream.uniform(1)[0])) * 7 * DAY / self.a_week
            if at >= span:
                return found
            found.append(round(at, 3))

    def times(self, seconds: Floats, begins: list[float]) -> Floats:
        """Return what the rate is multiplied by at ascending seconds, same shape; the largest of crowds counts."""
        most = np.ones_like(seconds)
        for begin in begins:
            near = slice(*np.searchsorted(seconds, (begin, begin + self.rise + 20 * self.decay)).tolist())
            t = seconds[near] - begin
            height = np.where(t < self.rise, t / self.rise, np.exp(-np.maximum(t - self.rise, 0.0) / self.decay))
            most[near] = np.maximum(most[near], 1 + (self.factor - 1) * height)
        return most


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """The shape of recorded requests: rate over mean rate in steps of ``step`` seconds, from second 0 and repeated."""

    step: float
    shape: tuple[float, ...]

    def at(self, seconds: Floats) -> Floats:
        """Return the rate over its mean, same shape."""
        number = np.floor(seconds / self.step).astype(np.int64) % len(self.shape)
        return np.asarray(self.shape, dtype=np.float64)[number]
