"""How jobs fared, read off their attempts."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.checkpointing import is_cancelled_of
from gpuyard.kernel.codes import NEVER
from gpuyard.policy import Policy
from gpuyard.record import EndReason, Outcome
from gpuyard.workload import Workload

__all__ = ["ends_of", "outcomes_of"]

_STATES: Final = {
    "failed": Outcome.FAILED,
    "node_failed": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    "preempted": Outcome.CANCELLED,
    "timed_out": Outcome.TIMED_OUT,
}


def ends_of(
    workload: Workload,
    policy: Policy,
    job: NDArray[np.int32],
    end: NDArray[np.int64],
    reason: NDArray[np.int8],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return when each job ended, and whether a preemption cancelled it.

    Parameters
    ----------
    job, end, reason
        Of each attempt, in the order they started, shape (attempts,): its job, when it ended, and why.

    Returns
    -------
    tuple of NDArray
        int64 microseconds, shape (jobs,), NEVER for a job that did not end; and bool, shape (jobs,).
    """
    found, cancelled = np.full(len(workload), NEVER, np.int64), np.zeros(len(workload), np.bool_)
    preempted = reason == EndReason.PREEMPTED
    last = (reason != EndReason.STOPPED) & ~preempted
    if last.all():
        found[job] = end
        return found, cancelled
    found[job[last]] = end[last]
    gone = preempted & is_cancelled_of(workload, policy.preemption)[job]
    found[job[gone]], cancelled[job[gone]] = end[gone], True
    return found, cancelled


def outcomes_of(
    workload: Workload,
    accepted: NDArray[np.bool_],
    end: NDArray[np.int64],
    *,
    killed: NDArray[np.bool_],
    cancelled: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """Return how each job fared: as in the record, unless it was killed, cancelled, rejected or did not end."""
    codes, names = workload.labels("state", "completed")
    table = np.array([_STATES.get(name, Outcome.COMPLETED) for name in names], np.int8)
    outcome = table[codes] if len(names) else np.empty(0, np.int8)
    outcome[killed] = Outcome.TIMED_OUT
    outcome[cancelled] = Outcome.CANCELLED
    outcome[end == NEVER] = Outcome.UNFINISHED
    outcome[~accepted] = Outcome.REJECTED
    return outcome
