"""Clusters from grids, lists, files and sections; and what is refused on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpuyard.cluster import Cluster
from gpuyard.datasheet import describe, describe_rows
from gpuyard.errors import ConfigError, InputError
from gpuyard.hardware import node_type

TRACES = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).parents[2] / "../shared/traces"))


def recorded(name: str) -> Cluster:
    path = TRACES / name
    if not path.is_file():
        pytest.skip(f"needs {name} in GPUYARD_TRACES")
    return Cluster.from_csv(path)


def listed(tmp_path: Path, text: str) -> Cluster:
    file = tmp_path / "nodes.csv"
    file.write_text(text)
    return Cluster.from_csv(file)


def gpus_by_type(cluster: Cluster) -> dict[str, int]:
    return describe(cluster)["gpu_types"]


def test_nodes_x_gpus_is_a_cluster():
    cluster = Cluster.parse("144x8")
    assert (cluster.name, cluster.nodes, cluster.gpus, cluster.levels.names) == ("144x8", 144, 1152, ())
    assert cluster.gpu_types == ("generic",)
    assert len(set(cluster.node_names)) == 144


def test_nodes_without_gpus_are_a_cluster_too():
    cluster = Cluster.parse("3x0")
    assert (cluster.gpus, cluster.gpu_types) == (0, ("",))


def test_uniform_nodes_take_hardware_racks_and_names():
    cluster = Cluster.uniform(nodes=10, gpus_per_node=8, hardware="hgx-h100", nodes_per_rack=4, name="lab")
    assert (cluster.name, cluster.gpu_types, cluster.kinds) == ("lab", ("H100",), (node_type("hgx-h100"),))
    assert cluster.levels.domains[0].tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert cluster.node_cpus is not None
    assert cluster.node_cpus.tolist() == [112.0] * 10


def test_hardware_has_the_gpu_type_that_is_stated_beside_it(tmp_path: Path):
    """Jobs of a trace ask for 'h100', and the catalogue has 'H100': the type is theirs, all else the catalogue's."""
    own = Cluster.uniform(nodes=2, gpus_per_node=8, hardware="hgx-h100")
    named = Cluster.uniform(nodes=2, gpus_per_node=8, hardware="hgx-h100", gpu_type="h100")
    assert (own.gpu_types, named.gpu_types) == (("H100",), ("h100",))
    assert named.kinds == (replace(own.kinds[0], gpu_type="h100"),)
    assert Cluster.from_mapping({"nodes": 2, "hardware": "hgx-h100", "gpu_type": "h100"}).kinds == named.kinds
    (tmp_path / "topology.conf").write_text("SwitchName=s0 Nodes=n[0-3]\n", encoding="utf-8")
    (tmp_path / "nodes.csv").write_text("node,gpus,gpu_type\na,8,h100\nb,4,V100\n", encoding="utf-8")
    for name in ("topology.conf", "nodes.csv"):
        read = Cluster.from_file(tmp_path / name, hardware="hgx-h100", gpu_type="h100")
        assert named.kinds[0] in read.kinds


def test_one_rack_of_all_nodes_or_one_each_is_no_level():
    assert Cluster.uniform(nodes=4, gpus_per_node=8, nodes_per_rack=4).levels.names == ()
    assert Cluster.uniform(nodes=4, gpus_per_node=8, nodes_per_rack=1).levels.names == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phase-9", "'phase-9' is no cluster; did you mean 'phase-4'.*phase-1, phase-2, phase-3, phase-4"),
        ("phse-2", "did you mean 'phase-2'"),
        ("-4x8", "NODESxGPUS such as 144x8"),
        ("0x8", "nodes must be a whole number of at least 1, got 0"),
        ("2000000x8", "would have 2,000,000 nodes and 16,000,000 GPUs; gpuyard takes at most"),
        ("20000000x0", "20,000,000 nodes"),
        ("999999999999999999x8", "gpuyard takes at most"),
    ],
)
def test_what_is_no_cluster_is_refused_with_the_way_out(text, message):
    with pytest.raises(ConfigError, match=message):
        Cluster.parse(text)


def test_ten_million_gpus_are_the_most():
    assert Cluster.uniform(nodes=1_000_000, gpus_per_node=10).gpus == 10_000_000


def test_a_file_that_is_not_there_is_an_input_error():
    with pytest.raises(InputError, match=r"there is no such cluster file"):
        Cluster.parse("nowhere/nodes.csv")


def test_a_list_of_nodes_is_put_in_the_order_of_its_levels(tmp_path):
    cluster = listed(
        tmp_path,
        "node,gpus,gpu_type,cpus,memory_gib,rack,pod\n"
        "a,8,H100,96,1024,r1,p1\n"
        "b,8,H100,96,1024,r2,p2\n"
        "c,4,T4,32,256,r1,p1\n"
        "d,0,,64,512,r3,p1\n",
    )
    assert cluster.node_names == ("a", "c", "d", "b")
    assert cluster.node_gpus.tolist() == [8, 4, 0, 8]
    assert cluster.levels.names == ("rack", "pod")
    assert [domain.tolist() for domain in cluster.levels.domains] == [[0, 0, 1, 2], [0, 0, 0, 1]]
    assert cluster.node_cpus is not None
    assert cluster.node_cpus.tolist() == [96.0, 32.0, 64.0, 96.0]
    assert [cluster.gpu_types[each] for each in cluster.node_type] == ["H100", "T4", "", "H100"]
    assert cluster.kinds[0] == node_type("hgx-h100")  # 8 x H100 is in the catalogue
    assert [kind.name for kind in cluster.kinds[1:]] == ["4 x T4", "cpu"]


def test_a_list_need_say_no_more_than_node_and_gpus(tmp_path):
    cluster = listed(tmp_path, "node,gpus\nx,2\ny,2\n")
    assert (cluster.gpus, cluster.gpu_types, cluster.node_cpus, cluster.node_memory_gib) == (
        4,
        ("generic",),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1: the file has no header"),
        ("node,gpus\n", "the list has no nodes"),
        ("node,gpus\na,8\na,8\n", r"row 3, column 'node': the node is there twice, first in row 2 \(got 'a'\)"),
        ("node,gpus\na,-1\n", r"row 2, column 'gpus': this is not a whole number of at least 0 \(got '-1'\)"),
        ("node,gpus\na,1.5\n", "row 2, column 'gpus'"),
        ("node,gpus\na,nan\n", "row 2, column 'gpus'"),
        ("node,gpus\na,many\n", r"row 2, column 'gpus': .*\(got 'many'\)"),
        ("node,gpus\n\n,8\n", "row 3, column 'node': the cell is empty"),
        ("node,gpus,cpus\na,8,inf\n", "row 2, column 'cpus': this is not a number of at least 0"),
        ("node,gpus\na,8,9\n", "row 2: 3 cells where the header has 2"),
        ("node,gpus,node\na,8,a\n", "row 1, column 'node': a column appears twice"),
        ("node,gpus,rak\na,8,r1\n", "unknown column 'rak'; did you mean 'rack'"),
        ("node,gpus,gpu_type\na,8,\n", "row 2, column 'gpu_type': the node has 8 GPUs but no GPU type"),
        ("node,gpus,gpu_type\na,0,T4\n", "row 2, column 'gpus': the node has a GPU type but no GPUs"),
        ("name,cards\na,8\n", "these columns are no list of nodes .*known are native: node, gpus"),
        ('node,gpus\n"a,8\n', "this is not CSV"),
    ],
)
def test_a_broken_list_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        listed(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node,gpus,cpus\na,1,1e20\n", r"row 2, column 'cpus': a node has at most 1e\+09 of these \(got '1e20'\)"),
        ("node,gpus,memory_gib\na,1,2e12\n", r"row 2, column 'memory_gib': a node has at most 1e\+12"),
        ("sn,cpu_milli,memory_mib,gpu,model\na,2e12,1,1,T4\n", r"column 'cpu_milli': a node has at most 1e\+12"),
    ],
)
def test_a_node_of_a_list_has_cores_and_memory_within_bounds(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        listed(tmp_path, text)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("node_cpus", 1e20, r"a node with 1e\+20 CPU cores; give 0 to 1e\+09"),
        ("node_cpus", float("nan"), "a node with nan CPU cores"),
        ("node_memory_gib", -1.0, "a node with -1 GiB of memory"),
    ],
)
def test_a_cluster_has_cores_and_memory_within_bounds(column, value, message):
    with pytest.raises(ConfigError, match=message):
        replace(Cluster.parse("2x8"), **{column: np.array([4.0, value])})


def test_a_rack_in_two_pods_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="rack 'r1' of node 'b' lies in two domains of the level 'pod'"):
        listed(tmp_path, "node,gpus,rack,pod\na,8,r1,p1\nb,8,r1,p2\nc,8,r2,p1\n")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    file = tmp_path / "nodes.csv"
    file.write_bytes(b"node,gpus\n\xff,8\n")
    with pytest.raises(InputError, match="not UTF-8"):
        Cluster.from_csv(file)


def test_openb_has_1523_nodes_and_6212_gpus():
    cluster = recorded("alibaba_openb_2023/openb_node_list_all_node.csv")
    assert (cluster.nodes, cluster.gpus) == (1523, 6212)
    expected = {"G2": 4392, "T4": 842, "P100": 265, "G3": 312, "V100M32": 204, "V100M16": 195, "A10": 2}
    assert gpus_by_type(cluster) == expected
    assert int((cluster.node_gpus == 0).sum()) == 310
    assert cluster.node_memory_gib is not None
    assert (cluster.node_cpus[0], cluster.node_memory_gib[0]) == (32.0, 256.0)  # 32,000 milli, 262,144 MiB


def test_pai_has_1897_machines_and_6742_gpus():
    cluster = recorded("alibaba_pai_2020/pai_machine_spec.csv")
    assert (cluster.nodes, cluster.gpus) == (1897, 6742)
    assert gpus_by_type(cluster) == {"MISC": 2240, "P100": 1596, "V100M32": 1080, "T4": 994, "V100": 832}


def test_spot_has_4278_nodes_and_10412_gpus():
    cluster = recorded("alibaba_spot_2026/node_info_df.csv")
    assert (cluster.nodes, cluster.gpus) == (4278, 10_412)
    assert gpus_by_type(cluster)["A10"] == 2494
    assert gpus_by_type(cluster)["GPU-series-1"] == 902 + 10 * 4 + 77 * 8


def test_tiresias_sizes_are_switches_of_nodes():
    cluster = recorded("tiresias_testbed_2019/n160g8.csv")
    assert (cluster.nodes, cluster.gpus, cluster.levels.names) == (160, 1280, ("leaf",))
    assert np.bincount(cluster.levels.domains[0]).tolist() == [32] * 5


def test_a_section_of_nodes_blocks_a_preset_or_a_file_is_a_cluster(tmp_path):
    assert Cluster.from_mapping({"nodes": 4, "gpus_per_node": 8}).gpus == 32
    assert Cluster.from_mapping({"nodes": 4, "hardware": "dgx-a100"}).gpus == 32
    assert Cluster.from_mapping({"preset": "phase-1"}).name == "phase-1"
    blocks = [{"hardware": "hgx-h100", "nodes": 64}, {"name": "old", "hardware": "dgx-a100", "nodes": 16}]
    cluster = Cluster.from_mapping({"blocks": blocks})
    assert (cluster.gpus, cluster.levels.names) == (640, ("hall",))
    assert cluster.node_names[0] == "block-1-00000"
    assert cluster.node_names[64] == "old-00000"
    file = tmp_path / "site.toml"
    file.write_text("[cluster]\nnodes = 3\ngpus_per_node = 2\n")
    assert Cluster.parse(str(file)).gpus == 6


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "says nothing of where the cluster comes from; give one of preset, file, nodes, blocks"),
        ({"preset": "phase-1", "nodes": 4}, "has preset and nodes; give one of"),
        ({"nodes": 4}, "has nodes but no gpus_per_node"),
        ({"nodes": 4, "gpus_per_nod": 8}, "unknown key of .cluster. 'gpus_per_nod'; did you mean 'gpus_per_node'"),
        ({"nodes": "4", "gpus_per_node": 8}, "nodes must be a whole number of at least 1, got '4'"),
        ({"nodes": 4, "gpus_per_node": True}, "gpus_per_node must be a whole number"),
        ({"preset": "phase-7"}, "unknown preset 'phase-7'"),
        ({"blocks": []}, "has no blocks"),
        ({"blocks": [{"nodes": 4}]}, r"cluster.blocks\[1\] has no 'hardware'"),
        ({"blocks": [{"nodes": 4, "hardware": "hgx-h100", "rack": 1}]}, "unknown key of cluster.blocks.1. 'rack'"),
        ({"blocks": [{"nodes": 0, "hardware": "hgx-h100"}]}, r"cluster.blocks\[1\].nodes must be a whole number"),
        (
            {"blocks": [{"nodes": 1, "hardware": "hgx-h100", "design_pue": 0.9}]},
            "design_pue must be a number of at least 1",
        ),
        ({"blocks": [{"nodes": 1, "hardware": "hgx-h100", "name": "a"}] * 2}, "two blocks named 'a'"),
        ({"blocks": [{"nodes": 10**7, "hardware": "hgx-h100"}]}, "gpuyard takes at most"),
    ],
)
def test_a_section_that_cannot_be_is_refused_by_key(section, message):
    with pytest.raises(ConfigError, match=message):
        Cluster.from_mapping(section)


def test_a_file_of_a_scenario_is_checked_against_its_digest(tmp_path):
    file = tmp_path / "nodes.csv"
    file.write_text("node,gpus\na,8\n")
    with pytest.raises(InputError, match="not the one this scenario was written for"):
        Cluster.from_mapping({"file": str(file), "sha256": "0" * 64})


def test_a_description_says_what_there_is(tmp_path):
    cluster = listed(tmp_path, "node,gpus,gpu_type,rack\na,8,H100,x\nb,8,H100,x\nc,8,H100,y\n")
    rows = {row.figure: row.value for row in describe_rows(cluster)}
    assert rows["GPUs of type H100"] == "24"
    assert rows["level rack"] == "2 of 1 to 2 nodes"
    assert rows["IT power at rated load"] == "30.60 kW"


def test_making_a_preset_needs_no_graph_library():
    code = "import sys, gpuyard.cluster as c; c.Cluster.preset('phase-4'); print('networkx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
