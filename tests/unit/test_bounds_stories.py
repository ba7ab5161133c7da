"""Who is beyond the bounds of a partition or QOS, worked by hand."""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.bounds import Bounds
from gpuyard.policy import Policy
from gpuyard.record import Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND

RACK = cluster(4, 4, 4)
P, Q = {"partition": "p"}, {"qos": "q"}


def told(record: Record) -> list[str]:
    """Return why each job was rejected, or an empty text."""
    return [record.reject_reasons[number] for number in record.reject_reason]


def lengths(record: Record) -> list[float]:
    """Return how long each job ran, s."""
    return ((record.end - record.start) / MICROSECOND).tolist()


def test_who_states_no_limit_has_the_shortest_of_partition_and_qos():
    """p gives 7 s, q 5 s though it allows 9: job 0 of both is killed after 5 s, job 1 of p after 7.

    Job 2 states 8 s, which both allow; job 3 is of neither and runs its 20 s.
    """
    jobs = workload((0, 20, 1, P | Q), (0, 20, 1, P), (0, 20, 1, P | Q | {"time_limit": 8}), (0, 20, 1))
    bounds = [Bounds(partition="p", default_time=7, max_time=10), Bounds(qos="q", default_time=5, max_time=9)]
    record = schedule(jobs, RACK, Policy(), bounds=bounds)
    assert lengths(record) == [5, 7, 8, 20]
    assert [Outcome(each).name for each in record.outcome] == ["TIMED_OUT", "TIMED_OUT", "TIMED_OUT", "COMPLETED"]


def test_the_limit_given_is_believed_by_whoever_plans():
    """Jobs 0 and 1 state none and are believed to run 4 and 9 s, so that sjf takes job 1 of p first."""
    jobs = workload((0, 3, 4), (1, 9, 4, Q), (1, 8, 4, P))
    bounds = [Bounds(partition="p", max_time=4), Bounds(qos="q", max_time=9)]
    record = schedule(jobs, cluster(4), Policy(order="sjf", on_limit="ignore"), bounds=bounds)
    assert (record.start / MICROSECOND).tolist() == [0, 11, 3]


def test_a_time_limit_at_the_bound_is_allowed_and_one_microsecond_more_is_not():
    jobs = workload((0, 1, 1, P | {"time_limit": 4}), (0, 1, 1, P | {"time_limit": 4.000001}))
    found = told(schedule(jobs, RACK, Policy(), bounds=[Bounds(partition="p", max_time=4)]))
    assert [bool(reason) for reason in found] == [False, True]


@pytest.mark.parametrize(
    ("gpus", "more", "nodes"),
    [
        (4, {}, 1),
        (5, {}, 2),
        (12, {}, 3),
        (4, {"nodes": 3}, 3),
        (0, {"cpus": 1}, 1),
        (0, {"cpus": 2, "nodes": 2}, 2),
        (1, {"gpu_milli": 500}, 1),
    ],
)
def test_the_nodes_of_a_job_are_its_column_or_its_chunks(gpus, more, nodes):
    site = cluster(4, 4, 4, cpus=[8, 8, 8])
    jobs = workload((0, 1, gpus, P | more))
    for most in range(1, 4):
        reasons = told(schedule(jobs, site, Policy(), bounds=[Bounds(partition="p", max_nodes=most)]))
        assert ("has more nodes" in reasons[0]) == (nodes > most)
        reasons = told(schedule(jobs, site, Policy(), bounds=[Bounds(partition="p", min_nodes=most)]))
        assert ("has fewer nodes" in reasons[0]) == (nodes < most)


def test_the_fewest_nodes_count_where_types_differ_and_spread_has_no_number():
    """8 GPUs are one node of b and two of a rack of a: one it is, where it may use b."""
    site = cluster(("a", 4), ("a", 4), ("b", 8), levels=[[0, 0, 1]], level_names=["nvlink"])
    jobs = workload((0, 1, 8, P), (0, 1, 8, P | {"gpu_type": "a"}), (0, 1, 12, P | {"spread": True}))
    found = told(schedule(jobs, site, Policy(), bounds=[Bounds(partition="p", max_nodes=1)]))
    assert [bool(reason) for reason in found] == [False, True, False]


def test_gpus_are_counted_in_thousandths_and_an_exclusive_fraction_as_one():
    half = {"gpu_milli": 500}
    jobs = workload(
        (0, 1, 1, Q | half), (0, 1, 1, Q | half | {"exclusive": True}), (0, 1, 2, Q), (0, 1, 0, Q | {"cpus": 1})
    )
    site = cluster(4, cpus=[8])
    assert [bool(each) for each in told(schedule(jobs, site, Policy(), bounds=[Bounds(qos="q", max_gpus=0.5)]))] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [bool(each) for each in told(schedule(jobs, site, Policy(), bounds=[Bounds(qos="q", min_gpus=0.501)]))] == [
        True, False, False, True,
    ]  # fmt: skip


def test_cpus_and_memory_are_those_of_the_job_table_whatever_the_cluster_knows():
    jobs = workload((0, 1, 1, Q | {"cpus": 4, "memory_gib": 2}), (0, 1, 1, Q | {"cpus": 4.001}), (0, 1, 1, Q))
    bounds = [Bounds(qos="q", max_cpus=4, max_memory_gib=1)]
    found = told(schedule(jobs, RACK, Policy(), bounds=bounds))
    assert found == [
        "asks for more memory than the 1 GiB of its QOS 'q' (QOSMaxMemoryPerJob)",
        "asks for more CPUs than the 4 of its QOS 'q' (QOSMaxCpuPerJobLimit)",
        "",
    ]


def test_tenants_are_allowed_with_those_below_them():
    names = ("steel", "steel/vision", "steelworks", "bio", None)
    jobs = workload(*((0, 1, 1, P | {"tenant": name}) for name in names))
    allowed = told(schedule(jobs, RACK, Policy(), bounds=[Bounds(partition="p", allow_tenants=("steel",))]))
    assert [not each for each in allowed] == [True, True, False, False, False]
    denied = told(schedule(jobs, RACK, Policy(), bounds=[Bounds(partition="p", deny_tenants=("steel",))]))
    assert [not each for each in denied] == [False, False, True, True, True]


def test_jobs_that_name_none_are_of_the_default():
    """Jobs 0 and 1 are of p and of q by default; job 2 of another partition is not.  p takes QOS q only."""
    jobs = workload((0, 1, 1), (0, 1, 3, {"qos": "z"}), (0, 1, 3, {"partition": "z"}))
    bounds = [Bounds(partition="p", is_default=True, max_gpus=2, allow_qos=("q",)), Bounds(qos="q", is_default=True)]
    found = told(schedule(jobs, RACK, Policy(), bounds=bounds))
    assert found[0] == ""
    assert "asks for more GPUs than the 2 of its partition 'p'" in found[1]
    assert found[2] == ""


def test_the_partition_is_asked_first_and_before_the_nodes():
    """Job 0 is beyond the time of both and too large for the cluster: its partition's time is the reason."""
    jobs = workload((0, 1, 99, P | Q | {"time_limit": 9}))
    bounds = [Bounds(qos="q", max_time=1), Bounds(partition="p", max_time=2, max_gpus=1)]
    assert "partition 'p' (PartitionTimeLimit)" in told(schedule(jobs, RACK, Policy(), bounds=bounds))[0]


def test_who_depends_on_a_rejected_job_is_rejected_and_queues_go_on():
    jobs = workload((0, 5, 4, P | {"time_limit": 9}), (1, 5, 4), (2, 5, 4, {"depends_on": ["0"]}))
    record = schedule(jobs, cluster(4), Policy(), bounds=[Bounds(partition="p", max_time=5)])
    assert [Outcome(each).name for each in record.outcome] == ["REJECTED", "COMPLETED", "REJECTED"]
    assert record.start[1] == MICROSECOND


def test_who_runs_when_the_simulation_begins_is_asked_for_nothing():
    """Job 0 ran by then, though its limit is above the bound; job 1 waits for its GPUs; job 2 is rejected."""
    long = P | {"time_limit": 99}
    jobs = workload(
        (0, 10, 4, long | {"start_time": 0, "end_time": 10}),
        (1, 2, 4),
        (2, 2, 1, long | {"start_time": 3, "end_time": 5}),
    )
    record = schedule(jobs, cluster(4), Policy(), begin=2, bounds=[Bounds(partition="p", max_time=50)])
    assert [Outcome(each).name for each in record.outcome] == ["COMPLETED", "COMPLETED", "REJECTED"]
    assert (record.end[:2] / MICROSECOND).tolist() == [10, 12]


def test_bounds_beside_nodes_of_partitions():
    """debug has node 0 and an hour; main all nodes.  Job 1 is beyond the hour, job 0 waits for nobody."""
    windows = [NodeWindow.partition("debug", (0,)), NodeWindow.partition("main", ("all",), is_default=True)]
    debug = {"partition": "debug"}
    jobs = workload((0, 60, 4, debug), (0, 60, 1, debug | {"time_limit": 7200}), (0, 60, 8))
    bounds = [Bounds(partition="debug", max_time=3600)]
    record = schedule(jobs, RACK, Policy(), windows=windows, bounds=bounds)
    assert [bool(each) for each in told(record)] == [False, True, False]
    assert record.slot_node.tolist() == [0, 1, 2]
