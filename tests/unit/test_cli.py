"""The command: what it prints where, how it ends, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpuyard import __version__
from gpuyard.cli import main

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
        "run", "validate", "convert", "generate", "show", "compare", "report", "explain", "topo", "topo build",
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
        (["run", "phase1"], "unknown preset, scenario file or folder 'phase1'; did you mean 'phase-1'?"),
        (["run", "--policy", "fifo-fti"], "unknown policy 'fifo-fti'; did you mean 'fifo-fit'?"),
        (["run", "--placement", "pakced"], "did you mean 'packed'?"),
        (
            ["run", "--set", "policy.plasement=packed"],
            "--set: [policy] has no key 'plasement'; did you mean 'placement'?",
        ),
        (["run", "--preemption", "lsa"], "unknown preemption 'lsa'; did you mean 'las'?"),
        (["run", "--set", "seed=3"], "write section.key=value"),
        (["run", "--until", "soon"], "cannot be read from 'soon'"),
        (["run", "--cluster", "phase-9"], "'phase-9' is no cluster; did you mean 'phase-4'? give a preset"),
        (["run", "--cluster", "4x"], "or NODESxGPUS such as 144x8"),
        (
            ["run", "--set", "run.window=5"],
            "--set: [run] window: a window is two times, such as '1d..8d' or ['1d', '8d']",
        ),
        (
            ["run", "--set", "energy.pue=abc"],
            "--set: [energy] pue: must be a number or a list in brackets (got 'abc')\n",
        ),
        (["run", "--set", "run.warmup=-5"], "a time must be zero or more"),
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
    header, power, *rest = capsys.readouterr().out.splitlines()
    assert header.split() == ["figure", "phase-1", "phase-2", "phase-3", "phase-4", "standing"]
    assert power.split()[3:] == ["40", "100", "200", "1,000", "announced"]
    assert {line.split()[-1] for line in rest} == {"announced", "assumption"}
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

real = experiment.schedule_apart
def announced(*words, **options):
    print("scheduling", file=sys.stderr, flush=True)
    return real(*words, **options)

experiment.schedule_apart = announced
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
