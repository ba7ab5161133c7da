"""In long overload tenants hold GPUs in proportion to their weights, with a confidence band over independent runs."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.workload import MICROSECOND

pytestmark = [
    pytest.mark.theory,
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="long runs need compiled code"),
]

WEIGHTS = {"steel": 3.0, "wood": 2.0, "paper": 1.0}
DUE = {"steel": 1 / 2, "wood": 1 / 3, "paper": 1 / 6}
SIZES = {"steel": (1, 2, 4, 8), "wood": (1,), "paper": (2, 4)}
"""GPUs of each tenant's jobs, equally often."""
POOL, NODES = cluster(96), cluster(*[8] * 12)
"""All GPUs on one node, so that nobody waits for GPUs that lie together; and as many on nodes of 8."""
LOAD = 0.8
"""Of the whole cluster, for each tenant: more than any is due, 2.4 clusters in all."""
MEAN_S, STOP_S, RUNS = 100.0, 6_000.0, 12
STUDENT = {6: 4.032, 12: 3.106}
"""99 % of a t distribution, both sides, for so many runs."""


def shares(
    seed: int, site: Cluster, policy: Policy, sizes: dict[str, tuple[int, ...]], **shared: object
) -> dict[str, float]:
    """Return the shares of GPU time that tenants held from 1,000 s on, from an empty cluster.

    Jobs of these sizes come one after the other at exponential intervals and take an exponential time.
    """
    random = np.random.default_rng(seed)
    rows = []
    for name, gpus in sizes.items():
        jobs = round(LOAD * site.gpus * STOP_S / (MEAN_S * float(np.mean(gpus))))
        comes = np.cumsum(random.exponential(STOP_S / jobs, jobs))
        times = zip(comes.tolist(), random.exponential(MEAN_S, jobs).tolist(), strict=True)
        rows += [(at, run + 1e-6, int(random.choice(gpus)), {"tenant": name}) for at, run in times]
    record = schedule(workload(*rows), site, policy, until=STOP_S, tenants=Tenants(**shared))
    return held_between(record, 1_000.0, STOP_S)


def held_between(record: Record, start: float, stop: float) -> dict[str, float]:
    code, names = record.workload.labels("tenant")
    ends = (round(start * MICROSECOND), round(stop * MICROSECOND))
    time = np.clip(record.attempt_end, *ends) - np.clip(record.attempt_start, *ends)
    job = record.attempt_job
    held = np.bincount(code[job], weights=time * record.workload.gpus[job])
    return dict(zip(names, (held / held.sum()).tolist(), strict=True))


def by_weight(gpus: int, **choices: object) -> dict[str, object]:
    """Return tenants who own nothing and borrow all, by their weights."""
    tenants = tuple(Tenant(name=name, weight=weight) for name, weight in WEIGHTS.items())
    return {"tenants": tenants, "nominal": gpus, **choices}


def check(found: list[dict[str, float]], within: float) -> None:
    """Compare the mean of the runs with what is due, give or take the confidence band and so much."""
    for name, due in DUE.items():
        runs = np.array([each[name] for each in found])
        band = STUDENT[len(runs)] * float(runs.std(ddof=1)) / len(runs) ** 0.5
        assert band < 0.01, (name, band)
        assert abs(float(runs.mean()) - due) < band + within, (name, float(runs.mean()), due, band)


@pytest.mark.parametrize("between", ["fair", "queue"])
def test_what_is_taken_back_gives_shares_that_converge_to_the_weights(between):
    """Whatever sizes the tenants' jobs have, and whoever's turn it is."""
    policy = Policy(backfill="fit", preemption=Preemption(rule="reclaim"))
    shared = by_weight(96, between=between, reclaim="fair")
    check([shares(seed, POOL, policy, SIZES, **shared) for seed in range(RUNS)], within=0.005)


@pytest.mark.parametrize("gpus", [96, 384])
def test_with_strict_queues_they_do_but_for_the_size_of_a_job(gpus):
    """Whoever is due less than 8 GPUs more cannot take them for a job of 8: less of a share on a larger cluster."""
    policy = Policy(backfill="none", preemption=Preemption(rule="reclaim"))
    shared = by_weight(gpus, between="fair", reclaim="fair")
    runs = RUNS if gpus == 96 else RUNS // 2
    check([shares(seed, cluster(gpus), policy, SIZES, **shared) for seed in range(runs)], within=3 / gpus)


def test_quotas_in_proportion_are_all_that_each_holds():
    """Everybody misses his own all the time, and takes it back."""
    quotas = tuple(Tenant(name=name, nominal=96 * due) for name, due in DUE.items())
    policy = Policy(backfill="fit", preemption=Preemption(rule="reclaim"))
    check([shares(seed, POOL, policy, SIZES, tenants=quotas, reclaim="any") for seed in range(RUNS)], within=0.005)
    scattered = shares(0, NODES, policy, SIZES, tenants=quotas, reclaim="any")
    assert scattered["steel"] < DUE["steel"] - 0.05, "what HiveD is for: its GPUs are there, and lie scattered"


@pytest.mark.parametrize("between", ["drf", "fair"])
def test_turns_alone_do_where_all_jobs_are_of_one_size(between):
    alike = dict.fromkeys(DUE, (2,))
    policy, shared = Policy(backfill="none"), by_weight(96, between=between)
    check([shares(seed, POOL, policy, alike, **shared) for seed in range(RUNS)], within=0.005)


def test_turns_alone_do_not_where_small_jobs_fill_every_gap():
    found = shares(0, POOL, Policy(backfill="fit"), SIZES, **by_weight(96, between="drf"))
    assert found["wood"] > DUE["wood"] + 0.1
    assert found["steel"] < DUE["steel"] - 0.1
