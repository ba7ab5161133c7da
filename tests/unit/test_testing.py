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
