"""What a job that cannot start means for those behind it: nodes that are withheld, heads that have reservations."""

from __future__ import annotations

from collections.abc import Hashable

from gpuyard.policy import Policy
from reference.jobs import Job
from reference.queues import Queue
from reference.reserving import Reservation, check_promise, reserve
from reference.yard import Yard


class Promise:
    """What heads were promised, from pass to pass, and who holds up whom in the present one.

    Under ``none`` a queue is blocked (among tenants: for the jobs of one, ``whose``), under ``easy`` it has a head;
    under another backfill nobody holds up anybody.
    """

    def __init__(self, policy: Policy) -> None:
        self.kind = policy.reservation
        self.is_made, self.blocks = policy.backfill == "easy", policy.backfill == "none"
        self.kept: dict[Queue, Reservation] = {}
        self.found: list[Queue] = []
        """the queues whose heads have been found in this pass, in this order"""
        self.blocked: list[tuple[Hashable, Queue]] = []
        """whose jobs of which queue are not tried any more in this pass"""

    def begin_pass(self) -> None:
        """A pass, or a round of one, begins with the first job again."""
        self.found, self.blocked = [], []

    def end_pass(self) -> None:
        """A pass, or a round of one, has come to its last job: a queue without head has no reservation."""
        self.kept = {queue: self.kept[queue] for queue in self.found}

    def queue_of(self, yard: Yard, job: Job) -> Queue:
        """Return the queue of a job; where GPUs are counted there is one for all."""
        return None if self.is_made and self.kind == "counts" else yard.queues.has(job)

    def refuse(self, yard: Yard, job: Job, whose: Hashable = None) -> None:
        """Let a job that could not start block its queue, or be its head."""
        if self.blocks:
            self.blocked.append((whose, self.queue_of(yard, job)))
        elif self.is_made:
            self.find_head(yard, job)

    def find_head(self, yard: Yard, job: Job) -> None:
        """Let a queue have its head, if it has none; ``job`` says what that asks for."""
        queue = self.queue_of(yard, job)
        if queue in self.found:
            return
        before = self.kept.get(queue)
        now_made = reserve(yard, job, self.kind, queue, {each: self.kept[each] for each in self.found})
        if before is None or not before.stands(yard, now_made):
            self.kept[queue] = now_made
        self.found.append(queue)
        check_promise(yard, before, now_made, self.kind)

    def is_blocked(self, yard: Yard, job: Job, whose: Hashable = None) -> bool:
        return (whose, self.queue_of(yard, job)) in self.blocked

    def closed(self, yard: Yard, job: Job, whose: Hashable = None) -> frozenset[int] | None:
        """Return the nodes that a job may not use now, ``None`` if it may not start at all."""
        nodes = yard.closed(job, yard.now)
        for blocked_for, queue in self.blocked:
            if blocked_for == whose:
                nodes |= yard.queues.nodes_of(queue)
        for head in (self.kept[queue] for queue in self.found):
            if head.short(yard, job):
                continue
            if self.kind == "counts" and job.thousandths > head.extra:
                return None
            nodes |= head.nodes
        return nodes

    def note_start(self, yard: Yard, job: Job) -> None:
        """Write down that a job is about to start."""
        own = self.queue_of(yard, job)
        for queue, head in self.kept.items():
            if queue not in self.found:
                head.undisturbed &= not yard.queues.meet(queue, own)
            elif self.kind == "counts" and not head.short(yard, job):
                head.extra -= job.thousandths
