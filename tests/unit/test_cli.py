"""The command: what it prints where, how it ends, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
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
        (["run", "--cluster", "phase-9"], "phase-1"),
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


def test_debug_shows_where_an_error_comes_from() -> None:
    done = command("run", "phase1", "--debug")
    assert "Traceback" in done.stderr
    assert done.returncode != 0


# --- choices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "first"),
    [
        ("policies", "fifo"),
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


def _closed_pipe() -> int:
    """Return the writing end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write
