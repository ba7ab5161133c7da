"""Cells in scenario files, on the command line, and in a run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard import explain
from gpuyard.errors import ConfigError
from gpuyard.scenario import load, run

TRACE = "job_id,submit_time,runtime,gpus,tenant,priority\na,0,20,8,,-1\nb,5,10,4,steel/vision,\nc,5,10,4,battery,\n"
FILE = """
[workload]
trace = "jobs.csv"
[cluster]
nodes = 4
gpus_per_node = 4
nodes_per_rack = 2
[policy]
backfill = "fit"
[policy.cells]
levels = ["rack"]
[policy.cells.owners.steel]
rack = 1
[policy.cells.owners.battery]
node = 1
gpus-2 = 1
[policy.preemption]
rule = "cells"
checkpoint_interval = "none"
restart_cost = "1s"
"""


def written(folder: Path) -> Path:
    (folder / "jobs.csv").write_text(TRACE, encoding="utf-8")
    path = folder / "lab.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_says_who_owns_which_cells(tmp_path: Path) -> None:
    policy = load(written(tmp_path)).resolve().policy
    assert policy.cells.owners == {"steel": {"rack": 1}, "battery": {"node": 1, "gpus-2": 1}}
    assert (policy.cells.levels, policy.cells.by, policy.cells.beyond) == (("rack",), "tenant", "wait")
    assert policy.preemption.rule == "cells"
    assert policy.preemption.checkpoint_interval is None


def test_cells_that_are_laid_over_a_scenario_take_the_place_of_its_placement(tmp_path: Path) -> None:
    """Placements play no part in cells; that of a preset cannot be left out."""
    below = load(written(tmp_path)).to_mapping()["policy"]["cells"]
    over = load("phase-1").over({"policy": {"cells": below}}, "--set")
    assert "placement" not in over.to_mapping()["policy"]
    with pytest.raises(ConfigError, match="leave 'placement' out"):
        load("phase-1").over({"policy": {"cells": below, "placement": "packed"}}, "--set").build_policy()


def test_a_saved_run_tells_whose_cells_were_lent_and_runs_again(tmp_path: Path) -> None:
    """Steel's rack is the idle one; battery needs a node of the lent one, whose job goes on at once on idle nodes."""
    first = run(load(written(tmp_path)))
    attempts = first.attempts.select(["job_id", "start_time", "end_time", "lent", "preempted_by"]).to_pylist()
    assert [tuple(each.values()) for each in attempts] == [
        ("a", 0.0, 5.0, True, "c"),
        ("b", 5.0, 15.0, False, None),
        ("c", 5.0, 15.0, False, None),
        ("a", 5.0, 26.0, True, None),
    ]
    assert first.summary()["preemptions"] == 1
    first.save(tmp_path / "out")
    again = run(load(tmp_path / "out"))
    assert again.summary()["engine"]["digest"] == first.summary()["engine"]["digest"]
    assert explain(again, "c").attempts[0].took_from == ("a",)


def test_a_limit_in_a_file_holds_in_cells_and_is_explained(tmp_path: Path) -> None:
    path = written(tmp_path)
    named = "".join(f'[[tenants.tenant]]\nname = "{name}"\n' for name in ("steel", "battery"))
    limit = named + '[[tenants.limit]]\neach = ["tenant"]\ngpus = 4\n'
    path.write_text(FILE + limit, encoding="utf-8")
    (tmp_path / "jobs.csv").write_text(TRACE + "d,6,10,4,steel/vision,\n", encoding="utf-8")
    result = run(load(path))
    (wait,) = explain(result, "d").stretches
    assert (wait.start, wait.end, wait.reason) == (6, 15, "limit")
    assert result.jobs.select(["job_id", "state"]).to_pylist()[0] == {"job_id": "a", "state": "rejected"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("policy.cells.owner.steel.rack=1", "no key 'owner'; did you mean 'owners'"),
        ("policy.cells.owners.steel.rack=3", "owners own 3 cells of level rack, and .* has 2"),
        ("policy.cells.owners.steel.row=1", "unknown level of cells in 'cells.owners.steel' 'row'"),
        ('policy.cells.levels=["pod"]', "unknown level of .* 'pod'"),
        ("policy.cells.beyond=go", "unknown cells.beyond 'go'"),
        ("policy.cells.within=priority", "choose order priority, or leave out 'within'"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_a_remedy(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(load(written(tmp_path)).apply_sets([change]))


def test_a_cluster_without_levels_has_none_to_choose(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(FILE.replace("nodes_per_rack = 2\n", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"unknown level of .* 'rack'; there is none to choose, so leave it out"):
        run(load(path))
