"""Place a job on the nodes that a user's own policy names, or say why not."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.fraction import take_share
from gpuyard.kernel.jit import inner, kernel
from gpuyard.kernel.nodes import take_gpus, withdraw_node
from gpuyard.kernel.placement import hold_chunk
from gpuyard.kernel.scored_placement import note_change
from gpuyard.kernel.tables import Events, Log, Records, Site

__all__ = ["Fault", "place_on"]


class Fault(IntEnum):
    """Why a decision cannot be."""

    NONE = 0
    NOT_WAITING = 1
    TWICE = 2
    TOO_MANY_NODES = 3
    TOO_FEW_NODES = 4
    NO_SUCH_NODE = 5
    NODE_TWICE = 6
    WRONG_TYPE = 7
    NO_ROOM = 8


@kernel
def place_on(
    site: Site,
    demand: Records,
    log: Log,
    events: Events,
    nodes: NDArray[np.int64],
    seen: NDArray[np.int64],
    row: int,
    wish: int,
) -> tuple[int, int]:
    """Place a job chunk by chunk on these nodes, large chunks first; return what is wrong, and with which node.

    ``seen`` has a number for each node, and one more that counts the jobs.  Where something is wrong, nothing changes.
    """
    asked = demand[nth(wish)]
    fault, at = _look(site, demand, nodes, seen, wish)
    if fault != Fault.NONE:
        return fault, at
    first = events.counter[Count.SLOTS]
    if asked["share"] > 0:
        _hold_share(site, demand, log, events, int(nodes[0]), wish)
    else:
        left = int(asked["gpus"])
        for number in range(nodes.size):
            node = int(nodes[nth(number)])
            gpus = _chunk(site, demand, node, wish, nodes.size, number, left)
            left -= gpus
            each = max(gpus, 1)
            withdraw_node(site, node)
            hold_chunk(site, log, events, node, gpus, asked["cpu"] * each, asked["memory"] * each)
            if site.quanta > 0:
                log.gpu[nth(events.counter[Count.SLOTS] - 1)] = take_gpus(site, node, row, gpus)
    if site.scores.stamp.size > 0:
        note_change(site, demand, log, wish, int(first), int(events.counter[Count.SLOTS]), 1)
    return Fault.NONE.value, NOBODY


@inner
def _look(  # noqa: PLR0911  # one return for each thing that may be wrong
    site: Site, demand: Records, nodes: NDArray[np.int64], seen: NDArray[np.int64], wish: int
) -> tuple[int, int]:
    """Return what is wrong with placing a job on these nodes, and with which of them."""
    asked = demand[nth(wish)]
    seen[site.node.size] += 1
    left = int(asked["gpus"])
    kind = NOBODY
    for number in range(nodes.size):
        node = int(nodes[nth(number)])
        if node < 0 or node >= site.node.size:
            return Fault.NO_SUCH_NODE.value, node
        if seen[nth(node)] == seen[site.node.size]:
            return Fault.NODE_TWICE.value, node
        seen[nth(node)] = seen[site.node.size]
        this = site.node[nth(node)]
        if asked["gpus"] > 0:
            other = asked["cut"] != 0 and kind != NOBODY and kind != int(this["kind"])
            if other or asked["kinds"] >> this["kind"] & 1 == 0:
                return Fault.WRONG_TYPE.value, node
            kind = int(this["kind"])
        gpus = _chunk(site, demand, node, wish, nodes.size, number, left)
        if gpus == NOBODY:
            return Fault.TOO_MANY_NODES.value, node
        each = max(gpus, 1)
        if this["cpu"] < asked["cpu"] * each or this["memory"] < asked["memory"] * each:
            return Fault.NO_ROOM.value, node
        if asked["share"] > 0:
            if _fullest(site, node, asked["share"]) == NOBODY:
                return Fault.NO_ROOM.value, node
        elif this["free"] < gpus or (asked["spread"] > 0 and gpus == 0):
            return Fault.NO_ROOM.value, node
        left -= gpus
    if left > 0 or (asked["gpus"] == 0 and nodes.size < max(asked["nodes"], 1)):
        return Fault.TOO_FEW_NODES.value, NOBODY
    return Fault.NONE.value, NOBODY


@kernel
def _chunk(site: Site, demand: Records, node: int, wish: int, nodes: int, number: int, left: int) -> int:
    """Return the GPUs of the chunk with a number, of which ``left`` are still to be placed; NOBODY if there is none."""
    asked = demand[nth(wish)]
    gpus, pieces = int(asked["gpus"]), int(asked["nodes"])
    if gpus == 0 or asked["share"] > 0:
        return gpus if number < max(pieces, 1) else NOBODY
    if left == 0:
        return NOBODY
    if asked["spread"] > 0:
        this = site.node[nth(node)]
        most = min(int(this["free"]), left)
        if asked["cpu"] > 0:
            most = min(most, this["cpu"] // asked["cpu"])
        if asked["memory"] > 0:
            most = min(most, this["memory"] // asked["memory"])
        return most
    if pieces > 0:
        return gpus // pieces + (number < gpus % pieces)
    kind = int(site.node[nth(node)]["kind"])
    return min(left, int(site.largest[nth(kind)])) if asked["cut"] >> kind & 1 else gpus


@inner
def _fullest(site: Site, node: int, share: int) -> int:
    """Return the GPU of a node that has the least free and at least a share, the lowest of these; NOBODY for none."""
    this = site.node[nth(node)]
    best = NOBODY
    for gpu in range(int(this["first_gpu"]), int(this["first_gpu"] + this["size"])):
        free = site.gpu[nth(gpu)]["free"]
        if free >= share and (best == NOBODY or free < site.gpu[nth(best)]["free"]):
            best = gpu
    return best


@inner
def _hold_share(site: Site, demand: Records, log: Log, events: Events, node: int, wish: int) -> None:
    """Let a job hold a share of a GPU of a node on which it fits."""
    asked = demand[nth(wish)]
    gpu = _fullest(site, node, asked["share"])
    this = site.node[nth(node)]
    take_share(site, gpu, asked["share"])
    this["cpu"] -= asked["cpu"]
    this["memory"] -= asked["memory"]
    number = events.counter[Count.SLOTS]
    log.slots[nth(number)]["node"] = node
    log.slots[nth(number)]["gpus"] = 1
    log.gpu[nth(number)] = gpu - this["first_gpu"]
    events.counter[Count.SLOTS] = number + 1
