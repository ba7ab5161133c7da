"""Jobs that have their nodes to themselves: placed by any rule on empty nodes, and holding all that these have.

Nodes that hold anybody are withdrawn while such a job is placed, so that no rule has to know of it; where all jobs are
alone, no node is held in part, and nothing is withdrawn.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import Count, Placement
from gpuyard.kernel.jit import inner, kernel, pointed
from gpuyard.kernel.nodes import give_gpus, is_offered, offer_node, take_gpus, withdraw_node
from gpuyard.kernel.placement import place_special, release_special
from gpuyard.kernel.rails import place_rails
from gpuyard.kernel.switches import place_switched
from gpuyard.kernel.tables import Events, Log, Records, Site

__all__ = ["place_alone", "release_alone", "take_rest"]


@pointed
def place_alone(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place any job, those that are to be alone on empty nodes; return whether it found room."""
    if demand[nth(wish)]["alone"] == 0:
        return _place_any(site, demand, log, events, row, wish)
    first = events.counter[Count.SLOTS]
    hidden = _hide_used(site) if site.hidden.size > 0 else 0
    placed = _place_any(site, demand, log, events, row, wish)
    for place in range(hidden):
        offer_node(site, int(site.hidden[nth(place)]))
    for number in range(first, events.counter[Count.SLOTS]):
        take_rest(site, log, row, number)
    return placed


@inner
def _place_any(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place a job by the site's rule."""
    if site.rule == Placement.RAIL_ALIGNED:
        return place_rails(site, demand, log, events, row, wish)
    if site.rule in (Placement.TOPOLOGY_TREE, Placement.TOPOLOGY_BLOCK):
        return place_switched(site, demand, log, events, row, wish)
    return place_special(site, demand, log, events, row, wish)


@kernel
def _hide_used(site: Site) -> int:
    """Withdraw the nodes that hold anybody and are not withdrawn yet; return how many, noted in ``site.hidden``."""
    hidden = 0
    for node in range(site.node.size):
        this = site.node[nth(node)]
        used = this["free"] < this["size"] or this["cpu"] < site.capacity[nth(node)]["cpu"]
        if used and is_offered(site, node):
            withdraw_node(site, node)
            site.hidden[nth(hidden)] = node
            hidden += 1
    return hidden


@inner
def take_rest(site: Site, log: Log, row: int, number: int) -> None:
    """Let a job hold all that is left of the node of a slot."""
    slot = log.slots[nth(number)]
    node = int(slot["node"])
    this = site.node[nth(node)]
    withdraw_node(site, node)
    this["free"] = 0
    this["cpu"] = 0
    this["memory"] = 0
    offer_node(site, node)
    if site.quanta > 0:
        take_gpus(site, node, row, int(this["size"]) - int(slot["gpus"]))
        log.gpu[nth(number)] = 0 if this["size"] > 0 else -1
    slot["gpus"] = this["size"]


@pointed
def release_alone(site: Site, demand: Records, log: Log, row: int, wish: int, first: int, chunks: int) -> None:
    """Give back what job ``row``, which asked for demand ``wish``, holds in its slots."""
    if demand[nth(wish)]["alone"] == 0:
        release_special(site, demand, log, row, wish, first, chunks)
        return
    for number in range(first, first + chunks):
        node = int(log.slots[nth(number)]["node"])
        this = site.node[nth(node)]
        withdraw_node(site, node)
        this["free"] = this["size"]
        this["cpu"] = site.capacity[nth(node)]["cpu"]
        this["memory"] = site.capacity[nth(node)]["memory"]
        offer_node(site, node)
        if site.quanta > 0:
            give_gpus(site, node, row)
