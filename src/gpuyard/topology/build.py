"""Fabrics drawn as one networkx graph of hosts and switches.

Nodes have ``kind`` ('host' or 'switch'), a switch its ``role`` (nvlink, leaf, spine, core, backbone) and ``switches``
(how many boxes it stands for), and hosts and switches the domain they are in for each level that holds them
(``rack``, ``leaf``, ``pod``, ...).  Edges have ``gbps`` (capacity in one direction), ``links`` (how many are bundled; a
fraction where ports are shared out unevenly) and, inside an NVLink domain, ``kind`` = 'nvlink'.
"""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from gpuyard.topology.direct import backbone_gbps, filled_tiers, level_names
from gpuyard.topology.fabric import Fabric, Tier

__all__ = ["BACKBONE", "fabric_graph", "site_graph"]

BACKBONE = "backbone"
"""Name of the switch that joins the halls of a site of several fabrics."""


def fabric_graph(fabric: Fabric, *, aggregate: bool = False) -> nx.Graph:
    """Return the graph of one fabric; see :func:`site_graph`."""
    return site_graph((fabric,), aggregate=aggregate)


def site_graph(
    fabrics: Sequence[Fabric], *, interconnect_oversubscription: float = 4.0, aggregate: bool = True
) -> nx.Graph:
    """Return the graph of a site.

    Parameters
    ----------
    fabrics
        One or more; several are joined by one backbone switch.
    interconnect_oversubscription
        Capacity of a hall's hosts over the capacity from the hall to the backbone.
    aggregate
        ``True`` draws the parallel switches of a domain as one, with their links bundled: the same
        distances and capacities in an eighth of the edges of a fabric of eight rails.
    """
    graph = nx.Graph()
    names = level_names(fabrics)
    for fabric in fabrics:
        _add_hosts(graph, fabric, names)
        tiers = [tier for tier in fabric.tiers if tier.planes]
        for tier in tiers:
            _add_switches(graph, fabric, tier, names, aggregate)
            if tier.role == "nvlink":
                _link_hosts(graph, fabric, tier, aggregate)
        _link_hosts(graph, fabric, fabric.network_tiers[0], aggregate)
        for lower, upper in zip(fabric.network_tiers[:-1], fabric.network_tiers[1:], strict=True):
            _link_tiers(graph, fabric, lower, upper, aggregate)
    if len(fabrics) > 1:
        graph.add_node(BACKBONE, kind="switch", role=BACKBONE, switches=0)
        for fabric in fabrics:
            _link_backbone(graph, fabric, backbone_gbps(fabric, interconnect_oversubscription), aggregate)
    return graph


def _places(fabric: Fabric, names: Sequence[str]) -> list[tuple[str, int]]:
    """Return (level, hosts of a domain) for every level, lowest first."""
    return [(tier.level, tier.hosts) for tier in filled_tiers(fabric, names)]


def _add_hosts(graph: nx.Graph, fabric: Fabric, names: Sequence[str]) -> None:
    places = _places(fabric, names)
    for number in range(fabric.hosts):
        inside = {level: f"{fabric.name}/{level}-{number // hosts}" for level, hosts in places}
        graph.add_node(f"{fabric.name}-{number:05d}", kind="host", **inside)


def _switch_names(fabric: Fabric, tier: Tier, domain: int, aggregate: bool) -> list[str]:
    name = f"{fabric.name}-{tier.role}-{domain}"
    return [name] if aggregate or tier.planes == 1 else [f"{name}.{plane}" for plane in range(tier.planes)]


def _add_switches(graph: nx.Graph, fabric: Fabric, tier: Tier, names: Sequence[str], aggregate: bool) -> None:
    places = _places(fabric, names)
    places = places[[level for level, _ in places].index(tier.level) :]
    for domain in range(fabric.domains(tier)):
        first = domain * tier.hosts
        inside = {level: f"{fabric.name}/{level}-{first // hosts}" for level, hosts in places}
        drawn = _switch_names(fabric, tier, domain, aggregate)
        for name in drawn:
            graph.add_node(name, kind="switch", role=tier.role, switches=tier.switches // len(drawn), **inside)


def _link_hosts(graph: nx.Graph, fabric: Fabric, tier: Tier, aggregate: bool) -> None:
    """Link every host to the switches of its domain of that tier."""
    nvlink = tier.role == "nvlink"
    for domain in range(fabric.domains(tier)):
        drawn = _switch_names(fabric, tier, domain, aggregate)
        if nvlink:
            edge: dict[str, object] = {"kind": "nvlink", "gbps": fabric.nvlink_gbps, "links": 1}
        else:
            edge = {"gbps": fabric.host_gbps / len(drawn), "links": _count(fabric.links / len(drawn))}
        for number in range(domain * tier.hosts, min((domain + 1) * tier.hosts, fabric.hosts)):
            host = f"{fabric.name}-{number:05d}"
            graph.add_edges_from([(host, name) for name in drawn], **edge)


def _link_tiers(graph: nx.Graph, fabric: Fabric, lower: Tier, upper: Tier, aggregate: bool) -> None:
    """Link every switch of a tier to its plane of the tier above."""
    for domain in range(fabric.domains(lower)):
        below = _switch_names(fabric, lower, domain, aggregate)
        above = _switch_names(fabric, upper, domain * lower.hosts // upper.hosts, aggregate)
        each = len(above) // len(below)
        gbps = lower.up_gbps / len(above)
        for plane, name in enumerate(below):
            targets = above[plane * each : (plane + 1) * each]
            graph.add_edges_from([(name, to) for to in targets], gbps=gbps, links=_count(gbps / fabric.link_gbps))


def _link_backbone(graph: nx.Graph, fabric: Fabric, gbps: float, aggregate: bool) -> None:
    top = fabric.network_tiers[-1]
    drawn = [name for domain in range(fabric.domains(top)) for name in _switch_names(fabric, top, domain, aggregate)]
    each = gbps / len(drawn)
    graph.add_edges_from([(name, BACKBONE) for name in drawn], gbps=each, links=_count(each / fabric.link_gbps))


def _count(links: float) -> int | float:
    """Return a whole number of links as an integer."""
    return int(links) if links == int(links) else links
