"""What the stories about scores, easy and windows beside preemption and tenants have in common."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["reference", "engine"])


def fates(
    tell: str,
    jobs: Workload,
    site: Cluster,
    rule: str = "none",
    *,
    tenants: dict[str, object] | None = None,
    windows: Sequence[NodeWindow] = (),
    options: dict[str, object] | None = None,
    **policy: object,
) -> list[Fate]:
    """Return what becomes of the jobs; ``options`` are those of the preemption, all else is the policy's."""
    chosen = Policy(preemption={"rule": rule, **(options or {})}, **policy)
    shared = NO_TENANTS if tenants is None else Tenants.of(tenants)
    if tell == "reference":
        return simulate(jobs, site, chosen, windows=windows, tenants=shared)
    return told(schedule(jobs, site, chosen, windows=windows, tenants=shared))


def starts(*given: object, **options: object) -> list[float | None]:
    return [None if fate.start is None else fate.start / SECOND for fate in fates(*given, **options)]


def stays(*given: object, **options: object) -> list[list[tuple[float, float]]]:
    """Return when each job ran, attempt after attempt."""
    return [[(it.start / SECOND, it.end / SECOND) for it in fate.attempts] for fate in fates(*given, **options)]


def nodes(*given: object, **options: object) -> list[list[list[int]]]:
    return [[[node for node, _, _ in it.slots] for it in fate.attempts] for fate in fates(*given, **options)]
