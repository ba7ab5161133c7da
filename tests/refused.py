"""What the reference found at the turn of each job that did not start: the truth that explanations are held to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from reference.dividing import kind_of
from reference.jobs import Job
from reference.placing import place
from reference.preempting import PreemptiveSimulation
from reference.promising import Promise
from reference.simulator import Simulation
from reference.tenanted import held_in
from reference.tenants import Tenancy
from reference.yard import Yard

Whose = Any
"""A tenant, or ``None`` where there are none."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a job met in the last pass of an instant."""

    first: int | None = None
    """the row of the job of its queue that was first and could not start, so that it was not tried"""
    tried: bool = True
    """False: neither tried nor behind the first; one that asks for the same had been refused"""
    free: int = 0
    """thousandths of GPUs"""
    admitted: bool = True
    has_room: bool = True
    """whether it could be placed on the nodes that no window closes to it"""
    has_room_if_open: bool = True
    """likewise were no node closed to it"""
    has_room_beyond: bool = False
    """whether it could be placed on a GPU type on which it is not admitted"""
    starts: bool = True
    """whether it could be placed beside what is withheld or reserved"""
    withheld_for: frozenset[int] = frozenset()
    """rows of the first jobs of queues whose nodes were withheld from it"""
    reserved_for: frozenset[int] = frozenset()
    """rows of the heads for which nodes or GPUs were reserved that it might not use"""


@dataclass(kw_only=True)
class Watch:
    """Writes down the turns of one run."""

    policy: Policy
    tenancy: Tenancy | None
    turns: dict[tuple[int, int], Turn] = field(default_factory=dict)
    """by instant (microseconds) and row"""
    firsts: dict[tuple[Whose, Any], int] = field(default_factory=dict)
    tried: dict[int, Turn] = field(default_factory=dict)
    running: frozenset[int] = frozenset()

    def begin_round(self) -> None:
        self.firsts, self.tried = {}, {}

    def refuse(self, queue: Any, job: Job, whose: Whose) -> None:
        if self.policy.backfill == "none":
            self.firsts.setdefault((whose, queue), job.row)

    def look(self, promise: Promise, yard: Yard, job: Job, whose: Whose) -> None:
        """Write down what a job finds at its turn; who runs tells one turn of it from the next."""
        running = frozenset(yard.running)
        if job.row in self.tried and running == self.running:
            return
        self.running = running
        held = [] if self.tenancy is None else held_in(yard, self.tenancy)
        tries = [("", job)] if self.tenancy is None else self.tenancy.tries(job)
        admitted = [asked for kind, asked in tries if self.tenancy is None or self.tenancy.admits(held, asked, kind)]
        windows = yard.closed(job, yard.now)
        beside = promise.closed_(yard, job, whose)
        room, absent = yard.room(), yard.absent()
        self.tried[job.row] = Turn(
            free=sum(sum(room.milli[node]) for node in room.nodes if node not in absent),
            admitted=bool(admitted),
            has_room=any(place(yard.room(windows), asked, yard.rule) is not None for asked in admitted or [job]),
            has_room_if_open=any(place(yard.room(), asked, yard.rule) is not None for asked in admitted or [job]),
            has_room_beyond=any(
                place(yard.room(windows), asked, yard.rule) is not None for _, asked in tries if asked not in admitted
            ),
            starts=beside is not None
            and any(place(yard.room(beside), asked, yard.rule) is not None for asked in admitted),
            withheld_for=frozenset(row for (owner, _), row in self.firsts.items() if owner == whose),
            reserved_for=frozenset(
                head.head for head in (promise.kept[queue] for queue in promise.found) if not head.short(yard, job)
            ),
        )

    def end_pass(self, yard: Yard, waiting: Sequence[Job]) -> None:
        for job in waiting:
            if job.row in yard.running:
                continue
            whose = None if self.tenancy is None else self.tenancy.tenant_of(job)
            first = self.firsts.get((whose, yard.queues.has(job)))
            turn = Turn(first=first) if first not in (None, job.row) else self.tried.get(job.row, Turn(tried=False))
            self.turns[yard.now, job.row] = turn


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Let the reference tell what it finds."""
    originals: dict[str, Callable[..., Any]] = {
        name: getattr(Promise, name) for name in ("begin_pass", "refuse", "closed")
    }

    def begin_pass(self: Promise) -> None:
        watch.begin_round()
        originals["begin_pass"](self)

    def refuse(self: Promise, yard: Yard, job: Job, whose: Whose = None) -> None:
        watch.refuse(self.queue_of(yard, job), job, whose)
        originals["refuse"](self, yard, job, whose)

    def closed(self: Promise, yard: Yard, job: Job, whose: Whose = None) -> frozenset[int] | None:
        watch.look(self, yard, job, whose)
        found = originals["closed"](self, yard, job, whose)
        return found if found is None else frozenset(found)

    note_starts = Simulation.note_starts

    def noted(self: Simulation, queue: Sequence[Job]) -> None:
        if not isinstance(self, PreemptiveSimulation):
            watch.end_pass(self.yard, queue)
        note_starts(self, queue)

    with (
        patch.object(Promise, "closed_", originals["closed"], create=True),
        patch.object(Promise, "begin_pass", begin_pass),
        patch.object(Promise, "refuse", refuse),
        patch.object(Promise, "closed", closed),
        patch.object(Simulation, "note_starts", noted),
    ):
        yield


def turns_of(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    seed: int = 0,
    until: float | None = None,
    *,
    windows: Sequence[NodeWindow] = (),
    tenants: Tenants = NO_TENANTS,
) -> dict[tuple[int, int], Turn]:
    """Return what each job that waits found in each pass of a run, by instant and row."""
    kind = kind_of(policy, tenants)
    watch = Watch(policy=policy, tenancy=Tenancy.of(tenants, cluster))

    class Watched(kind):
        def decide(self) -> None:
            super().decide()
            watch.end_pass(self.yard, self.queue())

    chosen = Watched if issubclass(kind, PreemptiveSimulation) else kind
    with watching(watch):
        chosen(workload, cluster, policy, seed, until, begin=None, windows=windows, tenants=tenants).run()
    return watch.turns
