"""Rail-aligned placement: a job of several chunks takes the same GPU numbers on all its nodes.

A set of GPU numbers is a bit set with the lowest number in the highest bit, so that of two sets of as many numbers the
lower one (the one with the lowest number that is in only one of them) is the larger integer.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth, ones
from gpuyard.kernel.codes import NOBODY, Count, Left
from gpuyard.kernel.index import emptiest_kind, remove
from gpuyard.kernel.jit import inner, kernel, pointed
from gpuyard.kernel.nodes import has_room, is_offered
from gpuyard.kernel.packed import place_packed
from gpuyard.kernel.placement import place_one, place_special, plan_chunks, settle, take_each
from gpuyard.kernel.tables import Events, Log, Records, Site

__all__ = ["place_rails"]


@pointed
def place_rails(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place any job, in several chunks on aligned GPUs; return whether it found room."""
    asked = demand[nth(wish)]
    if asked["cut"] == 0 or asked["gpus"] == 0 or asked["share"] > 0:
        return place_special(site, demand, log, events, row, wish)
    first = events.counter[Count.SLOTS]
    if asked["whole"] != 0 and place_one(site, demand, log, events, row, wish):
        take_each(site, log, events, row, first)
        return True
    left = asked["cut"]
    while left != 0:
        kind = emptiest_kind(site.openings, left)
        left &= ~(1 << kind)
        if plan_chunks(site, demand, wish, kind) and _choose_rails(site, kind):
            large = site.plan[Left.LARGE_GPUS]
            place_packed(site)
            if settle(site, log, events, asked["cpu"], asked["memory"]):
                for number in range(first, events.counter[Count.SLOTS]):
                    slot = log.slots[nth(number)]
                    rails = site.plan[Left.RAILS if slot["gpus"] == large else Left.SMALL_RAILS]
                    log.gpu[nth(number)] = _take_rails(site, int(slot["node"]), row, rails)
                return True
    return False


@kernel
def _take_rails(site: Site, node: int, row: int, rails: int) -> int:
    """Give a job some GPUs of a node; return the lowest of their numbers."""
    this = site.node[nth(node)]
    highest = _numbers(site) - 1
    lowest = NOBODY
    for number in range(this["size"]):
        if rails >> (highest - number) & 1:
            gpu = int(this["first_gpu"]) + number
            remove(site.shares, int(this["kind"]), site.quanta, gpu)
            site.gpu[nth(gpu)]["free"] = 0
            site.gpu[nth(gpu)]["owner"] = row
            if lowest == NOBODY:
                lowest = number
    return lowest


@inner
def _numbers(site: Site) -> int:
    """Return how many GPU numbers there are: the GPUs of the largest node."""
    return site.openings.n_keys - 1


@inner
def _choose_rails(site: Site, kind: int) -> bool:
    """Write the lowest set of GPU numbers that enough nodes have free into the plan; return whether there is one."""
    plan, sets = site.plan, site.rail_sets
    _count_sets(site, kind)
    size = 1 << _numbers(site)
    chunks = plan[Left.LARGE] + plan[Left.SMALL]
    for rails in range(size - 1, 0, -1):
        if ones(rails) == plan[Left.LARGE_GPUS] and sets[nth(rails)] >= plan[Left.LARGE]:
            small = rails
            while ones(small) > plan[Left.SMALL_GPUS]:
                small &= small - 1
            if plan[Left.SMALL] == 0 or sets[nth(size + small)] >= chunks:
                plan[Left.RAILS] = rails
                plan[Left.SMALL_RAILS] = small if plan[Left.SMALL] > 0 else 0
                return True
    return False


@kernel
def _count_sets(site: Site, kind: int) -> None:
    """Note which GPU numbers each node of a type has free, and count for each set the fitting nodes that have it."""
    plan, sets = site.plan, site.rail_sets
    numbers = _numbers(site)
    size = 1 << numbers
    sets[:] = 0
    for node in range(site.node.size):
        this = site.node[nth(node)]
        if this["kind"] != kind or this["free"] == 0 or not is_offered(site, node):
            continue
        rails = 0
        for number in range(this["size"]):
            if site.gpu[nth(this["first_gpu"] + number)]["free"] == site.quanta:
                rails |= 1 << (numbers - 1 - number)
        site.rail[nth(node)] = rails
        for part in range(2):
            gpus = plan[Left.LARGE_GPUS + part]
            room = has_room(site, node, plan[Left.CPU] * max(gpus, 1), plan[Left.MEMORY] * max(gpus, 1))
            if plan[Left.LARGE + part] > 0 and this["free"] >= gpus and room:
                sets[nth(part * size + rails)] += 1
    for number in range(numbers):
        for rails in range(2 * size):
            if not rails >> number & 1:
                sets[nth(rails)] += sets[nth(rails | 1 << number)]
