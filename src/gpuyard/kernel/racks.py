"""What a domain has free: the nodes that fit a chunk, and all wholly free GPUs.

Nodes that are withdrawn, because the job uses them already or they are reserved, have nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth, trailing_zeros
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.nodes import has_room, is_offered
from gpuyard.kernel.tables import Site

__all__ = ["counted_at", "emptiest_node", "nodes_fitting"]


@inner
def counted_at(site: Site, level: int, kinds: int, gpus: int, cpu: int, memory: int) -> int:
    """Return where the counts of nodes that fit a chunk begin in the tally, a domain each, or NOBODY.

    There are such counts for chunks of GPUs of one type, where neither CPUs nor memory matter.
    """
    if gpus == 0 or cpu > 0 or memory > 0 or kinds & (kinds - 1) != 0:
        return NOBODY
    kind = trailing_zeros(kinds)
    if gpus > site.largest[nth(kind)]:
        return NOBODY
    its = site.domains.level[nth(level)]
    number = int(site.domains.reach[nth(kind * (site.openings.n_keys + 1) + 1 + gpus)]) - 1
    return int(its["fitting"] + number * its["size"])


@inner
def nodes_fitting(site: Site, level: int, domain: int, kinds: int, gpus: int, cpu: int, memory: int) -> int:
    """Return how many nodes of a domain, of some types, fit a chunk: from the counts where only GPUs matter."""
    domains = site.domains
    its = domains.level[nth(level)]
    found = 0
    if gpus > 0 and cpu == 0 and memory == 0:
        for kind in range(site.openings.kinds):
            if kinds >> kind & 1 and gpus <= site.largest[nth(kind)]:
                number = int(domains.reach[nth(kind * (site.openings.n_keys + 1) + 1 + gpus)]) - 1
                found += domains.tally[nth(its["fitting"] + number * its["size"] + domain)]
        return found
    row = its["base"] + domain
    for node in range(domains.domain[nth(row)]["first_node"], domains.domain[nth(row + 1)]["first_node"]):
        found += _fits(site, node, kinds, gpus, cpu, memory)
    return found


@inlined
def _fits(site: Site, node: int, kinds: int, gpus: int, cpu: int, memory: int) -> bool:
    """Return whether a node is of an allowed type, offered, and fits a chunk."""
    this = site.node[nth(node)]
    if not kinds >> this["kind"] & 1 or this["free"] < gpus:
        return False
    return has_room(site, node, cpu, memory) and is_offered(site, node)


@inner
def emptiest_node(site: Site, kinds: int, gpus: int, cpu: int, memory: int) -> int:
    """Return the fitting node with the most free GPUs in the lowest-level domain with the most, or NOBODY.

    Only domains with a fitting node count; ties go to the lowest.
    """
    domains = site.domains
    its = domains.level[0]
    best, most = NOBODY, NOBODY
    row = counted_at(site, 0, kinds, gpus, cpu, memory)
    if row != NOBODY:
        kind = trailing_zeros(kinds)
        at = its["fitting"] + int(domains.reach[nth(kind * (site.openings.n_keys + 1) + 1)]) * its["size"]
        best = _emptiest_counted(domains.tally, at, site.largest[nth(kind)], its["size"], row)
    for domain in range(its["size"] if row == NOBODY else 0):
        free = _free_gpus(site, domain, kinds)
        if free > most and nodes_fitting(site, 0, domain, kinds, gpus, cpu, memory) > 0:
            best, most = domain, free
    if best == NOBODY:
        return NOBODY
    chosen, most = NOBODY, NOBODY
    for node in range(domains.domain[nth(best)]["first_node"], domains.domain[nth(best + 1)]["first_node"]):
        if site.node[nth(node)]["free"] > most and _fits(site, node, kinds, gpus, cpu, memory):
            chosen, most = node, int(site.node[nth(node)]["free"])
    return chosen


@kernel
def _emptiest_counted(tally: NDArray[np.int32], at: int, sizes: int, domains: int, row: int) -> int:
    """Return the domain with the most free GPUs of those with a fitting node, from their counts alone, or NOBODY."""
    best, most = NOBODY, NOBODY
    for domain in range(domains):
        if tally[nth(row + domain)] > 0:
            free = 0
            for number in range(sizes):
                free += tally[nth(at + number * domains + domain)]
            if free > most:
                best, most = domain, free
    return best


@kernel
def _free_gpus(site: Site, domain: int, kinds: int) -> int:
    """Return the wholly free GPUs of a lowest-level domain: its nodes with 1 or more, with 2 or more, ... added up."""
    domains = site.domains
    its = domains.level[0]
    found = 0
    for kind in range(site.openings.kinds):
        if kinds >> kind & 1:
            at = kind * (site.openings.n_keys + 1) + 1
            for number in range(domains.reach[nth(at)], domains.reach[nth(at + site.largest[nth(kind)])]):
                found += domains.tally[nth(its["fitting"] + number * its["size"] + domain)]
    return found
