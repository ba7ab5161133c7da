"""Engine against reference: scores, easy and windows beside preemption and tenants, attempt by attempt.

``-k "srtf and easy"`` chooses cases; a fifth of ``GPUYARD_EXAMPLES`` workloads are tried for each.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, RECLAIMS, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import FEWER, compare
from oracle.test_commissioning import commissionings
from oracle.test_constraints import in_arrays, partitions, recorded, windows
from oracle.test_preemption import PLACEMENTS, URGENT
from oracle.test_schedules import checked
from oracle.test_tenants import scales
from reference import RULES
from strategies import (
    clusters,
    crowded_sites,
    crowded_workloads,
    fair_policies,
    policies,
    preemptions,
    ranked,
    workloads,
)
from tenant_strategies import owned, tenants

VARIANTS = ("none", "fit", "easy-nodes", "easy-counts")
OWN_ORDERS = {"srtf", "srsf", "time-slice"}
"""Rules that are orders of their own."""
SCORES = ("wfp", "unicef", "themis", "multifactor", "fair")


def orders_beside(rule: str, variant: str) -> tuple[str, ...]:
    """Return orders with which a rule needs the loop that has all together."""
    if rule in OWN_ORDERS:
        return ("fifo",)
    return SCORES if variant in ("none", "fit") else (*SCORES, "fifo", "sjf", "priority")


def policy_of(data: st.DataObject, rule: str, variant: str, order: str, scale: float, **fixed: object) -> Policy:
    """Return a policy with this rule, ``none`` for no preemption, and everything else drawn."""
    drawn = fair_policies(variant, scale) if order == "fair" else policies(variant, scale, order=order, **fixed)
    policy = data.draw(drawn, label="policy")
    if rule == "none":
        return policy
    return replace(policy, preemption=data.draw(preemptions(rule, scale), label="preemption"), **fixed)


def jobs_of(data: st.DataObject, site: Cluster, scale: float, *, shared: bool) -> Workload:
    jobs = data.draw(ranked(data.draw(crowded_workloads(site, scale)), scale))
    jobs = data.draw(owned(jobs)) if shared else with_names(data, jobs)
    return data.draw(in_arrays(jobs)) if data.draw(st.integers(0, 4)) == 0 else jobs


def with_names(data: st.DataObject, jobs: Workload) -> Workload:
    """Give the jobs users and tenants, of which windows invite some."""
    rows = jobs.table.to_pylist()
    for number, row in enumerate(rows):
        row["user"] = "ann" if number == 0 else data.draw(st.sampled_from([None, "ann", "bob"]))
        row["tenant"] = "blue" if number == 0 else data.draw(st.sampled_from([None, "blue", "blue/sky", "red"]))
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


def agree(
    data: st.DataObject,
    jobs: Workload,
    site: Cluster,
    policy: Policy,
    scale: float,
    *,
    shared: Tenants = NO_TENANTS,
    closed: list[NodeWindow] | None = None,
) -> None:
    """Compare with any seed and stop, and now and then with a beginning in the middle."""
    run_seed = data.draw(st.integers(0, 3), label="seed")
    begin = None
    if data.draw(st.integers(0, 4)) == 0:
        jobs, begin = data.draw(recorded(jobs, scale), label="recorded"), data.draw(st.integers(0, 8)) * scale
    until = data.draw(st.none() | st.none() | st.integers(8, 20).map(lambda at: at * scale), label="until")
    compare(jobs, site, policy, run_seed, until, begin=begin, tenants=shared, windows=closed or [])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", URGENT)
def test_preemption_beside_scores_and_easy(rule, variant):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        order = data.draw(st.sampled_from(orders_beside(rule, variant)))
        policy = policy_of(data, rule, variant, order, scale)
        agree(data, jobs_of(data, site, scale, shared=False), site, policy, scale)

    checked(f"joint {rule} {variant}", FEWER, check)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", URGENT)
def test_preemption_beside_windows(rule, variant):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        order = data.draw(st.sampled_from([*orders_beside(rule, variant), "fifo"]))
        policy = policy_of(data, rule, variant, order, scale)
        jobs = jobs_of(data, site, scale, shared=False)
        agree(data, jobs, site, policy, scale, closed=closing(data, jobs, site, scale))

    checked(f"joint windows {rule} {variant}", FEWER, check)


def closing(data: st.DataObject, jobs: Workload, site: Cluster, scale: float) -> list[NodeWindow]:
    """Return windows that invite nobody but users and tenants of jobs, nodes that come later, or both."""
    closed = data.draw(windows(site.nodes, scale), label="windows") if data.draw(st.integers(0, 3)) else []
    names = set(jobs.table["user"].to_pylist()) | set(jobs.table["tenant"].to_pylist())
    closed = [each for each in closed if not {*each.users, *each.tenants} - names]
    return closed + (data.draw(commissionings(site.nodes, scale)) if data.draw(st.integers(0, 3)) == 0 else [])


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_placement(placement, variant):
    def check(data: st.DataObject) -> None:
        rule = data.draw(st.sampled_from(["priority", "qos", "srtf", "las"]))
        site = data.draw(clusters(6), label="cluster")
        order = data.draw(st.sampled_from(orders_beside(rule, variant)))
        policy = policy_of(data, rule, variant, order, 1, placement=placement)
        jobs = with_names(data, data.draw(ranked(data.draw(workloads(site, 14)))))
        agree(data, jobs, site, policy, 1, closed=data.draw(st.just([]) | windows(site.nodes, 1)))

    checked(f"joint {placement} {variant}", FEWER, check)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", ["priority", "partition", "qos", "2d-las", "srsf"])
def test_preemption_beside_partitions_with_nodes(rule, variant):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites() | clusters(6), label="cluster")
        jobs = in_partitions(data, jobs_of(data, site, scale, shared=False))
        order = data.draw(st.sampled_from([*orders_beside(rule, variant), "fifo"]))
        policy = policy_of(data, rule, variant, order, scale)
        if rule == "partition":
            policy = replace(policy, preemption=replace(policy.preemption, tiers={"debug": 2, "all": 1}))
        agree(data, jobs, site, policy, scale, closed=data.draw(partitions(site.nodes), label="partitions"))

    checked(f"joint partitions {rule} {variant}", FEWER, check)


def in_partitions(data: st.DataObject, jobs: Workload) -> Workload:
    rows = jobs.table.to_pylist()
    for row in rows:
        row["partition"] = data.draw(st.sampled_from(["debug", "all", None]))
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", ["none", *RULES])
def test_tenants_beside_scores_easy_and_windows(rule, reclaim, variant):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites() | clusters(6), label="cluster")
        jobs = jobs_of(data, site, scale, shared=True)
        closed = []
        if data.draw(st.booleans()):
            closed = closing(data, jobs, site, scale)
        elif data.draw(st.booleans()):
            closed = data.draw(partitions(site.nodes))
            jobs = in_partitions(data, jobs)
        order = data.draw(st.sampled_from(orders_beside(rule, variant)))
        policy = policy_of(data, rule, variant, order, scale)
        shared = data.draw(tenants(site, reclaim=reclaim), label="tenants")
        agree(data, jobs, site, policy, scale, shared=shared, closed=closed)

    checked(f"joint tenants {rule} {reclaim} {variant}", FEWER, check)
