"""Beginning in the middle: who has ended by then, who runs, and what the others still wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpuyard.policy import Policy
from reference.estimating import estimate
from reference.jobs import Job


def left_at(jobs: Sequence[Job], begin: int) -> list[Job]:
    """Return the jobs that have not ended by an instant, numbered anew; what they need not wait for is dropped."""
    gone = {job.row for job in jobs if job.known_end is not None and job.known_end <= begin}
    left = [job for job in jobs if job.row not in gone]
    row_of = {job.row: row for row, job in enumerate(left)}
    return [renumbered(job, jobs, gone, row_of, begin) for job in left]


def renumbered(job: Job, jobs: Sequence[Job], gone: set[int], row_of: dict[int, int], begin: int) -> Job:
    met = [jobs[parent].known_end + job.think for parent in job.parents if parent in gone]
    bounds = met + ([] if job.not_before is None else [job.not_before])
    stay = () if job.runs_at(begin) else tuple(row_of[parent] for parent in job.parents if parent not in gone)
    return replace(job, row=row_of[job.row], parents=stay, not_before=max(bounds, default=None))


def among(jobs: Sequence[Job], names: frozenset[str]) -> list[Job]:
    """Return the jobs of these names, numbered anew; random numbers stay those of the rows that they had."""
    chosen = [job for job in jobs if job.name in names]
    row_of = {job.row: row for row, job in enumerate(chosen)}
    return [
        replace(job, row=row_of[job.row], number=job.row, parents=tuple(row_of[parent] for parent in job.parents))
        for job in chosen
    ]


def estimated(job: Job, everybody: Sequence[Job], left: Sequence[Job], policy: Policy, seed: int) -> int:
    """Return the estimate of one of the jobs that are left: only ``history`` looks at those that have ended."""
    if policy.estimate != "history":
        return estimate(job, left, policy, seed) or 0
    (same,) = [other for other in everybody if other.name == job.name]
    return estimate(same, everybody, policy, seed) or 0
