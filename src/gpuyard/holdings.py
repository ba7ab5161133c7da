"""What each attempt held: GPUs in thousandths, and the job and attempt of each slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.intervals import Spans
from gpuyard.record import Record
from gpuyard.workload import Workload

__all__ = ["Holdings", "asked_milli", "hold"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdings:
    """Slots and attempts of a record, with their sizes.

    ``slot_job`` and ``slot_milli``: int64, shape (slots,).  ``attempt_milli``: int64, shape
    (attempts,), thousandths of a GPU held; 0 for an attempt that found no room.  ``has_room``: bool,
    shape (attempts,), ``False`` where the attempt ran although the cluster had no room for it.
    ``spans``: from when to when each attempt ran.
    """

    slot_job: NDArray[np.int64]
    slot_milli: NDArray[np.int64]
    attempt_milli: NDArray[np.int64]
    has_room: NDArray[np.bool_]
    spans: Spans
    slot_offset: NDArray[np.int64]

    def per_attempt(self, slot_values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum over the slots of each attempt, int64, shape (attempts,)."""
        sums = np.zeros(slot_values.size + 1, dtype=np.int64)
        np.cumsum(slot_values, out=sums[1:])
        return sums[self.slot_offset[1:]] - sums[self.slot_offset[:-1]]


def asked_milli(workload: Workload) -> NDArray[np.int64]:
    """Return what each job asks for in thousandths of a GPU, int64, shape (jobs,)."""
    share = workload.integers("gpu_milli", 0)
    return np.where(share > 0, share, workload.gpus * 1000)


def hold(record: Record) -> Holdings:
    """Return what the attempts of a record held."""
    counts = np.diff(record.slot_offset)
    slot_job = np.repeat(record.attempt_job.astype(np.int64), counts)
    milli = record.slot_gpus.astype(np.int64) * 1000
    share = record.workload.integers("gpu_milli", 0)
    if share.any():
        slot_share = share[slot_job]
        milli = np.where(slot_share > 0, slot_share, milli)
    sums = np.zeros(milli.size + 1, dtype=np.int64)
    np.cumsum(milli, out=sums[1:])
    return Holdings(
        slot_job=slot_job,
        slot_milli=milli,
        attempt_milli=sums[record.slot_offset[1:]] - sums[record.slot_offset[:-1]],
        has_room=counts > 0,
        spans=Spans(record.attempt_start, record.attempt_end),
        slot_offset=record.slot_offset,
    )
