"""Place a whole job or nothing, and take it back when it ends.

A *plain* job, whole GPUs by first, best or worst fit on a site of one GPU type, is placed inside the engine's own loop;
so is, by some loops, a *single* one, one chunk of whole GPUs by best fit on a site of several types.
All others go through a pointer, to the smallest function that does for all jobs of the run, so that no more is
compiled: :func:`place_group` for jobs of several chunks that are packed, :func:`place_whole` for all jobs on whole
GPUs, :func:`place_shared` where some ask for a share of one and none is packed or spread, :func:`place_special` for
any.

A job of several chunks is placed chunk by chunk: each node is withdrawn when it is chosen, so that it is not
chosen again; when all chunks have a node, the nodes change and are offered again, else they are offered as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.choice import pick_any
from gpuyard.kernel.codes import NOBODY, Count, Left, Placement
from gpuyard.kernel.fraction import give_share, pick_gpu, take_share
from gpuyard.kernel.index import emptiest_kind, first_item, key_above, key_last, lowest_first, members, tightest_of
from gpuyard.kernel.jit import inlined, inner, inner_inlined, kernel, pointed
from gpuyard.kernel.nodes import change_free, give_gpus, offer, take_gpus, withdraw, withdraw_node
from gpuyard.kernel.packed import place_packed
from gpuyard.kernel.tables import Events, Log, Records, Site

__all__ = [
    "Placer",
    "Releaser",
    "has_room_for",
    "hold_chunk",
    "place_group",
    "place_one",
    "place_plain",
    "place_shared",
    "place_single",
    "place_special",
    "place_whole",
    "plan_chunks",
    "release_plain",
    "release_special",
    "release_whole",
    "settle",
    "take_each",
]

Placer: TypeAlias = Callable[[Site, Records, Log, Events, int, int], bool]
Releaser: TypeAlias = Callable[[Site, Records, Log, int, int, int, int], None]


@inner_inlined
def place_plain(site: Site, log: Log, events: Events, large: int, many: int, rest: int) -> bool:
    """Place ``many`` chunks of ``large`` GPUs, and one of ``rest`` if there is any, each where the rule says.

    Either all of ``large`` fit, which is seen from the counts, or nothing changes.  A node that holds a large
    chunk has nothing left, so no node is chosen twice.
    """
    if not has_room_for(site, large, many, rest):
        return False
    key = key_above(site.openings, 0, large)
    gpus = large
    for chunk in range(many + (rest > 0)):
        if chunk > 0:
            gpus = large if chunk < many else rest
            key = key_above(site.openings, 0, gpus)
        node = _pick_plain(site, key)
        number = events.counter[Count.SLOTS]
        slot = log.slots[nth(number)]
        slot["node"] = node
        slot["gpus"] = gpus
        events.counter[Count.SLOTS] = number + 1
        change_free(site, node, -gpus)
    return True


@inlined
def has_room_for(site: Site, large: int, many: int, rest: int) -> bool:
    """Return whether :func:`place_plain` would find room."""
    if key_above(site.openings, 0, large) == NOBODY:
        return False
    if many > 1 or rest > 0:
        if members(site.openings, 1, large, many) < many:
            return False
        if rest > 0 and members(site.openings, 1, rest, many + 1) <= many:
            return False
    return True


@inlined
def _pick_plain(site: Site, tightest: int) -> int:
    """Return the node for a chunk of whole GPUs, the tightest fit of which has so many free."""
    index = site.openings
    if site.rule == Placement.WORST_FIT:
        return first_item(index, 0, key_last(index, 0))
    node = first_item(index, 0, tightest)
    if site.rule == Placement.FIRST_FIT:
        key = key_above(index, 0, tightest + 1)
        while key != NOBODY:
            node = min(node, first_item(index, 0, key))
            key = key_above(index, 0, key + 1)
    return node


@inner_inlined
def place_single(site: Site, log: Log, events: Events, kinds: int, gpus: int) -> bool:
    """Place a chunk of whole GPUs where it fits tightest on any of these GPU types; return whether it fits."""
    key = tightest_of(site.openings, kinds, gpus)
    if key == NOBODY:
        return False
    node = lowest_first(site.openings, kinds, key)
    number = events.counter[Count.SLOTS]
    slot = log.slots[nth(number)]
    slot["node"] = node
    slot["gpus"] = gpus
    events.counter[Count.SLOTS] = number + 1
    change_free(site, node, -gpus)
    return True


@inner_inlined
def release_plain(site: Site, log: Log, first: int, chunks: int) -> None:
    """Give back the slots of a job that holds whole GPUs and nothing else."""
    for number in range(first, first + chunks):
        slot = log.slots[nth(number)]
        change_free(site, int(slot["node"]), int(slot["gpus"]))


@inner_inlined
def hold_chunk(site: Site, log: Log, events: Events, node: int, gpus: int, cpu: int, memory: int) -> None:
    """Let a job hold part of a withdrawn node, write the slot, and offer the node again."""
    number = events.counter[Count.SLOTS]
    slot = log.slots[nth(number)]
    slot["node"] = node
    slot["gpus"] = gpus
    this = site.node[nth(node)]
    this["free"] -= gpus
    this["cpu"] -= cpu
    this["memory"] -= memory
    offer(site, node)
    events.counter[Count.SLOTS] = number + 1


@inner
def plan_chunks(site: Site, demand: Records, wish: int, kind: int) -> bool:
    """Plan the chunks of a job on a GPU type; return False where too few of its nodes have so many free GPUs."""
    asked = demand[wish]
    plan = site.plan
    if not _shape(plan, asked["gpus"], asked["nodes"], site.largest[kind]):
        return False
    plan[Left.PLACED] = 0
    plan[Left.STAMP] += 1
    plan[Left.CPU] = asked["cpu"]
    plan[Left.MEMORY] = asked["memory"]
    plan[Left.KIND] = kind if asked["gpus"] > 0 else NOBODY
    plan[Left.RAILS] = plan[Left.SMALL_RAILS] = 0
    chunks = plan[Left.LARGE] + plan[Left.SMALL]
    kinds = 1 << kind if asked["gpus"] > 0 else -1
    if members(site.openings, kinds, plan[Left.LARGE_GPUS], plan[Left.LARGE]) < plan[Left.LARGE]:
        return False
    return plan[Left.SMALL] == 0 or members(site.openings, kinds, plan[Left.SMALL_GPUS], chunks) >= chunks


@kernel
def _shape(plan: NDArray[np.int64], gpus: int, pieces: int, largest: int) -> bool:
    """Plan the chunks of a job; return False where nodes of ``largest`` GPUs cannot carry it."""
    each, more, rest = largest, 0, 0
    if pieces > 0:
        each, more = gpus // pieces, gpus % pieces
        rest = 0 if more == 0 else pieces - more
    elif largest > 0:
        rest = 1 if gpus % largest > 0 else 0
    else:
        return False
    plan[Left.SMALL] = rest
    if pieces > 0:
        plan[Left.LARGE] = pieces - rest
        plan[Left.LARGE_GPUS] = each if more == 0 else each + 1
        plan[Left.SMALL_GPUS] = each
    else:
        plan[Left.LARGE] = gpus // largest
        plan[Left.LARGE_GPUS] = largest
        plan[Left.SMALL_GPUS] = gpus % largest
    return True


@inner
def settle(site: Site, log: Log, events: Events, cpu: int, memory: int) -> bool:
    """Hold the chosen nodes if the plan is fulfilled, else offer them as they were; return whether it is."""
    plan = site.plan
    placed = plan[Left.LARGE] + plan[Left.SMALL] == 0
    for place in range(plan[Left.PLACED]):
        node, gpus = site.chunk[nth(place)]["node"], site.chunk[nth(place)]["gpus"]
        if placed:
            hold_chunk(site, log, events, node, gpus, cpu * max(gpus, 1), memory * max(gpus, 1))
        else:
            offer(site, node)
    return bool(placed)


@pointed
def place_group(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place a job in several chunks, packed, on one GPU type, the first that holds it; return whether one does."""
    asked = demand[wish]
    left = asked["cut"]
    while left != 0:
        kind = emptiest_kind(site.openings, left)
        left &= ~(1 << kind)
        if plan_chunks(site, demand, wish, kind):
            place_packed(site)
            if settle(site, log, events, asked["cpu"], asked["memory"]):
                return True
    return False


@kernel
def _place_in_turn(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """As :func:`place_group`, where each chunk goes where the rule says."""
    asked = demand[wish]
    left = asked["cut"]
    while left != 0:
        kind = emptiest_kind(site.openings, left)
        left &= ~(1 << kind)
        if plan_chunks(site, demand, wish, kind):
            _choose_in_turn(site, row)
            if settle(site, log, events, asked["cpu"], asked["memory"]):
                return True
    return False


@kernel
def _choose_in_turn(site: Site, row: int) -> None:
    """Choose (and withdraw) a node for each chunk of the plan, large ones first, until one finds none."""
    plan = site.plan
    kinds = -1 if plan[Left.KIND] == NOBODY else 1 << plan[Left.KIND]
    for size in range(2):
        gpus = plan[Left.LARGE_GPUS + size]
        cpu, memory = plan[Left.CPU] * max(gpus, 1), plan[Left.MEMORY] * max(gpus, 1)
        while plan[Left.LARGE + size] > 0:
            chunk = plan[Left.PLACED]
            node = pick_any(site, site.rule, kinds, gpus, cpu, memory, row, chunk)
            if node == NOBODY:
                return
            withdraw_node(site, node)
            site.chunk[chunk]["node"] = node
            site.chunk[chunk]["gpus"] = gpus
            plan[Left.PLACED] = chunk + 1
            plan[Left.LARGE + size] -= 1


@inner
def place_one(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place a job in one chunk on whole GPUs, or none; the best fit where jobs are packed."""
    asked = demand[wish]
    gpus = asked["gpus"]
    cpu, memory = asked["cpu"] * max(gpus, 1), asked["memory"] * max(gpus, 1)
    rule = Placement.BEST_FIT if site.rule >= Placement.PACKED else site.rule
    node = pick_any(site, rule, asked["whole"], gpus, cpu, memory, row, 0)
    if node == NOBODY:
        return False
    withdraw_node(site, node)
    hold_chunk(site, log, events, node, gpus, cpu, memory)
    return True


@pointed
def place_whole(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place a job on whole GPUs, or none, in one chunk or several; return whether it found room."""
    asked = demand[wish]
    if asked["whole"] != 0 and place_one(site, demand, log, events, row, wish):
        return True
    if asked["cut"] == 0:
        return False
    if site.rule >= Placement.PACKED:
        return place_group(site, demand, log, events, row, wish)
    return _place_in_turn(site, demand, log, events, row, wish)


@pointed
def place_shared(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place a job of whole GPUs or a share of one where each chunk goes where the rule says; GPUs are tracked."""
    asked = demand[wish]
    if asked["share"] > 0:
        return _place_share(site, demand, log, events, row, wish)
    first = events.counter[Count.SLOTS]
    placed = asked["whole"] != 0 and place_one(site, demand, log, events, row, wish)
    if not placed:
        placed = _place_in_turn(site, demand, log, events, row, wish)
    take_each(site, log, events, row, first)
    return bool(placed)


@pointed
def place_special(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place any job; return whether it found room."""
    asked = demand[wish]
    if asked["share"] > 0:
        return _place_share(site, demand, log, events, row, wish)
    first = events.counter[Count.SLOTS]
    if asked["spread"] > 0:
        placed = _place_spread(site, demand, log, events, row, wish)
    else:
        placed = place_whole(site, demand, log, events, row, wish)
    if site.quanta > 0:
        take_each(site, log, events, row, first)
    return bool(placed)


@inner
def take_each(site: Site, log: Log, events: Events, row: int, first: int) -> None:
    """Choose the GPUs of a job's slots from ``first`` on, each the lowest of its node."""
    for number in range(first, events.counter[Count.SLOTS]):
        slot = log.slots[number]
        log.gpu[number] = take_gpus(site, int(slot["node"]), row, int(slot["gpus"]))


@kernel
def _place_share(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place a job on a share of one GPU."""
    asked = demand[wish]
    gpu = pick_gpu(site, asked["kinds"], asked["share"], asked["cpu"], asked["memory"], row)
    if gpu == NOBODY:
        return False
    node = int(site.gpu[gpu]["node"])
    take_share(site, gpu, asked["share"])
    site.node[node]["cpu"] -= asked["cpu"]
    site.node[node]["memory"] -= asked["memory"]
    number = events.counter[Count.SLOTS]
    log.slots[number]["node"] = node
    log.slots[number]["gpus"] = 1
    log.gpu[number] = gpu - site.node[node]["first_gpu"]
    events.counter[Count.SLOTS] = number + 1
    return True


@kernel
def _place_spread(site: Site, demand: Records, log: Log, events: Events, row: int, wish: int) -> bool:
    """Place a job on any free GPUs, node by node."""
    asked = demand[wish]
    cpu, memory = asked["cpu"], asked["memory"]
    rule = site.rule
    if rule >= Placement.PACKED:
        rule = Placement.BEST_FIT
    left = asked["gpus"]
    chunks = 0
    while left > 0:
        node = pick_any(site, rule, asked["kinds"], 1, cpu, memory, row, chunks)
        if node == NOBODY:
            break
        most = min(int(site.node[node]["free"]), left)
        if cpu > 0:
            most = min(most, site.node[node]["cpu"] // cpu)
        if memory > 0:
            most = min(most, site.node[node]["memory"] // memory)
        withdraw_node(site, node)
        site.chunk[chunks]["node"] = node
        site.chunk[chunks]["gpus"] = most
        left -= most
        chunks += 1
    for chunk in range(chunks):
        node, gpus = site.chunk[chunk]["node"], site.chunk[chunk]["gpus"]
        if left > 0:
            offer(site, node)
        else:
            hold_chunk(site, log, events, node, gpus, cpu * gpus, memory * gpus)
    return left == 0


@pointed
def release_whole(site: Site, demand: Records, log: Log, row: int, wish: int, first: int, chunks: int) -> None:
    """Give back the slots of a job on whole GPUs, or none."""
    asked = demand[wish]
    for number in range(first, first + chunks):
        slot = log.slots[nth(number)]
        node, gpus = int(slot["node"]), int(slot["gpus"])
        this = site.node[nth(node)]
        withdraw(site, node)
        this["cpu"] += asked["cpu"] * max(gpus, 1)
        this["memory"] += asked["memory"] * max(gpus, 1)
        this["free"] += gpus
        offer(site, node)


@pointed
def release_special(site: Site, demand: Records, log: Log, row: int, wish: int, first: int, chunks: int) -> None:
    """Give back what job ``row``, which asked for demand ``wish``, holds in its slots."""
    asked = demand[wish]
    if asked["share"] == 0:
        release_whole(site, demand, log, row, wish, first, chunks)
    for number in range(first, first + chunks):
        node = int(log.slots[number]["node"])
        if asked["share"] > 0:
            this = site.node[node]
            this["cpu"] += asked["cpu"]
            this["memory"] += asked["memory"]
            give_share(site, int(this["first_gpu"] + log.gpu[number]), asked["share"])
        elif site.quanta > 0:
            give_gpus(site, node, row)
