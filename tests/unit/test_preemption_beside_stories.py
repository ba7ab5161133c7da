"""Preemption beside orders with a score, easy and windows, worked by hand: engine and reference tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  Estimates are the run times unless limits are stated; who is
preempted loses nothing and a restart is free unless a story says otherwise.
"""

from __future__ import annotations

import pytest

from beside_stories import TEST, fates, nodes, stays
from conftest import cluster, workload
from gpuyard.windows import NodeWindow

LOW, MID, HIGH, TOP = ({"priority": each} for each in range(4))
EASY = {"backfill": "easy"}


# --- easy -------------------------------------------------------------------------------------------------


@TEST
def test_a_head_that_makes_no_room_now_starts_when_it_can_and_not_only_when_it_was_promised(tell):
    """At 1 only job 2 is less urgent than job 3, which needs all of a node: it is promised node 0 from 10 on.

    Job 4 is short and takes the free GPU of node 1.  At 6 job 1 ends, and job 3 takes the rest of node 1 from both.
    """
    jobs = workload((0, 10, 4, HIGH), (0, 6, 2, HIGH), (0, 20, 1, LOW), (1, 10, 4, HIGH), (2, 8, 1, MID))
    found = stays(tell, jobs, cluster(4, 4), "priority", **EASY)
    assert found == [[(0, 10)], [(0, 6)], [(0, 6), (10, 24)], [(6, 16)], [(2, 6), (10, 14)]]


def three_nodes(tell: str, runtime: float) -> list[list[tuple[float, float]]]:
    """Tell of a head of two nodes, of which it could take one, and of a less urgent job of one node that could too."""
    jobs = workload((0, 10, 4, TOP), (0, 20, 4, LOW), (0, 30, 4, TOP), (1, 5, 8, HIGH), (2, runtime, 4, MID))
    return stays(tell, jobs, cluster(4, 4, 4), "priority", **EASY)


@TEST
def test_a_short_job_makes_room_on_reserved_nodes(tell):
    """The head is promised nodes 0 and 1 from 20 on: job 4 may take node 1 from job 1, if it is done by then.

    At 10 node 0 is free, and the head takes node 1 from whoever is there.
    """
    assert three_nodes(tell, 3) == [[(0, 10)], [(0, 2), (15, 33)], [(0, 30)], [(10, 15)], [(2, 5)]]
    assert three_nodes(tell, 18) == [[(0, 10)], [(0, 2), (15, 33)], [(0, 30)], [(10, 15)], [(2, 10), (15, 25)]]


@TEST
def test_a_job_that_is_not_short_makes_no_room_on_reserved_nodes(tell):
    """It would run until 21."""
    assert three_nodes(tell, 19) == [[(0, 10)], [(0, 10), (15, 25)], [(0, 30)], [(10, 15)], [(15, 34)]]


COUNTED = ((0, 10, 5, HIGH), (0, 20, 2, LOW), (1, 5, 4, HIGH), (2, 9, 2, MID), (2, 9, 1, MID))


@TEST
def test_by_counts_a_job_makes_room_as_far_as_there_is_more_than_the_head_needs(tell):
    """At 10 there will be 6 GPUs, 2 more than the head needs: job 3 takes them, now from job 1.

    For job 4 nothing of it is left, though a GPU is free; on nodes, both wait for the head.
    """
    story = (tell, workload(*COUNTED), cluster(8), "priority")
    counted = stays(*story, reservation="counts", **EASY)
    assert counted == [[(0, 10)], [(0, 2), (11, 29)], [(10, 15)], [(2, 11)], [(10, 19)]]
    assert stays(*story, **EASY) == [[(0, 10)], [(0, 10), (15, 25)], [(10, 15)], [(10, 19)], [(10, 19)]]


# --- expected attempts ------------------------------------------------------------------------------------

COSTS = {"checkpoint_interval": 4, "checkpoint_cost": 1, "restart_cost": 2}


@TEST
def test_what_an_attempt_is_expected_to_last_has_restarts_and_checkpoints(tell):
    """At 8 job 0 begins again with 4 s saved: a restart of 2, work of 6, a checkpoint of 1, so until 17.

    Job 2 is promised that.  Job 3 takes 8 s and two checkpoints and would run until 18; job 4, of 7 s, until 17.
    """
    jobs = workload((0, 10, 1, LOW), (6, 2, 2, MID), (9, 5, 2, LOW), (9, 8, 1, LOW), (9, 7, 1, LOW))
    found = stays(tell, jobs, cluster(2), "priority", options=COSTS, **EASY)
    assert found == [[(0, 6), (8, 17)], [(6, 8)], [(17, 23)], [(23, 32)], [(9, 17)]]


def closed(nodes: str, start: float, end: float) -> NodeWindow:
    return NodeWindow(nodes=(nodes,), start=start, end=end)


@TEST
@pytest.mark.parametrize(("window", "second"), [(17, (8, 17)), (16, (20, 29))])
def test_a_job_goes_on_before_a_window_if_its_next_attempt_is_expected_to_end_by_then(tell, window, second):
    """The first attempt takes 12 s if it is left alone, the second 9."""
    story = (tell, workload((0, 10, 1, LOW), (6, 2, 1, MID)), cluster(1), "priority")
    found = stays(*story, windows=[closed("0", window, 20)], options=COSTS)
    assert found == [[(0, 6), second], [(6, 8)]]


@TEST
@pytest.mark.parametrize(("at", "window", "second"), [(12, 22, (14, 22)), (12, 21, (30, 38)), (10, 21, (30, 40))])
def test_who_has_done_more_than_was_expected_of_the_whole_is_expected_to_need_twice_as_much(tell, at, window, second):
    """Of 5 s expected it has done 12, so 20 are expected; done 10, 20 as well, as 10 would be nothing left."""
    jobs = workload((0, 20, 1, {**LOW, "time_limit": 5}), (at, 2, 1, MID))
    story = (tell, jobs, cluster(1), "priority")
    found = stays(*story, windows=[closed("0", window, 30)], on_limit="ignore")
    assert found == [[(0, at), second], [(at, at + 2)]]


# --- windows ----------------------------------------------------------------------------------------------


@TEST
def test_nobody_is_preempted_for_room_on_a_node_that_closes(tell):
    """Job 2 would be on node 1 in the window: it takes node 0 from job 0, though job 1 started last.

    Job 0 may not have node 1 at 10, when it is free; job 3 needs both nodes and waits for the end of the window.
    """
    jobs = workload((0, 8, 2, LOW), (1, 9, 2, LOW), (4, 7, 2, MID), (12, 3, 4, {**LOW, "nodes": 2}))
    story = (tell, jobs, cluster(2, 2), "priority")
    for backfill in ("none", "fit", "easy"):
        found = stays(*story, windows=[closed("1", 10, 20)], backfill=backfill)
        assert found == [[(0, 4), (11, 15)], [(1, 10)], [(4, 11)], [(20, 23)]]


@TEST
def test_who_runs_is_not_preempted_because_a_window_begins(tell):
    """Job 0 runs on past its limit, into the window; job 1 is for node 0 too and may not be there."""
    jobs = workload((0, 9, 1, {**LOW, "time_limit": 4}), (5, 2, 1, MID))
    story = (tell, jobs, cluster(1), "priority")
    assert stays(*story, windows=[closed("0", 6, 12)], on_limit="ignore") == [[(0, 9)], [(12, 14)]]


DEBUG, BATCH = {"partition": "debug"}, {"partition": "batch"}


@TEST
def test_partitions_with_nodes_and_tiers(tell):
    """debug has nodes 0 and 1, batch 1 and 2: job 3 takes node 1 from job 0, though job 1 started later.

    At 7 node 0 is free, but not for batch.
    """
    jobs = workload((0, 20, 1, BATCH), (1, 20, 1, BATCH), (2, 5, 1, DEBUG), (3, 5, 1, DEBUG), (4, 1, 1))
    parts = [NodeWindow.partition("debug", ("0-1",), is_default=True), NodeWindow.partition("batch", ("1-2",))]
    story = (tell, jobs, cluster(1, 1, 1), "partition")
    terms = {"windows": parts, "options": {"tiers": {"debug": 2, "batch": 1}}, "backfill": "fit"}
    assert stays(*story, **terms) == [[(0, 3), (8, 25)], [(1, 21)], [(2, 7)], [(3, 8)], [(7, 8)]]
    assert nodes(*story, **terms) == [[[1], [1]], [[2]], [[0]], [[1]], [[0]]]


@TEST
def test_under_fit_a_job_is_tried_though_a_window_keeps_out_one_that_asks_for_the_same(tell):
    """Until 3 node 0 is free, for job 2 but not for job 1, which would be there still."""
    jobs = workload((0, 9, 1, HIGH), (1, 4, 1), (1, 2, 1))
    story = (tell, jobs, cluster(1, 1), "priority")
    found = stays(*story, windows=[closed("1", 3, 20)], backfill="fit")
    assert found == [[(0, 9)], [(9, 13)], [(1, 3)]]


# --- orders with a score ----------------------------------------------------------------------------------


@TEST
def test_a_preempted_job_has_waited_since_it_was_eligible(tell):
    """WFP3.  At 10 job 1 has (10/20)^3, job 2 (6/4)^3; at 18 job 1 has (18/20)^3, job 4, which came at 16, (2/3)^3."""
    jobs = workload((0, 10, 1, MID), (0, 20, 1, LOW), (4, 4, 1, LOW), (16, 2, 1, MID), (16, 3, 1, LOW))
    found = stays(tell, jobs, cluster(1), "priority", order="wfp", backfill="fit")
    assert found == [[(0, 10)], [(14, 16), (18, 36)], [(10, 14)], [(16, 18)], [(36, 39)]]


ANN, BOB = ({"user": name, "qos": "normal"} for name in ("ann", "bob"))
URGENT = {"qos": "high"}
FAIR = {
    "order": "multifactor", "weights": {"age": 0, "fairshare": 1000}, "share_period": 10, "half_life": "none",
}  # fmt: skip


@TEST
@pytest.mark.parametrize("fair_share", ["classic", "fair-tree"])
@pytest.mark.parametrize("backfill", ["none", "fit", "easy"])
def test_fair_share_counts_every_attempt_beside_preemption_by_qos(tell, backfill, fair_share):
    """One GPU.  Until 10 ann had it all, so that at 15 bob's job 3 goes before ann's, which came earlier.

    By 20 ann has had 12 s (6 + 2 and 2 of job 0, 2 of job 1) and bob 8: job 5 goes first.  Had only last attempts been
    counted, she would have had 6 s and be first.
    """
    jobs = workload(
        (0, 25, 1, ANN), (6, 2, 1, ANN | URGENT), (9, 4, 1, ANN), (10, 5, 1, BOB), (12, 3, 1, BOB | URGENT),
        (18, 2, 1, BOB),
    )  # fmt: skip
    story = (tell, jobs, cluster(1), "qos")
    found = stays(*story, options={"tiers": {"high": 1}}, fair_share=fair_share, backfill=backfill, **FAIR)
    assert found == [[(0, 6), (8, 12), (22, 37)], [(6, 8)], [(37, 41)], [(15, 20)], [(12, 15)], [(20, 22)]]


@TEST
def test_a_job_of_a_partition_that_has_no_nodes_is_rejected(tell):
    jobs = workload((0, 2, 1, BATCH), (0, 2, 1, DEBUG), (0, 2, 2, DEBUG))
    parts = [NodeWindow.partition("debug", ("0",))]
    found = fates(tell, jobs, cluster(1, 2), "priority", windows=parts)
    assert [fate.outcome for fate in found] == ["rejected", "completed", "rejected"]
