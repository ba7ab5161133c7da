"""Deadlines: who met theirs, who missed it, and by how much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.metrics.facts import JobTimes
from gpuyard.metrics.groups import percentile_block
from gpuyard.record import Outcome, Record
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["deadline_block", "lateness"]


def lateness(record: Record, times: JobTimes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return end - deadline of each job, int64 microseconds, shape (jobs,), and which jobs have it (bool).

    It is negative for a job that ended early enough, and there is none without a deadline or an end, nor for a job
    that a preemption cancelled.
    """
    due = record.workload.deadline
    known = times.done & (due != NEVER)
    return np.where(known, record.end - np.where(known, due, 0), 0), known


def deadline_block(record: Record, times: JobTimes, chosen: NDArray[np.bool_]) -> dict[str, object] | None:
    """Return how many of the chosen jobs met their deadline, and how late the others were; ``None`` without any.

    A job meets its deadline if it ends, in whatever state, no later.  It misses it if it ends later, is rejected, is
    cancelled by a preemption, or has not ended by the stop of the simulation and the deadline is no later than that.
    The rest are open.
    """
    due = record.workload.deadline
    having = chosen & (due != NEVER)
    if not having.any():
        return None
    late, done = lateness(record, times)
    tardy = having & done & (late > 0)
    met = having & done & (late <= 0)
    lost = having & ((record.outcome == Outcome.REJECTED) | (times.ended & ~times.done))
    missed = tardy | lost | (having & ~done & (due <= record.stop))
    judged = int(met.sum()) + int(missed.sum())
    return {
        "jobs": int(having.sum()),
        "met": int(met.sum()),
        "missed": int(missed.sum()),
        "open": int(having.sum()) - judged,
        "missed_share": int(missed.sum()) / judged if judged else None,
        "lateness_s": percentile_block(late[tardy], MICROSECOND),
    }
