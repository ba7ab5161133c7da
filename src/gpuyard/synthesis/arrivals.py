"""When jobs are submitted: a non-homogeneous Poisson process by hour of the day and day of the week, with bursts.

Given how many arrivals there are, those of such a process are independent draws with a density proportional to the rate
(Cinlar 1975, section 4.7; Lewis and Shedler 1979), so each is the inverse of the cumulative rate at a uniform number.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gpuyard.streams import Stream
from gpuyard.synthesis.kinds import Rhythm

__all__ = ["Calendar", "burst_of_jobs"]

HOUR = 3600.0


class Calendar:
    """The rate of submissions over a window of ``span`` seconds that begins at the instant ``start``."""

    def __init__(self, start: datetime, span: float, hourly: tuple[float, ...], weekly: tuple[float, ...]) -> None:
        self._edges = _clock_hours(start, span)
        since_midnight = start.hour * HOUR + start.minute * 60.0 + start.second + start.microsecond / 1e6
        middle = (self._edges[:-1] + self._edges[1:]) / 2 + since_midnight
        hour = (middle // HOUR).astype(np.int64)
        day = (start.weekday() + hour // 24) % 7
        self._rates = {
            "cluster": np.asarray(hourly)[hour % 24] * np.asarray(weekly)[day],
            "working-hours": ((hour % 24 >= 8) & (hour % 24 < 19) & (day < 5)).astype(np.float64),
            "flat": np.ones(hour.size),
        }

    def times(self, rhythm: Rhythm, chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return seconds since the start, same shape: where the cumulative rate reaches ``chance`` of its total.

        A window without a moment of the rhythm (a Sunday without working hours) is used evenly.
        """
        rate = self._rates[rhythm]
        width = np.diff(self._edges)
        cumulative = np.concatenate(([0.0], np.cumsum((rate if rate.any() else np.ones_like(rate)) * width)))
        wanted = chance * cumulative[-1]
        hour = np.clip(np.searchsorted(cumulative, wanted, side="right") - 1, 0, width.size - 1)
        height = cumulative[hour + 1] - cumulative[hour]
        part = np.where(height > 0, (wanted - cumulative[hour]) / np.where(height > 0, height, 1.0), 0.0)
        return np.asarray(self._edges[hour] + part * width[hour], dtype=np.float64)


def _clock_hours(start: datetime, span: float) -> NDArray[np.float64]:
    """Return the seconds at which the window begins, each clock hour in it begins, and it ends."""
    first = HOUR - (start.minute * 60.0 + start.second + start.microsecond / 1e6)
    inner = np.arange(first, span, HOUR)
    return np.concatenate(([0.0], inner, [span]))


def burst_of_jobs(stream: Stream, jobs: int, mean: float) -> NDArray[np.int64]:
    """Return the number of each job's burst, ascending from 0, shape (jobs,); burst sizes are geometric.

    The first jobs are in the same bursts however many there are.
    """
    if mean <= 1.0:
        return np.arange(jobs, dtype=np.int64)
    sizes = np.empty(0, dtype=np.int64)
    covered = 0
    while covered < jobs:
        draws = stream.uniform(int((jobs - covered) / mean * 1.1) + 16)
        more = 1 + np.floor(np.log1p(-draws) / np.log1p(-1.0 / mean)).astype(np.int64)
        sizes = np.concatenate((sizes, more))
        covered += int(more.sum())
    return np.repeat(np.arange(sizes.size, dtype=np.int64), sizes)[:jobs]
