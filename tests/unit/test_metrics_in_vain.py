"""What a run says of its policy and of its quotas where they change nothing, or cannot be kept."""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.experiment import simulate
from gpuyard.metrics.in_vain import in_vain
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Tenant, Tenants

JOBS = workload(
    (0, 10, 1, {"tenant": "steel", "user": "anna", "qos": "normal", "priority": 2}),
    (0, 10, 1, {"tenant": "bio", "user": "bob", "qos": None, "priority": 2}),
)
URGENT = workload((0, 10, 1, {"priority": 2}), (0, 10, 1, {"priority": None}))


def overpromised(tenants: Tenants, site: Cluster) -> list[str]:
    return in_vain(Policy(), tenants, JOBS, site)


def said(**given: object) -> list[str]:
    return in_vain(Policy(**given), NO_TENANTS, JOBS, cluster(4))


def test_priority_decides_nothing_where_all_jobs_have_the_same():
    line = "Preemption goes by priority, and all jobs have the same one: no job is more urgent than another."
    assert said(preemption="priority") == [line]
    assert in_vain(Policy(preemption="priority"), NO_TENANTS, URGENT, cluster(4)) == []
    assert in_vain(Policy(preemption="priority"), NO_TENANTS, workload(), cluster(4)) == []
    assert line in simulate(JOBS, cluster(4), policy=Policy(preemption="priority")).summary()["warnings"]


def test_tiers_decide_nothing_where_no_job_has_one():
    assert said(preemption={"rule": "qos", "tiers": {"high": 2}}) == [
        "Preemption goes by tiers, and no job is of a QOS that has one: no job is more urgent than another."
    ]
    assert said(preemption={"rule": "partition", "tiers": {"high": 2}})[0].startswith(
        "Preemption goes by tiers, and no job is of a partition that has one"
    )
    assert said(preemption={"rule": "qos", "tiers": {"high": 2, "normal": 1}}) == []


def test_a_weight_without_factors_and_factors_without_a_weight():
    assert said(order="multifactor", weights={"qos": 5}) == [
        "The weight 'qos' changes nothing: no QOS has a factor in [policy.qos]."
    ]
    assert said(order="multifactor", partitions={"main": 5}) == [
        "The factors in [policy.partitions] change nothing: the weight 'partition' is 0."
    ]
    assert said(order="multifactor", weights={"qos": 5}, qos={"normal": 1}) == []
    assert said(order="multifactor") == said() == []


@pytest.mark.parametrize(("reclaim", "preemption", "lines"), [
    ("fair", "none", 1), ("lower", "none", 1), ("any", "none", 0), ("never", "none", 0), ("fair", "reclaim", 0),
])  # fmt: skip
def test_reclaim_without_preemption_takes_nothing_back(reclaim: str, preemption: str, lines: int):
    tenants = Tenants(tenants=(Tenant(name="steel", nominal=1),), reclaim=reclaim)
    told = in_vain(Policy(preemption=preemption), tenants, JOBS, cluster(4))
    assert [line.startswith(f"Nothing is taken back (reclaim = {reclaim})") for line in told] == [True] * lines


def test_quotas_that_come_to_more_than_there_is():
    two = (Tenant(name="steel", nominal=3), Tenant(name="steel/vision", nominal=1.5))
    assert overpromised(Tenants(tenants=two, nominal=0.5), cluster(5)) == []
    assert overpromised(Tenants(tenants=two, nominal=1), cluster(5)) == [
        "Nominal quotas come to 5.5 GPUs, and the cluster has 5: not all of them can be used at once."
    ]
    assert overpromised(NO_TENANTS, cluster(5)) == []
    typed = cluster(("A", 4), ("B", 2))
    quotas = (Tenant(name="steel", nominal={"A": 4, "B": 1}), Tenant(name="bio", nominal={"B": 2}))
    assert overpromised(Tenants(tenants=quotas), typed) == [
        "Nominal quotas come to 3 GPUs of type B, and the cluster has 2: not all of them can be used at once."
    ]


def test_more_to_lend_than_there_is_in_the_quota():
    line = "'lend' of tenant steel, 5 GPUs, bounds nothing: its quota, with those below it, is 4 GPUs."
    below = Tenant(name="steel/vision", nominal=1, lend=1)
    assert overpromised(Tenants(tenants=(Tenant(name="steel", nominal=3, lend=5), below)), cluster(8)) == [line]
    assert overpromised(Tenants(tenants=(Tenant(name="steel", nominal=3, lend=4), below)), cluster(8)) == []
    typed = Tenants(tenants=(Tenant(name="steel", nominal={"A": 4}, lend={"A": 4, "B": 1}),))
    assert overpromised(typed, cluster(("A", 4), ("B", 2))) == [
        "'lend' of tenant steel, 1 GPU of type B, bounds nothing: its quota, with those below it, is 0 GPUs of type B."
    ]
    unbounded = Tenants(tenants=(Tenant(name="steel", lend=5),))  # without quotas another sentence says it
    assert overpromised(unbounded, cluster(8)) == []
