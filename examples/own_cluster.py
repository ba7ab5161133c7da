"""A cluster of your own: from a fabric's parameters, from a list of nodes, and from a graph."""

import tempfile
from pathlib import Path

import networkx as nx

import gpuyard as gy

# Rail-optimised: every GPU of a node has its own leaf switch, and 16 nodes share these leaves.
fabric = {"kind": "rail-optimized", "rails": 8, "hosts_per_leaf": 16, "hosts_per_rack": 4}
rails = gy.Cluster.from_mapping({"blocks": [{"hardware": "hgx-h100", "nodes": 64, "fabric": fabric}]}, name="rails")

# A list of nodes, as it comes out of an inventory: GPUs, their type, and where the node stands.
listed = "node,gpus,gpu_type,cpus,memory_gib,rack\na1,8,A100,96,1024,r1\na2,8,A100,96,1024,r1\nt1,2,T4,32,256,r2\n"
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "nodes.csv"
    path.write_text(listed, encoding="utf-8")
    mixed = gy.Cluster.from_csv(path, name="mixed")

# A graph of hosts and switches: who shares a leaf follows from the links.
graph = nx.Graph()
for host in range(6):
    graph.add_node(f"host-{host}", kind="host")
    graph.add_edge(f"host-{host}", f"leaf-{host // 3}", gbps=400)
for leaf in range(2):
    graph.add_node(f"leaf-{leaf}", kind="switch")
    graph.add_edge(f"leaf-{leaf}", "spine", gbps=1200)
graph.nodes["spine"]["kind"] = "switch"
linked = gy.Cluster.from_graph(graph, hardware="hgx-h100", name="linked")

for cluster in (rails, mixed, linked):
    levels = {
        name: int(domain.max()) + 1 for name, domain in zip(cluster.levels.names, cluster.levels.domains, strict=True)
    }
    print(f"{cluster.name}: {cluster.nodes} nodes, {cluster.gpus} GPUs of {cluster.gpu_types}, levels {levels}")
