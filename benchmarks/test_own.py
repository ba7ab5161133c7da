"""Users' own policies: a compiled order beside the named one, a class that decides; scored passes by waiting jobs."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND
from measure import KERNEL
from own import Counting, own_wfp
from sizes import SIZE
from workloads import draw, kept_waiting, uniform

pytestmark = pytest.mark.usefixtures("kernel_alone")


def spent(workload: object, policy: Policy, until: float | None = None) -> tuple[float, object]:
    """Return the least CPU seconds of the kernel in a few runs, and the record."""
    least, record = float("inf"), None
    for _ in range(SIZE.rounds + 2):
        record = schedule(workload, uniform(SIZE.nodes), policy, until=until)
        least = min(least, KERNEL.last_s)
    return least, record


@pytest.mark.benchmark(group="own orders", timer=KERNEL.clock)
@pytest.mark.parametrize("backfill", ["none", "fit", "easy"])
def test_an_own_order_costs_at_most_half_more_than_the_named_one(benchmark: BenchmarkFixture, backfill: str) -> None:
    workload = draw(SIZE.fewer_jobs, SIZE.nodes).workload()
    named_s, named = spent(workload, Policy(order="wfp", backfill=backfill))
    own_s, _ = spent(workload, Policy(order=own_wfp, backfill=backfill))

    record = benchmark.pedantic(
        schedule, (workload, uniform(SIZE.nodes), Policy(order=own_wfp, backfill=backfill)), rounds=SIZE.rounds
    )

    benchmark.extra_info.update(events=record.events, passes=record.passes, named_s=named_s, own_s=own_s)
    assert np.array_equal(record.start, named.start)


@pytest.mark.benchmark(group="a class that decides", timer=KERNEL.clock)
def test_a_class_decides_in_every_pass(benchmark: BenchmarkFixture) -> None:
    workload, policy = draw(SIZE.jobs, SIZE.nodes).workload(), Counting()

    record = benchmark.pedantic(
        schedule, (workload, uniform(SIZE.nodes), Policy(decide=policy)), rounds=SIZE.rounds, warmup_rounds=1
    )

    benchmark.extra_info.update(events=record.events, passes=record.passes, asked=policy.asked, kernel_s=KERNEL.last_s)
    assert policy.asked >= SIZE.jobs / 2


@pytest.mark.benchmark(group="scored passes by waiting jobs", timer=KERNEL.clock)
@pytest.mark.parametrize("depth", SIZE.depths)
def test_a_deeper_queue_is_scored_in_every_pass(benchmark: BenchmarkFixture, depth: int) -> None:
    jobs = draw(depth + 1_000, SIZE.nodes)
    workload = kept_waiting(jobs, jobs.submit, len(jobs)).workload()  # all at once
    start = schedule(workload, uniform(SIZE.nodes), Policy()).start
    until = float(np.sort(start)[1_000]) / MICROSECOND

    record = benchmark.pedantic(
        schedule,
        (workload, uniform(SIZE.nodes), Policy(order="wfp", backfill="easy")),
        {"until": until},
        rounds=SIZE.rounds,
        warmup_rounds=1,
    )

    benchmark.extra_info.update(events=record.events, passes=record.passes, max_queue=record.max_queue)
    assert depth / 2 <= record.max_queue <= depth + 1_000
