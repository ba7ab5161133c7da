"""What goes before and after the kernel: reading, making a workload, energy, numbers, tables and files."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pytest
from pyarrow import parquet
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard.energy import account
from gpuyard.experiment import result_of
from gpuyard.metrics import attempts_table, jobs_table, judge, summarise, timeline_table
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.report.html import write_report
from gpuyard.simulation import schedule
from gpuyard.synthesis import SynthesisSpec, generation, synthesise
from gpuyard.traces import read
from gpuyard.traces.write import write_table, write_tables
from gpuyard.workload import Workload
from sizes import SIZE
from workloads import draw, uniform

pytestmark = pytest.mark.benchmark(timer=time.process_time)
JOBS = (SIZE.fewer_jobs, SIZE.jobs)


@cache
def recorded(jobs: int) -> Record:
    """Return the record of a strict fifo schedule, once."""
    return schedule(draw(jobs, SIZE.nodes).workload(), uniform(SIZE.nodes), Policy())


@pytest.mark.benchmark(group="reading")
@pytest.mark.parametrize("jobs", JOBS)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_reading_our_own_files(benchmark: BenchmarkFixture, tmp_path: Path, form: str, jobs: int) -> None:
    path = tmp_path / f"jobs.{form}"
    write_table(draw(jobs, SIZE.nodes).workload().table, path)

    trace = benchmark.pedantic(read, (path,), rounds=SIZE.rounds)

    assert (trace.rows_in, trace.table.num_rows, trace.rejected) == (jobs, jobs, ())


@pytest.mark.benchmark(group="reading")
def test_reading_a_recorded_trace(benchmark: BenchmarkFixture, philly: Path) -> None:
    trace = benchmark.pedantic(read, (philly,), rounds=SIZE.rounds)

    assert trace.rows_in == trace.table.num_rows + len(trace.rejected) == 82_247


@pytest.mark.benchmark(group="workload")
@pytest.mark.parametrize("jobs", JOBS)
def test_checking_and_sorting_a_table(benchmark: BenchmarkFixture, jobs: int) -> None:
    table = recorded(jobs).workload.table

    workload = benchmark.pedantic(Workload.from_table, (table,), rounds=SIZE.rounds)

    assert len(workload) == jobs


@pytest.mark.benchmark(group="workload")
@pytest.mark.parametrize("jobs", JOBS)
def test_making_a_workload(benchmark: BenchmarkFixture, jobs: int) -> None:
    spec = SynthesisSpec(jobs=jobs)

    workload = benchmark.pedantic(synthesise, (spec,), {"gpus": 20_000, "seed": 0}, rounds=SIZE.rounds)

    assert len(workload) == jobs


SERVICES = SynthesisSpec.from_mapping({"days": 30, "load": 0.125, "classes": {"realtime": 1.0}})
"""The services of a month of phase 1."""


@pytest.mark.benchmark(group="services")
def test_making_the_services_of_a_month(benchmark: BenchmarkFixture) -> None:
    workload = benchmark.pedantic(synthesise, (SERVICES,), {"gpus": 20_000, "seed": 0}, rounds=SIZE.rounds)

    held = float((workload.gpus * workload.floats("runtime")).sum())
    assert held == pytest.approx(0.125 * 20_000 * 30 * 86_400, rel=0.001)


@pytest.mark.benchmark(group="services")
def test_judging_the_services_of_a_month(benchmark: BenchmarkFixture) -> None:
    record = schedule(synthesise(SERVICES, gpus=20_000, seed=0), uniform(2_500), Policy())

    found = benchmark.pedantic(judge, (record,), rounds=SIZE.rounds)

    assert found is not None
    judged, skipped = found
    assert skipped == 0
    assert sum(each.length.sum() for each in judged) == pytest.approx(len(judged) * 30 * 86_400)


@pytest.mark.benchmark(group="workload")
@pytest.mark.parametrize("jobs", JOBS)
def test_making_a_look_alike(benchmark: BenchmarkFixture, jobs: int) -> None:
    spec = SynthesisSpec.from_mapping({"like": "philly", "jobs": jobs})

    workload = benchmark.pedantic(synthesise, (spec,), {"gpus": 2_490, "seed": 0}, rounds=SIZE.rounds)

    assert len(workload) == jobs


@pytest.mark.benchmark(group="workload")
@pytest.mark.parametrize("jobs", JOBS)
def test_writing_a_look_alike_table_by_table(benchmark: BenchmarkFixture, tmp_path: Path, jobs: int) -> None:
    spec = SynthesisSpec.from_mapping({"like": "philly", "jobs": jobs})

    def write() -> int:
        return write_tables(generation(spec, gpus=2_490, seed=0).tables(), tmp_path / "jobs.parquet")

    written = benchmark.pedantic(write, rounds=SIZE.rounds)

    assert written == jobs == parquet.read_metadata(tmp_path / "jobs.parquet").num_rows


@pytest.mark.benchmark(group="schedule: kernel, and tables before and after it")
@pytest.mark.parametrize("jobs", JOBS)
def test_schedule(benchmark: BenchmarkFixture, jobs: int) -> None:
    workload = recorded(jobs).workload

    record = benchmark.pedantic(schedule, (workload, uniform(SIZE.nodes), Policy()), rounds=SIZE.rounds)

    assert record.events == 2 * jobs


@pytest.mark.benchmark(group="energy")
@pytest.mark.parametrize("jobs", JOBS)
def test_energy_account_and_its_totals(benchmark: BenchmarkFixture, jobs: int) -> None:
    record = recorded(jobs)

    totals = benchmark.pedantic(lambda: account(record).totals, rounds=SIZE.rounds)

    assert totals.parts_kwh == pytest.approx(totals.facility_kwh, rel=1e-9)


@pytest.mark.benchmark(group="numbers")
@pytest.mark.parametrize("jobs", JOBS)
def test_summary(benchmark: BenchmarkFixture, jobs: int) -> None:
    record = recorded(jobs)
    drawn = account(record)

    numbers = benchmark.pedantic(summarise, (record, drawn), rounds=SIZE.rounds)

    assert numbers["jobs"]["submitted"] == jobs


@pytest.mark.benchmark(group="tables")
@pytest.mark.parametrize("jobs", JOBS)
def test_tables(benchmark: BenchmarkFixture, jobs: int) -> None:
    record = recorded(jobs)
    drawn = account(record)

    tables = benchmark.pedantic(
        lambda: (jobs_table(record, drawn), attempts_table(record), timeline_table(record, drawn)), rounds=SIZE.rounds
    )

    assert [table.num_rows for table in tables[:2]] == [jobs, jobs]


@pytest.mark.benchmark(group="files")
@pytest.mark.parametrize("jobs", JOBS)
def test_saving(benchmark: BenchmarkFixture, tmp_path: Path, jobs: int) -> None:
    result = result_of(recorded(jobs))

    folder = benchmark.pedantic(result.save, (tmp_path / "out",), rounds=SIZE.rounds)

    assert parquet.read_metadata(folder / "jobs.parquet").num_rows == jobs


@pytest.mark.benchmark(group="files")
@pytest.mark.parametrize("jobs", JOBS)
def test_report(benchmark: BenchmarkFixture, tmp_path: Path, jobs: int) -> None:
    result = result_of(recorded(jobs))

    benchmark.pedantic(write_report, (result, tmp_path / "report.html"), rounds=SIZE.rounds)

    assert (tmp_path / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
