"""The order of nodes in which every domain of every level is a run, from the names of the domains."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError

__all__ = ["numbered"]


def numbered(
    nodes: Sequence[Hashable], names: Sequence[str], places: Sequence[Sequence[Hashable]]
) -> tuple[NDArray[np.int64], list[NDArray[np.int32]]]:
    """Return the order of nodes that makes every domain a run, and the domains in that order, numbered along it.

    Domains stand in the order in which the nodes first name them, nodes of a domain in the given order.

    Parameters
    ----------
    nodes
        What messages call the nodes.
    names
        Names of the levels, lowest first.
    places
        For each level, the domain of each node.

    Raises
    ------
    ConfigError
        If a domain lies in two domains of the level above.
    """
    raw = [_first_seen(place) for place in places]
    for level in range(len(raw) - 1):
        _check_nested(names[level : level + 2], nodes, places[level], raw[level], raw[level + 1])
    count = len(nodes)
    order = np.lexsort([np.arange(count), *raw]) if raw else np.arange(count)
    domains = []
    for numbers in raw:
        along = numbers[order]
        domains.append(np.concatenate(([0], np.cumsum(np.diff(along) != 0))).astype(np.int32))
    return order, domains


def _first_seen(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """Return each value's number in order of first appearance."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values], dtype=np.int64)


def _check_nested(
    names: Sequence[str],
    nodes: Sequence[Hashable],
    place: Sequence[Hashable],
    lower: NDArray[np.int64],
    upper: NDArray[np.int64],
) -> None:
    parent = np.full(int(lower.max()) + 1, -1)
    parent[lower[::-1]] = upper[::-1]
    astray = np.flatnonzero(parent[lower] != upper)
    if astray.size:
        row = int(astray[0])
        raise ConfigError(
            f"{names[0]} {place[row]!r} of node {nodes[row]!r} lies in two domains of the level '{names[1]}'; "
            f"give each {names[0]} a name of its own, such as '<{names[1]}>/<{names[0]}>'"
        )
