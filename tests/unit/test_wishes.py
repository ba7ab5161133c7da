"""What jobs want is worked out once for all that looks at the same, and columns of nothing are nulls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gpuyard import Cluster, Policy, Workload
from gpuyard.absent import Absent
from gpuyard.lowering import lower_demands
from gpuyard.traces.schema import job_schema
from gpuyard.wishes import wishes

JOBS = {
    "job_id": ["a", "b", "c"],
    "submit_time": [0.0, 1.0, 2.0],
    "runtime": [5.0, 5.0, 5.0],
    "gpus": [1, 2, 2],
    "cpus": [4.0, 4.0, 8.0],
    "gpu_type": ["x", None, "y"],
}


@pytest.fixture
def workload() -> Workload:
    return Workload.from_table(pa.table(JOBS))


def cluster(**more: object) -> Cluster:
    return replace(Cluster.uniform(nodes=4, gpus_per_node=8, gpu_type="x"), **more)


def test_jobs_are_looked_at_once_for_policies_that_want_the_same(workload: Workload) -> None:
    first = wishes(workload, cluster(), Policy())

    assert wishes(workload, cluster(), Policy(order="sjf", placement="packed")) is first
    assert wishes(workload, cluster(), Policy(exclusive=True)) is not first


def test_what_one_cluster_binds_is_not_taken_for_another(workload: Workload) -> None:
    free, bound = (lower_demands(workload, site, Policy()) for site in (cluster(), cluster(node_cpus=np.full(4, 64.0))))

    assert free.demands["cpu"].tolist() == [0] * free.demands.size
    assert bound.demands["cpu"][bound.demand].tolist() == [4000, 2000, 4000]


def test_what_one_policy_asks_for_is_not_taken_for_another(workload: Workload) -> None:
    policies = (Policy(), Policy(exclusive=True), Policy(spread=True))
    plain, alone, spread = (lower_demands(workload, cluster(), policy).demands for policy in policies)

    assert [asked["alone"].max() for asked in (plain, alone, spread)] == [0, 1, 0]
    assert [asked["spread"].max() for asked in (plain, alone, spread)] == [0, 0, 1]


@pytest.mark.parametrize("rows", [0, 1, 9, 1000])
def test_columns_without_values_are_nulls(rows: int) -> None:
    nothing = Absent(rows)
    for field in job_schema({}):
        column = nothing.column(field.type)
        column.validate(full=True)
        assert column.equals(pa.nulls(rows, field.type))
        assert column.null_count == rows


def test_columns_without_values_share_their_memory() -> None:
    before, nothing = pa.total_allocated_bytes(), Absent(100_000)
    columns = [nothing.column(kind) for kind in (pa.float64(), pa.int32(), pa.bool_(), pa.string())]

    assert pa.total_allocated_bytes() - before < 1000
    assert len({buffer.address for column in columns for buffer in column.buffers() if buffer.size}) == 1
    assert np.isnan(columns[0].fill_null(float("nan")).to_numpy()).all()
