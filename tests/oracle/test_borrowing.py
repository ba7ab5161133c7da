"""Engine against reference where jobs take from other tenants to borrow themselves: the identical attempts.

``-k "partition and slurm"`` chooses cases; ``GPUYARD_EXAMPLES`` sets the number of workloads for each.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from conftest import cluster
from gpuyard.preemption import RANKED
from gpuyard.tenancy import BETWEEN, Tenants
from oracle.comparing import EXAMPLES, FEWER, compare
from oracle.test_joint import agree, closing, in_partitions, jobs_of, orders_beside, policy_of
from oracle.test_schedules import checked
from oracle.test_slurm_beside import VARIANTS as PLANNED
from oracle.test_tenants import scales
from reference import RULES
from strategies import clusters, crowded_sites, preemptive_policies
from tenant_strategies import lenders, lent_to, tenants

RANKS = tuple(rule for rule in RULES if rule != "reclaim")
"""Rules under which somebody is more urgent than another."""
VARIANTS = ("none", "fit", "easy-nodes", "easy-counts", *PLANNED)


def borrowing(data: st.DataObject, shared: Tenants, rule: str) -> Tenants:
    """Return tenants whose jobs also take to borrow; under a rule with ranks often with a threshold."""
    most = data.draw(st.none() | st.integers(-2, 3), label="threshold") if rule in RANKED else None
    return replace(shared, borrow_within="lower", borrow_threshold=most)


@pytest.mark.parametrize("reclaim", ["any", "lower"])
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("rule", ["priority", "2d-las", "srtf"])
def test_those_who_take_to_borrow_have_the_attempts_of_the_reference(rule, between, reclaim):
    """Quotas are about what there is, and all may be lent, so that much is borrowed and taken."""

    def check(data: st.DataObject) -> None:
        gpus = data.draw(st.sampled_from([2, 4, 6, 8]))
        shared = data.draw(lenders(gpus, between=between, reclaim=reclaim), label="tenants")
        jobs = data.draw(lent_to(shared), label="workload")
        policy = data.draw(preemptive_policies(rule), label="policy")
        compare(jobs, cluster(gpus), policy, 0, None, tenants=borrowing(data, shared, rule))

    checked(f"taking to borrow {rule} {between} {reclaim}", EXAMPLES, check)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", RANKS)
def test_they_go_with_scores_plans_and_windows(rule, variant):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites() | clusters(6), label="cluster")
        jobs = jobs_of(data, site, scale, shared=True)
        closed = []
        if data.draw(st.booleans()):
            closed = closing(data, jobs, site, scale)
        elif rule != "partition" and data.draw(st.booleans()):
            jobs = in_partitions(data, jobs)
        policy = policy_of(
            data, rule, variant, data.draw(st.sampled_from([*orders_beside(rule, variant), "fifo"])), scale
        )
        shared = data.draw(tenants(site, reclaim=data.draw(st.sampled_from(["any", "lower"]))), label="tenants")
        agree(data, jobs, site, policy, scale, shared=borrowing(data, shared, rule), closed=closed)

    checked(f"taking to borrow beside {rule} {variant}", FEWER, check)
