"""Topologies that others wrote: Slurm's topology.conf, lists of links, recorded clusters; and the way out again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, InputError
from gpuyard.topology.build import fabric_graph
from gpuyard.topology.compile import compile_graph
from gpuyard.topology.exchange import export_graph, read_graphml, read_json
from gpuyard.topology.fabric import rail_optimized
from gpuyard.topology.lists import read_topology_list
from gpuyard.topology.slurm import expand_hostlist, read_slurm_topology

TRACES = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).parents[2] / "../shared/traces"))


def recorded(name: str) -> Path:
    path = TRACES / name
    if not path.is_file():
        pytest.skip(f"needs {name} in GPUYARD_TRACES")
    return path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-10],login", ["n08", "n09", "n10", "login"]),
        ("r[1-2]n[1,3]", ["r1n1", "r1n3", "r2n1", "r2n3"]),
        ("n[1-2]-ib", ["n1-ib", "n2-ib"]),
        ("n1, n2,", ["n1", "n2"]),
    ],
)
def test_host_lists_stand_for_their_names(text, names):
    assert expand_hostlist(text) == names


@pytest.mark.parametrize(
    "text", ["n[1-3", "n1]", "n[3-1]", "n[a-b]", "n[]", "n[1-99999999]", "n[" + "1-9999999," * 3 + "7]"]
)
def test_host_lists_that_cannot_be_are_refused(text):
    with pytest.raises(ValueError, match=r"brackets|range|number|names"):
        expand_hostlist(text)


TREE = """
# two pods of two leaves
SwitchName=s0 Nodes=n[1-2]
switchname=s1 nodes=n[3-4] LinkSpeed=100
SwitchName=s2 Nodes=n[5-6]
SwitchName=s3 \\
  Nodes=n[7-8]
SwitchName=p0 Switches=s[0-1]
SwitchName=p1 Switches=s[2-3]
SwitchName=core Switches=p[0-1]
"""


def test_a_slurm_tree_gives_leaves_and_pods():
    compiled = compile_graph(read_slurm_topology(TREE))
    assert compiled.hosts == tuple(f"n{number}" for number in range(1, 9))
    assert compiled.levels.names == ("leaf", "pod")
    assert compiled.levels.domains[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert compiled.levels.domains[1].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_leaf_that_hangs_on_the_root_is_its_own_pod():
    text = TREE.replace("SwitchName=core Switches=p[0-1]", "SwitchName=s9 Nodes=x\nSwitchName=core Switches=p[0-1],s9")
    compiled = compile_graph(read_slurm_topology(text))
    assert compiled.levels.domains[1].tolist() == [0] * 4 + [1] * 4 + [2]


def test_slurm_blocks_are_leaves():
    compiled = compile_graph(
        read_slurm_topology("BlockName=b1 Nodes=n[01-18]\nBlockName=b2 Nodes=n[19-36]\nBlockSizes=18")
    )
    assert compiled.levels.names == ("leaf",)
    assert np.bincount(compiled.levels.domains[0]).tolist() == [18, 18]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SwitchName=s0", "row 1: this line is no switch and no block"),
        ("SwitchName=s0 Nodes=n[1-", "row 1, column 'Nodes': brackets do not match"),
        ("SwitchName=s0 Nodes=n1\nSwitchName=s0 Nodes=n2", "row 2: 's0' is there twice, first in row 1"),
        ("SwitchName=s0 Nodes=n1\nSwitchName=s1 Nodes=n1", "row 2, column 'Nodes': the node hangs on two switches"),
        ("SwitchName=s0 Nodes=n1\nSwitchName=s1 Switches=s0,s7", "row 2: no line describes this switch"),
        ("SwitchName=a Nodes=n1\nSwitchName=b Switches=c\nSwitchName=c Switches=b", "in a circle"),
        ("SwitchName=a Nodes=n\nSwitchName=b Switches=a\nSwitchName=c Switches=a", "the switch hangs on two others"),
        ("BlockSizes=18", "has no nodes"),
    ],
)
def test_a_broken_topology_conf_is_refused_with_its_row(text, message):
    with pytest.raises(InputError, match=message):
        read_slurm_topology(text)


def test_a_topology_file_needs_to_be_told_gpus(tmp_path):
    file = tmp_path / "topology.conf"
    file.write_text(TREE)
    with pytest.raises(ConfigError, match="does not say how many GPUs host 'n1' has; give gpus_per_node"):
        Cluster.parse(str(file))
    cluster = Cluster.from_mapping({"file": str(file), "gpus_per_node": 4, "gpu_type": "A100"})
    assert (cluster.nodes, cluster.gpus, cluster.gpu_types, cluster.name) == (8, 32, ("A100",), "topology")
    by_hardware = Cluster.from_file(file, hardware="hgx-h100")
    assert (by_hardware.gpus, by_hardware.kinds[0].rated_w) == (64, 10_200.0)


def test_a_list_of_links_written_upwards_is_a_graph_with_capacities():
    graph = read_topology_list("source,target,gbps\na,x,100\nb,x,100\nc,y,100\nx,top,50\ny,top,100\n")
    compiled = compile_graph(graph)
    assert compiled.hosts == ("a", "b", "c")
    assert compiled.capacity.oversubscription(compiled.levels)[0].tolist() == [4.0, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,target\na,a\n", "row 2, column 'target': the link leads to where it starts"),
        ("source,target\na,x\na,x\n", "row 3: the link is there twice"),
        ("source,target,gbps\na,x,-1\n", "row 2, column 'gbps': this is no number above 0"),
        ("source,target\na,\n", "row 2, column 'target': the cell is empty"),
        ("source,target\na\n", "row 2: 1 cells where the header has 2"),
        ("source,target\n", "has no rows"),
        ("from,to\na,x\n", "these columns are no topology"),
        ("ip,PSW,ASW\nh,P1,S1\nh,P1,S2\n", "row 3, column 'ip': the host is there twice"),
    ],
)
def test_a_broken_list_is_refused_with_its_place(text, message):
    with pytest.raises(InputError, match=message):
        read_topology_list(text)


def test_lingjun_has_119_leaves_of_2_to_8_hosts_in_3_pods():
    cluster = Cluster.from_file(recorded("alibaba_lingjun_2023/topo.csv"), gpus_per_node=8)
    leaf, pod = (np.bincount(domain) for domain in cluster.levels.domains)
    assert cluster.nodes == 847
    assert sorted(pod.tolist()) == [179, 306, 362]
    assert (leaf.size, leaf.min(), leaf.max(), (leaf == 8).sum()) == (119, 2, 8, 68)


def test_zhejianglab_has_253_hosts_in_5_groups_on_4_leaves_each():
    cluster = Cluster.from_file(recorded("zhejianglab_a100_2024/cluster_topology.csv"), gpus_per_node=8)
    assert (cluster.nodes, cluster.gpus) == (253, 2024)
    assert cluster.graph is not None
    assert {cluster.graph.degree(host) for host in cluster.node_names} == {4}
    assert np.bincount(cluster.levels.domains[0]).sum() == 253
    assert cluster.levels.domains[0][-1] + 1 == 5


@pytest.mark.parametrize(("form", "reader"), [("json", read_json), ("graphml", read_graphml)])
def test_a_graph_goes_out_and_comes_back(form, reader):
    graph = fabric_graph(rail_optimized(300))
    again = reader(export_graph(graph, form))
    assert nx.utils.graphs_equal(graph, again)
    assert export_graph(again, form) == export_graph(graph, form)


def test_dot_names_every_node_and_link_and_escapes_quotes():
    graph = nx.Graph()
    graph.add_node('a"b', kind="host")
    graph.add_edge('a"b', "x", gbps=400.0)
    assert export_graph(graph, "dot") == (
        'graph topology {\n  "a\\"b" ["kind"="host"];\n  "x";\n  "a\\"b" -- "x" ["gbps"="400.0"];\n}\n'
    )


def test_an_unknown_form_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match=r"did you mean 'graphml'.*dot, graphml, json"):
        export_graph(nx.Graph(), "graphm")


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_json, "{", "row 1: this is not JSON"),
        (read_json, '{"nodes": 3}', "no node-link graph"),
        (read_json, '{"nodes": [{"id": 1}]}', 'no node-link graph.*"edges" or "links"'),
        (read_json, '{"nodes": [{"id": 1}], "edges": [], "links": []}', 'both "edges" and "links"'),
        (read_graphml, "<graphml", "this is no GraphML"),
        (read_graphml, '<!DOCTYPE x [<!ENTITY a "b">]><graphml/>', "document type is refused"),
    ],
)
def test_broken_graph_files_are_refused(reader, text, message):
    with pytest.raises(InputError, match=message):
        reader(text)


def test_a_graph_file_may_state_gpus_and_types(tmp_path):
    graph = fabric_graph(rail_optimized(64))
    for number, (_, data) in enumerate(node for node in graph.nodes(data=True) if node[1]["kind"] == "host"):
        data.update(gpus=4 if number % 2 else 8, gpu_type="H100", cpus=64, memory_gib=512.0)
    file = tmp_path / "site.json"
    file.write_text(export_graph(graph, "json"))
    cluster = Cluster.parse(str(file))
    assert (cluster.gpus, cluster.gpu_types) == (32 * 12, ("H100",))
    assert cluster.node_cpus is not None
    assert cluster.node_cpus.tolist() == [64.0] * 64
    assert cluster.levels.names == ("rack", "leaf")


def test_links_may_be_under_the_key_of_older_networkx(tmp_path):
    graph = nx.Graph([("h0", "x"), ("h1", "x"), ("h2", "x")])
    nx.set_node_attributes(graph, {"h0": "host", "h1": "host", "h2": "host", "x": "switch"}, "kind")
    file = tmp_path / "site.json"
    file.write_text(json.dumps(nx.node_link_data(graph, edges="links")))
    assert Cluster.from_file(file, gpus_per_node=4).gpus == 12
    assert nx.utils.graphs_equal(read_json(file.read_text()), graph)


def test_gpus_drawn_as_nodes_are_counted():
    graph = nx.Graph()
    graph.add_edges_from([("h0", "g0"), ("h0", "g1"), ("h1", "g2"), ("h0", "x"), ("h1", "x")])
    nx.set_node_attributes(
        graph, {"h0": "host", "h1": "host", "g0": "gpu", "g1": "gpu", "g2": "gpu", "x": "switch"}, "kind"
    )
    assert Cluster.from_graph(graph).node_gpus.tolist() == [2, 1]
