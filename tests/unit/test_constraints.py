"""Constraints worked by hand, on tiny workloads: the engine and the reference simulator must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import InputError
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND, NEVER, Workload
from reference import simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
BIG = cluster(8)


def run(tell: str, jobs: Workload, site: Cluster, *, policy: Policy | None = None, **more: object) -> list[list[float]]:
    """Return eligible, start and end of each job in seconds, ``None`` where there is none."""
    chosen = policy or Policy()
    if tell == "reference":
        fates = simulate(jobs, site, chosen, **more)
        return [[seconds(tick) for tick in (fate.eligible, fate.start, fate.end)] for fate in fates]
    record = schedule(jobs, site, chosen, **more)
    columns = (record.eligible, record.start, record.end)
    return [[seconds(tick) for tick in ticks] for ticks in zip(*(each.tolist() for each in columns), strict=True)]


def seconds(tick: int | None) -> float | None:
    return None if tick is None or tick == NEVER else tick / MICROSECOND


# --- arrays -----------------------------------------------------------------------------------------------


@TEST
def test_an_array_lets_in_its_next_task_when_one_ends(tell):
    """Two places: tasks 2 and 3 follow, by row, when tasks 0 and 1 end; on a cluster with room for all."""
    task = {"array": "a", "array_limit": 2}
    jobs = workload((0, 4, 1, task), (0, 6, 1, task), (0, 9, 1, task), (0, 1, 1, task))
    assert run(tell, jobs, BIG) == [[0, 0, 4], [0, 0, 6], [4, 4, 13], [6, 6, 7]]


@TEST
def test_a_waiting_task_holds_its_place(tell):
    """The cluster is full until 5: task 1 is eligible from 1 on and waits, so task 2 is not eligible before it ends."""
    task = {"array": "a", "array_limit": 1}
    jobs = workload((0, 5, 8), (1, 3, 1, task), (1, 3, 1, task))
    assert run(tell, jobs, BIG) == [[0, 0, 5], [1, 5, 8], [8, 8, 11]]


@TEST
def test_a_task_that_may_not_start_yet_keeps_nobody_out(tell):
    """Task 0 is ready at 3 only: task 1 takes the place; at 3 it is not free, and at 5 row 0 goes before row 2."""
    task = {"array": "a", "array_limit": 1}
    jobs = workload((0, 2, 1, task | {"not_before": 3}), (0, 5, 1, task), (0, 1, 1, task))
    assert run(tell, jobs, BIG) == [[5, 5, 7], [0, 0, 5], [7, 7, 8]]


@TEST
def test_a_task_released_when_a_place_becomes_free_goes_by_row(tell):
    """At 4 job 0 ends, on which task 1 depends, and so does task 2, which gives its place back: task 1 is before 3."""
    task = {"array": "a", "array_limit": 1}
    jobs = workload((0, 4, 1), (0, 2, 1, task | {"depends_on": ["0"]}), (0, 4, 1, task), (0, 1, 1, task))
    assert run(tell, jobs, BIG) == [[0, 0, 4], [4, 4, 6], [0, 0, 4], [6, 6, 7]]


@TEST
def test_an_array_is_of_one_user_and_states_its_limit_once(tell):
    jobs = workload(
        (0, 4, 1, {"array": "a", "user": "ann", "array_limit": 1}),
        (0, 4, 1, {"array": "a", "user": "ann"}),
        (0, 4, 1, {"array": "a", "user": "bob"}),
        (0, 4, 1, {"array": "a", "user": "bob"}),
    )
    assert [start for _, start, _ in run(tell, jobs, BIG)] == [0, 4, 0, 0]


@TEST
def test_a_rejected_task_takes_no_place(tell):
    task = {"array": "a", "array_limit": 1}
    jobs = workload((0, 4, 99, task), (0, 4, 1, task))
    assert [start for _, start, _ in run(tell, jobs, BIG)] == [None, 0]


def test_two_limits_of_one_array_are_refused():
    with pytest.raises(InputError, match=r"row 2.*array_limit.*different limits"):
        workload((0, 4, 1, {"array": "a", "array_limit": 1}), (0, 4, 1, {"array": "a", "array_limit": 2}))
