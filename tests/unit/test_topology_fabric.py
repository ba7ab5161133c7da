"""Fabrics from parameters: how many switches, which levels, how much capacity."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from gpuyard.errors import ConfigError
from gpuyard.topology.build import fabric_graph, site_graph
from gpuyard.topology.compile import compile_graph
from gpuyard.topology.direct import host_names, site_capacity, site_levels
from gpuyard.topology.fabric import Fabric, fat_tree, flat, leaf_spine, make_fabric, nvlink_racks, rail_optimized


def level(fabric: Fabric, name: str) -> list[int]:
    levels = site_levels((fabric,))
    return levels.domains[levels.names.index(name)].tolist()


@pytest.mark.parametrize("radix", [4, 6, 8])
def test_a_fat_tree_of_k_port_switches_has_the_counts_of_the_closed_formulas(radix):
    graph = fabric_graph(fat_tree(radix=radix))
    roles = [role for _, role in graph.nodes(data="role")]
    assert roles.count(None) == radix**3 // 4  # hosts
    assert roles.count("leaf") == radix**2 // 2
    assert roles.count("spine") == radix**2 // 2
    assert roles.count("core") == radix**2 // 4


def test_every_switch_of_a_full_fat_tree_uses_all_its_ports():
    graph = fabric_graph(fat_tree(radix=8))
    switches = [node for node, kind in graph.nodes(data="kind") if kind == "switch"]
    assert {graph.degree(node) for node in switches} == {8}


@pytest.mark.parametrize(("radix", "hosts"), [(64, 65_536), (128, 524_288), (144, 746_496)])
def test_three_tiers_hold_k_cubed_over_4_hosts_and_not_one_more(radix, hosts):
    assert fat_tree(radix=radix).hosts == hosts
    with pytest.raises(ConfigError, match=f"holds {hosts} hosts, not {hosts + 1}"):
        fat_tree(hosts + 1, radix=radix)


def test_two_tiers_of_k_port_switches_hold_k_squared_over_2_hosts_with_k_over_2_spines():
    fabric = leaf_spine(2048, hosts_per_leaf=32, radix=64)  # k = 64: 64 leaves, 32 spines
    assert fabric.switches == {"leaf": 64, "spine": 32}


def test_a_leaf_that_needs_more_ports_than_its_switch_has_is_refused():
    with pytest.raises(ConfigError, match=r"48 \+ 48 ports does not fit a switch of radix = 64"):
        leaf_spine(96, hosts_per_leaf=48, radix=64)


def test_four_scalable_units_of_the_h100_reference_have_32_leaves_and_16_spines():
    # NVIDIA DGX SuperPOD H100: 4 units of 32 nodes, 8 rails, 64-port switches: 32 leaves, 16 spines, two tiers
    fabric = rail_optimized(128, hosts_per_leaf=32, leaves_per_pod=4, radix=64)
    assert fabric.switches == {"leaf": 32, "spine": 16}


def test_each_port_of_a_host_goes_to_the_leaf_of_its_rail():
    graph = fabric_graph(rail_optimized(64, name="p"))
    assert sorted(graph["p-00033"]) == [f"p-leaf-1.{rail}" for rail in range(8)]
    assert {edge["links"] for edge in graph["p-00033"].values()} == {1}
    assert {edge["gbps"] for edge in graph["p-00033"].values()} == {400.0}


def test_leaf_pod_and_rack_of_a_rail_fabric_are_runs_of_hosts():
    fabric = rail_optimized(600, hosts_per_rack=4, hosts_per_leaf=32, leaves_per_pod=8)
    assert level(fabric, "rack") == [host // 4 for host in range(600)]
    assert level(fabric, "leaf") == [host // 32 for host in range(600)]
    assert level(fabric, "pod") == [host // 256 for host in range(600)]


def test_eight_nvl72_racks_are_a_unit_of_576_gpus():
    fabric = nvlink_racks(2 * 144, hosts_per_rack=18, racks_per_leaf=8)
    assert level(fabric, "nvlink").count(0) == 18
    assert level(fabric, "leaf").count(0) * 4 == 576


def test_levels_that_tell_nothing_are_left_out():
    assert site_levels((flat(64),)).names == ()
    assert site_levels((flat(64, hosts_per_rack=8),)).names == ("rack",)
    assert site_levels((leaf_spine(16, hosts_per_leaf=16),)).names == ()  # one leaf is the whole site


def test_a_fabric_without_pods_is_its_own_leaf_as_a_pod_in_a_mixed_site():
    levels = site_levels((leaf_spine(4, name="a", hosts_per_leaf=2), rail_optimized(600, name="b")))
    leaf, pod = (levels.domains[levels.names.index(name)] for name in ("leaf", "pod"))
    assert leaf[:4].tolist() == pod[:4].tolist() == [0, 0, 1, 1]


def test_oversubscription_is_what_was_asked_for():
    fabric = leaf_spine(96, hosts_per_leaf=48, oversubscription=3.0, radix=64)
    (leaf,) = site_capacity((fabric,)).oversubscription(site_levels((fabric,)))
    assert leaf.tolist() == [3.0, 3.0]
    fabric = rail_optimized(1024, core_oversubscription=7.0)
    pod = site_capacity((fabric,)).oversubscription(site_levels((fabric,)))[-1]
    assert pod == pytest.approx([7.0] * 4, rel=1e-2)  # up to the rounding to whole ports


def test_a_unit_of_a_rail_fabric_has_an_uplink_for_every_port_of_its_hosts():
    # 32 hosts x 8 ports of 400 Gbit/s go into a unit and, at 1:1, as much goes up; a pod of 8 units passes on all of it
    fabric = rail_optimized(1024)
    leaf, pod = site_capacity((fabric,)).uplink_gbps[1:]
    assert set(leaf.tolist()) == {32 * 8 * 400.0}
    assert set(pod.tolist()) == {8 * 32 * 8 * 400.0}
    graph = fabric_graph(fabric)
    assert {graph.degree(node) for node, role in graph.nodes(data="role") if role == "leaf"} == {32 + 8}
    assert {edge["links"] for _, _, edge in graph.edges("site-leaf-0.0", data=True)} == {1, 4}  # 8 spines, 4 links each


FABRICS = {
    "fat tree": (fat_tree(100, radix=8),),
    "leaf-spine": (leaf_spine(100, hosts_per_leaf=16, oversubscription=3.0, hosts_per_rack=8),),
    "rails, partly filled": (rail_optimized(700),),
    "nvl72": (nvlink_racks(2000),),
    "flat with racks": (flat(64, hosts_per_rack=4),),
    "mixed": (rail_optimized(700, name="a"), nvlink_racks(1500, name="b"), leaf_spine(10, name="c")),
}


@pytest.mark.parametrize("aggregate", [True, False], ids=["aggregated", "each switch"])
@pytest.mark.parametrize("fabrics", FABRICS.values(), ids=FABRICS)
def test_the_graph_compiles_to_the_levels_and_capacities_that_the_parameters_give(fabrics, aggregate):
    compiled = compile_graph(site_graph(fabrics, aggregate=aggregate))
    levels, capacity = site_levels(fabrics), site_capacity(fabrics)
    assert compiled.hosts == host_names(fabrics)
    assert compiled.levels.names == levels.names
    for drawn, direct in zip(compiled.levels.domains, levels.domains, strict=True):
        assert drawn.tolist() == direct.tolist()
    np.testing.assert_allclose(compiled.capacity.node_gbps, capacity.node_gbps)
    for drawn, direct in zip(compiled.capacity.uplink_gbps, capacity.uplink_gbps, strict=True):
        np.testing.assert_allclose(drawn, direct)


@pytest.mark.parametrize("fabric", [fat_tree(radix=6), rail_optimized(600), nvlink_racks(1500)], ids=lambda f: f.kind)
def test_hosts_that_share_a_lower_level_are_nearer_by_shortest_path(fabric):
    graph = fabric_graph(fabric)
    names = host_names((fabric,))
    levels = site_levels((fabric,))
    tiers = {"leaf": 2, "pod": 4}  # hops by way of a leaf, of a spine; by way of a core 6
    used = [(tiers[name], domain) for name, domain in zip(levels.names, levels.domains, strict=True) if name in tiers]
    random = np.random.default_rng(7)
    network = nx.Graph((a, b) for a, b, kind in graph.edges(data="kind") if kind != "nvlink")
    seen = set()
    for one, other in random.integers(fabric.hosts, size=(60, 2)).tolist():
        if one != other:
            expected = next((hops for hops, domain in used if domain[one] == domain[other]), 6)
            assert nx.shortest_path_length(network, names[one], names[other]) == expected
            seen.add(expected)
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("fat-treee", {}, "did you mean 'fat-tree'"),
        (
            "rail-optimized",
            {"rail": 8},
            "unknown parameter of the fabric 'rail-optimized' 'rail'; did you mean 'rails'",
        ),
        ("rail-optimized", {"rails": 0}, "rails must be greater than 0"),
        ("rail-optimized", {"link_gbps": float("nan")}, "link_gbps must be greater than 0"),
        ("rail-optimized", {"hosts_per_leaf": 3.5}, "must be a whole number"),
        ("rail-optimized", {"hosts_per_rack": 5}, "a leaf of 32 hosts is not made of whole parts of 5"),
        ("fat-tree", {"radix": 7}, "even number of ports"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(kind, parameters, message):
    with pytest.raises(ConfigError, match=message):
        make_fabric(kind, 100, **parameters)
