"""From a workload to the model of it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.fitting.arrivals import fit_arrivals
from gpuyard.fitting.curves import curve_of
from gpuyard.fitting.model import UNKNOWN_STATE, ClassModel, Ending, FittedModel, Owner, RuntimeOfSize
from gpuyard.portrait.calendar import DAY, start_of_clock
from gpuyard.portrait.figures import size_class
from gpuyard.workload import Workload

__all__ = ["FEWEST", "fit"]

FEWEST = 20
"""A model is not fitted to fewer jobs."""
ENDINGS = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""Bounds of the run times, in seconds, by which end states and limits are told apart."""
LIMITS = 40
"""Quantiles of the limits in each row."""
LARGE = 500
"""Jobs of a class that a tenant must have for tables of its own; those of smaller tenants are fitted together."""
SAMPLE = 50
"""Jobs that a class of sizes must have for run times of its own; smaller ones join the next."""


def fit(workload: Workload) -> FittedModel:
    """Return the model of a workload; jobs whose run time is not recorded are left out.

    Raises
    ------
    ConfigError
        For fewer than 20 jobs with a run time, or jobs that are all submitted at one instant.
    """
    jobs = workload.where(workload.table["runtime"].is_valid().to_numpy(), "no run time recorded")
    submit = jobs.floats("submit_time")
    if len(jobs) < FEWEST or submit[0] == submit[-1]:
        raise ConfigError(
            f"'{workload.name}' has {len(jobs)} jobs with a run time over {np.ptp(submit) if len(jobs) else 0:g} s; "
            f"a model is fitted to {FEWEST} jobs or more that come one after another"
        )
    return FittedModel(
        fitted_to=workload.name,
        jobs=len(jobs),
        start=workload.origin,
        days=max(float(f"{(submit[-1] - submit[0]) / DAY:.6g}"), 1e-5),
        arrivals=fit_arrivals(submit, start_of_clock(workload.origin)),
        classes=[_class_model(jobs, each) for each in _groups(jobs)],
    )


def _groups(jobs: Workload) -> list[NDArray[np.bool_]]:
    """Return which jobs share tables, each of shape (jobs,): those of a class and a large tenant, the rest by class."""
    keys = list(zip(*(jobs.table[name].to_pylist() for name in ("job_class", "tenant")), strict=True))
    counts = Counter(keys)
    shared = [(kind, tenant if counts[kind, tenant] >= LARGE else None) for kind, tenant in keys]
    order = {key: place for place, key in enumerate(sorted(set(shared), key=lambda key: [(x is None, x) for x in key]))}
    codes = np.array([order[key] for key in shared])
    return [codes == place for place in range(len(order))]


def _class_model(jobs: Workload, chosen: NDArray[np.bool_]) -> ClassModel:
    part = Workload(held=jobs.held.filter(pa.array(chosen)), name=jobs.name)
    milli = part.integers("gpus", 0) * part.integers("gpu_milli", 1000)
    runtime = part.floats("runtime")
    sizes, counts = np.unique(milli, return_counts=True)
    return ClassModel(
        name=part.table["job_class"][0].as_py(),
        share=_part(len(part), len(jobs)),
        sizes={_size(each): _part(count, len(part)) for each, count in zip(sizes.tolist(), counts, strict=True)},
        runtimes=_runtimes(milli / 1000, runtime),
        endings=_endings(part, runtime),
        owners=_owners(part),
    )


def _part(some: int, of: int) -> float:
    """Return a share with six significant digits, as people can read and edit it."""
    return float(f"{int(some) / of:.6g}")


def _size(milli: int) -> str:
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli / 1000:.3f}".rstrip("0")


def _runtimes(gpus: NDArray[np.float64], runtime: NDArray[np.float64]) -> list[RuntimeOfSize]:
    """Return the curves by class of sizes; a class of too few jobs joins the next larger, the last the one before."""
    classes = size_class(gpus)
    bounds, first, gathered = np.unique(classes).tolist(), [], 0
    for bound in bounds:
        gathered += int((classes == bound).sum())
        if gathered >= SAMPLE:
            first.append(bound)
            gathered = 0
    first = first[:-1] if gathered and first else first
    bounds = [*(bound for bound in first if bound < bounds[-1]), bounds[-1]]
    rows = []
    for below, bound in pairwise([-1.0, *bounds]):
        mine = (classes > below) & (classes <= bound)
        rows.append(RuntimeOfSize(up_to_gpus=0.999 if bound == 0.5 else bound, seconds=curve_of(runtime[mine])))
    return rows


def _endings(part: Workload, runtime: NDArray[np.float64]) -> list[Ending]:
    states, names = part.labels("state", UNKNOWN_STATE)
    limit = part.floats("time_limit")
    row = np.searchsorted(ENDINGS, runtime, side="left")
    endings: list[Ending] = []
    for place in np.unique(row).tolist():
        mine = row == place
        counts = np.bincount(states[mine], minlength=len(names))
        limits = limit[mine][np.isfinite(limit[mine])]
        levels = (np.arange(LIMITS) + 0.5) / LIMITS
        endings.append(
            Ending(
                up_to_s=ENDINGS[place] if place < len(ENDINGS) and place < row.max() else None,
                states={
                    each: _part(count, mine.sum()) for each, count in zip(names, counts.tolist(), strict=True) if count
                },
                limited=_part(limits.size, mine.sum()),
                limits_s=np.quantile(limits, levels, method="inverted_cdf").tolist() if limits.size else [],
            )
        )
    return endings


def _owners(part: Workload) -> list[Owner]:
    tenants = part.table["tenant"].to_pylist()
    users = part.table["user"].to_pylist()
    found = []
    for tenant in sorted(set(tenants), key=lambda name: (name is None, name)):
        mine = [user for user, each in zip(users, tenants, strict=True) if each == tenant]
        named = any(user is not None for user in mine)
        counts = np.sort(np.unique([str(user) for user in mine] if named else [], return_counts=True)[1])[::-1]
        found.append(Owner(name=tenant, share=_part(len(mine), len(part)), users=counts.size, top=_top(counts)))
    return found


def _top(counts: NDArray[np.int64]) -> list[tuple[int, float]]:
    """Return the share of the first users together, at ranks that grow by about a third."""
    if not counts.size:
        return []
    ranks = np.unique(np.concatenate((np.rint(np.geomspace(1, counts.size, 24)), [counts.size]))).astype(np.int64)
    together = np.cumsum(counts) / counts.sum()
    rows = [(int(rank), round(float(together[rank - 1]), 6)) for rank in ranks]
    return [*rows[:-1], (int(counts.size), 1.0)]
