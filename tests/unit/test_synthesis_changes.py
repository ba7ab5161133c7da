"""Kinds of jobs changed in a scenario: what changes, what stays, what is refused, and that every key has its page."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gpuyard.errors import ConfigError
from gpuyard.scenario import load
from gpuyard.synthesis import ClassShare, SynthesisSpec, describe, synthesise
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.class_shares import DEFAULT_CLASSES
from gpuyard.synthesis.expansion import Main
from gpuyard.synthesis.manufacturing import INSPECTION, changed_inspection
from gpuyard.workload import Workload

DOCS = Path(__file__).parents[2] / "docs"
GPUS = 2_400
COMMON = (
    "share", "gpus", "fractions", "reference_gpus", "runtime", "priority", "activity", "preemptible", "burst", "rhythm",
    "rank_correlation", "states", "checkpoint_interval",
)  # fmt: skip


def spec(kinds: dict[str, Any], **more: Any) -> SynthesisSpec:
    return SynthesisSpec.from_mapping({"days": 3, "kinds": kinds, **more})


def jobs_of(kinds: dict[str, Any], **more: Any) -> Workload:
    return synthesise(spec(kinds, **more), gpus=GPUS, seed=1, node_cpus=112.0)


def rows(workload: Workload, stage: str) -> pa.Table:
    return workload.table.filter(pc.equal(workload.table["job_name"], stage))


@pytest.fixture(scope="module")
def usual() -> Workload:
    return jobs_of({})


def test_a_change_of_one_kind_leaves_all_jobs_of_the_others_as_they_were(usual: Workload) -> None:
    changed = jobs_of({"manufacturing": {"digital-twin": {"priority": 60, "activity": 0.9}}})
    same = [name for name in usual.table.column_names if name not in {"priority", "activity"}]
    assert changed.table.select(same).equals(usual.table.select(same))
    twin = pc.equal(usual.table["job_name"], "digital-twin")
    for name, value in (("priority", 60), ("activity", 0.9)):
        assert changed.table[name].filter(pc.invert(twin)).equals(usual.table[name].filter(pc.invert(twin)))
        assert set(changed.table[name].filter(twin).to_pylist()) == {value}


def test_sizes_run_times_and_how_jobs_end() -> None:
    kind = {"gpus": {2: 1, 3: 3}, "runtime": ["10m", "20m"], "states": {"failed": 1.0}, "burst": 1}
    found = rows(jobs_of({"training": {"debug": kind}}), "debug")
    sizes = Counter(found["gpus"].to_pylist())
    assert set(sizes) == {2, 3}
    assert sizes[3] / found.num_rows == pytest.approx(0.75, abs=0.05)
    assert pc.min(found["runtime"]).as_py() >= 600
    assert pc.max(found["runtime"]).as_py() <= 1200
    assert set(found["state"].to_pylist()) == {"failed"}


def test_shares_are_of_the_gpu_time_and_the_other_kinds_divide_the_rest() -> None:
    one = ClassShare(name="training", share=1.0, changes={"pretrain": {"share": 0.4}, "debug": {"share": 0}})
    shares = {kind.name: kind.share for kind in one.kinds()}
    assert shares == pytest.approx({"pretrain": 0.4, "reinforcement": 1 / 3, "finetune": 0.2, "evaluation": 1 / 15})
    workload = jobs_of({"battery": {"density-functional": {"share": 0.9}}}, classes={"battery": 1.0})
    held = np.asarray(workload.gpus) * workload.table["runtime"].to_numpy()
    part = held[np.asarray(pc.equal(workload.table["job_name"], "density-functional"))].sum() / held.sum()
    assert part == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("value", "quantiles"),
    [
        (["1m", 240], (60.0, 120.0, 240.0)),
        ({"p0": 10, "p50": "20s", "p100": "1h"}, (10.0, 20.0, 3600.0)),
        ({"median": "1h", "sigma": 0.5, "low": "30m", "high": "2h"}, (1800.0, 3600.0, 7200.0)),
    ],
)
def test_run_times_have_three_forms(value: object, quantiles: tuple[float, ...]) -> None:
    one = ClassShare(name="training", share=1.0, changes={"debug": {"runtime": value}})
    curve = next(kind for kind in one.kinds() if kind.name == "debug").runtimes
    assert [float(curve.quantile(chance)) for chance in (0.0, 0.5, 1.0)] == pytest.approx(quantiles, rel=1e-3)


def test_parts_of_a_gpu_are_asked_for_and_count_by_the_part(usual: Workload) -> None:
    kind = {"gpus": {1: 1, 2: 1}, "fractions": {200: 0.25, 500: 0.25}}
    workload = jobs_of({"training": {"debug": kind}})
    found = rows(workload, "debug")
    parts = Counter(found["gpu_milli"].filter(pc.equal(found["gpus"], 1)).to_pylist())
    assert set(parts) == {200, 500, None}
    assert parts[200] / sum(parts.values()) == pytest.approx(0.25, abs=0.03)
    assert parts[500] / sum(parts.values()) == pytest.approx(0.25, abs=0.03)
    assert set(found["gpu_milli"].filter(pc.equal(found["gpus"], 2)).to_pylist()) == {None}
    held = (
        np.asarray(workload.gpus) * workload.integers("gpu_milli", 1000) / 1000 * workload.table["runtime"].to_numpy()
    )
    mine = np.asarray(pc.equal(workload.table["job_name"], "debug"))
    assert held.sum() / (GPUS * 3 * 86_400) == pytest.approx(0.85, rel=0.01)
    training = np.asarray(pc.equal(workload.table["job_class"], "training"))
    assert held[mine].sum() / held[training].sum() == pytest.approx(2 / 65, rel=0.05)
    others = pc.not_equal(usual.table["job_class"], "training")
    assert set(usual.table["gpu_milli"].filter(others).to_pylist()) == {None}


def test_campaigns_take_the_runs_the_longest_time_and_the_evaluations_that_are_given() -> None:
    run = {"parameters": 1e9, "tokens": 4e11, "utilization": 0.4, "tensor": 2, "pipeline": 3}
    evaluation = {"tasks": 5, "gpus": 4, "priority": 7}
    kind = {"gpus": 64, "reference_gpus": 0, "runs": {"mine": run}, "evaluation": evaluation}
    workload = jobs_of({"training": {"pretrain": kind}})
    assert set(rows(workload, "pretrain")["gpus"].to_pylist()) == {60}  # whole copies of 2 x 3 GPUs
    arrays = rows(workload, "evaluation").filter(pc.is_valid(rows(workload, "evaluation")["array"]))
    assert max(Counter(arrays["array"].to_pylist()).values()) == 5  # some are cut by the window
    assert set(arrays["gpus"].to_pylist()) == {4}
    assert set(arrays["priority"].to_pylist()) == {7}


def test_segments_end_load_and_pause_as_they_are_told() -> None:
    kind = {"runtime": ["2h", "3h"], "pause": ["5m", "6m"], "failures": 1e-6, "gpus": 8, "reference_gpus": 0}
    found = rows(jobs_of({"manufacturing": {"process-model": kind}}), "process-model")
    within = found.filter(pc.and_(pc.is_valid(found["think_time"]), pc.greater(found["submit_time"], 0)))
    assert within.num_rows > 20
    assert pc.min(within["think_time"]).as_py() >= 300
    assert pc.max(within["think_time"]).as_py() <= 360
    assert pc.max(found["runtime"]).as_py() <= 3 * 3600


def test_stages_of_graphs_have_widths_cores_and_times_of_their_own() -> None:
    parts = {"docking": {"width": [3, 3], "array_limit": 2, "gpus": 2}, "docking-ranking": {"cores": 4}}
    kind = {"runtime": ["1h", "2h"], "priority": 11, "parts": parts}
    workload = jobs_of({"drug-discovery": {"docking": kind}})
    docking = rows(workload, "docking")
    assert Counter(docking["array"].to_pylist()).most_common(10)[-1][1] == 3
    assert max(Counter(docking["array"].to_pylist()).values()) == 3
    assert set(docking["array_limit"].to_pylist()) == {2}
    assert set(docking["gpus"].to_pylist()) == {2}
    times = sorted(docking["runtime"].to_pylist())
    assert 3600 <= times[1] <= times[-1] <= 7200  # the last job is cut, so that the load is met
    assert set(rows(workload, "docking-ranking")["cpus"].to_pylist()) == {4.0}
    assert set(rows(workload, "docking-preparation")["priority"].to_pylist()) == {11}


def test_shifts_and_lines_follow_what_is_given() -> None:
    kinds = {"inspection": {"load": [1, 1, 1], "gpus": 2}, "vision-retraining": {"weekly": 1.0}}
    workload = jobs_of({"manufacturing": kinds}, days=7, classes={"manufacturing": 1.0})
    replicas = workload.table.filter(pc.starts_with(workload.table["job_name"], "inspection"))
    assert set(replicas["runtime"].to_pylist()) == {7 * 86_400.0}  # no shift has more to do than another
    assert set(replicas["gpus"].to_pylist()) == {2}
    units = Counter(name[:-6] for name in rows(workload, "vision-retraining")["job_id"].to_pylist())
    assert max(units.values()) <= 2


def test_replicas_of_inspection_are_not_preemptible_and_other_kinds_only_if_somebody_says_so(usual: Workload) -> None:
    replicas = usual.table.filter(pc.starts_with(usual.table["job_name"], "inspection"))
    assert set(replicas["preemptible"].to_pylist()) == {False}
    assert set(rows(usual, "digital-twin")["preemptible"].to_pylist()) == {None}
    changed = jobs_of({"manufacturing": {"digital-twin": {"preemptible": False}}})
    assert set(rows(changed, "digital-twin")["preemptible"].to_pylist()) == {False}


def test_what_was_given_is_shown_as_given_by_the_user() -> None:
    before = {one.figure: one for one in describe(SynthesisSpec())}
    after = {one.figure: one for one in describe(spec({"training": {"pretrain": {"longest": "30d"}}}))}
    assert after["training, pretrain: longest campaign"][1:] == (
        "30 days of work; no run that would take longer", "assumption", "given by the user",
    )  # fmt: skip
    assert {name for name in before if after[name] != before[name] and name != "window"} == {
        "training, pretrain: longest campaign"
    }


def test_a_scenario_changes_kinds_and_repeats_itself() -> None:
    sets = ["workload.kinds.training.pretrain.longest=30d", "workload.kinds.training.debug={gpus={8=1}, burst=2}"]
    workload = load("phase-1").apply_sets(sets).to_mapping()["workload"]
    given = SynthesisSpec.from_mapping(workload)
    assert [dict(one.changes) for one in given.classes if one.changes] == [
        {"pretrain": {"longest": "30d"}, "debug": {"gpus": {"8": 1}, "burst": 2}}
    ]
    assert SynthesisSpec.from_mapping(given.to_mapping()) == given


def test_a_distribution_is_given_as_a_whole_and_other_keys_are_laid_over() -> None:
    below = {"debug": {"gpus": {1: 1, 8: 1}, "burst": 3}, "pretrain": {"evaluation": {"gpus": {1: 1}, "tasks": 9}}}
    above = {"debug": {"gpus": {2: 1}, "priority": 7}, "pretrain": {"evaluation": {"gpus": {4: 1}}}}
    one = load("phase-1").over({"workload": {"kinds": {"training": below}}}, "below")
    two = one.over({"workload": {"kinds": {"training": above}}}, "above")
    assert two.to_mapping()["workload"]["kinds"]["training"] == {
        "debug": {"gpus": {"2": 1}, "burst": 3, "priority": 7},
        "pretrain": {"evaluation": {"gpus": {"4": 1}, "tasks": 9}},
    }
    assert one.to_mapping()["workload"]["kinds"]["training"]["debug"]["gpus"] == {"1": 1, "8": 1}


@pytest.mark.parametrize(
    ("kinds", "complaint"),
    [
        ({"trainin": {}}, "did you mean 'training'"),
        ({"training": {"pretrian": {}}}, "did you mean 'pretrain'"),
        ({"training": {"pretrain": {"longes": 1}}}, "key of kind 'pretrain' of class 'training' 'longes'.*'longest'"),
        ({"training": {"debug": {"longest": 1}}}, "unknown key"),
        ({"training": {"pretrain": {"evaluation": {"task": 1}}}}, "did you mean 'tasks'"),
        ({"training": {"pretrain": {"evaluation": {"tasks": 65}}}}, "from 1 to 64, got 65"),
        ({"training": {"pretrain": {"runs": {"x": {"tokens": 1}}}}}, "needs parameters, utilization"),
        ({"training": {"pretrain": {"share": 0.7}, "debug": {"share": 0.7}}}, "sum to 1.4"),
        ({"training": {"debug": {"states": {"faild": 1.0}}}}, "did you mean 'failed'"),
        ({"training": {"debug": {"states": {"failed": 0.5}}}}, "they sum to 0.5"),
        ({"training": {"debug": {"rhythm": "working-hour"}}}, "did you mean 'working-hours'"),
        ({"training": {"debug": {"gpus": {"eight": 1}}}}, "the size 'eight'"),
        ({"training": {"debug": {"gpus": {"8": -1}}}}, "weights of 0 or more"),
        ({"training": {"debug": {"runtime": ["2h", "1h"]}}}, "must rise"),
        ({"training": {"debug": {"runtime": {"p50": 5}}}}, "p100"),
        ({"training": {"debug": {"priority": 0.5}}}, "whole number"),
        ({"drug-discovery": {"docking": {"parts": {"dock": {}}}}}, "did you mean 'docking'"),
        ({"drug-discovery": {"docking": {"parts": {"docking": {"width": [5, 2]}}}}}, r"\[5, 2\]"),
        ({"drug-discovery": {"docking": {"parts": {"docking": {"cores": 2}}}}}, "unknown key of part 'docking'"),
        ({"manufacturing": {"inspection": {"runtime": ["1h", "2h"]}}}, "unknown key of service 'inspection' 'runtime'"),
        ({"manufacturing": {"inspection": {"load": [0, 0, 0]}}}, "above 0 in one shift"),
        ({"manufacturing": {"inspection": {"load": [1, 1]}}}, "in three shifts"),
        ({"manufacturing": {"inspection": {"first_shift": "90m"}}}, "a whole hour"),
        ({"manufacturing": {"inspection": {"load": [1, 1, 1], "hourly": [1] * 24}}}, "leave out one of them"),
        ({"training": {"pretrain": {"survived": 1.1}}}, "survived of kind 'pretrain'"),
        ({"training": {"debug": {"fractions": {"1000": 0.5}}}}, "from 1 to 999"),
        ({"training": {"debug": {"fractions": {"500": 0.6, "250": 0.6}}}}, "sum to 1 at most"),
        ({"training": {"pretrain": {"fractions": {"500": 0.5}}}}, "kinds of single jobs"),
        ({"realtime": {"chat": {"gpus": 4}}}, "change them under 'services'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(kinds: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        spec(kinds)


def test_a_class_that_is_not_in_the_workload_has_no_kinds_to_change() -> None:
    with pytest.raises(ConfigError, match="class 'battery', which is not in the workload"):
        spec({"battery": {"screening": {"priority": 1}}}, classes={"training": 1.0})


def keys_of(expansion: Any) -> set[str]:
    """Return the keys that an expansion knows."""
    given = Changes("a kind", {})
    nothing = Main(-1, -1.0, False, expansion.segmenting.ends if hasattr(expansion, "segmenting") else None)
    expansion.changed(given, nothing, nothing)
    return given.known


def keys_of_inspection() -> set[str]:
    """Return the keys of the inspection service that are not those of any service."""
    given = Changes("a kind", {})
    changed_inspection(INSPECTION, given)
    return given.known


@pytest.mark.parametrize("one", [one for one in DEFAULT_CLASSES if one.name != "realtime"], ids=lambda one: one.name)
def test_every_key_is_on_the_page_of_its_class(one: ClassShare) -> None:
    page = (DOCS / f"{one.name}.md").read_text(encoding="utf-8")
    own = re.search(r"## Changing it\n(.*?)\n## ", page, re.DOTALL)
    assert own is not None
    for kind in one.kinds():
        known = keys_of(kind.expansion) if kind.expansion is not None else set()
        for key in keys_of_inspection() if kind.service is not None else known:
            assert f"`{'parts.PART' if key == 'parts' else key}`" in own[1], (kind.name, key)


def test_every_key_of_any_kind_is_on_the_page_of_workloads_whose_example_works() -> None:
    page = (DOCS / "workloads.md").read_text(encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        spec({"training": {"debug": {"no such key": 1}}})
    known = re.findall(r"\w+", str(caught.value).rpartition("choose one of ")[2])
    assert set(known) == set(COMMON)
    for key in COMMON:
        assert f"`{key}`" in page, key
    text = next(block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "workload.kinds" in block)
    SynthesisSpec.from_mapping(tomllib.loads(text)["workload"])
