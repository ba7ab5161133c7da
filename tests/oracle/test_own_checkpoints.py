"""Engine against reference where jobs have a `checkpoint_interval` of their own, for every rule."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from gpuyard.policy import Policy
from gpuyard.tenancy import RECLAIMS
from gpuyard.workload import Workload
from oracle.comparing import FEWER, compare
from oracle.test_schedules import checked
from reference import RULES
from strategies import crowded_sites, crowded_workloads, preemptive_policies, ranked
from tenant_strategies import owned, tenants


def with_checkpoints(data: st.DataObject, jobs: Workload, policy: Policy, scale: float) -> Workload:
    """Give jobs intervals of their own: none, nothing lost, some, and longer than any job where that gets on."""
    given = policy.preemption
    slices = given.rule == "time-slice" or (given.promote is not None and given.max_preemptions is None)
    spare = round((given.final_slice - given.restart_cost - given.checkpoint_cost) / scale) if slices else 5
    spare = 0 if slices and given.rule != "time-slice" else spare
    choices = [None, 0, *range(1, min(spare, 5)), *([] if slices else [1000])]
    rows = jobs.table.to_pylist()
    for row in rows:
        own = data.draw(st.sampled_from(choices))
        row["checkpoint_interval"] = None if own is None else own * scale
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@pytest.mark.parametrize("backfill", ["fit", "easy"])
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "reclaim"])
def test_engine_and_reference_save_alike(rule, backfill):
    def one(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(ranked(data.draw(crowded_workloads(site, scale)), scale))
        policy = data.draw(preemptive_policies(rule, scale, backfill=backfill), label="policy")
        compare(with_checkpoints(data, jobs, policy, scale), site, policy, 0, None)

    checked(f"own checkpoints {rule} {backfill}", FEWER, one)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", ["reclaim", "priority", "srtf", "las"])
def test_engine_and_reference_save_alike_among_tenants(rule, reclaim):
    def one(data: st.DataObject) -> None:
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(owned(data.draw(ranked(data.draw(crowded_workloads(site, 1))))))
        policy = data.draw(preemptive_policies(rule, backfill="fit"), label="policy")
        shared = data.draw(tenants(site, reclaim=reclaim), label="tenants")
        compare(with_checkpoints(data, jobs, policy, 1), site, policy, 0, None, tenants=shared)

    checked(f"own checkpoints of tenants {rule} {reclaim}", FEWER, one)
