"""Placements with a score: every candidate's score is worked out anew from what runs, and the highest is taken.

Where the section "Scored placements" of the page leaves room, this is the reading taken here.

- Where the cluster states no CPUs (no memory), C (M) is 0 by the page, and yet CPUs (memory) hinder nobody from being
  hosted: they bind only where they are stated.
- Closed nodes are no candidates; nothing else about them counts, neither in Cmax and Gmax nor in the mix.
- The mix is that of the jobs that are scheduled or run on: with a beginning in the middle, jobs that have ended by
  then are not in it.  Who is rejected for whatever reason (no run time, no recorded start under recorded replay, a
  parent that is rejected) is not.
- "One chunk" is judged as for placing, for each type: k is ``gpus`` where the job is one chunk, the GPUs of the type's
  largest node where it is cut; a type on which it does not run hosts nothing of it.
- A fraction "that fits a partly used GPU": one that has something free and is not wholly free.
- Under easy, the sizes on a node of the imagined cluster are those of the jobs that would still run then.
- In the mix an exclusive job counts with what it asks for, and an exclusive fraction with one whole GPU.
- A running job that found no room when the simulation began holds nothing, and so has no size anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from reference.jobs import WHOLE, Job, Piece, brings
from reference.room import Room
from reference.shaping import chunks, groups

PLACEMENTS = ("fgd", "least-left", "dot-product", "gpu-packing", "gpu-clustering")
MILLION = 1_000_000


def choose(
    placement: str, room: Room, job: Job, places: Sequence[tuple[int, ...]], gpus: int, mix: Sequence[Job]
) -> tuple[int, ...]:
    """Return the best of these fitting (node,) for a chunk of so many GPUs, of (node, GPU) for a fraction."""
    if placement == "fgd":
        return min(places, key=lambda place: (-descent(room, job, place, gpus, mix), place))
    score = {
        "least-left": least_left,
        "dot-product": dot_product,
        "gpu-packing": gpu_packing,
        "gpu-clustering": gpu_clustering,
    }[placement]
    node = min({place[0] for place in places}, key=lambda each: (-score(room, job, each, gpus), each))
    here = [place for place in places if place[0] == node]
    return min(here, key=lambda place: ([room.milli[node][gpu] for gpu in place[1:]], place))


def share(amount: int, most: int) -> int:
    """Return millionths of the most."""
    return amount * MILLION // most if most else 0


def shares(room: Room, job: Job, node: int, gpus: int) -> tuple[int, int, int, int]:
    """Return Cmax, the most thousandths of GPUs of a node, and the CPUs and thousandths of GPUs of what is placed.

    An exclusive job takes all of the node, which is empty.
    """
    nothing_held = Room(room.cluster, [])
    if job.exclusive:
        cpus, asked = free_cpus(room, node), WHOLE * room.size[node]
    else:
        cpus, asked = brings(job, gpus)[0], job.thousandths if job.milli is not None else WHOLE * gpus
    return max(nothing_held.cpus or [0]), WHOLE * max(room.size), cpus, asked


def free_cpus(room: Room, node: int) -> int:
    return 0 if room.cpus is None else room.cpus[node]


def least_left(room: Room, job: Job, node: int, gpus: int) -> int:
    most_cpus, most_gpus, cpus, asked = shares(room, job, node, gpus)
    cpus_left = share(free_cpus(room, node) - cpus, most_cpus)
    return -(cpus_left + share(sum(room.milli[node]) - asked, most_gpus))


def dot_product(room: Room, job: Job, node: int, gpus: int) -> int:
    most_cpus, most_gpus, cpus, asked = shares(room, job, node, gpus)
    of_cpus = share(free_cpus(room, node), most_cpus) * share(cpus, most_cpus)
    return -(of_cpus + share(sum(room.milli[node]), most_gpus) * share(asked, most_gpus))


def gpu_packing(room: Room, job: Job, node: int, gpus: int) -> int:
    if job.gpus == 0:
        return 0
    partly = [free for free in room.milli[node] if 0 < free < WHOLE]
    if job.milli is not None and not job.exclusive and any(free >= job.milli for free in partly):
        return 2 * WHOLE - min(free for free in partly if free >= job.milli)
    if any(free < WHOLE for free in room.milli[node]):
        return 0
    return -len(room.whole(node))


def gpu_clustering(room: Room, job: Job, node: int, gpus: int) -> int:
    if job.gpus == 0:
        return 0
    mine: int | str = "fraction" if job.milli is not None else gpus
    sizes = [
        "fraction" if piece.milli < WHOLE else len(piece.gpus)
        for piece in room.pieces
        if piece.node == node and piece.gpus
    ]
    if not sizes:
        tier = 1
    elif mine not in sizes:
        tier = 0
    else:
        tier = 3 if set(sizes) == {mine} else 2
    return tier * 2**40 - sum(room.milli[node])


def descent(room: Room, job: Job, place: tuple[int, ...], gpus: int, mix: Sequence[Job]) -> int:
    """Return by how much less the node is fragmented with the job there."""
    node = place[0]
    cpus, memory = brings(job, gpus)
    numbers = place[1:] if job.milli is not None else tuple(room.whole(node)[:gpus])
    piece = Piece(node=node, gpus=numbers, milli=job.milli or WHOLE, cpus=cpus, memory=memory)
    if job.exclusive:
        memory = 0 if room.memory is None else room.memory[node]
        piece = Piece(node=node, gpus=tuple(room.whole(node)), milli=WHOLE, cpus=free_cpus(room, node), memory=memory)
    return fragmentation(room, node, mix) - fragmentation(Room(room.cluster, [*room.pieces, piece]), node, mix)


def fragmentation(room: Room, node: int, mix: Sequence[Job]) -> int:
    """Return Phi: the fragments of the node over all jobs of the mix, thousandths of a GPU."""
    return sum(fragment(room, node, job) for job in mix)


def fragment(room: Room, node: int, job: Job) -> int:
    """Return what is free on the node and of no use to a job."""
    free = room.milli[node]
    if not hosts(room, node, job):
        return sum(free)
    need = WHOLE if job.milli is None or job.exclusive else job.milli
    return sum(each for each in free if each < need)


def hosts(room: Room, node: int, job: Job) -> bool:
    """Return whether one chunk of the job, a large one, finds room on the node."""
    if job.gpus == 0 or (job.types is not None and room.type[node] not in job.types):
        return False
    if job.milli is not None and not job.exclusive:
        return has(room, node, job, 1) and any(free >= job.milli for free in room.milli[node])
    gpus = large_chunk(room, job, room.type[node])
    return gpus is not None and has(room, node, job, gpus) and len(room.whole(node)) >= gpus


def has(room: Room, node: int, job: Job, gpus: int) -> bool:
    """Return whether the node has the CPUs and the memory that so many GPUs of the job bring, where it states them."""
    cpus, memory = brings(job, gpus)
    return (room.cpus is None or cpus <= room.cpus[node]) and (room.memory is None or memory <= room.memory[node])


def large_chunk(room: Room, job: Job, gpu_type: str) -> int | None:
    """Return the size of a large chunk of a job of whole GPUs on nodes of a type, ``None`` if it never runs there."""
    if job.spread:
        return 1
    if job.nodes is not None:
        return -(-job.gpus // job.nodes)
    here = next((nodes for nodes in groups(room, job) if any(room.type[node] == gpu_type for node in nodes)), [])
    return max(chunks(room, job, here), default=None)
