"""Placements by topology, from the page's words: every choice is listed, and the best by the stated key is taken.

Where the page leaves room, this is the reading taken here.

- spread: a node that the job uses already has no free GPUs, so it does not add to those of its domain.
- topology-block: a job of one chunk is one segment of one chunk, whatever ``segment`` says.
- A job of several chunks that says ``segment`` and whose number of chunks differs between types is cut for each type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, groupby

from reference.jobs import Job
from reference.room import Room, fits

Chosen = dict[int, int]
"""GPUs of the chunk by node."""


def domains_of(room: Room, level: int, inside: Iterable[int]) -> list[list[int]]:
    """Return the nodes of each domain of a level, by its number; the level above the highest is the site."""
    domain_of = [0] * len(room.nodes)
    if level < len(room.cluster.levels.domains):
        domain_of = room.cluster.levels.domains[level].tolist()
    ordered = sorted(inside, key=lambda node: (domain_of[node], node))
    return [list(group) for _, group in groupby(ordered, key=lambda node: domain_of[node])]


# --- spread ------------------------------------------------------------------------------------------------------


def emptiest(room: Room, job: Job, nodes: Sequence[int], gpus: int, used: Iterable[int]) -> int | None:
    """Return the fitting node that ``spread`` prefers, ``None`` if none fits."""
    taken = set(used) | set(room.closed)
    choices = []
    for number, domain in enumerate(domains_of(room, 0, nodes)):
        free = sum(len(room.whole(node)) for node in domain if node not in taken)
        choices += [
            (-free, number, -len(room.whole(node)), node)
            for node in domain
            if node not in taken and fits(room, job, node, gpus)
        ]
    return min(choices)[-1] if choices else None


# --- rails -------------------------------------------------------------------------------------------------------


class Rails(Room):
    """Room in which a chunk of so many GPUs fits only where just these GPU numbers are free."""

    def __init__(self, room: Room, numbers: dict[int, tuple[int, ...]]) -> None:
        self.__dict__.update(room.__dict__)
        self.numbers = numbers

    def suits(self, node: int, gpus: int) -> bool:
        return set(self.numbers[gpus]) <= set(self.whole(node))


def place_aligned(
    room: Room, job: Job, nodes: Sequence[int], sizes: Sequence[int], place_packed: Callable[..., Chosen]
) -> dict[int, tuple[int, ...]] | None:
    """Return the GPU numbers by node for the lowest set of numbers under which the job has a place."""
    most = max((room.size[node] for node in nodes), default=0)
    for rails in combinations(range(most), max(sizes, default=0)):
        numbers = {gpus: rails[:gpus] for gpus in set(sizes)}
        aligned = Rails(room, numbers)
        enough = all(
            sum(fits(aligned, job, node, gpus) for node in nodes) >= sum(size >= gpus for size in sizes)
            for gpus in numbers
        )
        if enough and (chosen := place_packed(aligned, job, nodes, sizes)):
            return {node: numbers[gpus] for node, gpus in chosen.items()}
    return None


# --- trees and blocks --------------------------------------------------------------------------------------------


def taken(room: Room, job: Job, leaf: Iterable[int], sizes: Sequence[int]) -> list[int]:
    """Return those of the chunks, larger ones first, that a leaf takes: each needs a fitting node of its own."""
    takes: list[int] = []
    for gpus in sizes:
        if sum(fits(room, job, node, gpus) for node in leaf) > len(takes):
            takes.append(gpus)
    return takes


def fitting_smallest(room: Room, job: Job, leaf: Iterable[int], sizes: Sequence[int]) -> int:
    return sum(fits(room, job, node, min(sizes)) for node in leaf)


def on_leaves(
    room: Room, job: Job, leaves: Sequence[Sequence[int]], sizes: Sequence[int], most: int | None
) -> Chosen | None:
    """Return where the chunks go on at most ``most`` leaves, ``None`` if there is no place."""
    chosen: Chosen = {}
    rest, uses = list(sizes), 0
    while rest:
        open_nodes = [[node for node in leaf if node not in chosen] for leaf in leaves]
        takes = [taken(room, job, leaf, rest) for leaf in open_nodes]
        keys = [
            (0, fitting_smallest(room, job, leaf, rest), number) if take == rest else (1, -len(take), number)
            for number, (leaf, take) in enumerate(zip(open_nodes, takes, strict=True))
        ]
        best = min(keys, default=(1, 0, 0))
        uses += 1
        if best[:2] == (1, 0) or (most is not None and uses > most):
            return None
        for gpus in takes[best[2]]:
            fitting = [node for node in open_nodes[best[2]] if node not in chosen and fits(room, job, node, gpus)]
            chosen[min(fitting, key=lambda node: (len(room.whole(node)), node))] = gpus
            rest.remove(gpus)
    return chosen


def place_by_tree(room: Room, job: Job, nodes: Sequence[int], sizes: Sequence[int]) -> Chosen | None:
    """Return where the job goes under the lowest switch that takes it all."""
    for level in range(len(room.cluster.levels.domains) + 1):
        switches = [each for each in domains_of(room, level, nodes) if taken(room, job, each, sizes) == list(sizes)]
        if switches and sizes:
            under = min(switches, key=lambda switch: fitting_smallest(room, job, switch, sizes))
            return on_leaves(room, job, domains_of(room, 0, under), sizes, None)
    return None


def place_by_block(
    room: Room, job: Job, nodes: Sequence[int], sizes: Sequence[int], block_level: str | None
) -> Chosen | None:
    """Return where the job goes, segment after segment."""
    names = room.cluster.levels.names
    blocks = domains_of(room, names.index(block_level) if block_level else 0, nodes)
    length = len(sizes)
    if job.segment is not None and job.segment <= length:
        length = job.segment
    if length == 0 or len(sizes) % length:
        return None
    largest = max((len(block) for block in blocks), default=1)
    chosen: Chosen = {}
    for start in range(0, len(sizes), length):
        left = [[node for node in block if node not in chosen] for block in blocks]
        part = on_leaves(room, job, left, sizes[start : start + length], -(-length // largest))
        if part is None:
            return None
        chosen |= part
    return chosen
