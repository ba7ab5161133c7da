"""A site as Slurm users run it: the time of the kernel, what preemption costs, and that every job ran all its work."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.policy import Policy
from gpuyard.record import EndReason, Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import Limit, Tenants
from kernel_figures import kernel_s
from measure import KERNEL, least
from sizes import SIZE
from tenant_figures import belonging
from workloads import GPUS_PER_NODE, uniform

pytestmark = pytest.mark.usefixtures("kernel_alone")

_FEWER = replace(SIZE, jobs=min(SIZE.fewer_jobs, 20_000), nodes=64)
_MULTIFACTOR: dict[str, Any] = {
    "order": "multifactor",
    "fair_share": "fair-tree",
    "weights": {"age": 1000, "fairshare": 2000, "priority": 1000},
}
_WAYS: dict[str, tuple[bool, bool]] = {"neither": (False, False), "preemption": (True, False), "limits": (True, True)}


_MOST_TIMES = 5.0
"""What preemption may cost where nothing is lost by it, so that about as many jobs wait."""


@pytest.mark.parametrize("load", [0.95, 1.1])
def test_preemption_costs_a_small_multiple(load: float) -> None:
    workload, site = belonging(_FEWER, 100, load), uniform(_FEWER.nodes)
    alone = Policy(**_MULTIFACTOR, backfill="easy")
    policies = (alone, replace(alone, preemption="priority"))

    without, preempting = least(3, *(partial(kernel_s, workload, site, policy) for policy in policies))

    assert preempting <= _MOST_TIMES * without


@pytest.mark.benchmark(group="multifactor with backfilling", timer=KERNEL.clock)
@pytest.mark.parametrize("backfill", ["easy", "slurm"])
@pytest.mark.parametrize("way", _WAYS)
def test_every_job_gets_its_work_and_the_urgent_first(benchmark: BenchmarkFixture, way: str, backfill: str) -> None:
    preempts, limited = _WAYS[way]
    workload = belonging(_FEWER, 100, 0.9)
    policy = Policy(**_MULTIFACTOR, backfill=backfill, **({"preemption": "priority"} if preempts else {}))
    limit = Limit(each=("tenant",), gpus=_FEWER.nodes * GPUS_PER_NODE)
    more = {"tenants": Tenants(limits=(limit,))} if limited else {}

    record = benchmark.pedantic(schedule, (workload, uniform(_FEWER.nodes), policy), more, rounds=1, warmup_rounds=1)

    assert isinstance(record, Record)
    benchmark.extra_info.update(events=record.events, passes=record.passes, attempts=record.attempt_job.size)
    lasted = np.bincount(record.attempt_job, record.attempt_end - record.attempt_start, _FEWER.jobs)
    assert np.array_equal(lasted, workload.runtime)
    preempted = int((record.attempt_reason == EndReason.PREEMPTED).sum())
    assert record.attempt_job.size == _FEWER.jobs + preempted
    assert (preempted > 0) == preempts
