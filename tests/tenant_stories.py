"""What the stories about tenants have in common: one workload told by the engine or by the reference simulator."""

from __future__ import annotations

import inspect

import pytest

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenants
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

LANDED = "tenants" in inspect.signature(schedule).parameters
NOT_YET = pytest.mark.skipif(not LANDED, reason="the engine does not know tenants yet")
TEST = pytest.mark.parametrize("tell", ["reference", pytest.param("engine", marks=NOT_YET)])


def of(name: str, **columns: object) -> dict[str, object]:
    """Return the columns of a job of a tenant."""
    return {"tenant": name, **columns}


def fates(
    tell: str,
    jobs: Workload,
    site: Cluster,
    tenants: dict[str, object],
    rule: str = "none",
    *,
    backfill: str = "fit",
    order: str = "fifo",
    until: float | None = None,
    **options: object,
) -> list[Fate]:
    """Return what becomes of the jobs; options are those of the preemption."""
    policy = Policy(order=order, backfill=backfill, preemption={"rule": rule, **options})
    if tell == "reference":
        return simulate(jobs, site, policy, until=until, tenants=Tenants.of(tenants))
    return told(schedule(jobs, site, policy, until=until, tenants=Tenants.of(tenants)))


def starts(*given: object, **options: object) -> list[float | None]:
    return [None if fate.start is None else fate.start / SECOND for fate in fates(*given, **options)]


def outcomes(*given: object, **options: object) -> list[str]:
    return [fate.outcome for fate in fates(*given, **options)]


def nodes(*given: object, **options: object) -> list[list[int]]:
    return [[node for node, _, _ in fate.slots] for fate in fates(*given, **options)]


def stays(*given: object, **options: object) -> list[list[tuple[float, float]]]:
    """Return when each job ran, attempt after attempt."""
    return [[(it.start / SECOND, it.end / SECOND) for it in fate.attempts] for fate in fates(*given, **options)]


def causes(*given: object, **options: object) -> list[list[int | None]]:
    """Return for whom each attempt of each job was cut short."""
    return [[it.cause for it in fate.attempts] for fate in fates(*given, **options)]
