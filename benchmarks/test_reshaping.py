"""What-if, fits, look-alikes and portraits of workloads."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.fitting import LookAlike, fit, look_alike
from gpuyard.portrait import portray
from gpuyard.reshaping import repeat, resample_users, resize, thin
from gpuyard.traces.write import write_tables
from gpuyard.workload import Workload
from sizes import SIZE
from workloads import draw

pytestmark = pytest.mark.benchmark(timer=time.process_time, group="workload")
JOBS = (SIZE.fewer_jobs, SIZE.jobs)


@cache
def drawn(jobs: int) -> Workload:
    """Return jobs of a hundred users."""
    table = draw(jobs, SIZE.nodes).workload().table
    users = pa.array([f"u{number}" for number in (np.arange(jobs) % 100).tolist()])
    return Workload.from_table(table.set_column(table.schema.get_field_index("user"), "user", users))


@pytest.mark.parametrize("jobs", JOBS)
def test_thinning(benchmark: BenchmarkFixture, jobs: int) -> None:
    half = benchmark.pedantic(thin, (drawn(jobs), 0.5), rounds=SIZE.rounds)

    assert abs(len(half) - jobs / 2) < 3 * jobs**0.5


@pytest.mark.parametrize("jobs", JOBS)
def test_repeating(benchmark: BenchmarkFixture, jobs: int) -> None:
    twice = benchmark.pedantic(repeat, (drawn(jobs), 2), rounds=SIZE.rounds)

    assert len(twice) == 2 * jobs


@pytest.mark.parametrize("jobs", JOBS)
def test_resampling_users(benchmark: BenchmarkFixture, jobs: int) -> None:
    other = benchmark.pedantic(resample_users, (drawn(jobs),), rounds=SIZE.rounds)

    assert abs(len(other) - jobs) <= jobs / 100


@pytest.mark.parametrize("jobs", JOBS)
def test_changing_sizes(benchmark: BenchmarkFixture, jobs: int) -> None:
    larger = benchmark.pedantic(resize, (drawn(jobs), 2), {"keep": "work"}, rounds=SIZE.rounds)

    assert larger.integers("gpus", 0).sum() == 2 * drawn(jobs).integers("gpus", 0).sum()


@pytest.mark.parametrize("jobs", JOBS)
def test_fitting(benchmark: BenchmarkFixture, jobs: int) -> None:
    model = benchmark.pedantic(fit, (drawn(jobs),), rounds=SIZE.rounds)

    assert model.jobs == jobs


@pytest.mark.parametrize("jobs", JOBS)
def test_making_a_look_alike(benchmark: BenchmarkFixture, jobs: int) -> None:
    model = fit(drawn(SIZE.fewer_jobs))

    like = benchmark.pedantic(look_alike, (model,), {"jobs": jobs}, rounds=SIZE.rounds)

    assert len(like) == jobs


@pytest.mark.parametrize("jobs", JOBS)
def test_writing_a_look_alike_table_by_table(benchmark: BenchmarkFixture, tmp_path: Path, jobs: int) -> None:
    model = fit(drawn(SIZE.fewer_jobs))

    def write() -> int:
        return write_tables(LookAlike(model, jobs=jobs).tables(), tmp_path / "jobs.parquet")

    written = benchmark.pedantic(write, rounds=SIZE.rounds)

    assert written == jobs == parquet.read_metadata(tmp_path / "jobs.parquet").num_rows


@pytest.mark.parametrize("jobs", JOBS)
def test_portraying(benchmark: BenchmarkFixture, jobs: int) -> None:
    found = benchmark.pedantic(portray, (drawn(jobs),), rounds=SIZE.rounds)

    assert found.jobs == jobs
