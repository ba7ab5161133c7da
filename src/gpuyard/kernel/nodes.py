"""Hand nodes out and take them back: the index and the domains always say what is free."""

from __future__ import annotations

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.domains import tally
from gpuyard.kernel.index import insert, remove
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Domains, Gpus, Index, Nodes

__all__ = ["give_gpus", "has_room", "offer", "take_gpus", "withdraw"]


@inlined
def offer(nodes: Nodes, index: Index, domains: Domains, node: int) -> None:
    """Make a node known as free, with what it has."""
    free = nodes.free[node]
    if free >= index.lowest:
        insert(index, nodes.kind[node], free, node)
    if domains.levels > 0:
        tally(domains, index, nodes, node, 1)


@inlined
def withdraw(nodes: Nodes, index: Index, domains: Domains, node: int) -> None:
    """Hide a node while it changes, or while a job is being placed on it."""
    free = nodes.free[node]
    if free >= index.lowest:
        remove(index, nodes.kind[node], free, node)
    if domains.levels > 0:
        tally(domains, index, nodes, node, -1)


@inlined
def has_room(nodes: Nodes, node: int, cpu: int, memory: int) -> bool:
    """Return whether a node has so much CPU and memory free."""
    return nodes.cpu[node] >= cpu and nodes.memory[node] >= memory


@kernel
def take_gpus(gpus: Gpus, shares: Index, nodes: Nodes, node: int, job: int, wanted: int) -> int:
    """Give a job the lowest wholly free GPUs of a node; return the first one's number on the node."""
    lowest = NOBODY
    left = wanted
    gpu = gpus.first[node]
    while left > 0:
        if gpus.free[gpu] == gpus.quanta:
            remove(shares, nodes.kind[node], gpus.quanta, gpu)
            gpus.free[gpu] = 0
            gpus.owner[gpu] = job
            if lowest == NOBODY:
                lowest = gpu - gpus.first[node]
            left -= 1
        gpu += 1
    return lowest


@kernel
def give_gpus(gpus: Gpus, shares: Index, nodes: Nodes, node: int, job: int) -> None:
    """Take back the whole GPUs that a job holds on a node."""
    for gpu in range(gpus.first[node], gpus.first[node + 1]):
        if gpus.owner[gpu] == job:
            gpus.owner[gpu] = NOBODY
            gpus.free[gpu] = gpus.quanta
            insert(shares, nodes.kind[node], gpus.quanta, gpu)
