"""Engine against reference where partitions and QOS have lists of whom they may preempt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Limit, Tenants
from oracle.comparing import FEWER, compare
from oracle.test_joint import closing, jobs_of, policy_of
from oracle.test_schedules import checked
from strategies import crowded_sites


def with_lists(data: st.DataObject, policy: Policy) -> Policy:
    """Give some names lists of names of lower tiers, most of which there are."""
    tiers = policy.preemption.tiers
    lists = {}
    for name in data.draw(st.lists(st.sampled_from(sorted(tiers)), min_size=1, max_size=6, unique=True)):
        lower = [other for other in [*tiers, "none"] if tiers.get(other, 0) < tiers[name]]
        lists[name] = tuple(other for other in lower if data.draw(st.integers(0, 2)))
    return replace(policy, preemption=replace(policy.preemption, preempts=lists))


@pytest.mark.parametrize("variant", ["none", "fit", "easy-nodes", "easy-counts", "slurm", "slurm-bounded"])
@pytest.mark.parametrize("order", ["fifo", "multifactor"])
@pytest.mark.parametrize("rule", ["partition", "qos"])
def test_lists_leave_out_the_candidates_that_the_reference_leaves_out(rule, order, variant):
    def check(data: st.DataObject) -> None:
        site = data.draw(crowded_sites(), label="cluster")
        jobs = jobs_of(data, site, 1, shared=False)
        policy = with_lists(data, policy_of(data, rule, variant, order, 1))
        limits = Tenants(limits=(Limit(each=("user",), jobs=data.draw(st.integers(1, 4))),))
        more: dict[str, object] = {"tenants": limits if data.draw(st.booleans()) else NO_TENANTS}
        more["windows"] = closing(data, jobs, site, 1) if data.draw(st.booleans()) else []
        compare(jobs, site, policy, 0, None, **more)

    checked(f"lists {rule} {order} {variant}", FEWER, check)
