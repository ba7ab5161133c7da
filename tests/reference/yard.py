"""Who runs now, what is free, and who could start: all that a scheduler sees and does in a pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gpuyard.cluster import Cluster
from reference.closing import Closing, outside
from reference.jobs import WHOLE, Job, Piece
from reference.placing import Room, Rule, place
from reference.queues import Queue, Queues


@dataclass(kw_only=True)
class Run:
    """A running job; times in microseconds."""

    job: Job
    start: int
    end: int
    expected_end: int
    pieces: list[Piece]


@dataclass(kw_only=True)
class Yard:
    """The cluster with the jobs that run on it."""

    cluster: Cluster
    rule: Rule
    lengths: Mapping[int, int]
    """how long each job runs, by row"""
    durations: dict[int, int]
    """how long the scheduler expects each job to stay from its next start on, by row: at least 1"""
    now: int = 0
    running: dict[int, Run] = field(default_factory=dict)
    releases: list[Queue | bool] = field(default_factory=list)
    """what has been given back so far: by a job of which queue; ``True``: by the end of a window, by nodes that came"""
    early: bool = False
    """whether a job has ended before its expected end; whoever acts on it sets it back"""
    late: bool = False
    """whether a job has ever ended after its expected end"""
    windows: Sequence[Closing] = ()
    coming: Mapping[int, int] = field(default_factory=dict)
    """from when on nodes are there that are not always there, by node"""

    @cached_property
    def queues(self) -> Queues:
        return Queues.of(self.windows, self.cluster.nodes)

    @property
    def gpus(self) -> int:
        """The GPUs of the cluster, in thousandths."""
        return WHOLE * self.cluster.gpus

    @property
    def crowded(self) -> bool:
        """Whether jobs run for which there was no room when the simulation began."""
        return any(not run.pieces for run in self.running.values())

    def expected_end(self, run: Run, seen: int | None = None) -> int:
        """Return when a running job was expected to end at an instant ``seen``, which is by default now.

        That is always later than then: who outstays it is expected to run for twice as long.
        """
        end = run.expected_end
        while end <= (self.now if seen is None else seen):
            end += end - run.start
        return end

    def absent(self, at: int | None = None) -> frozenset[int]:
        """Return the nodes that are not there yet, by default now."""
        return frozenset(node for node, since in self.coming.items() if since > (self.now if at is None else at))

    def arrivals(self) -> list[int]:
        """Return when nodes come, later than now."""
        return sorted({since for since in self.coming.values() if since > self.now})

    def gpus_of(self, nodes: Iterable[int]) -> int:
        """Return the GPUs of these nodes, in thousandths."""
        return WHOLE * sum(int(self.cluster.node_gpus[node]) for node in nodes)

    def room(self, closed: Collection[int] = (), at: int | None = None, gone: Sequence[Run] = ()) -> Room:
        """Return what is free now, or (imagined) after all expected ends up to ``at``, or without some who run."""
        closed = {*closed, *self.absent(at)}
        stay = [run for run in self.running.values() if at is None or self.expected_end(run) > at]
        return Room(self.cluster, [piece for run in stay if run not in gone for piece in run.pieces], closed)

    def empty(self, job: Job) -> Room:
        """Return what a job could have if nothing ran: of the nodes of its partition, where that has nodes."""
        return Room(self.cluster, [], outside(self.windows, job))

    def closed(self, job: Job, at: int, more: Sequence[Closing] = ()) -> frozenset[int]:
        """Return the nodes that are closed for a job that would start then, by the cluster's windows and more."""
        duration = self.durations[job.row]
        return frozenset().union(*(window.closed(job, at, duration) for window in [*self.windows, *more]))

    def openings(self, job: Job, more: Sequence[Closing] = ()) -> list[int]:
        """Return when the windows end, later than now, that keep the job out."""
        return [window.end for window in [*self.windows, *more] if window.is_for(job) and window.end > self.now]

    def can_start(self, job: Job, closed: Collection[int] = ()) -> bool:
        return place(self.room({*closed, *self.closed(job, self.now)}), job, self.rule) is not None

    def start(self, job: Job, closed: Collection[int] = ()) -> bool:
        """Start the job now if it can be placed on nodes that are not closed; return whether it was."""
        pieces = place(self.room({*closed, *self.closed(job, self.now)}), job, self.rule)
        if pieces is None:
            return False
        self.hold(job, pieces)
        return True

    def hold(self, job: Job, pieces: list[Piece]) -> None:
        """Let the job run on these pieces from now on."""
        end, expected = self.now + self.lengths[job.row], self.now + self.durations[job.row]
        self.running[job.row] = Run(job=job, start=self.now, end=end, expected_end=expected, pieces=pieces)

    def end(self, row: int) -> None:
        """End a job now."""
        run = self.running.pop(row)
        self.releases.append(self.queues.has(run.job))
        self.early |= self.now < run.expected_end
        self.late |= self.now > run.expected_end

    def start_in_order(self, queue: Sequence[Job]) -> list[Job]:
        """Start jobs up to the first that cannot be placed; return those left, that job first."""
        for number, job in enumerate(queue):
            if not self.start(job):
                return list(queue[number:])
        return []
