"""A record written down by hand: who ran where, from when to when, in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.workload import MICROSECOND, NEVER, Workload

Run = tuple[int, float, float, Sequence[tuple[int, int]]]


def _ticks(seconds: float) -> int:
    return round(seconds * MICROSECOND)


def record(
    jobs: Workload,
    site: Cluster,
    *runs: Run,
    stop: float | None = None,
    outcomes: Mapping[int, Outcome] | None = None,
    eligible: Mapping[int, float] | None = None,
    policy: Policy | None = None,
    seconds: float = 2.0,
) -> Record:
    """Return a record of runs (job, start, end, [(node, GPUs), ...]).

    A job that ran is completed, one that did not is unfinished, unless ``outcomes`` says otherwise.  Jobs are
    eligible from submission on, unless ``eligible`` says otherwise.  ``stop`` is the last end by default.
    """
    runs = tuple(sorted(runs, key=lambda run: run[1]))
    start, end = np.full(len(jobs), NEVER), np.full(len(jobs), NEVER)
    outcome = np.full(len(jobs), Outcome.UNFINISHED, dtype=np.int8)
    last = _ticks(stop) if stop is not None else max((_ticks(run[2]) for run in runs), default=0)
    reasons = []
    for job, begun, ended, _ in runs:
        start[job] = _ticks(begun)
        is_over = _ticks(ended) < last or stop is None
        if is_over:
            end[job], outcome[job] = _ticks(ended), Outcome.COMPLETED
        reasons.append(EndReason.FINISHED if is_over else EndReason.STOPPED)
    ready = jobs.submit.copy()
    for job, second in (eligible or {}).items():
        ready[job] = _ticks(second)
    for job, fate in (outcomes or {}).items():
        outcome[job] = fate
    slots = [slot for run in runs for slot in run[3]]
    return Record(
        workload=jobs,
        cluster=site,
        policy=policy or Policy(),
        seed=0,
        stop=last,
        eligible=ready,
        start=start,
        end=end,
        outcome=outcome,
        reject_reason=np.where(outcome == Outcome.REJECTED, 1, 0).astype(np.int16),
        reject_reasons=("", "too many GPUs"),
        attempt_job=np.array([run[0] for run in runs], dtype=np.int32),
        attempt_start=np.array([_ticks(run[1]) for run in runs], dtype=np.int64),
        attempt_end=np.array([_ticks(run[2]) for run in runs], dtype=np.int64),
        attempt_reason=np.array(reasons, dtype=np.int8),
        slot_offset=np.cumsum([0, *(len(run[3]) for run in runs)], dtype=np.int64),
        slot_node=np.array([node for node, _ in slots], dtype=np.int32),
        slot_gpus=np.array([gpus for _, gpus in slots], dtype=np.int32),
        slot_gpu=np.full(len(slots), -1, dtype=np.int32),
        events=3 * len(jobs),
        passes=2 * len(jobs),
        max_queue=0,
        kernel_s=seconds,
    )
