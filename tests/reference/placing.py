"""Where a job would run: free room, the placements and their random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reference import nearby, scoring
from reference.jobs import WHOLE, Job, Piece, brings
from reference.room import Room, fits
from reference.shaping import chunks, groups

PLACEMENTS = (
    "first-fit", "best-fit", "worst-fit", "random", "packed", "spread", "rail-aligned", "topology-tree",
    "topology-block", *scoring.PLACEMENTS,
)  # fmt: skip


def mix(z: int) -> int:
    """Return the finaliser of SplitMix64."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def random_bits(stream: str, seed: int, row: int, chunk: int) -> int:
    """Return the 64 random bits that belong to this stream, seed, row and chunk."""
    key = int.from_bytes(hashlib.sha256(f"gpuyard:{stream}:{seed}".encode()).digest()[:8], "big")
    return mix((key + (row * 65536 + chunk + 1) * 0x9E3779B97F4A7C15) % 2**64)


Place = tuple[int, ...]
"""(node,) or (node, GPU number)."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A placement, its option and the seed of its random numbers."""

    placement: str
    seed: int
    block_level: str | None = None
    mix: Sequence[Job] = ()
    """the jobs that are not rejected, which only ``fgd`` looks at"""

    def draw(self, row: int, chunk: int, candidates: int) -> int:
        """Return the random number below ``candidates`` that belongs to this seed, job and chunk."""
        return ((random_bits("placement", self.seed, row, chunk) >> 32) * candidates) >> 32

    def choose(self, places: Sequence[Place], free: Callable[[Place], int], row: int, chunk: int = 0) -> Place:
        """Return the place that the placement prefers; ``free`` says what is free there."""
        assert self.placement in PLACEMENTS, f"the reference does not know {self.placement}"
        if self.placement == "first-fit":
            return min(places)
        if self.placement in {"worst-fit", "spread"}:
            return min(places, key=lambda place: (-free(place), place))
        by_free = sorted(places, key=lambda place: (free(place), place))
        return by_free[self.draw(row, chunk, len(places)) if self.placement == "random" else 0]


def place(room: Room, job: Job, rule: Rule) -> list[Piece] | None:
    """Return what the job would hold if it started now, or ``None``."""
    allowed = [node for node in room.nodes if job.gpus == 0 or job.types is None or room.type[node] in job.types]
    if is_impossible(room, job):
        return None
    if job.exclusive:
        room = room.untouched()
    if job.milli is not None and not job.exclusive:
        return place_fraction(room, job, allowed, rule)
    if job.spread:
        return place_spread(room, job, allowed, rule)
    for nodes in groups(room, job):
        pieces = place_shape(room, job, nodes, rule)
        if pieces:
            return pieces
    return None


def is_impossible(room: Room, job: Job) -> bool:
    """Return whether the job could not be placed whatever is free."""
    if job.nodes is not None and 0 < job.gpus < job.nodes and not job.spread:
        return True
    if job.gpus == 0 and (room.cpus is None or not job.cpus):
        return True
    return job.exclusive and job.spread


def place_shape(room: Room, job: Job, nodes: Sequence[int], rule: Rule) -> list[Piece] | None:
    """Return what a job that has a shape would hold on some of these nodes, or ``None``."""
    sizes = chunks(room, job, nodes)
    if rule.placement == "rail-aligned" and len(sizes) > 1 and job.gpus > 0:
        aligned = nearby.place_aligned(room, job, nodes, sizes, place_packed) or {}
        return [whole_piece(room, job, node, len(rails), rails) for node, rails in sorted(aligned.items())]
    if rule.placement in {"packed", "rail-aligned"} and len(sizes) > 1:
        chosen = place_packed(room, job, nodes, sizes)
    elif rule.placement == "topology-tree":
        chosen = nearby.place_by_tree(room, job, nodes, sizes)
    elif rule.placement == "topology-block":
        chosen = nearby.place_by_block(room, job, nodes, sizes, rule.block_level)
    else:
        chosen = place_chunks(room, job, nodes, sizes, rule)
    return [whole_piece(room, job, node, gpus) for node, gpus in sorted((chosen or {}).items())]


def pick(room: Room, job: Job, rule: Rule, places: Sequence[Place], gpus: int, chunk: int = 0) -> Place:
    """Return the node for a chunk of so many GPUs, or the node and the GPU for a fraction, of those that fit."""
    if rule.placement in scoring.PLACEMENTS:
        return scoring.choose(rule.placement, room, job, places, gpus, rule.mix)

    def free(place: Place) -> int:
        return len(room.whole(place[0])) if len(place) == 1 else room.milli[place[0]][place[1]]

    return rule.choose(places, free, job.drawn, chunk)


def whole_piece(room: Room, job: Job, node: int, gpus: int, numbers: tuple[int, ...] | None = None) -> Piece:
    """Return a chunk on a node: it takes the lowest-numbered wholly free GPUs, or those given; alone, all there is."""
    if job.exclusive:
        cpus = 0 if room.cpus is None else room.cpus[node]
        memory = 0 if room.memory is None else room.memory[node]
        return Piece(node=node, gpus=tuple(range(room.size[node])), milli=WHOLE, cpus=cpus, memory=memory)
    cpus, memory = brings(job, gpus)
    numbers = tuple(room.whole(node)[:gpus]) if numbers is None else numbers
    return Piece(node=node, gpus=numbers, milli=WHOLE, cpus=cpus, memory=memory)


def place_chunks(room: Room, job: Job, nodes: Sequence[int], sizes: Sequence[int], rule: Rule) -> dict[int, int]:
    """Return GPUs by node for chunks placed one after the other, or nothing."""
    chosen: dict[int, int] = {}
    for chunk, gpus in enumerate(sizes):
        fitting = [(node,) for node in nodes if node not in chosen and fits(room, job, node, gpus)]
        if not fitting:
            return {}
        if rule.placement == "spread":
            chosen[nearby.emptiest(room, job, nodes, gpus, chosen)] = gpus
            continue
        (node,) = pick(room, job, rule, fitting, gpus, chunk)
        chosen[node] = gpus
    return chosen


def place_fraction(room: Room, job: Job, nodes: Sequence[int], rule: Rule) -> list[Piece] | None:
    milli, needs = job.milli or 0, brings(job, 1)
    fitting = [
        (node, gpu)
        for node in nodes
        for gpu, free in enumerate(room.milli[node])
        if free >= milli and room.has(node, *needs)
    ]
    if not fitting:
        return None
    node, gpu = pick(room, job, rule, fitting, 1)
    return [Piece(node=node, gpus=(gpu,), milli=milli, cpus=needs[0], memory=needs[1])]


def place_spread(room: Room, job: Job, nodes: Sequence[int], rule: Rule) -> list[Piece] | None:
    chosen: dict[int, int] = {}
    while (lacking := job.gpus - sum(chosen.values())) > 0:
        fitting = [(node,) for node in nodes if node not in chosen and fits(room, job, node, 1)]
        if not fitting:
            return None
        (node,) = pick(room, job, rule, fitting, 1, len(chosen))
        if rule.placement == "spread":
            node = nearby.emptiest(room, job, nodes, 1, chosen)
        chosen[node] = max(gpus for gpus in range(1, lacking + 1) if fits(room, job, node, gpus))
    return [whole_piece(room, job, node, gpus) for node, gpus in sorted(chosen.items())]


def place_packed(room: Room, job: Job, nodes: Sequence[int], sizes: Sequence[int]) -> dict[int, int]:
    """Return GPUs by node for several chunks, as near to each other as the levels allow, or nothing."""
    levels = [list(map(int, domain)) for domain in room.cluster.levels.domains]
    levels.append([0] * room.cluster.nodes)  # the whole site

    def domains(level: int, inside: Sequence[int]) -> list[list[int]]:
        numbers = sorted({levels[level][node] for node in inside})
        return [[node for node in inside if levels[level][node] == number] for number in numbers]

    def number_fitting(domain: Sequence[int], gpus: int) -> int:
        return sum(fits(room, job, node, gpus) for node in domain)

    def share(domain: Sequence[int], left: Sequence[int]) -> list[int]:
        """Return the chunks, larger ones first, that have a node; what fits a large one fits a small one."""
        taken: list[int] = []
        for gpus in left:
            if number_fitting(domain, gpus) > len(taken):
                taken.append(gpus)
        return taken

    def descend(level: int, domain: Sequence[int], left: Sequence[int]) -> dict[int, int]:
        """Return where those of the chunks go that the domain has nodes for."""
        if level == 0:
            best_fit = Rule(placement="best-fit", seed=0)
            return place_chunks(room, job, domain, share(domain, left), best_fit)
        chosen: dict[int, int] = {}
        unvisited, rest = domains(level - 1, domain), list(left)
        while rest and unvisited:
            holding = [child for child in unvisited if share(child, rest) == rest]
            child = min(holding, key=room.empty) if holding else max(unvisited, key=room.empty)
            part = descend(level - 1, child, rest)
            unvisited.remove(child)
            chosen |= part
            for gpus in part.values():
                rest.remove(gpus)
        return chosen

    for level in range(len(levels)):
        holding = [domain for domain in domains(level, nodes) if share(domain, sizes) == sizes]
        if holding and sizes:
            return descend(level, min(holding, key=room.empty), sizes)
    return {}
