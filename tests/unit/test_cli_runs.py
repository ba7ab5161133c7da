"""What the command makes: runs, results, comparisons, converted workloads, clusters."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from gpuyard.cli import main
from gpuyard.presets import load_preset

JOBS = "job_id,submit_time,runtime,gpus\na,0,100,6\nb,1,100,8\nc,2,50,2\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.csv"
    path.write_text(JOBS, encoding="utf-8")
    return path


# --- runs: three jobs on one node of 8 GPUs, worked out by hand -------------------------------------------------------
# a runs 0-100 on 6 GPUs.  b wants all 8 and starts at 100.  c fits beside a, but under fifo it waits for b, until 200.


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, float]]:
    assert main(["run", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_trace_is_replayed_under_the_named_policy(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strict = run_json(capsys, "--trace", str(trace), "--cluster", "1x8", "--policy", "fifo")
    assert strict["wait_s"]["mean"] == pytest.approx((0 + 99 + 198) / 3)
    passing = run_json(capsys, "--trace", str(trace), "--cluster", "1x8", "--policy", "fifo-fit")
    assert passing["wait_s"]["mean"] == pytest.approx((0 + 99 + 0) / 3)


def test_set_wins_over_options_and_options_over_the_file(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text('[workload]\ntrace = "jobs.csv"\n[cluster]\nnodes = 1\ngpus_per_node = 8\n[policy]\nname = "fifo"\n')
    assert run_json(capsys, str(lab))["wait_s"]["mean"] == pytest.approx(99)
    assert run_json(capsys, str(lab), "--policy", "fifo-fit")["wait_s"]["mean"] == pytest.approx(33)
    both = run_json(capsys, str(lab), "--policy", "fifo-fit", "--set", "policy.backfill=none")
    assert both["wait_s"]["mean"] == pytest.approx(99)


def test_a_named_preset_cluster_brings_its_own_energy_figures(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["run", "--trace", str(trace), "--cluster", "phase-2", "-o", str(out), "--no-report"]) == 0
    said = tomllib.loads((out / "scenario.toml").read_text())
    assert said["energy"]["pue"] == load_preset("phase-2")["energy"]["pue"]
    assert said["cluster"] == {"preset": "phase-2"}
    assert "name" not in said


def test_until_stops_the_simulation(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = run_json(capsys, "--trace", str(trace), "--cluster", "1x8", "--policy", "fifo", "--until", "2m")
    assert summary["jobs"]["unfinished"] == 2


def test_only_the_jobs_that_were_asked_for_are_simulated(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("--trace", str(trace), "--cluster", "1x8", "--policy", "fifo")
    assert run_json(capsys, *common, "--jobs", "2")["jobs"]["submitted"] == 2
    assert run_json(capsys, *common, "--window", "1s..2s")["jobs"]["submitted"] == 1
    twice = run_json(capsys, *common, "--scale", "2")
    assert twice["wait_s"]["mean"] == pytest.approx((0 + 99.5 + 199) / 3)


def test_a_window_leaves_jobs_out_and_a_measure_does_not(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("--trace", str(trace), "--cluster", "1x8", "--policy", "fifo")
    alone = run_json(capsys, *common, "--window", "1s..2s")
    behind = run_json(capsys, *common, "--measure", "1s..2s")
    assert (alone["jobs"]["submitted"], behind["jobs"]["submitted"]) == (1, 1)
    assert (alone["wait_s"]["mean"], behind["wait_s"]["mean"]) == (0, 99)
    assert (behind["window"]["start_s"], behind["window"]["end_s"]) == (1, 2)


def test_a_filter_that_leaves_nothing_says_so(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--trace", str(trace), "--window", "1d..2d"]) == 2
    assert "no job is left" in capsys.readouterr().err
    assert main(["run", "--trace", str(trace), "--tenant", "nobody"]) == 2
    assert "no job has the tenant 'nobody'" in capsys.readouterr().err


def test_a_result_without_a_folder_is_only_printed(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["run", "--trace", str(trace), "--cluster", "1x8"]) == 0
    out, _ = capsys.readouterr()
    assert "Wait, mean" in out
    assert sorted(tmp_path.iterdir()) == before


def test_a_saved_run_is_run_again_to_the_same_bytes(trace: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    words = ["--trace", str(trace), "--cluster", "1x8", "--set", "energy.pue=1.5", "--set", "energy.class_load.x=0.3"]
    assert main(["run", *words, "-o", str(first), "--no-report"]) == 0
    assert main(["run", str(first), "-o", str(second), "--no-report"]) == 0
    assert_same_run(first, second)


def test_a_saved_synthetic_run_is_run_again_to_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    words = ["--cluster", "8x8", "--jobs", "400", "--seed", "7", "--placement", "random"]
    assert main(["run", *words, "-o", str(first), "--no-report"]) == 0
    assert main(["run", str(first / "scenario.toml"), "-o", str(second), "--no-report"]) == 0
    assert_same_run(first, second)


def assert_same_run(first: Path, second: Path) -> None:
    for name in ("scenario.toml", "jobs.parquet", "attempts.parquet", "timeline.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (first, second)]
    for summary in summaries:
        del summary["engine"]["wall_s"], summary["engine"]["events_per_s"]
    assert summaries[0] == summaries[1]


def test_a_trace_that_changed_since_is_not_run_again(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["run", "--trace", str(trace), "--cluster", "1x8", "-o", str(out), "--no-report"]) == 0
    trace.write_text(JOBS.replace("100,6", "101,6"))
    capsys.readouterr()
    assert main(["run", str(out)]) == 2
    assert "the file is not the one this scenario was written for" in capsys.readouterr().err


def test_a_folder_with_other_things_in_it_is_left_alone(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.txt").write_text("years of work")
    assert main(["run", "--trace", str(trace), "--cluster", "1x8", "-o", str(kept)]) == 2
    assert "thesis.txt" in capsys.readouterr().err
    assert [entry.name for entry in kept.iterdir()] == ["thesis.txt"]


def test_runs_are_compared_and_reported(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for policy in ("fifo", "fifo-fit"):
        words = ["--trace", str(trace), "--cluster", "1x8", "--policy", policy, "-o", str(tmp_path / policy)]
        assert main(["run", *words]) == 0
    assert (tmp_path / "fifo" / "report.html").is_file()
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "fifo"), str(tmp_path / "fifo-fit"), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)[0]["numbers"]["wait_s.mean"]
    assert (numbers["first"], numbers["second"], numbers["verdict"]) == (pytest.approx(99), pytest.approx(33), "better")
    assert main(["compare", str(tmp_path / "fifo"), str(tmp_path / "fifo-fit"), "-o", str(tmp_path / "both.html")]) == 0
    assert "policy.backfill" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "fifo"), "-o", str(tmp_path / "page.html"), "--title", "A title"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}\n"
    assert "A title" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert main(["show", str(tmp_path / "fifo")]) == 0
    assert "Wait, mean" in capsys.readouterr().out


def test_two_workloads_are_not_judged_and_equal_schedules_are_named(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c = (str(tmp_path / name) for name in "abc")
    for folder, jobs in ((a, "3"), (b, "3"), (c, "2")):
        words = ["--trace", str(trace), "--cluster", "1x8", "--jobs", jobs, "--no-report"]
        assert main(["run", *words, "-o", folder]) == 0
    capsys.readouterr()
    assert main(["compare", a, b]) == 0
    same = capsys.readouterr()
    assert "schedules identical" in same.out
    assert "DIFFERENT" not in same.err
    assert main(["compare", a, c]) == 0
    other = capsys.readouterr()
    assert "DIFFERENT WORKLOADS" in other.err
    assert "schedules identical" not in other.out
    assert "better" not in other.out
    assert "worse" not in other.out


def test_one_folder_cannot_be_compared_and_three_have_a_table_and_a_page(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["run", "--trace", str(trace), "--cluster", "1x8", "-o", out, "--no-report"]) == 0
    assert main(["compare", out]) == 2
    capsys.readouterr()
    assert main(["compare", out, out, out, "-o", str(tmp_path / "page.html")]) == 0
    assert "Runs side by side" in capsys.readouterr().out
    assert "3 runs side by side" in (tmp_path / "page.html").read_text(encoding="utf-8")


# --- workloads and topologies ---------------------------------------------------------------------------------------


def test_a_trace_is_validated_and_strict_counts_rejected_rows(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(trace), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows_in"], report["jobs"]) == (3, 3)
    assert main(["validate", str(trace), "--strict"]) == 0
    bad = tmp_path / "bad.csv"
    bad.write_text(JOBS + "d,3,-5,1\n")
    assert main(["validate", str(bad)]) == 0
    assert main(["validate", str(bad), "--strict"]) == 1


def test_a_scenario_is_validated_against_its_cluster(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = trace.with_name("lab.toml")
    lab.write_text('[workload]\ntrace = "jobs.csv"\n[cluster]\nnodes = 1\ngpus_per_node = 4\n')
    assert main(["validate", str(lab), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert any(item["count"] == 2 for item in findings), "the jobs of 6 and 8 GPUs are too large for 4"
    assert main(["validate", "phase-1"]) == 0


def test_a_converted_trace_gives_the_same_schedule(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--cluster", "1x8", "--policy", "fifo")
    expected = run_json(capsys, "--trace", str(trace), *common)["wait_s"]
    for name in ("jobs.parquet", "again.csv", "jobs.swf"):
        assert main(["convert", str(trace), str(tmp_path / name)]) == 0
        capsys.readouterr()
        assert run_json(capsys, "--trace", str(tmp_path / name), *common)["wait_s"] == expected, name


def test_a_synthetic_workload_is_written_and_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs.parquet"
    assert main(["generate", "--cluster", "8x8", "--jobs", "400", "--seed", "3", "-o", str(path)]) == 0
    capsys.readouterr()
    assert run_json(capsys, "--trace", str(path), "--cluster", "8x8")["jobs"]["submitted"] == 400
    assert main(["generate", "--cluster", "8x8", "--jobs", "400", "--seed", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == 400


def test_a_built_topology_is_a_cluster(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = tmp_path / "fabric.json"
    words = ["fat-tree", "--hosts", "16", "--gpus-per-node", "4", "--set", "radix=4", "-o", str(graph)]
    assert main(["topo", "build", *words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    # a fat tree of 4-port switches: 4 pods of 2 leaves and 2 spines, 4 cores, 16 hosts (Al-Fares et al., SIGCOMM 2008)
    assert (facts["leaf switches"], facts["spine switches"], facts["core switches"]) == (8, 8, 4)
    assert main(["topo", "import", str(graph), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gpus"] == 64
    assert run_json(capsys, "--trace", str(trace), "--cluster", str(graph))["gpu"]["count"] == 64


def test_a_cluster_is_exported_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topo", "export", "4x8", "-o", str(tmp_path / "four.graphml")]) == 0
    assert main(["topo", "import", str(tmp_path / "four.graphml"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["nodes"], facts["gpus"]) == (4, 32)
    assert main(["topo", "export", "2x8", "--to", "dot"]) == 0
    assert capsys.readouterr().out.startswith("graph topology {")


def test_a_cluster_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topo", "draw", "phase-1", "-o", str(tmp_path / "site.svg")]) == 0
    assert (tmp_path / "site.svg").read_text(encoding="utf-8").lstrip().startswith("<svg")
    assert main(["topo", "draw", "4x8", "-o", str(tmp_path / "nowhere" / "site.svg")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(("of", "gpus"), [("phase-1", 20_000), ("3x8", 24)])
def test_a_cluster_is_shown(of: str, gpus: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "cluster", of, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gpus"] == gpus
