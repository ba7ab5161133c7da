"""The examples run as they stand, quietly, and print what is stored beside them."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from gpuyard import load_scenario, run_scenario
from gpuyard.metrics.in_vain import in_vain
from shown import ROOT, blocks, run

FOLDER = ROOT / "examples"
_UNCOMPILED = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") == "0", reason="one more kind of policy to compile"
)
STORED = (
    "build_out",
    "cells",
    "compare_placements",
    "maintenance",
    "own_cluster",
    "own_order",
    "own_policy",
    "phase_1",
    "replay_trace",
    "what_if",
    "services_under_load",
    "services_while_building",
    "shared_site",
    "slurm_site",
    "tenants_of_phase_1",
)
ON_REAL_TRACES = (
    "backfilled_waits",
    "cells_of_philly",
    "like_philly",
    "orders_of_philly",
    "preemption_of_philly",
    "recorded_waits",
    "room_while_waiting",
    "virtual_clusters",
)
"""Examples that need a trace that is not in the project: docs/validation.md shows what they print."""


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="the examples are long without compilation")
@pytest.mark.parametrize("name", STORED)
def test_an_example_prints_what_is_stored(name: str, tmp_path: Path) -> None:
    done = run([sys.executable, "-W", "error", str(FOLDER / f"{name}.py")], tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (FOLDER / f"{name}.out").read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_scenario_file_is_one_without_slips(path: Path) -> None:
    """It has jobs, all names in it are names of jobs, and no setting is in vain."""
    resolved = load_scenario(path).resolve()
    assert len(resolved.workload) > 0
    assert in_vain(resolved.policy, resolved.tenants, resolved.workload, resolved.cluster) == []


@_UNCOMPILED
def test_the_site_of_a_slurm_conf_runs() -> None:
    result = run_scenario(load_scenario(FOLDER / "slurm_site.toml"))
    assert result.numbers["jobs"]["rejected"] == 1  # was cancelled before it ran
    assert set(result.numbers["by_qos"]) == {"debug", "high", "normal"}
    assert "warnings" not in result.numbers


@_UNCOMPILED
def test_jobs_without_gpus_run_on_the_nodes_of_their_partition(tmp_path: Path) -> None:
    """The job that never ran in the sample, as if it had: it asks for one core, and cpu has nodes 14 and 15."""
    lines = (FOLDER.parent / "traces" / "samples" / "sacct.txt").read_text(encoding="utf-8").splitlines()
    job = next(line for line in lines if "|cpu|normal|" in line)
    ran = job.replace("|None|", "|2026-03-02T09:40:00|").replace("|0|UNLIMITED|CANCELLED by 1000|", "|600||COMPLETED|")
    (tmp_path / "sacct.txt").write_text(f"{lines[0]}\n{ran}\n", encoding="utf-8")
    text = (FOLDER / "slurm_site.toml").read_text(encoding="utf-8")
    path = tmp_path / "site.toml"
    path.write_text(text.replace("../traces/samples/sacct.txt", "sacct.txt"), encoding="utf-8")
    result = run_scenario(load_scenario(path))
    assert result.jobs["state"].to_pylist() == ["completed"]
    assert result.attempts["nodes"].to_pylist()[0][0] in (14, 15)


def test_every_example_is_run_somewhere() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(STORED + ON_REAL_TRACES)
    assert sorted(path.stem for path in FOLDER.glob("*.out")) == sorted(STORED)
    shown = "\n".join(body for _, body in blocks("docs/validation.md"))
    assert [name for name in ON_REAL_TRACES if f"python examples/{name}.py" not in shown] == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_says_what_it_shows_in_a_few_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    assert ast.get_docstring(ast.parse(text))
