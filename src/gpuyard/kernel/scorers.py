"""Scores of waiting jobs that are worked out anew in every pass: the highest goes first.

Written from the section *Order* of the semantics, each from left to right in float64.  A user's own compiled function
stands in the same place: all are called by pointer, once a pass, with the records of all waiting jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.contenders import FEATURES
from gpuyard.kernel.jit import compiler, pointed
from gpuyard.kernel.tables import Records

__all__ = ["Scorer", "Weight", "as_listed", "multifactor", "scorer_signature", "themis", "unicef", "wfp"]

Scorer: TypeAlias = Callable[[float, Records, NDArray[np.float64], NDArray[np.float64]], None]
"""``(now in seconds, records of the waiting jobs, scores to be written, weights)``"""


def scorer_signature() -> Any:
    """Return numba's signature of a :data:`Scorer`."""
    numbers = compiler.typeof(np.empty(0, np.float64))
    return compiler.types.void(compiler.types.float64, compiler.typeof(np.empty(0, FEATURES)), numbers, numbers)


class Weight(IntEnum):
    """Places in the weights of ``multifactor``; that of the size is part of the feature ``size``.

    Then comes what every score is told: the GPUs of the cluster, at least 1, and how many jobs wait or run, which is
    written in every pass.
    """

    AGE = 0
    MAX_AGE = 1
    PRIORITY = 2
    QOS = 3
    PARTITION = 4
    NICE = 5
    SIZE = 6
    FAIRSHARE = 7
    CLUSTER_GPUS = 8
    PRESENT = 9


@pointed
def as_listed(now: float, jobs: Records, out: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Write scores that keep the order in which the jobs are listed: for orders with a fixed key."""
    for place in range(jobs.size):
        out[nth(place)] = -float(place)


@pointed
def wfp(now: float, jobs: Records, out: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Write (wait / estimate)^3 times GPUs.

    Source: Tang, Lan, Desai, Buettner 2009, IEEE Cluster (WFP3).
    """
    for place in range(jobs.size):
        job = jobs[nth(place)]
        ratio = job["wait"] / job["estimate"]
        out[nth(place)] = ratio * ratio * ratio * job["gpus"]


@pointed
def unicef(now: float, jobs: Records, out: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Write wait over (binary logarithm of GPUs, at least 1) times estimate.

    Source: Tang, Lan, Desai, Buettner 2009, IEEE Cluster (UNICEF).
    """
    for place in range(jobs.size):
        job = jobs[nth(place)]
        out[nth(place)] = job["wait"] / (job["doublings"] * job["estimate"])


@pointed
def themis(now: float, jobs: Records, out: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Write the time from arrival to end, on a start now, over that alone on its part of the cluster.

    Source: Mahajan et al. 2020, NSDI (Themis).
    """
    present, cluster_gpus = weights[Weight.PRESENT], weights[Weight.CLUSTER_GPUS]
    for place in range(jobs.size):
        job = jobs[nth(place)]
        alone = job["estimate"] * max(1.0, job["gpus"] * present / cluster_gpus)
        out[nth(place)] = (job["wait"] + job["estimate"]) / alone


@pointed
def multifactor(now: float, jobs: Records, out: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Write the weighted sum of age, size, fair share, priority, QOS, partition and nice.

    Source: Slurm, manual of the priority/multifactor plugin.
    """
    age, max_age = weights[Weight.AGE], weights[Weight.MAX_AGE]
    for place in range(jobs.size):
        job = jobs[nth(place)]
        score = age * min(1.0, job["wait"] / max_age) + job["size"]
        score = score + weights[Weight.FAIRSHARE] * job["fairshare"]
        score = score + weights[Weight.PRIORITY] * job["priority"]
        score = score + weights[Weight.QOS] * job["qos"]
        score = score + weights[Weight.PARTITION] * job["partition"]
        out[nth(place)] = score - weights[Weight.NICE] * job["nice"]
