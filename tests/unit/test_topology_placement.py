"""Placement by topology and exclusive nodes: cases worked by hand from docs/semantics.md, for engine and reference."""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.holdings import hold
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from reference import simulate

Slots = list[tuple[int, int, int]]
"""(node, GPUs, lowest GPU number or -1), by node"""
LONG = 100


def held(jobs: Workload, site: Cluster, **policy: object) -> list[Slots | None]:
    """Return what each job holds when it starts, None for one that never does; engine and reference agree on it."""
    chosen = Policy(backfill="fit", **policy)
    record = schedule(jobs, site, chosen)
    found: list[Slots | None] = [None] * len(jobs)
    for attempt, job in enumerate(record.attempt_job.tolist()):
        its = slice(record.slot_offset[attempt], record.slot_offset[attempt + 1])
        columns = (record.slot_node[its], record.slot_gpus[its], record.slot_gpu[its])
        found[job] = sorted(zip(*(column.tolist() for column in columns), strict=True))
    tracked = any(gpu >= 0 for slots in found for _, _, gpu in slots or [])
    for fate, slots in zip(simulate(jobs, site, chosen), found, strict=True):
        expected = [(node, gpus, gpu if tracked else -1) for node, gpus, gpu in fate.slots]
        assert expected == (slots or []), "the reference says otherwise"
    return found


def nodes_taken(jobs: Workload, site: Cluster, **policy: object) -> list[int] | None:
    """Return the nodes of the last job."""
    last = held(jobs, site, **policy)[-1]
    return None if last is None else [node for node, _, _ in last]


def blocks_of_4(*free: int) -> tuple[Cluster, list[tuple[int, int, int, dict[str, object]]]]:
    """Return blocks of four nodes of 4 GPUs, and the jobs that leave just so many nodes of each free, the last ones.

    At first every node is filled, in turn: job n sits on node n.
    """
    site = cluster(*[4] * (4 * len(free)), levels=[[node // 4 for node in range(4 * len(free))]])
    return site, [(0, LONG if node % 4 < 4 - free[node // 4] else 1, 4, {}) for node in range(site.nodes)]


def where(free: tuple[int, ...], nodes: int, segment: int | None, **policy: object) -> list[int] | None:
    site, busy = blocks_of_4(*free)
    job = (2, 5, 4 * nodes, {"nodes": nodes, "segment": segment})
    return nodes_taken(workload(*busy, job), site, placement="topology-block", **policy)


# --- topology-block -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "segment", "expected"),
    [
        (2, None, [10, 11]),  # the block with the fewest sufficient nodes: two are free in the third
        (3, None, [5, 6, 7]),  # the second has just three
        (4, None, [0, 1, 2, 3]),
        (6, None, [0, 1, 2, 3, 10, 11]),  # ceil(6 / 4) = 2 blocks: the most there is, 4, then the tightest for 2
        (7, None, [0, 1, 2, 3, 5, 6, 7]),
        (6, 3, [0, 1, 2, 5, 6, 7]),  # the tightest for 3 is the second block, then only the first is left
        (6, 2, [0, 1, 5, 6, 10, 11]),  # third, second, first: the tightest for 2 each time
        (4, 2, [5, 6, 10, 11]),
        (8, 1, [0, 1, 2, 5, 6, 7, 10, 11]),  # single nodes: the tightest block is emptied first
        (3, 5, [5, 6, 7]),  # a segment larger than the job is ignored
        (9, 3, None),  # waits: the third block has two nodes only
        (9, None, [0, 1, 2, 3, 5, 6, 7, 10, 11]),  # ceil(9 / 4) = 3 blocks
    ],
)
def test_segments_lie_inside_the_tightest_blocks(nodes: int, segment: int | None, expected: list[int] | None):
    """Blocks of 4 nodes, of which 4, 3 and 2 are free until 100 s (after eval_nodes_block.c of SchedMD/slurm)."""
    if expected is None:
        site, busy = blocks_of_4(4, 3, 2)
        job = (2, 5, 4 * nodes, {"nodes": nodes, "segment": segment})
        record = schedule(workload(*busy, job), site, Policy(placement="topology-block", backfill="fit"))
        assert record.start[-1] == LONG * 1_000_000
    else:
        assert where((4, 3, 2), nodes, segment) == expected


def test_a_job_may_not_take_more_blocks_than_could_hold_it():
    """Four nodes are one block's, so two halves of two blocks will not do; packed and tree take them."""
    site, busy = blocks_of_4(2, 2)
    jobs = workload(*busy, (2, 5, 16, {"nodes": 4}))
    policies = {name: Policy(placement=name, backfill="fit") for name in ("topology-block", "topology-tree", "packed")}
    starts = {name: int(schedule(jobs, site, policy).start[-1]) // 1_000_000 for name, policy in policies.items()}
    assert starts == {"topology-block": LONG, "topology-tree": 2, "packed": 2}


def test_segments_that_do_not_divide_the_job_reject_it():
    site, _ = blocks_of_4(4, 4)
    record = schedule(
        workload((0, 1, 24, {"nodes": 6, "segment": 4}), (0, 1, 24, {"segment": 4})),
        site,
        Policy(placement="topology-block"),
    )
    reasons = [record.reject_reasons[number] for number in record.reject_reason]
    assert reasons == [
        "asks for segments that do not divide its nodes",
        "does not fit the cluster even when it is empty",  # 24 GPUs are six nodes of 4
    ]


def test_the_block_is_the_level_that_is_named():
    site = cluster(*[4] * 8, levels=[[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1]])
    jobs = workload((0, 9, 4, {}), (1, 5, 12, {"nodes": 3}))
    assert nodes_taken(jobs, site, placement="topology-block") == [1, 2, 3]
    assert nodes_taken(jobs, site, placement="topology-block", block_level="level-1") == [1, 2, 3]
    two = workload((0, 9, 4, {}), (1, 5, 16, {"nodes": 4, "segment": 4}))
    assert nodes_taken(two, site, placement="topology-block") == [2, 3, 4, 5]
    assert nodes_taken(two, site, placement="topology-block", block_level="level-1") == [4, 5, 6, 7]


def test_without_levels_the_site_is_one_block():
    jobs = workload((0, 9, 12, {"nodes": 3, "segment": 3}))
    assert nodes_taken(jobs, cluster(4, 4, 4, 4), placement="topology-block") == [0, 1, 2]


# --- topology-tree ------------------------------------------------------------------------------------------------


def tree_of_8(*busy: int) -> tuple[Cluster, list[tuple[int, int, int]]]:
    """Return the first example of Slurm's topology guide, tux0 to tux7: leaf switches of two, switches of four."""
    site = cluster(*[4] * 8, levels=[[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1]])
    return site, [(0, LONG if node in busy else 1, 4) for node in range(8)]


@pytest.mark.parametrize(
    ("busy", "nodes", "expected"),
    [
        ((0,), 1, [1]),  # the leaf with one node is the best fit
        ((0,), 2, [2, 3]),  # the lowest leaf that has two
        ((0,), 3, [1, 2, 3]),  # no leaf has three; of the switches above, the first has three, the second four
        ((0, 2, 4), 2, [6, 7]),
        ((0, 2, 4, 6), 2, [1, 3]),  # one node on each leaf: the lowest switch that has two is s4
        ((0, 5), 4, [2, 3, 6, 7]),  # the root: a whole leaf, the lowest, then the leaf that takes the other two
        ((1, 2, 7), 5, [0, 3, 4, 5, 6]),
    ],
)
def test_the_lowest_switch_and_the_fewest_leaves(busy: tuple[int, ...], nodes: int, expected: list[int]):
    site, before = tree_of_8(*busy)
    jobs = workload(*before, (2, 5, 4 * nodes, {"nodes": nodes}))
    assert nodes_taken(jobs, site, placement="topology-tree") == expected


# --- rail-aligned -------------------------------------------------------------------------------------------------


def test_a_job_takes_the_same_gpu_numbers_on_all_its_nodes():
    """Node 0 has GPUs 2 and 3 free, node 1 all: two GPUs a node are 2 and 3 on both, not 0 and 1 on the second."""
    jobs = workload((0, 9, 2, {}), (1, 5, 4, {"nodes": 2}), (2, 5, 2, {}))
    slots = held(jobs, cluster(4, 4), placement="rail-aligned")
    assert slots == [[(0, 2, 0)], [(0, 2, 2), (1, 2, 2)], [(1, 2, 0)]]


def test_a_job_waits_where_no_rails_are_free_on_enough_nodes():
    """From 1 s on, GPUs 2 and 3 of node 0 and GPUs 0 and 1 of node 1 are free: enough GPUs, and no rail in common."""
    jobs = workload((0, 9, 2), (0, 1, 2), (0, 1, 2), (0, 9, 2), (2, 5, 4, {"nodes": 2}))
    site = cluster(4, 4)
    assert held(jobs, site, placement="rail-aligned")[-1] == [(0, 2, 0), (1, 2, 0)]
    starts = [
        int(schedule(jobs, site, Policy(placement=name)).start[-1]) // 1_000_000 for name in ("packed", "rail-aligned")
    ]
    assert starts == [2, 9]


def test_of_two_sets_the_one_with_the_lowest_number_is_lower():
    """Nodes 0 and 1 have GPUs 1 and 2 free, nodes 2 and 3 GPUs 0 and 3: the latter set is lower."""
    short, long = (0, 1, 1), (0, 9, 1)
    inner, outer = [long, short, short, long], [short, long, long, short]
    jobs = workload(*inner, *inner, *outer, *outer, (2, 5, 4, {"nodes": 2}))
    assert held(jobs, cluster(4, 4, 4, 4), placement="rail-aligned")[-1] == [(2, 2, 0), (3, 2, 0)]


def test_a_small_chunk_takes_the_lowest_of_the_rails():
    """Five GPUs on two nodes are 3 and 2; GPU 0 of node 0 is held, so the rails are 1, 2, 3, and 1, 2 of them."""
    slots = held(workload((0, 9, 1, {}), (1, 5, 5, {"nodes": 2})), cluster(4, 4), placement="rail-aligned")
    assert slots[-1] == [(0, 3, 1), (1, 2, 1)]


def test_jobs_of_one_node_are_packed_on_the_lowest_gpus():
    slots = held(workload((0, 9, 1, {}), (1, 9, 2, {})), cluster(4, 4), placement="rail-aligned")
    assert slots == [[(0, 1, 0)], [(0, 2, 1)]]


# --- spread -------------------------------------------------------------------------------------------------------


def test_chunks_go_to_the_racks_with_the_most_free_gpus():
    """Racks of two nodes of 4: each job goes where most is free, and a job of three nodes to three racks."""
    site = cluster(*[4] * 6, levels=[[0, 0, 1, 1, 2, 2]])
    jobs = workload((0, 9, 1), (1, 9, 1), (2, 9, 3), (3, 9, 1), (4, 9, 3, {"nodes": 3}))
    taken = [[node for node, _, _ in slots or []] for slots in held(jobs, site, placement="spread")]
    # 8 8 8 -> rack 0 (7 8 8) -> rack 1 (7 7 8) -> rack 2 (7 7 5) -> rack 0, its other node (6 7 5) -> 1, 0, 2
    assert taken == [[0], [2], [4], [1], [0, 3, 5]]


def test_without_racks_spread_is_worst_fit():
    jobs = workload((0, 9, 3), (1, 9, 1), (2, 9, 2), (3, 9, 1))
    assert held(jobs, cluster(4, 4, 3), placement="spread") == held(jobs, cluster(4, 4, 3), placement="worst-fit")


def test_a_full_rack_with_many_free_gpus_does_not_count_without_a_fitting_node():
    """Rack 0 has 3 + 3 GPUs free, rack 1 has 4 + 0: a chunk of 4 fits in rack 1 only."""
    site = cluster(4, 4, 4, 4, levels=[[0, 0, 1, 1]])
    jobs = workload((0, 9, 1), (1, 9, 4), (2, 9, 1), (3, 9, 4))
    assert [slots[0][0] for slots in held(jobs, site, placement="spread") if slots] == [0, 2, 1, 3]


# --- exclusive nodes ----------------------------------------------------------------------------------------------


def test_an_exclusive_job_takes_an_empty_node_and_holds_all_of_it():
    """Node 0 holds a job of one GPU: the exclusive one goes to node 1, holds 4 GPUs, and nobody joins it."""
    jobs = workload((0, 9, 1, {}), (1, 5, 2, {"exclusive": True}), (2, 5, 3, {}), (2, 5, 1, {}))
    site = cluster(4, 4)
    assert held(jobs, site) == [[(0, 1, -1)], [(1, 4, -1)], [(0, 3, -1)], [(1, 1, -1)]]
    record = schedule(jobs, site, Policy(backfill="fit"))
    assert (record.start // 1_000_000).tolist() == [0, 1, 2, 6]  # the last waits until node 1 is given back
    assert hold(record).attempt_milli.tolist() == [1000, 4000, 3000, 1000]


def test_a_node_with_cpus_in_use_is_not_empty():
    jobs = workload((0, 9, 0, {"cpus": 1}), (1, 5, 2, {"exclusive": True, "cpus": 2}), (2, 5, 0, {"cpus": 1}))
    assert held(jobs, cluster(4, 4, cpus=[8, 8])) == [[(0, 0, -1)], [(1, 4, -1)], [(0, 0, -1)]]


def test_an_exclusive_fraction_holds_a_node():
    jobs = workload((0, 9, 1, {"gpu_milli": 500, "exclusive": True}), (1, 9, 1, {"gpu_milli": 500}))
    site = cluster(2, 2)
    record = schedule(jobs, site, Policy())
    assert held(jobs, site) == [[(0, 2, 0)], [(1, 1, 0)]]
    assert hold(record).attempt_milli.tolist() == [2000, 500]


def test_a_policy_makes_every_job_exclusive():
    jobs = workload((0, 9, 1, {}), (0, 9, 1, {}), (0, 9, 5, {}))
    starts = schedule(jobs, cluster(4, 4), Policy(exclusive=True)).start // 1_000_000
    assert starts.tolist() == [0, 0, 9]


@pytest.mark.parametrize(
    ("placement", "node"),
    [("fgd", 1), ("least-left", 0), ("dot-product", 1), ("gpu-packing", 1), ("gpu-clustering", 1)],
)
def test_a_score_of_an_exclusive_job_is_that_of_the_whole_node(placement: str, node: int):
    """For ``least-left`` nothing is left on any node, so the lowest is taken; the others take the smallest that fits.

    For ``fgd`` because the second job finds its 8 GPUs on node 0 alone: 4,000 thousandths are fragments on node 1.
    """
    jobs = workload((0, 9, 2, {"exclusive": True}), (20, 9, 8, {}))
    site = cluster(8, 4, 4)
    assert held(jobs, site, placement=placement) == [[(node, 8 if node == 0 else 4, -1)], [(0, 8, -1)]]


@pytest.mark.parametrize("placement", ["fgd", "least-left", "dot-product", "gpu-packing", "gpu-clustering"])
def test_a_score_does_not_bring_an_exclusive_job_onto_a_node_in_use(placement: str):
    """Node 0 holds half a GPU, the smallest node is as good as the lowest: node 1 is the best of those in no use."""
    jobs = workload((0, 9, 1, {"gpu_milli": 500}), (1, 5, 2, {"exclusive": True}), (10, 5, 2, {}))
    assert held(jobs, cluster(4, 4), placement=placement)[:2] == [[(0, 1, 0)], [(1, 4, 0)]]


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"exclusive": True, "spread": True}, "choose one"),
        ({"placement": "packed", "block_level": "rack"}, "'block_level' has no meaning under placement = packed"),
        ({"placement": "rail"}, "unknown placement 'rail'"),
    ],
)
def test_policies_that_cannot_be_are_refused(policy: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        Policy(**policy)


@pytest.mark.parametrize(
    ("site", "policy", "message"),
    [
        (cluster(4, levels=[[0]]), {"placement": "topology-block", "block_level": "rack"}, "no level 'rack'.* level-0"),
        (cluster(4), {"placement": "topology-block", "block_level": "rack"}, "without block_level, it is one block"),
        (cluster(17), {"placement": "rail-aligned"}, "at most 16 GPUs, 'test' has some of 17"),
    ],
)
def test_sites_and_jobs_that_a_placement_does_not_know_are_refused(
    site: Cluster, policy: dict[str, object], message: str
):
    with pytest.raises(ConfigError, match=message):
        schedule(workload((0, 1, 1, {"exclusive": True})), site, Policy(**policy))


def test_a_job_alone_on_its_nodes_and_anywhere_is_rejected():
    record = schedule(workload((0, 1, 2, {"exclusive": True, "spread": True})), cluster(4), Policy())
    assert record.reject_reasons[record.reject_reason[0]] == "asks for nodes to itself and for GPUs from anywhere"
