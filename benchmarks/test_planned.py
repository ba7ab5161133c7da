"""Backfilling with a plan, while many jobs wait and every job ends before its time limit: nobody is spared a pass."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import MICROSECOND, Workload
from measure import KERNEL
from sizes import SIZE
from workloads import draw, uniform

pytestmark = pytest.mark.usefixtures("kernel_alone")

SPAN_S = 30.0
"""Seconds that are simulated."""
OVERESTIMATE = 3.0


def overestimated(waiting: int, nodes: int) -> Workload:
    """Return jobs submitted at once, of which so many wait on ``nodes`` nodes; limits are up to 3 x the run times."""
    jobs = draw(waiting + 8 * nodes, nodes)
    last = int(np.searchsorted(jobs.gpus.cumsum(), 8 * nodes)) + waiting
    factor = np.random.default_rng(2).uniform(1, OVERESTIMATE, last)
    table = pa.table(
        {
            "job_id": pa.array(np.arange(last)).cast(pa.string()),
            "submit_time": np.zeros(last),
            "runtime": jobs.runtime[:last] / 1000,
            "time_limit": jobs.runtime[:last] * factor / 1000,
            "gpus": jobs.gpus[:last],
        }
    )
    return Workload.from_table(table, name="overestimated")


@pytest.mark.benchmark(group="planned backfilling, by waiting jobs", timer=KERNEL.clock)
@pytest.mark.parametrize("order", ["fifo", "wfp"])
@pytest.mark.parametrize("backfill", ["conservative", "slurm"])
@pytest.mark.parametrize("waiting", [depth for depth in SIZE.depths if 100 <= depth <= 10_000])
def test_every_early_end_lets_everybody_be_planned(
    benchmark: BenchmarkFixture, waiting: int, backfill: str, order: str
) -> None:
    workload, site = overestimated(waiting, SIZE.nodes), uniform(SIZE.nodes)

    policy = Policy(order=order, backfill=backfill)
    record = benchmark.pedantic(
        schedule, (workload, site, policy), {"until": SPAN_S}, rounds=SIZE.rounds, warmup_rounds=1
    )

    ended = record.end <= SPAN_S * MICROSECOND
    waits = record.start > SPAN_S * MICROSECOND
    benchmark.extra_info.update(passes=record.passes, waiting=int(waits.sum()))
    assert np.count_nonzero(ended) > 0
    assert record.max_queue >= waiting // 2
    instants = np.arange(1, 31) * MICROSECOND
    held = (record.start[:, None] <= instants) & (record.end[:, None] > instants)
    assert np.all(workload.gpus @ held <= 8 * SIZE.nodes)
