"""The attempts of a job of a run that preempts: from when to when, for whom it made room and why, and who for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.checkpointing import saved_by
from gpuyard.explanation.cells import held_meanwhile, owners_of
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.sharing import right_of
from gpuyard.explanation.story import Made, Stay, Took
from gpuyard.explanation.yard import held_milli
from gpuyard.preempting import rank_of_jobs
from gpuyard.workload import MICROSECOND

__all__ = ["find_stays"]

_MEASURES = {
    "priority": "priority",
    "partition": "partition_tier",
    "qos": "qos_tier",
    "srtf": "remaining_s",
    "srsf": "remaining_gpu_s",
    "las": "attained_s",
    "2d-las": "attained_gpu_s",
    "gittins": "attained_gpu_s",
    "time-slice": "lasted_s",
}
"""What the level of each rule goes by."""


def find_stays(evidence: Evidence, row: int) -> tuple[Stay, ...]:
    """Return the attempts of a job, in order; none where nobody can be preempted."""
    if not evidence.policy.preemption:
        return ()
    stays, owner = [], owners_of(evidence)
    ready = int(evidence.eligible[row])
    for number, attempt in enumerate(_attempts_of(evidence, row).tolist(), 1):
        start, end = _start(evidence, attempt), int(evidence.attempt_end[attempt])
        first, last = evidence.slot_offset[attempt], evidence.slot_offset[attempt + 1]
        names = evidence.cluster.node_names
        stays.append(
            Stay(
                number=number,
                waited=(start - ready) / MICROSECOND,
                start=start / MICROSECOND,
                end=end / MICROSECOND,
                useful=_useful(evidence, attempt) / MICROSECOND,
                nodes=tuple(names[node] for node in evidence.slot_node[first:last].tolist()),
                gpus=tuple(evidence.slot_gpus[first:last].tolist()),
                reason=evidence.attempt_reason[attempt],
                made_room=_made(evidence, attempt),
                took_from=tuple(evidence.names[evidence.attempt_job[each]] for each in _victims(evidence, row, start)),
                took=tuple(
                    Took(job_id=evidence.names[evidence.attempt_job[each]], right=right)
                    for each in _victims(evidence, row, start)
                    if (right := right_of(evidence, each)) is not None
                ),
                lent=bool(evidence.attempt_lent[attempt]),
                held_by=held_meanwhile(evidence, owner, row, ready, start),
            )
        )
        ready = end
    return tuple(stays)


def _attempts_of(evidence: Evidence, row: int) -> NDArray[np.intp]:
    return np.flatnonzero(evidence.attempt_job == row)


def _start(evidence: Evidence, attempt: int) -> int:
    """Return when an attempt began: before the simulation did, where the record says so."""
    row = int(evidence.attempt_job[attempt])
    is_first = _attempts_of(evidence, row)[0] == attempt
    return int(evidence.start[row] if is_first else evidence.attempt_start[attempt])


def _useful(evidence: Evidence, attempt: int) -> int:
    """Return the useful time of an attempt, with what was saved before the simulation began."""
    before = int(evidence.attempt_start[attempt]) - _start(evidence, attempt)
    row = int(evidence.attempt_job[attempt])
    saved = saved_by(evidence.workload, evidence.policy.preemption, row, before)
    return int(evidence.attempt_useful[attempt]) + saved


def _victims(evidence: Evidence, row: int, start: int) -> list[int]:
    """Return the attempts whose GPUs a job took when it started."""
    return np.flatnonzero((evidence.attempt_by == row) & (evidence.attempt_end == start)).tolist()


def _made(evidence: Evidence, attempt: int) -> Made | None:
    """Return for whom an attempt ended, and by which numbers that job was more urgent."""
    by = int(evidence.attempt_by[attempt])
    if by < 0:
        return None
    row, now = int(evidence.attempt_job[attempt]), int(evidence.attempt_end[attempt])
    rule = evidence.policy.preemption.rule
    if rule == "cells":
        return Made(job_id=evidence.names[by], measure="cells", own=0.0, its=None)
    right = right_of(evidence, attempt)
    if rule == "reclaim":
        return Made(job_id=evidence.names[by], measure="quota", own=0.0, its=None, right=right)
    return Made(
        job_id=evidence.names[by],
        right=right,
        measure=_MEASURES[rule],
        own=_measured(evidence, row, now, attempt),
        its=None if rule == "time-slice" else _measured(evidence, by, now, None),
    )


def _measured(evidence: Evidence, row: int, now: int, running: int | None) -> float:
    """Return what the level of a job goes by at an instant: of one that waits, or of the attempt that runs."""
    rule = evidence.policy.preemption.rule
    if rule in ("priority", "partition", "qos"):
        return float(rank_of_jobs(evidence.workload, evidence.policy.preemption)[row])
    every = _attempts_of(evidence, row)
    before = every[every < running] if running is not None else every[evidence.attempt_start[every] < now]
    since = now if running is None else _start(evidence, running)
    if rule == "time-slice":
        return (now - since) / MICROSECOND
    if rule in ("srtf", "srsf"):
        saved = sum(_useful(evidence, attempt) for attempt in before.tolist())
        left = max(int(evidence.estimate[row]) - saved, 1)
        restart = round(evidence.policy.preemption.restart_cost * MICROSECOND) if before.size else 0
        time = max(since + left + restart - now, 1)
    else:
        time = _attained(evidence, before, since) + now - since
    gpus = 1.0 if rule in ("srtf", "las") else held_milli(evidence, row) / 1000
    return time * gpus / MICROSECOND


def _attained(evidence: Evidence, before: NDArray[np.intp], until: int) -> int:
    """Return the time held in these attempts since the last promotion, of a job that waits up to an instant."""
    promote = evidence.policy.preemption.promote
    attained = 0
    for place, attempt in enumerate(before.tolist()):
        end = int(evidence.attempt_end[attempt])
        attained += end - _start(evidence, attempt)
        resumed = int(evidence.attempt_start[before[place + 1]]) if place + 1 < before.size else until
        if promote is not None and attained and resumed - end >= max(round(promote * attained), 1):
            attained = 0
    return attained
