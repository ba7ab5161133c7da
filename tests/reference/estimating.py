"""What the scheduler knows of a run time beforehand: whole microseconds, fixed before the simulation begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from gpuyard.policy import Policy
from reference.jobs import Job, run_length
from reference.placing import random_bits

ESTIMATES = ("limit", "runtime", "history", "noise")
LONGEST = 2**61
"""No estimate is longer, nor is an attempt ever expected to be, microseconds."""


def estimate(job: Job, jobs: Sequence[Job], policy: Policy, seed: int) -> int | None:
    """Return the estimate of a job; ``None`` for one that cannot be simulated."""
    if job.runtime is None:
        return None
    if policy.estimate == "runtime":
        return run_length(job, policy)
    if policy.estimate == "noise":
        guess: int | None = round(min(job.runtime * math.exp(policy.noise * standard_normal(seed, job.drawn)), LONGEST))
    elif policy.estimate == "history":
        guess = mean_of_history(job, jobs, policy.history)
    else:
        guess = None
    if guess is None:
        return job.runtime if job.limit is None else job.limit
    return guess if job.limit is None else min(guess, job.limit)


def standard_normal(seed: int, row: int) -> float:
    """Return the row's normal variate (Box and Muller)."""
    u1, u2 = (((random_bits("estimate", seed, row, chunk) >> 11) + 0.5) / 2**53 for chunk in (0, 1))
    return math.sqrt(-2 * math.log(u1)) * math.cos(2 * math.pi * u2)


def recorded_end(job: Job) -> int:
    return job.submit + job.runtime if job.recorded_end is None else job.recorded_end


def mean_of_history(job: Job, jobs: Sequence[Job], number: int) -> int | None:
    """Return the mean run time of the user's last jobs with as many GPUs, ``None`` if there is none."""
    alike = [
        other
        for other in jobs
        if other.row != job.row
        and other.runtime is not None
        and (other.user, other.stated) == (job.user, job.stated)
        and recorded_end(other) <= job.submit
    ]
    last = sorted(alike, key=lambda other: (recorded_end(other), other.row))[-number:]
    return round(Fraction(sum(other.runtime for other in last), len(last))) if last else None
