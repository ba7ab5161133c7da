"""Among whom GPUs are shared: tenants of a cluster or of its virtual clusters, and whose job is whose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.entitlement import owners
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.tenancy import Tenants

__all__ = ["ELSEWHERE", "Among", "among", "owners_in"]

ELSEWHERE = -1
"""In the place of a tenant: the job is not there."""


class Among(NamedTuple):
    """Those who share a cluster, or a virtual cluster."""

    virtual_cluster: str | None
    """its name; ``None`` for the whole cluster"""
    tenants: Tenants
    policy: Policy
    owner: NDArray[np.int64]
    """int64, shape (jobs,): the tenant of each job, ELSEWHERE for a job that is not there"""


def among(record: Record) -> list[Among]:
    """Return the tenants of a run: of the cluster, or of each virtual cluster that has some, in their order."""
    division = record.division
    if division is None:
        if not record.tenants:
            return []
        return [Among(None, record.tenants, record.policy, owners(record.tenants.paths, record.workload))]
    return [
        Among(
            name,
            tenants,
            policy,
            np.where(division.member == number, owners(tenants.paths, record.workload), ELSEWHERE),
        )
        for number, (name, policy, tenants) in enumerate(
            zip(division.names, division.policies, division.tenants, strict=True)
        )
        if tenants
    ]


def owners_in(record: Record) -> NDArray[np.int64]:
    """Return a number for each job by which those of one tenant and virtual cluster are the same; 0 without tenants.

    Two jobs of which neither is in a virtual cluster with tenants are not told apart.
    """
    found, first = np.zeros(len(record.workload), np.int64), 1
    for each in among(record):
        here = each.owner != ELSEWHERE
        found[here] = each.owner[here] + first
        first += len(each.tenants.paths)
    return found
