"""The plan of slurm beside preemption, tenants and windows, worked by hand: engine and reference tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  Estimates are the run times unless limits are stated; who is
preempted loses nothing and a restart is free unless a story says otherwise.  Plans are made in every pass, to the
second, unless a story says otherwise.
"""

from __future__ import annotations

import pytest

from beside_stories import TEST, starts, stays
from conftest import cluster, workload
from gpuyard.windows import NodeWindow

LOW, MID, HIGH = ({"priority": each} for each in range(3))
SLURM = {"backfill": "slurm", "interval": 0, "resolution": 1}
ANN, BOB = {"user": "ann"}, {"user": "bob"}
BLUE, RED = {"tenant": "blue"}, {"tenant": "red"}


# --- prey -------------------------------------------------------------------------------------------------

WIDE = ((0, 100, 4, HIGH), (0, 1000, 2, LOW), (1, 10, 8, HIGH))
"""On 8 GPUs, job 2 needs them all: at 100, when job 0 ends, it can take the last two from job 1."""


@TEST
@pytest.mark.parametrize(("runtime", "start"), [(98, 2), (99, 110)])
def test_a_reservation_counts_on_whom_the_job_may_preempt(tell, runtime, start):
    """Job 3 is as urgent as job 2.  By expected ends alone job 2 would be planned for 1000, and job 3 could start."""
    jobs = workload(*WIDE, (2, runtime, 2, HIGH))
    found = stays(tell, jobs, cluster(8), "priority", **SLURM)
    assert found == [[(0, 100)], [(0, 100), (110, 1010)], [(100, 110)], [(start, start + runtime)]]


@TEST
@pytest.mark.parametrize(("runtime", "start"), [(98, 2), (99, 110)])
def test_who_might_be_preempted_later_does_not_start_in_the_way_either(tell, runtime, start):
    """Job 3 is as urgent as job 1, and sees a plan that has both it and what was reserved: 2 GPUs too few from 100."""
    jobs = workload(*WIDE, (2, runtime, 2, LOW))
    found = stays(tell, jobs, cluster(8), "priority", **SLURM)
    assert found[2:] == [[(100, 110)], [(start, start + runtime)]]


@TEST
@pytest.mark.parametrize(("runtime", "start"), [(98, 2), (99, 110)])
def test_who_comes_after_the_head_makes_room_as_far_as_the_plan_lets_it(tell, runtime, start):
    """Job 3 needs the two free GPUs and one of job 1's, and is in nobody's way until 100."""
    jobs = workload(*WIDE, (2, runtime, 3, HIGH))
    found = stays(tell, jobs, cluster(8), "priority", **SLURM)
    assert found[3] == [(start, start + runtime)]
    assert found[1][0] == (0, min(start, 100))


@TEST
def test_a_victim_is_planned_at_its_turn_in_the_pass_in_which_it_was_preempted(tell):
    """At 2 job 3 takes from job 1, which then sees 1 GPU free until 50: not for its 998, but for the 40 of job 4."""
    jobs = workload((0, 50, 4, HIGH), (0, 1000, 2, LOW), (1, 10, 8, HIGH), (2, 40, 3, HIGH), (2, 40, 1, LOW))
    found = stays(tell, jobs, cluster(8), "priority", **SLURM)
    assert found == [[(0, 50)], [(0, 2), (60, 1058)], [(50, 60)], [(2, 42)], [(2, 42)]]


@TEST
@pytest.mark.parametrize(("min_run", "runtime", "start"), [(0, 99, 110), (50, 99, 2)])
def test_prey_is_who_may_be_preempted_now(tell, min_run, runtime, start):
    """At 2 job 1 has not run for ``min_run``: job 2 is planned for 1000.  (At 50 job 3 runs, and is left alone.)"""
    jobs = workload(*WIDE, (2, runtime, 2, HIGH))
    found = stays(tell, jobs, cluster(8), "priority", options={"min_run": min_run}, **SLURM)
    assert found[3] == [(start, start + runtime)]


@TEST
@pytest.mark.parametrize(("interval", "start"), [(30, 30), (60, 60), (0, 2)])
def test_who_comes_after_the_head_makes_room_when_a_planning_is_due(tell, interval, start):
    """The first plan is made at 0, for nobody; at 2, when job 3 comes, it is too soon for the next."""
    jobs = workload(*WIDE, (2, 30, 3, HIGH))
    found = stays(tell, jobs, cluster(8), "priority", **SLURM | {"interval": interval})
    assert found[3] == [(start, start + 30)]


# --- costs and expected ends ------------------------------------------------------------------------------


@TEST
def test_a_plan_has_attempts_with_what_a_restart_costs(tell):
    """At 20 job 0 begins again with 10 s saved, a restart of 5 and 10 s left: until 35, when job 2 is planned for."""
    jobs = workload((0, 20, 1, LOW), (10, 10, 2, MID), (21, 10, 2, LOW), (21, 14, 1, LOW), (21, 15, 1, LOW))
    found = stays(tell, jobs, cluster(2), "priority", options={"restart_cost": 5}, **SLURM)
    assert found == [[(0, 10), (20, 35)], [(10, 20)], [(35, 45)], [(21, 35)], [(45, 60)]]


@TEST
def test_who_outstays_is_expected_to_end_at_once(tell):
    """Job 0 is believed to run for 10 s; at 11 it is expected to end at 12, so that job 2 waits for job 1."""
    over = {"time_limit": 10}
    jobs = workload((0, 30, 1, HIGH | over), (11, 5, 2, MID), (12, 1, 1, LOW), (13, 2, 1, LOW))
    found = stays(tell, jobs, cluster(2), "priority", on_limit="ignore", **SLURM)
    assert found == [[(0, 30)], [(30, 35)], [(12, 13)], [(35, 37)]]


# --- tenants ----------------------------------------------------------------------------------------------

ONE_EACH = {"limit": [{"each": ["user"], "jobs": 1}]}


@TEST
@pytest.mark.parametrize(("tenants", "last", "wide"), [(ONE_EACH, 2, 302), (None, 110, 100)])
def test_a_job_that_a_limit_holds_has_no_reservation(tell, tenants, last, wide):
    """Ann may run one job: her second needs all GPUs, and keeps nobody waiting while her first runs."""
    jobs = workload((0, 100, 4, ANN), (1, 10, 8, ANN), (2, 300, 4, BOB))
    assert starts(tell, jobs, cluster(8), tenants=tenants, **SLURM) == [0, wide, last]


@TEST
@pytest.mark.parametrize(("tenants", "last"), [(ONE_EACH, 3), (None, 119)])
def test_a_job_that_a_limit_holds_does_not_count_in_the_depth(tell, tenants, last):
    """Two jobs are planned: job 2, of all GPUs, and whoever comes next, if ann's do not count."""
    jobs = workload((0, 100, 4, ANN), (1, 10, 8, BOB), (2, 9, 5, ANN), (3, 90, 4, {"user": "carl"}))
    assert starts(tell, jobs, cluster(8), tenants=tenants, depth=2, **SLURM)[3] == last


@TEST
def test_a_job_that_a_limit_holds_may_take_the_place_of_its_own(tell):
    """Job 3 is not admitted beside job 1, and takes its place; until 100 it is not in the way of job 2."""
    jobs = workload((0, 100, 4, BOB | HIGH), (0, 300, 2, ANN | LOW), (1, 10, 8, BOB | HIGH), (2, 50, 3, ANN | MID))
    limit = {"limit": [{"each": ["user"], "where": {"user": "ann"}, "jobs": 1}]}
    found = stays(tell, jobs, cluster(8), "priority", tenants=limit, **SLURM)
    assert found == [[(0, 100)], [(0, 2), (110, 408)], [(100, 110)], [(2, 52)]]


LENT = {
    "tenant": [{"name": name, "nominal": gpus} for name, gpus in (("blue", 2), ("red", 2), ("green", 12))],
    "reclaim": "any",
}
"""More than there is is promised, so that quotas admit those who lack GPUs."""


@TEST
@pytest.mark.parametrize(("runtime", "start"), [(98, 2), (99, 110)])
def test_what_a_job_may_take_back_is_free_in_its_plan(tell, runtime, start):
    """Red borrows a GPU, so that job 1 may be taken back: job 2 is planned for 100, with all 8 GPUs.

    So job 3 may take job 1 back at 2, if it is done by then.
    """
    jobs = workload(
        (0, 100, 4, {"tenant": "green"}), (0, 1000, 3, RED), (1, 10, 8, {"tenant": "green"}), (2, runtime, 2, BLUE)
    )
    assert starts(tell, jobs, cluster(8), "reclaim", tenants=LENT, **SLURM)[3] == start


@TEST
@pytest.mark.parametrize(("rank", "runtime", "start"), [(HIGH, 99, 2), (MID, 98, 2), (MID, 99, 100)])
def test_of_those_who_are_no_less_urgent_nothing_is_free_under_lower(tell, rank, runtime, start):
    """Job 2 may take job 1 back, and is planned for 100; so may job 3 if it is more urgent than job 1.

    Else it sees one GPU too few from 100 on.  When job 2 has taken all of job 1 then, there is room for it.
    """
    green = {"tenant": "green"} | HIGH
    jobs = workload((0, 100, 4, green), (0, 1000, 3, RED | MID), (1, 10, 6, green), (2, runtime, 1, BLUE | rank))
    assert starts(tell, jobs, cluster(8), "priority", tenants=LENT | {"reclaim": "lower"}, **SLURM)[3] == start


@TEST
def test_who_uses_its_quota_up_in_a_plan_has_nothing_more_to_take_back(tell):
    """Jobs 3 and 4 start, and blue has its quota.  Job 5 is like them, but the GPUs of job 1 are not free to it."""
    green = {"tenant": "green"}
    small = (2, 99, 1, BLUE)
    jobs = workload((0, 100, 4, green), (0, 1000, 3, RED), (1, 10, 7, green), small, small, small)
    assert starts(tell, jobs, cluster(10), "reclaim", tenants=LENT, **SLURM)[2:] == [100, 2, 2, 110]


@TEST
def test_after_a_preemption_another_round_plans_anew(tell):
    """At 2 job 3 takes its place back from job 1, which is first in the next round, needs 3 GPUs and is planned for 50.

    So it is job 1, and no longer job 2, that job 4 must not be in the way of, and 5 GPUs are left beside it from 50 on.
    At 502 there is all that job 2 needs, with what it takes back.
    """
    green = {"tenant": "green"}
    jobs = workload((0, 50, 4, green), (0, 1000, 3, RED), (1, 10, 8, green), (2, 48, 2, BLUE), (2, 500, 1, green))
    found = stays(tell, jobs, cluster(8), "reclaim", tenants=LENT, **SLURM)
    assert found == [[(0, 50)], [(0, 2), (50, 502), (512, 1058)], [(502, 512)], [(2, 50)], [(2, 502)]]


# --- windows ----------------------------------------------------------------------------------------------


KEPT_OUT = [[(0, 60), (110, 1050)], [(0, 10)], [(60, 110)], [(110, 169)]]
EARLY = [[(0, 2), (110, 1108)], [(0, 10)], [(60, 110)], [(2, 60)]]


@TEST
@pytest.mark.parametrize(("runtime", "expected"), [(58, EARLY), (59, KEPT_OUT)])
def test_a_job_that_a_window_keeps_out_is_planned_for_its_end(tell, runtime, expected):
    """Job 2 could take both nodes, but node 1 is closed from 20 to 60: nothing changes in its plan, it waits for that.

    Job 3 may take node 0 from job 0 if it is done by then.
    """
    closed = [NodeWindow(nodes=("1",), start=20, end=60)]
    jobs = workload((0, 1000, 4, LOW), (0, 10, 4, LOW), (1, 50, 8, HIGH), (2, runtime, 2, MID))
    assert stays(tell, jobs, cluster(4, 4), "priority", windows=closed, **SLURM) == expected
