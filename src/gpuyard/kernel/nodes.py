"""Hand nodes out and take them back: the index and the domains always say what is free."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.index import insert, remove
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Site

__all__ = ["change_free", "give_gpus", "has_room", "offer", "offer_node", "take_gpus", "withdraw", "withdraw_node"]


@inlined
def offer(site: Site, node: int) -> None:
    """Make a node known as free, with what it has."""
    this = site.node[node]
    free = int(this["free"])
    if free >= site.openings.lowest:
        insert(site.openings, int(this["kind"]), free, node)
    if site.domains.levels > 0:
        _tally(site, node, free, 1)


@inlined
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
        _retally(site, node, before, after)


@inlined
def withdraw(site: Site, node: int) -> None:
    """Hide a node while it changes, or while a job is being placed on it."""
    this = site.node[node]
    free = int(this["free"])
    if free >= site.openings.lowest:
        remove(site.openings, int(this["kind"]), free, node)
    if site.domains.levels > 0:
        _tally(site, node, free, -1)


@kernel
def offer_node(site: Site, node: int) -> None:
    """As :func:`offer`, off the hot path."""
    offer(site, node)


@kernel
def withdraw_node(site: Site, node: int) -> None:
    """As :func:`withdraw`, off the hot path."""
    withdraw(site, node)


@kernel
def _tally(site: Site, node: int, free: int, change: int) -> None:
    """Count a node in (+1) or out (-1) of its domains, under the GPUs it has free."""
    domains, this = site.domains, site.node[nth(node)]
    kind, is_empty = int(this["kind"]), free == int(this["size"])
    row = kind * site.openings.n_keys + free
    for number in range(domains.levels):
        its = domains.level[nth(number)]
        domain = int(domains.of_node[nth(number * site.node.size + node)])
        domains.tally[nth(its["fitting"] + row * its["size"] + domain)] += change
        if is_empty:
            domains.tally[nth(its["empty"] + kind * its["size"] + domain)] += change


@kernel
def _retally(site: Site, node: int, before: int, after: int) -> None:
    """Count a node under the GPUs it has free now, no longer under those it had."""
    domains, this = site.domains, site.node[nth(node)]
    kind, all_gpus = int(this["kind"]), int(this["size"])
    row = kind * site.openings.n_keys
    for number in range(domains.levels):
        its = domains.level[nth(number)]
        size = its["size"]
        domain = int(domains.of_node[nth(number * site.node.size + node)])
        domains.tally[nth(its["fitting"] + (row + before) * size + domain)] -= 1
        domains.tally[nth(its["fitting"] + (row + after) * size + domain)] += 1
        if before == all_gpus:
            domains.tally[nth(its["empty"] + kind * size + domain)] -= 1
        if after == all_gpus:
            domains.tally[nth(its["empty"] + kind * size + domain)] += 1


@inlined
def has_room(site: Site, node: int, cpu: int, memory: int) -> bool:
    """Return whether a node has so much CPU and memory free."""
    return site.node[node]["cpu"] >= cpu and site.node[node]["memory"] >= memory


@kernel
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


@kernel
def give_gpus(site: Site, node: int, row: int) -> None:
    """Take back the whole GPUs that a job holds on a node."""
    first = int(site.node[node]["first_gpu"])
    for gpu in range(first, first + int(site.node[node]["size"])):
        if site.gpu[gpu]["owner"] == row:
            site.gpu[gpu]["owner"] = NOBODY
            site.gpu[gpu]["free"] = site.quanta
            insert(site.shares, int(site.node[node]["kind"]), site.quanta, gpu)
