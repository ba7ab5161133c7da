"""From instant to instant in cells: who runs in the cells of a owner, who in idle ones, who has to leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gpuyard.cluster import Cluster
from reference.attempts import Costs, Past
from reference.cells import Cell, Forest, Hierarchy
from reference.jobs import WHOLE, Job, Piece, brings, slots_of
from reference.preempting import PreemptiveSimulation
from reference.simulator import Simulation, rejected_rows
from reference.tenants import ALL


@dataclass(frozen=True, kw_only=True)
class Held:
    """The cells of a running job."""

    physical: list[Cell]
    virtual: list[Cell]
    """empty: it runs as an opportunistic job"""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The first job of a queue that found no cells: how many of which level it waits for, and until when."""

    level: int
    count: int
    shadow: int | None
    """``None``: there will never be as many"""


class CellSimulation(PreemptiveSimulation):
    """One run of one workload under a policy with cells."""

    def __init__(self, *given: object, **more: object) -> None:
        Simulation.__init__(self, *given, **more)
        self.terms = self.policy.preemption
        self.costs = Costs.of(self.terms)
        self.pasts = {
            job.row: Past(attempts=self.fates[job.row].attempts, interval=job.checkpoint_interval)
            for job in self.waiting
        }
        for job in self.waiting:
            self.expect(job)
        self.line: list[int] = []
        self.cancelled: list[int] = []
        self.held: dict[int, Held] = {}
        """by row; nothing of a job for which there was no room when the simulation began"""
        self.heads: dict[str | None, Head] = {}
        """of this pass, by owner; under ``None`` that of the queue for lent cells"""
        self.site = Forest(self.hierarchy, [0] * (len(self.hierarchy.names) - 1) + [self.hierarchy.tops])
        self.forests = {name: Forest(self.hierarchy, self.owned(name)) for name in self.policy.cells.owners}
        for cells, size in zip(self.site.levels, map(self.hierarchy.size, range(len(self.site.levels))), strict=True):
            for cell in cells:
                cell.gpus = range(cell.number * size, (cell.number + 1) * size)

    @cached_property
    def hierarchy(self) -> Hierarchy:
        return Hierarchy.of(self.cluster, self.policy.cells.levels)

    def owned(self, name: str) -> list[int]:
        return [self.policy.cells.owners[name].get(level, 0) for level in self.hierarchy.names]

    def rejected(self, cluster: Cluster) -> set[int]:
        self.cluster = cluster
        refused = {job.row for job in self.jobs if self.is_refused(job)}
        return rejected_rows(self.jobs, cluster, self.policy, self.rule, refused=refused)

    def is_refused(self, job: Job) -> bool:
        """Return whether bounds or cells are not for this job, or its owner and the lent cells are not."""
        if self.is_beyond_bounds(self.cluster, job):
            return True
        if job.gpus == 0 or (job.milli is not None and job.milli < WHOLE) or job.spread or job.exclusive:
            return True
        size, chunks = int(self.cluster.node_gpus[0]), self.chunks(job)
        if max(chunks) > size or min(chunks) == 0:
            return True
        for brought, there, unit in zip(
            brings(job, 1), (self.cluster.node_cpus, self.cluster.node_memory_gib), (1000, 1024), strict=True
        ):
            if there is not None and brought * size > min(round(each * unit) for each in there):
                return True
        if self.tenancy is not None and not self.tenancy.limits_admit([], job):
            return True
        return not self.is_guaranteed(job) and not self.may_be_guest(job)

    def is_admitted(self, job: Job) -> bool:
        """Return whether limits admit a job beside those that run now."""
        running = [(run.job, ALL) for run in self.yard.running.values() if run.pieces]
        return self.tenancy is None or self.tenancy.limits_admit(running, job)

    def home(self, job: Job) -> str | None:
        """Return the owner of a job."""
        path = job.tenant if self.policy.cells.by == "tenant" else job.partition
        while path:
            if path in self.policy.cells.owners:
                return path
            path = path.rpartition("/")[0]
        return None

    def has_claim(self, job: Job) -> bool:
        return self.home(job) is not None and job.priority >= 0

    def is_guaranteed(self, job: Job) -> bool:
        """Return whether the job is tried in its owner, which can hold it when it is empty."""
        return (
            self.has_claim(job) and Forest(self.hierarchy, self.owned(self.home(job))).take(*self.asks(job)) is not None
        )

    def may_be_guest(self, job: Job) -> bool:
        """Return whether the job is ever tried as an opportunistic one."""
        return job.preemptible and (not self.has_claim(job) or self.policy.cells.beyond == "opportunistic")

    def chunks(self, job: Job) -> list[int]:
        """Return the GPUs of each chunk, larger ones first."""
        size = int(self.cluster.node_gpus[0])
        if job.nodes is not None:
            each, more = divmod(job.gpus, job.nodes)
            return [each + 1] * more + [each] * (job.nodes - more)
        whole, rest = divmod(job.gpus, size)
        return [size] * whole + [rest] * (rest > 0)

    def asks(self, job: Job) -> tuple[int, int]:
        """Return the level and the number of the cells that the job asks for."""
        chunks = self.chunks(job)
        if len(chunks) > 1:
            return self.hierarchy.node, len(chunks)
        return next(level for level in range(len(self.hierarchy.names)) if self.hierarchy.size(level) >= chunks[0]), 1

    def decide(self) -> None:
        """Make one pass."""
        strict = self.policy.backfill == "none"
        self.heads = {}
        stopped: set[str | None] = set()
        tried: set[int] = set()
        while left := [job for job in self.in_order() if job.row not in tried and self.is_guaranteed(job)]:
            job = left[0]
            tried.add(job.row)
            if self.home(job) not in stopped and not self.start_at_home(job) and strict:
                stopped.add(self.home(job))
        for job in self.in_order():
            if self.may_be_guest(job) and not self.start_as_guest(job) and strict:
                return

    def in_order(self) -> list[Job]:
        return sorted(self.queue(), key=lambda job: self.ranking.key(job, self.yard.now, self.eligible(job)))

    def start_at_home(self, job: Job) -> bool:
        """Start a guaranteed job in its owner if it can; return whether it did."""
        virtual = self.take(job, self.home(job)) or self.take_from_others(job)
        if virtual is None:
            return False
        physical = []
        for cell in virtual:
            physical.append(self.bind(cell))
            self.clear(physical[-1], job)
        self.begin_in(job, Held(physical=physical, virtual=virtual))
        return True

    def take_from_others(self, job: Job) -> list[Cell] | None:
        """Take cells for a job from those of its owner with a lower priority, who are preempted, if that is enough."""
        if self.policy.cells.within != "priority" or not self.is_admitted(job):
            return None
        rows = [row for row, held in self.held.items() if held.virtual and self.may_take_from(job, row)]
        rows.sort(key=lambda row: (self.jobs[row].priority, -self.yard.running[row].start, row))
        forest, gone = self.forests[self.home(job)], []
        while rows and not self.would_fit(job, forest):
            gone.append(rows.pop(0))
            self.let(gone[-1], taken=False)
        if not gone or not self.would_fit(job, forest):
            for row in gone:
                self.let(row, taken=True)
            return None
        victims = gone[-1:]
        for row in reversed(gone[:-1]):
            self.let(row, taken=True)
            if not self.would_fit(job, forest):
                self.let(row, taken=False)
                victims.insert(0, row)
        for row in victims:
            self.send_away(row, job)
        return forest.take(*self.asks(job))

    def may_take_from(self, job: Job, row: int) -> bool:
        other = self.jobs[row]
        began = self.yard.running[row].start < self.yard.now
        return self.home(other) == self.home(job) and other.priority < job.priority and other.preemptible and began

    def let(self, row: int, *, taken: bool) -> None:
        """Imagine that a running job has its cells, or has them not."""
        for cell in self.held[row].virtual:
            cell.taken = taken

    def would_fit(self, job: Job, forest: Forest) -> bool:
        level, count = self.asks(job)
        return sum(cell.free for cell in forest.levels[level]) >= count

    def start_as_guest(self, job: Job) -> bool:
        """Start a job in idle cells if it can; return whether it did."""
        self.mark(held for held in self.held.values())
        physical = self.take(job, None)
        if physical is None:
            return False
        self.begin_in(job, Held(physical=physical, virtual=[]))
        return True

    def take(self, job: Job, queue: str | None) -> list[Cell] | None:
        """Take cells for a job of a queue if limits, free cells and the queue's head let it have them."""
        if not self.is_admitted(job):
            return None
        level, count = self.asks(job)
        found = self.forest_of(queue).take(level, count)
        if self.policy.backfill != "easy":
            return found
        if found is None:
            self.heads.setdefault(queue, self.reserve(queue, level, count))
            return None
        if self.passes(job, found, self.heads.get(queue), queue):
            return found
        for cell in found:
            cell.taken = False
        return None

    def forest_of(self, queue: str | None) -> Forest:
        return self.site if queue is None else self.forests[queue]

    def reserve(self, queue: str | None, level: int, count: int) -> Head:
        """Return what the first job of a queue that finds no cells is promised."""
        ends = sorted({self.yard.expected_end(self.yard.running[row]) for row, _ in self.holders(queue)})
        enough = (at for at in ends if self.free_at(at, queue, level, []) >= count)
        return Head(level=level, count=count, shadow=next(enough, None))

    def holders(self, queue: str | None) -> list[tuple[int, list[Cell]]]:
        """Return who holds which cells of an owner, or of the site."""
        if queue is None:
            return [(row, held.physical) for row, held in self.held.items()]
        return [(row, it.virtual) for row, it in self.held.items() if it.virtual and self.home(self.jobs[row]) == queue]

    def free_at(self, at: int | None, queue: str | None, level: int, more: list[Cell]) -> int:
        """Return how many cells are expected to be free at an instant if some more are held."""
        taken = set(more)
        for row, cells in self.holders(queue):
            if at is None or self.yard.expected_end(self.yard.running[row]) > at:
                taken |= set(cells)
        return sum(
            taken.isdisjoint(cell.within()) and taken.isdisjoint(cell.around())
            for cell in self.forest_of(queue).levels[level]
        )

    def passes(self, job: Job, cells: list[Cell], head: Head | None, queue: str | None) -> bool:
        """Return whether a job may start in these cells behind the head of its queue."""
        if head is None or head.shadow is None or self.yard.now + self.yard.durations[job.row] <= head.shadow:
            return True
        return self.free_at(head.shadow, queue, head.level, cells) >= head.count

    def expect(self, job: Job) -> None:
        guess = max(self.ranking.estimates[job.row], 1)
        self.yard.durations[job.row] = self.costs.expected(self.pasts[job.row], guess)

    def mark(self, holding: object) -> None:
        """Let those physical cells be taken that are held, and no others."""
        for cells in self.site.levels:
            for cell in cells:
                cell.taken = False
        for held in holding:
            for cell in held.physical:
                cell.taken = True

    def bind(self, virtual: Cell) -> Cell:
        """Return where a virtual cell is, and settle it if it is nowhere yet."""
        if virtual.bound is None and virtual.parent is None:
            self.mark(())
            for forest in self.forests.values():
                for cell in (it for cells in forest.levels for it in cells):
                    if cell.parent is None and cell.bound is not None:
                        cell.bound.taken = True
            virtual.bound = self.site.buddy(virtual.level, preferred=self.guests)
            assert virtual.bound is not None, "the guarantee is broken"
        elif virtual.bound is None:
            others = [sibling.bound for sibling in virtual.parent.children]
            left = [child for child in self.bind(virtual.parent).children if child not in others]
            virtual.bound = min(left, key=lambda cell: (self.guests(cell), cell.number))
        return virtual.bound

    def guests(self, cell: Cell) -> int:
        """Return the opportunistic GPUs in a cell."""
        theirs = [it for held in self.held.values() if not held.virtual for it in held.physical]
        return sum(len(set(cell.gpus) & set(it.gpus)) for it in theirs)

    def clear(self, cell: Cell, job: Job) -> None:
        """Preempt the opportunistic jobs in a cell."""
        for row, held in sorted(self.held.items()):
            if any(set(cell.gpus) & set(it.gpus) for it in held.physical):
                assert not held.virtual, "two guaranteed jobs in one cell"
                self.send_away(row, job)

    def send_away(self, row: int, cause: Job) -> None:
        """Preempt a running job; it waits again."""
        run = self.yard.running[row]
        kept = self.costs.kept(self.pasts[row], self.yard.lengths[row], self.yard.now - run.start)
        self.close(row, kept, cause=cause.row)
        self.expect(run.job)
        self.waiting = sorted([*self.waiting, run.job], key=lambda each: each.row)
        self.line.append(row)

    def close(self, row: int, useful: int, cause: int | None) -> None:
        super().close(row, useful, cause)
        held = self.held.pop(row, None)
        for cell in [] if held is None else held.virtual:
            cell.taken = False
        for forest in self.forests.values():
            for cell in (it for cells in forest.levels for it in cells):
                if not any(it.taken for it in cell.within()):
                    cell.bound = None

    def begin_in(self, job: Job, held: Held) -> None:
        """Let a job run in these cells."""
        self.held[job.row] = held
        self.yard.hold(job, self.pieces(job, held.physical))
        self.line.remove(job.row)
        self.note_beginning(job)

    def pieces(self, job: Job, physical: Sequence[Cell]) -> list[Piece]:
        """Return what a job holds in these cells: the lowest GPUs of each."""
        size = int(self.cluster.node_gpus[0])
        pieces = []
        for cell, gpus in zip(physical, self.chunks(job), strict=True):
            node, first = divmod(cell.gpus[0], size)
            cpus, memory = brings(job, gpus)
            pieces.append(
                Piece(node=node, gpus=tuple(range(first, first + gpus)), milli=WHOLE, cpus=cpus, memory=memory)
            )
        return sorted(pieces, key=lambda piece: piece.node)

    def note_beginning(self, job: Job) -> None:
        """Write down that a job runs now, and how long this attempt lasts if it is left alone."""
        run, fate = self.yard.running[job.row], self.fates[job.row]
        run.end = run.start + self.costs.length(self.pasts[job.row], self.yard.lengths[job.row])
        self.waiting.remove(job)
        fate.start = run.start if fate.start is None else fate.start
        fate.slots = slots_of(run.pieces)

    def place_running(self) -> None:
        """Give cells to those who run when the simulation begins: of their owners first, then idle ones."""
        running = [job for job in self.waiting if self.runs(job)]
        for job in running:
            virtual = self.forests[self.home(job)].take(*self.asks(job)) if self.is_guaranteed(job) else None
            if virtual is not None:
                self.held[job.row] = Held(physical=[self.bind(cell) for cell in virtual], virtual=virtual)
        for job in running:
            if job.row not in self.held and job.preemptible:
                self.mark(self.held.values())
                physical = self.site.take(*self.asks(job))
                if physical is not None:
                    self.held[job.row] = Held(physical=physical, virtual=[])
        for job in running:
            self.yard.now = job.known_start
            held = self.held.get(job.row)
            self.yard.hold(job, [] if held is None else self.pieces(job, held.physical))
            self.note_beginning(job)

    def promote(self, now: int) -> None:
        """Do nothing: there are no levels of urgency here."""

    def next_instant(self, now: int) -> int | None:
        return Simulation.next_instant(self, now)

    def kept(self, run: object) -> int:
        row = run.job.row
        return self.costs.kept(self.pasts[row], self.yard.lengths[row], self.yard.now - run.start)
