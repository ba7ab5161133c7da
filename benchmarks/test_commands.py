"""The whole command, from its start to its exit: CPU time, and in extra_info wall-clock time and peak memory."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpuyard import load_scenario
from gpuyard.fitting import fit
from gpuyard.result import FILES
from gpuyard.traces.write import write_table
from measure import Child, command, commands_clock
from sizes import FULL, SIZE
from workloads import draw

pytestmark = pytest.mark.benchmark(group="commands", timer=commands_clock)
STAGED = Path(__file__).resolve().parent / "staged.py"
PHILLY_JOBS = 82_247
"""Jobs of philly.csv that can be simulated: two events each."""
STREAMED_BYTES = 1_300_000_000
"""Peak memory of a workload that is written as it is made, however many jobs there are."""
LOOK_ALIKE_BYTES = 550_000_000
"""The same of a look-alike."""
STREAMED_A_DAY = 33_000
"""Jobs a day, about, of a site that has half of phase 1 for a quarter of the time."""


def measured(benchmark: BenchmarkFixture, *words: str, rounds: int = SIZE.rounds, **where: Path) -> Child:
    """Return what the last of several runs of a command took."""
    child = benchmark.pedantic(command, words, where, rounds=rounds, warmup_rounds=0)
    assert isinstance(child, Child)
    assert child.code == 0, child.stderr
    benchmark.extra_info.update(wall_s=child.wall_s, peak_bytes=child.peak_bytes)
    return child


def events(folder: Path) -> int:
    """Return the events of a saved run, all of whose files are there."""
    found = {path.name for path in folder.iterdir()}
    assert found - {"services.parquet"} == {*FILES, "report.html"}
    number = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["engine"]["events"]
    assert isinstance(number, int)
    return number


def test_help(benchmark: BenchmarkFixture) -> None:
    child = measured(benchmark, "--help")

    assert "run" in child.stdout


def test_a_first_run_compiles_the_engine(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    if SIZE is not FULL:
        pytest.skip("compiles the engine, which takes long; set GPUYARD_BENCH_SIZE=full")
    child = measured(benchmark, "run", "--json", cache=tmp_path / "cache", rounds=1)

    jobs = json.loads(child.stdout)["jobs"]
    assert "compiling the engine" in child.stderr
    assert jobs["submitted"] == jobs["completed"] + jobs["failed"] + jobs["cancelled"] + jobs["timed_out"]


@pytest.mark.parametrize(
    ("phase", "days", "most_bytes"), [("phase-1", 30.0, 1_800_000_000), ("phase-4", 30.0, 9_500_000_000)]
)
def test_a_month_of_a_phase_with_all_outputs(
    benchmark: BenchmarkFixture, tmp_path: Path, phase: str, days: float, most_bytes: int
) -> None:
    """Every job is told with a row, every event is one of a job, and memory stays below a bound."""
    length, out = days if SIZE is FULL else days / 300, tmp_path / "out"
    rounds = 1 if phase == "phase-4" else SIZE.rounds
    child = measured(benchmark, "run", phase, "--set", f"workload.days={length}", "-o", str(out), rounds=rounds)

    numbers = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    jobs, ends = numbers["jobs"], pq.read_table(out / "jobs.parquet", columns=["end_time"])["end_time"]
    assert jobs["submitted"] == ends.length() == jobs["rejected"] + ends.length() - ends.null_count
    assert events(out) >= 2 * (jobs["submitted"] - jobs["rejected"])
    assert set(numbers["by_class"]) == {"realtime", "training", "manufacturing", "drug-discovery", "battery"}
    assert child.peak_bytes < most_bytes


def test_a_synthetic_run_with_all_outputs(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    measured(benchmark, "run", "phase-1", "--jobs", str(SIZE.fewer_jobs), "-o", str(tmp_path / "out"))

    jobs = pq.read_table(tmp_path / "out" / "jobs.parquet", columns=["submit_time", "eligible_time"]).to_pydict()
    released = sum(since > at for at, since in zip(jobs["submit_time"], jobs["eligible_time"], strict=True))
    assert len(jobs["submit_time"]) == SIZE.fewer_jobs
    assert events(tmp_path / "out") == 2 * SIZE.fewer_jobs + released


def test_a_recorded_trace_with_all_outputs(benchmark: BenchmarkFixture, philly: Path, tmp_path: Path) -> None:
    words = ("run", "--trace", str(philly), "--cluster", "352x8", "-o", str(tmp_path / "out"))

    measured(benchmark, *words)

    assert events(tmp_path / "out") == 2 * PHILLY_JOBS


def test_a_stopwatch_sees_every_stage(benchmark: BenchmarkFixture, philly: Path, tmp_path: Path) -> None:
    report, words = tmp_path / "stages.json", ("run", "--trace", str(philly), "--cluster", "352x8")

    measured(benchmark, str(report), *words, "-o", str(tmp_path / "out"), script=STAGED)

    stages = json.loads(report.read_text(encoding="utf-8"))
    assert list(stages)[:2] == ["starting Python", "importing modules"]
    assert {f"simulating {PHILLY_JOBS:,} jobs on 2,816 GPUs", "writing report.html", "printing"} <= set(stages)
    assert events(tmp_path / "out") == 2 * PHILLY_JOBS


def test_many_jobs_with_all_outputs(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    trace = tmp_path / "jobs.parquet"
    write_table(draw(SIZE.jobs, SIZE.nodes).workload().table, trace)

    measured(benchmark, "run", "--trace", str(trace), "--cluster", f"{SIZE.nodes}x8", "-o", str(tmp_path / "out"))

    assert events(tmp_path / "out") == 2 * SIZE.jobs


def test_a_workload_of_months_or_years_is_written_in_bounded_memory(
    benchmark: BenchmarkFixture, tmp_path: Path
) -> None:
    path, jobs = tmp_path / "jobs.parquet", str(SIZE.streamed_jobs)

    child = measured(benchmark, "generate", "phase-1", "--jobs", jobs, "-o", str(path), rounds=1)

    assert pq.read_metadata(path).num_rows == SIZE.streamed_jobs
    assert child.peak_bytes < STREAMED_BYTES


def test_a_look_alike_of_months_or_years_is_written_in_bounded_memory(
    benchmark: BenchmarkFixture, tmp_path: Path
) -> None:
    path, model, jobs = tmp_path / "jobs.parquet", tmp_path / "model.toml", str(SIZE.streamed_jobs)
    fit(draw(SIZE.fewer_jobs, SIZE.nodes).workload()).save(model)

    child = measured(benchmark, "generate", "--fit", str(model), "--jobs", jobs, "-o", str(path), rounds=1)

    assert pq.read_metadata(path).num_rows == SIZE.streamed_jobs
    assert child.peak_bytes < LOOK_ALIKE_BYTES


def test_a_workload_of_a_growing_site_is_written_in_bounded_memory(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path, days = tmp_path / "jobs.parquet", SIZE.streamed_jobs / STREAMED_A_DAY
    sets = [f"workload.days={days:.0f}", f"commission=[{{nodes='1250-2499', start='{days / 4:.0f}d'}}]"]
    words = [word for each in sets for word in ("--set", each)]

    child = measured(benchmark, "generate", "phase-1", *words, "-o", str(path), rounds=1)

    planned = load_scenario("phase-1").apply_sets(sets).generation()
    assert planned is not None
    assert pq.read_metadata(path).num_rows == planned.jobs > 0.8 * SIZE.streamed_jobs
    assert child.peak_bytes < STREAMED_BYTES
