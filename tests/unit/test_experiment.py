"""One call from jobs to result, through the real engine."""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.energy import EnergyModel
from gpuyard.errors import ConfigError
from gpuyard.experiment import simulate
from gpuyard.policy import Policy
from gpuyard.report.sections import notices
from gpuyard.traces.trace import Trace


def jobs():
    return workload((0, 100, 2), (0, 50, 2), (10, 40, 4), (20, 30, 1))


def test_jobs_go_in_and_numbers_come_out():
    result = simulate(jobs(), cluster(4), policy="fifo")
    assert result.jobs["start_time"].to_pylist() == [0.0, 0.0, 100.0, 140.0]
    found = result.summary()
    assert (found["makespan_s"], found["jobs"]["completed"]) == (170.0, 4)
    assert found["gpu"]["allocation_rate"] == pytest.approx((200 + 100 + 160 + 30) / (4 * 170))
    assert result.attempts.num_rows == 4


def test_a_policy_can_be_named_changed_and_placed():
    result = simulate(jobs(), cluster(4), policy="fifo-fit", placement="packed", on_limit="ignore", seed=7)
    assert result.jobs["start_time"].to_pylist() == [0.0, 0.0, 100.0, 50.0]
    assert result.scenario["policy"]["placement"] == "packed"
    assert result.scenario["policy"]["on_limit"] == "ignore"
    assert result.scenario["provenance"]["seed"] == 7
    same = simulate(jobs(), cluster(4), policy=Policy(backfill="fit", placement="packed", on_limit="ignore"), seed=7)
    assert same.digest == result.digest


def test_the_same_input_and_seed_give_the_same_tables(tmp_path):
    first, second = (simulate(jobs(), cluster(4), placement="random", seed=3) for _ in range(2))
    first.save(tmp_path / "first")
    second.save(tmp_path / "second")
    for name in ("jobs.parquet", "attempts.parquet", "timeline.parquet", "scenario.toml"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_until_leaves_jobs_unfinished():
    found = simulate(jobs(), cluster(4), until=60.0).summary()
    assert found["jobs"]["unfinished"] == 3
    assert found["window"]["end_s"] == 60.0


def test_energy_may_be_the_keys_of_a_scenario_or_a_model():
    keys = simulate(jobs(), cluster(4), energy={"pue": 2.0})
    model = simulate(jobs(), cluster(4), energy=EnergyModel(pue=2.0))
    assert keys.summary()["energy"] == model.summary()["energy"]
    assert keys.scenario["energy"]["pue"] == 2.0


def test_a_trace_goes_in_as_it_was_read():
    table = jobs().table
    import pyarrow as pa

    trace = Trace(table=table, rows=pa.array(range(4)), rejected=(), rows_in=4, format="gpuyard")
    assert simulate(trace, cluster(4)).digest == simulate(jobs(), cluster(4)).digest


def test_stages_are_told_as_they_begin():
    told: list[tuple[str, float | None]] = []
    simulate(jobs(), cluster(4), progress=lambda stage, share: told.append((stage, share)))
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["schedule", "energy", "metrics"]
    shares = [share for stage, share in told if stage == "schedule"]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0  # all four were submitted
    assert shares == sorted(shares)
    assert [share for stage, share in told if stage != "schedule"] == [None, None]


def test_the_result_says_which_cluster_it_had_and_that_no_file_describes_it():
    first, again, other = (simulate(jobs(), cluster(size)) for size in (4, 4, 5))
    digests = [each.scenario["provenance"]["cluster_sha256"] for each in (first, again, other)]
    assert digests[0] == digests[1] != digests[2]
    assert first.scenario["provenance"]["runs_again"] is False


def test_sections_that_the_caller_gives_are_echoed():
    result = simulate(jobs(), cluster(4), scenario={"workload": {"trace": "jobs.csv"}}, bin_width=10.0)
    assert result.scenario["workload"] == {"trace": "jobs.csv"}
    assert result.scenario["run"]["bin_width"] == 10.0
    assert set(result.scenario["provenance"]["versions"]) == {"gpuyard", "numpy", "numba", "pyarrow", "python"}
    assert result.timeline.num_rows == 17


@pytest.mark.real
def test_the_gpu_hours_of_philly_are_those_of_the_file():
    """The file states each job's GPU time; its rows add up to 978,078 GPU-hours."""
    import csv
    import os
    from pathlib import Path

    from gpuyard.scenario import read_trace

    folder = Path(os.environ.get("GPUYARD_TRACES", str(Path(__file__).parents[3] / "shared" / "traces")))
    path = folder / "microsoft_philly_2017" / "philly.csv"
    if not path.is_file():
        pytest.skip(f"no recorded trace at {path}; set GPUYARD_TRACES")
    with path.open(newline="") as file:
        stated = sum(float(row["gpu_time"]) for row in csv.DictReader(file)) / 3600
    found = simulate(read_trace(path), cluster(*[8] * 320), policy="fifo-fit").summary()
    assert round(stated) == 978_078
    assert found["gpu"]["gpu_hours"] == pytest.approx(stated, rel=1e-12)
    assert found["gpu"]["allocation_rate"] == pytest.approx(stated * 3600 / (2560 * found["makespan_s"]), rel=1e-12)


@pytest.mark.parametrize("name", ["until", "bin_width"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "soon", True, [5.0]])
def test_times_that_are_no_finite_number_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be a finite number of seconds, got"):
        simulate(jobs(), cluster(4), **{name: value})


@pytest.mark.parametrize(
    ("energy", "message"),
    [
        ({"pue": ["high"] * 12}, "pue must be a finite number, got 'high'"),
        ({"pue": "high"}, "pue must be a finite number, got 'high'"),
        ({"class_load": {"md": "high"}}, "class_load of 'md' must be a finite number, got 'high'"),
        ({"class_load": {1: 0.5}}, "class_load takes the names of classes, got 1"),
    ],
)
def test_energy_figures_that_are_text_are_refused(energy, message):
    with pytest.raises(ConfigError, match=message):
        simulate(jobs(), cluster(4), energy=energy)


def test_jobs_that_were_not_over_when_the_record_ended_are_said():
    cut = workload((0, 10, 1, {"state": "running"}), (0, 10, 1, {"state": "pending"}), (0, 10, 1, {"state": "failed"}))
    (said,) = notices(simulate(cut, cluster(4)))
    assert said.startswith("2 jobs were still running or pending when the record ended: ")
    assert notices(simulate(workload((0, 10, 1)), cluster(4))) == []


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(ConfigError, match="unknown policy 'fifi'"):
        simulate(jobs(), cluster(4), policy="fifi")
    with pytest.raises(ConfigError, match="a policy has no such field"):
        simulate(jobs(), cluster(4), plcement="packed")
    with pytest.raises(ConfigError, match="takes a Workload and a Cluster, got str"):
        simulate(jobs(), "4x8")
