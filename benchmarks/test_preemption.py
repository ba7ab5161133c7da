"""Policies that preempt: the time of their kernel, and that every job ran all its work."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.policy import Policy
from gpuyard.record import EndReason, Record
from gpuyard.simulation import schedule
from measure import KERNEL
from preemption_figures import LOADS, PREEMPTIVE, preemptive
from sizes import SIZE
from workloads import draw, uniform

pytestmark = pytest.mark.usefixtures("kernel_alone")


@pytest.mark.benchmark(group="preemption", timer=KERNEL.clock)
@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("name", ["fifo", *PREEMPTIVE])
def test_every_job_gets_its_work_in_one_or_more_attempts(benchmark: BenchmarkFixture, name: str, load: float) -> None:
    workload = draw(SIZE.jobs, SIZE.nodes, load=load).workload()
    policy = Policy() if name == "fifo" else preemptive(name)

    record = benchmark.pedantic(schedule, (workload, uniform(SIZE.nodes), policy), rounds=SIZE.rounds, warmup_rounds=1)

    assert isinstance(record, Record)
    attempts = record.attempt_job.size
    benchmark.extra_info.update(events=record.events, passes=record.passes, attempts=attempts)
    lasted = np.bincount(record.attempt_job, record.attempt_end - record.attempt_start, SIZE.jobs)
    preempted = np.count_nonzero(record.attempt_reason == EndReason.PREEMPTED)
    assert np.array_equal(lasted, workload.runtime)
    assert attempts == SIZE.jobs + preempted
    assert record.events >= SIZE.jobs + attempts
    assert (preempted > 0) == (name != "fifo")
