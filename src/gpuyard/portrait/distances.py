"""How far two workloads are apart: Kolmogorov-Smirnov and Wasserstein distances, and the parts that do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.portrait.figures import Portrait

__all__ = ["QUANTITIES", "Distance", "distances"]

QUANTITIES = {
    "runtime_s": ("Run time", "seconds"),
    "gpus": ("GPUs of a job", "number"),
    "gpu_time_s": ("GPU time of a job", "seconds"),
    "gap_s": ("Time between submissions", "seconds"),
    "time_limit_s": ("Time limit", "seconds"),
}
"""Quantities of which there is a sample: what people call them, and how they are written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distance:
    """How far a quantity is apart in two workloads.

    ``ks`` is the largest difference of the two shares of jobs at or below a value (0 to 1), ``wasserstein`` the mean
    distance by which the values would have to be moved to turn one distribution into the other, in the quantity's unit;
    for a division into parts (sizes, hours, days, states), ``overlap_lost`` is the share that lies elsewhere.
    """

    quantity: str
    label: str
    ks: float | None = None
    wasserstein: float | None = None
    overlap_lost: float | None = None


def distances(first: Portrait, second: Portrait) -> list[Distance]:
    """Return the distance of each quantity that is known of both."""
    from scipy.stats import wasserstein_distance

    found = []
    for quantity, (label, _) in QUANTITIES.items():
        left, right = first.samples[quantity], second.samples[quantity]
        if left.size and right.size:
            moved = float(wasserstein_distance(left, right))
            found.append(Distance(quantity=quantity, label=label, ks=_largest_gap(left, right), wasserstein=moved))
    divisions = {
        "size_share_of_jobs": ("Sizes, by jobs", first.size_jobs, second.size_jobs),
        "size_share_of_gpu_time": ("Sizes, by GPU time", first.size_gpu_time, second.size_gpu_time),
        "state_share_of_jobs": ("End states, by jobs", first.state_jobs, second.state_jobs),
        "hourly": ("Hours of the day", _parts(first.hourly), _parts(second.hourly)),
        "weekly": ("Days of the week", _parts(first.weekly), _parts(second.weekly)),
    }
    return found + [
        Distance(quantity=quantity, label=label, overlap_lost=_apart(left, right))
        for quantity, (label, left, right) in divisions.items()
    ]


def _largest_gap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the largest difference of the shares at or below a value: the statistic of ``scipy.stats.ks_2samp``."""
    values = np.concatenate((first, second))
    shares = [np.searchsorted(np.sort(each), values, side="right") / each.size for each in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


def _parts(profile: Sequence[float]) -> dict[str, float]:
    return {str(place): value / sum(profile) for place, value in enumerate(profile)}


def _apart(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Return the total variation distance of two divisions: half the sum of the differences."""
    return sum(abs(first.get(name, 0.0) - second.get(name, 0.0)) for name in {**first, **second}) / 2
