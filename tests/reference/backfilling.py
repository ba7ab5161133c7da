"""Who may pass a blocked job without a plan of the future: none, fit and easy."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.policy import Policy
from reference.jobs import Job
from reference.promising import Promise
from reference.yard import Yard


class InOrder:
    """One job after the other; what one that cannot start means for those behind it is an affair of the promise."""

    due: int | None = None
    """when a pass is due although nothing happens"""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.promise = Promise(policy)

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        """Make one pass: start what starts now."""
        self.promise.begin_pass()
        for job in queue:
            if self.promise.is_blocked(yard, job):
                continue
            closed = self.promise.closed(yard, job)
            if closed is not None and yard.can_start(job, closed):
                self.check_refused(yard, job)
                self.promise.note_start(yard, job)
                yard.start(job, closed)
            else:
                self.note_refused(yard, job)
                self.promise.refuse(yard, job)
        self.promise.end_pass()

    def check_refused(self, yard: Yard, job: Job) -> None:
        """Assert that nobody starts under a reservation under which he was refused, where it is the only one."""
        if self.promise.found and not yard.queues.partitions:
            assert job.row not in self.promise.kept[None].refused, "a job refused under this reservation starts now"

    def note_refused(self, yard: Yard, job: Job) -> None:
        if self.promise.found and not yard.queues.partitions:
            self.promise.kept[None].refused.add(job.row)
