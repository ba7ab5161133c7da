"""The jobs of a class are the same bytes whichever other classes there are, on the presets and on small clusters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gpuyard.errors import ConfigError
from gpuyard.scenario.model import Scenario
from gpuyard.scenario.source import read_layers
from gpuyard.synthesis import ClassShare, Stage, SynthesisSpec, synthesise, synthesise_growing
from gpuyard.synthesis.class_shares import DEFAULT_CLASSES
from gpuyard.workload import Workload

NAMES = [one.name for one in DEFAULT_CLASSES]
SITES = {  # GPUs, CPU cores of a node, GPUs of its nodes, days
    "phase-1": (20_000, 112.0, (8,), 1.0),
    "phase-4": (260_000, 64.0, (4, 8), 0.05),
}
SPEC = SynthesisSpec(load=0.85)


def jobs_of(workload: Workload, name: str) -> pa.Table:
    """Return the jobs of a class, without the place of each in the table of all."""
    table = workload.table
    return table.filter(pc.equal(table["job_class"], name)).combine_chunks()


def made(spec: SynthesisSpec, site: str, seed: int) -> Workload:
    gpus, cpus, nodes, days = SITES[site]
    return synthesise(replace(spec, days=days), gpus=gpus, seed=seed, node_cpus=cpus, node_gpus=nodes)


@pytest.fixture(scope="module", params=SITES)
def beside(request: pytest.FixtureRequest) -> tuple[str, Workload]:
    return request.param, made(SPEC, request.param, 3)


@pytest.mark.parametrize("left_out", NAMES)
def test_a_class_left_out_leaves_every_job_of_the_others(beside: tuple[str, Workload], left_out: str) -> None:
    site, all_of_them = beside
    alone = made(replace(SPEC, without=(left_out,)), site, 3)
    assert jobs_of(all_of_them, left_out).num_rows > 0
    assert jobs_of(alone, left_out).num_rows == 0
    for name in NAMES:
        if name != left_out:
            assert jobs_of(alone, name).equals(jobs_of(all_of_them, name)), f"{name} without {left_out} on {site}"


@pytest.mark.parametrize("left_out", NAMES)
def test_with_all_digits_of_the_shares_a_class_can_be_added_to_the_others(
    beside: tuple[str, Workload], left_out: str
) -> None:
    site, all_of_them = beside
    rest = 1 - next(one.share for one in DEFAULT_CLASSES if one.name == left_out)
    kept = tuple(ClassShare(name=one.name, share=one.share / rest) for one in DEFAULT_CLASSES if one.name != left_out)
    alone = made(replace(SPEC, classes=kept, load=SPEC.load * rest), site, 3)
    for one in kept:
        assert jobs_of(alone, one.name).equals(jobs_of(all_of_them, one.name)), f"{one.name} without {left_out}"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("left_out", NAMES)
def test_on_a_small_cluster_where_kinds_make_up_for_each_other_nothing_of_the_others_changes(
    left_out: str, seed: int
) -> None:
    spec = SynthesisSpec(days=3, load=0.7)
    full = synthesise(spec, gpus=512, seed=seed)
    alone = synthesise(replace(spec, without=(left_out,)), gpus=512, seed=seed)
    for name in NAMES:
        if name != left_out:
            assert jobs_of(alone, name).equals(jobs_of(full, name)), f"{name} without {left_out}"


def test_the_load_is_less_by_the_share_of_the_class() -> None:
    spec = SynthesisSpec(days=2, load=0.8, without=("battery", "realtime"))
    table = synthesise(spec, gpus=4_000, seed=0).table
    offered = float(sum(table["gpus"].to_numpy() * table["runtime"].to_numpy())) / (4_000 * 2 * 86_400)
    assert offered == pytest.approx(0.8 * (1 - 0.07 - 0.15), rel=0.01)


def test_a_growing_site_and_a_rate_leave_the_others_as_well() -> None:
    stages = [Stage(0.0, 86_400.0, 1_000, 1_000, None), Stage(86_400.0, 172_800.0, 2_000, 2_000, None)]
    spec, less = SynthesisSpec(load=0.6), SynthesisSpec(load=0.6, without=("manufacturing",))
    full, alone = (synthesise_growing(one, stages, seed=1) for one in (spec, less))
    rated, less_rated = (
        synthesise(replace(one, rate=60.0, days=2), gpus=2_000, seed=1, node_gpus=(8,)) for one in (spec, less)
    )
    for name in NAMES[:-1]:
        assert jobs_of(alone, name).equals(jobs_of(full, name))
        assert jobs_of(less_rated, name).equals(jobs_of(rated, name))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"without": ["batery"]}, "unknown class of without 'batery'; did you mean 'battery'"),
        ({"without": "battery"}, r"without must be a list of names, such as \['battery'\], got 'battery'"),
        ({"without": NAMES}, "without leaves no class of .*; name fewer"),
        ({"without": ["battery"], "jobs": 1000}, "fewer jobs remain than are asked for; give days"),
    ],
)
def test_what_cannot_be_left_out_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SynthesisSpec.from_mapping(keys)


def test_a_scenario_leaves_a_class_out_and_its_echo_says_so(tmp_path: Path) -> None:
    (tmp_path / "lean.toml").write_text('extends = "phase-1"\n[workload]\ndays = 1\nwithout = ["manufacturing"]\n')
    scenario = Scenario(read_layers(tmp_path / "lean.toml"))
    workload, _ = scenario.read_workload()
    assert workload.notes[0].endswith("without manufacturing")
    assert set(workload.table["job_class"].to_pylist()) == set(NAMES[:-1])
    assert scenario.to_mapping()["workload"]["without"] == ["manufacturing"]
