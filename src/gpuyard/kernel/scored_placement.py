"""Place a job where the scores say, and take it back: as ``placement``, with a score in the place of an order."""

from __future__ import annotations

from gpuyard.kernel.alone import release_alone, take_rest
from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY, Count, Left
from gpuyard.kernel.fraction import take_share
from gpuyard.kernel.index import emptiest_kind
from gpuyard.kernel.jit import inner, kernel, pointed
from gpuyard.kernel.nodes import offer_node, take_gpus, withdraw_node
from gpuyard.kernel.placement import hold_chunk, plan_chunks, release_special, settle
from gpuyard.kernel.scored import best_gpu, best_node
from gpuyard.kernel.tables import Events, Log, Records, Site

__all__ = ["note_change", "place_scored", "place_scored_alone", "release_scored", "release_scored_alone"]


@inner
def note_change(site: Site, demand: Records, log: Log, wish: int, first: int, stop: int, change: int) -> None:
    """Note that the nodes of some slots changed: +1, a job with demand ``wish`` took them; -1, it gave them back."""
    scores = site.scores
    asked = demand[nth(wish)]
    for number in range(first, stop):
        node = int(log.slots[nth(number)]["node"])
        scores.stamp[nth(node)] += 1
        if scores.running.size > 0 and asked["gpus"] > 0:
            size = 0 if asked["share"] > 0 else int(log.slots[nth(number)]["gpus"])
            scores.running[nth(node * scores.sizes + size)] += change


@pointed
def place_scored(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place any job; return whether it found room."""
    asked = demand[nth(wish)]
    first = events.counter[Count.SLOTS]
    if asked["share"] > 0:
        placed = _place_share(site, demand, log, events, wish)
    elif asked["spread"] > 0:
        placed = _place_spread(site, demand, log, events, wish)
    else:
        placed = asked["whole"] != 0 and _place_one(site, demand, log, events, wish)
        if not placed:
            placed = _place_several(site, demand, log, events, wish)
    stop = events.counter[Count.SLOTS]
    if site.quanta > 0 and asked["share"] == 0:
        for number in range(first, stop):
            slot = log.slots[nth(number)]
            log.gpu[nth(number)] = take_gpus(site, int(slot["node"]), row, int(slot["gpus"]))
    note_change(site, demand, log, wish, first, stop, 1)
    return bool(placed)


@kernel
def _place_one(site: Site, demand: Records, log: Log, events: Events, wish: int) -> bool:
    """Place a job in one chunk of whole GPUs, or of none."""
    asked = demand[nth(wish)]
    gpus = asked["gpus"]
    cpu, memory = asked["cpu"] * max(gpus, 1), asked["memory"] * max(gpus, 1)
    node = best_node(site, asked["whole"], gpus, cpu, memory, asked["alone"])
    if node == NOBODY:
        return False
    withdraw_node(site, node)
    hold_chunk(site, log, events, node, gpus, cpu, memory)
    return True


@kernel
def _place_share(site: Site, demand: Records, log: Log, events: Events, wish: int) -> bool:
    """Place a job on a share of one GPU."""
    asked = demand[nth(wish)]
    gpu = best_gpu(site, asked["kinds"], asked["share"], asked["cpu"], asked["memory"])
    if gpu == NOBODY:
        return False
    node = int(site.gpu[nth(gpu)]["node"])
    take_share(site, gpu, asked["share"])
    this = site.node[nth(node)]
    this["cpu"] -= asked["cpu"]
    this["memory"] -= asked["memory"]
    number = events.counter[Count.SLOTS]
    log.slots[nth(number)]["node"] = node
    log.slots[nth(number)]["gpus"] = 1
    log.gpu[nth(number)] = gpu - this["first_gpu"]
    events.counter[Count.SLOTS] = number + 1
    return True


@kernel
def _place_several(site: Site, demand: Records, log: Log, events: Events, wish: int) -> bool:
    """Place a job in several chunks on one GPU type, the first that holds it."""
    asked = demand[nth(wish)]
    plan = site.plan
    left = asked["cut"]
    while left != 0:
        kind = emptiest_kind(site.openings, left)
        left &= ~(1 << kind)
        if plan_chunks(site, demand, wish, kind):
            kinds = 1 << kind if asked["gpus"] > 0 else asked["kinds"]
            for size in range(2):
                gpus = plan[Left.LARGE_GPUS + size]
                cpu, memory = asked["cpu"] * max(gpus, 1), asked["memory"] * max(gpus, 1)
                node = 0
                while plan[Left.LARGE + size] > 0 and node != NOBODY:
                    node = best_node(site, kinds, gpus, cpu, memory, asked["alone"])
                    if node != NOBODY:
                        withdraw_node(site, node)
                        chunk = site.chunk[nth(plan[Left.PLACED])]
                        chunk["node"] = node
                        chunk["gpus"] = gpus
                        plan[Left.PLACED] += 1
                        plan[Left.LARGE + size] -= 1
                if node == NOBODY:
                    break
            if settle(site, log, events, asked["cpu"], asked["memory"]):
                return True
    return False


@kernel
def _place_spread(site: Site, demand: Records, log: Log, events: Events, wish: int) -> bool:
    """Place a job on any free GPUs, node by node."""
    asked = demand[nth(wish)]
    cpu, memory = asked["cpu"], asked["memory"]
    left = asked["gpus"]
    chunks = 0
    while left > 0:
        node = best_node(site, asked["kinds"], 1, cpu, memory, 0)
        if node == NOBODY:
            break
        this = site.node[nth(node)]
        most = min(int(this["free"]), left)
        if cpu > 0:
            most = min(most, this["cpu"] // cpu)
        if memory > 0:
            most = min(most, this["memory"] // memory)
        withdraw_node(site, node)
        site.chunk[nth(chunks)]["node"] = node
        site.chunk[nth(chunks)]["gpus"] = most
        left -= most
        chunks += 1
    for place in range(chunks):
        node, gpus = site.chunk[nth(place)]["node"], site.chunk[nth(place)]["gpus"]
        if left > 0:
            offer_node(site, node)
        else:
            hold_chunk(site, log, events, node, gpus, cpu * gpus, memory * gpus)
    return left == 0


@pointed
def release_scored(site: Site, demand: Records, log: Log, row: int, wish: int, first: int, chunks: int) -> None:
    """Give back what job ``row``, which asked for demand ``wish``, holds in its slots."""
    release_special(site, demand, log, row, wish, first, chunks)
    note_change(site, demand, log, wish, first, first + chunks, -1)


@pointed
def place_scored_alone(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """As :func:`place_scored`, where some jobs hold all of their nodes."""
    first = events.counter[Count.SLOTS]
    placed = place_scored(site, demand, log, events, row, wish)
    stop = events.counter[Count.SLOTS]
    if demand[nth(wish)]["alone"] > 0:
        note_change(site, demand, log, wish, first, stop, -1)
        for number in range(first, stop):
            take_rest(site, log, row, number)
        note_change(site, demand, log, wish, first, stop, 1)
    return placed


@pointed
def release_scored_alone(site: Site, demand: Records, log: Log, row: int, wish: int, first: int, chunks: int) -> None:
    """Give back what job ``row``, which asked for demand ``wish``, holds in its slots."""
    release_alone(site, demand, log, row, wish, first, chunks)
    note_change(site, demand, log, wish, first, first + chunks, -1)
