"""Many tenants: the time of the kernel, and that every job ran all its work within its tenant's right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.record import Record
from gpuyard.simulation import schedule
from measure import KERNEL
from sizes import SIZE
from tenant_figures import LOADS, POLICIES, POLICY, belonging, tenants_of
from workloads import GPUS_PER_NODE, uniform

pytestmark = pytest.mark.usefixtures("kernel_alone")


@pytest.mark.benchmark(group="tenants", timer=KERNEL.clock)
@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("many", [0, 10, 1000])
def test_every_job_of_every_tenant_gets_its_work(benchmark: BenchmarkFixture, many: int, load: float) -> None:
    workload = belonging(SIZE, many or 1000, load)
    tenants = {"tenants": tenants_of(many, SIZE.nodes * GPUS_PER_NODE)} if many else {}
    given = (workload, uniform(SIZE.nodes), POLICY)

    record = benchmark.pedantic(schedule, given, tenants, rounds=SIZE.rounds, warmup_rounds=1)

    assert isinstance(record, Record)
    benchmark.extra_info.update(events=record.events, passes=record.passes, attempts=record.attempt_job.size)
    lasted = np.bincount(record.attempt_job, record.attempt_end - record.attempt_start, SIZE.jobs)
    assert np.array_equal(lasted, workload.runtime)
    assert record.events >= 2 * SIZE.jobs


@pytest.mark.benchmark(group="tenants", timer=KERNEL.clock)
@pytest.mark.parametrize("reclaim", ["any", "fair"])
def test_what_was_lent_is_taken_back_without_a_look_at_all_tenants(benchmark: BenchmarkFixture, reclaim: str) -> None:
    workload, site = belonging(SIZE, 100, 1.1), uniform(SIZE.nodes)
    tenants = replace(tenants_of(100, SIZE.nodes * GPUS_PER_NODE), reclaim=reclaim)

    record = benchmark.pedantic(
        schedule, (workload, site, POLICIES["reclaim"]), {"tenants": tenants}, rounds=SIZE.rounds, warmup_rounds=1
    )

    assert isinstance(record, Record)
    benchmark.extra_info.update(events=record.events, passes=record.passes, attempts=record.attempt_job.size)
    lasted = np.bincount(record.attempt_job, record.attempt_end - record.attempt_start, SIZE.jobs)
    assert np.array_equal(lasted, workload.runtime)
    assert record.attempt_job.size > SIZE.jobs  # somebody had to give back
