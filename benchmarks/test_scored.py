"""Placements that score every candidate, on a cluster that fills up: openb's pods on its 1,213 nodes with GPUs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import gpuyard as gy
from gpuyard.holdings import hold
from gpuyard.metrics import fragmentation
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from measure import KERNEL
from sizes import SIZE

FOLDER = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).resolve().parents[2] / "shared" / "traces"))
OPENB = FOLDER / "alibaba_openb_2023"

pytestmark = [
    pytest.mark.usefixtures("kernel_alone"),
    pytest.mark.skipif(not OPENB.is_dir(), reason="openb is not here; set GPUYARD_TRACES to the traces' folder"),
]


@cache
def arrivals() -> tuple[gy.Workload, gy.Cluster]:
    """Return pods that ask for 130 % of the cluster's GPUs and never end."""
    values = {
        "workload": {"trace": str(OPENB / "openb_pod_list_default.csv"), "arrivals_only": 1.3},
        "cluster": {"file": str(OPENB / "openb_node_list_gpu_node.csv")},
        "policy": {"name": "fifo-fit"},
    }
    resolved = gy.Scenario.from_mapping(values).resolve()
    return resolved.workload, resolved.cluster


def filled(placement: str) -> Record:
    workload, cluster = arrivals()
    policy = Policy(order="fifo", backfill="fit", placement=placement)
    return schedule(workload, cluster, policy, until=float(len(workload) - 1))


@pytest.mark.benchmark(group="scored placements", timer=KERNEL.clock)
@pytest.mark.parametrize(
    ("placement", "least"),
    [("fgd", 0.94), ("least-left", 0.92), ("dot-product", 0.89), ("gpu-packing", 0.9), ("gpu-clustering", 0.9)],
)
def test_a_cluster_fills_up(benchmark: BenchmarkFixture, placement: str, least: float) -> None:
    record = benchmark.pedantic(filled, (placement,), rounds=SIZE.rounds, warmup_rounds=1)

    benchmark.extra_info.update(placements=record.attempt_job.size, arrivals=len(record.workload))
    assert int(hold(record).attempt_milli.sum()) >= least * 1000 * record.cluster.gpus
    assert record.events == len(record.workload)


@pytest.mark.benchmark(group="fragmentation")
def test_fragmentation_over_time(benchmark: BenchmarkFixture) -> None:
    record = filled("fgd")
    held = hold(record)

    found = benchmark.pedantic(fragmentation, (record, held, 0, record.stop), rounds=SIZE.rounds, warmup_rounds=1)

    assert found.fragments.values.size == 2 * record.attempt_job.size + 1
