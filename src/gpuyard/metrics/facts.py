"""What happened to each job, as arrays: the start of every number and table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.record import Outcome, Record
from gpuyard.workload import MICROSECOND, NEVER, to_ticks

__all__ = ["SLOWDOWN_FLOOR", "STATES", "JobTimes", "job_times", "seconds"]

SLOWDOWN_FLOOR = 10 * MICROSECOND
"""tau of the bounded slowdown: shorter run times count as this (10 s)."""

STATES = tuple(outcome.name.lower() for outcome in Outcome)
"""Names of the outcomes, in their numbers' order."""


def seconds(ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return microseconds as seconds; exact to the microsecond for 142 years either side of the origin."""
    return ticks / MICROSECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTimes:
    """Times of each job, shape (jobs,), int64 microseconds; 0 where the mask says that there is none.

    ``wait`` (first start - eligible) and ``submit_wait`` (first start - submission) where ``started``; ``jct`` (end -
    submission) and ``runtime`` (how long it worked, without what was lost) where ``done``: who ``ended``, but for those
    that a preemption cancelled; ``slowdown`` (jct / runtime, not-a-number where the runtime is 0) and
    ``bounded_slowdown`` (max(1, jct / max(runtime, 10 s))) are float64.
    """

    started: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    done: NDArray[np.bool_]
    wait: NDArray[np.int64]
    submit_wait: NDArray[np.int64]
    jct: NDArray[np.int64]
    runtime: NDArray[np.int64]
    slowdown: NDArray[np.float64]
    bounded_slowdown: NDArray[np.float64]


def job_times(record: Record) -> JobTimes:
    """Return the times of each job."""
    submit = record.workload.submit
    started = record.start != NEVER
    ended = (record.end != NEVER) & (record.outcome != Outcome.UNFINISHED) & started
    done = ended & ~record.cancelled
    ran = np.zeros(submit.size, dtype=np.int64)
    np.add.at(ran, record.attempt_job, record.useful)
    if record.begin is not None:
        before = started & (record.start < record.begin)
        ran[before] = _recorded_lengths(record)[before]
    runtime = np.where(done, ran, 0)
    jct = np.where(done, record.end - submit, 0)
    slowdown = np.divide(jct, runtime, out=np.full(submit.size, np.nan), where=runtime > 0)
    bounded = np.maximum(1.0, jct / np.maximum(runtime, SLOWDOWN_FLOOR))
    return JobTimes(
        started=started,
        ended=ended,
        done=done,
        wait=np.where(started, record.start - record.eligible, 0),
        submit_wait=np.where(started, record.start - submit, 0),
        jct=jct,
        runtime=runtime,
        slowdown=slowdown,
        bounded_slowdown=bounded,
    )


def _recorded_lengths(record: Record) -> NDArray[np.int64]:
    """Return how long each job runs by the record, from its start on: the work of who runs when the simulation begins.

    What such a job did before can be lost in a preemption, or go into checkpoints, and is not told by its attempts.
    """
    end = to_ticks(record.workload.floats("end_time"))
    return np.where(end == NEVER, record.workload.runtime, end - np.where(end == NEVER, 0, record.start))
