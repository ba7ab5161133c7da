"""Graphs compiled to levels: what hosts say of themselves, else where they meet."""

from __future__ import annotations

import networkx as nx
import pytest

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.topology.build import fabric_graph
from gpuyard.topology.compile import compile_graph
from gpuyard.topology.direct import site_levels
from gpuyard.topology.fabric import LEVEL_ORDER, fat_tree, nvlink_racks, rail_optimized
from gpuyard.topology.tree import level_tree


def bare(graph: nx.Graph) -> nx.Graph:
    """Return the graph without what hosts and switches say of their place."""
    graph = graph.copy()
    for _, data in graph.nodes(data=True):
        for name in LEVEL_ORDER:
            data.pop(name, None)
    return graph


def tree(**leaves: str) -> nx.Graph:
    """Return hosts a, b, ... under the leaf that each letter names."""
    graph = nx.Graph()
    for leaf, hosts in leaves.items():
        graph.add_node(leaf, kind="switch")
        graph.add_edge(leaf, "top")
        for host in hosts:
            graph.add_node(host, kind="host")
            graph.add_edge(host, leaf)
    graph.nodes["top"]["kind"] = "switch"
    return graph


def test_without_attributes_hosts_under_one_switch_are_a_leaf():
    compiled = compile_graph(tree(x="ac", y="bd"))
    assert compiled.hosts == ("a", "c", "b", "d")
    assert compiled.levels.names == ("leaf",)
    assert compiled.levels.domains[0].tolist() == [0, 0, 1, 1]
    assert compiled.capacity is None  # no link says how much it carries


def test_attributes_of_hosts_go_before_distances():
    graph = tree(x="ac", y="bd")
    for host, rack in zip("abcd", "1122", strict=True):
        graph.nodes[host]["rack"] = rack
    compiled = compile_graph(graph)
    assert compiled.levels.names == ("rack",)
    assert sorted(compiled.hosts[:2]) == ["a", "b"]


def test_own_attribute_names_may_be_levels():
    graph = tree(x="ab", y="cd")
    for host, row in zip("abcd", "1122", strict=True):
        graph.nodes[host]["row"] = row
    assert compile_graph(graph, levels=("row",)).levels.names == ("row",)


def test_what_crosses_the_border_of_a_domain_is_its_uplink():
    graph = tree(x="abc", y="d")
    nx.set_edge_attributes(graph, 100.0, "gbps")
    graph.edges["x", "top"]["gbps"] = 150.0
    compiled = compile_graph(graph)
    assert compiled.capacity.uplink_gbps[0].tolist() == [150.0, 100.0]
    assert compiled.capacity.oversubscription(compiled.levels)[0].tolist() == [2.0, 1.0]


@pytest.mark.parametrize("fabric", [fat_tree(radix=6), rail_optimized(600), nvlink_racks(1500)], ids=lambda f: f.kind)
def test_levels_of_tree_like_fabrics_are_found_from_distances(fabric):
    compiled = compile_graph(bare(fabric_graph(fabric)))
    direct = site_levels((fabric,))
    assert compiled.levels.names == tuple(name for name in direct.names if name != "rack")
    for name, domain in zip(compiled.levels.names, compiled.levels.domains, strict=True):
        assert domain.tolist() == direct.domains[direct.names.index(name)].tolist()


def test_a_ring_of_switches_is_no_tree_and_says_so():
    graph = nx.cycle_graph(6)
    nx.set_node_attributes(graph, "switch", "kind")
    for number in range(6):
        graph.add_node(f"h{number}", kind="host")
        graph.add_edge(f"h{number}", number)
    with pytest.raises(ConfigError, match=r"no tree-like fabric: 2 steps up, .* give all hosts attributes"):
        compile_graph(graph)


def test_a_torus_of_hosts_has_no_switches_and_says_so():
    graph = nx.grid_graph((4, 4), periodic=True)
    nx.set_node_attributes(graph, "host", "kind")
    with pytest.raises(ConfigError, match="hangs on no switch"):
        compile_graph(graph)


def test_islands_that_no_link_joins_are_together_in_the_site_alone():
    graph = tree(x="ab", y="cd")
    graph.remove_node("top")
    assert compile_graph(graph).levels.domains[0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda graph: graph.nodes["a"].update(rack="1"), "host 'b' has no 'rack', as 3 of 4 hosts have none"),
        (lambda graph: [graph.nodes[n].update(kind="switch") for n in "abcd"], "has no hosts; mark them"),
    ],
)
def test_graphs_that_cannot_be_compiled_say_what_is_missing(spoil, message):
    graph = tree(x="ab", y="cd")
    spoil(graph)
    with pytest.raises(ConfigError, match=message):
        compile_graph(graph)


def test_a_directed_graph_is_refused():
    with pytest.raises(ConfigError, match="directed"):
        compile_graph(nx.DiGraph(tree(x="ab", y="cd")))


def test_a_rack_in_two_pods_is_refused_with_the_way_out():
    graph = tree(x="ab", y="cd")
    for host, pod in zip("abcd", "1122", strict=True):
        graph.nodes[host].update(rack="r", pod=pod)
    with pytest.raises(
        ConfigError, match=r"rack 'r' of node 'c' lies in two domains of the level 'pod'.*'<pod>/<rack>'"
    ):
        compile_graph(graph)


def test_a_preset_is_one_with_its_graph():
    cluster = Cluster.preset("phase-1")
    compiled = compile_graph(cluster.build_graph())
    assert compiled.hosts == cluster.node_names
    assert compiled.levels.names == cluster.levels.names
    assert all((a == b).all() for a, b in zip(compiled.levels.domains, cluster.levels.domains, strict=True))


def test_a_cluster_of_racks_alone_has_the_tree_of_its_racks_as_graph():
    cluster = Cluster.uniform(nodes=6, gpus_per_node=8, nodes_per_rack=2)
    graph = cluster.build_graph()
    assert nx.is_tree(graph)
    assert nx.shortest_path_length(graph, "node-00000", "node-00001") == 2
    assert nx.shortest_path_length(graph, "node-00001", "node-00002") == 4
    assert compile_graph(graph).levels.domains[0].tolist() == [0, 0, 1, 1, 2, 2]
    assert level_tree(("n",), site_levels((fat_tree(1, radix=4),))).number_of_nodes() == 2
