"""Who may pass a blocked job without a plan of the future: none, fit and easy."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.policy import Policy
from reference.jobs import Job
from reference.reserving import Reservation, check_promise, reserve
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


class Easy(Strict):
    """Only the head has a reservation."""

    kept: Reservation | None = None

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        left = yard.start_in_order(queue)
        if self.kept is not None and len(left) < len(queue):
            self.kept.undisturbed = False
        if not left:
            return
        before, now_made = self.kept, reserve(yard, left[0], self.policy.reservation)
        if before is None or not before.stands(yard, now_made):
            self.kept = now_made
        check_promise(yard, before, now_made, self.policy.reservation)
        for job in left[1:]:
            started = self.backfill(yard, job)
            assert not (started and job.row in self.kept.refused), "a job refused under this reservation starts now"
            if not started:
                self.kept.refused.add(job.row)

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
