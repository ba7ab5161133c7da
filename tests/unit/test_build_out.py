"""The preset of the build-out: a hundredth of the site along the announced calendar, in one run."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pytest

from gpuyard.cli import main
from gpuyard.cluster import Cluster
from gpuyard.presets import load_preset
from gpuyard.scenario import load
from gpuyard.scenario.describe import scenario_rows
from gpuyard.windows import there_from

ANNOUNCED = {"p1": (2025, 2027), "p2": (2028, 2030), "p3": (2031, 2035), "p4": (2036, 2040)}
"""Years of each block; of the last the first alone is announced, and that it takes five is assumed."""


def commissionings() -> list[tuple[str, int, range]]:
    """Return the phase, the year and the nodes of each."""
    found = []
    for each in load_preset("build-out")["commission"]:
        first, last = map(int, each["nodes"].split("-"))
        found.append((each["phase"], each["start"].year, range(first, last + 1)))
    return found


def test_its_blocks_are_those_of_phase_4_with_a_hundredth_of_the_nodes():
    for small, whole in zip(
        *(load_preset(name)["cluster"]["blocks"] for name in ("build-out", "phase-4")), strict=True
    ):
        assert small.pop("nodes") == round(whole.pop("nodes") / 100)
        assert small["sources"].pop("nodes") != whole["sources"].pop("nodes")
        assert small == whole
    assert Cluster.preset("build-out").gpus == 1_700


def test_each_block_comes_in_its_announced_years_in_equal_parts_and_no_node_twice_or_never():
    site = Cluster.preset("build-out")
    come = commissionings()
    assert [node for _, _, nodes in come for node in nodes] == list(range(site.nodes))
    for number, block in enumerate(load_preset("build-out")["cluster"]["blocks"]):
        first, last = ANNOUNCED[block["name"]]
        mine = [(year, nodes) for phase, year, nodes in come if phase == block["name"]]
        assert [year for year, _ in mine] == (list(range(first, last + 1)) if number else [2027])
        assert max(len(nodes) for _, nodes in mine) - min(len(nodes) for _, nodes in mine) <= 1
        assert sum(len(nodes) for _, nodes in mine) == block["nodes"]


def test_nodes_come_at_the_beginning_of_their_year_and_the_workload_lasts_until_the_end_of_the_last():
    scenario = load("build-out")
    resolver = scenario.over({"workload": {"days": 1}}, "test")._resolver
    zero = datetime.fromisoformat(load_preset("build-out")["workload"]["start"])
    begins = there_from(resolver.windows(), resolver.cluster()) / 1e6
    for _, year, nodes in commissionings():
        at = max((zero.replace(year=year) - zero).total_seconds(), 0)
        assert np.all(np.maximum(begins[list(nodes)], 0) == at)
    assert scenario.checked.workload.days == (zero.replace(year=2041) - zero).days


def test_every_figure_has_a_standing_and_a_source():
    rows = {row.figure: row for row in scenario_rows(load("build-out"))}
    assert rows["commission.2"].value == "nodes 25-37 from 2028-01-01, phase p2"
    for name, row in rows.items():
        if name.startswith(("energy.", "workload.", "commission.", "policy")):
            assert row.standing, name
            assert row.source, name
    assert "power of block p1" not in rows
    assert "1,000" not in {row.value for row in rows.values()}  # MW announced of the whole site


def test_the_first_years_in_one_run_have_numbers_of_each_year_and_phase(capsys):
    few = ["--set", "workload.days=730.5", "--set", "workload.load=0.01", "--until", "730d"]
    assert main(["run", "build-out", *few, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert {year: block["gpus_up"] for year, block in summary["years"].items()} == {"2027": 200, "2028": 252}
    assert {phase: block["gpus_up"] for phase, block in summary["phases"].items()} == {"p1": 200, "p2": 252}
    held = [block["gpu"]["allocation_rate"] for block in summary["years"].values()]
    assert held == pytest.approx([0.01, 0.01], rel=0.3)
