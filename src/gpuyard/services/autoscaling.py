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
    from gpuyard.kernel.scaling import SCALE, follow  # results are read without the compiler

    rules = np.empty(demand.shape[0], dtype=SCALE)
    rules["target"], rules["intervals"] = scales.target, scales.intervals
    rules["low"] = scales.target * (1 - scales.tolerance)
    rules["high"] = scales.target * (1 + scales.tolerance)
    rules["least"], rules["most"] = scales.least, scales.most
    advised, replicas = np.empty(demand.shape, dtype=np.int64), np.empty(demand.shape, dtype=np.int64)
    follow(np.ascontiguousarray(demand), rules, EXACT, advised, replicas)
    return replicas + scales.spare[:, np.newaxis]


def lives(replicas: Counts) -> tuple[Counts, Counts, Counts]:
    """Return place (from 0), first interval and end (not included) of every stretch for which a replica is asked for.

    ``replicas``: int64, shape (intervals,).  The replica added last is taken away first, so place i is held while more
    than i replicas are asked for.  The stretches come place by place, in the order of time.
    """
    change = np.diff(replicas, prepend=0, append=0)
    place, first = _steps(np.concatenate(([0], replicas)), change)
    return place, first, _steps(np.concatenate((replicas, [0])), -change)[1]


def _steps(below: Counts, change: Counts) -> tuple[Counts, Counts]:
    """Return place and interval, place by place, where a count rises from ``below`` by ``change``, if that is above 0.

    Both have shape (intervals + 1,).
    """
    at = np.flatnonzero(change > 0)
    many = change[at]
    ends = np.cumsum(many)
    place = np.repeat(below[at] - ends + many, many) + np.arange(many.sum())
    order = np.argsort(place, kind="stable")
    return place[order], np.repeat(at, many)[order]
