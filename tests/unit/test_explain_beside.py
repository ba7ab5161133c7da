"""The story of a job where there are tenants, a preemption rule, EASY and partitions with nodes all at once."""

from __future__ import annotations

from typing import Any

import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from gpuyard.explanation import Story

LIMIT: dict[str, Any] = {"limit": [{"each": ["user"], "gpus": 16}]}
PARTITIONS = [gy.NodeWindow.partition("main", ("0-2",), is_default=True), gy.NodeWindow.partition("debug", ("3",))]
POLICY = gy.Policy(
    order="multifactor", backfill="easy", qos={"high": 1.0}, preemption={"rule": "qos", "tiers": {"high": 1}}
)
ROWS: tuple[Row, ...] = tuple(
    (submit, run, gpus, {"time_limit": limit, "user": user, "qos": qos, "partition": partition})
    for submit, run, limit, gpus, user, qos, partition in (
        (0, 100, 200, 16, "ann", None, "main"),
        (0, 100, 200, 8, "bob", None, "main"),
        (1, 50, 100, 8, "ann", None, "main"),
        (3, 20, 30, 8, "eve", "high", "main"),
        (4, 10, 20, 8, "eve", None, "debug"),
        (5, 500, 600, 8, "rob", None, "main"),
    )
)
"""Ann runs on nodes 0 and 1, Bob on node 2; Eve takes node 0 at 3 s, and Ann is promised to go on at 33."""


@pytest.fixture(scope="module")
def result() -> gy.Result:
    return gy.simulate(workload(*ROWS), cluster(8, 8, 8, 8), policy=POLICY, windows=PARTITIONS, tenants=LIMIT)


def of(result: gy.Result, job: str) -> Story:
    return gy.explain(result, job, workload=workload(*ROWS), cluster=cluster(8, 8, 8, 8))


def test_a_limit_holds_a_job_and_nobody_else(result: gy.Result) -> None:
    first, *_ = of(result, "2").stretches
    assert (first.start, first.end, first.reason) == (1, 3, "limit")
    assert first.held is not None
    assert (first.held.used, first.held.most, first.may_take) == ((16, 16), 16, None)


def test_a_job_waits_behind_what_the_preempted_one_is_promised(result: gy.Result) -> None:
    first, *_ = of(result, "5").stretches
    assert (first.start, first.end, first.reason, first.fits) == (5, 23, "reservation", True)
    assert first.blocker is not None
    assert (first.blocker.job_id, first.blocker.promised) == ("0", 33)
    assert first.blocker.nodes == ("n0", "n1")


def test_a_job_that_made_room_waits_for_what_it_is_promised(result: gy.Result) -> None:
    story = of(result, "0")
    assert [(stay.start, stay.end, stay.made_room and stay.made_room.job_id) for stay in story.attempts] == [
        (0, 3, "3"),
        (23, 120, None),
    ]
    assert {(stretch.reason, stretch.planned) for stretch in story.stretches} == {("closed", 33), ("gpus", 33)}
    assert (story.stretches[0].start, story.stretches[-1].end) == (3, 23)
    assert story.log == "made again"


# --- the plan of slurm ------------------------------------------------------------------------------------

URGENT: dict[str, Any] = {"priority": 2}
WIDE: tuple[Row, ...] = ((0, 100, 4, URGENT), (0, 1000, 2), (1, 10, 8, URGENT), (2, 99, 2, URGENT), (3, 500, 1))
"""On 8 GPUs: job 2 is planned for 100, when job 0 ends, with the two GPUs of job 1."""


def planned(job: str, **options: Any) -> Story:
    policy = gy.Policy(backfill="slurm", interval=0, resolution=1, preemption="priority", **options)
    given = {"workload": workload(*WIDE), "cluster": cluster(8)}
    return gy.explain(gy.simulate(**given, policy=policy), job, **given)


def test_a_job_waits_for_what_a_plan_has_for_another() -> None:
    first, *more = planned("3").stretches
    assert (first.start, first.end, first.reason, first.fits, first.planned) == (2, 100, "plan", True, 110)
    assert first.blocker is not None
    assert (first.blocker.job_id, first.blocker.promised) == ("2", 100)
    assert [stretch.reason for stretch in more] == ["gpus"]


def test_a_job_that_lacks_gpus_is_told_for_when_it_was_planned() -> None:
    (first,) = planned("2").stretches
    assert (first.start, first.end, first.reason, first.planned) == (1, 100, "gpus", 100)


def test_a_preempted_job_waits_at_its_turn_of_the_plan() -> None:
    story = planned("1")
    assert [(stretch.start, stretch.end, stretch.reason, stretch.planned) for stretch in story.stretches] == [
        (100, 110, "gpus", 110)
    ]


def test_more_jobs_are_ahead_than_are_planned() -> None:
    assert {stretch.reason for stretch in planned("3", depth=1).stretches} == {"depth", "gpus"}


def test_nobody_is_said_to_wait_behind_a_job_of_another_partition():
    """main has node 0, debug node 1: job 3 of debug waits for job 2, and not for job 1 of main, who is before it."""
    jobs = workload(
        *((at, run, gpus, {"partition": name}) for at, run, gpus, name in (
            (0, 10, 1, "main"), (1, 5, 2, "main"), (0, 9, 1, "debug"), (3, 4, 1, "debug"),
        ))
    )  # fmt: skip
    parts = [gy.NodeWindow.partition("main", ("0",)), gy.NodeWindow.partition("debug", ("1",))]
    found = gy.simulate(jobs, cluster(2, 1), policy=gy.Policy(), windows=parts)
    told = str(gy.explain(found, "3", workload=jobs, cluster=cluster(2, 1)))
    assert "behind" not in told
    assert "job 1" not in told
