"""The hardware catalogue: rated draws as cited, and nodes composed of a host and its GPUs."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from gpuyard.errors import ConfigError
from gpuyard.hardware import composed_node, node_type, node_types

CATALOGUE = tomllib.loads(files("gpuyard.presets").joinpath("hardware.toml").read_text(encoding="utf-8"))

RATED_KW_PER_RACK = {  # nodes to a rack, kW: the figures the catalogue cites
    "gb200-nvl72-tray": (18, 120.0),
    "gb300-nvl72-tray": (18, 132.0),
    "vr-nvl72-tray": (18, 210.0),
    "rubin-ultra-blade": (72, 600.0),
}


@pytest.mark.parametrize(("name", "rated_w"), [("dgx-a100", 6500), ("hgx-h100", 10_200), ("dgx-b200", 14_300)])
def test_a_node_at_full_load_draws_its_cited_rated_power(name, rated_w):
    assert node_type(name).rated_w == pytest.approx(rated_w, abs=1e-9)


@pytest.mark.parametrize("name", RATED_KW_PER_RACK)
def test_the_nodes_of_a_rack_draw_the_racks_cited_power(name):
    nodes, rack_kw = RATED_KW_PER_RACK[name]
    assert nodes * node_type(name).rated_w == pytest.approx(rack_kw * 1000)


def test_an_nvl72_rack_has_72_gpus_and_a_kyber_rack_144_packages():
    assert 18 * node_type("gb200-nvl72-tray").gpus == 72
    assert 72 * node_type("rubin-ultra-blade").gpus == 144


@pytest.mark.parametrize("name", sorted(node_types()))
def test_every_node_idles_below_its_rated_draw_and_each_gpu_adds_something(name):
    kind = node_type(name)
    assert 0 < kind.idle_w < kind.rated_w
    assert kind.gpu_dynamic_w > 0


@pytest.mark.parametrize("name", sorted(CATALOGUE["nodes"]))
def test_every_figure_has_a_source_and_a_standing(name):
    entry = CATALOGUE["nodes"][name]
    figures = set(entry) - {"gpu_type", "sources"}
    assert figures == set(entry["sources"])
    assert {standing for standing, _ in entry["sources"].values()} <= {"R", "C", "M"}
    assert all(len(source) > 5 for _, source in entry["sources"].values())
    assert "rated_w [" in node_type(name).source


def test_unknown_hardware_lists_the_choices_and_the_nearest():
    with pytest.raises(ConfigError, match="unknown hardware 'hgx-h20'; did you mean 'hgx-h200'"):
        node_type("hgx-h20")


def test_a_node_is_composed_of_a_host_and_its_gpus():
    # two T4 of 70 W (10 W idle), each with half as much again, on a host of 200 W idle and 300 W of CPU load
    node = composed_node(gpu_type="T4", gpus=2)
    assert (node.name, node.gpu_type, node.idle_w) == ("2 x T4", "T4", 200 + 2 * 1.5 * 10)
    assert node.rated_w == 200 + 2 * 1.5 * 70 + 300


def test_gpus_are_two_thirds_of_a_composed_servers_gpu_share():
    node = composed_node(gpu_type="A100", gpus=8)
    assert pytest.approx(2 / 3) == 8 * 400 / (8 * 1.5 * 400)
    assert node.rated_w - 500 == pytest.approx(8 * 1.5 * 400)


def test_a_model_nobody_knows_keeps_its_name_and_is_called_an_assumption():
    node = composed_node(gpu_type="G7", gpus=1)
    assert node.gpu_type == "G7"
    assert node.idle_w == composed_node(gpu_type="G1", gpus=1).idle_w
    assert "one GPU [M]" in node.source


def test_a_node_without_gpus_has_a_host_alone():
    node = composed_node(gpu_type="", gpus=0)
    assert (node.name, node.gpu_type, node.gpus, node.idle_w, node.rated_w) == ("cpu", "", 0, 200.0, 500.0)
