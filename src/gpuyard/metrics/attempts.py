"""What attempts came to: preemptions, restarts, and held time that was for nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.record import EndReason, Record

__all__ = ["lost_share", "preemption_numbers"]


def lost_share(record: Record) -> NDArray[np.float64]:
    """Return the share of each attempt's time that was not useful, float64, shape (attempts,); 0 for one of no time."""
    length = record.attempt_end - record.attempt_start
    return np.divide(length - record.useful, length, out=np.zeros(length.size), where=length > 0)


def preemption_numbers(record: Record, held: NDArray[np.float64], start: int, stop: int) -> dict[str, int | float]:
    """Return the numbers on preemption from ``start`` to ``stop`` (microseconds).

    An attempt that lies partly in the window loses there in proportion.

    Parameters
    ----------
    held
        GPU-hours that each attempt held in the window, shape (attempts,).
    """
    ended = (record.attempt_end >= start) & (record.attempt_end <= stop)
    begun = (record.attempt_start >= start) & (record.attempt_start <= stop)
    return {
        "preemptions": int((ended & (record.attempt_reason == EndReason.PREEMPTED)).sum()),
        "restarts": int((begun & ~_is_first(record)).sum()),
        "lost_gpu_hours": 0.0 if record.attempt_useful is None else float((held * lost_share(record)).sum()),
    }


def _is_first(record: Record) -> NDArray[np.bool_]:
    """Return which attempts are the first of their job."""
    first = np.zeros(record.attempt_job.size, np.bool_)
    first[np.unique(record.attempt_job, return_index=True)[1]] = True
    return first
