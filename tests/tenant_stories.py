"""What the stories about tenants have in common: one workload told by the engine or by the reference simulator.

The engine has two loops for tenants; a window that closes nothing before all is over brings about the other one.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["reference", "engine", "engine beside windows"])
FAR_AWAY = NodeWindow(nodes=("0",), start=1e6, end=2e6)


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
    windows = [FAR_AWAY] if tell == "engine beside windows" else []
    return told(schedule(jobs, site, policy, until=until, tenants=Tenants.of(tenants), windows=windows))


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


Ran = tuple[str, float, int] | tuple[str, float, int, int]
"""Tenant, GPUs and priority of a job that runs, and when it started (0 if not said)."""


def victims(
    tell: str,
    tenants: dict[str, object],
    running: dict[str, Ran],
    incoming: Ran,
    rule: str = "priority",
    *,
    gpus: int | None = None,
    **options: object,
) -> set[str]:
    """Return the names of the jobs that a job which comes at 10 preempts then."""
    rows = []
    for tenant, asked, priority, *since in [*running.values(), (*incoming, 10)]:
        rows.append((*(since or [0]), 100, int(asked), of(tenant, priority=priority)))
    order = sorted(range(len(rows)), key=lambda number: rows[number][0])
    names = [[*running, "incoming"][number] for number in order]
    room = sum(int(each[1]) for each in running.values()) if gpus is None else gpus
    found = fates(tell, workload(*(rows[number] for number in order)), cluster(room), tenants, rule, **options)
    last = names.index("incoming")
    taken = {
        names[row]
        for row, fate in enumerate(found)
        for it in fate.attempts
        if it.cause == last and it.end == 10_000_000
    }
    first = found[last].attempts[0].start if found[last].attempts else None
    assert (first == 10_000_000) or not taken
    return taken


def cohort(reclaim: str = "any", **quotas: float | dict[str, float]) -> dict[str, object]:
    """Return tenants with these nominal quotas, or with these fields."""
    fields = [quota if isinstance(quota, dict) else {"nominal": quota} for quota in quotas.values()]
    return {
        "reclaim": reclaim,
        "tenant": [{"name": name, **each} for name, each in zip(quotas, fields, strict=True)],
    }


def ones(**counts: int) -> dict[str, Ran]:
    """Return so many jobs of one GPU of each tenant: ``a1``, ``a2``, ..."""
    return {f"{name}{number}": (name, 1, 0) for name, count in counts.items() for number in range(1, count + 1)}


def of_sizes(**sizes: list[int]) -> dict[str, Ran]:
    return {f"{name}{number}": (name, size, 0) for name, given in sizes.items() for number, size in enumerate(given, 1)}
