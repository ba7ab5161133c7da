"""Topologies as CSV lists: of links, and as they come with two public traces.

links        source, target, and optionally gbps, links: one row a link or bundle, written upwards: what is never a
             target is a host
lingjun      ip, PSW, ASW: one row a host of the Alibaba Lingjun cluster (Cao et al., SIGCOMM 2024); a name of an ASW
             (leaf) repeats under each PSW (pod), so a leaf is the pair of both
zhejianglab  sysname, switchname, accessport, ...: one row a network port of a host (sysname); leaf-spine links
             are not in the list
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import networkx as nx

from gpuyard.errors import InputError
from gpuyard.topology.rows import Row, csv_rows

__all__ = ["TOPOLOGY_LISTS", "is_topology_list", "read_topology_list"]


def is_topology_list(header: Sequence[str]) -> bool:
    """Return whether a CSV header is that of a list of links."""
    return any(set(columns) <= set(header) for columns, _ in TOPOLOGY_LISTS.values())


def read_topology_list(text: str, path: str | Path | None = None) -> nx.Graph:
    """Return the graph of a list.

    Raises
    ------
    InputError
        With file, row and column, for columns that are no known list, or a cell that cannot be used.
    """
    header, rows = csv_rows(text, path)
    for columns, reader in TOPOLOGY_LISTS.values():
        if set(columns) <= set(header):
            graph = reader(rows, path)
            if not graph:
                raise InputError("the list has no rows", path=path, remedy="add a row for each link")
            return graph
    known = "; ".join(f"{name}: {', '.join(columns)}" for name, (columns, _) in TOPOLOGY_LISTS.items())
    raise InputError(
        "these columns are no topology", path=path, row=1, value=",".join(header), remedy=f"known: {known}"
    )


def _cell(cells: Mapping[str, str], column: str, line: int, path: str | Path | None) -> str:
    if not cells[column]:
        raise InputError("the cell is empty", path=path, row=line, column=column, remedy="every row needs one")
    return cells[column]


def _links(rows: Iterator[Row], path: str | Path | None) -> nx.Graph:
    graph = nx.Graph()
    targets: set[str] = set()
    for line, cells in rows:
        source, target = _cell(cells, "source", line, path), _cell(cells, "target", line, path)
        if source == target:
            raise InputError("the link leads to where it starts", path=path, row=line, column="target", value=target)
        if graph.has_edge(source, target):
            raise InputError(
                "the link is there twice",
                path=path,
                row=line,
                value=f"{source},{target}",
                remedy="add up the capacities",
            )
        targets.add(target)
        edge = {name: _positive(cells, name, line, path) for name in ("gbps", "links") if cells.get(name)}
        graph.add_edge(source, target, **edge)
    for node in graph:
        graph.nodes[node]["kind"] = "switch" if node in targets else "host"
    return graph


def _positive(cells: Mapping[str, str], column: str, line: int, path: str | Path | None) -> float:
    try:
        number = float(cells[column])
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise InputError("this is no number above 0", path=path, row=line, column=column, value=cells[column])
    return number


def _lingjun(rows: Iterator[Row], path: str | Path | None) -> nx.Graph:
    graph = nx.Graph()
    for line, cells in rows:
        host, pod, short = (_cell(cells, column, line, path) for column in ("ip", "PSW", "ASW"))
        if host in graph:
            raise InputError("the host is there twice", path=path, row=line, column="ip", value=host)
        leaf = f"{pod}/{short}"
        graph.add_node(host, kind="host", leaf=leaf, pod=pod)
        graph.add_node(leaf, kind="switch", role="leaf", leaf=leaf, pod=pod)
        graph.add_node(pod, kind="switch", role="spine", pod=pod)
        graph.add_edges_from([(host, leaf), (leaf, pod)])
        if cells.get("DSW"):
            graph.add_node(cells["DSW"], kind="switch", role="core")
            graph.add_edge(pod, cells["DSW"])
    return graph


def _zhejianglab(rows: Iterator[Row], path: str | Path | None) -> nx.Graph:
    graph = nx.Graph()
    for line, cells in rows:
        host, switch, port = (_cell(cells, column, line, path) for column in ("sysname", "switchname", "accessport"))
        graph.add_node(host, kind="host")
        graph.add_node(switch, kind="switch", role="leaf")
        if graph.has_edge(host, switch):
            if port in graph.edges[host, switch]["ports"].split():
                raise InputError("the port is there twice", path=path, row=line, column="accessport", value=port)
            graph.edges[host, switch]["ports"] += f" {port}"
            graph.edges[host, switch]["links"] += 1
        else:
            graph.add_edge(host, switch, links=1, ports=port)
    return graph


TOPOLOGY_LISTS: dict[str, tuple[tuple[str, ...], Callable[[Iterator[Row], str | Path | None], nx.Graph]]] = {
    "links": (("source", "target"), _links),
    "lingjun": (("ip", "PSW", "ASW"), _lingjun),
    "zhejianglab": (("sysname", "switchname", "accessport"), _zhejianglab),
}
"""Columns that tell a list, and what reads it."""
