"""Each tenant's jobs simulated alone: what sharing is compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.dividing import schedule_apart
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.tenancy import NO_TENANTS
from gpuyard.virtual_clusters import divide
from gpuyard.workload import NEVER, Workload

__all__ = ["check_apart", "times_alone"]


def check_apart(policy: Policy) -> None:
    """Raise a ConfigError for a policy in somebody's own class, which may remember what it decided before."""
    if policy.decide is not None:
        raise ConfigError(f"'{policy.name}' decides itself and may remember the run of all jobs; leave out 'alone'")


def times_alone(record: Record, workload: Workload, **options: Any) -> NDArray[np.float64]:
    """Return how long each job takes, from eligibility to end, if only its own tenant's jobs are there.

    Parameters
    ----------
    record
        Of all jobs together.
    workload
        All jobs, also those that ``begin`` leaves out.
    options
        As :func:`gpuyard.dividing.schedule_apart` was given them, but for the seed.

    Returns
    -------
    NDArray
        float64 microseconds, shape (jobs of the record,); not a number where the job does not end, or a preemption
        cancels it.

    """
    found = np.full(len(record.workload), np.nan)
    parts, tenants = options.get("virtual_clusters"), options.get("tenants", NO_TENANTS)
    division = divide(workload, record.cluster, record.policy, parts, tenants) if parts else None
    code, names = workload.labels("tenant")
    place, left = record.workload.labels("tenant")
    for number, name in enumerate(left):
        mine = code == names.index(name)
        own = workload.where(mine, f"only tenant {name}")
        if division is not None:
            options["division"] = replace(division, member=division.member[mine])
        alone = schedule_apart(own, record.cluster, record.policy, seed=record.seed, **options)
        ended = (alone.end != NEVER) & ~alone.cancelled
        took = np.where(ended, alone.end, 0) - np.where(ended, alone.eligible, 0)
        found[place == number] = np.where(ended, took, np.nan)
    return found
