"""What a domain has free: the nodes that fit a chunk, and all wholly free GPUs.

Nodes that are withdrawn, because the job uses them already or they are reserved, have nothing.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.nodes import has_room, is_offered
from gpuyard.kernel.tables import Site

__all__ = ["emptiest_node", "nodes_fitting"]


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
    for domain in range(its["size"]):
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
