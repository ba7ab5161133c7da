"""Levels of a fabric whose hosts say nothing of racks and pods: from the switches where they meet."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import count

import networkx as nx

from gpuyard.errors import ConfigError

__all__ = ["DERIVED_NAMES", "derived_places"]

DERIVED_NAMES = ("leaf", "pod", "hall")
"""Names of derived levels; further ones are tier-4, tier-5, ..."""


def derived_places(
    graph: nx.Graph, hosts: Sequence[Hashable]
) -> tuple[tuple[str, ...], list[Mapping[Hashable, Hashable]]]:
    """Return level names, lowest first, and for each level the domain of every host and switch in one.

    Hosts joined by links of ``kind`` 'nvlink' are one domain of the level ``nvlink``.  Above it, hosts are together on
    level k if k steps over network links from each of them meet in a switch.  Steps end when all that is connected
    is together; hosts that no path connects are together in the site alone.

    Raises
    ------
    ConfigError
        If a host has no switch, or meeting within k steps is not transitive: no tree-like fabric.
    """
    names: list[str] = []
    places: list[Mapping[Hashable, Hashable]] = []
    if any(kind == "nvlink" for _, _, kind in graph.edges(data="kind")):
        names.append("nvlink")
        places.append(_nvlink_place(graph, hosts))
    switches = _switch_neighbours(graph)
    reach = _first_reach(graph, hosts, switches)
    level = 0
    for steps in count(1):
        together = _components(reach, steps)
        grown = {group: _grown(ball, switches) for group, ball in reach.items()}
        if len(set(together.values())) == 1:
            break
        place: dict[Hashable, Hashable] = {switch: together[group] for group, ball in reach.items() for switch in ball}
        place.update((host, together[group]) for group in reach for host in group)
        if not places or len(set(together.values())) < len({places[-1][host] for host in hosts}):
            names.append(DERIVED_NAMES[level] if level < len(DERIVED_NAMES) else f"tier-{level + 1}")
            places.append(place)
            level += 1
        if grown == reach:
            break
        reach = grown
    return tuple(names), places


def _nvlink_place(graph: nx.Graph, hosts: Sequence[Hashable]) -> dict[Hashable, Hashable]:
    inside = nx.Graph((one, other) for one, other, kind in graph.edges(data="kind") if kind == "nvlink")
    inside.add_nodes_from(hosts)
    return {node: number for number, part in enumerate(nx.connected_components(inside)) for node in part}


def _is_network(edge: Mapping[str, object]) -> bool:
    return edge.get("kind") != "nvlink"


def _switch_neighbours(graph: nx.Graph) -> dict[Hashable, frozenset[Hashable]]:
    """Return, for each switch, the switches it has network links to."""
    switches = {node for node, kind in graph.nodes(data="kind") if kind == "switch"}
    return {
        node: frozenset(other for other, edge in graph.adj[node].items() if other in switches and _is_network(edge))
        for node in switches
    }


def _first_reach(
    graph: nx.Graph, hosts: Sequence[Hashable], switches: Mapping[Hashable, frozenset[Hashable]]
) -> dict[tuple[Hashable, ...], frozenset[Hashable]]:
    """Return the groups of hosts that hang on exactly the same switches, and these switches."""
    groups: dict[frozenset[Hashable], list[Hashable]] = {}
    for host in hosts:
        above = frozenset(other for other, edge in graph.adj[host].items() if other in switches and _is_network(edge))
        if not above:
            raise ConfigError(
                f"host {host!r} hangs on no switch, so its levels cannot be derived; "
                f"give all hosts attributes such as 'rack' or 'leaf'"
            )
        groups.setdefault(above, []).append(host)
    return {tuple(members): above for above, members in groups.items()}


def _grown(ball: frozenset[Hashable], switches: Mapping[Hashable, frozenset[Hashable]]) -> frozenset[Hashable]:
    return ball.union(*(switches[switch] for switch in ball))


def _components(
    reach: Mapping[tuple[Hashable, ...], frozenset[Hashable]], steps: int
) -> dict[tuple[Hashable, ...], int]:
    """Return a number for each group such that groups that meet in a switch have the same one."""
    groups = list(reach)
    meeting: dict[Hashable, list[int]] = {}
    for number, group in enumerate(groups):
        for switch in reach[group]:
            meeting.setdefault(switch, []).append(number)
    parent = list(range(len(groups)))
    for met in {tuple(numbers) for numbers in meeting.values()}:
        _join(parent, met)
    roots = [_root(parent, number) for number in range(len(groups))]
    _check_transitive([reach[group] for group in groups], roots, meeting, steps)
    first: dict[int, int] = {}
    return {group: first.setdefault(root, len(first)) for group, root in zip(groups, roots, strict=True)}


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def _join(parent: list[int], numbers: Iterable[int]) -> None:
    roots = [_root(parent, number) for number in numbers]
    lowest = min(roots)
    for root in roots:
        parent[root] = lowest


def _check_transitive(
    balls: Sequence[frozenset[Hashable]], roots: Sequence[int], meeting: Mapping[Hashable, Sequence[int]], steps: int
) -> None:
    """Raise a ConfigError unless every two groups of a component meet directly."""
    size: dict[int, int] = {}
    for root in roots:
        size[root] = size.get(root, 0) + 1
    for ball, root in zip(balls, roots, strict=True):
        if any(len(meeting[switch]) == size[root] for switch in ball):
            continue
        met = set().union(*(meeting[switch] for switch in ball))
        if len(met) != size[root]:
            raise ConfigError(
                f"this is no tree-like fabric: {steps} steps up, some hosts meet others that do not meet; "
                f"give all hosts attributes such as 'rack', 'leaf' and 'pod'"
            )
