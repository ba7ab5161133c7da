"""Constraints worked by hand, on tiny workloads: the engine and the reference simulator must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, InputError
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND, NEVER, Workload
from reference import simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
BIG = cluster(8)


class Everybody:
    """Starts whoever fits."""

    def decide(self, state):
        return state.rows


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


# --- beginning in the middle ------------------------------------------------------------------------------


RECORDED = workload(
    (0, 2, 4, {"start_time": 0.0, "end_time": 2.0}),
    (1, 9, 4, {"start_time": 1.0, "end_time": 10.0}),
    (2, 3, 8, {"start_time": 10.0, "end_time": 13.0}),
    (3, 2, 4),
    (6, 1, 4),
)


@TEST
def test_a_simulation_begins_with_what_ran_and_waited(tell):
    """At 5 job 0 has ended and is left out; job 1 runs until 10; job 2 waits since 2 and job 3 since 3, behind it."""
    expected = [[1, 1, 10], [2, 10, 13], [3, 13, 15], [6, 13, 14]]
    assert run(tell, RECORDED, BIG, begin=5.0) == expected
    passing = [[1, 1, 10], [2, 10, 13], [3, 5, 7], [6, 7, 8]]
    assert run(tell, RECORDED, BIG, begin=5.0, policy=Policy(backfill="easy")) == passing


def test_what_is_left_out_is_counted_and_measures_begin_with_the_simulation():
    result = gy.simulate(RECORDED, BIG, begin=5.0)
    record = schedule(RECORDED, BIG, Policy(), begin=5.0)
    assert record.workload.notes == ("ended by 5 s, when the simulation begins: 1 of 5 jobs left out",)
    numbers = result.summary()
    assert numbers["window"]["start_s"] == 5
    assert numbers["jobs"]["submitted"] == 4
    assert numbers["gpu"]["gpu_hours"] == pytest.approx((4 * 5 + 8 * 3 + 4 * 2 + 4 * 1) / 3600)
    assert result.jobs["runtime"].to_pylist() == [9, 3, 2, 1]
    assert result.jobs["wait_time"].to_pylist() == [0, 8, 10, 7]
    assert result.attempts["start_time"].to_pylist()[0] == 5
    assert result.scenario["run"]["begin"] == 5.0


@TEST
def test_a_job_that_ran_without_room_runs_on_and_holds_nothing(tell):
    """Both jobs of 8 GPUs ran at 1 by the record; the cluster has 8."""
    jobs = workload((0, 9, 8, {"start_time": 0.0}), (0, 5, 8, {"start_time": 0.0}), (0, 1, 8))
    assert run(tell, jobs, BIG, begin=1.0) == [[0, 0, 9], [0, 0, 5], [0, 9, 10]]


@TEST
def test_a_dependency_on_a_job_that_had_ended_is_met(tell):
    """Job 1 may start 4 s after job 0 ended at 2, job 2 after job 3 ends, which then runs."""
    jobs = workload(
        (0, 2, 1, {"start_time": 0.0}),
        (0, 1, 1, {"depends_on": ["0"], "think_time": 4.0}),
        (0, 1, 1, {"depends_on": ["0", "3"]}),
        (0, 8, 1, {"start_time": 0.0}),
    )
    assert run(tell, jobs, BIG, begin=3.0) == [[6, 6, 7], [8, 8, 9], [0, 0, 8]]


@TEST
def test_running_tasks_hold_places_of_their_array(tell):
    task = {"array": "a", "array_limit": 1}
    jobs = workload((0, 8, 1, task | {"start_time": 0.0}), (0, 1, 1, task), (0, 1, 1, task))
    assert run(tell, jobs, BIG, begin=3.0) == [[0, 0, 8], [8, 8, 9], [9, 9, 10]]


@TEST
def test_an_array_keeps_its_limit_where_only_a_task_that_had_ended_stated_it(tell):
    """Job 0 says one at a time, and has ended at 3; 1 and 2 take turns all the same."""
    jobs = workload(
        (0, 2, 1, {"array": "a", "array_limit": 1, "start_time": 0.0}),
        (0, 4, 1, {"array": "a"}),
        (0, 4, 1, {"array": "a"}),
    )
    assert run(tell, jobs, BIG, begin=3.0) == [[0, 3, 7], [7, 7, 11]]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"begin": float("nan")}, "begin must be a finite number"),
        ({"begin": 5.0, "until": 4.0}, "begins at 5 s and stops before"),
        ({"begin": 5.0, "policy": Policy(replay="recorded")}, "replay recorded"),
    ],
)
def test_a_beginning_that_cannot_be_is_refused(more, text):
    policy = more.pop("policy", Policy())
    with pytest.raises(ConfigError, match=text):
        schedule(RECORDED, BIG, policy, **more)


# --- maintenance and reserved nodes -----------------------------------------------------------------------


PAIR = cluster(4, 4)
EASY = Policy(backfill="easy")


@TEST
def test_maintenance_drains_a_node(tell):
    """Node 0 is closed from 10 to 20: job 0 would end at 10 and may run there, job 1 would not and goes to node 1.

    Job 2 finds no node before 13, when job 1 ends; job 3 waits behind it.
    """
    down = [gy.NodeWindow(nodes=("0",), start=10, end=20)]
    jobs = workload((0, 10, 4), (1, 12, 4), (10, 5, 4), (11, 1, 4))
    assert [start for _, start, _ in run(tell, jobs, PAIR, windows=down)] == [0, 1, 13, 18]


@TEST
def test_a_job_that_outstays_its_estimate_stays_and_the_nodes_come_back_at_the_end(tell):
    """Job 0 is expected to end at 8 and runs until 14, into the window; job 1 starts when the window ends."""
    down = [gy.NodeWindow(nodes=("all" if tell == "engine" else "0-1",), start=9, end=16)]
    jobs = workload((0, 14, 4, {"time_limit": 8.0}), (9, 3, 4))
    policy = Policy(on_limit="ignore")
    assert run(tell, jobs, PAIR, policy=policy, windows=down) == [[0, 0, 14], [9, 16, 19]]


@TEST
def test_reserved_nodes_are_for_the_invited(tell):
    """Node 0 is ann's from 5 to 15: bob's job 1 is too long to be gone by then, and ann's job 2 may."""
    kept = [gy.NodeWindow(nodes=(0,), start=5, end=15, users=("ann",))]
    jobs = workload((0, 30, 4, {"user": "bob"}), (0, 6, 4, {"user": "bob"}), (6, 3, 4, {"user": "ann"}))
    placed = Policy(placement="worst-fit", backfill="fit")
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=placed, windows=kept)] == [0, 15, 6]


@TEST
def test_easy_reserves_at_the_end_of_a_window_and_lets_short_jobs_pass(tell):
    """Job 1 needs both nodes and cannot have node 0 before 20: job 2 ends at 20 and passes, job 3 would not."""
    down = [gy.NodeWindow(nodes=(0,), start=10, end=20)]
    jobs = workload((0, 10, 4), (1, 5, 8), (2, 18, 4), (3, 18.5, 4))
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=EASY, windows=down)] == [0, 20, 2, 25]


@TEST
def test_easy_reserves_at_the_end_of_a_window_where_nothing_runs(tell):
    """Job 0 needs both nodes, which it has from 10 on: job 1 is back by then, job 2 would not be."""
    down = [gy.NodeWindow(nodes=(0,), start=0, end=10)]
    jobs = workload((0, 5, 8), (1, 5, 4), (2, 12, 4))
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=EASY, windows=down)] == [10, 1, 15]


@TEST
def test_easy_beside_windows_expects_a_job_that_outstays_its_estimate_to_run_twice_as_long(tell):
    """Job 0 is expected to end at 10, then at 20, then at 40: jobs 2 and 3 are back before the head, job 1, is due."""
    later = [gy.NodeWindow(nodes=(0,), start=1000, end=2000)]
    jobs = workload((0, 30, 4, {"time_limit": 10.0}), (1, 10, 8), (12, 7, 4), (21, 19, 4))
    policy = Policy(backfill="easy", on_limit="ignore")
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=policy, windows=later)] == [0, 40, 12, 21]


@TEST
def test_easy_by_counts_goes_through_the_ends_of_windows_and_counts_closed_gpus(tell):
    """Job 1 has its 8 GPUs by the count at 10, when job 0 ends, and node 0 only at 20.

    Job 2 would be back at 18 and waits: no GPU is extra at 10.  At 10 the count says 20, and job 2 would be back at 26.
    """
    down = [gy.NodeWindow(nodes=(0,), start=10, end=20)]
    jobs = workload((0, 10, 4), (1, 5, 8), (2, 16, 4), (3, 7, 4))
    policy = Policy(backfill="easy", reservation="counts")
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=policy, windows=down)] == [0, 20, 25, 3]


@TEST
def test_under_conservative_a_job_kept_out_is_planned_from_the_end_of_the_window(tell):
    """At 10 job 1 has its GPUs and not node 0, so it is planned from 20 on.  Job 2 is back at 10, on node 1."""
    down = [gy.NodeWindow(nodes=(0,), start=10, end=20)]
    jobs = workload((0, 10, 4), (1, 5, 8), (2, 8, 4))
    policy = Policy(backfill="conservative")
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=policy, windows=down)] == [0, 20, 2]


@TEST
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(backfill="conservative"), [0, 33, 15]),
        (Policy(backfill="slurm", interval=0, resolution=1), [0, 20, 25]),
    ],
)
def test_a_job_kept_out_falls_behind_reservations_that_are_kept(tell, policy, expected):
    """At 2 both plans give job 1 the time from 10 to 15 and job 2 that from 15 to 33.  At 10 node 0 is closed to job 1.

    Conservative keeps job 2's reservation, and finds 8 GPUs from 33 on; job 2 runs on node 1.  Slurm plans job 1 first
    again, from the end of the window at 20 on, so job 2 has no 18 s before 25.
    """
    down = [gy.NodeWindow(nodes=(0,), start=10, end=20)]
    jobs = workload((0, 10, 4), (1, 5, 8), (2, 18, 4))
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=policy, windows=down)] == expected


@TEST
@pytest.mark.parametrize(
    ("backfill", "expected"),
    [("none", [21, 20]), ("fit", [21, 20]), ("easy", [21, 20]), ("slurm", [21, 20]), ("conservative", [20, 30])],
)
def test_windows_go_with_an_order_with_a_score(tell, backfill, expected):
    """Both nodes are closed until 20; then WFP has job 1, which has waited 19 times its estimate, before job 0.

    Under conservative job 0 has had the time from 20 to 30 since 0.
    """
    down = [gy.NodeWindow(nodes=("0-1",), start=0, end=20)]
    jobs = workload((0, 10, 8), (1, 1, 8))
    policy = Policy(backfill=backfill, order="wfp")
    assert [start for _, start, _ in run(tell, jobs, PAIR, policy=policy, windows=down)] == expected


@pytest.mark.parametrize("order", ["fifo", "sjf", "wfp"])
@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "conservative", "slurm"])
def test_windows_that_close_nothing_change_nothing(backfill, order):
    jobs = workload(*((number % 5, 3 + number % 4, 1 + number % 8) for number in range(40)))
    far = [gy.NodeWindow(nodes=("0-1",), start=1e6, end=2e6)]
    policy = Policy(backfill=backfill, order=order)
    plain, closed = (schedule(jobs, PAIR, policy, windows=each) for each in ((), far))
    assert np.array_equal(plain.start, closed.start)
    assert np.array_equal(plain.slot_node, closed.slot_node)


def test_closed_gpus_are_counted_once_and_in_the_measured_time():
    """Nodes 0 and 1 from 2 to 6, node 1 from 4 to 8; the run ends at 5, so 8 GPUs for 3 s."""
    down = [gy.NodeWindow(nodes=("0-1",), start=2, end=6), gy.NodeWindow(nodes=(1,), start=4, end=8)]
    jobs = workload((0, 2, 4), (0, 1, 4), (0, 5, 4, {"user": "ann"}))
    big = cluster(4, 4, 4)
    result = gy.simulate(jobs, big, windows=down, backfill="fit", bin_width=1.0)
    assert result.summary()["maintenance"] == {
        "windows": 2,
        "reservations": 0,
        "gpu_hours": pytest.approx(8 * 3 / 3600),
        "share": pytest.approx(8 * 3 / (12 * 5)),
    }
    assert result.timeline["gpus_closed"].to_pylist() == [0, 0, 8, 8, 8]
    assert gy.simulate(jobs, big).summary()["maintenance"] is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"decide": Everybody()}, "do not go with a policy of your own"),
        ({"replay": "recorded"}, "do not go with replay recorded"),
    ],
)
def test_policies_that_know_no_windows_are_refused(changes, text):
    down = [gy.NodeWindow(nodes=(0,), start=10, end=20)]
    with pytest.raises(ConfigError, match=text):
        schedule(workload((0, 1, 1)), PAIR, Policy(**changes), windows=down)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"nodes": ("2",)}, "'2', but 'test' has 2 nodes, numbered from 0"),
        ({"nodes": ("1-0",)}, "a range that goes backwards"),
        ({"nodes": ("rack 1",)}, "no level 'rack'"),
        ({"nodes": ("level-0 2",)}, "has 2 level-0s"),
        ({"nodes": ("left",)}, "neither a node nor a domain"),
        ({"nodes": ()}, "names no nodes"),
        ({"nodes": (0,), "start": 20}, "ends after it starts"),
        ({"nodes": (0,), "users": ("ann",)}, "no job has that user"),
    ],
)
def test_windows_that_cannot_be_are_refused(given, text):
    site = cluster(4, 4, levels=[[0, 1]])
    with pytest.raises(ConfigError, match=text):
        schedule(workload((0, 1, 1)), site, Policy(), windows=[gy.NodeWindow(**{"start": 10, "end": 20} | given)])


def test_nodes_are_named_by_number_range_name_and_domain():
    site = cluster(4, 4, 4, 4, levels=[[0, 0, 1, 1]])
    window = gy.NodeWindow(nodes=(0, "level-0 1", "n1"), start=0, end=1)
    assert window.node_numbers(site).tolist() == [0, 1, 2, 3]
    assert gy.NodeWindow(nodes=("2-3",), start=0, end=1).node_numbers(site).tolist() == [2, 3]


# --- deadlines --------------------------------------------------------------------------------------------


def test_deadlines_are_met_missed_or_open():
    """Jobs end at 4, 8 and 12; the fourth is due after the stop, the fifth never fits, the sixth has none."""
    jobs = workload(
        (0, 4, 8, {"deadline": 4.0}),
        (0, 4, 8, {"deadline": 5.0}),
        (0, 4, 8, {"deadline": 2.0}),
        (0, 4, 8, {"deadline": 90.0}),
        (0, 4, 9, {"deadline": 90.0}),
        (0, 4, 8),
    )
    result = gy.simulate(jobs, BIG, until=13.0)
    block = result.summary()["deadlines"]
    assert {name: block[name] for name in ("jobs", "met", "missed", "open", "missed_share")} == {
        "jobs": 5,
        "met": 1,
        "missed": 3,
        "open": 1,
        "missed_share": 0.75,
    }
    assert (block["lateness_s"]["mean"], block["lateness_s"]["max"]) == (6.5, 10)
    assert result.jobs["lateness"].to_pylist() == [0, 3, 10, None, None, None]
    assert gy.simulate(workload((0, 1, 1)), BIG).summary()["deadlines"] is None
