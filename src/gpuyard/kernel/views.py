"""How much room there would be without the jobs of a tenant above a level: kept from one look to the next.

A *view* has, of every node, what is free and what such jobs hold, and how many nodes have so much.  Nodes that changed
are noted, and looked at again when the view is asked; so a look costs as much as happened since the last one, and not
as much as the tenant runs.  Only plain jobs are counted, on a site of one GPU type.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Log, Records, Site

__all__ = ["Look", "Views", "add_to_view", "build_views", "nodes_short", "note_nodes", "open_view"]

_VIEWS = 128
_RING = 8192

VIEW = np.dtype(
    [
        ("level", np.int64),
        ("gpus", np.int64),  # thousandths that the jobs hold
        ("looked", np.int64),  # Look.CHANGED at the last look
        ("tenant", np.int32),  # NOBODY: not in use
        ("next", np.int32),  # of the same tenant, or NOBODY
    ]
)


class Look(IntEnum):
    """Places in the state of the views."""

    CHANGED = 0
    """nodes that changed, each time that they did"""
    OPENED = 1
    """views opened, ever since the beginning; the oldest makes way"""
    KEYS = 2
    """numbers of GPUs that a node can have, with 0"""
    SIZE = 3


class Views(NamedTuple):
    """What was seen; shape (views * nodes,) where nothing else is said."""

    about: Records  # shape (views,)
    own: NDArray[np.int32]  # GPUs that the jobs hold
    sums: NDArray[np.int32]  # these and the free ones, when the node was looked at
    counts: NDArray[np.int32]  # shape (views * keys,): nodes with such a sum
    changed: NDArray[np.int32]  # the last nodes that changed, in a ring
    state: NDArray[np.int64]  # by Look


def build_views(nodes: int, largest: int, *, wanted: bool) -> Views:
    """Return views that nobody has opened, of so many nodes of at most ``largest`` GPUs; memory not used costs nothing.

    Without views wanted, there is no room for any.
    """
    views = _VIEWS if wanted else 0
    view = np.zeros(views, VIEW)
    view["tenant"] = view["next"] = NOBODY
    state = np.zeros(Look.SIZE, np.int64)
    state[Look.KEYS] = largest + 1
    own, sums = (np.zeros(views * nodes, np.int32) for _ in range(2))
    counts = np.zeros(views * (largest + 1), np.int32)
    return Views(view, own, sums, counts, np.zeros(_RING if wanted else 0, np.int32), state)


@inlined
def note_nodes(views: Views, log: Log, first: int, slots: int) -> None:
    """Note that what is free has changed where these slots are, if anybody looks."""
    if views.state[Look.OPENED] > 0:
        for slot in range(first, first + slots):
            number = views.state[Look.CHANGED]
            views.changed[nth(number & (_RING - 1))] = log.slots[nth(slot)]["node"]
            views.state[Look.CHANGED] = number + 1


@kernel
def add_to_view(views: Views, site: Site, log: Log, number: int, gpus: int, first: int, slots: int, sign: int) -> None:
    """Count a job of so many thousandths, in these slots, for a view or, with ``sign`` -1, against it."""
    nodes = site.node.size
    views.about[nth(number)]["gpus"] += sign * gpus
    for slot in range(first, first + slots):
        node = int(log.slots[nth(slot)]["node"])
        views.own[nth(number * nodes + node)] += sign * int(log.slots[nth(slot)]["gpus"])
        _look_at(views, site, number, node)


@inlined
def _look_at(views: Views, site: Site, number: int, node: int) -> None:
    """Count a node of a view under what is free there and what the jobs hold.

    While several jobs of a tenant are being taken away, some of what they held may be both for the time being.
    """
    keys, place = views.state[Look.KEYS], number * site.node.size + node
    total = min(int(site.node[nth(node)]["free"]) + int(views.own[nth(place)]), keys - 1)
    if total != views.sums[nth(place)]:
        views.counts[nth(number * keys + views.sums[nth(place)])] -= 1
        views.counts[nth(number * keys + total)] += 1
        views.sums[nth(place)] = total


@kernel
def open_view(views: Views, site: Site, number: int, tenant: int, level: int, following: int) -> None:
    """Begin a view of no jobs, the first of its tenant, before ``following``."""
    nodes, keys = site.node.size, views.state[Look.KEYS]
    views.state[Look.OPENED] += 1
    view = views.about[nth(number)]
    view["tenant"], view["level"], view["next"] = tenant, level, following
    view["gpus"] = 0
    view["looked"] = views.state[Look.CHANGED]
    for key in range(keys):
        views.counts[nth(number * keys + key)] = 0
    for node in range(nodes):
        free = int(site.node[nth(node)]["free"])
        views.own[nth(number * nodes + node)] = 0
        views.sums[nth(number * nodes + node)] = free
        views.counts[nth(number * keys + free)] += 1


@kernel
def nodes_short(views: Views, site: Site, asked: Records, number: int) -> int:
    """Return how many nodes at least a plain job would lack by a view; 0 if it would find room."""
    _look(views, site, number)
    keys = views.state[Look.KEYS]
    large, many, rest = int(asked["large"]), int(asked["many"]), int(asked["rest"])
    fitting, smaller = 0, 0
    for key in range(large, keys):
        fitting += int(views.counts[nth(number * keys + key)])
    if rest > 0:
        for key in range(rest, keys):
            smaller += int(views.counts[nth(number * keys + key)])
    return max(many - fitting, many + 1 - smaller if rest > 0 else 0, 0)


@kernel
def _look(views: Views, site: Site, number: int) -> None:
    """Look again at the nodes that have changed since the last look; at all, if these are more."""
    view, nodes = views.about[nth(number)], site.node.size
    since, now = int(view["looked"]), int(views.state[Look.CHANGED])
    view["looked"] = now
    every = now - since > min(nodes, _RING)
    for at in range(0 if every else since, nodes if every else now):
        _look_at(views, site, number, at if every else int(views.changed[nth(at & (_RING - 1))]))
