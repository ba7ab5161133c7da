"""What runs in cells when a simulation begins, by hand: the engine and the reference must both tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds; simulations begin at 10, and backfill is ``fit`` unless a story
says otherwise.
"""

from __future__ import annotations

import pytest

from conftest import Row, cluster, workload
from explained import told as lines_of
from gpuyard.dividing import schedule_apart
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenants
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
PAIR = cluster(4, 4)
HALVES = {"a": {"node": 1}, "b": {"node": 1}}
BEGIN = 10.0


def of(tenant: str, **more: object) -> dict[str, object]:
    return {"tenant": tenant, **more}


def since(start: float, end: float, tenant: str, **more: object) -> dict[str, object]:
    return {"tenant": tenant, "start_time": float(start), "end_time": float(end), **more}


def made(
    jobs: Workload, owners: object, limits: object = (), site: object = PAIR, **more: object
) -> tuple[object, ...]:
    more = {"backfill": "fit", **more}
    cells = {"owners": owners, **{name: more.pop(name) for name in ("beyond", "within") if name in more}}
    return jobs, site, Policy(cells=cells, **more), Tenants(limits=tuple(limits))


def record_of(*given: object, **more: object) -> Record:
    jobs, site, policy, tenants = made(*given, **more)
    return schedule(jobs, site, policy, begin=BEGIN, tenants=tenants)


def fates(tell: str, *given: object, **more: object) -> list[Fate]:
    if tell == "engine":
        return told(record_of(*given, **more))
    jobs, site, policy, tenants = made(*given, **more)
    return simulate(jobs, site, policy, begin=BEGIN, tenants=tenants)


def stays(*given: object, **more: object) -> list[list[tuple[float, float]]]:
    """Return when each job ran, attempt after attempt."""
    return [[(it.start / SECOND, it.end / SECOND) for it in fate.attempts] for fate in fates(*given, **more)]


def nodes(*given: object, **more: object) -> list[list[list[int]]]:
    """Return on which nodes each job ran, attempt after attempt."""
    return [[[slot[0] for slot in it.slots] for it in fate.attempts] for fate in fates(*given, **more)]


BEYOND_ROWS: tuple[Row, ...] = (
    (0, 100, 4, since(0, 100, "a")),
    (1, 50, 4, since(1, 51, "a")),
    (16, 10, 4, of("b")),
)
BEYOND = workload(*BEYOND_ROWS)
"""By the record a, which owns one node of two, ran on both."""


@TEST
@pytest.mark.parametrize("backfill", ["none", "fit", "easy"])
@pytest.mark.parametrize("beyond", ["wait", "opportunistic"])
def test_what_an_owner_had_beyond_its_cells_runs_in_lent_ones_until_they_are_needed(tell, beyond, backfill):
    """Job 1 has run from 1 to 16 when b needs its node; then it waits for a node of a, or for one that b lends."""
    again = (100, 135) if beyond == "wait" else (26, 61)
    given = (BEYOND, HALVES)
    assert stays(tell, *given, beyond=beyond, backfill=backfill) == [[(10, 100)], [(10, 16), again], [(16, 26)]]


def test_such_attempts_are_marked_as_lent_and_their_rows_come_last():
    jobs = workload((0, 50, 4, since(0, 50, "nobody")), *[(0, 100, 4, since(0, 100, name)) for name in "ba"])
    record = record_of(jobs, HALVES, site=cluster(4, 4, 4))
    assert record.attempt_job.tolist() == [1, 2, 0], "first those in cells of their owners, by row"
    assert record.attempt_guest.tolist() == [False, False, True]
    assert record.slot_node.tolist() == [0, 1, 2]


@TEST
def test_guaranteed_jobs_come_first_and_nobody_leaves_for_them(tell):
    """Job 0 is nobody's, and would have taken the node of b; the one that is left is smaller than it asks for."""
    jobs = workload((0, 50, 8, since(0, 50, "nobody")), (0, 20, 4, since(0, 20, "b")), (12, 5, 4, of("a")))
    found = fates(tell, jobs, HALVES)
    assert [[it.slots for it in fate.attempts] for fate in found] == [[[]], [[(0, 4, 0)]], [[(1, 4, 0)]]]
    assert [(it.start / SECOND, it.end / SECOND) for fate in found for it in fate.attempts] == [
        (10, 50),
        (10, 20),
        (12, 17),
    ]


@TEST
def test_one_that_is_not_preemptible_and_finds_no_cells_of_its_owner_holds_nothing(tell):
    fixed = since(1, 51, "a", preemptible=False)
    jobs = workload((0, 100, 4, since(0, 100, "a")), (1, 50, 4, fixed), (10, 10, 4, of("b")))
    assert nodes(tell, jobs, HALVES) == [[[0]], [[]], [[1]]]
    assert stays(tell, jobs, HALVES) == [[(10, 100)], [(10, 51)], [(10, 20)]]


@TEST
def test_cells_are_given_by_row_whatever_the_order(tell):
    high = since(2, 52, "a", priority=9)
    jobs = workload((0, 100, 4, since(0, 100, "a")), (1, 50, 4, high), (12, 5, 4, of("b")))
    assert stays(tell, jobs, HALVES, order="priority") == [[(10, 100)], [(10, 12), (100, 140)], [(12, 17)]]


@TEST
def test_who_runs_at_the_beginning_may_be_preempted_inside_its_owner_at_once(tell):
    jobs = workload((0, 100, 4, since(0, 100, "a")), (5, 20, 4, of("a", priority=2)))
    assert stays(tell, jobs, HALVES, order="priority", within="priority") == [[(10, 10), (30, 120)], [(10, 30)]]


@TEST
def test_a_job_of_several_chunks_gets_all_its_cells_or_none(tell):
    """Job 1 of two nodes finds one cell of a free: it is lent the two nodes that b does not use."""
    site = cluster(4, 4, 4, 4)
    jobs = workload((0, 90, 4, since(0, 90, "a")), (0, 50, 8, since(0, 50, "a")), (11, 5, 8, of("b")))
    owners = {"a": {"node": 2}, "b": {"node": 2}}
    assert nodes(tell, jobs, owners, site=site) == [[[0]], [[1, 2], [0, 1]], [[1, 3]]]
    assert stays(tell, jobs, owners, site=site) == [[(10, 90)], [(10, 11), (90, 129)], [(11, 16)]]


@TEST
def test_limits_count_what_runs_at_the_beginning_but_not_what_holds_nothing(tell):
    ran = since(0, 30, "a", user="ann")
    most = [{"each": ["user"], "jobs": 2}]
    jobs = workload((0, 30, 4, ran), (0, 30, 2, ran), (10, 5, 2, of("b", user="ann")))
    assert stays(tell, jobs, HALVES, most)[2] == [(30, 35)]
    nothing = {**ran, "preemptible": False}
    jobs = workload((0, 30, 4, ran), (0, 30, 2, nothing), (10, 5, 2, of("b", user="ann")))
    assert stays(tell, jobs, HALVES, most)[2] == [(10, 15)]


@TEST
def test_under_easy_expected_ends_count_from_the_recorded_start_and_are_doubled_when_they_are_past(tell):
    """Job 0 was expected to end at 8, and is at 16 now, when job 1 is to start: job 3 is short, job 2 is not.

    At 16 job 0 is expected at 32.
    """
    limit = {"time_limit": 8.0}
    jobs = workload(
        (0, 30, 2, {**since(0, 30, "a"), **limit}),
        (10, 5, 4, of("a", **limit)),
        (10, 7, 2, of("a", time_limit=7.0)),
        (10, 6, 2, of("a", time_limit=6.0)),
    )
    assert stays(tell, jobs, HALVES, backfill="easy") == [[(10, 30)], [(30, 35)], [(16, 23)], [(10, 16)]]


@TEST
def test_work_is_counted_from_the_recorded_start(tell):
    """Preempted at 16, job 1 has run from 1 on, and saved what it had done by then, of which 6 s were in the run."""
    found = fates(tell, BEYOND, HALVES)[1].attempts
    assert [it.useful / SECOND for it in found] == [6, 35]
    kept = fates(tell, BEYOND, HALVES, preemption={"rule": "cells", "checkpoint_interval": None})[1].attempts
    assert [(it.start / SECOND, it.end / SECOND, it.useful / SECOND) for it in kept] == [(10, 16, 0), (100, 150, 50)]


def test_a_story_says_what_was_before_and_in_whose_cells_a_job_ran_on():
    options = {"site": PAIR, "begin": BEGIN, "policy": "fifo-fit", "cells": {"owners": HALVES}}
    late = (4, 5, 1, of("a"))
    assert lines_of("1", BEYOND_ROWS[0], late, **options)[4:8] == [
        "It waited 1m 36s (96 s), while cells of a were held by 0:",
        "  from 4 s for 6 s: it was ready before the simulation begins.",
        "  from 10 s for 1m 30s (90 s): too few cells for the 1 that it needs: 0 of level gpu of a free, and "
        "0 GPUs in all.",
        "Attempt 1: from 1m 40s (100 s) for 5 s on n0 (1 GPU).",
    ]
    assert lines_of("1", *BEYOND_ROWS, **options)[4:7] == [
        "It did not wait.",
        "Attempt 1: from 1 s for 15 s on n1 (4 GPUs), in cells that were lent to it.",
        "  It made room for job 2: its cells were lent, and the other's owner needed them.",
    ]
    nowhere = (2, 50, 4, since(2, 52, "a"))
    assert lines_of("2", *BEYOND_ROWS[:2], nowhere, **options)[5] == (
        "Attempt 1: from 2 s for 50 s, without room, so that it held nothing."
    )


def test_a_virtual_cluster_with_cells_of_its_own_may_begin_in_the_middle():
    halves = Policy(backfill="fit", cells={"owners": HALVES})
    parts = [
        VirtualCluster(name="x", nodes=(0, 1), tenants=("a", "b"), policy=halves),
        VirtualCluster(name="y", nodes=(2,), tenants=("c",)),
    ]
    jobs = workload(*BEYOND_ROWS, (2, 20, 4, since(2, 20, "c")))
    record = schedule_apart(jobs, cluster(4, 4, 4), Policy(), begin=BEGIN, virtual_clusters=parts)
    assert sorted(zip(record.attempt_job.tolist(), (record.attempt_end // SECOND).tolist(), strict=True)) == [
        (0, 100),
        (1, 16),
        (1, 135),
        (2, 20),
        (3, 26),
    ]
