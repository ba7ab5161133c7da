"""Streaming pipelines: records are collected for a window of fixed length and processed together.

A window is on time if it is processed before the next one closes.  The records of a window are a Poisson number; the
replicas that are ready process them at their rates together.  What is not processed in time stays as a backlog of
records, is processed first, and makes every window late as long as it is there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["backlog_times", "in_time"]

Floats = NDArray[np.float64]


def in_time(rate: Floats, capacity: Floats, window: float) -> Floats:
    """Return the probability that the records of a window (``rate`` a second) take no longer than the window lasts."""
    from scipy.special import pdtr

    fits = np.floor(capacity * window * (1 + 1e-12))
    return np.where(rate > 0, np.where(capacity > 0, pdtr(fits, rate * window), 0.0), 1.0)


def backlog_times(rate: Floats, capacity: Floats, lengths: Floats) -> Floats:
    """Return how long there is a backlog in each of successive stretches of time, s, shape (stretches,).

    The backlog grows by ``rate - capacity`` a second where that is above 0 and shrinks by it where below, as a fluid.
    """
    net = (rate - capacity) * lengths
    held = np.cumsum(net)
    after = held - np.minimum(np.minimum.accumulate(held), 0.0)
    before = np.concatenate(([0.0], after[:-1]))
    drain = np.divide(before, capacity - rate, out=np.full_like(before, np.inf), where=capacity > rate)
    growing = (net > 0) | (before > 0) & (capacity <= rate)
    return np.where(growing, lengths, np.minimum(np.where(before > 0, drain, 0.0), lengths))
