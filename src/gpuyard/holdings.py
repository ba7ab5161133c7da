"""What each attempt held, in thousandths of a GPU, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.intervals import Spans
from gpuyard.record import Record
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Holdings", "asked_milli", "hold"]

_MILLI_HOUR: Final = 1000 * 3600 * MICROSECOND
"""Thousandths of a GPU times microseconds in a GPU-hour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdings:
    """Attempts of a record, with their sizes.

    ``attempt_milli``: int64, shape (attempts,), thousandths of a GPU held; 0 for an attempt that found no room.
    ``has_room``: bool, shape (attempts,), ``False`` where the attempt ran although the cluster had no room for it.
    ``spans``: from when to when each attempt ran.
    """

    attempt_milli: NDArray[np.int64]
    has_room: NDArray[np.bool_]
    spans: Spans

    @property
    def gpu_hours(self) -> NDArray[np.float64]:
        """GPU-hours that each attempt held, float64, shape (attempts,)."""
        return self.attempt_milli * ((self.spans.end - self.spans.start) / _MILLI_HOUR)


def asked_milli(workload: Workload) -> NDArray[np.int64]:
    """Return what each job asks for in thousandths of a GPU, int64, shape (jobs,); worked out once, to be read only."""
    known = workload.worked_out
    if "asked_milli" not in known:
        milli = workload.gpus * 1000
        if workload.has("gpu_milli"):
            share = workload.integers("gpu_milli", 0)
            milli = np.where(share > 0, share, milli)
        known["asked_milli"] = milli
    found: NDArray[np.int64] = known["asked_milli"]
    return found


def hold(record: Record) -> Holdings:
    """Return what the attempts of a record held."""
    counts = np.diff(record.slot_offset)
    gpus = np.zeros(record.slot_gpus.size + 1, dtype=np.int64)
    np.cumsum(record.slot_gpus, out=gpus[1:])
    milli = np.diff(gpus[record.slot_offset]) * 1000
    if record.workload.has("gpu_milli"):
        share = record.held_share[record.attempt_job]
        milli = np.where(share > 0, share * counts, milli)
    return Holdings(attempt_milli=milli, has_room=counts > 0, spans=Spans(record.attempt_start, record.attempt_end))
