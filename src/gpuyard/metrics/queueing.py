"""The queue over time, and whether it grows without bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.holdings import asked_milli
from gpuyard.intervals import Spans
from gpuyard.record import Outcome, Record
from gpuyard.workload import NEVER

__all__ = ["DRAIN_SHARE", "FEWEST_JOBS", "is_saturated", "waiting"]

FEWEST_JOBS = 100
"""Fewer submissions say nothing about growth."""
DRAIN_SHARE = 0.05
"""The backlog must be worth this share of the arrival period on all GPUs."""


def waiting(record: Record) -> tuple[NDArray[np.intp], Spans]:
    """Return the jobs that waited, and from when (eligible) to when (its first start, or the stop) each did."""
    end = np.minimum(record.start, record.stop)
    jobs = np.flatnonzero((record.eligible < end) & (record.outcome != Outcome.REJECTED))
    return jobs, Spans(record.eligible[jobs], end[jobs])


def is_saturated(record: Record, queue: tuple[NDArray[np.intp], Spans], start: int, stop: int) -> bool | None:
    """Return whether the queue (of :func:`waiting`) grows without bound, judged on the time in which jobs arrive.

    That time runs from ``start`` to the last submission before ``stop``.  The queue grows without
    bound if (1) its mean in GPUs is higher in the last third of that time than in either of the others,
    and (2) at the end
    of it, the jobs that wait would keep all GPUs busy for more than 5 % of it.  At load r > 1 the
    backlog grows by (r - 1) GPUs a GPU, so that (2) holds from r = 1.05 on however long the run;
    at r < 1 the backlog stays bounded and its share of a longer run falls to nothing.

    Returns
    -------
    bool or None
        ``None`` with fewer than 100 submissions, all at one instant, or on no GPUs: nothing can be said.
    """
    submit = record.workload.submit
    arrived = submit[(submit >= start) & (submit <= stop)]
    if arrived.size < FEWEST_JOBS or int(arrived[-1]) <= start or record.cluster.gpus == 0:
        return None
    last = int(arrived[-1])
    jobs, spans = queue
    gpus = asked_milli(record.workload)[jobs]
    third = (last - start) // 3
    means = spans.integrals(gpus, np.array([start, start + third, start + 2 * third, start + 3 * third]))
    left = (spans.start <= last) & (spans.end > last)
    work = float((gpus[left] / 1000 * _runtime(record)[jobs[left]]).sum())
    return means[2] > max(means[:2]) and work / record.cluster.gpus > DRAIN_SHARE * (last - start)


def _runtime(record: Record) -> NDArray[np.float64]:
    """Return how long each job would run, microseconds; 0 where not known."""
    runtime = record.workload.runtime
    if record.policy.on_limit == "kill" and record.policy.replay == "schedule":
        runtime = np.minimum(runtime, record.workload.time_limit)
    return np.where(runtime == NEVER, 0, runtime).astype(np.float64)
