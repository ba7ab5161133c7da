"""Kinds of jobs that state how often they write checkpoints: the column, its chunks, and what preemption then costs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from gpuyard.cli import main
from gpuyard.errors import ConfigError
from gpuyard.synthesis import ClassShare, SynthesisSpec, describe, generation, synthesise
from gpuyard.workload import Workload

DOCS = Path(__file__).parents[2] / "docs"
COLUMN = "checkpoint_interval"
CENTURY = 36_500 * 86_400.0
"""What "none" is written as."""
GPUS = 256


def spec(kinds: dict[str, Any], job_class: str = "drug-discovery") -> SynthesisSpec:
    return SynthesisSpec.from_mapping({"days": 2, "classes": {job_class: 1.0}, "kinds": {job_class: kinds}})


def made(kinds: dict[str, Any], job_class: str = "drug-discovery", gpus: int = GPUS) -> Workload:
    return synthesise(spec(kinds, job_class), gpus=gpus, seed=1, node_cpus=112.0)


def intervals(workload: Workload) -> dict[str, set[float | None]]:
    """Return the intervals that jobs of each name state."""
    found: dict[str, set[float | None]] = {}
    for name, each in zip(workload.table["job_name"].to_pylist(), workload.table[COLUMN].to_pylist(), strict=True):
        found.setdefault(name, set()).add(each)
    return found


def test_no_job_states_any_unless_its_kind_does() -> None:
    assert not made({}).has(COLUMN)
    assert not [row for row in describe(SynthesisSpec()) if "work between checkpoints" in row.figure]


def test_jobs_and_stages_of_a_kind_state_what_is_given_and_nothing_else_changes() -> None:
    usual = made({}, gpus=1_024)
    stages = {"dynamics-analysis": {COLUMN: 0}}
    workload = made({"molecular-dynamics": {COLUMN: "15m", "parts": stages}, "docking": {COLUMN: "none"}}, gpus=1_024)
    assert intervals(workload) == {
        "dynamics-setup": {900.0}, "molecular-dynamics": {900.0}, "dynamics-analysis": {0.0},
        "docking-preparation": {CENTURY}, "docking": {CENTURY}, "docking-ranking": {CENTURY},
        **{name: {None} for name in ("alignment", "folding", "free-energy-setup", "free-energy",
                                     "free-energy-analysis", "protein-model", "generation")},
    }  # fmt: skip
    others = [name for name in usual.table.column_names if name != COLUMN]
    assert workload.table.select(others).equals(usual.table.select(others))
    assert workload.table.schema.equals(usual.table.schema, check_metadata=True)


def test_evaluations_of_campaigns_do_not_take_the_kinds_but_have_a_key_of_their_own() -> None:
    kind = {"gpus": 64, "reference_gpus": 0, COLUMN: 3600}
    found = intervals(made({"pretrain": {**kind, "share": 1}}, "training", 2_400))
    assert found == {"pretrain": {3600.0}, "evaluation": {None}}
    kind["evaluation"] = {COLUMN: "none"}
    found = intervals(made({"pretrain": {**kind, "share": 1}}, "training", 2_400))
    assert found == {"pretrain": {3600.0}, "evaluation": {CENTURY}}


def test_in_python_a_class_share_has_the_change() -> None:
    changes = {"generation": {"share": 1.0, COLUMN: 1800}}
    one = SynthesisSpec(days=2, classes=(ClassShare(name="drug-discovery", share=1.0, changes=changes),))
    assert intervals(synthesise(one, gpus=64, seed=1)) == {"generation": {1800.0}}
    assert SynthesisSpec.from_mapping(one.to_mapping()) == one


@pytest.mark.parametrize("rows", [7, 300])
def test_in_tables_of_any_size_the_column_is_the_same_under_one_schema(rows: int) -> None:
    """Some tables hold no job of the one kind that states an interval."""
    given = spec({"generation": {COLUMN: "30m"}})
    tables = list(generation(given, gpus=GPUS, seed=1).tables(rows))
    whole = synthesise(given, gpus=GPUS, seed=1)
    assert len(tables) > 1
    assert all(table.schema.equals(tables[0].schema, check_metadata=True) for table in tables)
    assert pa.concat_tables(tables).combine_chunks().equals(whole.table.combine_chunks())
    stated = [table[COLUMN].null_count < table.num_rows for table in tables]
    assert rows > 7 or (any(stated) and not all(stated))


def test_generate_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    sets = ["workload.days=1", f"workload.kinds.training.finetune.{COLUMN}=1h"]
    options = [each for one in sets for each in ("--set", one)]
    assert main(["generate", "phase-1", "--cluster", "20x8", *options, "-o", str(path)]) == 0
    table = parquet.read_table(path, columns=["job_name", COLUMN])
    mine = pc.equal(table["job_name"], "finetune")
    assert set(table[COLUMN].filter(mine).to_pylist()) == {3600.0}
    assert set(table[COLUMN].filter(pc.invert(mine)).to_pylist()) == {None}


def test_what_was_given_is_shown() -> None:
    parts = {"exploration": {COLUMN: "15m"}, "labelling": {COLUMN: 0}, "selection": {COLUMN: "none"}}
    shown = {row.figure: row[1:] for row in describe(spec({"active-learning": {"parts": parts}}, "battery"))}
    assert shown["battery, active-learning: work between checkpoints, when preempted"] == (
        "potential-committee: the policy's, exploration: 900 s, selection: no checkpoints, labelling: nothing is lost",
        "assumption", "given by the user",
    )  # fmt: skip
    shown = {row.figure: row[1:] for row in describe(spec({"docking": {COLUMN: "none"}}))}
    assert shown["drug-discovery, docking: work between checkpoints, when preempted"][0] == "no checkpoints"


@pytest.mark.parametrize(
    ("value", "got"), [(-1, "-1"), ("never", "'never'"), (True, "True"), ([900], r"\[900\]"), (float("nan"), "nan")]
)
@pytest.mark.parametrize(
    ("kinds", "where"),
    [
        (lambda value: {"docking": {COLUMN: value}}, "kind 'docking' of class 'drug-discovery'"),
        (lambda value: {"docking": {"parts": {"docking": {COLUMN: value}}}}, "part 'docking' of kind 'docking'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_place_with_what_to_write(kinds: Any, where: str, value: object, got: str):
    message = f"{COLUMN} of {where}.* must be a time such as 15m, 0 .* or 'none', got {got}"
    with pytest.raises(ConfigError, match=message):
        spec(kinds(value))


def test_more_than_a_century_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"is over 36,500 days, got '40000d'; write 'none'"):
        spec({"docking": {COLUMN: "40000d"}})


# --- what the pages say ------------------------------------------------------------------------------------


def snippet(job_class: str) -> str:
    page = (DOCS / f"{job_class}.md").read_text(encoding="utf-8")
    return re.findall(r"```toml\n(.*?)```", page.split("## Checkpoints\n")[1], re.DOTALL)[0]


@pytest.mark.parametrize("job_class", ["training", "drug-discovery", "battery", "manufacturing"])
def test_each_page_has_a_table_for_all_its_kinds_that_can_be_preempted(job_class: str) -> None:
    changes = tomllib.loads(snippet(job_class))["workload"]["kinds"][job_class]
    kinds = ClassShare(name=job_class, share=1.0, changes=changes).kinds()
    assert {kind.name for kind in kinds if kind.checkpoint_interval is None} <= {"inspection"}
    assert all(not kind.preemptible for kind in kinds if kind.checkpoint_interval is None)


def test_under_preemption_dynamics_loses_less_than_its_interval_and_docking_all_it_did(tmp_path: Path) -> None:
    """The example of the page, on 8 nodes with training above it in priority."""
    scenario, out = tmp_path / "own.toml", tmp_path / "out"
    scenario.write_text(snippet("drug-discovery"), encoding="utf-8")
    sets = ["workload.days=3", "workload.load=0.95", "workload.classes={training=0.3, drug-discovery=0.7}"]
    options = [each for one in sets for each in ("--set", one)]
    assert main(["run", str(scenario), "--cluster", "8x8", *options, "-o", str(out)]) == 0
    attempts = parquet.read_table(out / "attempts.parquet").filter(pc.field("end_reason") == "preempted").to_pylist()
    lost: dict[str, list[tuple[float, float]]] = {}
    for each in attempts:
        held = each["end_time"] - each["start_time"]
        kind = re.match(r"drug-discovery-([a-z-]+)-\d", each["job_id"])
        if kind is not None and each["gpus"] > 0:
            lost.setdefault(kind[1], []).append((held - each["useful_time"], held))
    dynamics, docking = (np.array(lost[name]) for name in ("molecular-dynamics", "docking"))
    assert min(len(dynamics), len(docking)) >= 5
    assert dynamics[:, 0].max() <= 900 + 60  # an interval, and the restart
    assert dynamics[:, 1].max() > 3600
    np.testing.assert_array_equal(docking[:, 0], docking[:, 1])
    assert dynamics[:, 0].mean() < docking[:, 0].mean()
