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
from tenant_figures import belonging, tenants_of
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


_MANY = replace(SIZE, jobs=20_000, nodes=1024)
_TIMES_OF_TENANTS = {1_000: 3.4, 10_000: 3.0}
"""How many times as long so many tenants with quotas may take at load 0.9; 2.0 and 1.4 were measured."""


@pytest.mark.parametrize("many", _TIMES_OF_TENANTS)
def test_fair_share_with_quotas_that_are_taken_back_costs_a_small_multiple(many: int) -> None:
    """A pass looks at the queues of which somebody waits, however many tenants there are: 13 times where it does not.

    Without tenants there is the same order by fair share, so that the accounts are the same.
    """
    workload, site = belonging(_MANY, many, 0.9), uniform(_MANY.nodes)
    alone = Policy(**_MULTIFACTOR, backfill="fit")
    shared = replace(alone, preemption="reclaim")
    tenants = tenants_of(many, _MANY.nodes * GPUS_PER_NODE)
    record = schedule(workload, site, shared, tenants=tenants)
    lasted = np.bincount(record.attempt_job, record.attempt_end - record.attempt_start, _MANY.jobs)

    without, with_tenants = least(
        3, partial(kernel_s, workload, site, alone), partial(kernel_s, workload, site, shared, tenants=tenants)
    )

    assert np.array_equal(lasted, workload.runtime)
    assert with_tenants <= _TIMES_OF_TENANTS[many] * without


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
