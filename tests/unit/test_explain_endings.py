"""Stories say which rule of a partition or QOS ended a job: a time limit that it did not state, or a mode."""

from __future__ import annotations

import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from gpuyard import explain
from gpuyard.explanation import Story
from gpuyard.explanation.story import Rule

LOW, HIGH = {"partition": "low"}, {"partition": "high"}
GONE = {"rule": "partition", "tiers": {"high": 1}, "modes": {"low": "cancel"}}
BOUNDS = [
    gy.Bounds(partition="low", max_time=60),
    gy.Bounds(partition="high", is_default=True, max_time=90, default_time=30),
    gy.Bounds(qos="short", max_time=20),
]
LIMIT = Rule(key="max_time", column="partition", name="low")


def story(row: Row, *others: Row, **options: object) -> Story:
    jobs = workload(row, *others)
    return explain(gy.simulate(jobs, cluster(4), **options), "0", workload=jobs, cluster=cluster(4))


@pytest.mark.parametrize(
    ("job", "rule", "end"),
    [
        (LOW, LIMIT, 60),
        (HIGH, Rule(key="default_time", column="partition", name="high"), 30),
        ({}, Rule(key="default_time", column="partition", name="high"), 30),
        (LOW | {"qos": "short"}, Rule(key="max_time", column="qos", name="short"), 20),
        (LOW | {"time_limit": 60.0}, None, 60),
        (LOW | {"time_limit": 50.0}, None, 50),
        (LOW | {"time_limit": 50.0, "qos": "other"}, None, 50),
    ],
)
def test_who_stated_no_time_limit_was_killed_at_that_of_its_partition(job: dict, rule: Rule | None, end: float) -> None:
    found = story((0, 100, 4, job), bounds=BOUNDS)
    assert (found.state, found.end, found.ended_by) == ("timed_out", end, rule)


def test_the_limit_is_named_in_words() -> None:
    told = str(story((0, 100, 4, LOW), bounds=BOUNDS))
    assert "killed at its time limit, the max_time of its partition 'low', since it stated none." in told
    told = str(story((0, 100, 4, LOW | {"qos": "short"}), bounds=BOUNDS))
    assert "killed at its time limit, the max_time of its QOS 'short', since it stated none." in told
    assert "killed at its time limit." in str(story((0, 100, 4, LOW | {"time_limit": 60.0}), bounds=BOUNDS))


def test_who_ended_before_the_limit_was_ended_by_no_rule() -> None:
    assert story((0, 20, 4, LOW), bounds=BOUNDS).ended_by is None
    recorded = story((0, 20, 4, LOW | {"state": "timed_out"}), bounds=BOUNDS)
    assert (recorded.state, recorded.ended_by) == ("timed_out", None)


def test_it_is_told_of_the_jobs_that_a_beginning_leaves() -> None:
    over = {"start_time": 0.0, "end_time": 10.0}
    jobs = workload((0, 10, 4, LOW | over), (20, 100, 4, LOW))
    result = gy.simulate(jobs, cluster(4), bounds=BOUNDS, begin=15)
    found = explain(result, "1", workload=jobs, cluster=cluster(4))
    assert (found.end, found.ended_by) == (80, LIMIT)


def test_who_was_cancelled_in_the_record_was_ended_by_no_rule() -> None:
    """It does not end by a preemption, though others of its partition would."""
    found = story((0, 10, 4, LOW | {"state": "cancelled"}), policy=gy.Policy(preemption=GONE))
    assert (found.state, found.ended_by) == ("cancelled", None)
    assert "Ended at 10 s: cancelled." in str(found)


def test_in_a_virtual_cluster_it_is_the_mode_of_its_own_policy() -> None:
    apart = gy.VirtualCluster(name="vc", nodes=("all",), tenants=("a",), policy=gy.Policy(preemption=GONE))
    rows = ((0, 10, 4, LOW | {"tenant": "a"}), (4, 5, 4, HIGH | {"tenant": "a"}))
    found = story(*rows, virtual_clusters=[apart])
    assert (found.state, found.ended_by) == ("cancelled", Rule(key="modes", column="partition", name="low"))
    assert "Ended at 4 s: cancelled, as a job of the partition 'low' is when it makes room." in str(found)


def test_what_a_virtual_cluster_has_is_bound_as_well() -> None:
    apart = gy.VirtualCluster(name="vc", nodes=("all",), tenants=("a",))
    rows = ((0, 99, 4, LOW | {"tenant": "a"}), (0, 10, 9, HIGH | {"tenant": "a"}))
    assert story(*rows, virtual_clusters=[apart], bounds=BOUNDS).ended_by == LIMIT
