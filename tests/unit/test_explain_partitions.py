"""The story of a job where partitions have queues and heads of their own: nobody's head is mistaken for another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.explanation import Story
from gpuyard.explanation.promises import Promises

Line = tuple[float, float, int, str | None]
PREEMPTION: dict[str, Any] = {"preemption": "priority"}
BESIDE: tuple[Mapping[str, Any], ...] = ({}, PREEMPTION)
"""Alone, and in the loop of those that preempt, though nobody is more urgent."""


def told(job: str, rows: tuple[Line, ...], parts: dict[str, str], nodes: tuple[int, ...], **policy: Any) -> Story:
    jobs = workload(
        *((at, run, gpus, {"time_limit": run} | ({"partition": name} if name else {})) for at, run, gpus, name in rows)
    )
    windows = [gy.NodeWindow.partition(name, (where,)) for name, where in parts.items()]
    site = cluster(*nodes)
    found = gy.simulate(jobs, site, policy=gy.Policy(**policy), windows=windows)
    return gy.explain(found, job, workload=jobs, cluster=site)


OVERLAP = {"main": "0-1", "debug": "1-2"}


@pytest.mark.parametrize("beside", BESIDE)
def test_nodes_are_withheld_for_the_first_job_of_another_partition(beside: Mapping[str, Any]) -> None:
    """Main has nodes 0 and 1, debug 1 and 2; job 1 of main needs two nodes, job 0 has one; job 3 is after it."""
    rows: tuple[Line, ...] = ((0, 10, 1, "main"), (1, 5, 2, "main"), (1, 30, 1, "debug"), (2, 4, 1, "debug"))
    story = told("3", rows, OVERLAP, (1, 1, 1), **beside)
    first, *more = story.stretches
    assert (first.start, first.end, first.reason, first.fits) == (2, 10, "withheld", True)
    assert first.blocker is not None
    assert (first.blocker.job_id, first.blocker.partition) == ("1", "main")
    assert "job 1 of partition main was before it and could not start" in str(story)
    assert [(each.start, each.end, each.reason) for each in more] == [(10, 15, "gpus")]


@pytest.mark.parametrize("beside", BESIDE)
def test_a_job_is_the_first_of_its_partition(beside: Mapping[str, Any]) -> None:
    rows: tuple[Line, ...] = ((0, 10, 1, "main"), (1, 5, 1, "main"), (0, 9, 1, "debug"), (3, 4, 1, "debug"))
    story = told("3", rows, {"main": "0", "debug": "1"}, (1, 1), **beside)
    assert [(each.start, each.end, each.reason, each.blocker) for each in story.stretches] == [(3, 9, "gpus", None)]
    assert "It was first in the queue of partition debug." in str(story)


@pytest.mark.parametrize("beside", [*BESIDE, {"order": "wfp"}])
def test_a_job_waits_behind_the_first_of_its_partition(beside: Mapping[str, Any]) -> None:
    rows: tuple[Line, ...] = (
        (0, 10, 1, "main"), (1, 2, 1, "main"), (0, 9, 1, "debug"), (1, 4, 1, "debug"), (2, 400, 1, "debug"),
    )  # fmt: skip
    story = told("4", rows, {"main": "0", "debug": "1"}, (1, 1), **beside)
    first = story.stretches[0]
    assert (first.start, first.end, first.reason) == (2, 9, "order")
    assert first.blocker is not None
    assert (first.blocker.job_id, first.blocker.partition) == ("3", "debug")


@pytest.mark.parametrize("beside", BESIDE)
def test_the_reservation_of_another_partitions_head_keeps_a_job_from_its_nodes(beside: Mapping[str, Any]) -> None:
    """Job 3 of debug would run on node 1, promised to job 1 of main for 10; the last entry is of job 4, far's head."""
    rows: tuple[Line, ...] = (
        (0, 10, 1, "main"), (1, 5, 2, "main"), (0, 100, 1, "far"), (2, 50, 1, "debug"), (3, 50, 1, "far"),
    )  # fmt: skip
    story = told("3", rows, {"main": "0-1", "debug": "1", "far": "2"}, (1, 1, 1), backfill="easy", **beside)
    first, *_ = story.stretches
    assert {(each.reason, each.blocker and each.blocker.job_id) for each in story.stretches if each.start < 10} == {
        ("reservation", "1")
    }
    assert first.blocker is not None
    assert (first.blocker.partition, first.blocker.promised, first.blocker.nodes) == ("main", 10, ("n0", "n1"))
    assert "but job 1 of partition main is promised nodes n0, n1 at 10 s" in str(story)


@pytest.mark.parametrize("beside", BESIDE)
def test_each_head_is_told_its_own_promise(beside: Mapping[str, Any]) -> None:
    """Job 2 of main is promised 10; after it job 3 of debug is promised 100."""
    rows: tuple[Line, ...] = ((0, 10, 1, "main"), (0, 100, 1, "debug"), (1, 5, 1, "main"), (2, 5, 1, "debug"))
    parts = {"main": "0", "debug": "1"}
    for job, begin in (("2", 10), ("3", 100)):
        stretches = told(job, rows, parts, (1, 1), backfill="easy", **beside).stretches
        assert {each.planned for each in stretches} == {begin}


def test_a_promise_is_the_last_of_its_queue() -> None:
    log = Promises(
        time=np.array([1, 2, 3]), job=np.array([4, 5, 4]), begin=np.array([9, 9, 9]),
        table=pa.table({}), lost=0, queue=np.array([1, 2, 1]),
    )  # fmt: skip
    assert [log.last(now, 1) for now in (0, 1, 2, 3)] == [-1, 0, 0, 2]
    assert [log.last(now, 2) for now in (1, 2, 9)] == [-1, 1, 1]
    assert log.last(9, 0) == -1


def test_a_log_that_was_full_tells_nothing_after_its_end() -> None:
    log = Promises(
        time=np.array([1, 2]), job=np.array([4, 5]), begin=np.array([9, 9]),
        table=pa.table({}), lost=3, queue=np.array([1, 2]),
    )  # fmt: skip
    assert (log.last(1, 1), log.last(2, 1), log.last(2, 2)) == (0, -1, -1)
