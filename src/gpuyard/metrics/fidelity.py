"""How a run compares with what was recorded: waits side by side, and room that was not there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.holdings import Holdings, asked_milli
from gpuyard.intervals import Steps
from gpuyard.metrics.facts import JobTimes
from gpuyard.metrics.groups import percentile_block
from gpuyard.record import Record
from gpuyard.units import counted
from gpuyard.workload import MICROSECOND, NEVER, to_ticks

__all__ = ["nothing_ran", "oversubscribed_block", "recorded_block"]

_GPU_HOUR = 1000 * 3600 * MICROSECOND


def recorded_block(record: Record, times: JobTimes, chosen: NDArray[np.bool_]) -> dict[str, object] | None:
    """Return recorded and simulated waits from submission, over the chosen jobs that have both.

    ``None`` where no job has both.  The correlation is Pearson's; ``None`` where either side is constant.
    """
    recorded_start = to_ticks(record.workload.floats("start_time"))
    both = chosen & times.started & (recorded_start != NEVER)
    if not both.any():
        return None
    recorded = (recorded_start - record.workload.submit)[both]
    simulated = times.submit_wait[both]
    error = (simulated - recorded).astype(np.float64) / MICROSECOND
    return {
        "jobs": int(both.sum()),
        "share_of_jobs": float(both.sum() / chosen.sum()),
        "recorded_wait_s": percentile_block(recorded, MICROSECOND),
        "simulated_wait_s": percentile_block(simulated, MICROSECOND),
        "mean_error_s": float(error.mean()),
        "mean_absolute_error_s": float(np.abs(error).mean()),
        "correlation": _correlation(recorded.astype(np.float64), simulated.astype(np.float64)),
    }


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float | None:
    left, right = left - left.mean(), right - right.mean()
    scale = float(np.sqrt((left * left).sum())) * float(np.sqrt((right * right).sum()))
    return float((left * right).sum()) / scale if scale > 0 else None


def oversubscribed_block(record: Record, holdings: Holdings, start: int, stop: int) -> dict[str, object] | None:
    """Return what the record asked for beyond what the cluster had room for; ``None`` where nothing runs by the record.

    Under recorded replay everything does, with a beginning in the middle what ran then.

    Without room, an attempt holds nothing, yet it counts as demand.  Demand may exceed what is held
    without exceeding the capacity: the free GPUs were then on the wrong nodes.
    """
    if record.policy.replay != "recorded" and record.begin is None:
        return None
    asked = asked_milli(record.workload)[record.attempt_job]
    lost = ~holdings.has_room
    spans, edges = holdings.spans, np.array([start, stop])
    beyond = spans.subset(lost)
    peak, above = _above_capacity(record, holdings, np.where(lost, asked, holdings.attempt_milli), start, stop)
    return {
        "attempts": int(lost.sum()),
        "gpu_hours": beyond.integrals(asked[lost], edges)[0] / _GPU_HOUR,
        "peak_gpus_above_capacity": peak,
        "gpu_hours_above_capacity": above,
    }


def _above_capacity(
    record: Record, holdings: Holdings, demand: NDArray[np.int64], start: int, stop: int
) -> tuple[float, float]:
    """Return the peak of demand above all GPUs, and its integral in GPU-hours, inside [start, stop]."""
    if demand.size == 0 or stop <= start:
        return 0.0, 0.0
    spans = holdings.spans
    first, last = min(start, int(spans.start.min())), max(stop, int(spans.end.max()))
    steps = Steps.of(spans, demand, base=0, start=first, stop=last)
    excess = Steps(steps.times, np.maximum(steps.values - record.cluster.gpus * 1000, 0))
    return excess.peak(start, stop) / 1000, excess.integrals(np.array([start, stop]))[0] / _GPU_HOUR


def nothing_ran(record: Record) -> list[str]:
    """Say that a beginning in the middle knows of no job that ran, because no start is recorded."""
    if not record.begin or np.isfinite(record.workload.floats("start_time")).any():
        return []
    before = int(np.count_nonzero(record.workload.submit < record.begin))
    if not before:
        return []
    return [
        f"No start is recorded of the jobs that are left at the beginning ({record.begin / MICROSECOND:,.0f} s), so "
        f"that none runs then: {counted(before, 'job')} submitted before {'waits' if before == 1 else 'wait'} for it. "
        "To leave them out, filter by time (workload.window)."
    ]
