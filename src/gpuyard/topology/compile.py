"""A graph of hosts and switches compiled to levels of locality and capacities.

What a host says of itself goes first: if hosts carry ``rack``, ``leaf``, ``pod``, ... these are the levels.  Otherwise
levels follow from distances: two hosts are together on level k if k steps up from each meet in a common switch.  That
gives levels in tree-like fabrics (folded Clos, leaf-spine, rail-optimised, trees), where "meet within k steps" is
transitive; where it is not (torus, dragonfly, a Clos with missing links), compiling says so and asks for attributes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.topology.capacity import Capacity
from gpuyard.topology.derive import derived_places
from gpuyard.topology.direct import is_telling
from gpuyard.topology.fabric import LEVEL_ORDER
from gpuyard.topology.levels import Levels
from gpuyard.topology.numbering import numbered

__all__ = ["Compiled", "compile_graph"]

Place = Mapping[Hashable, Hashable]
"""Domain of each host and switch that lies in one, for one level."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """A graph's hosts in topology order, their levels, and the capacities (``None`` if any link lacks ``gbps``)."""

    hosts: tuple[Hashable, ...]
    levels: Levels
    capacity: Capacity | None


def compile_graph(graph: nx.Graph, *, levels: Sequence[str] | None = None) -> Compiled:
    """Return hosts, levels and capacities of a graph.

    Parameters
    ----------
    graph
        Nodes with ``kind`` 'host' or 'switch' (others, such as 'gpu', are left alone); edges with ``gbps``.
    levels
        Host attributes that are the levels, lowest first.  Default: those of :data:`LEVEL_ORDER` that hosts
        have; without any, levels are derived from distances.

    Raises
    ------
    ConfigError
        For a graph without hosts, a host that lacks a level that others have, a domain that lies in two domains
        of the level above, or a graph that is no tree-like fabric and has no attributes.
    """
    if graph.is_directed():
        raise ConfigError("the topology graph is directed; links work both ways, so give graph.to_undirected()")
    hosts = [node for node, kind in graph.nodes(data="kind") if kind == "host"]
    if not hosts:
        raise ConfigError("the topology graph has no hosts; mark them with the node attribute kind = 'host'")
    names, places = _explicit_places(graph, hosts, levels)
    if not names:
        names, places = derived_places(graph, hosts)
    order, domains = numbered(hosts, names, [[place[host] for host in hosts] for place in places])
    telling = [level for level, domain in enumerate(domains) if is_telling(domain)]
    ordered = tuple(hosts[number] for number in order)
    return Compiled(
        hosts=ordered,
        levels=Levels(
            names=tuple(names[level] for level in telling), domains=tuple(domains[level] for level in telling)
        ),
        capacity=_capacity(graph, ordered, [places[level] for level in telling], [domains[level] for level in telling]),
    )


def _explicit_places(
    graph: nx.Graph, hosts: Sequence[Hashable], levels: Sequence[str] | None
) -> tuple[tuple[str, ...], list[Place]]:
    """Return the levels that hosts name themselves, and for each the domain of hosts and switches."""
    wanted = LEVEL_ORDER if levels is None else tuple(levels)
    names: list[str] = []
    places: list[Place] = []
    for name in wanted:
        place = {node: value for node, value in graph.nodes(data=name) if value is not None}
        lacking = [host for host in hosts if host not in place]
        if len(lacking) == len(hosts) and levels is None:
            continue
        if lacking:
            raise ConfigError(
                f"host {lacking[0]!r} has no '{name}', as {len(lacking)} of {len(hosts)} hosts have none; "
                f"give every host the attribute or none"
            )
        names.append(name)
        places.append(place)
    return tuple(names), places


def _capacity(
    graph: nx.Graph,
    hosts: Sequence[Hashable],
    places: Sequence[Place],
    domains: Sequence[NDArray[np.int32]],
) -> Capacity | None:
    """Return what crosses each host's and each domain's border, or ``None`` if a link has no capacity."""
    row = {host: number for number, host in enumerate(hosts)}
    node_gbps = np.zeros(len(hosts))
    number_of = [
        {place[host]: int(domain[number]) for number, host in enumerate(hosts)}
        for place, domain in zip(places, domains, strict=True)
    ]
    uplinks = [np.zeros(len(numbers)) for numbers in number_of]
    for one, other, edge in graph.edges(data=True):
        if edge.get("kind") == "nvlink":
            continue
        if edge.get("gbps") is None:
            return None
        for end in (one, other):
            if end in row:
                node_gbps[row[end]] += edge["gbps"]
        for place, numbers, uplink in zip(places, number_of, uplinks, strict=True):
            here, there = place.get(one), place.get(other)
            if here != there:
                for domain in (here, there):
                    if domain is not None and domain in numbers:
                        uplink[numbers[domain]] += edge["gbps"]
    return Capacity(node_gbps=node_gbps, uplink_gbps=tuple(uplinks))
