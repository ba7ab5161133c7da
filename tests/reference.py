"""The oracle: docs/semantics.md once more, as slowly and plainly as it can be said.

Nothing is kept between two passes that could be worked out anew: free room is recomputed from what the
running jobs hold, the queue is a fresh ``sorted`` list, the next instant is a ``min`` over all jobs.

Where the page leaves room, this is the reading taken here:

- A job without GPUs that asks for no CPUs, or for zero, is rejected: there is nothing it could hold.
- Thousandths of a core and MiB are rounded to whole numbers, half to even, before they are divided.
- A spread job ignores ``nodes`` (it has no shape) and may mix GPU types.
- A node without GPUs counts as an empty node: none of its GPUs is in use.
- packed, "all that is left" is the whole rest of the job at every depth, also inside a domain that can take
  only a part of it.
- A job that the empty cluster could not hold is rejected under recorded replay as well; a missing run time
  (without recorded start and end to replace it) rejects a job under every policy.
- A job that would have become eligible after the stop never is, and neither is a rejected job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import NEVER, Workload

SECOND = 1_000_000
WHOLE = 1000
"""Thousandths of a whole GPU."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row of the workload; times in microseconds, CPUs in thousandths of a core, memory in MiB."""

    row: int
    submit: int
    runtime: int | None
    limit: int | None
    gpus: int
    milli: int | None
    types: tuple[str, ...] | None
    cpus: int | None
    memory: int | None
    nodes: int | None
    spread: bool
    priority: int
    not_before: int | None
    parents: tuple[int, ...]
    think: int
    recorded_start: int | None
    recorded_end: int | None
    state: str | None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What a job holds on one node: ``milli`` thousandths of each of these GPUs, CPUs, memory."""

    node: int
    gpus: tuple[int, ...]
    milli: int
    cpus: int
    memory: int


@dataclass(kw_only=True)
class Fate:
    """What became of one job; times in microseconds, ``None`` where there is none."""

    eligible: int | None = None
    start: int | None = None
    end: int | None = None
    outcome: str = "unfinished"
    slots: list[tuple[int, int, int]] = field(default_factory=list)
    """(node, GPUs held there, lowest GPU number or -1), by node"""


def ticks(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)


def read(workload: Workload, policy: Policy) -> list[Job]:
    """Return the jobs by row."""
    rows = workload.table.to_pylist()
    row_of = {row["job_id"]: number for number, row in enumerate(rows)}
    jobs = []
    for number, row in enumerate(rows):
        milli = row["gpu_milli"] if row["gpus"] == 1 else None
        job = Job(
            row=number,
            submit=round(row["submit_time"] * SECOND),
            runtime=ticks(row["runtime"]),
            limit=ticks(row["time_limit"]),
            gpus=row["gpus"],
            milli=milli,
            types=None if row["gpu_type"] is None else tuple(sorted(row["gpu_type"].split("|"))),
            cpus=None if row["cpus"] is None else round(row["cpus"] * 1000),
            memory=None if row["memory_gib"] is None else round(row["memory_gib"] * 1024),
            nodes=row["nodes"],
            spread=(bool(row["spread"]) or policy.spread) and row["gpus"] > 0 and milli is None,
            priority=row["priority"] or 0,
            not_before=ticks(row["not_before"]),
            parents=tuple(row_of[name] for name in row["depends_on"] or ()),
            think=ticks(row["think_time"]) or 0,
            recorded_start=ticks(row["start_time"]),
            recorded_end=ticks(row["end_time"]),
            state=row["state"],
        )
        jobs.append(job)
    return jobs


class Room:
    """What is free while these pieces are held."""

    def __init__(self, cluster: Cluster, pieces: Iterable[Piece]) -> None:
        self.cluster = cluster
        self.nodes = range(cluster.nodes)
        self.type = [cluster.gpu_types[number] for number in cluster.node_type]
        self.size = [int(gpus) for gpus in cluster.node_gpus]
        self.milli = [[WHOLE] * size for size in self.size]
        cpus, memory = cluster.node_cpus, cluster.node_memory_gib
        self.cpus = None if cpus is None else [round(float(each) * 1000) for each in cpus]
        self.memory = None if memory is None else [round(float(each) * 1024) for each in memory]
        for piece in pieces:
            for gpu in piece.gpus:
                self.milli[piece.node][gpu] -= piece.milli
            if self.cpus is not None:
                self.cpus[piece.node] -= piece.cpus
            if self.memory is not None:
                self.memory[piece.node] -= piece.memory

    def whole(self, node: int) -> list[int]:
        """Return the wholly free GPUs of a node."""
        return [gpu for gpu, free in enumerate(self.milli[node]) if free == WHOLE]

    def empty(self, nodes: Iterable[int]) -> int:
        """Return how many of these nodes have all their GPUs wholly free."""
        return sum(len(self.whole(node)) == self.size[node] for node in nodes)

    def has(self, node: int, cpus: int, memory: int) -> bool:
        enough_cpus = self.cpus is None or self.cpus[node] >= cpus
        return enough_cpus and (self.memory is None or self.memory[node] >= memory)


def per_piece(amount: int | None, pieces: int) -> int:
    """Return the share of one GPU (one node), rounded up."""
    return -(-(amount or 0) // pieces)


def brings(job: Job, gpus: int) -> tuple[int, int]:
    """Return the CPUs and the memory of a chunk of so many GPUs."""
    if job.gpus == 0:
        return per_piece(job.cpus, job.nodes or 1), per_piece(job.memory, job.nodes or 1)
    return gpus * per_piece(job.cpus, job.gpus), gpus * per_piece(job.memory, job.gpus)


def fits(room: Room, job: Job, node: int, gpus: int) -> bool:
    """Return whether a chunk of so many whole GPUs can go to the node now."""
    return len(room.whole(node)) >= gpus and room.has(node, *brings(job, gpus))


def mix(z: int) -> int:
    """Return the finaliser of SplitMix64."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


Place = tuple[int, ...]
"""(node,) or (node, GPU number)."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A placement and the seed of its random numbers."""

    placement: str
    seed: int

    def draw(self, row: int, chunk: int, candidates: int) -> int:
        """Return the random number below ``candidates`` that belongs to this seed, job and chunk."""
        stream = int.from_bytes(hashlib.sha256(f"gpuyard:placement:{self.seed}".encode()).digest()[:8], "big")
        x = mix((stream + (row * 65536 + chunk + 1) * 0x9E3779B97F4A7C15) % 2**64)
        return ((x >> 32) * candidates) >> 32

    def choose(self, places: Sequence[Place], free: Callable[[Place], int], row: int, chunk: int = 0) -> Place:
        """Return the place that the placement prefers; ``free`` says what is free there."""
        if self.placement == "first-fit":
            return min(places)
        if self.placement == "worst-fit":
            return min(places, key=lambda place: (-free(place), place))
        by_free = sorted(places, key=lambda place: (free(place), place))
        return by_free[self.draw(row, chunk, len(places)) if self.placement == "random" else 0]


def place(room: Room, job: Job, rule: Rule) -> list[Piece] | None:
    """Return what the job would hold if it started now, or ``None``."""
    allowed = [node for node in room.nodes if job.gpus == 0 or job.types is None or room.type[node] in job.types]
    if job.nodes is not None and 0 < job.gpus < job.nodes and not job.spread:
        return None
    if job.gpus == 0 and (room.cpus is None or not job.cpus):
        return None
    if job.milli is not None:
        return place_fraction(room, job, allowed, rule)
    if job.spread:
        return place_spread(room, job, allowed, rule)
    if job.gpus == 0 or job.nodes == 1 or (job.nodes is None and max_size(room, allowed) >= job.gpus):
        groups = [allowed]
    else:
        groups = [[node for node in allowed if room.type[node] == name] for name in sorted(set(room.type))]
    for nodes in groups:
        sizes = chunks(room, job, nodes)
        if rule.placement == "packed" and len(sizes) > 1:
            chosen = place_packed(room, job, nodes, sizes)
        else:
            chosen = place_chunks(room, job, nodes, sizes, rule)
        if chosen:
            return [whole_piece(room, job, node, gpus) for node, gpus in sorted(chosen.items())]
    return None


def max_size(room: Room, nodes: Iterable[int]) -> int:
    return max((room.size[node] for node in nodes), default=0)


def chunks(room: Room, job: Job, nodes: Sequence[int]) -> list[int]:
    """Return the sizes of the job's chunks on these nodes, larger ones first; none if it has no shape there."""
    if job.nodes is not None:
        quotient, rest = divmod(job.gpus, job.nodes)
        return [quotient + 1] * rest + [quotient] * (job.nodes - rest)
    largest = max_size(room, nodes)
    if job.gpus <= largest:
        return [job.gpus]
    if largest == 0:
        return []
    quotient, rest = divmod(job.gpus, largest)
    return [largest] * quotient + [rest] * (rest > 0)


def whole_piece(room: Room, job: Job, node: int, gpus: int) -> Piece:
    """Return a chunk on a node: it takes the lowest-numbered wholly free GPUs."""
    cpus, memory = brings(job, gpus)
    return Piece(node=node, gpus=tuple(room.whole(node)[:gpus]), milli=WHOLE, cpus=cpus, memory=memory)


def place_chunks(room: Room, job: Job, nodes: Sequence[int], sizes: Sequence[int], rule: Rule) -> dict[int, int]:
    """Return GPUs by node for chunks placed one after the other, or nothing."""
    chosen: dict[int, int] = {}
    for chunk, gpus in enumerate(sizes):
        fitting = [(node,) for node in nodes if node not in chosen and fits(room, job, node, gpus)]
        if not fitting:
            return {}
        (node,) = rule.choose(fitting, lambda it: len(room.whole(it[0])), job.row, chunk)
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
    node, gpu = rule.choose(fitting, lambda it: room.milli[it[0]][it[1]], job.row)
    return [Piece(node=node, gpus=(gpu,), milli=milli, cpus=needs[0], memory=needs[1])]


def place_spread(room: Room, job: Job, nodes: Sequence[int], rule: Rule) -> list[Piece] | None:
    chosen: dict[int, int] = {}
    while (lacking := job.gpus - sum(chosen.values())) > 0:
        fitting = [(node,) for node in nodes if node not in chosen and fits(room, job, node, 1)]
        if not fitting:
            return None
        (node,) = rule.choose(fitting, lambda it: len(room.whole(it[0])), job.row, len(chosen))
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


def run_length(job: Job, policy: Policy) -> int | None:
    """Return how long the job runs once it has started."""
    if policy.replay == "recorded":
        both = job.recorded_start is not None and job.recorded_end is not None
        return job.recorded_end - job.recorded_start if both else job.runtime
    if policy.on_limit == "kill" and None not in (job.runtime, job.limit):
        return min(job.runtime, job.limit)
    return job.runtime


def queue_key(job: Job, order: str) -> tuple[int, int, int]:
    """Return what the queue is sorted by."""
    estimate = job.runtime if job.limit is None else job.limit
    gpus = job.gpus * WHOLE if job.milli is None else job.milli
    first = {"fifo": 0, "sjf": estimate, "smallest": gpus, "priority": -job.priority}[order]
    return first or 0, job.submit, job.row


def rejected_rows(jobs: Sequence[Job], cluster: Cluster, policy: Policy, rule: Rule) -> set[int]:
    """Return the jobs that never enter the queue."""
    recorded = policy.replay == "recorded"
    nothing_held = Room(cluster, [])
    rejected = {
        job.row
        for job in jobs
        if run_length(job, policy) is None
        or (recorded and job.recorded_start is None)
        or place(nothing_held, job, rule) is None
    }
    while not recorded:
        heirs = {job.row for job in jobs if rejected & set(job.parents)} - rejected
        if not heirs:
            break
        rejected |= heirs
    return rejected


def ended_as(job: Job, policy: Policy) -> str:
    scheduled_to_kill = policy.replay == "schedule" and policy.on_limit == "kill"
    if scheduled_to_kill and job.limit is not None and job.runtime > job.limit:
        return "timed_out"
    return job.state if job.state in ("failed", "cancelled") else "completed"


def simulate(
    workload: Workload, cluster: Cluster, policy: Policy, seed: int = 0, until: float | None = None
) -> list[Fate]:
    """Return the fate of each job, by row of the workload."""
    jobs, stop, recorded = read(workload, policy), ticks(until), policy.replay == "recorded"
    rule = Rule(placement=policy.placement, seed=seed)
    rejected = rejected_rows(jobs, cluster, policy, rule)
    fates = [Fate(outcome="rejected" if job.row in rejected else "unfinished") for job in jobs]
    waiting = [job for job in jobs if job.row not in rejected]
    running: dict[int, list[Piece]] = {}
    ends_at: dict[int, int] = {}

    def eligible(job: Job) -> int | None:
        if recorded:
            return job.submit
        if any(fates[parent].end is None for parent in job.parents):
            return None
        after = [fates[parent].end + job.think for parent in job.parents]
        return max([job.submit, job.submit if job.not_before is None else job.not_before, *after])

    def may_start(job: Job) -> int | None:
        return max(job.submit, job.recorded_start) if recorded else eligible(job)

    now = -NEVER
    while True:
        times = [at for job in waiting if (at := may_start(job)) is not None and at > now]
        times += [job.submit for job in waiting if job.submit > now] + [ends_at[row] for row in running]
        if not times or (stop is not None and min(times) > stop):
            break
        now = min(times)
        for row in sorted(running):
            if ends_at[row] == now:
                del running[row]
                fates[row].end, fates[row].outcome = now, ended_as(jobs[row], policy)
        queue = [job for job in waiting if (at := may_start(job)) is not None and at <= now]
        for job in sorted(queue, key=lambda it: it.row if recorded else queue_key(it, policy.order)):
            room = Room(cluster, [piece for pieces in running.values() for piece in pieces])
            pieces = place(room, job, rule)
            if pieces is None and not recorded:
                if policy.backfill == "none":
                    break
                continue
            waiting.remove(job)
            running[job.row] = pieces or []
            ends_at[job.row] = now + run_length(job, policy)
            fates[job.row].start = now
            fates[job.row].slots = [(it.node, len(it.gpus), min(it.gpus, default=-1)) for it in pieces or []]
    for job in jobs:
        at = None if job.row in rejected else eligible(job)
        fates[job.row].eligible = at if stop is None or at is None or at <= stop else None
    return fates
