"""The four phases: GPUs and power of the announcement, each figure with its source."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from gpuyard.cluster import Cluster
from gpuyard.datasheet import compare_rows, describe, describe_rows
from gpuyard.errors import ConfigError
from gpuyard.presets import load_preset, phase_names, preset_text
from gpuyard.scenario import load
from gpuyard.scenario.describe import compared_rows
from gpuyard.scenario.stages import stages_of
from gpuyard.synthesis import SynthesisSpec

PHASES = ("phase-1", "phase-2", "phase-3", "phase-4")
ANNOUNCED_MW = {"phase-1": 40, "phase-2": 100, "phase-3": 200, "phase-4": 1000}


def test_there_are_four_phases():
    assert phase_names() == PHASES


def test_an_unknown_preset_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match=r"unknown preset 'phase-5'; did you mean 'phase-[1-4]'"):
        preset_text("phase-5")


@pytest.mark.parametrize("name", PHASES)
def test_a_phase_uses_85_to_100_percent_of_its_announced_power_at_rated_load(name):
    facts = Cluster.preset(name).facts
    assert facts["announced"]["mw"] == ANNOUNCED_MW[name]
    assert 0.85 * ANNOUNCED_MW[name] <= facts["rated_mw"] <= ANNOUNCED_MW[name]


def test_phase_1_has_20000_gpus_at_no_more_than_2000_w_each():
    cluster = Cluster.preset("phase-1")
    assert cluster.gpus == 20_000
    assert cluster.facts["w_per_gpu"] <= 2000
    assert 1450 <= cluster.facts["rated_it_mw"] * 1e6 / 20_000 <= 1550  # nodes and 12 to 18 % more


def test_the_power_of_phase_1_is_the_sum_of_its_parts():
    # 2,500 nodes of 10.2 kW; 79 x 8 leaves, 10 x 64 spines, 320 cores of 1.5 kW; 150 W a GPU; PUE 1.25
    leaves, spines, cores = 79 * 8, 10 * 64, 10 * 64 * 32 // 64
    it_w = 2500 * 10_200 + (leaves + spines + cores) * 1500 + 20_000 * 150
    facts = Cluster.preset("phase-1").facts
    assert facts["switches"] == leaves + spines + cores
    assert facts["rated_it_mw"] == pytest.approx(it_w / 1e6)
    assert facts["rated_mw"] == pytest.approx(1.25 * it_w / 1e6)
    assert facts["other_it_w"] == 3_000_000


def test_phase_4_has_more_than_170000_gpus_in_all():
    assert 170_000 < Cluster.preset("phase-4").gpus < 171_000


@pytest.mark.parametrize(("earlier", "later"), [("phase-1", "phase-2"), ("phase-2", "phase-3"), ("phase-3", "phase-4")])
def test_a_phase_contains_the_blocks_of_the_one_before(earlier, later):
    before = load_preset(earlier)["cluster"]["blocks"]
    after = load_preset(later)["cluster"]["blocks"]
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    one, other = Cluster.preset(earlier), Cluster.preset(later)
    assert other.node_names[: one.nodes] == one.node_names


@pytest.mark.parametrize("name", PHASES)
def test_racks_stand_whole_in_a_block(name):
    for block in Cluster.preset(name).facts["blocks"]:
        per_rack = {"hgx-h200": 4, "vr-nvl72-tray": 18, "rubin-ultra-blade": 72, "package-2030s-blade": 36}
        assert block["nodes"] == block["racks"] * per_rack[block["hardware"]]


@pytest.mark.parametrize("name", PHASES)
def test_the_annual_pue_is_the_mean_of_the_blocks_weighted_by_their_power(name):
    annual = {"p1": 1.23, "p2": 1.13, "p3": 1.13, "p4": 1.13}  # air, then liquid cooling
    blocks = Cluster.preset(name).facts["blocks"]
    mean = sum(block["rated_it_mw"] * annual[block["name"]] for block in blocks) / sum(b["rated_it_mw"] for b in blocks)
    assert load_preset(name)["energy"]["pue"] == pytest.approx(mean, abs=0.005)


@pytest.mark.parametrize("name", PHASES)
def test_every_figure_of_a_phase_has_a_source_and_what_is_not_announced_is_called_an_assumption(name):
    sections = load_preset(name)
    site = sections["site"]
    stated = {key for key in site if key.startswith("announced_")}
    stated |= {f"energy.{key}" for key in sections["energy"]}
    assert stated <= set(site["sources"])
    for block in sections["cluster"]["blocks"]:
        assert set(block) - {"name", "commissioned", "sources"} == set(block["sources"])
    tables = [site["sources"], *(block["sources"] for block in sections["cluster"]["blocks"])]
    for standing, source in (each for table in tables for each in table.values()):
        assert standing in ("R", "C", "M")
        assert ("assumption" in source) == (standing == "M")


@pytest.mark.parametrize("name", PHASES)
def test_what_a_phase_says_of_itself_is_json_and_a_table(name):
    cluster = Cluster.preset(name)
    facts = json.loads(json.dumps(describe(cluster)))
    assert facts["gpus"] == cluster.gpus
    rows = describe_rows(cluster)
    (power,) = (row for row in rows if row.figure == "announced power, MW")
    assert power.standing == "announced"
    assert "26 June 2025" in power.source
    (hardware,) = (row for row in rows if row.figure == "block p1, hardware")
    assert (hardware.value, hardware.standing) == ("hgx-h200", "assumption")
    assert {row.standing for row in rows if row.figure == "assumed"} == {"assumption"}


def test_the_phases_stand_side_by_side():
    rows = {row[0]: row[1:] for row in compare_rows([Cluster.preset(name) for name in PHASES])}
    assert rows["announced power, MW"] == ("40", "100", "200", "1,000", "announced")
    assert rows["announced GPUs"] == ("20,000", "-", "-", "170,000", "announced")
    assert rows["GPUs"][:4] == ("20,000", "35,552", "53,984", "170,048")
    assert rows["GPUs of type VR200"] == ("-", "15,552", "15,552", "15,552", "assumption")
    assert rows["fabric of block p2"] == ("-", "nvlink-racks", "nvlink-racks", "nvlink-racks", "assumption")


def test_jobs_a_day_are_those_that_a_run_would_submit():
    day = load("phase-1").apply_sets(["cluster.nodes=16", "cluster.gpus_per_node=8", "workload.days=2"])
    jobs = len(day.read_workload()[0])
    rows = {row[0]: row[1:] for row in compared_rows([day])}
    assert rows["jobs a day"] == (f"{jobs / 2:,.0f}", "assumption")
    assert rows["tenants"] == ("7", "assumption")


@pytest.mark.parametrize("name", PHASES)
def test_levels_are_the_same_for_all_readers_of_a_scenario(name):
    levels = Cluster.preset(name).levels.names
    assert levels == (("rack", "leaf", "pod") if name == "phase-1" else ("nvlink", "rack", "leaf", "pod", "hall"))


@pytest.mark.parametrize(("name", "years"), [("phase-1", (2027, 2027)), ("phase-2", (2028, 2030)),
                                             ("phase-3", (2031, 2035)), ("phase-4", (2036, 2036))])  # fmt: skip
def test_the_workload_of_a_phase_lies_in_its_years_and_its_testbeds_are_there_from_phase_2_on(name, years):
    asked = load(name).over({"workload": {"tenants": {"preset": "rd-centres"}}}, "test")
    spec = SynthesisSpec.from_mapping(asked.checked.workload.synthesis())
    assert years[0] <= spec.origin().year <= years[1]
    assert spec.origin().weekday() == 0
    assert (spec.move_ins() <= 0).all() == (name != "phase-1")


@pytest.mark.parametrize("name", PHASES)
def test_a_preset_is_a_scenario(name):
    sections = tomllib.loads(preset_text(name))
    assert set(sections) == {"name", "description", "site", "cluster", "energy", "workload", "policy"}
    assert sections["name"] == name


def test_the_table_of_the_documentation_is_what_the_presets_say():
    page = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
    for name in PHASES:
        cluster = Cluster.preset(name)
        it_mw, mw, watts = (cluster.facts[key] for key in ("rated_it_mw", "rated_mw", "w_per_gpu"))
        cells = f"| {cluster.nodes:,} | {cluster.gpus:,} | {it_mw:.2f} MW | {mw:.2f} MW | {watts:,.0f} |"
        assert any(line.startswith(f"| `{name}` |") and line.endswith(cells) for line in page.splitlines())


def test_the_site_of_the_documentation_can_be_built():
    page = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
    shown = page.split("### A site of your own")[1].split("```toml\n")[1].split("```")[0]
    assert Cluster.from_mapping(tomllib.loads(shown)["cluster"]).gpus == 2304


def test_the_build_out_of_the_documentation_goes_from_phase_to_phase(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
    shown = page.split("### The build-out in one run")[1].split("```toml\n")[1].split("```")[0]
    path = tmp_path / "build-out.toml"
    path.write_text(shown, encoding="utf-8")
    resolver = load(path).apply_sets(["workload.days=28"])._resolver
    stages = stages_of(resolver.cluster(), resolver.windows(), 28)
    assert [stage.gpus for stage in stages] == [Cluster.preset(name).gpus for name in PHASES]
    assert [stage.begin / 86_400 for stage in stages] == [0, 7, 14, 21]
