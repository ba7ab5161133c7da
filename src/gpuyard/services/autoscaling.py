"""How many replicas an autoscaler asks for, given the demand: the rule of Kubernetes' horizontal pod autoscaler.

"Horizontal Pod Autoscaling", kubernetes.io/docs, sections "Algorithm details" and "Stabilization window": at each
control instant the wanted number is ``ceil(current * metric / target)``, unless metric over target is within the
tolerance (0.1 by default) of 1; before replicas are taken away, the highest wanted number of the stabilization window
counts (300 s by default).  Here the metric is the utilization of the current replicas, so that ``current * metric`` is
the demand in replicas.

The demand is that of the interval before: what the autoscaler has seen.  It does not depend on what the scheduler
does, so the wanted replicas are known before anything is scheduled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT", "Scales", "lives", "wanted"]

EXACT = 1e-9
"""By so much a demand may exceed a whole number of replicas through rounding, without asking for one more."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scales:
    """The rule of each service; every array has shape (services,).

    Parameters
    ----------
    target
        Wanted utilization of a replica, above 0 and at most 1.
    tolerance
        Of the utilization, as a share of the target, within which nothing changes.
    intervals
        Control intervals of the stabilization window, the present one included; 1 for none.
    least, most
        Bounds of the replicas without the spare ones.
    spare
        Replicas on top of what the rule asks for; 1 is known as N+1.
    """

    target: Floats
    tolerance: Floats
    intervals: Counts
    least: Counts
    most: Counts
    spare: Counts


def wanted(demand: Floats, scales: Scales) -> Counts:
    """Return the replicas asked for in each control interval, int64, shape (services, intervals).

    ``demand`` has the same shape, in replicas at full use: requests a second over what one replica can do.
    """
    services, steps = demand.shape
    result = np.empty((steps, services), dtype=np.int64)
    seen = np.ascontiguousarray(np.concatenate((demand[:, :1], demand[:, :-1]), axis=1).T)
    asked = np.ceil(seen / scales.target - EXACT).astype(np.int64)
    np.clip(asked, scales.least, scales.most, out=asked)
    low, high = scales.target * (1 - scales.tolerance), scales.target * (1 + scales.tolerance)
    recent = np.zeros((int(scales.intervals.max(initial=1)), services), dtype=np.int64)
    counted = np.arange(recent.shape[0])[:, np.newaxis] < scales.intervals  # what the window of each service holds
    current = asked[0] if steps else np.zeros(services, dtype=np.int64)
    for step in range(steps):
        stays = (seen[step] >= low * current - EXACT) & (seen[step] <= high * current + EXACT)
        advice = np.where(stays, current, asked[step])
        if recent.shape[0] > 1:
            recent[1:] = recent[:-1].copy()
            recent[0] = advice
            highest = np.where(counted, recent, 0).max(axis=0)
            advice = np.where(advice < current, np.minimum(current, highest), advice)
        result[step] = current = advice
    return np.ascontiguousarray(result.T) + scales.spare[:, np.newaxis]


def lives(replicas: Counts) -> tuple[Counts, Counts, Counts]:
    """Return place (from 0), first interval and end (not included) of every stretch for which a replica is asked for.

    ``replicas``: int64, shape (intervals,).  The replica added last is taken away first, so place i is held while more
    than i replicas are asked for.  The stretches come place by place, in the order of time.
    """
    alive = replicas > np.arange(int(replicas.max(initial=0)))[:, np.newaxis]
    change = np.diff(alive.astype(np.int8), axis=1, prepend=0, append=0)
    place, first = np.nonzero(change > 0)
    return place, first, np.nonzero(change < 0)[1]
