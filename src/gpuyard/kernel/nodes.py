"""Hand nodes out and take them back: the index and the domains always say what is free."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.index import has_item, insert, remove
from gpuyard.kernel.jit import inlined, inner, inner_inlined, kernel
from gpuyard.kernel.tables import Domains, Site

__all__ = [
    "change_free",
    "give_gpus",
    "has_room",
    "is_offered",
    "offer",
    "offer_node",
    "take_gpus",
    "withdraw",
    "withdraw_node",
]


@inner_inlined
def offer(site: Site, node: int) -> None:
    """Make a node known as free, with what it has."""
    this = site.node[node]
    free = int(this["free"])
    if free >= site.openings.lowest:
        insert(site.openings, int(this["kind"]), free, node)
    if site.domains.levels > 0:
        _count(site, node, NOBODY, free)


@inner_inlined
def change_free(site: Site, node: int, change: int) -> None:
    """Give a node so many more wholly free GPUs, or, with a negative number, fewer."""
    this = site.node[nth(node)]
    kind = int(this["kind"])
    before = int(this["free"])
    after = before + change
    this["free"] = after
    if before >= site.openings.lowest:
        remove(site.openings, kind, before, node)
    if after >= site.openings.lowest:
        insert(site.openings, kind, after, node)
    if site.domains.levels > 0:
        _count(site, node, before, after)


@inner_inlined
def withdraw(site: Site, node: int) -> None:
    """Hide a node while it changes, or while a job is being placed on it."""
    this = site.node[node]
    free = int(this["free"])
    if free >= site.openings.lowest:
        remove(site.openings, int(this["kind"]), free, node)
    if site.domains.levels > 0:
        _count(site, node, free, NOBODY)


@inner
def offer_node(site: Site, node: int) -> None:
    """As :func:`offer`, off the hot path."""
    offer(site, node)


@inner
def withdraw_node(site: Site, node: int) -> None:
    """As :func:`withdraw`, off the hot path."""
    withdraw(site, node)


@inlined
def _count(site: Site, node: int, before: int, after: int) -> None:
    """Count a node in its domains under the GPUs it has free now, no longer under those it had.

    NOBODY stands for a node that is withdrawn.  Nothing is called where no count changes, which is most often.
    """
    this = site.node[nth(node)]
    at = int(this["kind"]) * (site.openings.n_keys + 1) + 1
    low, high = int(site.domains.reach[nth(at + before)]), int(site.domains.reach[nth(at + after)])
    emptied = int(after == int(this["size"])) - int(before == int(this["size"]))
    if low != high or emptied != 0:
        _recount(site.domains, node, int(this["kind"]), low, high, emptied)


@kernel
def _recount(domains: Domains, node: int, kind: int, low: int, high: int, emptied: int) -> None:
    """Count a node under the sizes of chunk before ``high``, no longer under those before ``low``."""
    tally = domains.tally
    for number in range(domains.levels):
        its = domains.level[nth(number)]
        size = its["size"]
        domain = int(domains.of_node[nth(node * domains.levels + number)])
        at = its["fitting"] + domain
        for fitting in range(low, high):
            tally[nth(at + fitting * size)] += 1
        for fitting in range(high, low):
            tally[nth(at + fitting * size)] -= 1
        if emptied != 0:
            at = its["empty"] + kind * size + domain
            empty = int(tally[nth(at)])
            tally[nth(at)] = empty + emptied
            at = its["held"] + kind * (its["most"] + 1) + empty
            tally[nth(at)] -= 1
            tally[nth(at + emptied)] += 1


@inner_inlined
def has_room(site: Site, node: int, cpu: int, memory: int) -> bool:
    """Return whether a node has so much CPU and memory free."""
    return site.node[node]["cpu"] >= cpu and site.node[node]["memory"] >= memory


@inner_inlined
def is_offered(site: Site, node: int) -> bool:
    """Return whether a node is neither withdrawn nor without anything that jobs could ask for."""
    this = site.node[nth(node)]
    free = int(this["free"])
    return free >= site.openings.lowest and has_item(site.openings, int(this["kind"]), free, node)


@inner
def take_gpus(site: Site, node: int, row: int, wanted: int) -> int:
    """Give a job the lowest wholly free GPUs of a node; return the first one's number on the node."""
    first = int(site.node[node]["first_gpu"])
    lowest = NOBODY
    left = wanted
    gpu = first
    while left > 0:
        if site.gpu[gpu]["free"] == site.quanta:
            remove(site.shares, int(site.node[node]["kind"]), site.quanta, gpu)
            site.gpu[gpu]["free"] = 0
            site.gpu[gpu]["owner"] = row
            if lowest == NOBODY:
                lowest = gpu - first
            left -= 1
        gpu += 1
    return lowest


@inner
def give_gpus(site: Site, node: int, row: int) -> None:
    """Take back the whole GPUs that a job holds on a node."""
    first = int(site.node[node]["first_gpu"])
    for gpu in range(first, first + int(site.node[node]["size"])):
        if site.gpu[gpu]["owner"] == row:
            site.gpu[gpu]["owner"] = NOBODY
            site.gpu[gpu]["free"] = site.quanta
            insert(site.shares, int(site.node[node]["kind"]), site.quanta, gpu)
