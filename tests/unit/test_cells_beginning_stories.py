"""Jobs that run in cells when the simulation begins, worked by hand: engine and reference must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds; the record's start is given with each job that runs at 10, when
all these simulations begin.  Two nodes of four GPUs, of which ``blue`` and ``red`` own one each, unless a story says
otherwise.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenants
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
PAIR = cluster(4, 4)
ONE_EACH = {"blue": {"node": 1}, "red": {"node": 1}}


def ran(tenant: str, **more: object) -> dict[str, object]:
    """Return the columns of a job that started at 0."""
    return {"tenant": tenant, "start_time": 0, **more}


def fates(
    tell: str,
    jobs: Workload,
    owners: object = ONE_EACH,
    limits: object = (),
    *,
    beyond: str = "wait",
    within: str = "nobody",
    **more: object,
) -> list[Fate]:
    cells = {"owners": owners, "beyond": beyond, "within": within}
    policy = Policy(**{"backfill": "fit", **more}, cells=cells)
    tenants = Tenants.of({"limit": list(limits)} if limits else None)
    if tell == "reference":
        return simulate(jobs, PAIR, policy, begin=10, tenants=tenants)
    return told(schedule(jobs, PAIR, policy, begin=10, tenants=tenants))


def stays(*given: object, **more: object) -> list[list[tuple[float, float, float]]]:
    """Return when each job ran and how much of it was useful, attempt after attempt."""
    return [
        [(it.start / SECOND, it.end / SECOND, it.useful / SECOND) for it in fate.attempts]
        for fate in fates(*given, **more)
    ]


def nodes(*given: object, **more: object) -> list[list[list[tuple[int, int]]]]:
    """Return on which nodes each job ran, with how many GPUs, attempt after attempt."""
    return [[[slot[:2] for slot in it.slots] for it in fate.attempts] for fate in fates(*given, **more)]


@TEST
def test_who_runs_in_its_owners_cells_is_left_alone(tell):
    jobs = workload((0, 20, 4, ran("blue")), (12, 5, 4, {"tenant": "red"}), (13, 5, 4, {"tenant": "blue"}))
    assert stays(tell, jobs) == [[(10, 20, 10)], [(12, 17, 5)], [(20, 25, 5)]]
    assert nodes(tell, jobs) == [[[(0, 4)]], [[(1, 4)]], [[(0, 4)]]]


@TEST
@pytest.mark.parametrize("beyond", ["wait", "opportunistic"])
def test_what_an_owner_has_running_beyond_its_cells_runs_on_in_lent_ones_until_they_are_needed(tell, beyond):
    """Job 1 has 12 of its 30 seconds when red comes; it waits for the cell of its own that job 0 is in, until 20."""
    jobs = workload((0, 20, 4, ran("blue")), (0, 30, 4, ran("blue")), (12, 10, 4, {"tenant": "red"}))
    assert stays(tell, jobs, beyond=beyond) == [[(10, 20, 10)], [(10, 12, 2), (20, 38, 18)], [(12, 22, 10)]]
    assert nodes(tell, jobs, beyond=beyond) == [[[(0, 4)]], [[(1, 4)], [(0, 4)]], [[(1, 4)]]]
    assert fates(tell, jobs, beyond=beyond)[1].attempts[0].cause == 2


@TEST
def test_owners_have_their_cells_before_those_that_are_lent_are_given_away(tell):
    """Job 0 is the first row and nobody's: blue's job 1 has the first node all the same."""
    jobs = workload((0, 30, 4, ran("blue", priority=-1)), (0, 30, 4, ran("blue")))
    assert nodes(tell, jobs) == [[[(1, 4)]], [[(0, 4)]]]


@TEST
def test_the_buddy_rule_packs_what_runs(tell):
    """Jobs of 1, 2 and 1 GPUs of blue, by row: the third is the buddy of the first, all on the node of blue."""
    jobs = workload((0, 20, 1, ran("blue")), (0, 20, 2, ran("blue")), (0, 20, 1, ran("blue")), (10, 5, 4, ran("red")))
    assert [fate.slots for fate in fates(tell, jobs)] == [[(0, 1, 0)], [(0, 2, 2)], [(0, 1, 1)], [(1, 4, 0)]]


@TEST
def test_who_may_not_be_preempted_is_in_no_lent_cells_and_holds_nothing(tell):
    """Job 1 runs on nothing; red has its node at once."""
    fixed = ran("blue", preemptible=False)
    jobs = workload((0, 20, 4, fixed), (0, 30, 4, fixed), (12, 10, 4, {"tenant": "red"}))
    assert stays(tell, jobs) == [[(10, 20, 10)], [(10, 30, 20)], [(12, 22, 10)]]
    assert nodes(tell, jobs) == [[[(0, 4)]], [[]], [[(1, 4)]]]


@TEST
def test_who_finds_neither_kind_of_cell_holds_nothing_and_is_left_alone(tell):
    """Three nodes' worth of jobs run on two; the third makes room for nobody, when red comes the second does."""
    jobs = workload(*[(0, 30, 4, ran("blue"))] * 3, (12, 10, 4, {"tenant": "red"}))
    assert stays(tell, jobs) == [[(10, 30, 20)], [(10, 12, 2), (30, 48, 18)], [(10, 30, 20)], [(12, 22, 10)]]
    assert nodes(tell, jobs)[2] == [[]]


@TEST
def test_a_cell_of_four_is_not_split_for_a_lent_one_where_there_is_a_smaller(tell):
    """Job 1 is nobody's and asks for 1 GPU: the buddies of job 0's GPU are taken before the free node."""
    jobs = workload((0, 20, 1, ran("blue")), (0, 20, 1, ran("grey")), (12, 3, 4, {"tenant": "red"}))
    assert [fate.slots for fate in fates(tell, jobs)] == [[(0, 1, 0)], [(0, 1, 1)], [(1, 4, 0)]]
    assert stays(tell, jobs)[1] == [(10, 20, 10)]


@TEST
def test_limits_count_who_runs_and_not_who_holds_nothing(tell):
    """One job at a time of each user: ann's job 2 waits for her job 0, bob's job 3 not for his job 1."""
    one = [{"each": ["user"], "jobs": 1}]
    jobs = workload(
        (0, 20, 4, ran("blue", user="ann")),
        (0, 40, 4, ran("blue", user="bob", preemptible=False)),
        (11, 5, 1, {"tenant": "red", "user": "ann"}),
        (11, 5, 1, {"tenant": "red", "user": "bob"}),
    )
    assert stays(tell, jobs, limits=one) == [[(10, 20, 10)], [(10, 40, 30)], [(20, 25, 5)], [(11, 16, 5)]]


@TEST
def test_limits_do_not_stop_what_runs(tell):
    """Two of ann's jobs run though one is allowed; her next waits for both."""
    one = [{"each": ["user"], "jobs": 1}]
    jobs = workload(
        (0, 20, 4, ran("blue", user="ann")),
        (0, 30, 4, ran("red", user="ann")),
        (10, 5, 1, {"tenant": "blue", "user": "ann"}),
    )
    assert stays(tell, jobs, limits=one) == [[(10, 20, 10)], [(10, 30, 20)], [(30, 35, 5)]]


@TEST
def test_nobody_is_preempted_inside_an_owner_before_the_first_pass(tell):
    """Job 1, the more urgent, runs on in lent cells; when red needs them it takes the cell of job 0 in that pass."""
    jobs = workload(
        (0, 40, 4, ran("blue", priority=0)),
        (0, 30, 4, ran("blue", priority=3)),
        (12, 10, 4, {"tenant": "red", "priority": 0}),
    )
    options = {"order": "priority", "within": "priority"}
    assert stays(tell, jobs, **options) == [
        [(10, 12, 2), (30, 58, 28)],
        [(10, 12, 2), (12, 30, 18)],
        [(12, 22, 10)],
    ]
    assert [[it.cause for it in fate.attempts] for fate in fates(tell, jobs, **options)] == [
        [1, None],
        [2, None],
        [None],
    ]


@TEST
def test_who_runs_in_lent_cells_is_not_what_a_job_of_its_owner_takes(tell):
    """Job 2 takes the cell of job 0, which runs in blue's; job 1 is in red's and of no use to it."""
    jobs = workload(
        (0, 40, 4, ran("blue", priority=0)),
        (0, 30, 4, ran("blue", priority=-1)),
        (12, 10, 4, {"tenant": "blue", "priority": 1}),
    )
    options = {"order": "priority", "within": "priority"}
    assert stays(tell, jobs, **options) == [[(10, 12, 2), (22, 50, 28)], [(10, 30, 20)], [(12, 22, 10)]]


@TEST
def test_a_job_that_runs_when_the_pass_begins_may_be_taken_at_once(tell):
    """Job 1 is submitted at 10: job 0 began before, so that it may lose its cell at the beginning."""
    jobs = workload(
        (0, 40, 4, ran("blue", priority=0)),
        (10, 5, 4, {"tenant": "blue", "priority": 1}),
    )
    assert stays(tell, jobs, order="priority", within="priority") == [[(10, 10, 0), (15, 45, 30)], [(10, 15, 5)]]


@TEST
def test_a_head_counts_on_the_ends_of_those_who_ran(tell):
    """blue owns both nodes.  Job 1 needs both and is promised 20; job 2 is short and passes it, job 3 does not."""
    jobs = workload(
        (0, 20, 4, ran("blue")),
        (10, 10, 8, {"tenant": "blue"}),
        (10, 5, 4, {"tenant": "blue"}),
        (16, 5, 4, {"tenant": "blue"}),
    )
    options = {"owners": {"blue": {"node": 2}}, "backfill": "easy"}
    assert stays(tell, jobs, **options) == [[(10, 20, 10)], [(20, 30, 10)], [(10, 15, 5)], [(30, 35, 5)]]


@TEST
def test_what_could_never_run_in_cells_is_rejected_though_it_ran(tell):
    """Nobody's job that may not be preempted, one of two nodes whose owner has one, one without GPUs."""
    jobs = workload(
        (0, 30, 4, ran("grey", preemptible=False)),
        (0, 30, 8, ran("blue")),
        (0, 30, 0, ran("blue", cpus=1)),
        (0, 30, 4, ran("red")),
    )
    told_now = fates(tell, jobs)
    assert [fate.outcome for fate in told_now] == ["rejected", "rejected", "rejected", "completed"]
    assert [fate.slots for fate in told_now] == [[], [], [], [(0, 4, 0)]]


@TEST
def test_a_guaranteed_job_that_is_too_large_for_its_owner_ran_in_lent_cells(tell):
    """With ``beyond``, job 0 is only ever tried as an opportunistic one; red's node is taken from it at 12."""
    jobs = workload((0, 30, 8, ran("blue")), (12, 10, 4, {"tenant": "red"}))
    assert stays(tell, jobs, beyond="opportunistic") == [[(10, 12, 2), (22, 40, 18)], [(12, 22, 10)]]


@TEST
def test_a_preempted_job_goes_back_to_its_last_checkpoint_whenever_that_was(tell):
    """Checkpoints every 4 seconds: of the 11 that job 1 has done at 12, 8 are saved, and were before the beginning."""
    jobs = workload((0, 20, 4, ran("blue")), (1, 30, 4, ran("blue", start_time=1)), (12, 10, 4, {"tenant": "red"}))
    preemption = {"rule": "cells", "checkpoint_interval": 4.0}
    assert stays(tell, jobs, preemption=preemption) == [[(10, 20, 10)], [(10, 12, 0), (20, 42, 22)], [(12, 22, 10)]]
