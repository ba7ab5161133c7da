"""The conformance kit on policies that preempt: nothing is wrong with ours, and it says what is with broken ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

import gpuyard as gy
from gpuyard import testing
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.record import EndReason
from gpuyard.simulation import schedule
from gpuyard.testing import check_policy

BY_PRIORITY = Policy(backfill="fit", preemption=Preemption(rule="priority", min_run=2.0))
IN_TURN = Policy(backfill="fit", preemption=Preemption(rule="time-slice", time_slice=1.0, max_preemptions=1))


@pytest.mark.parametrize(
    "terms",
    [
        {"rule": "priority", "max_preemptions": 1},
        {"rule": "partition", "tiers": {"debug": 2, "normal": 1, "rest": 0}},
        {"rule": "srtf", "restart_cost": 1.0, "checkpoint_interval": 2.0},
        {"rule": "2d-las", "thresholds": (3.0, 8.0), "checkpoint_interval": None, "min_run": 2.0},
        {"rule": "time-slice", "time_slice": 4.0, "restart_cost": 1.0},
    ],
)
def test_the_kit_finds_nothing_in_what_preempts_soundly(terms):
    check_policy(Policy(backfill="fit", preemption=Preemption(**terms)), examples=8)


def takes_anybody(jobs, site, policy, **given):
    """A scheduler to which all jobs are preemptible."""
    others = gy.Workload.from_table(jobs.table.drop_columns(["preemptible"]))
    return replace(schedule(others, site, policy, **given), workload=jobs)


def takes_early(jobs, site, policy, **given):
    at_once = replace(policy, preemption=replace(policy.preemption, min_run=0.0))
    return replace(schedule(jobs, site, at_once, **given), policy=policy)


def takes_often(jobs, site, policy, **given):
    often = replace(policy, preemption=replace(policy.preemption, max_preemptions=None))
    return replace(schedule(jobs, site, often, **given), policy=policy)


def takes_from_above(jobs, site, policy, **given):
    below = pc.negate(jobs.table["priority"])
    column = jobs.table.column_names.index("priority")
    others = gy.Workload.from_table(jobs.table.set_column(column, "priority", below))
    return replace(schedule(others, site, policy, **given), workload=jobs)


def forgets_work(jobs, site, policy, **given):
    """A scheduler that says of preempted attempts that nothing of them was of use, and does not repeat it."""
    record = schedule(jobs, site, policy, **given)
    kept = np.where(record.attempt_reason == EndReason.PREEMPTED, 0, record.attempt_useful)
    return replace(record, attempt_useful=kept)


def names_nobody(jobs, site, policy, **given):
    record = schedule(jobs, site, policy, **given)
    return replace(record, attempt_cause=np.full_like(record.attempt_cause, -1))


@pytest.mark.parametrize(
    ("scheduler", "policy", "promise"),
    [
        (takes_anybody, BY_PRIORITY, "nobody is preempted who may not be"),
        (takes_early, BY_PRIORITY, "nobody is preempted who may not be"),
        (takes_often, IN_TURN, "nobody is preempted who may not be"),
        (takes_from_above, BY_PRIORITY, "who is preempted makes room for another"),
        (names_nobody, BY_PRIORITY, "who is preempted makes room for another"),
        (forgets_work, BY_PRIORITY, "all its work is done, once"),
    ],
)
def test_the_kit_says_what_is_wrong_with_a_preemption(monkeypatch, scheduler, policy, promise):
    monkeypatch.setattr(testing, "schedule", scheduler)
    with pytest.raises(gy.PolicyError) as caught:
        check_policy(policy, examples=60)
    said = str(caught.value)
    assert f"breaks '{promise}'" in said
    assert said.count("\njob: ") <= 2


SHARED = gy.Tenants(
    tenants=(
        gy.Tenant(name="a", nominal=3, borrow=2),
        gy.Tenant(name="b", nominal=2, lend=1),
        gy.Tenant(name="b/x", nominal=2),
    ),
    limits=(gy.Limit(each=("user",), jobs=2), gy.Limit(where={"partition": "debug"}, gpus=2)),
    nominal=4,
)


@pytest.mark.parametrize("between", ["queue", "drf", "fair"])
@pytest.mark.parametrize(
    ("rule", "reclaim"), [("none", "any"), ("reclaim", "any"), ("priority", "lower"), ("srtf", "fair")]
)
def test_the_kit_finds_nothing_in_what_shares_soundly(between, rule, reclaim):
    tenants = replace(SHARED, between=between, reclaim=reclaim)
    check_policy(Policy(backfill="fit", preemption=Preemption(rule=rule)), examples=5, tenants=tenants)


def shares_by(changed):
    """Return a scheduler that goes by other tenants than those that it is given."""

    def scheduler(jobs, site, policy, *, tenants, **given):
        return replace(schedule(jobs, site, policy, tenants=changed(tenants), **given), tenants=tenants)

    return scheduler


def with_no_bounds(tenants):
    return replace(tenants, tenants=tuple(replace(each, borrow=None, lend=None) for each in tenants.tenants))


def without_limits(tenants):
    return replace(tenants, limits=())


def as_if_all_were_of_one(tenants):
    """To the scheduler nothing is due to anybody but a."""
    return replace(tenants, tenants=(gy.Tenant(name="a", nominal=100), gy.Tenant(name="b"), gy.Tenant(name="b/x")))


@pytest.mark.parametrize(
    ("changed", "given", "promise"),
    [
        (with_no_bounds, SHARED, "no quota is exceeded"),
        (without_limits, SHARED, "no limit is exceeded"),
        (
            as_if_all_were_of_one,
            gy.Tenants(tenants=tuple(gy.Tenant(name=name, nominal=100) for name in ("a", "b", "b/x"))),
            "nobody within the quota loses to another tenant",
        ),
    ],
)
def test_the_kit_says_what_is_wrong_with_sharing(monkeypatch, changed, given, promise):
    monkeypatch.setattr(testing, "schedule", shares_by(changed))
    with pytest.raises(gy.PolicyError, match=f"breaks '{promise}'"):
        check_policy(Policy(backfill="fit", preemption=Preemption(rule="reclaim")), examples=60, tenants=given)
