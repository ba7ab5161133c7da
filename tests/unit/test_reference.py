"""The oracle itself, on cases worked by hand from docs/semantics.md."""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import named_policy
from gpuyard.workload import Workload
from reference import SECOND, Rule, mix, simulate

STEP = 0x9E3779B97F4A7C15


def run(jobs: Workload, site: Cluster, policy: str = "fifo", *, seed: int = 0, until: float | None = None, **changes):
    return simulate(jobs, site, named_policy(policy, **changes), seed=seed, until=until)


def starts(*given, **changes) -> list[float | None]:
    return [None if fate.start is None else fate.start / SECOND for fate in run(*given, **changes)]


def ends(*given, **changes) -> list[float | None]:
    return [None if fate.end is None else fate.end / SECOND for fate in run(*given, **changes)]


def outcomes(*given, **changes) -> list[str]:
    return [fate.outcome for fate in run(*given, **changes)]


def slots(*given, **changes) -> list[list[tuple[int, int, int]]]:
    return [fate.slots for fate in run(*given, **changes)]


def nodes(*given, **changes) -> list[list[int]]:
    return [[node for node, _, _ in fate.slots] for fate in run(*given, **changes)]


# --- order and backfilling ---------------------------------------------------------------------------------


def test_nobody_passes_a_blocked_head_under_strict_fifo():
    jobs = workload((0, 10, 6), (1, 10, 8), (2, 1, 2))
    assert starts(jobs, cluster(8)) == [0, 10, 20]


def test_fit_lets_a_later_job_pass():
    jobs = workload((0, 10, 6), (1, 10, 8), (2, 1, 2))
    assert starts(jobs, cluster(8), "fifo-fit") == [0, 10, 2]


def test_fit_tries_each_job_once_in_queue_order():
    jobs = workload((0, 10, 8), (1, 5, 6), (1, 5, 4), (1, 5, 2))
    assert starts(jobs, cluster(8), "fifo-fit") == [0, 10, 15, 10]


def test_sjf_sorts_by_the_limit_where_there_is_one():
    jobs = workload((0, 10, 1), (1, 2, 1, {"time_limit": 9}), (1, 3, 1))
    assert starts(jobs, cluster(1), "sjf") == [0, 13, 10]


def test_smallest_counts_a_fraction_as_its_share():
    jobs = workload((0, 10, 1), (1, 1, 1), (1, 1, 1, {"gpu_milli": 999}))
    assert starts(jobs, cluster(1), "smallest") == [0, 11, 10]


def test_a_job_without_gpus_is_the_smallest():
    jobs = workload((0, 10, 1, {"cpus": 1}), (1, 1, 1, {"gpu_milli": 1, "cpus": 1}), (1, 1, 0, {"cpus": 1}))
    assert starts(jobs, cluster(1, cpus=[1]), "smallest") == [0, 11, 10]


def test_higher_priority_goes_first_and_null_is_zero():
    jobs = workload((0, 10, 1), (1, 1, 1), (1, 1, 1, {"priority": 1}), (1, 1, 1, {"priority": -1}))
    assert starts(jobs, cluster(1), "priority") == [0, 11, 10, 12]


def test_equals_go_by_submit_time_and_then_by_row():
    jobs = workload((5, 1, 1), (0, 10, 1), (5, 1, 1))
    assert starts(jobs, cluster(1), "sjf") == [0, 10, 11]


# --- instants ----------------------------------------------------------------------------------------------


def test_an_end_frees_room_for_a_job_submitted_at_the_same_instant():
    assert starts(workload((0, 5, 8), (5, 5, 8)), cluster(8)) == [0, 5]


def test_a_zero_length_job_makes_room_at_the_same_instant():
    assert starts(workload((0, 0, 8), (0, 0, 8), (0, 4, 8)), cluster(8)) == [0, 0, 0]


def test_a_zero_length_job_still_fills_its_own_pass():
    """In the first pass job 0 holds all GPUs, so job 2 passes job 1, which needs the whole node."""
    jobs = workload((0, 0, 6), (0, 3, 8), (0, 5, 2))
    assert starts(jobs, cluster(8), "fifo-fit") == [0, 5, 0]


def test_times_are_rounded_to_the_microsecond_half_to_even():
    jobs = workload((0, 2.5e-6, 1), (0, 3.5e-6, 1))
    assert [fate.end for fate in run(jobs, cluster(2))] == [2, 4]


def test_what_waits_or_runs_at_the_stop_is_unfinished():
    jobs = workload((0, 4, 1), (0, 5, 1), (0, 5, 1), (6, 1, 1))
    assert outcomes(jobs, cluster(1), until=4) == ["completed", "unfinished", "unfinished", "unfinished"]
    assert starts(jobs, cluster(1), until=4) == [0, 4, None, None]
    assert ends(jobs, cluster(1), until=4) == [4, None, None, None]


# --- eligibility -------------------------------------------------------------------------------------------


def test_a_dependent_job_thinks_after_the_last_of_its_parents():
    jobs = workload((0, 5, 1), (0, 7, 1), (1, 1, 1, {"depends_on": ["0", "1"], "think_time": 2}))
    fates = run(jobs, cluster(4))
    assert (fates[2].eligible, fates[2].start) == (9 * SECOND, 9 * SECOND)


def test_think_time_without_dependencies_means_nothing():
    assert starts(workload((0, 1, 1, {"think_time": 9})), cluster(1)) == [0]


def test_not_before_holds_a_job_back_without_blocking_the_queue():
    jobs = workload((0, 5, 1, {"not_before": 3}), (1, 4, 1))
    assert starts(jobs, cluster(1)) == [5, 1]


def test_a_job_that_became_eligible_late_keeps_its_place_by_submit_time():
    jobs = workload((0, 5, 1, {"not_before": 3}), (1, 4, 1), (2, 4, 1))
    assert starts(jobs, cluster(1)) == [5, 1, 10]


def test_a_zero_length_parent_releases_its_child_at_the_same_instant():
    jobs = workload((0, 0, 1), (0, 1, 1, {"depends_on": ["0"]}))
    assert starts(jobs, cluster(1)) == [0, 0]


def test_rejection_is_inherited():
    jobs = workload((0, 1, 99), (0, 1, 1, {"depends_on": ["0"]}), (0, 1, 1, {"depends_on": ["1"]}), (0, 1, 1))
    assert outcomes(jobs, cluster(8)) == ["rejected", "rejected", "rejected", "completed"]


# --- run length --------------------------------------------------------------------------------------------


def test_a_job_is_killed_at_its_limit_only_where_limits_kill():
    jobs = workload((0, 5, 1, {"time_limit": 3}), (0, 3, 1, {"time_limit": 3, "state": "failed"}))
    assert ends(jobs, cluster(2)) == [3, 3]
    assert outcomes(jobs, cluster(2)) == ["timed_out", "failed"]
    assert ends(jobs, cluster(2), on_limit="ignore") == [5, 3]
    assert outcomes(jobs, cluster(2), on_limit="ignore") == ["completed", "failed"]


def test_a_job_without_run_time_is_rejected():
    assert outcomes(workload((0, None, 1)), cluster(1)) == ["rejected"]


# --- shape -------------------------------------------------------------------------------------------------


def test_a_job_that_fits_a_node_waits_for_one_node():
    jobs = workload((0, 9, 3), (0, 9, 3), (1, 1, 2))
    assert starts(jobs, cluster(4, 4)) == [0, 0, 9]


def test_a_larger_job_takes_whole_nodes_and_one_rest():
    assert slots(workload((0, 1, 10)), cluster(4, 4, 4, 4)) == [[(0, 4, 0), (1, 4, 0), (2, 2, 0)]]


def test_nodes_splits_as_equally_as_possible():
    assert slots(workload((0, 1, 8, {"nodes": 3})), cluster(4, 4, 4)) == [[(0, 3, 0), (1, 3, 0), (2, 2, 0)]]


def test_more_nodes_than_gpus_is_rejected():
    assert outcomes(workload((0, 1, 2, {"nodes": 3})), cluster(4, 4, 4)) == ["rejected"]


def test_a_fraction_ignores_spread_and_so_cannot_take_two_nodes():
    jobs = workload((0, 1, 1, {"gpu_milli": 500, "nodes": 2, "spread": True}))
    assert outcomes(jobs, cluster(4, 4)) == ["rejected"]


def test_several_chunks_stay_within_one_type_and_that_with_the_most_free_gpus_is_first():
    site = cluster(("b", 4), ("a", 2), ("b", 4), ("a", 2))
    jobs = workload((0, 9, 6, {"nodes": 2}), (1, 9, 4, {"nodes": 2}))
    assert nodes(jobs, site) == [[0, 2], [1, 3]]


def test_each_type_cuts_the_job_by_its_own_largest_node():
    """No node holds 6 GPUs.  Type a would need three nodes of 2 and has two; type b gives 4 + 2."""
    assert slots(workload((0, 1, 6)), cluster(("b", 4), ("a", 2), ("b", 4), ("a", 2))) == [[(0, 4, 0), (2, 2, 0)]]


def test_one_chunk_chooses_among_all_its_types_at_once():
    site = cluster(("c", 1), ("b", 4), ("a", 8))
    jobs = workload((0, 1, 1, {"gpu_type": "a|b"}), (0, 1, 1))
    assert nodes(jobs, site) == [[1], [0]]


def test_an_unknown_type_is_rejected():
    assert outcomes(workload((0, 1, 1, {"gpu_type": "x"})), cluster(("a", 8))) == ["rejected"]


# --- CPUs and memory ---------------------------------------------------------------------------------------


def test_cpus_follow_the_gpus_rounded_up():
    """Ten cores over three GPUs are 3.334 a GPU, so a node of 6.667 cores has no room for two of them."""
    jobs = workload((0, 1, 3, {"cpus": 10, "nodes": 2}))
    assert outcomes(jobs, cluster(4, 4, cpus=[6.667, 6.667])) == ["rejected"]
    assert slots(jobs, cluster(4, 4, cpus=[3.334, 6.668])) == [[(0, 1, 0), (1, 2, 0)]]


def test_memory_binds_only_where_the_cluster_states_it():
    jobs = workload((0, 5, 1, {"memory_gib": 6}), (0, 5, 1, {"memory_gib": 6}))
    assert starts(jobs, cluster(8)) == [0, 0]
    assert starts(jobs, cluster(8, memory=[10])) == [0, 5]


def test_a_job_without_gpus_needs_a_cluster_that_knows_its_cpus():
    jobs = workload((0, 1, 0, {"cpus": 2}), (0, 1, 0))
    assert outcomes(jobs, cluster(8)) == ["rejected", "rejected"]
    assert slots(jobs, cluster(8, cpus=[2])) == [[(0, 0, -1)], []]


def test_a_job_without_gpus_divides_its_cpus_over_its_nodes():
    jobs = workload((0, 9, 0, {"cpus": 5, "nodes": 2}), (0, 9, 0, {"cpus": 1.5}), (0, 9, 0, {"cpus": 0.5}))
    assert nodes(jobs, cluster(8, 0, 0, cpus=[4, 4, 3])) == [[1, 2], [1], [2]]


# --- placement ---------------------------------------------------------------------------------------------

HALF_FULL = workload((0, 9, 2), (0, 9, 3), (0, 9, 1, {"gpu_type": "c"}), (1, 9, 1))
THREE = cluster(("a", 4), ("b", 4), ("c", 4))


def test_first_fit_takes_the_lowest_node():
    assert nodes(HALF_FULL, THREE, placement="first-fit") == [[0], [1], [2], [0]]


def test_best_fit_keeps_the_fewest_free():
    assert nodes(HALF_FULL, THREE, placement="best-fit") == [[0], [1], [2], [1]]


def test_worst_fit_keeps_the_most_free():
    assert nodes(HALF_FULL, THREE, placement="worst-fit") == [[0], [1], [2], [2]]


def test_mix_is_that_of_splitmix64():
    """First outputs of SplitMix64 from state 1234567, as published with the algorithm's test vectors."""
    states = [(1234567 + step * STEP) % 2**64 for step in (1, 2, 3)]
    assert [mix(state) for state in states] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_random_draws_depend_on_seed_row_and_chunk_only():
    draws = {(seed, row, chunk): Rule(placement="random", seed=seed).draw(row, chunk, 1000)
             for seed in (0, 1) for row in (0, 1) for chunk in (0, 1)}  # fmt: skip
    assert all(0 <= draw < 1000 for draw in draws.values())
    assert len(set(draws.values())) == len(draws)


def test_random_lists_candidates_by_free_gpus_first():
    """The draw picks a position; with one candidate left it can only be that node."""
    site = cluster(4, 2, 1)
    rule = Rule(placement="random", seed=3)
    by_free = [2, 1, 0]
    jobs = workload((0, 1, 1))
    assert nodes(jobs, site, placement="random", seed=3) == [[by_free[rule.draw(0, 0, 3)]]]


def test_random_reaches_every_node():
    jobs = workload(*[(10 * number, 1, 1) for number in range(40)])
    assert {node for (node,) in nodes(jobs, cluster(1, 1, 1), placement="random")} == {0, 1, 2}


@pytest.mark.parametrize(
    ("placement", "third"), [("first-fit", (0, 1, 0)), ("best-fit", (0, 1, 1)), ("worst-fit", (1, 1, 0))]
)
def test_a_fraction_chooses_among_gpus(placement, third):
    """Node 0 has GPUs with 600 and 300 thousandths free, node 1 has a wholly free GPU."""
    jobs = workload(
        (0, 9, 1, {"gpu_milli": 400, "gpu_type": "a"}),
        (0, 9, 1, {"gpu_milli": 700, "gpu_type": "a"}),
        (1, 9, 1, {"gpu_milli": 300}),
    )
    site = cluster(("a", 2), ("b", 1))
    assert slots(jobs, site, placement=placement) == [[(0, 1, 0)], [(0, 1, 1)], [third]]


def test_a_whole_gpu_needs_a_wholly_free_one():
    jobs = workload((0, 9, 1, {"gpu_milli": 1}), (0, 9, 1), (0, 9, 1))
    assert slots(jobs, cluster(2)) == [[(0, 1, 0)], [(0, 1, 1)], [(0, 1, 0)]]
    assert starts(jobs, cluster(2)) == [0, 0, 9]


# --- packed ------------------------------------------------------------------------------------------------

RACKS = [[0, 0, 1, 1, 2, 2, 2]]


def test_packed_takes_the_lowest_level_that_holds_the_job():
    """Two chunks fit in racks 0, 1 and 2; rack 2 would leave more empty nodes behind, rack 0 comes first."""
    assert nodes(workload((0, 1, 8)), cluster(*[4] * 7, levels=RACKS), placement="packed") == [[0, 1]]


def test_packed_takes_the_domain_with_the_fewest_empty_nodes():
    """Job 0 leaves rack 0 with one empty node; of the racks that hold two nodes, rack 1 has fewer than rack 2."""
    jobs = workload((0, 9, 1), (1, 9, 8))
    assert nodes(jobs, cluster(*[4] * 7, levels=RACKS), placement="packed") == [[0], [2, 3]]


def test_packed_fills_the_emptiest_rack_and_ends_in_the_tightest():
    """Five nodes: rack 2 gives three, the rest of two goes to rack 0, which holds it (as does rack 1)."""
    assert nodes(workload((0, 1, 20)), cluster(*[4] * 7, levels=RACKS), placement="packed") == [[0, 1, 4, 5, 6]]


def test_packed_goes_up_level_by_level():
    """Racks of one node and pods of two and three racks: two chunks need a pod, and pod 0 is the tighter."""
    site = cluster(4, 4, 4, 4, 4, levels=[[0, 1, 2, 3, 4], [0, 0, 1, 1, 1]])
    assert nodes(workload((0, 1, 8)), site, placement="packed") == [[0, 1]]
    assert nodes(workload((0, 1, 12)), site, placement="packed") == [[2, 3, 4]]


def test_packed_puts_the_rest_by_best_fit_inside_the_rack():
    """Chunks 4, 4 and 1.  The rest of 1 goes to the node of the rack with the fewest free GPUs."""
    jobs = workload((0, 9, 3), (1, 9, 9))
    site = cluster(4, 4, 4, levels=[[0, 0, 0]])
    assert slots(jobs, site, placement="packed") == [[(0, 3, 0)], [(0, 1, 3), (1, 4, 0), (2, 4, 0)]]


def test_packed_hands_each_part_down_by_the_same_rule():
    """Pod 0 is the emptier and gives its two nodes, one in each of its racks; pod 1 gives the third."""
    site = cluster(1, 1, 1, levels=[[0, 1, 2], [0, 0, 1]])
    assert nodes(workload((0, 1, 3)), site, placement="packed") == [[0, 1, 2]]


def test_packed_without_levels_is_best_fit():
    jobs = workload((0, 9, 1), (1, 9, 4, {"nodes": 2}))
    assert nodes(jobs, cluster(4, 4, 4), placement="packed") == [[0], [0, 1]]


# --- spread ------------------------------------------------------------------------------------------------


def test_spread_takes_gpus_node_by_node_across_types():
    jobs = workload((0, 1, 7, {"spread": True}))
    site = cluster(("a", 2), ("b", 4), ("c", 3))
    assert slots(jobs, site, placement="first-fit") == [[(0, 2, 0), (1, 4, 0), (2, 1, 0)]]
    assert slots(jobs, site, placement="best-fit") == [[(0, 2, 0), (1, 2, 0), (2, 3, 0)]]
    assert slots(jobs, site, placement="worst-fit") == [[(1, 4, 0), (2, 3, 0)]]


def test_spread_gives_no_more_gpus_than_cpus_allow():
    jobs = workload((0, 1, 4, {"spread": True, "cpus": 8}))
    assert slots(jobs, cluster(4, 4, cpus=[3, 7])) == [[(0, 1, 0), (1, 3, 0)]]


def test_spread_waits_when_the_nodes_run_out():
    jobs = workload((0, 5, 5), (0, 5, 4))
    assert starts(jobs, cluster(4, 4), spread=True) == [0, 5]


# --- recorded replay ---------------------------------------------------------------------------------------


def test_recorded_replay_starts_jobs_when_the_record_says():
    jobs = workload((0, 9, 4, {"start_time": 3, "end_time": 5}), (4, 2, 4, {"start_time": 1}))
    fates = run(jobs, cluster(8), replay="recorded")
    assert [(fate.eligible, fate.start, fate.end) for fate in fates] == [
        (0, 3 * SECOND, 5 * SECOND),
        (4 * SECOND, 4 * SECOND, 6 * SECOND),
    ]


def test_recorded_replay_lets_a_job_without_room_hold_nothing():
    recorded = {"start_time": 0}
    jobs = workload((0, 5, 3, recorded), (0, 5, 2, recorded), (0, 5, 1, recorded))
    assert slots(jobs, cluster(4), replay="recorded") == [[(0, 3, 0)], [], [(0, 1, 3)]]
    assert ends(jobs, cluster(4), replay="recorded") == [5, 5, 5]


def test_recorded_replay_rejects_a_job_that_never_started():
    assert outcomes(workload((0, 5, 1)), cluster(4), replay="recorded") == ["rejected"]


def test_recorded_start_and_end_make_up_for_a_missing_run_time():
    jobs = workload((0, None, 1, {"start_time": 3, "end_time": 5}), (0, None, 1, {"start_time": 3}))
    assert outcomes(jobs, cluster(4), replay="recorded") == ["completed", "rejected"]
    assert ends(jobs, cluster(4), replay="recorded") == [5, None]


def test_recorded_replay_ignores_limits_dependencies_and_not_before():
    more = {"time_limit": 2, "not_before": 50, "start_time": 1}
    jobs = workload((0, 5, 1, more), (0, 5, 1, {**more, "depends_on": ["0"]}))
    assert ends(jobs, cluster(4), replay="recorded") == [6, 6]
