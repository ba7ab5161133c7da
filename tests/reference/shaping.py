"""The shape of a job: its chunks on each GPU type, and the nodes that are tried one after the other.

Where the page leaves room, this is the reading taken here.

- A job is cut, or has nothing to run on, type by type; what closes nodes (windows, partitions, dates) changes no shape.
- ``nodes = 1`` is one chunk on every allowed type, however large the nodes of the type are.
- The types on which a job is one chunk are one group of nodes, of these types alone: what a placement sums up over the
  nodes that a chunk may use (``spread``: the free GPUs of a domain) leaves out those on which the job would be cut.
- A type whose nodes have no GPUs holds no job with GPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reference.jobs import Job
from reference.room import Room

NVLINK = "nvlink"


def largest_node(room: Room, nodes: Iterable[int]) -> int:
    return max((room.size[node] for node in nodes), default=0)


def by_type(room: Room, job: Job) -> list[list[int]]:
    """Return the nodes of each GPU type that the job accepts, the type of the lowest-numbered node first."""
    names = dict.fromkeys(room.type[node] for node in room.nodes if job.types is None or room.type[node] in job.types)
    return [[node for node in room.nodes if room.type[node] == name] for name in names]


def groups(room: Room, job: Job) -> list[list[int]]:
    """Return the nodes that are tried one after the other for a job that has a shape."""
    if job.gpus == 0:
        return [list(room.nodes)]
    types = by_type(room, job)
    whole = [nodes for nodes in types if is_one_chunk(room, job, nodes)]
    several = [nodes for nodes in types if nodes not in whole and may_span(room, job, nodes, types)]
    several.sort(key=lambda nodes: (-wholly_free(room, nodes), nodes[0]))
    return [sorted(node for nodes in whole for node in nodes), *several]


def is_one_chunk(room: Room, job: Job, nodes: Sequence[int]) -> bool:
    """Return whether a job with GPUs is one chunk on the nodes of a type."""
    return job.nodes == 1 if job.nodes is not None else job.gpus <= largest_node(room, nodes)


def may_span(room: Room, job: Job, nodes: Sequence[int], types: Iterable[Sequence[int]]) -> bool:
    """Return whether a job that is not one chunk there may run on the nodes of a type."""
    fits_a_node = any(job.gpus <= largest_node(room, others) for others in types)
    if job.nodes is not None or not fits_a_node:
        return True
    return max(nvlink_domains(room, nodes), default=0) >= job.gpus


def nvlink_domains(room: Room, nodes: Iterable[int]) -> list[int]:
    """Return how many GPUs each NVLink domain has on these nodes when nothing runs."""
    levels = room.cluster.levels
    if NVLINK not in levels.names:
        return []
    domain_of = levels.domains[levels.names.index(NVLINK)].tolist()
    together = dict.fromkeys(domain_of, 0)
    for node in nodes:
        together[domain_of[node]] += room.size[node]
    return list(together.values())


def wholly_free(room: Room, nodes: Iterable[int]) -> int:
    """Return how many GPUs are wholly free on those of these nodes that are not closed."""
    return sum(len(room.whole(node)) for node in nodes if node not in room.closed)


def chunks(room: Room, job: Job, nodes: Sequence[int]) -> list[int]:
    """Return the sizes of the job's chunks on one of its groups, larger ones first; none if it has no shape there."""
    if job.nodes is not None:
        quotient, rest = divmod(job.gpus, job.nodes)
        return [quotient + 1] * rest + [quotient] * (job.nodes - rest)
    largest = largest_node(room, nodes)
    if job.gpus <= largest:
        return [job.gpus]
    if largest == 0:
        return []
    quotient, rest = divmod(job.gpus, largest)
    return [largest] * quotient + [rest] * (rest > 0)
