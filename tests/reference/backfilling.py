"""Who may pass a blocked job without a plan of the future: none, fit and easy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gpuyard.policy import Policy
from reference.jobs import Job
from reference.placing import place
from reference.yard import Yard


class Strict:
    """Nobody passes."""

    due: int | None = None
    """when a pass is due although nothing happens"""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        """Make one pass: start what starts now."""
        yard.start_in_order(queue)


class Fit(Strict):
    """Everybody is tried."""

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        for job in queue:
            yard.start(job)


@dataclass(kw_only=True)
class Reservation:
    """What the head was promised, with what is needed to know whether it still stands."""

    head: int
    shadow: int | None
    """microseconds; ``None``: never"""
    nodes: frozenset[int] = frozenset()
    extra: int = 0
    """GPUs in thousandths"""
    made: int
    """microseconds: when it was made"""
    ended: int
    """how many jobs had ended by then"""
    refused: set[int] = field(default_factory=set)
    """rows of the jobs that did not start under it"""
    undisturbed: bool = True
    """whether no job has started ahead of the head since"""

    def short(self, yard: Yard, job: Job) -> bool:
        return self.shadow is None or yard.now + yard.durations[job.row] <= self.shadow

    def outdated(self, yard: Yard) -> bool:
        """Return whether something has been released since, or somebody has outstayed what was expected of him."""
        outstayed = any(yard.expected_end(run, self.made) <= yard.now for run in yard.running.values())
        return outstayed or self.ended < yard.ended


class Easy(Strict):
    """Only the head has a reservation."""

    kept: Reservation | None = None

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        left = yard.start_in_order(queue)
        if self.kept is not None and len(left) < len(queue):
            self.kept.undisturbed = False
        if not left:
            return
        before, now_made = self.kept, self.reserve(yard, left[0])
        if before is None or before.head != now_made.head or not before.undisturbed or before.outdated(yard):
            self.kept = now_made
        self.check_promise(yard, before, now_made)
        for job in left[1:]:
            started = self.backfill(yard, job)
            assert not (started and job.row in self.kept.refused), "a job refused under this reservation starts now"
            if not started:
                self.kept.refused.add(job.row)

    def reserve(self, yard: Yard, head: Job) -> Reservation:
        """Return a reservation for the head as things are now."""
        held = sum(run.job.thousandths for run in yard.running.values())
        ends = {yard.expected_end(run) for run in yard.running.values()} | set(yard.arrivals())
        for at in sorted(ends | set(yard.openings(head))):
            if self.policy.reservation == "counts":
                back = sum(run.job.thousandths for run in yard.running.values() if yard.expected_end(run) <= at)
                extra = yard.gpus - yard.gpus_of(yard.absent(at)) - held + back - head.thousandths
                if extra >= 0:
                    return Reservation(head=head.row, shadow=at, extra=extra, made=yard.now, ended=yard.ended)
            else:
                pieces = place(yard.room(yard.closed(head, at), at), head, yard.rule)
                if pieces is not None:
                    nodes = frozenset(piece.node for piece in pieces)
                    return Reservation(head=head.row, shadow=at, nodes=nodes, made=yard.now, ended=yard.ended)
        return Reservation(head=head.row, shadow=None, made=yard.now, ended=yard.ended)

    def backfill(self, yard: Yard, job: Job) -> bool:
        """Start a later job if the reservation allows it; return whether it started."""
        if self.kept.short(yard, job):
            return yard.start(job)
        if self.policy.reservation == "nodes":
            return yard.start(job, closed=self.kept.nodes)
        if job.thousandths > self.kept.extra or not yard.start(job):
            return False
        self.kept.extra -= job.thousandths
        return True

    def check_promise(self, yard: Yard, before: Reservation | None, now_made: Reservation) -> None:
        """Assert that making the reservation anew does not move it to later, nor to never.

        It may if a job started ahead of the head, if a job runs on past its expected end, and by counts after a job
        has ended: the head may have its GPUs and not its shape, and waits for the next expected end then.
        """
        assert now_made.shadow is not None, "every job that is not rejected could start on the empty cluster"
        kept_end = all(run.expected_end > yard.now for run in yard.running.values()) and not yard.late
        kept_end &= self.policy.reservation == "nodes" or before is None or before.ended == now_made.ended
        if before is not None and before.head == now_made.head and before.undisturbed and kept_end:
            assert now_made.shadow <= before.shadow, f"shadow time {before.shadow} moved to {now_made.shadow}"
