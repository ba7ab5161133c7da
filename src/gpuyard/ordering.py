"""What the scheduler believes of run times, and in which order jobs wait: estimates, ranks, parts of scores.

Everything here is fixed before the simulation begins and written from the sections *Estimates* and *Order* of
the semantics.  Orders with a fixed key become a rank; orders with a score become the columns that the
engine computes scores from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.kernel.contenders import FEATURES
from gpuyard.kernel.scorers import Scorer, Weight, multifactor, themis, unicef, wfp
from gpuyard.policy import OWN_ORDERS, Policy
from gpuyard.streams import stream_key
from gpuyard.workload import MICROSECOND, NEVER, Workload, to_ticks

__all__ = [
    "FEATURES",
    "LONGEST_ESTIMATE",
    "SCORED",
    "estimate_run_times",
    "is_scored",
    "order_features",
    "score_weights",
    "scorer_of",
    "static_rank",
]

SCORED: Final[Mapping[str, Scorer]] = {"wfp": wfp, "unicef": unicef, "themis": themis, "multifactor": multifactor}
"""Orders whose score changes while a job waits."""
LONGEST_ESTIMATE: Final = 2**61
"""microseconds: no estimate is longer, so that now and an estimate always add up to a tick."""

_WHOLE: Final = 1000
"""Thousandths of a GPU in a whole one."""
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_A: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B: Final = np.uint64(0x94D049BB133111EB)


def is_scored(policy: Policy) -> bool:
    """Return whether the order computes a score in every pass, rather than once."""
    return policy.order in SCORED or policy.order in OWN_ORDERS


def scorer_of(policy: Policy) -> Scorer:
    """Return the compiled function that scores waiting jobs; the order must be scored."""
    own = OWN_ORDERS.get(str(policy.order))
    return SCORED[str(policy.order)] if own is None else own.function


def score_weights(policy: Policy, cluster_gpus: int, present: int = 0) -> NDArray[np.float64]:
    """Return what the scorer is given, float64, by :class:`~gpuyard.kernel.scorers.Weight`.

    Parameters
    ----------
    cluster_gpus
        GPUs of the cluster.
    present
        How many jobs wait or run; the engine writes it in every pass.
    """
    known = policy.final_weights | {"cluster_gpus": max(cluster_gpus, 1), "present": present}
    return np.array([known[each.name.lower()] for each in Weight], np.float64)


def estimate_run_times(workload: Workload, policy: Policy, seed: int) -> NDArray[np.int64]:
    """Return what the scheduler believes of each job's run time.

    Parameters
    ----------
    seed
        Of the model ``noise``; nothing else here is random.

    Returns
    -------
    NDArray
        int64 microseconds, shape (jobs,), at most :data:`LONGEST_ESTIMATE`; that is also the estimate of a job
        with neither run time nor limit, which cannot be simulated.

    Raises
    ------
    ConfigError
        If the sum of run times behind a mean could exceed 64 bits.
    """
    limit, runtime = workload.time_limit, workload.runtime
    asked = np.where(limit != NEVER, limit, runtime)
    if policy.estimate == "runtime":
        found = np.minimum(runtime, limit) if policy.on_limit == "kill" else runtime
    elif policy.estimate == "history":
        mean = _mean_of_last(workload, policy.history)
        found = np.where(mean >= 0, np.minimum(mean, limit), asked)
    elif policy.estimate == "noise":
        found = np.minimum(_with_noise(runtime, policy.noise, seed), limit)
    else:
        found = asked
    return np.minimum(found, LONGEST_ESTIMATE)


def static_rank(workload: Workload, policy: Policy, estimate: NDArray[np.int64], seed: int) -> NDArray[np.int32]:
    """Return each job's place in the order, int32, shape (jobs,): a permutation; ties go by submit time, then row.

    Under an order with a score, and under recorded replay, that is the row.

    Parameters
    ----------
    estimate
        int64 microseconds, shape (jobs,): :func:`estimate_run_times`.
    seed
        Of the order ``random``.
    """
    rows = np.arange(len(workload), dtype=np.int32)
    if policy.replay == "recorded" or policy.order == "fifo" or is_scored(policy):
        return rows
    rank = np.empty(rows.size, np.int32)
    rank[np.argsort(_key(workload, str(policy.order), estimate, seed), kind="stable")] = rows
    return rank


def order_features(
    workload: Workload, policy: Policy, estimate: NDArray[np.int64], cluster_gpus: int
) -> NDArray[np.void]:
    """Return what scores are made of: records of :data:`FEATURES`, shape (jobs,); ``wait`` is left at 0.

    Parameters
    ----------
    estimate
        int64 microseconds, shape (jobs,): :func:`estimate_run_times`.
    cluster_gpus
        GPUs of the cluster, over which ``multifactor`` takes a job's size.
    """
    table = np.zeros(len(workload), FEATURES)
    table["submit"] = workload.submit / MICROSECOND
    table["estimate"] = np.maximum(estimate, 1) / MICROSECOND
    table["limit"] = _seconds(workload.time_limit)
    table["gpus"] = _gpu_milli(workload) / _WHOLE
    table["doublings"] = _doublings(table["gpus"])
    table["priority"] = workload.integers("priority", 0)
    table["nice"] = workload.integers("nice", 0)
    table["qos"] = _factor(workload, "qos", policy.qos)
    table["partition"] = _factor(workload, "partition", policy.partitions)
    table["deadline"] = _seconds(workload.deadline)
    table["size"] = policy.final_weights["size"] * table["gpus"] / max(cluster_gpus, 1)
    table["row"] = np.arange(len(workload))
    table["fairshare"] = 1.0
    for name in ("user", "tenant", "job_class"):
        table[name] = workload.labels(name, "")[0]
    return table


def _key(workload: Workload, order: str, estimate: NDArray[np.int64], seed: int) -> NDArray[Any]:
    """Return what an order with a fixed key sorts by, ascending, shape (jobs,)."""
    milli = _gpu_milli(workload)
    keys: Mapping[str, Callable[[], NDArray[Any]]] = {
        "sjf": lambda: estimate,
        "ljf": lambda: -estimate,
        "smallest": lambda: milli,
        "largest": lambda: -milli,
        "smallest-area": lambda: milli.astype(np.float64) * estimate.astype(np.float64),
        "priority": lambda: -workload.integers("priority", 0),
        "edf": lambda: workload.deadline,
        "random": lambda: _draws(seed, "order", len(workload), 0),
    }
    return keys[order]()


def _gpu_milli(workload: Workload) -> NDArray[np.int64]:
    """Return thousandths of GPUs, a fraction counted as such."""
    return np.where(workload.gpus == 1, workload.integers("gpu_milli", _WHOLE), workload.gpus * _WHOLE)


def _doublings(gpus: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the binary logarithm of GPUs, at least 1; that of the C library, as for random numbers below."""
    sizes, size = np.unique(gpus, return_inverse=True)
    return _each(math.log2, np.maximum(sizes, 2.0))[size]


def _seconds(ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(ticks == NEVER, np.inf, ticks / MICROSECOND)


def _factor(workload: Workload, column: str, factors: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the factor of each job's name in a column, 0 where it is not named."""
    codes, names = workload.labels(column, "")
    return np.array([factors.get(name, 0.0) for name in names], np.float64)[codes]


# --- the model 'history' -----------------------------------------------------------------------------------


def _mean_of_last(workload: Workload, last: int) -> NDArray[np.int64]:
    """Return the mean run time of each job's history, microseconds rounded half to even; -1 where there is none.

    Known ends are sorted by (group, end, row); a group is a user with a number of GPUs.  A job's history are the
    ``last`` places before the first end of its group that is later than its submission, itself left out.

    Source: Tsafrir, Etsion and Feitelson 2007, IEEE TPDS 18(6), who average the last two jobs of a user.
    """
    runtime, end, group = workload.runtime, _ends(workload), _groups(workload)
    known = np.flatnonzero(runtime != NEVER)
    if known.size == 0:
        return np.full(len(workload), -1, np.int64)
    longest = int(runtime[known].max())
    if last * longest >= NEVER:
        raise ConfigError(f"run times of up to {longest / MICROSECOND:g} s are too long for the mean of {last} of them")
    instants, rank = np.unique(end[known], return_inverse=True)
    key = group[known] * (instants.size + 1) + rank
    by_end = np.argsort(key, kind="stable")
    total = np.append(0, np.cumsum(runtime[known][by_end]))  # may wrap around: its differences are exact all the same
    now = np.searchsorted(instants, workload.submit, side="right")
    sizes = np.bincount(group[known], minlength=int(group.max()) + 1)
    first = (np.cumsum(sizes) - sizes)[group]
    stop = np.searchsorted(key[by_end], group * (instants.size + 1) + now)
    place = np.full(len(workload), NEVER, np.int64)
    place[known[by_end]] = np.arange(known.size)
    start = np.maximum(stop - last, first)
    itself = (place >= start) & (place < stop)
    start = np.where(itself, np.maximum(start - 1, first), start)
    count = stop - start - itself
    summed = total[stop] - total[start] - np.where(itself, runtime, 0)
    return np.where(count > 0, _half_to_even(summed, np.maximum(count, 1)), -1)


def _ends(workload: Workload) -> NDArray[np.int64]:
    """Return when each job ended by the record, microseconds; anything where its run time is not known."""
    recorded, runtime = to_ticks(workload.floats("end_time")), workload.runtime
    return np.where(recorded != NEVER, recorded, workload.submit + np.where(runtime == NEVER, 0, runtime))


def _groups(workload: Workload) -> NDArray[np.int64]:
    """Return a number for each user and number of GPUs; those without a user share one nameless user."""
    users, _ = workload.labels("user", "")
    sizes, size = np.unique(_gpu_milli(workload), return_inverse=True)
    _, group = np.unique(users * max(sizes.size, 1) + size, return_inverse=True)
    return group.astype(np.int64)


def _half_to_even(total: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the quotient of whole numbers, rounded half to even, without a detour over floating point."""
    whole, left = np.divmod(total, count)
    up = (2 * left > count) | ((2 * left == count) & (whole % 2 == 1))
    return whole + up


# --- random numbers ----------------------------------------------------------------------------------------


def _draws(seed: int, stream: str, jobs: int, chunk: int) -> NDArray[np.uint64]:
    """Return the 64-bit number of (stream, row, chunk) for each row: SplitMix64's finaliser, as in placement."""
    rows = np.arange(jobs, dtype=np.uint64)
    x = (rows * np.uint64(65536) + np.uint64(chunk + 1)) * _GOLDEN + np.uint64(stream_key(seed, stream))
    x = (x ^ (x >> np.uint64(30))) * _MIX_A
    x = (x ^ (x >> np.uint64(27))) * _MIX_B
    return x ^ (x >> np.uint64(31))


def _with_noise(runtime: NDArray[np.int64], noise: float, seed: int) -> NDArray[np.int64]:
    """Return run times times exp(noise z), rounded; z by Box and Muller 1958 from two draws of the row.

    The functions are those of the C library, number by number: NumPy's own differ from processor to processor in
    the last place.
    """
    first, second = (_uniform(_draws(seed, "estimate", runtime.size, chunk)) for chunk in (0, 1))
    normal = np.sqrt(-2.0 * _each(math.log, first)) * _each(math.cos, 2.0 * math.pi * second)
    product = np.rint(runtime * _each(math.exp, noise * normal))
    bounded = np.minimum(product, float(LONGEST_ESTIMATE)).astype(np.int64)
    return np.where(runtime == NEVER, NEVER, bounded)


def _uniform(draws: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return draws as float64 in (0, 1]: the middle of one of 2^53 equal parts, rounded."""
    return ((draws >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def _each(function: Callable[[float], float], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.fromiter(map(function, values.tolist()), np.float64, values.size)
