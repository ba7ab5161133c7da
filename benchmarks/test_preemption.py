"""Policies that preempt: the time of their kernel, and that every job ran all its work."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.policy import Policy
from gpuyard.record import EndReason, Record
from gpuyard.simulation import schedule
from kernel_figures import FIFO, kernel_s
from measure import KERNEL, least
from preemption_figures import LOADS, PREEMPTIVE, preemptive
from sizes import FULL, SIZE
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


MOST_TIMES = {"las": 3.4, "srtf": 2.8}
"""Of `fifo` at load 0.9; 1.9 and 1.5 where the target is 5 for both."""
MOST_MICROSECONDS = {"las": 1.0, "srtf": 4.0}
"""An event at load 1.1; 0.19 and 1.7 where the target is 3 for both."""


@pytest.mark.parametrize("name", PREEMPTIVE)
def test_preemption_costs_no_more_than_some_times_fifo_and_overload_no_more_than_some_microseconds_an_event(
    name: str,
) -> None:
    """The limits leave room for a busy machine; docs/performance.md has the targets, and what was measured."""
    site, policy = uniform(FULL.nodes), preemptive(name)
    calm, crowded = (draw(FULL.jobs, FULL.nodes, load=load).workload() for load in LOADS)
    events = schedule(crowded, site, policy).events  # compiles

    fifo, preempting = least(3, partial(kernel_s, calm, site, FIFO), partial(kernel_s, calm, site, policy))
    (overload,) = least(1, partial(kernel_s, crowded, site, policy))

    assert preempting / fifo <= MOST_TIMES[name]
    assert 1e6 * overload / events <= MOST_MICROSECONDS[name]
