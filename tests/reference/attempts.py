"""What an attempt takes, what it saves when it is preempted, and what is lost then; times in microseconds."""

from __future__ import annotations

from dataclasses import dataclass

from gpuyard.preemption import Preemption
from reference.estimating import LONGEST
from reference.jobs import Attempt, Job, ticks


@dataclass(kw_only=True)
class Past:
    """The attempts of a job that are over, and when it was last promoted."""

    attempts: list[Attempt]
    promoted: int | None = None
    interval: int | None = None
    """the job's own work between two checkpoints; ``None``: as the policy says"""

    @property
    def saved(self) -> int:
        """The work that the job need not repeat."""
        return sum(attempt.useful for attempt in self.attempts)

    @property
    def attained(self) -> int:
        """How long it ran since its last promotion."""
        return sum(it.end - it.start for it in self.attempts if self.promoted is None or it.start >= self.promoted)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What restarts and checkpoints take."""

    interval: int | None
    """0: a preempted job is suspended; ``None``: there are no checkpoints"""
    checkpoint: int
    restart: int

    @classmethod
    def of(cls, given: Preemption) -> Costs:
        return cls(
            interval=ticks(given.checkpoint_interval),
            checkpoint=ticks(given.checkpoint_cost),
            restart=ticks(given.restart_cost),
        )

    def interval_of(self, past: Past) -> int | None:
        """Return the work between two checkpoints of a job."""
        return self.interval if past.interval is None else past.interval

    def before_work(self, past: Past) -> int:
        """Return what the next attempt takes before it works."""
        return self.restart if past.attempts else 0

    def checkpoints(self, past: Past, work: int) -> int:
        """Return how many checkpoints the next attempt writes if it is left alone."""
        interval = self.interval_of(past)
        if not interval or past.saved >= work:
            return 0
        return (work - 1) // interval - past.saved // interval

    def length(self, past: Past, work: int) -> int:
        """Return how long the next attempt lasts if it is left alone."""
        return self.before_work(past) + work - past.saved + self.checkpoints(past, work) * self.checkpoint

    def expected(self, past: Past, guess: int) -> int:
        """Return how long the scheduler expects the next attempt to last, given what it expects of the whole job."""
        work = guess
        while work <= past.saved:
            work *= 2
        return min(self.length(past, work), LONGEST)

    def kept(self, past: Past, work: int, lasted: int) -> int:
        """Return what the present attempt adds to what is saved if it is preempted now."""
        after = max(lasted - self.before_work(past), 0)
        interval = self.interval_of(past)
        if interval is None:
            return 0
        if interval == 0:
            return min(after, work - past.saved)
        return self.complete(past, work, after) * interval

    def lost(self, past: Past, work: int, lasted: int) -> int:
        """Return the time that is lost if the present attempt is preempted now."""
        after = max(lasted - self.before_work(past), 0)
        interval = self.interval_of(past)
        if interval is None:
            return after
        if interval == 0:
            return 0
        lost = after - self.complete(past, work, after) * (interval + self.checkpoint)
        assert lost < interval + self.checkpoint, "more is lost than a checkpoint interval and its cost"
        return lost

    def complete(self, past: Past, work: int, after: int) -> int:
        return min(after // (self.interval_of(past) + self.checkpoint), self.checkpoints(past, work))


def service(job: Job, time: int) -> int:
    """Return time times GPUs, in microseconds times thousandths of a GPU."""
    return time * job.thousandths
