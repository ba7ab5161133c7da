"""Numbers worked out by hand from records written down by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from conftest import cluster, workload
from gpuyard import NodeWindow, VirtualCluster, simulate
from gpuyard.energy import EnergyModel, account
from gpuyard.errors import ConfigError
from gpuyard.metrics import summarise
from gpuyard.metrics.columns import SUMMARY, leaves, undocumented
from gpuyard.metrics.groups import percentile_block
from gpuyard.policy import Policy
from gpuyard.record import Outcome
from gpuyard.report.sections import group_grids
from gpuyard.traces.schema import ORIGIN
from records import record
from serving import ran, services

FULL = EnergyModel(default_load=1.0, pue=1.5)


def numbers(facts, **options):
    return summarise(facts, account(facts, FULL), **options)


def four_jobs():
    """Return four jobs on 4 GPUs: two at once, one that waits 50 s, one rejected."""
    jobs = workload(
        (0, 100, 2, {"tenant": "a", "job_class": "md"}),
        (0, 50, 2, {"tenant": "b", "state": "failed"}),
        (10, 40, 2, {"tenant": "a", "job_class": "md"}),
        (20, 1, 64),
    )
    outcomes = {1: Outcome.FAILED, 3: Outcome.REJECTED}
    runs = ((0, 0, 100, [(0, 2)]), (1, 0, 50, [(0, 2)]), (2, 50, 90, [(0, 2)]))
    return record(jobs, cluster(4), *runs, outcomes=outcomes, eligible={2: 20})


def test_jobs_are_counted_by_how_they_fared():
    assert numbers(four_jobs())["jobs"] == {
        "submitted": 4,
        "completed": 2,
        "failed": 1,
        "cancelled": 0,
        "timed_out": 0,
        "rejected": 1,
        "unfinished": 0,
        "not_started": 0,
    }


def test_waits_count_from_eligibility_and_from_submission():
    found = numbers(four_jobs())
    assert (found["wait_s"]["mean"], found["wait_s"]["max"]) == (10.0, 30.0)  # 0, 0, 50 - 20
    assert (found["submit_wait_s"]["mean"], found["submit_wait_s"]["max"]) == (40 / 3, 40.0)
    assert found["jct_s"]["mean"] == pytest.approx((100 + 50 + 80) / 3)
    assert found["bounded_slowdown"]["max"] == 2.0  # 80 s for a run time of 40 s


def test_a_run_time_under_ten_seconds_counts_as_ten_in_the_bounded_slowdown():
    facts = record(workload((0, 1, 1), (0, 0, 1)), cluster(1), (0, 0, 1, [(0, 1)]), (1, 25, 25, [(0, 1)]))
    block = numbers(facts)["bounded_slowdown"]
    assert (block["mean"], block["max"]) == ((1.0 + 2.5) / 2, 2.5)


def test_span_and_makespan():
    found = numbers(four_jobs())
    assert (found["first_submit_s"], found["last_end_s"], found["makespan_s"]) == (0.0, 100.0, 100.0)
    assert found["window"] == {"start_s": 0.0, "end_s": 100.0, "warmup_s": 0.0}


def test_allocation_and_utilization_are_weighted_by_time():
    jobs = workload((0, 100, 2, {"activity": 0.5}), (0, 50, 2, {"activity": 0.25}))
    found = numbers(record(jobs, cluster(4), (0, 0, 100, [(0, 2)]), (1, 0, 50, [(0, 2)])))["gpu"]
    assert found["count"] == 4
    assert found["allocation_rate"] == pytest.approx(300 / 400)
    assert found["utilization"] == pytest.approx((100 + 25) / 400)
    assert found["gpu_hours"] == pytest.approx(300 / 3600)
    assert (found["goodput"], found["fragmentation"], found["allocation_rate_end"]) == (1.0, 0.0, 0.0)
    assert found["activity_from"] == {"activity": 1.0, "class": 0.0, "default": 0.0}


def test_gpu_hours_say_how_the_jobs_that_held_them_ended():
    hours = numbers(four_jobs())["gpu"]["gpu_hours_by_state"]
    assert hours["completed"] == pytest.approx(280 / 3600)
    assert hours["failed"] == pytest.approx(100 / 3600)


def test_the_mean_queue_obeys_littles_law():
    queue = numbers(four_jobs())["queue"]
    assert queue == {"mean_jobs": 0.3, "max_jobs": 1, "mean_gpus": 0.6}  # one job of 2 GPUs waits 30 of 100 s


def test_a_job_left_waiting_is_in_the_queue_until_the_stop():
    jobs = workload((0, 100, 4), (10, 100, 3))
    found = numbers(record(jobs, cluster(4), (0, 0, 40, [(0, 4)]), stop=40))
    assert found["jobs"]["unfinished"] == 2
    assert found["jobs"]["not_started"] == 1
    assert found["queue"] == {"mean_jobs": 30 / 40, "max_jobs": 1, "mean_gpus": 90 / 40}
    assert found["gpu"]["allocation_rate"] == 1.0
    assert (found["last_end_s"], found["makespan_s"], found["jct_s"]["mean"]) == (None, None, None)
    assert found["wait_s"]["max"] == 0.0


def test_a_window_cuts_time_and_counts_the_jobs_submitted_inside():
    jobs = workload((0, 100, 4), (60, 40, 2))
    facts = record(jobs, cluster(4), (0, 0, 60, [(0, 4)]), (1, 60, 100, [(0, 2)]))
    found = numbers(facts, window=(20, 80))
    assert found["jobs"]["submitted"] == 1
    assert found["gpu"]["allocation_rate"] == pytest.approx((40 * 4 + 20 * 2) / (60 * 4))
    found = numbers(facts, window=(20, float("inf")), warmup=40)
    assert found["window"] == {"start_s": 20.0, "end_s": 100.0, "warmup_s": 40.0}
    assert found["gpu"]["allocation_rate"] == pytest.approx(0.5)
    assert found["energy"]["it_kwh"] == pytest.approx(40 * (100 + 2 * 400 + 100) / 3.6e6)


def test_a_window_may_open_before_the_first_job_and_is_cut_to_the_end_of_the_run():
    facts = record(workload((3600, 3600, 4)), cluster(4), (0, 3600, 7200, [(0, 4)]))
    found = numbers(facts, window=(0, 10**6))
    assert found["window"]["end_s"] == 7200.0
    assert found["gpu"]["allocation_rate"] == 0.5
    energy = found["energy"]
    assert energy["it_kwh"] == pytest.approx(0.1 + 1.9)  # an hour of idle draw, an hour of everything
    assert energy["idle_kwh"] == pytest.approx(0.1)
    assert energy["mean_mw"] == pytest.approx(0.0015)


def test_windows_side_by_side_count_each_job_once():
    facts = record(
        workload((0, 5, 1), (10, 5, 1), (20, 5, 1)),
        cluster(1),
        *((job, 10 * job, 10 * job + 5, [(0, 1)]) for job in range(3)),
    )
    counted = [numbers(facts, window=window)["jobs"]["submitted"] for window in ((0, 10), (10, 25))]
    assert counted == [1, 2]
    assert numbers(facts)["jobs"]["submitted"] == 3


def test_jobs_rejected_after_the_last_end_are_counted():
    jobs = workload((0, 3600, 8), (7200, 60, 9, {"job_class": "wide"}), (7300, 60, 9, {"job_class": "wide"}))
    refused = {1: Outcome.REJECTED, 2: Outcome.REJECTED}
    found = numbers(record(jobs, cluster(8), (0, 0, 3600, [(0, 8)]), outcomes=refused))
    assert {key: found["jobs"][key] for key in ("submitted", "completed", "rejected")} == {
        "submitted": 3,
        "completed": 1,
        "rejected": 2,
    }
    assert found["by_class"]["wide"]["jobs"]["rejected"] == 2
    assert found["window"]["end_s"] == 3600.0


def test_jobs_submitted_after_the_stop_are_not_counted():
    jobs = workload((0, 3600, 8), (7200, 60, 9), (7300, 60, 9))
    refused = {1: Outcome.REJECTED, 2: Outcome.REJECTED}
    facts = record(jobs, cluster(8), (0, 0, 3600, [(0, 8)]), outcomes=refused)
    assert numbers(facts, until=7200.0)["jobs"]["submitted"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (float("-inf"), 5)}, "must end later than it starts"),
        ({"window": (5, 5)}, "must end later than it starts"),
        ({"window": (500, 600)}, "the window starts at 500 s but the run ends at 100 s"),
        ({"warmup": 100.0}, "a warm-up of 100 s does not fit a window of 100 s"),
        ({"warmup": -1.0}, "does not fit"),
    ],
)
def test_a_window_that_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        numbers(four_jobs(), **options)


def test_groups_say_who_made_room_and_what_it_cost_them():
    """Job 0 works from 0 to 20, makes room for job 1, restarts at 30 for 10 s and works the 80 s that are left."""
    jobs = workload((0, 100, 4, {"tenant": "a"}), (20, 10, 4, {"tenant": "b"}))
    policy = Policy(backfill="fit", preemption={"rule": "srtf", "restart_cost": 10})
    found = simulate(jobs, cluster(4), policy=policy).summary()
    said = {name: (block["preemptions"], block["lost_gpu_hours"]) for name, block in found["by_tenant"].items()}
    assert said == {"a": (1, pytest.approx(4 * 10 / 3600)), "b": (0, 0.0)}
    assert (found["preemptions"], found["lost_gpu_hours"]) == said["a"]
    assert found["gpu"]["goodput"] == pytest.approx(1 - 10 / 120)


def test_partitions_and_qos_are_groups_where_jobs_state_any():
    jobs = workload((0, 10, 4, {"partition": "debug"}), (0, 10, 4, {"partition": "main"}), (0, 10, 4))
    result = simulate(jobs, cluster(4))
    found = result.summary()
    waits = {name: block["wait_s"]["mean"] for name, block in found["by_partition"].items()}
    assert waits == {"debug": 0, "main": 10, "other": 20}
    assert found["by_qos"] is None, "nobody states any"
    assert result.jobs["partition"].to_pylist() == ["debug", "main", None]
    assert [grid.caption for grid in group_grids(result)] == ["By partition", "By size of the job"]


@pytest.mark.parametrize(("until", "waited"), [(None, 10), (25, 5)])
def test_a_preempted_job_is_in_the_queue_until_it_goes_on_or_the_run_stops(until, waited):
    pair = workload((0, 100, 4), (20, 10, 4))
    policy = Policy(backfill="fit", preemption={"rule": "srtf", "restart_cost": 10})
    found = simulate(pair, cluster(4), policy=policy, until=until)
    length = until or 120
    queue = found.summary()["queue"]
    assert (queue["max_jobs"], queue["mean_jobs"]) == (1, pytest.approx(waited / length))
    assert queue["mean_gpus"] == pytest.approx(4 * waited / length)
    assert found.summary()["wait_s"]["max"] == 0.0  # to the first start


def test_a_run_that_preempts_may_have_no_attempts():
    found = simulate(workload((0, 10, 8)), cluster(4), policy="srtf").summary()
    assert (found["jobs"]["rejected"], found["queue"]["max_jobs"], found["preemptions"]) == (1, 0, 0)


def test_groups_split_jobs_gpu_hours_and_energy():
    found = numbers(four_jobs())
    by_tenant = found["by_tenant"]
    assert list(by_tenant) == ["a", "b", "other"]
    assert by_tenant["a"]["jobs"]["submitted"] == 2
    assert by_tenant["a"]["wait_s"]["max"] == 30.0
    assert by_tenant["a"]["gpu"]["share"] == pytest.approx(280 / 380)
    assert by_tenant["other"]["wait_s"]["mean"] is None
    assert by_tenant["other"]["gpu"]["activity"] is None
    energy = found["energy"]
    assert sum(group["energy"]["it_kwh"] for group in by_tenant.values()) == pytest.approx(
        energy["jobs_kwh"] + energy["held_idle_kwh"]
    )
    assert list(found["by_class"]) == ["md", "other"]
    assert found["by_gpus"]["2"]["jobs"]["submitted"] == 3


def test_sizes_are_grouped_by_powers_of_two():
    sizes = (0, 1, 1, 2, 3, 4, 5, 8, 9, 16, 17, 1024)
    jobs = workload(*((0, 1, size, {"gpu_milli": 500} if at == 1 else {}) for at, size in enumerate(sizes)))
    groups = numbers(record(jobs, cluster(4)))["by_gpus"]
    counts = {name: group["jobs"]["submitted"] for name, group in groups.items()}
    assert counts == {"0": 1, "fraction": 1, "1": 1, "2": 1, "3-4": 2, "5-8": 2, "9-16": 2, "17-32": 1, "513-1024": 1}


def test_the_share_across_racks_is_of_gpu_time_on_several_nodes():
    jobs = workload((0, 30, 4), (0, 10, 4), (0, 60, 2))
    site = cluster(2, 2, 2, 2, 2, levels=[[0, 0, 1, 1, 1]])
    runs = ((0, 0, 30, [(0, 2), (1, 2)]), (1, 30, 40, [(1, 2), (2, 2)]), (2, 0, 60, [(4, 2)]))
    network = numbers(record(jobs, site, *runs))["network"]
    assert network["cross_rack_share"] == pytest.approx(10 / 40)
    assert network["multi_node_share"] == pytest.approx(160 / 280)
    assert network["mean_speed"] == 1.0


def test_recorded_waits_stand_beside_the_simulated_ones():
    jobs = workload((0, 9, 1, {"start_time": 5.0}), (0, 9, 1, {"start_time": 10.0}), (0, 9, 1))
    facts = record(jobs, cluster(4), (0, 1, 10, [(0, 1)]), (1, 12, 21, [(0, 1)]), (2, 0, 9, [(0, 1)]))
    found = numbers(facts)["recorded"]
    assert found["jobs"] == 2
    assert found["share_of_jobs"] == pytest.approx(2 / 3)
    assert (found["recorded_wait_s"]["mean"], found["simulated_wait_s"]["mean"]) == (7.5, 6.5)
    assert (found["mean_error_s"], found["mean_absolute_error_s"]) == (-1.0, 3.0)
    assert found["correlation"] == pytest.approx(1.0)
    assert numbers(four_jobs())["recorded"] is None


def test_a_recorded_replay_says_what_it_had_no_room_for():
    jobs = workload((0, 100, 4), (0, 50, 2))
    runs = ((0, 0, 100, [(0, 4)]), (1, 0, 50, []))
    found = numbers(record(jobs, cluster(4), *runs, policy=Policy(replay="recorded")))
    assert found["oversubscribed"] == {
        "attempts": 1,
        "gpu_hours": pytest.approx(100 / 3600),
        "peak_gpus_above_capacity": 2.0,
        "gpu_hours_above_capacity": pytest.approx(100 / 3600),
    }
    assert found["gpu"]["allocation_rate"] == 1.0
    assert numbers(four_jobs())["oversubscribed"] is None


def test_what_ran_at_the_beginning_without_room_is_counted_as_oversubscribing():
    """By the record 6 GPUs of 4 were held from 0 to 20, of which 10 s are simulated."""
    since = {"start_time": 0.0, "end_time": 20.0}
    found = simulate(workload((0, 20, 3, since), (0, 20, 3, since)), cluster(4), begin=10).summary()
    assert found["oversubscribed"] == {
        "attempts": 1,
        "gpu_hours": pytest.approx(30 / 3600),
        "peak_gpus_above_capacity": 2.0,
        "gpu_hours_above_capacity": pytest.approx(20 / 3600),
    }


@pytest.mark.parametrize(
    ("terms", "end"),
    [
        ({"checkpoint_interval": None}, 170),
        ({"checkpoint_interval": 40}, 130),
        ({"checkpoint_interval": 10, "checkpoint_cost": 1}, 124),
    ],
)
def test_what_a_job_did_before_the_beginning_counts_only_once(terms: dict[str, object], end: int) -> None:
    """The first runs from 0 by the record, for 100 s, and makes room from 60 to 70; it does what it lost again.

    It had saved nothing then; 40 s; 50 s, at 55 with the costs of five checkpoints, and writes four more from 70 on.
    """
    since = {"start_time": 0.0, "end_time": 100.0, "priority": 0}
    policy = Policy(backfill="fit", preemption={"rule": "priority", **terms})
    found = simulate(workload((0, 100, 4, since), (60, 10, 4, {"priority": 1})), cluster(4), policy=policy, begin=50)
    assert found.jobs["end_time"].to_pylist() == [end, 70]
    assert found.jobs["runtime"].to_pylist() == [100, 10]
    assert found.jobs["slowdown"].to_pylist()[0] == pytest.approx(end / 100)


def test_energy_is_told_in_the_units_of_its_keys():
    energy = numbers(record(workload((0, 3600, 4)), cluster(4), (0, 0, 3600, [(0, 4)])))["energy"]
    assert energy["it_kwh"] == pytest.approx(1.9)
    assert energy["facility_kwh"] == pytest.approx(2.85)
    assert energy["pue"] == pytest.approx(1.5)
    assert (energy["mean_mw"], energy["peak_mw"]) == (pytest.approx(0.00285), pytest.approx(0.00285))
    assert energy["kwh_per_gpu_hour"] == pytest.approx(2.85 / 4)
    assert energy["idle_share"] == 0.0


def test_nothing_at_all_gives_nulls_and_valid_json():
    found = numbers(record(workload(), cluster(4)))
    json.dumps(found, allow_nan=False)
    assert found["jobs"]["submitted"] == 0
    assert found["gpu"]["allocation_rate"] is None
    assert found["wait_s"] == dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "max"))
    assert (found["by_class"], found["saturated"], found["makespan_s"]) == ({}, None, None)


def test_every_key_is_explained_and_every_explained_key_exists():
    found = numbers(four_jobs())
    assert undocumented(found) == []
    replayed = numbers(
        record(workload((0, 1, 1, {"start_time": 0.0})), cluster(1), (0, 0, 1, []), policy=Policy(replay="recorded"))
    )
    assert undocumented(replayed) == []
    constrained = simulate(
        workload((0, 1, 1, {"deadline": 3.0})), cluster(1), windows=[NodeWindow(nodes=(0,), start=5, end=6)]
    ).summary()
    assert undocumented(constrained) == []
    asked = services()
    facts = {**asked.held.schema.metadata, ORIGIN: b"2027-12-31T23:55:00+00:00"}
    asked = replace(asked, held=asked.held.replace_schema_metadata(facts))
    served = numbers(replace(ran(asked), windows=(NodeWindow.commissioned((0,), 0.0, "p1"),)))
    assert undocumented(served) == []
    grown = simulate(
        workload((0, 9, 1, {"job_class": "training"})), cluster(1, 1), windows=[NodeWindow.commissioned((1,), start=5)]
    ).summary()
    assert undocumented(grown) == []
    apart = simulate(
        workload((0, 9, 1, {"tenant": "a"})),
        cluster(1),
        policy="fifo-fit",
        virtual_clusters=[VirtualCluster(name="a", nodes=(0,), sharing={"tenant": [{"name": "a", "nominal": 1}]})],
    ).summary()
    assert undocumented(apart) == []
    lent = simulate(
        workload(
            (0, 9, 1, {"tenant": "a", "qos": "hi"}),
            (0, 9, 1, {"tenant": "alpha", "partition": "main"}),
            (1, 9, 1, {"tenant": "a", "priority": 1}),
        ),
        cluster(1),
        policy="fifo-fit",
        preemption="priority",
        tenants={"tenant": [{"name": "a", "nominal": 1}, {"name": "alpho"}]},
    ).summary()
    assert undocumented(lent) == []
    every = (found, replayed, constrained, served, grown, apart, lent)
    paths = {path for each in every for path in leaves(each)}
    assert [key.path for key in SUMMARY if key.path not in paths] == []
    assert all(key.unit and key.meaning for key in SUMMARY)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 101, 1000])
def test_percentiles_are_numpys_linear_ones(size):
    values = np.random.default_rng(size).exponential(1000, size)
    block = percentile_block(values)
    expected = np.percentile(values, [50, 90, 95, 99], method="linear")
    assert [block[name] for name in ("p50", "p90", "p95", "p99")] == pytest.approx(expected.tolist(), rel=1e-12)
    assert block["max"] == values.max()


def test_half_of_the_jobs_wait_no_longer_than_the_median():
    assert percentile_block(np.array([40, 10, 20, 30]))["p50"] == 25.0


def _single_server(load: float, jobs: int = 2000, seed: int = 1):
    """Return a queue of one node by Lindley's recursion: a job starts when it has come and the last is gone."""
    random = np.random.default_rng(seed)
    submit = np.cumsum(random.exponential(100 / load, jobs)).round(6)
    runtime = random.exponential(100, jobs).round(6)
    runs, free = [], 0.0
    for job in range(jobs):
        start = max(float(submit[job]), free)
        free = start + float(runtime[job])
        runs.append((job, start, free, [(0, 8)]))
    rows = [(float(a), float(b), 8) for a, b in zip(submit, runtime, strict=True)]
    return record(workload(*rows), cluster(8), *runs)


@pytest.mark.parametrize("seed", range(4))
def test_a_queue_is_saturated_at_load_1_3_and_not_at_0_7(seed):
    assert numbers(_single_server(1.3, seed=seed))["saturated"] is True
    assert numbers(_single_server(0.7, seed=seed))["saturated"] is False


def test_few_jobs_or_one_instant_say_nothing_about_growth():
    assert numbers(_single_server(1.3, jobs=99))["saturated"] is None
    together = workload(*((0, 10, 4) for _ in range(150)))
    runs = [(job, 10 * job, 10 * job + 10, [(0, 4)]) for job in range(150)]
    assert numbers(record(together, cluster(4), *runs))["saturated"] is None
