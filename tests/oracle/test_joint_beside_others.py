"""The loop that has all together beside the faster loops that have less: where both apply, the identical record.

Nothing else about the loop is told here: what it does where no other applies is compared with the reference elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from gpuyard import jointing, simulation
from gpuyard.cluster import Cluster
from gpuyard.kernel.joint import run_joint
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import RECLAIMS, Limit, Tenants
from gpuyard.workload import Workload
from oracle.comparing import FEWER
from oracle.test_constraints import partitions, windows
from oracle.test_preemption import URGENT
from oracle.test_schedules import checked
from oracle.test_tenants import scales
from reference import RULES
from strategies import (
    clusters,
    crowded_sites,
    crowded_workloads,
    policies,
    preemptive_policies,
    ranked,
    tenanted,
    workloads,
)
from tenant_strategies import owned, tenants

VARIANTS = ("none", "fit", "easy-nodes", "easy-counts")
COLUMNS = (
    "eligible", "start", "end", "outcome", "attempt_job", "attempt_start", "attempt_end", "attempt_reason",
    "slot_offset", "slot_node", "slot_gpus", "slot_gpu", "max_queue",
)  # fmt: skip
LARGE = Tenants(limits=(Limit(jobs=1_000_000),))
"""One tenant and a limit that never binds."""


def assert_same(one: Record, other: Record, *more: str) -> None:
    for name in (*COLUMNS, *more):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


def beside_faster(
    monkeypatch: pytest.MonkeyPatch, jobs: Workload, site: Cluster, policy: Policy, seed: int, shared: Tenants
) -> None:
    """Compare with the loop that would run."""
    expected = schedule(jobs, site, policy, seed=seed, tenants=shared)
    with monkeypatch.context() as patch:
        for module in (simulation, jointing):
            patch.setattr(module, "loop_of", lambda *_, **__: run_joint)
        found = schedule(jobs, site, policy, seed=seed, tenants=shared)
    assert_same(found, expected, *(("attempt_useful", "attempt_cause") if policy.preemption else ()))


@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("rule", URGENT)
def test_preemption_is_the_same(monkeypatch, rule, backfill):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites() | clusters(6), label="cluster")
        jobs = data.draw(ranked(data.draw(crowded_workloads(site, scale)), scale), label="workload")
        policy = data.draw(preemptive_policies(rule, scale, backfill=backfill), label="policy")
        beside_faster(monkeypatch, jobs, site, policy, data.draw(st.integers(0, 3)), Tenants())

    checked(f"joint preemption {rule} {backfill}", FEWER, check)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", ["none", *RULES])
def test_tenants_are_the_same(monkeypatch, rule, reclaim):
    def check(data: st.DataObject) -> None:
        scale = scales(data)
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(owned(data.draw(ranked(data.draw(crowded_workloads(site, scale)), scale))), label="workload")
        backfill = data.draw(st.sampled_from(["none", "fit"]))
        policy = (
            data.draw(policies(scale=scale, variant=backfill, order="sjf"), label="policy")
            if rule == "none"
            else data.draw(preemptive_policies(rule, scale, backfill=backfill), label="policy")
        )
        shared = data.draw(tenants(site, reclaim=reclaim), label="tenants")
        beside_faster(monkeypatch, jobs, site, policy, data.draw(st.integers(0, 3)), shared)

    checked(f"joint tenants {rule} {reclaim}", FEWER, check)


@pytest.mark.parametrize("order", ["fifo", "largest", "wfp", "unicef", "themis", "multifactor"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_without_anybody_more_urgent_it_is_as_without_preemption(variant, order):
    """Either all have one level, or all are of one tenant with a limit that does not bind; with windows or without."""

    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(crowded_sites() | clusters(6), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale) if data.draw(st.booleans()) else workloads(site, 14))
        jobs = data.draw(tenanted(jobs), label="workload")
        policy = data.draw(policies(variant, scale, order=order), label="policy")
        closed = []
        if data.draw(st.booleans(), label="windows"):
            closed = data.draw(windows(site.nodes, scale)) + data.draw(st.just([]) | partitions(site.nodes))
        seed = data.draw(st.integers(0, 3), label="seed")
        expected = schedule(jobs, site, policy, seed=seed, windows=closed, decisions=True)
        level = Preemption(rule="partition", tiers={"nobody": 1})
        shared = data.draw(st.sampled_from(["queue", "drf"]), label="between")
        for more in (
            {"policy": Policy(**{**vars_of(policy), "preemption": level})},
            {"policy": policy, "tenants": Tenants(limits=LARGE.limits, between=shared)},
        ):
            found = schedule(jobs, site, seed=seed, windows=closed, decisions=True, **more)
            assert_same(found, expected)

    checked(f"joint nobody urgent {variant} {order}", FEWER, check)


def vars_of(policy: Policy) -> dict[str, object]:
    return {name: getattr(policy, name) for name in policy.__dataclass_fields__}
