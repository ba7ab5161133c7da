"""Who was first, and which window closed nodes: stories worked by hand."""

from __future__ import annotations

from typing import Any

import gpuyard as gy
from conftest import Row, cluster
from explained import story
from gpuyard.explanation import Story

LASTING: dict[str, Any] = {"preemptible": False}


def waits(job: str, *rows: Row, site: gy.Cluster, **options: Any) -> list[tuple[float, float, str, str | None]]:
    """Return the stretches of a job's waits: from, to, the reason, and the job that is blamed."""
    told = story(job, *rows, site=site, **options).stretches
    return [(each.start, each.end, each.reason, each.blocker and each.blocker.job_id) for each in told]


def test_who_was_first_by_a_score_is_named_where_jobs_preempt() -> None:
    """wfp is (wait / estimate)^3 GPUs: at 2 s job 1 has 4e-9 and job 2 nothing; at 4 s job 2 has 0.008, and starts."""
    jobs: tuple[Row, ...] = ((0, 100, 3, LASTING), (1, 1000, 4), (2, 10, 1), (4, 1000, 4))
    policy = gy.Policy(order="wfp", preemption="priority")
    assert waits("2", *jobs, site=cluster(4), policy=policy) == [(2, 4, "order", "1")]
    assert story("2", *jobs, site=cluster(4), policy=policy).log == "not needed"
    assert waits("1", *jobs, site=cluster(4), policy=policy) == [(1, 100, "gpus", None)]


def test_who_has_the_least_left_is_first() -> None:
    """Of 4 GPUs 1 is free; job 1 has 5 s left and needs 4; job 2, which would fit, has 6."""
    jobs: tuple[Row, ...] = ((0, 10, 3, LASTING), (1, 5, 4), (2, 6, 1))
    policy = gy.Policy(preemption="srtf")
    assert waits("2", *jobs, site=cluster(4), policy=policy) == [(2, 10, "order", "1"), (10, 15, "gpus", None)]


def test_a_promotion_brings_a_job_before_the_one_that_it_waited_behind() -> None:
    """Job 0 gives way at 5 s, its threshold; job 2 comes at 6 with nothing attained; at 10 job 0 is promoted, and takes
    the GPU from job 1, which takes it back at 15, promoted in turn; job 0 at 20 and, promoted again, at 30."""
    jobs: tuple[Row, ...] = ((0, 20, 1), (2, 10, 1), (6, 30, 1))
    preemption = {"rule": "las", "thresholds": (5.0,), "promote": 1.0, "max_preemptions": 5}
    policy = gy.Policy(preemption=preemption)
    assert waits("0", *jobs, site=cluster(1), policy=policy)[:2] == [(5, 6, "gpus", None), (6, 10, "order", "2")]
    assert waits("2", *jobs, site=cluster(1), policy=policy) == [(6, 25, "gpus", None), (30, 35, "gpus", None)]


def test_time_slices_go_round_in_the_line_of_those_who_joined() -> None:
    """Slices of 5 s on one GPU: job 0, 1, 2, and again, each with 3 s left; who gave way joined the line behind."""
    jobs: tuple[Row, ...] = ((0, 8, 1), (1, 8, 1), (2, 8, 1))
    policy = gy.Policy(preemption={"rule": "time-slice", "time_slice": 5.0})
    assert waits("2", *jobs, site=cluster(1), policy=policy) == [
        (2, 5, "order", "1"),
        (5, 10, "gpus", None),
        (15, 18, "order", "1"),
        (18, 21, "gpus", None),
    ]


def test_what_was_free_is_what_a_job_saw_at_its_turn_under_levels_that_change() -> None:
    """At 2 s job 1 (4 s left) is tried before job 2 (9 s), and lacks 1 of 3 GPUs; job 2 takes one after that."""
    jobs: tuple[Row, ...] = ((0, 20, 2, LASTING), (2, 4, 3), (2, 9, 1))
    first = story("1", *jobs, site=cluster(4), policy=gy.Policy(backfill="fit", preemption="srtf")).stretches[0]
    assert (first.start, first.reason, first.free[1]) == (2, "gpus", 2)


# --- windows ----------------------------------------------------------------------------------------------


def behind(windows: list[gy.NodeWindow], *rows: Row, site: gy.Cluster, job: str = "1", **policy: Any) -> Story:
    return story(job, *rows, site=site, policy=gy.Policy(**({"backfill": "fit"} | policy)), windows=windows)


def test_maintenance_and_a_reservation_for_others_are_told_apart() -> None:
    windows = [
        gy.NodeWindow(nodes=("0",), start=0, end=100),
        gy.NodeWindow(nodes=("1",), start=5, end=50, users=("ann",)),
    ]
    rows: tuple[Row, ...] = ((0, 100, 1), (10, 20, 1, {"user": "bob"}), (200, 1, 1, {"user": "ann"}))
    told = behind(windows, *rows, site=cluster(1, 1, 1))
    (only,) = told.stretches
    assert (only.start, only.end, only.reason) == (10, 50, "closed")
    assert [(each.kind, each.nodes, each.start, each.end, dict(each.whose)) for each in only.closed] == [
        ("reservation", ("n1",), 5, 50, {"user": ("ann",)}),
        ("maintenance", ("n0",), 0, 100, {}),
    ]
    assert (
        "constraint: 2 GPUs were free, but nodes that would have done were closed to it: node n1 is reserved for user "
        "ann from 5 s to 50 s; node n0 is in maintenance from 0 s to 1m 40s (100 s)."
    ) in str(told)


def test_what_closed_nodes_to_the_first_of_a_strict_queue_is_told() -> None:
    """Job 1 needs node 0, in maintenance to 50; job 2 would fit on node 1, and may not pass it."""
    windows = [gy.NodeWindow(nodes=("0",), start=0, end=50)]
    rows: tuple[Row, ...] = ((10, 20, 2), (20, 20, 1))
    for beside in ({}, {"order": "wfp"}, {"preemption": "priority"}, {"preemption": "priority", "order": "wfp"}):
        told = behind(windows, *rows, site=cluster(2, 1), backfill="none", **beside)
        (only,) = told.stretches
        assert (only.start, only.end, only.reason, only.closed) == (20, 50, "order", ())
        assert only.blocker is not None
        assert [each.nodes for each in only.blocker.closed] == [("n0",)]
        scores = " (score 0.25; this job 0)" if beside == {"order": "wfp"} else ""
        assert (
            f"job 0 was first{scores} and nobody may pass it; it needed 2 GPUs, 3 were free (nodes that would have "
            "done were closed to it: node n0 is in maintenance from 0 s to 50 s); this job would have fitted."
        ) in str(told)


def test_a_window_that_closes_nothing_that_would_have_done_is_not_told() -> None:
    """Node 0 is too small for job 1; so its maintenance is not to blame."""
    windows = [gy.NodeWindow(nodes=("0",), start=0, end=90), gy.NodeWindow(nodes=("1",), start=0, end=50)]
    told = behind(windows, (0, 1, 1), (10, 20, 2), site=cluster(1, 2, 1))
    assert [each.nodes for each in told.stretches[0].closed] == [("n1",)]


def test_maintenance_that_begins_before_a_job_would_end_is_told_as_such() -> None:
    windows = [gy.NodeWindow(nodes=("0",), start=10, end=30)]
    told = behind(windows, (0, 20, 1), site=cluster(1), job="0")
    assert "node n0 is in maintenance from 10 s to 30 s, when it would still run." in str(told)


def test_how_long_a_job_would_stay_counts_the_checkpoints_that_it_writes() -> None:
    """20 s of work and three checkpoints of 2 s, after 5, 10 and 15 s, are not over by 25."""
    windows = [gy.NodeWindow(nodes=("0",), start=25, end=40)]
    preemption = {"rule": "priority", "checkpoint_interval": 5.0, "checkpoint_cost": 2.0}
    told = behind(windows, (0, 20, 1), site=cluster(1), job="0", preemption=preemption)
    assert [(each.start, each.end, each.reason) for each in told.stretches] == [(0, 40, "closed")]


def test_a_partition_is_told_as_what_closes_nodes() -> None:
    windows = [gy.NodeWindow.partition("debug", ("1",))]
    rows: tuple[Row, ...] = ((0, 10, 1, {"partition": "debug"}), (1, 5, 1, {"partition": "debug"}))
    told = behind(windows, *rows, site=cluster(1, 1))
    assert [(each.kind, dict(each.whose)) for each in told.stretches[0].closed] == [
        ("partition", {"partition": ("debug",)})
    ]
    assert "closed to it: they are outside its partition debug." in str(told)
    assert "'whose': {'partition': ('debug',)}" in str(told.to_mapping())


# --- patterns ---------------------------------------------------------------------------------------------


def test_a_pattern_is_to_blame_for_which_no_head_holds_nodes() -> None:
    """From 5 s on GPU 0 of node 0 and GPU 1 of node 1 are free: not the same number, which job 4 needs until 100."""
    main, rail = {"partition": "main"}, {"partition": "main", "nodes": 2}
    rows: tuple[Row, ...] = (
        (0, 5, 1, main), (0, 100, 1, main), (0, 100, 1, main), (0, 5, 1, main), (1, 9, 2, rail),
        (0, 500, 2, {"partition": "debug"}),
    )  # fmt: skip
    windows = [gy.NodeWindow.partition("main", ("0-1",)), gy.NodeWindow.partition("debug", ("2",))]
    for beside in ({}, {"preemption": "priority"}):
        told = behind(
            windows, *rows, site=cluster(2, 2, 2), job="4", backfill="easy", placement="rail-aligned", **beside
        )
        assert [(each.start, each.end, each.reason) for each in told.stretches] == [
            (1, 5, "gpus"),
            (5, 100, "placement"),
        ]
