"""The command: what it prints where, how it ends, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gpuyard import __version__
from gpuyard.cli import main
from gpuyard.presets import load_preset

JOBS = "job_id,submit_time,runtime,gpus\na,0,100,6\nb,1,100,8\nc,2,50,2\n"
HEAVY = ("numpy", "numba", "pyarrow", "networkx", "pydantic", "scipy", "plotly")


def command(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gpuyard", *words], capture_output=True, text=True, check=False, timeout=300, **options
    )


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.csv"
    path.write_text(JOBS, encoding="utf-8")
    return path


# --- help and usage -------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom gpuyard.cli import main\nassert main(['--help']) == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "run" in done.stdout
    assert "validate" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        "run", "validate", "convert", "generate", "show", "compare", "report", "topo", "topo build",
        "topo import", "topo draw", "topo export", "traces", "traces list", "traces fetch",
    ],
)  # fmt: skip
def test_every_command_has_help(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: gpuyard {words}")
    assert err == ""


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gpuyard {__version__}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rnu"], "run"),
        (["run", "--polcy", "fifo"], "--policy"),
        (["show"], "WHAT"),
        (["run", "--seed", "x"], "--seed"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line_that_helps(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("gpuyard: ")
    assert hint in err


# --- what is wrong is said on one line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "phase1"], "unknown preset 'phase1'; did you mean 'phase-1'?"),
        (["run", "--policy", "fifo-fti"], "unknown policy 'fifo-fti'; did you mean 'fifo-fit'?"),
        (["run", "--placement", "pakced"], "did you mean 'packed'?"),
        (
            ["run", "--set", "policy.plasement=packed"],
            "--set: [policy] has no key 'plasement'; did you mean 'placement'?",
        ),
        (["run", "--set", "seed=3"], "write section.key=value"),
        (["run", "--until", "soon"], "cannot be read from 'soon'"),
        (["run", "--cluster", "phase-9"], "'phase-9' is no cluster; did you mean 'phase-4'? give a preset"),
        (["run", "--cluster", "4x"], "or NODESxGPUS such as 144x8"),
        (
            ["run", "--set", "run.window=5"],
            "--set: [run] window: a window is two times, such as '1d..8d' or ['1d', '8d']",
        ),
        (["run", "--set", "energy.pue=abc"], "--set: [energy] pue: input should be a valid number (got 'abc')\n"),
        (["run", "--set", "run.until=-5"], "a time must be zero or more"),
        (["run", "-o", "nowhere.csv/out", "--cluster", "bad"], "'bad' is no cluster"),
        (["compare", "nowhere"], "try 'gpuyard compare --help'"),
        (["run", "--cluster", "nowhere/topology.conf"], "there is no cluster file"),
        (["run", "--trace", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["run", "nowhere.toml"], "nowhere.toml: there is no such scenario file"),
        (["show", "policy"], "did you mean 'policies'?"),
        (["traces", "fetch", "phily"], "unknown trace 'phily'"),
        (["report", "nowhere"], "nowhere"),
        (["validate", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_bad_input_ends_with_2_and_one_clean_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_without_anything_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["topo"], ["traces"]):
        assert main(words) == 0
        out, err = capsys.readouterr()
        assert out.startswith(" ".join(["Usage: gpuyard", *words]))
        assert out.count("\n") > 5
        assert err == ""


def test_a_trace_named_as_a_scenario_is_told_how_to_be_replayed(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(trace)]) == 2
    assert f"to replay a trace, write --trace {trace}" in capsys.readouterr().err


def test_a_file_that_is_nearly_a_trace_is_told_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "near.csv"
    path.write_text("job_id,submit_time,runtime,gpu\na,0,100,6\n", encoding="utf-8")
    assert main(["validate", str(path)]) == 2
    assert "to be gpuyard's own format, drop or rename gpu and add gpus; or name it" in capsys.readouterr().err
    assert main(["run", "--trace", str(path), "--format", "swf"]) == 2
    assert "none of the 2 rows could be read as a job in the format 'swf'; the first: " in capsys.readouterr().err


def test_where_nothing_can_be_written_nothing_is_simulated(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def simulate(*_: object) -> None:
        raise AssertionError("the work was done before the place for it was looked at")

    monkeypatch.setattr("gpuyard.scenario.run", simulate)
    monkeypatch.setattr("gpuyard.scenario.Scenario.read_workload", simulate)
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "thesis.tex").touch()
    for words, said in (
        (["run", "-o", str(tmp_path / "busy")], "holds 'thesis.tex', which is no part of a result"),
        (["run", "-o", str(trace)], "is a file; give a folder"),
        (["run", "-o", str(trace / "out")], "is not a folder that can be written to"),
        (["generate", "-o", str(tmp_path / "none" / "x.csv")], "there is no such folder"),
        (["generate", "-o", str(tmp_path / "x.tsv")], "does not say which format to write"),
        (["convert", str(trace), str(tmp_path / "none" / "x.csv")], "there is no such folder"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_debug_shows_where_an_error_comes_from() -> None:
    done = command("run", "phase1", "--debug")
    assert "Traceback" in done.stderr
    assert done.returncode != 0


# --- choices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "first"),
    [
        ("policies", "policy"),
        ("placements", "first-fit"),
        ("formats", "native"),
        ("presets", "phase-1"),
        ("columns", "job_id"),
    ],
)
def test_lists_are_printed_for_people_and_for_machines(
    what: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == first
    assert main(["show", what, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert next(iter(rows[0].values())) == first
    assert len(rows) == len(lines) - 1


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "gpuyard scenario"


def test_public_traces_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traces", "list", "--json"]) == 0
    assert {"name", "licence", "sha256"} <= set(json.loads(capsys.readouterr().out)[0])


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m gpuyard show schema; echo $? >&2",
        shell=True,
        stdout=_closed_pipe(),
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stderr == "0\n"


def test_every_figure_of_a_phase_is_shown_with_its_standing_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "phase-1"]) == 0
    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "announced   plan of 26 June 2025" in lines["announced power, MW"]
    assert "assumption  the announcement names no maker" in lines["block p1, hardware"]
    assert "computed " in lines["energy.pue"]


def test_the_phases_are_compared_for_people_and_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "phases"]) == 0
    header, power, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["figure", "phase-1", "phase-2", "phase-3", "phase-4", "standing"]
    assert power.split()[3:] == ["40", "100", "200", "1,000", "announced"]
    assert main(["show", "phases", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["phase-4"] == "1,000"


def test_a_synthetic_workload_is_shown_with_the_figures_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "workload", "16x8"]) == 0
    out = capsys.readouterr().out
    assert "offered load" in out
    assert "no published figure; change it to suit the site" in out
    assert main(["show", "workload", "16x8", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {row["standing"] for row in said["figures"]} == {"read", "computed", "assumption"}


def test_hardware_is_listed_and_shown_with_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "hardware"]) == 0
    assert "hgx-h200" in capsys.readouterr().out
    assert main(["show", "hardware", "hgx-h100"]) == 0
    assert "read        arXiv 2506.14551" in capsys.readouterr().out
    assert main(["show", "hardware", "hgx-h20"]) == 2
    assert "did you mean 'hgx-h200'?" in capsys.readouterr().err
    assert main(["show", "policies", "phase-1"]) == 2
    assert "'phase-1' says nothing; leave it out" in capsys.readouterr().err


def test_a_topology_or_a_list_of_nodes_can_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = tmp_path / "nodes.csv"
    nodes.write_text("node,gpus,gpu_type\na,8,H100\nb,8,H100\n", encoding="utf-8")
    assert main(["show", str(nodes)]) == 0
    assert "GPUs of type H100" in capsys.readouterr().out


# --- progress ------------------------------------------------------------------------------------------------------


def test_a_log_shows_that_a_long_run_is_alive(
    trace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuyard.cli.terminal.HEARTBEAT_S", 0.0)
    words = ["run", "--trace", str(trace), "--cluster", "1x8"]
    assert main(words) == 0
    _, err = capsys.readouterr()
    assert f"gpuyard: reading {trace}\n" in err
    assert "gpuyard: simulating 3 jobs on 8 GPUs, 100%\n" in err
    assert main([*words, "--no-progress"]) == 0
    assert capsys.readouterr().err == ""


def test_a_trace_without_a_cluster_is_told_where_it_runs(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--trace", str(trace)]) == 0
    assert "no cluster is named, so the jobs ran on phase-1" in capsys.readouterr().err
    assert main(["run", "--trace", str(trace), "--cluster", "1x8"]) == 0
    assert "no cluster is named" not in capsys.readouterr().err


def test_a_short_run_says_nothing_about_its_progress(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--trace", str(trace), "--cluster", "1x8"]) == 0
    assert capsys.readouterr().err == ""


def test_what_a_format_cannot_hold_is_said_when_a_trace_is_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "jobs.csv"
    source.write_text("job_id,submit_time,runtime,gpus,priority\n1,0,100,6,5\n", encoding="utf-8")
    assert main(["convert", str(source), str(tmp_path / "jobs.swf")]) == 0
    assert "priority" in capsys.readouterr().err
    assert main(["convert", str(source), str(tmp_path / "jobs.parquet")]) == 0
    assert "priority" not in capsys.readouterr().err


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


def test_one_folder_cannot_be_compared_and_three_have_no_page(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["run", "--trace", str(trace), "--cluster", "1x8", "-o", out, "--no-report"]) == 0
    assert main(["compare", out]) == 2
    assert main(["compare", out, out, out, "-o", str(tmp_path / "page.html")]) == 2
    assert "compares two runs" in capsys.readouterr().err


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


# --- how it ends ----------------------------------------------------------------------------------------------------


def test_a_fault_of_our_own_is_called_one(
    trace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*words: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("gpuyard.scenario.run", broken)
    assert main(["run", "--trace", str(trace), "--cluster", "1x8"]) == 3
    assert "ZeroDivisionError: division by zero (a fault of gpuyard" in capsys.readouterr().err


ANNOUNCED = """
import sys
import gpuyard.experiment as experiment
from gpuyard.cli import main
from gpuyard.presets import load_preset

real = experiment.schedule
def announced(*words, **options):
    print("scheduling", file=sys.stderr, flush=True)
    return real(*words, **options)

experiment.schedule = announced
sys.exit(main())
"""


def test_an_interrupted_run_leaves_nothing_and_ends_with_130(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ANNOUNCED, "run", "phase-1", "--jobs", "300000", "-o", "out"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "scheduling" not in (line := process.stderr.readline()):
            assert line, "it ended before it began"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == ""
    assert err.strip().endswith("gpuyard: stopped; nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_progress_and_messages_never_reach_stdout(trace: Path) -> None:
    done = command("run", "--trace", str(trace), "--cluster", "1x8", "--json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    assert "\r" not in done.stderr


def _closed_pipe() -> int:
    """Return the writing end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write
