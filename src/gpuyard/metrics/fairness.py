"""How evenly tenants fared: Jain index, share deficit, finish-time fairness, slowdown against running alone.

``docs/metrics.md``, *Fairness among tenants*, defines each number.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.entitlement import due_quotas
from gpuyard.errors import ConfigError
from gpuyard.holdings import Holdings, asked_milli
from gpuyard.metrics.deficits import Deficits, share_deficits
from gpuyard.metrics.facts import JobTimes
from gpuyard.metrics.groups import Groups, percentile_block
from gpuyard.policy import Policy
from gpuyard.record import Outcome, Record
from gpuyard.tenancy import Tenants
from gpuyard.workload import MICROSECOND

__all__ = [
    "Fared",
    "deficits_of",
    "fairness_block",
    "finish_time_fairness",
    "jain_index",
    "tenant_weights",
    "weights_of",
]

_MILLI_HOUR = 1000 * 3600 * MICROSECOND
_MOST_WEIGHT = 1e9


def jain_index(values: Iterable[float]) -> float | None:
    """Return the Jain index of numbers of 0 or more: 1 where all are equal, 1/n where one has all; None of none.

    Source: Jain, Chiu, Hawe 1984, DEC-TR-301.
    """
    numbers = np.array([float(each) for each in values])
    if numbers.size == 0:
        return None
    largest = float(numbers.max())
    if largest == 0:
        return 1.0
    parts = numbers / largest
    return float(parts.sum() ** 2 / (parts.size * (parts**2).sum()))


def tenant_weights(
    names: tuple[str, ...], given: Mapping[str, float] | None, shares: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return the weight of each tenant, float64, shape (tenants,).

    Parameters
    ----------
    names
        Of the tenants, paths with ``/`` between accounts.
    given
        Weights by tenant, 1 for those not named; ``None``: those that follow from the shares.
    shares
        Of accounts by path, as ``[policy.shares]`` has them; 1 for those not named.

    Raises
    ------
    ConfigError
        For a tenant that there is not, and a weight that is no number from 0 to 10^9.
    """
    if given is not None:
        _check_weights(given, names)
        return np.array([given.get(name, 1.0) for name in names], np.float64)
    above = {path[:depth] for path in map(_path, names) for depth in range(1, len(path))}
    leaves = [(*path, "") if path in above else path for path in map(_path, names)]
    accounts = {path[:depth] for path in leaves for depth in range(1, len(path) + 1)}
    due = {path: 1.0 if path[-1] == "" else shares.get("/".join(path), 1.0) for path in accounts}
    siblings: dict[tuple[str, ...], float] = {}
    for path in sorted(accounts):
        siblings[path[:-1]] = siblings.get(path[:-1], 0.0) + due[path]
    return np.array(
        [math.prod(_portion(leaf[:depth], due, siblings) for depth in range(1, len(leaf) + 1)) for leaf in leaves]
    )


def _path(name: str) -> tuple[str, ...]:
    return tuple(name.split("/"))


def _portion(
    path: tuple[str, ...], due: Mapping[tuple[str, ...], float], siblings: Mapping[tuple[str, ...], float]
) -> float:
    return due[path] / siblings[path[:-1]] if siblings[path[:-1]] > 0 else 0.0


def _check_weights(given: Mapping[str, float], names: tuple[str, ...]) -> None:
    for name, weight in given.items():
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean '{nearest[0]}'?" if nearest else f"there are {', '.join(names[:12]) or 'none'}"
            raise ConfigError(f"tenant_weights: no job has the tenant '{name}'; {hint}")
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight)
        if not is_number or not 0 <= weight <= _MOST_WEIGHT:
            raise ConfigError(f"'tenant_weights.{name}' must be a number from 0 to {_MOST_WEIGHT:g}, got {weight!r}")


def weights_of(record: Record, given: Mapping[str, float] | None) -> NDArray[np.float64]:
    """Return the weight of each tenant of a run, shape (tenants,).

    As given, else by nominal quotas, else by the weights of the tenants that share the cluster, else by the shares of
    the policy.  Where virtual clusters have tenants, that is asked in each, and its GPUs are split so among those that
    have jobs there: the weight is the sum over the virtual clusters.
    """
    codes, names = record.workload.labels("tenant")
    division = record.division
    if given is not None or division is None or not record.is_shared:
        return _weights(names, given, record.tenants, record.policy)
    total = np.zeros(len(names))
    for number, (tenants, policy) in enumerate(zip(division.tenants, division.policies, strict=True)):
        there = np.unique(codes[division.member == number])
        weights = _weights(tuple(names[code] for code in there.tolist()), None, tenants, policy)
        gpus = int(record.cluster.node_gpus[division.owner == number].sum())
        total[there] += gpus * weights / weights.sum() if weights.sum() > 0 else 0.0
    return total


def _weights(
    names: tuple[str, ...], given: Mapping[str, float] | None, tenants: Tenants, policy: Policy
) -> NDArray[np.float64]:
    if given is None and tenants.has_quotas:
        return due_quotas(tenants, names)
    shared = {each.name: each.weight for each in tenants.tenants}
    return tenant_weights(names, given, shared or policy.shares)


def deficits_of(
    record: Record, holdings: Holdings, given: Mapping[str, float] | None, edges: NDArray[np.int64]
) -> Deficits | None:
    """Return the deficits of a run's tenants between edges (int64 microseconds); ``None`` for fewer than two."""
    weights = weights_of(record, given)
    return share_deficits(record, holdings, weights, edges) if weights.size > 1 else None


def finish_time_fairness(record: Record, times: JobTimes, part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rho of each job, float64, shape (jobs,).

    It is not a number where the job did not end, or a preemption cancelled it, ran no time, or is due nothing.

    Parameters
    ----------
    part
        The share of the cluster that is due to each job's tenant, shape (jobs,).

    Source: Mahajan et al. 2020, NSDI (Themis).
    """
    known = times.done & (times.runtime > 0) & (part > 0)
    due = np.where(known, part, 1.0) * max(record.cluster.gpus, 1)
    longer = np.maximum(1.0, asked_milli(record.workload) / 1000 / due)
    shared = np.where(known, record.end - record.eligible, 0)
    return np.divide(shared, times.runtime * longer, out=np.full(known.size, np.nan), where=known)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fared:
    """What the block is computed from, beside the record.

    ``tenants``: the jobs by tenant.  ``chosen``: bool, shape (jobs,), the jobs that count.  ``held``: GPU-hours of
    each attempt in the window.  ``deficits``: between the window's ends, or ``None``.  ``alone``: how long each job
    took alone, from eligibility to end, float64 microseconds, not a number where it did not end or was cancelled by a
    preemption; or ``None`` where nobody was simulated alone.
    """

    tenants: Groups
    weights: NDArray[np.float64]
    times: JobTimes
    chosen: NDArray[np.bool_]
    held: NDArray[np.float64]
    deficits: Deficits | None
    alone: NDArray[np.float64] | None


def fairness_block(record: Record, fared: Fared) -> dict[str, object] | None:
    """Return the block ``fairness``; ``None`` with fewer than two tenants that share."""
    groups = fared.tenants
    counted = fared.chosen & (record.outcome != Outcome.REJECTED)
    present = np.bincount(groups.code[counted], minlength=len(groups.names)) > 0
    sharing = np.flatnonzero(present & (fared.weights > 0))
    if sharing.size < 2:
        return None
    due = np.zeros(fared.weights.size)
    due[sharing] = fared.weights[sharing] / fared.weights[sharing].sum()
    hours = np.array(groups.sums(record.attempt_job.astype(np.int64), fared.held)[0])
    rho = finish_time_fairness(record, fared.times, due[groups.code])
    slower = _against_alone(record, fared)
    waits = list(groups.split(fared.times.wait, counted & fared.times.started))
    rhos = list(groups.split(rho, counted & ~np.isnan(rho)))
    blocks = {
        groups.names[tenant]: {
            "due_share": float(due[tenant]),
            **_deficit(fared.deficits, int(tenant)),
            "rho": percentile_block(rhos[tenant]),
            **_alone(groups.code == tenant, counted, slower),
        }
        for tenant in sharing.tolist()
    }
    return {
        "tenants": int(sharing.size),
        "jain_gpu_hours": jain_index(hours[sharing] / fared.weights[sharing]),
        "jain_wait": jain_index(waits[tenant].mean() for tenant in sharing.tolist() if waits[tenant].size),
        **_deficit(fared.deficits, sharing),
        "rho": percentile_block(rho[counted & ~np.isnan(rho)]),
        **_alone(np.isin(groups.code, sharing), counted, slower),
        "by_tenant": blocks,
    }


def _deficit(deficits: Deficits | None, tenants: int | NDArray[np.intp]) -> dict[str, float | None]:
    if deficits is None or not deficits.is_known:
        return {"shortfall_gpu_hours": None, "surplus_gpu_hours": None}
    return {
        "shortfall_gpu_hours": float(deficits.shortfall[tenants].sum()) / _MILLI_HOUR,
        "surplus_gpu_hours": float(deficits.surplus[tenants].sum()) / _MILLI_HOUR,
    }


def _against_alone(record: Record, fared: Fared) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return how long each job took in the run and alone, microseconds; not a number where it is not known of both."""
    if fared.alone is None:
        return None
    known = fared.times.done & (fared.alone > 0)
    shared = np.where(known, record.end - np.where(known, record.eligible, 0), np.nan)
    return shared, np.where(known, fared.alone, np.nan)


def _alone(
    ours: NDArray[np.bool_], counted: NDArray[np.bool_], slower: tuple[NDArray[np.float64], NDArray[np.float64]] | None
) -> dict[str, object]:
    if slower is None:
        return {"alone_slowdown": percentile_block(np.empty(0)), "alone_slowdown_total": None}
    shared, alone = slower
    known = ours & counted & ~np.isnan(alone)
    total = float(alone[known].sum())
    return {
        "alone_slowdown": percentile_block(shared[known] / alone[known]),
        "alone_slowdown_total": float(shared[known].sum()) / total if total > 0 else None,
    }
