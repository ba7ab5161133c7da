"""Placements by topology, on racks, leaves and pods: where a level has hundreds of domains."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from measure import KERNEL
from sizes import SIZE
from workloads import GPUS_PER_NODE, draw, racked

pytestmark = [pytest.mark.usefixtures("kernel_alone")]


@pytest.mark.benchmark(group="placement by topology", timer=KERNEL.clock)
@pytest.mark.parametrize("placement", ["packed", "spread", "rail-aligned", "topology-tree", "topology-block"])
def test_jobs_of_several_nodes_among_racks(benchmark: BenchmarkFixture, placement: str) -> None:
    jobs, site = draw(SIZE.fewer_jobs, SIZE.nodes), racked(SIZE.nodes)
    workload = jobs.workload()

    def run() -> Record:
        return schedule(workload, site, Policy(placement=placement))

    record = benchmark.pedantic(run, rounds=SIZE.rounds, warmup_rounds=1)
    benchmark.extra_info.update(jobs=len(workload), slots=record.slot_node.size)
    assert record.attempt_job.size == len(workload)
    assert record.slot_node.size == int((-(-jobs.gpus // GPUS_PER_NODE)).sum())
    assert int(record.slot_gpus.sum()) == int(jobs.gpus.sum())
