"""Engine against reference: the plan of slurm beside preemption, tenants, scores and windows, attempt by attempt.

``-k "srtf and bounded"`` chooses cases; a fifth of ``GPUYARD_EXAMPLES`` workloads are tried for each.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from gpuyard.tenancy import RECLAIMS
from oracle.comparing import FEWER
from oracle.test_constraints import partitions, windows
from oracle.test_fair_share import scales
from oracle.test_joint import OWN_ORDERS, SCORES, agree, closing, in_partitions, jobs_of, policy_of, with_names
from oracle.test_preemption import PLACEMENTS, URGENT
from oracle.test_schedules import checked
from reference import RULES
from strategies import clusters, crowded_sites, ranked, workloads
from tenant_strategies import tenants

VARIANTS = ("slurm", "slurm-bounded")
ORDERS = ("fifo", "fifo", "sjf", "priority", *SCORES)


def orders_of(rule: str) -> tuple[str, ...]:
    return ("fifo",) if rule in OWN_ORDERS else ORDERS


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", URGENT)
def test_preemption(rule, variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(scales(variant), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        policy = policy_of(data, rule, variant, data.draw(st.sampled_from(orders_of(rule))), scale)
        jobs = jobs_of(data, site, scale, shared=False)
        closed = closing(data, jobs, site, scale) if data.draw(st.booleans()) else []
        agree(data, jobs, site, policy, scale, closed=closed)

    checked(f"slurm beside {rule} {variant}", 2 * FEWER, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_placement(placement, variant):
    def check(data: st.DataObject) -> None:
        rule = data.draw(st.sampled_from(["priority", "qos", "srtf", "las"]))
        site = data.draw(clusters(6), label="cluster")
        order = data.draw(st.sampled_from(orders_of(rule)))
        policy = policy_of(data, rule, variant, order, 1, placement=placement)
        jobs = with_names(data, data.draw(ranked(data.draw(workloads(site, 14)))))
        agree(data, jobs, site, policy, 1, closed=data.draw(st.just([]) | windows(site.nodes, 1)))

    checked(f"slurm beside {placement} {variant}", FEWER, check)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", ["priority", "partition", "qos", "2d-las", "srsf"])
def test_partitions_with_nodes(rule, variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(scales(variant), label="scale")
        site = data.draw(crowded_sites() | clusters(6), label="cluster")
        jobs = in_partitions(data, jobs_of(data, site, scale, shared=False))
        policy = policy_of(data, rule, variant, data.draw(st.sampled_from(orders_of(rule))), scale)
        if rule == "partition":
            policy = replace(policy, preemption=replace(policy.preemption, tiers={"debug": 2, "all": 1}))
        agree(data, jobs, site, policy, scale, closed=data.draw(partitions(site.nodes), label="partitions"))

    checked(f"slurm beside partitions {rule} {variant}", FEWER, check)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", ["none", *RULES])
def test_tenants(rule, reclaim, variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(scales(variant), label="scale")
        site = data.draw(crowded_sites() | clusters(6), label="cluster")
        jobs = jobs_of(data, site, scale, shared=True)
        closed = []
        if data.draw(st.integers(0, 3)) == 0:
            closed = closing(data, jobs, site, scale)
        elif data.draw(st.integers(0, 3)) == 0:
            closed = data.draw(partitions(site.nodes))
            jobs = in_partitions(data, jobs)
        policy = policy_of(data, rule, variant, data.draw(st.sampled_from(orders_of(rule))), scale)
        shared = data.draw(tenants(site, reclaim=reclaim), label="tenants")
        agree(data, jobs, site, policy, scale, shared=shared, closed=closed)

    checked(f"slurm beside tenants {rule} {reclaim} {variant}", FEWER, check)


@pytest.mark.parametrize("reclaim", ["any", "lower", "fair"])
@pytest.mark.parametrize("rule", ["priority", "2d-las", "reclaim"])
def test_tenants_who_are_promised_more_than_there_is(rule, reclaim):
    """Quotas admit jobs that lack GPUs, so that these are planned, with what they may take back."""

    def check(data: st.DataObject) -> None:
        scale = data.draw(scales("slurm-bounded"), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        jobs = jobs_of(data, site, scale, shared=True)
        policy = policy_of(data, rule, "slurm-bounded", data.draw(st.sampled_from(["fifo", "sjf", "wfp"])), scale)
        shared = data.draw(tenants(site, kind="numbers", reclaim=reclaim), label="tenants")
        agree(data, jobs, site, policy, scale, shared=replace(shared, nominal=2 * site.gpus))

    checked(f"slurm beside more {rule} {reclaim}", 5 * FEWER, check)
