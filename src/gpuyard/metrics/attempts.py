"""What attempts came to: preemptions, restarts, and held time that was for nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.metrics.among import owners_in
from gpuyard.metrics.borrowing import made_room_to_borrow
from gpuyard.record import EndReason, Record

__all__ = ["lost_hours", "preempt_reasons", "preempted_in", "preemption_numbers"]


def lost_hours(record: Record, held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the GPU-hours of each attempt that were not useful, of those ``held``: float64, shape (attempts,).

    An attempt that lies partly in a window loses there in proportion.  Exactly 0 where nobody can be preempted.
    """
    if record.attempt_useful is None:
        return np.zeros(held.size)
    length = record.attempt_end - record.attempt_start
    return held * np.divide(length - record.attempt_useful, length, out=np.zeros(length.size), where=length > 0)


def preempt_reasons(record: Record) -> pa.Array:
    """Return the rule by which each attempt made room for another, null for those that did not: string, (attempts,).

    It is the rule of the policy; ``reclaim`` where the job that took its place belongs to another tenant, ``borrow``
    where that did so to borrow itself.
    """
    if record.attempt_cause is None:
        return pa.nulls(record.attempt_job.size, pa.string())
    rows = np.flatnonzero(record.attempt_cause >= 0)
    rules = [policy.preemption.rule for policy in record.policies]
    rule = record.policy_of[record.attempt_job]
    owner = owners_in(record)
    rule[rows[owner[record.attempt_job[rows]] != owner[record.attempt_cause[rows]]]] = len(rules)
    rule[made_room_to_borrow(record)] = len(rules) + 1
    return pa.array([*rules, "reclaim", "borrow"]).take(pa.array(rule, mask=record.attempt_cause < 0))


def preempted_in(record: Record, start: int, stop: int) -> NDArray[np.bool_]:
    """Return which attempts made room for another from ``start`` to ``stop`` (microseconds), shape (attempts,)."""
    ended = (record.attempt_end >= start) & (record.attempt_end <= stop)
    return ended & (record.attempt_reason == EndReason.PREEMPTED)


def preemption_numbers(record: Record, held: NDArray[np.float64], start: int, stop: int) -> dict[str, object]:
    """Return the numbers on preemption from ``start`` to ``stop`` (microseconds).

    Parameters
    ----------
    held
        GPU-hours that each attempt held in the window, shape (attempts,).
    """
    begun = (record.attempt_start >= start) & (record.attempt_start <= stop)
    return {
        "preemptions": int(preempted_in(record, start, stop).sum()),
        "restarts": int((begun & ~_is_first(record)).sum()),
        "lost_gpu_hours": float(lost_hours(record, held).sum()),
        "by_preemption_reason": _by_reason(record, held, start, stop),
    }


def _by_reason(
    record: Record, held: NDArray[np.float64], start: int, stop: int
) -> dict[str, dict[str, int | float]] | None:
    """Return what the preemptions came to by their reason, in the order of the names; ``None`` where there are none."""
    rows = np.flatnonzero(preempted_in(record, start, stop))
    if not rows.size:
        return None
    found = preempt_reasons(record).take(pa.array(rows)).dictionary_encode()
    names, of = found.dictionary.to_pylist(), found.indices.to_numpy()
    hours, lost, jobs = held[rows], lost_hours(record, held)[rows], record.attempt_job[rows]
    return {
        names[number]: {
            "preemptions": int((of == number).sum()),
            "jobs": int(np.unique(jobs[of == number]).size),
            "gpu_hours": float(hours[of == number].sum()),
            "lost_gpu_hours": float(lost[of == number].sum()),
        }
        for number in sorted(range(len(names)), key=names.__getitem__)
    }


def _is_first(record: Record) -> NDArray[np.bool_]:
    """Return which attempts are the first of their job."""
    job, place = record.attempt_job, np.arange(record.attempt_job.size)
    first = np.empty(len(record.workload), np.int64)
    first[job[::-1]] = place[::-1]  # of several the last is written
    return np.asarray(first[job] == place, dtype=np.bool_)
