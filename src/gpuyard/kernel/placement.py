"""Place a whole job or nothing, and take it back when it ends.

A job is placed chunk by chunk: each node is withdrawn when it is chosen, so that it is not chosen
again; when all chunks have a node, the nodes change and are offered again, else they are offered as they were.
"""

from __future__ import annotations

from typing import NamedTuple

from gpuyard.kernel.choice import pick_node
from gpuyard.kernel.codes import NOBODY, Count, Placement
from gpuyard.kernel.fraction import give_share, pick_gpu, take_share
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.nodes import give_gpus, offer, take_gpus, withdraw
from gpuyard.kernel.packed import Plan, place_packed
from gpuyard.kernel.tables import Demands, Domains, Events, Gpus, Index, Nodes, Slots

__all__ = ["Site", "place", "release"]


class Site(NamedTuple):
    """The cluster as the engine sees it."""

    nodes: Nodes
    index: Index
    gpus: Gpus
    shares: Index
    domains: Domains
    rule: int  # codes.Placement
    stream: int  # of random placement


@inlined
def place(site: Site, demands: Demands, slots: Slots, events: Events, plan: Plan, row: int, demand: int) -> bool:
    """Place job ``row``, writing its slots after those in use; return whether it found room."""
    if demands.share[demand] > 0:
        return _place_share(site, demands, slots, events, row, demand)
    if demands.several[demand]:
        return _place_several(site, demands, slots, events, plan, row, demand)
    if demands.spread[demand]:
        return _place_spread(site, demands, slots, events, plan, row, demand)
    gpus = demands.gpus[demand]
    cpu = demands.cpu[demand] * max(gpus, 1)
    memory = demands.memory[demand] * max(gpus, 1)
    rule = Placement.BEST_FIT if site.rule == Placement.PACKED else site.rule
    node = pick_node(rule, site.index, site.nodes, demands.kinds[demand], gpus, cpu, memory, site.stream, row, 0)
    if node == NOBODY:
        return False
    withdraw(site.nodes, site.index, site.domains, node)
    _hold(site, slots, events, row, node, gpus, cpu, memory)
    return True


@inlined
def _hold(site: Site, slots: Slots, events: Events, row: int, node: int, gpus: int, cpu: int, memory: int) -> None:
    """Let a job hold part of a withdrawn node, write the slot, and offer the node again."""
    slot = events.count[Count.SLOTS]
    slots.node[slot] = node
    slots.gpus[slot] = gpus
    if site.gpus.quanta > 0:
        slots.gpu[slot] = take_gpus(site.gpus, site.shares, site.nodes, node, row, gpus)
    site.nodes.free[node] -= gpus
    site.nodes.cpu[node] -= cpu
    site.nodes.memory[node] -= memory
    offer(site.nodes, site.index, site.domains, node)
    events.count[Count.SLOTS] = slot + 1


@kernel
def _place_share(site: Site, demands: Demands, slots: Slots, events: Events, row: int, demand: int) -> bool:
    """Place a job on a share of one GPU."""
    share, kinds = demands.share[demand], demands.kinds[demand]
    cpu, memory = demands.cpu[demand], demands.memory[demand]
    gpu = pick_gpu(site.rule, site.shares, site.gpus, site.nodes, kinds, share, cpu, memory, site.stream, row)
    if gpu == NOBODY:
        return False
    node = site.gpus.node[gpu]
    take_share(site.gpus, site.shares, site.nodes, site.index, site.domains, gpu, share)
    site.nodes.cpu[node] -= cpu
    site.nodes.memory[node] -= memory
    slot = events.count[Count.SLOTS]
    slots.node[slot] = node
    slots.gpus[slot] = 1
    slots.gpu[slot] = gpu - site.gpus.first[node]
    events.count[Count.SLOTS] = slot + 1
    return True


@kernel
def _place_several(
    site: Site, demands: Demands, slots: Slots, events: Events, plan: Plan, row: int, demand: int
) -> bool:
    """Place a job of several chunks on one GPU type, the first that holds it."""
    gpus, pieces = demands.gpus[demand], demands.nodes[demand]
    for kind in range(site.index.kinds):
        if not demands.kinds[demand] >> kind & 1 and gpus > 0:
            continue
        large, many, small, few = _shape(gpus, pieces, site.nodes.largest[kind])
        if many == 0:
            continue
        plan.left[0] = many
        plan.left[1] = few
        plan.left[2] = 0
        plan.left[3] += 1
        this = kind if gpus > 0 else NOBODY
        each = demands.cpu[demand], demands.memory[demand]
        todo = Plan(plan.left, plan.nodes, plan.gpus, large, small, each[0], each[1], this)
        if site.rule == Placement.PACKED:
            placed = place_packed(todo, site.domains, site.index, site.nodes)
        else:
            placed = _place_in_turn(site, todo, row)
        if placed:
            _hold_all(site, slots, events, todo, row)
            return True
        for chunk in range(plan.left[2]):
            offer(site.nodes, site.index, site.domains, plan.nodes[chunk])
        if gpus == 0:
            return False
    return False


@kernel
def _shape(gpus: int, pieces: int, largest: int) -> tuple[int, int, int, int]:
    """Return (GPUs of a large chunk, how many, GPUs of a small chunk, how many)."""
    if pieces > 0:
        each, more = gpus // pieces, gpus % pieces
        if more == 0:
            return each, pieces, 0, 0
        return each + 1, more, each, pieces - more
    if largest == 0:
        return 0, 0, 0, 0
    rest = gpus % largest
    return largest, gpus // largest, rest, 1 if rest > 0 else 0


@kernel
def _place_in_turn(site: Site, plan: Plan, row: int) -> bool:
    """Choose (and withdraw) a node for each chunk, large ones first, by the site's rule."""
    kinds = -1 if plan.kind == NOBODY else 1 << plan.kind
    if plan.cpu == 0 and plan.memory == 0:
        if members(site.index, plan.kind, plan.large, plan.left[0]) < plan.left[0]:
            return False
        chunks = plan.left[0] + plan.left[1]
        if plan.left[1] > 0 and members(site.index, plan.kind, plan.small, chunks) < chunks:
            return False
    for size in range(2):
        gpus = plan.large if size == 0 else plan.small
        cpu, memory = plan.cpu * max(gpus, 1), plan.memory * max(gpus, 1)
        while plan.left[size] > 0:
            chunk = plan.left[2]
            node = pick_node(site.rule, site.index, site.nodes, kinds, gpus, cpu, memory, site.stream, row, chunk)
            if node == NOBODY:
                return False
            withdraw(site.nodes, site.index, site.domains, node)
            plan.nodes[chunk] = node
            plan.gpus[chunk] = gpus
            plan.left[2] = chunk + 1
            plan.left[size] -= 1
    return True


@kernel
def _hold_all(site: Site, slots: Slots, events: Events, plan: Plan, row: int) -> None:
    """Let a job hold its chunks on the nodes chosen for them."""
    for chunk in range(plan.left[2]):
        gpus = plan.gpus[chunk]
        many = max(gpus, 1)
        _hold(site, slots, events, row, plan.nodes[chunk], gpus, plan.cpu * many, plan.memory * many)


@kernel
def _place_spread(
    site: Site, demands: Demands, slots: Slots, events: Events, plan: Plan, row: int, demand: int
) -> bool:
    """Place a job on any free GPUs, node by node."""
    cpu, memory = demands.cpu[demand], demands.memory[demand]
    rule = Placement.BEST_FIT if site.rule == Placement.PACKED else site.rule
    left = demands.gpus[demand]
    chunk = 0
    first = events.count[Count.SLOTS]
    while left > 0:
        node = pick_node(rule, site.index, site.nodes, demands.kinds[demand], 1, cpu, memory, site.stream, row, chunk)
        if node == NOBODY:
            break
        most = min(site.nodes.free[node], left)
        if cpu > 0:
            most = min(most, site.nodes.cpu[node] // cpu)
        if memory > 0:
            most = min(most, site.nodes.memory[node] // memory)
        withdraw(site.nodes, site.index, site.domains, node)
        slots.node[first + chunk] = node
        slots.gpus[first + chunk] = most
        left -= most
        chunk += 1
    for slot in range(first, first + chunk):
        node, gpus = slots.node[slot], slots.gpus[slot]
        if left > 0:
            offer(site.nodes, site.index, site.domains, node)
        else:
            _hold(site, slots, events, row, node, gpus, cpu * gpus, memory * gpus)
    return left == 0


@inlined
def release(site: Site, demands: Demands, slots: Slots, row: int, demand: int, first: int, chunks: int) -> None:
    """Give back what job ``row`` holds in its slots."""
    share = demands.share[demand]
    for slot in range(first, first + chunks):
        node = slots.node[slot]
        gpus = slots.gpus[slot]
        many = max(gpus, 1)
        site.nodes.cpu[node] += demands.cpu[demand] * many
        site.nodes.memory[node] += demands.memory[demand] * many
        if share > 0:
            gpu = site.gpus.first[node] + slots.gpu[slot]
            give_share(site.gpus, site.shares, site.nodes, site.index, site.domains, gpu, share)
            continue
        withdraw(site.nodes, site.index, site.domains, node)
        site.nodes.free[node] += gpus
        if site.gpus.quanta > 0:
            give_gpus(site.gpus, site.shares, site.nodes, node, row)
        offer(site.nodes, site.index, site.domains, node)
