"""Backfilling worked by hand, on tiny workloads: the engine and the reference simulator must both tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  Without a time limit a job is expected to run for as long as
it does.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND, NEVER, Workload
from reference import simulate

SINGLE = cluster(1, 1, 1, 1, 1, 1, 1, 1)
"""Eight nodes of one GPU: a job of several GPUs takes as many nodes."""
TEST = pytest.mark.parametrize("tell", ["engine", "reference"])


def run(
    tell: str, jobs: Workload, site: Cluster, backfill: str, windows: Sequence[NodeWindow] = (), **more: object
) -> list[tuple[float | None, list[int]]]:
    """Return when each job starts, in seconds, and on which nodes."""
    policy = Policy(backfill=backfill, **more)
    if tell == "reference":
        fates = simulate(jobs, site, policy, windows=windows)
        return [(seconds(fate.start), [node for node, _, _ in fate.slots]) for fate in fates]
    record = schedule(jobs, site, policy, windows=windows)
    return [(seconds(tick), nodes(record, job)) for job, tick in enumerate(record.start.tolist())]


def seconds(tick: int | None) -> float | None:
    return None if tick is None or tick == NEVER else tick / MICROSECOND


def nodes(record: Record, job: int) -> list[int]:
    held = [
        slice(record.slot_offset[attempt], record.slot_offset[attempt + 1])
        for attempt in (record.attempt_job == job).nonzero()[0]
    ]
    return sorted(node for slots in held for node in record.slot_node[slots].tolist())


def starts(tell: str, jobs: Workload, site: Cluster, backfill: str, **more: object) -> list[float | None]:
    return [start for start, _ in run(tell, jobs, site, backfill, **more)]


# --- easy -------------------------------------------------------------------------------------------------


@TEST
def test_easy_lets_a_short_job_pass_and_a_long_one_on_nodes_that_the_head_does_not_need(tell):
    """After Mu'alem and Feitelson 2001, section 2.

    Job 0 holds nodes 0-4 until 10; job 1 needs six nodes and gets 0-5 at 10.  Job 2 is back at 10 and may have node 5.
    Job 3 runs on after 10, on nodes 6 and 7.  For job 4 there is nothing left before job 1 ends at 20.
    """
    jobs = workload((0, 10, 5), (1, 10, 6), (2, 8, 1), (3, 20, 2), (4, 20, 1))
    told = run(tell, jobs, SINGLE, "easy")
    assert [start for start, _ in told] == [0, 10, 2, 3, 20]
    assert [held for _, held in told] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5], [5], [6, 7], [0]]


@TEST
def test_easy_counts_the_gpus_of_a_node_once_where_jobs_without_gpus_are_beside(tell):
    """Jobs 0 (no GPUs) and 1 are on node 0 until 10, and job 2 needs both nodes then.

    Job 3 would still be on node 1 and waits; job 4 is over before.
    """
    jobs = workload((0, 10, 0, {"cpus": 1}), (0, 10, 1), (1, 5, 2), (2, 9, 1), (3, 4, 1))
    site = cluster(1, 1, cpus=[4, 4])
    assert starts(tell, jobs, site, "easy", placement="first-fit") == [0, 0, 10, 15, 3]


@TEST
def test_easy_does_not_let_a_long_job_have_a_reserved_node(tell):
    """Nodes 5, 6 and 7 are free at 2, but job 1 gets node 5 at 10: job 2 needs all three, and would run until 22."""
    jobs = workload((0, 10, 5), (1, 10, 6), (2, 20, 3))
    assert starts(tell, jobs, SINGLE, "easy") == [0, 10, 20]
    assert starts(tell, jobs, SINGLE, "fit") == [0, 22, 2]


@TEST
@pytest.mark.parametrize(("runtime", "start"), [(7, 3), (7.000001, 20)])
def test_easy_looks_at_the_microsecond(tell, runtime, start):
    """Job 2 holds the nodes 6 and 7, so that at 3 only node 5 is free, which job 1 gets at 10."""
    jobs = workload((0, 10, 5), (1, 10, 6), (2, 20, 2), (3, runtime, 1))
    assert starts(tell, jobs, SINGLE, "easy") == [0, 10, 2, start]


@TEST
def test_easy_believes_the_limit(tell):
    """Job 2 would be back at 10; by its limit it is back at 11, and node 5 is reserved."""
    jobs = workload((0, 10, 5), (1, 10, 6), (2, 20, 2), (3, 7, 1, {"time_limit": 8}))
    assert starts(tell, jobs, SINGLE, "easy") == [0, 10, 2, 20]
    assert starts(tell, jobs, SINGLE, "easy", estimate="runtime") == [0, 10, 2, 3]


@TEST
def test_easy_promises_an_earlier_start_when_a_job_ends_early(tell):
    """Job 0 may run until 20 and ends at 5; the head, promised 20, then waits for job 1, until 8.

    Job 3 needs 12 seconds: it may start under the first promise (3 + 12 <= 20), job 4 not under the second (6 + 3 > 8).
    """
    jobs = workload((0, 5, 3, {"time_limit": 20}), (0, 8, 2), (1, 9, 7), (3, 12, 1), (6, 3, 2))
    assert starts(tell, jobs, SINGLE, "easy") == [0, 0, 8, 3, 17]


@TEST
@pytest.mark.parametrize("reservation", ["nodes", "counts"])
@pytest.mark.parametrize("order", ["fifo", "multifactor"])
@pytest.mark.parametrize(("runtime", "told"), [(19, [0, 40, 2, 12, 21]), (19.000001, [0, 30, 2, 12, 40])])
def test_easy_expects_a_job_that_outstays_its_estimate_to_run_twice_as_long(tell, runtime, told, order, reservation):
    """Job 0 is expected to run 10 seconds and runs 30; the head, job 1, is promised 10, then 20, then 40.

    Job 2 has the nodes 6 and 7.  Node 5, promised to the head, is free for job 3 from 12 to 19, and again for job 4
    from 21 on, when 20 has come and job 0 still runs: until 40, and not a microsecond longer.
    """
    jobs = workload((0, 30, 5, {"time_limit": 10}), (1, 10, 6), (2, 60, 2), (12, 7, 1), (21, runtime, 1))
    policy = {"order": order, "reservation": reservation, "on_limit": "ignore"}
    assert starts(tell, jobs, SINGLE, "easy", **policy) == told


@TEST
@pytest.mark.parametrize("reservation", ["nodes", "counts"])
@pytest.mark.parametrize("closed", [(), (NodeWindow(nodes=("1",), start=90, end=99),)])
def test_easy_does_not_look_at_what_was_outstayed_when_a_job_is_rejected(tell, reservation, closed):
    """Job 0 is expected at 5, and from then on at 10, in time for job 2 at 6; but nothing happens before 20."""
    jobs = workload((0, 20, 1, {"time_limit": 5}), (1, 5, 2), (2, 4, 1), (6, 1, 3))
    policy = {"on_limit": "ignore", "reservation": reservation, "windows": closed}
    assert starts(tell, jobs, cluster(1, 1), "easy", **policy) == [0, 20, 25, None]


@TEST
def test_counting_gpus_may_delay_the_head_where_reserving_nodes_does_not(tell):
    """One GPU is free on either node at 2; job 2 needs a whole node, node 0 at 10.

    By nodes, job 3 must go to node 1.  By counts it may use the one GPU that is left over at 10, and best fit takes
    node 0, so that job 2 has to wait for node 1, until 20.
    """
    jobs = workload((0, 10, 3), (0, 20, 3), (1, 10, 4), (2, 30, 1))
    assert run(tell, jobs, cluster(4, 4), "easy") == [(0, [0]), (0, [1]), (10, [0]), (2, [1])]
    assert run(tell, jobs, cluster(4, 4), "easy", reservation="counts") == [(0, [0]), (0, [1]), (20, [1]), (2, [0])]


@TEST
def test_reserving_nodes_keeps_gpus_idle_that_counting_gives_away(tell):
    """The head needs 6 of the 8 GPUs of the only node."""
    jobs = workload((0, 10, 6), (1, 10, 6), (2, 30, 2))
    assert starts(tell, jobs, cluster(8), "easy") == [0, 10, 10]
    assert starts(tell, jobs, cluster(8), "easy", reservation="counts") == [0, 10, 2]


@TEST
def test_what_is_extra_is_given_away_once_and_short_jobs_do_not_need_it(tell):
    """Of 8 GPUs the head leaves 2 over at 10: job 2 takes them, job 3 finds none, job 4 is back by 10."""
    jobs = workload((0, 10, 4), (1, 10, 6), (2, 30, 2), (2, 30, 1), (3, 5, 2))
    assert starts(tell, jobs, cluster(8), "easy", reservation="counts") == [0, 10, 2, 20, 3]


@TEST
def test_a_reserved_node_is_no_empty_node_either(tell):
    """Two racks of four nodes of one GPU.  Job 0 needs 8 CPUs, on node 0; the head needs all three nodes with them.

    That leaves three empty nodes in the first rack and two in the second: packed, job 2 goes to the second.
    """
    jobs = workload((0, 10, 1, {"cpus": 8}), (1, 10, 3, {"cpus": 24}), (2, 30, 2, {"cpus": 2}))
    site = cluster(*[1] * 8, cpus=[8, 2, 2, 2, 8, 8, 2, 2], levels=[[0, 0, 0, 0, 1, 1, 1, 1]])
    assert run(tell, jobs, site, "easy", placement="packed") == [(0, [0]), (10, [0, 4, 5]), (2, [6, 7])]


@TEST
def test_a_reserved_node_changes_the_shape_of_no_job(tell):
    """Node 0 is reserved.  Without it job 2 could be cut in two; but it is for one node of 4."""
    jobs = workload((0, 10, 3), (1, 10, 4), (2, 30, 4))
    assert starts(tell, jobs, cluster(4, 2, 2), "easy") == [0, 10, 20]


@TEST
@pytest.mark.parametrize("reservation", ["nodes", "counts"])
@pytest.mark.parametrize("order", [{"order": "priority"}, {"order": "multifactor", "weights": {"age": 0}}])
def test_easy_promises_anew_when_somebody_of_higher_rank_has_gone_ahead(tell, order, reservation):
    """The head, job 1, is promised all nodes at 10; then job 2 takes one until 22, so that job 3 delays nobody.

    Without an age, the score of multifactor is the priority.
    """
    ranks = [{"priority": priority} for priority in (0, 0, 5, 0)]
    jobs = workload((0, 10, 1, ranks[0]), (1, 5, 3, ranks[1]), (2, 20, 1, ranks[2]), (3, 15, 1, ranks[3]))
    told = starts(tell, jobs, cluster(1, 1, 1), "easy", reservation=reservation, **order)
    assert told == [0, 22, 2, 3]


# --- conservative -----------------------------------------------------------------------------------------


@TEST
def test_conservative_lets_a_job_pass_that_is_back_in_time(tell):
    """Job 1 has all 8 GPUs from 10 to 20; job 2 would run until 11, job 3 until 10."""
    jobs = workload((0, 10, 6), (1, 10, 8), (2, 9, 2), (3, 7, 2))
    assert starts(tell, jobs, cluster(8), "conservative") == [0, 10, 20, 3]


@TEST
def test_conservative_protects_all_and_easy_only_the_head(tell):
    """Job 3 leaves the head alone, which needs 6 GPUs from 10 to 20, but not job 2, which needs 8 from 20 to 30."""
    jobs = workload((0, 10, 6), (1, 10, 6), (2, 10, 8), (3, 18, 2))
    assert starts(tell, jobs, cluster(8), "conservative") == [0, 10, 20, 30]
    assert starts(tell, jobs, cluster(8), "easy", reservation="counts") == [0, 10, 21, 3]


@TEST
def test_conservative_moves_up_in_the_order_of_the_queue_after_an_early_end(tell):
    """Job 0 may run until 10 and ends at 4.  Promised before: job 1 at 10, jobs 2 and 3 after it, at 10 and at 20.

    At 4 job 1 starts, which leaves 2 GPUs: job 2 gets them, and job 3 comes at 14.
    """
    jobs = workload((0, 4, 8, {"time_limit": 10}), (1, 10, 6), (2, 10, 2), (3, 10, 2))
    assert starts(tell, jobs, cluster(8), "conservative") == [0, 4, 4, 14]


@TEST
def test_conservative_does_not_take_a_reservation_from_one_for_another_of_higher_rank(tell):
    jobs = workload((0, 10, 8), (1, 10, 8, {"priority": 0}), (2, 10, 8, {"priority": 5}))
    assert starts(tell, jobs, cluster(8), "conservative", order="priority") == [0, 10, 20]
    assert starts(tell, jobs, cluster(8), "easy", order="priority") == [0, 20, 10]


@TEST
def test_conservative_keeps_a_reservation_that_begins_when_nothing_else_happens(tell):
    """4 GPUs.  At 1 the promises are: job 1 from 5 to 9, job 2 from 9, job 3 beside job 1 from 5 to 8.

    Job 0 ends early, at 2.  Job 1 starts (2-6); job 2 moves up to 8, since job 3 still has 5-8; job 3 starts (2-5).
    They end as expected, at 6 and 5, and after that nothing happens but that the time of job 2 comes.
    """
    limits = [{"time_limit": limit} for limit in (5, 4, 7, 3)]
    jobs = workload((0, 2, 3, limits[0]), (0, 5, 2, limits[1]), (1, 5, 4, limits[2]), (1, 5, 2, limits[3]))
    assert starts(tell, jobs, cluster(4), "conservative") == [0, 2, 8, 2]


def test_conservative_does_not_look_again_before_something_can_have_changed():
    """Jobs 0 and 1 hold a GPU on each of two nodes; 2 takes another for a moment; 3 and 4 need two on one node.

    Two GPUs are free, so the plan has room for 3 or 4, but the shape is not there before 100.  Looking for the next
    change of the plan, each would find the microsecond after the other's reservation, a million times a second.
    """
    jobs = workload((0, 100, 1), (0, 100, 1), (1, 0, 1), (1, 0, 2), (1, 0, 2))
    record = schedule(jobs, cluster(2, 2), Policy(backfill="conservative", placement="worst-fit"), until=200)
    assert [seconds(tick) for tick in record.start.tolist()] == [0, 0, 1, 100, 100]
    assert record.passes < 10


@TEST
def test_conservative_obeys_the_shape_when_the_time_has_come(tell):
    """Two nodes of 4.  At 10 the plan has 4 free GPUs for job 4, but they are 2 and 2; node 0 is free at 20."""
    jobs = workload((0, 10, 2), (0, 10, 2), (0, 20, 2), (0, 30, 2), (1, 5, 4))
    told = run(tell, jobs, cluster(4, 4), "conservative", placement="worst-fit")
    assert told == [(0, [0]), (0, [1]), (0, [0]), (0, [1]), (20, [0])]


@TEST
@pytest.mark.parametrize(("depth", "start"), [(1, 20), (2, 2), (None, 2)])
def test_conservative_plans_so_many_jobs(tell, depth, start):
    jobs = workload((0, 10, 6), (1, 10, 8), (2, 5, 2))
    assert starts(tell, jobs, cluster(8), "conservative", depth=depth) == [0, 10, start]


@TEST
@pytest.mark.parametrize(("interval", "start"), [(None, 5), (1, 5), (2, 6)])
def test_conservative_moves_up_no_more_often_than_the_interval_says(tell, interval, start):
    """Jobs 0 and 1 end early, at 4 and 5: all are planned again at 4, and then after the interval."""
    limit = {"time_limit": 10}
    jobs = workload((0, 4, 4, limit), (0, 5, 4, limit), (1, 10, 8))
    assert starts(tell, jobs, cluster(8), "conservative", interval=interval) == [0, 0, start]


# --- slurm ------------------------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize(
    ("runtime", "resolution", "start"), [(50, None, 30), (70, None, 200), (70, 1, 30), (71, 1, 200)]
)
def test_slurm_plans_every_so_often_with_times_rounded_up(tell, runtime, resolution, start):
    """All is planned at 0 and again at 30.  Job 0 ends at 100, rounded up to minutes at 120; then job 1 has all GPUs.

    Job 2 needs 50 seconds, rounded up 60: back at 90.  With 70, rounded up 120, it would be back at 150.
    With a resolution of a second it would be back at 100, just in time, and with 71 at 101.
    """
    jobs = workload((0, 100, 6), (0, 100, 8), (20, runtime, 2))
    assert starts(tell, jobs, cluster(8), "slurm", resolution=resolution) == [0, 100, start]


@TEST
@pytest.mark.parametrize(("window", "expected"), [(60, [0, 530, 30]), (90, [0, 100, 200])])
def test_slurm_reserves_nothing_beyond_the_window(tell, window, expected):
    """At 30 job 1 could have its GPUs at 120, within 90 seconds and not within 60; job 2 would hold 2 until 530."""
    jobs = workload((0, 100, 6), (0, 100, 8), (20, 500, 2))
    assert starts(tell, jobs, cluster(8), "slurm", window=window) == expected


@TEST
@pytest.mark.parametrize(("depth", "start"), [(1, 200), (2, 30)])
def test_slurm_looks_at_so_many_jobs(tell, depth, start):
    jobs = workload((0, 100, 6), (0, 100, 8), (20, 50, 2))
    assert starts(tell, jobs, cluster(8), "slurm", depth=depth) == [0, 100, start]


@TEST
@pytest.mark.parametrize(("interval", "start"), [(0, 20), (15, 20), (21, 21), (45, 45)])
def test_slurm_makes_a_pass_when_planning_is_due(tell, interval, start):
    jobs = workload((0, 100, 6), (0, 100, 8), (20, 50, 2))
    assert starts(tell, jobs, cluster(8), "slurm", interval=interval, resolution=1) == [0, 100, start]


@TEST
def test_slurm_does_not_delay_those_it_has_planned(tell):
    """As under conservative, job 3 would delay job 2, which has 8 GPUs from 20 on; easy protects only job 1."""
    jobs = workload((0, 10, 6), (1, 10, 6), (2, 10, 8), (3, 18, 2))
    assert starts(tell, jobs, cluster(8), "slurm", interval=0, resolution=1) == [0, 10, 20, 30]


# --- plans under an order with a score --------------------------------------------------------------------

SHORT_LAST = workload((0, 10, 8), (1, 10, 8), (2, 1, 8))
"""At 10 s job 1 has waited 0.9 times its estimate and job 2 eight times: WFP puts job 2 first."""


@TEST
@pytest.mark.parametrize(
    ("backfill", "more", "expected"),
    [
        ("none", {}, [0, 11, 10]),
        ("slurm", {"interval": 0, "resolution": 1}, [0, 11, 10]),
        ("conservative", {}, [0, 10, 20]),
    ],
)
def test_a_score_goes_first_unless_another_has_a_reservation_that_is_kept(tell, backfill, more, expected):
    """Slurm's plan is made anew in the order of the pass; under conservative job 1 has had 10 to 20 since 1."""
    assert starts(tell, SHORT_LAST, cluster(8), backfill, order="wfp", **more) == expected


@TEST
@pytest.mark.parametrize(("order", "expected"), [("fifo", [0, 10, 20]), ("wfp", [0, 11, 10])])
def test_after_an_early_end_all_are_planned_in_the_order_of_the_pass(tell, order, expected):
    """Job 0 was expected until 20, so job 1 had 20 to 30 and job 2 the time after.

    At 10 WFP plans job 2 first: there is room for it until 20.  Then job 1 has the GPUs from 11 on, still not later.
    """
    jobs = workload((0, 10, 8, {"time_limit": 20}), (1, 10, 8), (2, 1, 8))
    assert starts(tell, jobs, cluster(8), "conservative", order=order) == expected


@TEST
@pytest.mark.parametrize(("order", "expected"), [("fifo", [0, 10, 30, 45]), ("unicef", [0, 19, 3, 18])])
def test_who_falls_behind_the_first_loses_its_reservation_to_a_higher_score(tell, order, expected):
    """Only one job is planned.  At 2 that is job 1, with 8 GPUs from 10 on; job 2, which would delay it, waits.

    UNICEF, wait / (log2(GPUs) x estimate): at 3 job 2 has 1/15, job 1 2/60.  Job 2 is first, sees no reservation, and
    starts; job 1 comes next, with 18.  From the pass at 10 on (7/3 against 9/60) job 3 is first and has 18 itself.
    """
    jobs = workload((0, 10, 6), (1, 20, 8), (2, 15, 2), (3, 1, 8))
    assert starts(tell, jobs, cluster(8), "conservative", order=order, depth=1) == expected


@TEST
@pytest.mark.parametrize(("order", "expected"), [("fifo", [0, 100, 30, 80]), ("unicef", [0, 100, 39, 30])])
def test_a_pass_that_is_due_has_the_scores_of_its_own_instant(tell, order, expected):
    """Slurm plans at 0 and, though nothing happens then, at 30: there are 2 GPUs for job 2 or job 3 until 100.

    UNICEF, wait / (log2(GPUs) x estimate): at 21 job 1 is first with 21/300, and is blocked.  At 30 job 3 has 9/9,
    job 2 10/50 and job 1 30/300: job 3 starts at 30, and job 2 when it ends.
    """
    jobs = workload((0, 100, 6), (0, 100, 8), (20, 50, 2), (21, 9, 2))
    assert starts(tell, jobs, cluster(8), "slurm", order=order, interval=30, resolution=1) == expected
