"""Why each attempt made room, for whom, and what was lost by it, in the table of attempts: cases worked by hand."""

from __future__ import annotations

import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.policy import Policy, named_policy
from gpuyard.virtual_clusters import VirtualCluster

EVERY_QUARTER = {"checkpoint_interval": 900, "checkpoint_cost": 60, "restart_cost": 120}
PARTS = (("a", "srtf"), ("b", named_policy("las", preemption={"thresholds": (300,)})))
NEEDS = {"partition": {"tiers": {"debug": 1}}, "qos": {"tiers": {"high": 1}}, "time-slice": {"time_slice": 1800}}


def told(rows: list[tuple], *nodes: int, **given: object) -> list[tuple[object, ...]]:
    """Return of each attempt the job, whom it made room for, by which rule, and the GPU-hours lost."""
    result = gy.simulate(workload(*rows), cluster(*nodes), **given)
    names = ("job_id", "preempted_by", "preemption_reason", "lost_gpu_hours")
    return list(zip(*(result.attempts[name].to_pylist() for name in names), strict=True))


def test_what_is_lost_is_the_work_since_the_checkpoint_the_checkpoints_and_the_restart():
    """4 GPUs for 1,900 s: one checkpoint, of 900 s + 60 s, is done at 960 s, the second would be at 1,920 s.

    So 60 s and 940 s of work are lost.  Then 900 of 7,200 s are saved; the rest takes a restart (120 s) and 6 more
    checkpoints (360 s).
    """
    rows = [(0, 7200, 4), (1900, 600, 4, {"priority": 1})]

    policy = Policy(backfill="fit", preemption={"rule": "priority", **EVERY_QUARTER})
    found = told(rows, 4, policy=policy)

    assert [each[:3] for each in found] == [("0", "1", "priority"), ("1", None, None), ("0", None, None)]
    assert [each[3] for each in found] == pytest.approx([4 * (60 + 940) / 3600, 0, 4 * (120 + 6 * 60) / 3600])


@pytest.mark.parametrize("rule", ["priority", "partition", "qos", "srtf", "srsf", "las", "2d-las", "time-slice"])
def test_the_rule_of_the_policy_is_named(rule):
    urgent = {"priority": 1, "partition": "debug", "qos": "high"}
    rows = [(0, 7200, 1), (6000, 60, 1, urgent)]

    found = told(rows, 1, policy=Policy(backfill="fit", preemption={"rule": rule, **NEEDS.get(rule, {})}))

    assert found[0] == ("0", "1", rule, 0)


@pytest.mark.parametrize("rule", ["reclaim", "priority"])
def test_what_another_tenant_took_back_was_reclaimed_under_any_rule(rule):
    """Red borrows blue's GPU; under ``priority`` red's own urgent job takes the place of its other one as well."""
    red, blue = {"tenant": "red"}, {"tenant": "blue"}
    rows = [(0, 3600, 1, red), (0, 3600, 1, red), (900, 60, 1, blue), (1800, 60, 1, {"priority": 1, **red})]
    quotas = {"tenant": [{"name": "red", "nominal": 1}, {"name": "blue", "nominal": 1}]}

    policy = Policy(backfill="fit", preemption={"rule": rule, "checkpoint_interval": "none"})
    found = told(rows, 2, policy=policy, tenants=quotas)

    room = [each for each in found if each[1] is not None]
    assert room[0] == ("0", "2", "reclaim", 900 / 3600)
    assert [each[1:3] for each in room[1:]] == ([("3", "priority")] if rule == "priority" else [])


def test_cells_that_were_lent_are_taken_by_the_rule_of_cells():
    rows = [(0, 3600, 4), (1800, 60, 4, {"tenant": "red"})]

    policy = Policy(backfill="fit", cells={"owners": {"red": {"node": 1}}})
    found = told(rows, 4, policy=policy)

    assert found[0] == ("0", "1", "cells", 0)


def test_virtual_clusters_have_the_rule_of_their_own_policy():
    rows = [(0, 3600, 1, {"tenant": name}) for name in "ab"] + [(600, 60, 1, {"tenant": name}) for name in "ab"]
    parts = [VirtualCluster(name=name, nodes=(number,), policy=rule) for number, (name, rule) in enumerate(PARTS)]

    found = told(rows, 1, 1, policy="fifo", virtual_clusters=parts)

    assert {each[0]: each[2] for each in found if each[1] is not None} == {"0": "srtf", "1": "las"}


def test_nobody_made_room_where_nobody_is_preempted():
    assert told([(0, 60, 1), (0, 60, 1)], 1) == [("0", None, None, 0), ("1", None, None, 0)]


def test_a_shared_gpu_loses_its_part():
    rows = [(0, 7200, 1, {"gpu_milli": 500}), (3600, 60, 1, {"priority": 1})]

    policy = Policy(backfill="fit", preemption={"rule": "priority", "checkpoint_interval": "none"})
    found = told(rows, 1, policy=policy)

    assert found[0] == ("0", "1", "priority", 0.5)
