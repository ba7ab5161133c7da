"""Tenants that take from each other round and round, and the bound at which that ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conftest import cluster, workload
from gpuyard.experiment import simulate
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.report.sections import notices
from gpuyard.simulation import schedule
from gpuyard.tenancy import Limit, Tenant, Tenants
from gpuyard.tenanting import with_bound
from oracle.comparing import told
from reference import Fate
from reference import simulate as simulate_slowly

RUN = 50
"""s: work that nobody gets done where attempts are cut short after a second."""


def by_shares() -> tuple[object, ...]:
    """b's small job takes back a's large one, whose place b's other job fills, until a takes it again (``fair``)."""
    jobs = workload(
        (0, RUN, 2, {"tenant": "b"}), (1, RUN, 3, {"tenant": "a"}), (2, RUN, 1, {"tenant": "b"})
    )  # on 3 GPUs
    quotas = (Tenant(name="a", nominal=2, weight=2), Tenant(name="b", nominal=1))
    return jobs, cluster(3), "reclaim", Tenants(tenants=quotas, reclaim="fair")


def by_shares_of_cohorts() -> tuple[object, ...]:
    """The same where shares are compared level by level (``cohorts``)."""
    jobs, site, rule, shared = by_shares()
    return jobs, site, rule, replace(shared, reclaim="cohorts")


def by_priority() -> tuple[object, ...]:
    """The job of 2 GPUs takes its own tenant's place, which the other tenant's job within its quota takes back."""
    jobs = workload(
        (0, RUN, 1, {"tenant": "a", "priority": 0}),
        (1, RUN, 2, {"tenant": "a", "priority": 1}),
        (2, RUN, 1, {"tenant": "b", "priority": 0}),
        (3, RUN, 2, {"tenant": "b", "priority": 1}),
    )
    quotas = (Tenant(name="a", nominal=1), Tenant(name="b", nominal=1))
    return jobs, cluster(2), "priority", Tenants(tenants=quotas, limits=(Limit(jobs=1),), reclaim="any")


ROUNDS = [by_shares, by_shares_of_cohorts, by_priority]


def under(rule: str, **terms: object) -> Policy:
    terms = {"min_run": 1.0, "checkpoint_interval": None, **terms}
    return Policy(backfill="fit", preemption=Preemption(rule=rule, **terms))


def stays(fates: list[Fate]) -> list[list[tuple[object, ...]]]:
    return [[(attempt.start, attempt.end, attempt.cause) for attempt in fate.attempts] for fate in fates]


def times_preempted(fates: list[Fate]) -> list[int]:
    return [sum(attempt.cause is not None for attempt in fate.attempts) for fate in fates]


@pytest.mark.parametrize("goes_round", ROUNDS)
def test_whoever_goes_round_is_left_alone_after_a_thousand_times_and_all_end(goes_round):
    jobs, site, rule, shared = goes_round()
    record = schedule(jobs, site, under(rule), tenants=shared)
    times = times_preempted(told(record))
    assert max(times) == 1000
    assert record.end.max() < 3 * 1000 * len(jobs) * 10**6, "it comes to an end"
    assert record.policy.preemption.max_preemptions == 1000


@pytest.mark.parametrize("goes_round", ROUNDS)
def test_engine_and_reference_go_round_alike(goes_round):
    jobs, site, rule, shared = goes_round()
    record = schedule(jobs, site, under(rule), until=400, tenants=shared)
    slow = simulate_slowly(jobs, site, under(rule), until=400, tenants=shared)
    assert stays(told(record)) == stays(slow)
    assert max(times_preempted(slow)) > 60, "it goes round"


def test_the_reference_leaves_a_job_alone_after_as_many_times(monkeypatch):
    monkeypatch.setattr("reference.reclaiming.MOST_FRUITLESS", 20)
    monkeypatch.setattr("gpuyard.tenanting._MOST_FRUITLESS", 20)
    for jobs, site, rule, shared in (goes_round() for goes_round in ROUNDS):
        record = schedule(jobs, site, under(rule), tenants=shared)
        slow = simulate_slowly(jobs, site, under(rule), tenants=shared)
        assert stays(told(record)) == stays(slow)
        assert max(times_preempted(slow)) == 20


@pytest.mark.parametrize("goes_round", ROUNDS)
@pytest.mark.parametrize(
    "terms",
    [
        {"checkpoint_interval": 0.0},
        {"checkpoint_interval": 0.0, "restart_cost": 0.5},
        {"checkpoint_interval": 0.5, "restart_cost": 0.25, "checkpoint_cost": 0.125},
    ],
)
def test_attempts_that_save_something_get_their_work_done_without_a_bound(goes_round, terms):
    """Then as often as there is something to save: 1 s, half a second and the one checkpoint of half a second."""
    jobs, site, rule, shared = goes_round()
    policy = under(rule, **terms)
    record = schedule(jobs, site, policy, tenants=shared)
    saved = terms["checkpoint_interval"] or 1 - terms.get("restart_cost", 0)
    assert record.policy == policy
    assert max(times_preempted(told(record))) <= (RUN - 1e-6) // saved


def test_the_bound_is_for_what_can_go_round_only():
    jobs, _, rule, shared = by_shares()
    round_and_round = under(rule)

    def bound(policy: Policy = round_and_round, tenants: Tenants = shared) -> int | None:
        return with_bound(policy, tenants, jobs).preemption.max_preemptions

    assert bound() == bound(under(rule, checkpoint_interval=1.0)) == 1000
    assert bound(under(rule, checkpoint_interval=0.0, restart_cost=1.0)) == 1000
    assert bound(tenants=replace(shared, reclaim="any")) == bound(tenants=replace(shared, reclaim="cohorts")) == 1000
    assert bound(under(rule, max_preemptions=7)) == 7, "who says how often knows"
    assert bound(under(rule, min_run=0.0)) is None, "then nothing happens but what jobs bring about"
    assert bound(under(rule, checkpoint_interval=0.75)) is None
    assert bound(under(rule, checkpoint_interval=0.0, restart_cost=0.75)) is None
    assert bound(under("priority"), replace(shared, reclaim="lower")) is None
    assert bound(under("priority"), replace(shared, reclaim="never")) is None
    assert bound(tenants=Tenants(tenants=(Tenant(name="a"),), reclaim="fair")) is None, "nobody has a quota"


def test_a_run_says_how_many_were_left_alone():
    jobs, site, rule, shared = by_shares()
    result = simulate(jobs, site, policy=under(rule), tenants=shared)
    spared = result.numbers["tenants"]["spared_jobs"]
    assert spared == max(1, spared)
    assert any("preempted 1,000 times" in text for text in notices(result))
    wanted = simulate(jobs, site, policy=under(rule, max_preemptions=5), tenants=shared)
    assert wanted.numbers["tenants"]["spared_jobs"] >= 1
    assert not any("preempted" in text for text in notices(wanted))
    freely = simulate(jobs, site, policy=under(rule, checkpoint_interval=0.0), tenants=shared)
    assert freely.numbers["tenants"]["spared_jobs"] is None
