"""One workload in numbers: how many jobs, how large, how long, when, whose, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.portrait.calendar import DAY, HOUR, profiles, start_of_clock
from gpuyard.workload import Workload

__all__ = ["LEVELS", "WINDOWS", "Portrait", "portray", "size_class", "size_label"]

LEVELS = (5, 25, 50, 75, 90, 95, 99)
"""Percentiles that are told."""
WINDOWS = (60.0, 600.0, 3600.0, 86_400.0)
"""Seconds over which submissions are counted for the index of dispersion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Portrait:
    """What a workload is like.

    Shares are of all jobs, or of the GPU time of the jobs whose run time is known.  Profiles have the mean 1.
    """

    name: str
    jobs: int
    span: float  # s from the first submission to the last
    gpu_hours: float
    dated: bool  # whether hours and days are those of a calendar, or count from second 0
    samples: Mapping[str, NDArray[np.float64]]  # by quantity, what is known of it; ascending for none
    size_jobs: Mapping[str, float]  # share of jobs by class of GPUs
    size_gpu_time: Mapping[str, float]
    dispersion: Mapping[float, float | None]  # by window in seconds: variance over mean of the counts of submissions
    hourly: tuple[float, ...]
    weekly: tuple[float, ...]
    state_jobs: Mapping[str, float]
    state_gpu_time: Mapping[str, float]
    owners: Mapping[str, float | None]

    def quantiles(self, quantity: str) -> dict[str, float | None]:
        """Return the mean and the percentiles of a quantity, ``None`` where nothing of it is known."""
        values = self.samples[quantity]
        if not values.size:
            return dict.fromkeys(("mean", *(f"p{level}" for level in LEVELS)))
        found = np.percentile(values, LEVELS)
        return {"mean": float(values.mean()), **{f"p{k}": float(v) for k, v in zip(LEVELS, found, strict=True)}}

    def gap_cv(self) -> float | None:
        """Return the coefficient of variation of the times between submissions."""
        gaps = self.samples["gap_s"]
        return float(gaps.std() / gaps.mean()) if gaps.size and gaps.mean() > 0 else None

    def to_dict(self) -> dict[str, object]:
        """Return everything but the samples as plain values for JSON."""
        return {
            "name": self.name,
            "jobs": self.jobs,
            "span_s": self.span,
            "jobs_per_day": self.jobs_per_day(),
            "gpu_hours": self.gpu_hours,
            **{quantity: self.quantiles(quantity) for quantity in self.samples},
            "size_share_of_jobs": dict(self.size_jobs),
            "size_share_of_gpu_time": dict(self.size_gpu_time),
            "gap_cv": self.gap_cv(),
            "dispersion": {f"{window:g}": value for window, value in self.dispersion.items()},
            "hourly": list(self.hourly),
            "weekly": list(self.weekly),
            "state_share_of_jobs": dict(self.state_jobs),
            "state_share_of_gpu_time": dict(self.state_gpu_time),
            "owners": dict(self.owners),
        }

    def jobs_per_day(self) -> float | None:
        """Return the mean number of submissions a day, ``None`` where all are at one instant."""
        return (self.jobs - 1) / self.span * DAY if self.span > 0 else None


def portray(workload: Workload, *, name: str | None = None) -> Portrait:
    """Return what a workload is like.

    Raises
    ------
    ConfigError
        For a workload without jobs.
    """
    if len(workload) == 0:
        raise ConfigError(f"'{workload.name}' has no jobs, so there is nothing to be said of it")
    submit, runtime = workload.floats("submit_time"), workload.floats("runtime")
    gpus = workload.integers("gpus", 0) * workload.integers("gpu_milli", 1000) / 1000
    gpu_time = np.where(np.isfinite(runtime), runtime, 0.0) * gpus
    limit = workload.floats("time_limit")
    hourly, weekly = profiles(submit + start_of_clock(workload.origin))
    order = np.unique(size_class(gpus))
    sizes = [(size_label(each), size_class(gpus) == each) for each in order.tolist()]
    states, names = workload.labels("state", "not recorded")
    return Portrait(
        name=workload.name if name is None else name,
        jobs=len(workload),
        span=float(submit[-1] - submit[0]),
        gpu_hours=float(gpu_time.sum()) / HOUR,
        dated=bool(workload.origin),
        samples={
            "runtime_s": runtime[np.isfinite(runtime)],
            "gpus": gpus,
            "gpu_time_s": gpu_time[np.isfinite(runtime)],
            "gap_s": np.diff(submit),
            "time_limit_s": limit[np.isfinite(limit)],
        },
        size_jobs={label: float(chosen.mean()) for label, chosen in sizes},
        size_gpu_time=_shares({label: float(gpu_time[chosen].sum()) for label, chosen in sizes}),
        dispersion={window: _dispersion(submit, window) for window in WINDOWS},
        hourly=tuple(hourly.tolist()),
        weekly=tuple(weekly.tolist()),
        state_jobs={each: float((states == code).mean()) for code, each in enumerate(names)},
        state_gpu_time=_shares({each: float(gpu_time[states == code].sum()) for code, each in enumerate(names)}),
        owners=_owners(workload, gpu_time),
    )


def size_class(gpus: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the class of each number of GPUs, same shape: 0, 0.5 for a share of one, then the next power of two."""
    above = np.exp2(np.ceil(np.log2(np.maximum(gpus, 1.0))))
    return np.where(gpus == 0, 0.0, np.where(gpus < 1, 0.5, above))


def size_label(size: float) -> str:
    """Return the class as people read it: ``0``, ``below 1``, ``1``, ``2``, ``3-4``, ``5-8`` and so on."""
    if size < 1:
        return "below 1" if size else "0"
    return f"{size:.0f}" if size <= 2 else f"{size / 2 + 1:.0f}-{size:.0f}"


def _dispersion(submit: NDArray[np.float64], window: float) -> float | None:
    """Return variance over mean of the counts in whole windows from the first submission on; None for fewer than 2."""
    whole = int((submit[-1] - submit[0]) // window)
    if whole < 2:
        return None
    at = ((submit - submit[0]) // window).astype(np.int64)
    counts = np.bincount(at[at < whole], minlength=whole)
    return float(counts.var() / counts.mean())


def _owners(workload: Workload, gpu_time: NDArray[np.float64]) -> dict[str, float | None]:
    """Return how many users and tenants there are, and the shares that the largest have."""
    found: dict[str, float | None] = {}
    for column in ("user", "tenant"):
        named = workload.table[column].is_valid().to_numpy()
        if not named.any():
            found |= {f"{column}s": None}
            continue
        codes, names = _codes(workload.table[column])
        jobs = np.sort(np.bincount(codes[named], minlength=names))[::-1]
        work = np.sort(np.bincount(codes[named], weights=gpu_time[named], minlength=names))[::-1]
        tenth = max(1, round(names / 10))
        found |= {
            f"{column}s": float(names),
            f"top_{column}_share_of_jobs": float(jobs[0] / jobs.sum()),
            f"top_tenth_of_{column}s_share_of_jobs": float(jobs[:tenth].sum() / jobs.sum()),
            f"top_tenth_of_{column}s_share_of_gpu_time": float(work[:tenth].sum() / max(work.sum(), 1e-300)),
        }
    return found


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(0).to_numpy(zero_copy_only=False), np.int64), len(encoded.dictionary)


def _shares(amounts: Mapping[str, float]) -> dict[str, float]:
    total = sum(amounts.values())
    return {name: amount / total if total > 0 else 0.0 for name, amount in amounts.items()}
