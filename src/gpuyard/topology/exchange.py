"""Topology graphs as text for other programs: GraphML, node-link JSON and DOT; the first two are also read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import networkx as nx

from gpuyard.errors import InputError, unknown_name

__all__ = ["EXPORTS", "export_graph", "read_graphml", "read_json"]


def export_graph(graph: nx.Graph, form: str) -> str:
    """Return the graph as ``graphml``, ``json`` or ``dot`` text; the same graph gives the same bytes.

    Raises
    ------
    ConfigError
        For a form nobody knows; the message lists them.
    """
    if form not in EXPORTS:
        raise unknown_name("graph format", form, EXPORTS)
    return EXPORTS[form](graph)


def _graphml(graph: nx.Graph) -> str:
    return "\n".join(nx.generate_graphml(graph)) + "\n"


def _json(graph: nx.Graph) -> str:
    return json.dumps(nx.node_link_data(graph, edges="edges"), indent=1, ensure_ascii=False) + "\n"


def _dot(graph: nx.Graph) -> str:
    lines = ["graph topology {"]
    lines += [f"  {_quoted(node)}{_attributes(data)};" for node, data in graph.nodes(data=True)]
    lines += [
        f"  {_quoted(one)} -- {_quoted(other)}{_attributes(data)};" for one, other, data in graph.edges(data=True)
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _attributes(data: dict[str, Any]) -> str:
    if not data:
        return ""
    return " [" + ", ".join(f"{_quoted(key)}={_quoted(value)}" for key, value in data.items()) + "]"


EXPORTS: dict[str, Callable[[nx.Graph], str]] = {"graphml": _graphml, "json": _json, "dot": _dot}
"""What writes each form."""


def read_json(text: str, path: str | Path | None = None) -> nx.Graph:
    """Return the graph of a node-link JSON text; InputError says what is wrong with it.

    The links are under ``edges``, or under ``links`` as older versions of NetworkX and D3 have them.
    """
    try:
        data = json.loads(text)
        graph = nx.node_link_graph(data, directed=False, multigraph=False, edges=_edges_key(data, path))
    except json.JSONDecodeError as problem:
        raise InputError(f"this is not JSON: {problem.msg}", path=path, row=problem.lineno) from None
    except (KeyError, TypeError, AttributeError, nx.NetworkXError) as problem:
        raise InputError(
            f"this JSON is no node-link graph: {problem!r}", path=path, remedy='it needs "nodes" and "edges" or "links"'
        ) from None
    return _undirected(graph)


def _edges_key(data: object, path: str | Path | None) -> str:
    """Return under which key the links are."""
    found = [key for key in ("edges", "links") if isinstance(data, dict) and key in data]
    if len(found) > 1:
        raise InputError('this JSON has both "edges" and "links"', path=path, remedy="keep the one that is meant")
    return found[0] if found else "edges"


def read_graphml(text: str, path: str | Path | None = None) -> nx.Graph:
    """Return the graph of a GraphML text; InputError says what is wrong with it."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError("GraphML with a document type is refused", path=path, remedy="remove the DOCTYPE")
    try:
        graph = nx.parse_graphml(text)
    except (ParseError, nx.NetworkXError, KeyError, ValueError) as problem:
        raise InputError(f"this is no GraphML: {problem}", path=path) from None
    for name in ("node_default", "edge_default"):
        graph.graph.pop(name, None)
    return _undirected(graph)


def _undirected(graph: nx.Graph) -> nx.Graph:
    """Return the graph with each link once; parallel links must have been bundled."""
    return nx.Graph(graph)
