"""Clusters from what people give: a preset, a scenario's section, a file, a graph, or ``144x8``."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.hardware import NodeType, composed_node, node_type, node_types
from gpuyard.presets import load_preset, preset_names
from gpuyard.sites.blocks import INTERCONNECT_OVERSUBSCRIPTION, parts_of_blocks, read_block
from gpuyard.sites.inventory import Inventory, read_inventory
from gpuyard.sites.parts import Parts, check_size
from gpuyard.topology.direct import is_telling
from gpuyard.topology.levels import Levels
from gpuyard.topology.numbering import numbered
from gpuyard.topology.rows import csv_rows
from gpuyard.units import counted, parse_grid

if TYPE_CHECKING:
    import networkx as nx

    from gpuyard.topology.capacity import Capacity

__all__ = ["from_file", "from_graph", "from_mapping", "from_text", "parse", "preset", "uniform"]

_KEYS = {
    "preset": (),
    "file": ("sha256", "gpus_per_node", "gpu_type", "hardware"),
    "nodes": ("gpus_per_node", "gpu_type", "hardware", "nodes_per_rack"),
    "blocks": ("interconnect_oversubscription",),
}
"""Keys of a scenario's ``[cluster]``: what it is made from, and what goes with that."""


def uniform(
    *,
    nodes: int,
    gpus_per_node: int,
    gpu_type: str = "generic",
    hardware: str | NodeType | None = None,
    nodes_per_rack: int | None = None,
    name: str | None = None,
) -> Parts:
    """See :meth:`gpuyard.cluster.Cluster.uniform`."""
    _at_least("nodes", nodes, 1)
    _at_least("gpus_per_node", gpus_per_node, 0)
    check_size(f"{counted(nodes, 'node')} of {counted(gpus_per_node, 'GPU')}", nodes, nodes * gpus_per_node)
    kind = _kind(_named(hardware, gpu_type), gpu_type if gpus_per_node else "", gpus_per_node)
    levels = Levels.flat()
    if nodes_per_rack is not None:
        _at_least("nodes_per_rack", nodes_per_rack, 1)
        rack = np.arange(nodes, dtype=np.int32) // np.int32(min(nodes_per_rack, nodes))
        if is_telling(rack):
            levels = Levels(names=("rack",), domains=(rack,))
    return Parts(
        name=name or f"{nodes}x{gpus_per_node}",
        node_names=tuple(f"node-{number:05d}" for number in range(nodes)),
        node_gpus=np.full(nodes, gpus_per_node, dtype=np.int32),
        node_kind=np.zeros(nodes, dtype=np.int16),
        kinds=(kind,),
        node_cpus=None if kind.cpus is None else np.full(nodes, kind.cpus),
        node_memory_gib=None if kind.memory_gib is None else np.full(nodes, kind.memory_gib),
        levels=levels,
    )


def _at_least(what: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{what} must be a whole number of at least {low}, got {value!r}")


def _named(hardware: str | NodeType | None, gpu_type: str) -> str | NodeType | None:
    """Return the hardware with the GPU type that is stated beside it, as jobs ask for it, in place of its own."""
    if hardware in (None, "generic") or gpu_type == "generic":
        return hardware
    return replace(hardware if isinstance(hardware, NodeType) else node_type(str(hardware)), gpu_type=gpu_type)


def _kind(hardware: str | NodeType | None, gpu_type: str, gpus: int) -> NodeType:
    """Return the node type that was named, or one composed of a host and its GPUs."""
    if isinstance(hardware, NodeType):
        return hardware
    if hardware is not None and hardware != "generic":
        return node_type(hardware)
    return composed_node(gpu_type=gpu_type, gpus=gpus)


def preset(name: str) -> Parts:
    """See :meth:`gpuyard.cluster.Cluster.preset`."""
    sections = load_preset(name)
    return from_mapping(sections["cluster"], name=name, site=sections.get("site"))


def from_mapping(section: Mapping[str, Any], *, name: str = "cluster", site: Mapping[str, Any] | None = None) -> Parts:
    """See :meth:`gpuyard.cluster.Cluster.from_mapping`."""
    made_from = [key for key in _KEYS if key in section]
    if len(made_from) != 1:
        stated = f"has {' and '.join(made_from)}" if made_from else "says nothing of where the cluster comes from"
        raise ConfigError(f"the section [cluster] {stated}; give one of {', '.join(_KEYS)}")
    source = made_from[0]
    known = ("name", source, *_KEYS[source])
    for key in section:
        if key not in known:
            raise unknown_name("key of [cluster]", key, known)
    rest = {key: section[key] for key in _KEYS[source] if key in section}
    name = str(section.get("name", name))
    if source == "preset":
        return preset(str(section["preset"]))
    if source == "file":
        return _from_named_file(str(section["file"]), rest)
    if source == "nodes":
        if "gpus_per_node" not in rest and "hardware" in rest:
            rest["gpus_per_node"] = node_type(rest["hardware"]).gpus
        if "gpus_per_node" not in rest:
            raise ConfigError("the section [cluster] has nodes but no gpus_per_node; give both")
        return uniform(nodes=section["nodes"], name=section.get("name"), **rest)
    if not isinstance(section["blocks"], list | tuple) or not all(
        isinstance(each, Mapping) for each in section["blocks"]
    ):
        raise ConfigError("cluster.blocks must be a list of tables, [[cluster.blocks]]")
    blocks = [read_block(entry, number) for number, entry in enumerate(section["blocks"], start=1)]
    interconnect = rest.get("interconnect_oversubscription", INTERCONNECT_OVERSUBSCRIPTION)
    return parts_of_blocks(blocks, name=name, interconnect_oversubscription=interconnect, site=site)


def _from_named_file(path: str, rest: dict[str, Any]) -> Parts:
    expected = rest.pop("sha256", None)
    if expected is not None:
        found = hashlib.sha256(_bytes(Path(path))).hexdigest()
        if found != expected:
            raise InputError(
                "the file is not the one this scenario was written for",
                path=path,
                value=found,
                remedy=f"use the file with SHA-256 {expected}, or remove that line from the scenario",
            )
    return from_file(path, **rest)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise InputError(f"the file cannot be read: {problem.strerror}", path=path) from None


def from_file(
    path: str | Path,
    *,
    gpus_per_node: int | None = None,
    gpu_type: str = "generic",
    hardware: str | None = None,
    name: str | None = None,
) -> Parts:
    """Return the cluster of a file: a list of nodes or links (CSV), topology.conf, node-link JSON, GraphML or TOML.

    Parameters
    ----------
    gpus_per_node, gpu_type, hardware
        GPUs and hardware of every node, for topologies that do not state them; of both, ``gpu_type`` is what the GPUs
        of the hardware are called.

    Raises
    ------
    InputError
        With file, row and column, for a file that cannot be used.
    ConfigError
        If the file does not state GPUs and ``gpus_per_node`` is not given.
    """
    path = Path(path)
    try:
        text = _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the text is not UTF-8", path=path, remedy="save the file as UTF-8") from None
    return from_text(
        text, path=path, gpus_per_node=gpus_per_node, gpu_type=gpu_type, hardware=hardware, name=name or path.stem
    )


def from_text(
    text: str,
    *,
    path: Path | None = None,
    gpus_per_node: int | None = None,
    gpu_type: str = "generic",
    hardware: str | None = None,
    name: str = "cluster",
) -> Parts:
    """Return the cluster of a file's text; what it is shows in the text itself.  See :func:`from_file`."""
    start = text.lstrip()[:1]
    if path is not None and path.suffix == ".toml":
        return _from_toml(text, path, name)
    graph = _graph_of(text, path, start)
    if graph is None:
        return _of_inventory(read_inventory(text, path), name=name, hardware=_named(hardware, gpu_type))
    return from_graph(graph, gpus_per_node=gpus_per_node, gpu_type=gpu_type, hardware=hardware, name=name)


def _graph_of(text: str, path: Path | None, start: str) -> nx.Graph | None:
    """Return the graph that the text describes, or ``None`` if it is a list of nodes."""
    if start in ("{", "<"):
        from gpuyard.topology.exchange import read_graphml, read_json

        return read_json(text, path) if start == "{" else read_graphml(text, path)
    from gpuyard.topology.lists import is_topology_list, read_topology_list
    from gpuyard.topology.slurm import is_slurm_topology, read_slurm_topology

    if is_slurm_topology(text):
        return read_slurm_topology(text, path)
    header, _ = csv_rows(text, path)
    return read_topology_list(text, path) if is_topology_list(header) else None


def _from_toml(text: str, path: Path, name: str) -> Parts:
    try:
        sections = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"this is not TOML: {problem}", path=path) from None
    section = sections.get("cluster")
    if not isinstance(section, Mapping):
        raise InputError("the file has no section [cluster]", path=path, remedy="add one, or name a list of nodes")
    section = dict(section)
    if "file" in section:
        section["file"] = str(path.parent / str(section["file"]))
        if Path(section["file"]).suffix == ".toml":
            raise InputError("a cluster's file cannot name a scenario", path=path, column="file", value=section["file"])
    return from_mapping(section, name=name, site=sections.get("site"))


def from_graph(
    graph: nx.Graph,
    *,
    gpus_per_node: int | None = None,
    hardware: str | NodeType | None = None,
    gpu_type: str = "generic",
    levels: tuple[str, ...] | None = None,
    name: str = "graph",
) -> Parts:
    """See :meth:`gpuyard.cluster.Cluster.from_graph`."""
    from gpuyard.topology.compile import compile_graph

    compiled, hardware = compile_graph(graph, levels=levels), _named(hardware, gpu_type)
    if gpus_per_node is None and hardware is not None:
        gpus_per_node = hardware.gpus if isinstance(hardware, NodeType) else node_type(hardware).gpus
    gpus = [_host_gpus(graph, host, gpus_per_node) for host in compiled.hosts]
    fallback = _kind(hardware, gpu_type, 1).gpu_type
    types = [
        str(graph.nodes[host].get("gpu_type", fallback)) if count else ""
        for host, count in zip(compiled.hosts, gpus, strict=True)
    ]
    inventory = Inventory(
        names=[str(host) for host in compiled.hosts],
        gpus=gpus,
        gpu_types=types,
        cpus=_host_figures(graph, compiled.hosts, "cpus"),
        memory_gib=_host_figures(graph, compiled.hosts, "memory_gib"),
    )
    return _of_inventory(
        inventory, name=name, hardware=hardware, levels=compiled.levels, capacity=compiled.capacity, graph=graph
    )


def _host_gpus(graph: nx.Graph, host: Any, gpus_per_node: int | None) -> int:
    stated = graph.nodes[host].get("gpus")
    if stated is None:
        drawn = sum(graph.nodes[other].get("kind") == "gpu" for other in graph.adj[host])
        stated = drawn or gpus_per_node
    if stated is None:
        raise ConfigError(
            f"the topology does not say how many GPUs host {host!r} has; give gpus_per_node or hardware "
            f"(in a scenario: [cluster] file = ..., gpus_per_node = 8)"
        )
    if isinstance(stated, bool) or not isinstance(stated, int) or stated < 0:
        raise ConfigError(f"host {host!r} has gpus = {stated!r}; it must be a whole number of at least 0")
    return stated


def _host_figures(graph: nx.Graph, hosts: Sequence[Any], figure: str) -> list[float] | None:
    """Return a figure that every host states, or ``None`` if none does."""
    stated = [graph.nodes[host].get(figure) for host in hosts]
    if all(each is None for each in stated):
        return None
    for host, each in zip(hosts, stated, strict=True):
        if isinstance(each, bool) or not isinstance(each, int | float) or not 0 <= each < float("inf"):
            raise ConfigError(f"host {host!r} has {figure} = {each!r}; give every host a number of at least 0, or none")
    return [float(each) for each in stated]


def _of_inventory(
    inventory: Inventory,
    *,
    name: str,
    hardware: str | NodeType | None = None,
    levels: Levels | None = None,
    capacity: Capacity | None = None,
    graph: nx.Graph | None = None,
) -> Parts:
    """Return the cluster of listed nodes, in the order of its levels."""
    check_size(f"cluster '{name}'", len(inventory.names), sum(inventory.gpus))
    if levels is None:
        order, levels = _ordered(inventory)
    else:
        order = np.arange(len(inventory.names))
    kinds, node_kind = _kinds(inventory, hardware)
    return Parts(
        name=name,
        node_names=tuple(inventory.names[number] for number in order),
        node_gpus=np.array(inventory.gpus, dtype=np.int32)[order],
        node_kind=node_kind[order],
        kinds=kinds,
        node_cpus=None if inventory.cpus is None else np.array(inventory.cpus, dtype=np.float64)[order],
        node_memory_gib=(
            None if inventory.memory_gib is None else np.array(inventory.memory_gib, dtype=np.float64)[order]
        ),
        levels=levels,
        capacity=capacity,
        graph=graph,
    )


def _ordered(inventory: Inventory) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Levels]:
    names = tuple(inventory.places)
    order, domains = numbered(inventory.names, names, [inventory.places[level] for level in names])
    telling = [level for level, domain in enumerate(domains) if is_telling(domain)]
    levels = Levels(names=tuple(names[level] for level in telling), domains=tuple(domains[level] for level in telling))
    return order, levels


def _kinds(
    inventory: Inventory, hardware: str | NodeType | None
) -> tuple[tuple[NodeType, ...], np.ndarray[Any, np.dtype[np.int16]]]:
    """Return one node type for each pair of GPU type and number, and each node's; the named hardware for its own."""
    known = {(kind.gpu_type, kind.gpus): kind for kind in node_types().values() if kind.name != "generic"}
    named = _kind(hardware, "", 0) if hardware is not None else None
    number: dict[tuple[str, int], int] = {}
    kinds: list[NodeType] = []
    of_node = []
    for pair in zip(inventory.gpu_types, inventory.gpus, strict=True):
        if pair not in number:
            number[pair] = len(kinds)
            gpu_type, gpus = pair
            if named is not None and gpus and named.gpu_type == gpu_type:
                kinds.append(named)
            else:
                kinds.append(known.get(pair) or composed_node(gpu_type=gpu_type, gpus=gpus))
        of_node.append(number[pair])
    if len(kinds) > np.iinfo(np.int16).max:
        raise ConfigError(f"the list has {len(kinds)} kinds of node; gpuyard takes {np.iinfo(np.int16).max}")
    return tuple(kinds), np.array(of_node, dtype=np.int16)


def parse(text: str) -> Parts:
    """See :meth:`gpuyard.cluster.Cluster.parse`."""
    if text in preset_names():
        return preset(text)
    if grid := parse_grid(text):
        return uniform(nodes=grid[0], gpus_per_node=grid[1])
    path = Path(text).expanduser()
    if path.is_file():
        return from_file(path)
    if path.suffix or "/" in text:
        raise InputError("there is no such cluster file", path=text, remedy="check the path")
    nearest = difflib.get_close_matches(text, preset_names(), n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    raise ConfigError(
        f"'{text}' is no cluster; {hint}"
        f"give a preset ({', '.join(preset_names())}), a file, or NODESxGPUS such as 144x8"
    )
