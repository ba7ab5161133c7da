"""Who makes room for a plain job among plain jobs, seen from counts of nodes: nobody is taken off the site for that.

``Stays.returned`` holds what would come back on each node; it is 0 everywhere between two tries.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Jobs, Log, Records, Site

__all__ = ["count_away", "count_back", "nodes_for"]


@inlined
def nodes_for(site: Site, asked: Records) -> tuple[int, int]:
    """Return how many nodes have room for a large chunk of a demand, and for its last, smaller one if it has any."""
    rest = int(asked["rest"])
    fitting = members(site.openings, 1, int(asked["large"]), site.node.size)
    return fitting, members(site.openings, 1, rest, site.node.size) if rest > 0 else 0


@kernel
def count_away(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int, large: int, rest: int) -> tuple[int, int]:
    """Note that what a job holds would come back; return how many more nodes would have ``large``, ``rest`` free."""
    claim, back = jobs.claim[nth(row)], stays.returned
    more, more_rest = 0, 0
    for number in range(claim["slot"], claim["slot"] + claim["slots"]):
        node, gpus = nth(int(log.slots[nth(number)]["node"])), int(log.slots[nth(number)]["gpus"])
        before = int(site.node[node]["free"]) + int(back[node])
        back[node] += gpus
        more += before < large <= before + gpus
        more_rest += before < rest <= before + gpus
    return more, more_rest


@kernel
def count_back(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int, large: int, rest: int) -> tuple[int, int]:
    """Take back what :func:`count_away` noted of a job; return how many nodes fewer would have room."""
    claim, back = jobs.claim[nth(row)], stays.returned
    lost, lost_rest = 0, 0
    for number in range(claim["slot"], claim["slot"] + claim["slots"]):
        node, gpus = nth(int(log.slots[nth(number)]["node"])), int(log.slots[nth(number)]["gpus"])
        before = int(site.node[node]["free"]) + int(back[node])
        back[node] -= gpus
        lost += before - gpus < large <= before
        lost_rest += before - gpus < rest <= before
    return lost, lost_rest
