"""The terms of easy where jobs are preempted or held by quotas: who is the head, and what others may do then."""

from __future__ import annotations

from gpuyard.policy import Policy
from reference.jobs import Job
from reference.reserving import Reservation, check_promise, reserve
from reference.yard import Yard


class Promise:
    """What a head was promised, from pass to pass; nobody is under another backfill, and nobody is held back then."""

    def __init__(self, policy: Policy) -> None:
        self.kind = policy.reservation
        self.is_made = policy.backfill == "easy"
        self.kept: Reservation | None = None
        self.has_head = False
        """whether the pass has come to its head"""

    def begin_pass(self) -> None:
        """A pass, or a round of one, begins with the first job again."""
        self.has_head = False

    def find_head(self, yard: Yard, job: Job) -> None:
        """Let the pass have its head, if it has none; ``job`` says what that asks for."""
        if self.has_head or not self.is_made:
            return
        self.has_head = True
        before, now_made = self.kept, reserve(yard, job, self.kind)
        if before is None or not before.stands(yard, now_made):
            self.kept = now_made
        check_promise(yard, before, now_made, self.kind)

    def closed(self, yard: Yard, job: Job) -> frozenset[int] | None:
        """Return the nodes that a job may not use now, ``None`` if it may not start at all."""
        windows = yard.closed(job, yard.now)
        if not self.has_head or self.kept.short(yard, job):
            return windows
        if self.kind == "nodes":
            return windows | self.kept.nodes
        return windows if job.thousandths <= self.kept.extra else None

    def note_start(self, yard: Yard, job: Job) -> None:
        """Write down that a job is about to start."""
        if self.kept is None:
            return
        if not self.has_head:
            self.kept.undisturbed = False
        elif self.kind == "counts" and not self.kept.short(yard, job):
            self.kept.extra -= job.thousandths
