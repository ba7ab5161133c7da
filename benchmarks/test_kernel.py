"""The kernel alone: its CPU time by policy, by nodes and by waiting jobs, and that it did the work."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.cluster import Cluster
from gpuyard.policy import BACKFILLS, ORDERS, PLACEMENTS, Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND, NEVER, Workload
from measure import KERNEL
from sizes import SIZE
from workloads import TICKS, Jobs, draw, kept_waiting, racked, uniform
from yardstick import Yardstick

pytestmark = pytest.mark.usefixtures("kernel_alone")


@cache
def drawn(jobs: int, nodes: int) -> tuple[Jobs, Workload]:
    """Return jobs at load 1.0, once."""
    made = draw(jobs, nodes)
    return made, made.workload()


def measured(
    benchmark: BenchmarkFixture, workload: Workload, site: Cluster, policy: Policy, until: float | None = None
) -> Record:
    """Return the record of a schedule whose kernel was measured."""
    record = benchmark.pedantic(
        schedule, (workload, site, policy), {"until": until}, rounds=SIZE.rounds, warmup_rounds=1
    )
    assert isinstance(record, Record)
    benchmark.extra_info.update(
        events=record.events, passes=record.passes, table_bytes=sum(KERNEL.table_bytes.values())
    )
    return record


@pytest.mark.benchmark(group="kernel against the yardstick", timer=KERNEL.clock)
@pytest.mark.parametrize("nodes", SIZE.node_curve[:2])
def test_strict_fifo_starts_every_job_where_and_when_the_yardstick_does(
    benchmark: BenchmarkFixture, yardstick: Yardstick, tmp_path: Path, nodes: int
) -> None:
    jobs, workload = drawn(SIZE.jobs, nodes)
    verdict = yardstick.judge(jobs.write(tmp_path / "jobs.csv"), nodes)

    record = measured(benchmark, workload, uniform(nodes), Policy())

    benchmark.extra_info["yardstick_cpu_s"] = verdict.cpu_s
    assert np.array_equal(record.start, verdict.start * TICKS)
    assert np.array_equal(record.slot_node[record.slot_offset[:-1]], verdict.node[record.attempt_job])
    assert (record.events, record.passes) == (2 * SIZE.jobs, verdict.passes)


@pytest.mark.benchmark(group="orders and backfills", timer=KERNEL.clock)
@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_runs_every_job_once(benchmark: BenchmarkFixture, order: str, backfill: str) -> None:
    _, workload = drawn(SIZE.fewer_jobs, SIZE.nodes)

    record = measured(benchmark, workload, uniform(SIZE.nodes), Policy(order=order, backfill=backfill))

    assert record.events == 2 * SIZE.fewer_jobs
    assert np.array_equal(np.sort(record.attempt_job), np.arange(SIZE.fewer_jobs))


@pytest.mark.benchmark(group="placements", timer=KERNEL.clock)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("nodes", SIZE.node_curve[:2])
def test_every_placement_hands_out_what_was_asked_for(benchmark: BenchmarkFixture, nodes: int, placement: str) -> None:
    jobs, workload = drawn(SIZE.jobs, nodes)

    record = measured(benchmark, workload, racked(nodes), Policy(placement=placement))

    held = np.add.reduceat(record.slot_gpus, record.slot_offset[:-1])
    assert record.events == 2 * SIZE.jobs
    assert np.array_equal(held, jobs.gpus[record.attempt_job])


@pytest.mark.benchmark(group="nodes", timer=KERNEL.clock)
@pytest.mark.parametrize("nodes", SIZE.node_curve)
def test_more_nodes(benchmark: BenchmarkFixture, nodes: int) -> None:
    _, workload = drawn(SIZE.jobs, nodes)

    record = measured(benchmark, workload, uniform(nodes), Policy())

    assert record.events == 2 * SIZE.jobs
    assert np.all(record.start >= workload.submit)


@pytest.mark.benchmark(group="waiting jobs", timer=KERNEL.clock)
@pytest.mark.parametrize("depth", SIZE.depths)
def test_a_deeper_queue_changes_no_start(benchmark: BenchmarkFixture, depth: int) -> None:
    jobs, start, last = backlog()
    workload = kept_waiting(jobs, start // TICKS, depth).workload()

    record = measured(benchmark, workload, uniform(SIZE.nodes), Policy(), until=last / MICROSECOND)

    expected = np.where(start <= last, start, NEVER)
    submitted = np.count_nonzero(workload.submit <= last)
    assert np.array_equal(record.start, expected)
    assert record.max_queue == depth
    assert submitted - np.count_nonzero(start <= last) == depth


@cache
def backlog() -> tuple[Jobs, np.ndarray, int]:
    """Return jobs, their starts if all are submitted at once, and an instant until which enough are left to wait."""
    jobs, _ = drawn(SIZE.depth_jobs, SIZE.nodes)
    at_once = kept_waiting(jobs, jobs.submit, len(jobs))
    start = schedule(at_once.workload(), uniform(SIZE.nodes), Policy()).start
    return jobs, start, int(start[start < start[len(jobs) - max(SIZE.depths)]].max())
