"""The queue over time, and whether it grows without bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.holdings import asked_milli
from gpuyard.intervals import Spans
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.workload import NEVER

__all__ = ["DRAIN_SHARE", "FEWEST_JOBS", "is_saturated", "waiting"]

FEWEST_JOBS = 100
"""Fewer submissions say nothing about growth."""
DRAIN_SHARE = 0.05
"""The backlog must be worth this share of the arrival period on all GPUs."""


def waiting(record: Record) -> tuple[NDArray[np.intp], Spans]:
    """Return the jobs that waited, and from when to when each did; a job that was preempted is there several times.

    A job waits from when it is eligible to its first start, and from each preemption to its next start; or to the stop.
    """
    end = np.minimum(record.start, record.stop)
    jobs = np.flatnonzero((record.eligible < end) & (record.outcome != Outcome.REJECTED))
    first, last = record.eligible[jobs], end[jobs]
    if record.attempt_cause is None:
        return jobs, Spans(first, last)
    order = np.argsort(record.attempt_job, kind="stable")
    follows = record.attempt_job[order][1:] == record.attempt_job[order][:-1]
    resumed = np.full(order.size, record.stop, np.int64)
    resumed[order[:-1][follows]] = record.attempt_start[order[1:][follows]]
    waits = (record.attempt_reason == EndReason.PREEMPTED) & (record.attempt_end < resumed)
    again = np.flatnonzero(waits & (record.end[record.attempt_job] > record.attempt_end))  # but who was cancelled
    return (
        np.append(jobs, record.attempt_job[again]),
        Spans(np.append(first, record.attempt_end[again]), np.append(last, resumed[again])),
    )


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
    work = float((gpus[left] / 1000 * _work_left(record, last)[jobs[left]]).sum())
    return means[2] > max(means[:2]) and work / record.cluster.gpus > DRAIN_SHARE * (last - start)


def _work_left(record: Record, now: int) -> NDArray[np.float64]:
    """Return how long each job would run from then on if it waits then, microseconds; 0 where not known."""
    runtime = record.workload.runtime
    killed = record.by_policy(lambda policy: policy.on_limit == "kill" and policy.replay == "schedule")
    runtime = np.where(killed, np.minimum(runtime, record.workload.time_limit), runtime)
    left = np.where(runtime == NEVER, 0, runtime)
    if record.attempt_useful is not None:
        done = record.attempt_end <= now
        np.subtract.at(left, record.attempt_job[done], record.attempt_useful[done])
    return left.astype(np.float64)
