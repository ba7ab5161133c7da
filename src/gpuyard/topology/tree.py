"""Levels drawn as a graph: one switch for each domain, in a tree."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from gpuyard.topology.levels import Levels

__all__ = ["level_tree"]


def level_tree(nodes: Sequence[str], levels: Levels) -> nx.Graph:
    """Return the tree of the levels, with one root switch named ``site``; links have no capacities."""
    graph = nx.Graph()
    graph.add_node("site", kind="switch", role="site")
    above = ["site"] * len(nodes)
    pairs = list(zip(levels.names, levels.domains, strict=True))
    for depth in range(len(pairs) - 1, -1, -1):
        name, domain = pairs[depth]
        for node, number in enumerate(domain.tolist()):
            switch = f"{name}-{number}"
            if switch not in graph:
                inside = {upper: f"{upper}-{int(numbers[node])}" for upper, numbers in pairs[depth:]}
                graph.add_node(switch, kind="switch", role=name, **inside)
                graph.add_edge(above[node], switch)
            above[node] = switch
    for node, host in enumerate(nodes):
        inside = {name: f"{name}-{int(domain[node])}" for name, domain in pairs}
        graph.add_node(host, kind="host", **inside)
        graph.add_edge(host, above[node])
    return graph
