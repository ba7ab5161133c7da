"""Fragmentation and the placement that descends it, worked by hand.

Two nodes and four jobs: x asks for half a GPU and 2 CPUs, y for a GPU and 4 CPUs, z for two GPUs and 8 CPUs,
c for 2 CPUs alone.  Node A has 2 GPUs and 8 CPUs, node B has 1 GPU and 4 CPUs.  The fragment of a node for a job
is all that it has free if it does not host the job, else what lies in GPUs that are too full for it (thousandths):

    empty             x     y     z     c    Phi
    A  1000 1000      0     0     0  2000   2000
    B  1000           0     0  1000  1000   2000   F = 4000 / (1000 x 4) = 1 GPU

    x on A (6 CPUs left)                            x on B (2 CPUs left)
    A   500 1000      0   500  1500  1500   3500    B   500      0   500   500   500   1500

x costs 1500 on A (one of its GPUs is too full for y, and z is gone) and gains 500 on B, so it goes to B, where
first fit, best fit and worst fit would all go to A.
"""

from __future__ import annotations

import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.holdings import hold
from gpuyard.metrics import fragmentation
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload


def four_jobs(later: float) -> Workload:
    return workload(
        (0, 1000, 1, {"gpu_milli": 500, "cpus": 2.0}),
        (later, 1000, 1, {"cpus": 4.0}),
        (later, 1000, 2, {"cpus": 8.0}),
        (later, 1000, 0, {"cpus": 2.0}),
    )


def two_nodes(cpus_of_b: float = 4) -> Cluster:
    return cluster(2, 1, cpus=[8, cpus_of_b])


@pytest.mark.parametrize(
    ("placement", "node"), [("fgd", 1), ("first-fit", 0), ("best-fit", 0), ("worst-fit", 0), ("least-left", 1)]
)
def test_half_a_gpu_goes_where_it_spoils_least(placement: str, node: int) -> None:
    record = schedule(four_jobs(200), two_nodes(), Policy(placement=placement), until=100.0)
    assert record.slot_node.tolist() == [node]


def test_fragmentation_over_time_is_the_one_worked_by_hand() -> None:
    record = schedule(four_jobs(200), two_nodes(), Policy(placement="fgd"), until=100.0)
    found = fragmentation(record, hold(record), 0, record.stop)
    assert found is not None
    assert found.jobs == 4
    assert found.fragments.values.tolist() == [4000, 3500, 4000]
    assert found.stranded.values.tolist() == [0, 0, 0]


def test_the_summary_has_the_shares_of_what_is_free() -> None:
    result = gy.simulate(four_jobs(200), two_nodes(), placement="fgd", until=100.0)
    gpu = result.summary()["gpu"]
    assert gpu["fragmentation"] == 0.875 / 2.5
    assert gpu["stranded"] == 0.0
    assert gpu["allocation_rate_end"] == pytest.approx(0.5 / 3)
    assert result.timeline["gpus_fragmented"].to_pylist() == [0.875, 0.875]


def test_what_no_job_could_use_is_stranded() -> None:
    result = gy.simulate(four_jobs(200), two_nodes(cpus_of_b=3), placement="fgd", until=100.0)
    gpu = result.summary()["gpu"]
    assert gpu["stranded"] == 0.5 / 2.5  # x left 1 CPU beside half a GPU of B
    assert gpu["fragmentation"] == 1.0 / 2.5
    assert result.timeline["gpus_stranded"].to_pylist() == [0.5, 0.5]


def test_jobs_of_several_nodes_count_by_their_large_chunk() -> None:
    """Of three nodes of 4 GPUs, a job of 10 GPUs takes two whole and half of the third: 2 free GPUs are fragments."""
    jobs = workload((0, 10, 10), (20, 10, 4))
    record = schedule(jobs, cluster(4, 4, 4), Policy(placement="fgd"), until=10.0)
    found = fragmentation(record, hold(record), 0, record.stop)
    assert found is not None
    assert found.fragments.values.tolist() == [0, 2 * 2000, 0]


def test_nothing_is_known_of_a_run_without_jobs() -> None:
    jobs = workload((0, 10, 99))
    record = schedule(jobs, cluster(4), Policy(), until=10.0)
    assert fragmentation(record, hold(record), 0, record.stop) is None
    gpu = gy.simulate(jobs, cluster(4), until=10.0).summary()["gpu"]
    assert (gpu["fragmentation"], gpu["stranded"]) == (None, None)


def test_a_fraction_on_a_gpu_of_its_own_is_no_longer_wholly_free() -> None:
    jobs = workload((0, 10, 1, {"gpu_milli": 300}), (0, 10, 1, {"gpu_milli": 800}), (20, 1, 2))
    record = schedule(jobs, cluster(2), Policy(), until=10.0)
    found = fragmentation(record, hold(record), 0, record.stop)
    assert found is not None
    # 700 and 200 are free: the first job could use the 700 again, the others nothing
    assert found.fragments.values.tolist()[2] == 200 + 900 + 900
