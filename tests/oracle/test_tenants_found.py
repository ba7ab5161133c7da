"""Workloads on which engine and reference have differed, as small as they could be made; and why jobs are rejected."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenant, Tenants
from oracle.comparing import EXAMPLES, compare
from oracle.test_schedules import checked
from reference import Room, Rule, place, read
from reference.tenants import Tenancy
from strategies import crowded_sites, crowded_workloads
from tenant_strategies import owned, tenants

LAS = {"rule": "las", "thresholds": (), "victims": "least-lost"}
SITES = (("none", "first-fit"), ("fit", "first-fit"), ("none", "rail-aligned"), ("none", "spread"))
BY_QUOTA, BY_LIMIT = "asks for more GPUs than its tenant may ever have", "asks for more than a limit ever admits"


def agree(rows: list[tuple], gpus: int, shared: Tenants, preemption: dict[str, object]) -> None:
    """Compare on jobs of (submit_time, runtime, GPUs, priority, tenant) on one node."""
    jobs = workload(*((at, run, asked, {"priority": high, "tenant": owner}) for at, run, asked, high, owner in rows))
    for backfill, placement in SITES:
        policy = Policy(backfill=backfill, placement=placement, preemption=preemption)
        compare(jobs, cluster(gpus), policy, 0, None, tenants=shared)


def test_a_victim_whose_lane_stands_aside_is_lined_up_once():
    """The engine never came to an end."""
    rows = [(0, 6, 2, 0, "red"), (2, 17, 2, 1, "red/rose"), (3, 7, 2, 1, "green"), (3, 2, 2, -1, "red/rose")]
    quotas = (Tenant(name="green", nominal=2, borrow=1), Tenant(name="red", nominal=4), Tenant(name="blue", nominal=1))
    agree([*rows, (5, 5, 2, -1, "red")], 8, Tenants(tenants=(*quotas, Tenant(name="red/rose", nominal=0))), LAS)


def test_a_round_that_goes_on_after_a_victim_is_lined_up_does_not_run_out_of_room():
    rows = [(0, 20, 2, 0, "sky"), (0, 20, 2, 0, "sky"), (5, 15, 2, 0, "sky"), (6, 20, 2, 0, "green")]
    quotas = (Tenant(name="red", nominal=4.5), Tenant(name="sky", nominal=1), Tenant(name="green", nominal=2))
    terms = {**LAS, "promote": 0.25, "max_preemptions": 2, "checkpoint_interval": None}
    agree([*rows, (11, 9, 2, 0, "red")], 8, Tenants(tenants=quotas), terms)


def test_shares_that_change_let_in_who_is_first_then():
    """Under dominant shares, jobs that their quota held were left waiting for ever."""
    rows = [(0, 18, 3, 1, "red"), (0, 11, 2, 1, "red"), (0, 15, 1, 0, "red"), (0, 5, 3, 1, "red"), (1, 7, 2, 0, "red")]
    rows += [(5, 17, 1, 1, "sky"), (6, 16, 3, 0, "sky"), (12, 12, 2, 1, "red")]
    quotas = (Tenant(name="sky", nominal=2.5), Tenant(name="red", nominal=2.5))
    agree(rows, 4, Tenants(tenants=quotas, between="drf", nominal=1), {"rule": "priority"})


def test_reclaim_by_trial_comes_to_an_end():
    rows = [(1, 5, 1, 1, "sky"), (2, 8, 1, 0, "sea"), (2, 15, 3, 1, "sea"), (3, 10, 1, 1, "green"), (4, 6, 3, 0, "red")]
    quotas = (Tenant(name="red", nominal=4.5, lend=1), Tenant(name="sky", nominal=4), Tenant(name="sea", nominal=0))
    shared = Tenants(tenants=(*quotas, Tenant(name="green", nominal=1)), between="drf", nominal=4)
    terms = {"rule": "reclaim", "victims": "least-lost", "min_run": 2, "checkpoint_interval": 4, "checkpoint_cost": 1}
    agree([*rows, (4, 16, 2, -1, "sky"), (4, 13, 1, 1, "sky")], 8, shared, terms)


def test_a_claim_is_tried_in_the_round_after_a_victim_has_joined_a_lane_that_stood_aside():
    """The victim asks for what the claim asks for, and that was taken for having been tried."""
    red, asking = {"tenant": "red"}, {"cpus": 1.0}
    jobs = workload(
        (0, 7, 1, red | asking),
        (0, 1, 2, red | {"time_limit": 6}),
        (0, 9, 1, red),
        (0, 5, 1),
        (0, 1, 1, asking),
        (0, 7, 1, red),
        (1, 4, 1),
    )
    quotas = (Tenant(name="red", nominal=1), Tenant(name="sky", nominal=1))
    shared = Tenants(tenants=quotas, reclaim="fair", nominal=2.5)
    policy = Policy(order="ljf", preemption={"rule": "reclaim"})
    compare(jobs, cluster(2, 2, cpus=[6, 6]), policy, 0, None, tenants=shared)


@pytest.mark.parametrize("reclaim", ["any", "lower", "fair"])
@pytest.mark.parametrize("rule", ["reclaim", "priority"])
def test_who_had_a_turn_is_not_tried_again_when_somebody_borrows_in_the_same_round(rule: str, reclaim: str):
    """A start gives red a larger share than sea has: red's first job stands behind the job by which sea borrows."""
    rows = [(0, 100, 8, 0, "sea"), (5, 10, 10, 1, "red"), (5, 3, 1, 1, "red"), (5, 7, 1, 1, "sea"), (9, 5, 1, 1, "sea")]
    quotas = (Tenant(name="red", nominal=30, weight=0.01), Tenant(name="sea", nominal=8))
    agree(rows, 16, Tenants(tenants=quotas, between="drf", reclaim=reclaim), {"rule": rule})


def test_who_was_let_in_at_a_quota_lets_in_the_next_when_another_job_comes_first_in_its_queue():
    """The second to be held there was left waiting until something else ended."""
    rows = [(0, 5, 2, 0, "sky"), (0, 9, 2, 0, "sky"), (1, 3, 2, 0, "red"), (1, 3, 2, 0, "sea"), (5, 3, 3, 5, "red")]
    jobs = workload(*((at, run, asked, {"priority": high, "tenant": owner}) for at, run, asked, high, owner in rows))
    quotas = (Tenant(name="red", nominal=1), Tenant(name="sea", nominal=1), Tenant(name="sky", nominal=2))
    for preemption in ({}, {"rule": "reclaim"}):
        compare(
            jobs, cluster(8), Policy(order="priority", preemption=preemption), 0, None, tenants=Tenants(tenants=quotas)
        )


def test_a_claim_is_tried_again_when_time_has_changed_who_would_be_taken_first():
    """Until then those who lose least leave no two GPUs on one node before their tenant is within its quota."""
    green, red = {"tenant": "green", "preemptible": False}, {"tenant": "red"}
    jobs = workload(
        (0, 20, 1, red), (0, 20, 1, red), (0, 20, 1, green), (1, 20, 1, red), (2, 5, 2, green), (3, 5, 1, red)
    )
    quotas = (Tenant(name="green", nominal=3), Tenant(name="red", nominal=1))
    terms = {"rule": "reclaim", "victims": "least-lost", "checkpoint_interval": 3, "checkpoint_cost": 0}
    for backfill, placement in SITES[:2]:
        policy = Policy(backfill=backfill, placement=placement, preemption=terms)
        compare(jobs, cluster(2, 2), policy, 0, None, tenants=Tenants(tenants=quotas))


def test_the_submission_of_a_rejected_job_is_no_instant_at_which_something_is_taken_back():
    rows = [(0, 3, 2, 0, "red"), (0, 1, 1, 0, "sky"), (1, 1, 5, 0, "red")]
    agree(rows, 2, Tenants(tenants=(Tenant(name="sky", nominal=2),)), {"rule": "reclaim"})


@pytest.mark.parametrize("kind", ["none", "numbers", "types"])
def test_jobs_are_rejected_for_the_reason_that_keeps_them_out(kind):
    """By a limit, or by the quota of the tenant; who could not be placed either is rejected for that."""

    def check(data: st.DataObject) -> None:
        site = data.draw(crowded_sites(), label="site")
        jobs = data.draw(owned(data.draw(crowded_workloads(site, 1))), label="jobs")
        shared, policy = data.draw(tenants(site, kind), label="tenants"), Policy()
        record = schedule(jobs, site, policy, tenants=shared)
        tenancy, empty = Tenancy.of(shared, site), Room(site, [])
        for job in read(jobs, policy):
            reason = record.reject_reasons[record.reject_reason[job.row]]
            if place(empty, job, Rule(placement="best-fit", seed=0)) is None or job.runtime is None:
                assert reason not in {BY_QUOTA, BY_LIMIT}
            elif not tenancy.limits_admit([], job):
                assert reason == BY_LIMIT
            else:
                kept_out = tenancy.find([], empty, job, Rule(placement="best-fit", seed=0)) is None
                assert (reason == BY_QUOTA) == kept_out

    checked(f"reasons {kind}", EXAMPLES, check)


def test_a_job_that_lacks_several_nodes_of_its_own_tenant_makes_room_when_so_many_have_come_free():
    """It does not look again before, and may not miss the moment: two nodes are free at 20, the third is taken back."""
    rows = [(0, 10, 8, 0, "sky"), (0, 20, 8, 0, "sky"), (0, 100, 8, 0, "red"), (0, 200, 8, 2, "red")]
    rows.append((5, 30, 24, 1, "red"))
    jobs = workload(*((at, run, asked, {"priority": high, "tenant": owner}) for at, run, asked, high, owner in rows))
    for reclaim in ("never", "any"):
        shared = Tenants(tenants=tuple(Tenant(name=each) for each in ("sky", "red")), reclaim=reclaim)
        policy = Policy(backfill="fit", preemption={"rule": "priority"})
        compare(jobs, cluster(8, 8, 8, 8), policy, 0, None, tenants=shared)
        record = schedule(jobs, cluster(8, 8, 8, 8), policy, tenants=shared)
        assert record.start[4] == 20_000_000
