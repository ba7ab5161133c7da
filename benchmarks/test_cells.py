"""Cells: the time of their kernel, that every job got its work, and that owners waited as they would alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cell_figures import GUESTS, TENANTS, celled, cells_of, owned
from gpuyard.record import EndReason, Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import Limit, Tenants
from kernel_figures import kernel_s
from measure import KERNEL, least
from sizes import SIZE
from workloads import racked

MOST_TIMES = 6.0

pytestmark = pytest.mark.usefixtures("kernel_alone")


@pytest.mark.benchmark(group="cells", timer=KERNEL.clock)
@pytest.mark.parametrize("backfill", ["none", "fit"])
def test_every_job_gets_its_work_and_owners_do_not_notice_each_other(
    benchmark: BenchmarkFixture, backfill: str
) -> None:
    workload, site, policy = owned(SIZE), racked(SIZE.nodes), celled(SIZE.nodes, backfill=backfill)

    record = benchmark.pedantic(schedule, (workload, site, policy), rounds=SIZE.rounds, warmup_rounds=1)

    assert isinstance(record, Record)
    assert not record.reject_reason.any()
    attempts = record.attempt_job.size
    preempted = int(np.count_nonzero(record.attempt_reason == EndReason.PREEMPTED))
    benchmark.extra_info.update(events=record.events, attempts=attempts, preempted=preempted)
    lasted = np.bincount(record.attempt_job, record.attempt_end - record.attempt_start, len(workload))
    assert np.array_equal(lasted, workload.runtime)
    assert attempts == len(workload) + preempted
    assert record.events >= len(workload) + attempts
    assert preempted > 0
    tenant, guest = np.arange(len(workload)) % TENANTS, np.arange(len(workload)) % GUESTS == 0
    first = (tenant == 0) & ~guest
    alone = schedule(workload.where(first, "of one"), site, celled(SIZE.nodes, backfill=backfill, owners=1))
    assert np.array_equal(alone.start, record.start[first])
    assert cells_of(SIZE.nodes)["t0"]


def test_a_limit_that_keeps_many_waiting_costs_no_more_than_some_times_none() -> None:
    workload, site, policy = owned(SIZE), racked(SIZE.nodes), celled(SIZE.nodes)
    tenants = Tenants(limits=(Limit(each=("tenant",), gpus=SIZE.nodes * 8 * 0.9 // TENANTS),))
    assert schedule(workload, site, policy, tenants=tenants).max_queue > len(workload) // 20

    free, limited = least(
        3, partial(kernel_s, workload, site, policy), partial(kernel_s, workload, site, policy, tenants=tenants)
    )

    assert (
        limited < MOST_TIMES * free
    )  # 1.7 on 2026-11-28; hundreds where every job that waits has its turn in every pass
