"""Who may be preempted, and what checkpoints jobs write: their own, or the policy's; and whether they get on so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.kernel.codes import NEVER
from gpuyard.preemption import Preemption
from gpuyard.units import ticks
from gpuyard.workload import MICROSECOND, Workload, to_ticks

__all__ = [
    "check_progress",
    "common_interval",
    "intervals_of",
    "is_cancelled_of",
    "may_be_fruitless",
    "min_runs_of",
    "preemptible_of",
    "saved_by",
]

_COLUMN = "checkpoint_interval"
_LONGEST = 2**61


def common_interval(given: Preemption) -> int:
    """Return the work between two checkpoints of jobs that state none of their own, us; NEVER: there are none."""
    return NEVER if given.checkpoint_interval is None else ticks(given.checkpoint_interval)


def intervals_of(workload: Workload, given: Preemption) -> NDArray[np.int64]:
    """Return the work between two checkpoints of each job.

    Returns
    -------
    NDArray
        int64 microseconds, shape (jobs,): 0 = nothing is lost, NEVER = there are none; empty where no job states any
        and no mode does, so that :func:`common_interval` holds for all.
    """
    if not workload.has(_COLUMN) and not given.modes:
        return np.empty(0, np.int64)
    stated = workload.floats(_COLUMN)
    own = np.isfinite(stated)
    common = np.full(own.size, common_interval(given))
    requeued = _has_mode(workload, given, "requeue")
    common[requeued & (common == 0)] = NEVER
    interval = np.where(own, np.maximum(to_ticks(stated), stated > 0), common)
    interval[_has_mode(workload, given, "suspend")] = 0
    interval[is_cancelled_of(workload, given)] = NEVER
    return interval


def preemptible_of(workload: Workload, given: Preemption) -> NDArray[np.bool_]:
    """Return whether each job may be preempted at all: by its own word and by the mode of its partition or QOS."""
    return (workload.integers("preemptible", 1) > 0) & ~_has_mode(workload, given, "off")


def is_cancelled_of(workload: Workload, given: Preemption) -> NDArray[np.bool_]:
    """Return whether a preemption is the end of each job, bool, shape (jobs,)."""
    return _has_mode(workload, given, "cancel")


def min_runs_of(workload: Workload, given: Preemption) -> NDArray[np.int64]:
    """Return how long an attempt of each job is left alone, int64 microseconds, shape (jobs,)."""
    common = ticks(given.min_run)
    if not given.min_runs:
        return np.full(len(workload), common, np.int64)
    codes, names = workload.labels(given.rule, "")
    return np.array([ticks(given.min_runs.get(name, given.min_run)) for name in names], np.int64)[codes]


def _has_mode(workload: Workload, given: Preemption, mode: str) -> NDArray[np.bool_]:
    """Return the jobs whose partition or QOS, whichever the rule goes by, has a mode: bool, shape (jobs,)."""
    if mode not in given.modes.values():
        return np.zeros(len(workload), np.bool_)
    codes, names = workload.labels(given.rule, "")
    return np.array([given.modes.get(name) == mode for name in names], np.bool_)[codes]


def saved_by(workload: Workload, given: Preemption, row: int, passed: int) -> int:
    """Return the work that the first attempt of a job, which goes on, has saved after so many microseconds."""
    own = intervals_of(workload, given)
    interval, cost = int(own[row]) if own.size else common_interval(given), ticks(given.checkpoint_cost)
    if interval == 0:
        return passed
    return 0 if interval == NEVER else passed // (interval + cost) * interval


def may_be_fruitless(workload: Workload, given: Preemption) -> bool:
    """Return whether attempts may be preempted again and again after ``min_run`` and before they have saved anything.

    ``docs/semantics.md``, *No livelock*.
    """
    if given.max_preemptions is not None or not (given.min_run > 0 or any(given.min_runs.values())):
        return False
    if given.may_be_fruitless and not given.min_runs:
        return True
    own = intervals_of(workload, given)
    interval = own if own.size else np.full(len(workload), common_interval(given))
    least = min_runs_of(workload, given)
    return bool(np.any((least > 0) & (_to_saving(interval, given) >= least)))


def check_progress(
    workload: Workload,
    given: Preemption,
    interval: NDArray[np.int64],
    duration: NDArray[np.int64],
    accepted: NDArray[np.bool_],
) -> None:
    """Raise where checkpoints are so far apart, or take so long, that nothing would ever get done.

    Parameters
    ----------
    interval
        As of :func:`intervals_of`.
    duration
        The work of each job, int64 microseconds, shape (jobs,).
    accepted
        bool, shape (jobs,): jobs that take part.

    Raises
    ------
    ConfigError
        For a job with an interval of its own with which it would begin anew for ever, and for one that would write
        more than fits 64 bits.
    """
    _check_lengths(given, interval, np.where(accepted, duration, 0))
    if interval.size == 0:
        return
    own = accepted & np.isfinite(workload.floats(_COLUMN)) & (workload.integers("preemptible", 1) > 0)
    needed = np.where(interval < duration, _to_saving(interval, given), ticks(given.restart_cost) + duration)
    needed[interval == 0] = ticks(given.restart_cost)
    if given.rule == "time-slice":
        name, least = "a longer time_slice", ticks(given.final_slice)
        _refuse(own & (needed >= least), workload, needed, f"{name}, of more than", "its slice is over")
    if given.promote is not None and given.max_preemptions is None:
        late = own & (needed > 0) & (needed >= ticks(given.min_run))
        _refuse(late, workload, needed, "max_preemptions, or a min_run of more than", "it is preempted, for ever")


def _to_saving(interval: NDArray[np.int64], given: Preemption) -> NDArray[np.int64]:
    """Return how long attempts last before what they save begins to grow, or their first checkpoint is written, us."""
    restart, cost = ticks(given.restart_cost), ticks(given.checkpoint_cost)
    written = np.minimum(interval, _LONGEST) + cost
    return restart + np.where(interval == 0, 0, written)


def _refuse(wrong: NDArray[np.bool_], workload: Workload, needed: NDArray[np.int64], remedy: str, before: str) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    job, stated = workload.held["job_id"][row], float(workload.floats(_COLUMN)[row])
    raise ConfigError(
        f"job '{job}' of '{workload.name}' has a checkpoint_interval of {stated:g} s, and might save "
        f"nothing before {before}; give {remedy} {needed[row] / MICROSECOND:g} s, a shorter checkpoint_interval, or "
        "preemptible = false"
    )


def _check_lengths(given: Preemption, interval: NDArray[np.int64], work: NDArray[np.int64]) -> None:
    """Raise for a job whose checkpoints would take longer than fits 64 bits."""
    cost = ticks(given.checkpoint_cost)
    if cost == 0:
        return
    every = interval if interval.size else np.full(work.size, common_interval(given))
    wrong = work // np.where(every == 0, NEVER, every) >= _LONGEST / cost
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ConfigError(
            f"a job of {work[row] / MICROSECOND:.3g} s with a checkpoint of {cost / MICROSECOND:g} s every "
            f"{every[row] / MICROSECOND:g} s would never end; choose a longer checkpoint_interval"
        )
