"""Tiny workloads through the engine: one claim a test, starts and places worked by hand.

Rows are (submit_time, runtime, gpus), times in seconds.
"""

from __future__ import annotations

import pytest

from conftest import cluster, starts, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy, named_policy
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.simulation import schedule
from gpuyard.workload import NEVER, Workload


def run(jobs: Workload, site: Cluster, policy: str = "fifo", *, seed: int = 0, until: float | None = None, **changes):
    return schedule(jobs, site, named_policy(policy, **changes), seed=seed, until=until)


def outcomes(record: Record) -> list[str]:
    return [Outcome(code).name.lower() for code in record.outcome]


def nodes(record: Record) -> list[list[int]]:
    """Return the nodes each job held, by row."""
    held: list[list[int]] = [[] for _ in range(len(record.workload))]
    for attempt, job in enumerate(record.attempt_job):
        slots = slice(record.slot_offset[attempt], record.slot_offset[attempt + 1])
        held[job] = sorted(record.slot_node[slots].tolist())
    return held


# --- who goes next -----------------------------------------------------------------------------------------


def test_fifo_lets_nobody_pass_a_blocked_head():
    assert starts(workload((0, 10, 6), (1, 10, 8), (2, 1, 2)), cluster(8)) == [0, 10, 20]


def test_fifo_fit_lets_a_later_job_pass():
    assert starts(workload((0, 10, 6), (1, 10, 8), (2, 1, 2)), cluster(8), "fifo-fit") == [0, 10, 2]


def test_fifo_fit_may_starve_the_head():
    jobs = workload((0, 10, 1), (1, 10, 2), (5, 10, 1), (12, 10, 1))
    assert starts(jobs, cluster(2), "fifo-fit") == [0, 22, 5, 12]


def test_sjf_starts_the_shortest_waiting_job_first():
    assert starts(workload((0, 10, 1), (1, 9, 1), (2, 3, 1)), cluster(1), "sjf") == [0, 13, 10]


def test_sjf_trusts_the_time_limit_and_not_the_run_time():
    jobs = workload((0, 10, 1), (1, 2, 1, {"time_limit": 9}), (2, 3, 1))
    assert starts(jobs, cluster(1), "sjf") == [0, 13, 10]


def test_sjf_without_backfill_waits_behind_the_shortest():
    jobs = workload((0, 10, 1), (1, 2, 2), (1, 3, 1))
    assert starts(jobs, cluster(2), "sjf") == [0, 10, 12]


def test_smallest_starts_the_job_with_the_fewest_gpus_first():
    assert starts(workload((0, 10, 8), (1, 5, 6), (2, 5, 4)), cluster(8), "smallest") == [0, 15, 10]


def test_priority_starts_the_highest_first():
    jobs = workload((0, 10, 1), (1, 5, 1), (2, 5, 1, {"priority": 7}), (3, 5, 1, {"priority": -7}))
    assert starts(jobs, cluster(1), "priority") == [0, 15, 10, 20]


def test_equal_priorities_go_by_submit_time():
    jobs = workload((0, 10, 1), (2, 5, 1, {"priority": 1}), (1, 5, 1, {"priority": 1}))
    assert starts(jobs, cluster(1), "priority") == [0, 10, 15]


# --- ties at one instant -----------------------------------------------------------------------------------


def test_an_end_serves_a_submission_of_the_same_instant():
    assert starts(workload((0, 5, 8), (5, 5, 8)), cluster(8)) == [0, 5]


def test_two_ends_of_one_instant_free_their_gpus_before_anyone_starts():
    """With one pass after each END the job of 4 GPUs would pass the job of 8."""
    jobs = workload((0, 5, 4), (0, 5, 4), (1, 5, 8), (1, 5, 4))
    assert starts(jobs, cluster(8), "fifo-fit") == [0, 0, 5, 10]


def test_a_release_and_a_submission_of_one_instant_compete_by_order():
    jobs = workload((0, 9, 1, {"not_before": 4}), (4, 9, 1))
    assert starts(jobs, cluster(1)) == [4, 13]


def test_submissions_of_one_instant_are_seen_together():
    """The later row is shorter and goes first, though the GPU was free when the first row came."""
    assert starts(workload((0, 9, 1), (0, 3, 1)), cluster(1), "sjf") == [3, 0]


def test_a_zero_length_job_starts_and_ends_at_one_instant():
    record = run(workload((0, 0, 8), (0, 4, 8)), cluster(8))
    assert (record.start.tolist(), record.end.tolist()) == ([0, 0], [0, 4_000_000])


def test_a_zero_length_job_holds_its_gpus_during_its_pass():
    assert starts(workload((0, 0, 6), (0, 3, 8), (0, 5, 2)), cluster(8), "fifo-fit") == [0, 5, 0]


# --- eligibility -------------------------------------------------------------------------------------------


def test_a_job_starts_when_its_parents_have_ended_and_it_has_thought():
    jobs = workload((0, 5, 1), (0, 7, 1), (1, 1, 1, {"depends_on": ["0", "1"], "think_time": 2}))
    assert starts(jobs, cluster(4)) == [0, 0, 9]


def test_think_time_passes_while_the_job_is_not_even_submitted():
    jobs = workload((0, 1, 1), (10, 1, 1, {"depends_on": ["0"], "think_time": 3}))
    assert starts(jobs, cluster(4)) == [0, 10]


def test_a_parent_may_be_submitted_after_its_child():
    jobs = workload((0, 1, 1, {"depends_on": ["1"]}), (5, 2, 1))
    assert starts(jobs, cluster(4)) == [7, 5]


def test_a_killed_parent_releases_its_child():
    jobs = workload((0, 9, 1, {"time_limit": 3}), (0, 1, 1, {"depends_on": ["0"]}))
    assert starts(jobs, cluster(4)) == [0, 3]


def test_a_job_that_is_not_eligible_blocks_nobody():
    assert starts(workload((0, 5, 1, {"not_before": 3}), (1, 4, 1)), cluster(1)) == [5, 1]


def test_the_child_of_a_rejected_job_is_rejected():
    jobs = workload((0, 1, 9), (0, 1, 1, {"depends_on": ["0"]}), (0, 1, 1, {"depends_on": ["1"]}))
    assert outcomes(run(jobs, cluster(8))) == ["rejected", "rejected", "rejected"]


# --- how long and how it ends ------------------------------------------------------------------------------


def test_a_job_is_killed_at_its_time_limit():
    record = run(workload((0, 5, 1, {"time_limit": 3})), cluster(1))
    assert (outcomes(record), record.end.tolist()) == (["timed_out"], [3_000_000])
    assert record.attempt_reason.tolist() == [EndReason.TIME_LIMIT]


def test_a_job_that_ends_at_its_limit_is_not_timed_out():
    assert outcomes(run(workload((0, 3, 1, {"time_limit": 3})), cluster(1))) == ["completed"]


def test_an_ignored_limit_kills_nobody():
    record = run(workload((0, 5, 1, {"time_limit": 3})), cluster(1), on_limit="ignore")
    assert (outcomes(record), record.end.tolist()) == (["completed"], [5_000_000])


def test_a_job_that_failed_in_the_record_fails_again():
    jobs = workload((0, 5, 1, {"state": "failed"}), (0, 5, 1, {"state": "cancelled"}))
    assert outcomes(run(jobs, cluster(2))) == ["failed", "cancelled"]


def test_the_stop_leaves_jobs_unfinished():
    record = run(workload((0, 4, 1), (0, 5, 1), (0, 5, 1)), cluster(1), until=6)
    assert outcomes(record) == ["completed", "unfinished", "unfinished"]
    assert record.end.tolist() == [4_000_000, NEVER, NEVER]
    assert record.attempt_end.tolist() == [4_000_000, 6_000_000]
    assert record.attempt_reason.tolist() == [EndReason.FINISHED, EndReason.STOPPED]
    assert record.stop == 6_000_000


def test_the_instant_of_the_stop_still_counts():
    assert starts(workload((0, 4, 1), (0, 5, 1)), cluster(1), until=4) == [0, 4]


def test_a_job_too_large_for_the_site_is_rejected_with_a_reason():
    record = run(workload((0, 1, 9)), cluster(8))
    assert outcomes(record) == ["rejected"]
    assert record.start.tolist() == [NEVER]
    assert record.reject_reasons[record.reject_reason[0]]


def test_a_rejected_job_blocks_nobody():
    assert starts(workload((0, 1, 9), (0, 1, 8)), cluster(8)) == [None, 0]


# --- where it runs -----------------------------------------------------------------------------------------


def test_a_job_that_fits_one_node_waits_for_one_node():
    """Two GPUs are free, but on two nodes."""
    assert starts(workload((0, 9, 3), (0, 9, 3), (1, 1, 2)), cluster(4, 4)) == [0, 0, 9]


def test_spread_takes_the_gpus_where_they_are():
    assert starts(workload((0, 9, 3), (0, 9, 3), (1, 1, 2)), cluster(4, 4), spread=True) == [0, 0, 1]


def test_a_large_job_takes_whole_nodes_and_one_rest():
    record = run(workload((0, 1, 10)), cluster(4, 4, 4, 4))
    assert (record.slot_node.tolist(), record.slot_gpus.tolist()) == ([0, 1, 2], [4, 4, 2])


def test_a_large_job_waits_until_whole_nodes_are_free():
    assert starts(workload((0, 9, 1), (1, 1, 8)), cluster(4, 4)) == [0, 9]


def test_nodes_splits_a_job_as_equally_as_possible():
    record = run(workload((0, 1, 8, {"nodes": 3})), cluster(4, 4, 4))
    assert sorted(record.slot_gpus.tolist()) == [2, 3, 3]


def test_best_fit_leaves_room_for_the_large_job():
    jobs = workload((0, 9, 2), (0, 9, 2), (1, 9, 4))
    assert nodes(run(jobs, cluster(4, 4), placement="best-fit")) == [[0], [0], [1]]


def test_worst_fit_leaves_no_room_for_the_large_job():
    jobs = workload((0, 9, 2), (0, 9, 2), (1, 9, 4))
    record = run(jobs, cluster(4, 4), placement="worst-fit")
    assert nodes(record) == [[0], [1], [0]]
    assert record.start.tolist() == [0, 0, 9_000_000]


def test_first_fit_takes_the_lowest_node_even_if_another_is_tighter():
    jobs = workload((0, 9, 3, {"gpu_type": "b"}), (1, 9, 1))
    site = cluster(("a", 4), ("b", 4))
    assert nodes(run(jobs, site, placement="first-fit")) == [[1], [0]]
    assert nodes(run(jobs, site, placement="best-fit")) == [[1], [1]]


def test_random_placement_changes_with_the_seed_and_only_with_it():
    jobs = workload(*[(0, 9, 1) for _ in range(30)])
    site = cluster(8, 8, 8, 8)
    first, again, other = (nodes(run(jobs, site, placement="random", seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_packed_stays_inside_one_rack_where_it_can():
    """Best fit would take the half-full node 0 first and cross the racks."""
    jobs = workload((0, 9, 2), (1, 9, 4, {"nodes": 2}))
    site = cluster(4, 4, 4, 4, levels=[[0, 1, 1, 1]])
    assert nodes(run(jobs, site, placement="best-fit")) == [[0], [0, 1]]
    assert nodes(run(jobs, site, placement="packed")) == [[0], [1, 2]]


def test_packed_leaves_the_emptier_rack_to_others():
    site = cluster(*[4] * 7, levels=[[0, 0, 0, 0, 1, 1, 1]])
    assert nodes(run(workload((0, 9, 8)), site, placement="packed")) == [[4, 5]]


def test_a_type_restricts_a_job_to_its_nodes():
    jobs = workload((0, 9, 4, {"gpu_type": "b"}), (0, 9, 4, {"gpu_type": "b"}))
    assert starts(jobs, cluster(("a", 4), ("b", 4))) == [0, 9]


def test_a_job_on_several_nodes_stays_within_one_type():
    """Four GPUs are free, two of each type."""
    jobs = workload((0, 9, 2, {"gpu_type": "a"}), (0, 9, 2, {"gpu_type": "b"}), (1, 1, 4, {"nodes": 2}))
    assert starts(jobs, cluster(("a", 2), ("a", 2), ("b", 2), ("b", 2))) == [0, 0, 9]


def test_fractions_share_a_gpu_until_it_is_full():
    jobs = workload(*[(0, 9, 1, {"gpu_milli": 300}) for _ in range(4)])
    record = run(jobs, cluster(1))
    assert record.start.tolist() == [0, 0, 0, 9_000_000]
    assert record.slot_gpu.tolist() == [0, 0, 0, 0]


def test_a_fraction_keeps_a_whole_job_off_its_gpu():
    jobs = workload((0, 9, 1, {"gpu_milli": 1}), (0, 9, 2))
    assert starts(jobs, cluster(2)) == [0, 9]


def test_a_fraction_stays_off_the_gpus_of_a_whole_job():
    jobs = workload((0, 9, 2), (0, 9, 1, {"gpu_milli": 500}), (0, 9, 1, {"gpu_milli": 600}))
    record = run(jobs, cluster(3))
    assert record.start.tolist() == [0, 0, 9_000_000]
    assert record.slot_gpu.tolist() == [0, 2, 0]


def test_two_halves_on_different_gpus_are_not_a_whole():
    jobs = workload((0, 9, 1, {"gpu_milli": 600}), (0, 9, 1, {"gpu_milli": 600}), (1, 1, 1, {"gpu_milli": 500}))
    assert starts(jobs, cluster(2)) == [0, 0, 9]


def test_a_gpu_without_cpus_is_of_no_use():
    jobs = workload((0, 5, 1, {"cpus": 6}), (0, 5, 1, {"cpus": 6}))
    assert starts(jobs, cluster(8, cpus=[10])) == [0, 5]
    assert starts(jobs, cluster(8)) == [0, 0]


def test_memory_counts_too():
    jobs = workload((0, 5, 1, {"memory_gib": 6}), (0, 5, 1, {"memory_gib": 6}))
    assert starts(jobs, cluster(8, memory=[10])) == [0, 5]


def test_a_job_without_gpus_holds_cpus():
    jobs = workload((0, 5, 0, {"cpus": 3}), (0, 5, 0, {"cpus": 3}))
    assert starts(jobs, cluster(0, cpus=[4])) == [0, 5]


# --- the record replayed -----------------------------------------------------------------------------------


def test_recorded_replay_starts_jobs_when_the_record_says():
    jobs = workload((0, 9, 4, {"start_time": 3, "end_time": 5}), (4, 2, 4, {"start_time": 1}))
    record = run(jobs, cluster(8), replay="recorded")
    assert record.start.tolist() == [3_000_000, 4_000_000]
    assert record.end.tolist() == [5_000_000, 6_000_000]


def test_recorded_replay_lets_a_job_without_room_hold_nothing():
    recorded = {"start_time": 0}
    jobs = workload((0, 5, 3, recorded), (0, 5, 2, recorded), (0, 5, 1, recorded))
    record = run(jobs, cluster(4), replay="recorded")
    assert nodes(record) == [[0], [], [0]]
    assert outcomes(record) == ["completed", "completed", "completed"]


def test_recorded_replay_rejects_what_never_started():
    assert outcomes(run(workload((0, 5, 1)), cluster(4), replay="recorded")) == ["rejected"]


# --- nothing to do -----------------------------------------------------------------------------------------


def test_an_empty_workload_gives_an_empty_record():
    record = run(workload(), cluster(8))
    assert (record.start.size, record.attempt_job.size, record.slot_offset.tolist()) == (0, 0, [0])


def test_a_schedule_that_no_tick_can_name_is_refused_before_it_begins():
    """Nine and a bit times 10^12 s is the last tick: eleven jobs of 10^12 s, one after the other, pass it."""
    jobs = workload(*[(0, 1e12, 1)] * 11)
    with pytest.raises(ConfigError, match=r"more than the 9\.22e\+12 s that can be simulated"):
        schedule(jobs, cluster(1), Policy())


def test_an_index_that_would_not_fit_in_memory_is_refused():
    site = cluster(1_000_000, *[8] * 20_000)
    with pytest.raises(ConfigError, match="describe its large nodes as several"):
        schedule(workload((0, 1, 1)), site, Policy())
