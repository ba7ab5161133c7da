"""What the head of a queue is promised under easy: from when on, and which nodes or how many GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reference.closing import Closing
from reference.jobs import Job
from reference.placing import place
from reference.queues import Queue
from reference.yard import Yard


@dataclass(kw_only=True, eq=False)
class Reservation:
    """What the head was promised, with what is needed to know whether it still stands."""

    head: int
    types: tuple[str, ...] | None
    """what the head asked for"""
    queue: Queue
    length: int
    """how long the head is expected to stay"""
    shadow: int | None
    """microseconds; ``None``: never"""
    nodes: frozenset[int] = frozenset()
    extra: int = 0
    """GPUs in thousandths"""
    made: int
    """microseconds: when it was made"""
    releases: int
    """how many there had been by then"""
    ahead: Mapping[Queue, Reservation] = field(default_factory=dict)
    """those of the queues that meet its own and whose heads were found before"""
    refused: set[int] = field(default_factory=set)
    """rows of the jobs that did not start under it"""
    undisturbed: bool = True
    """whether no job has started ahead of the head since"""

    def short(self, yard: Yard, job: Job) -> bool:
        return self.shadow is None or yard.now + yard.durations[job.row] <= self.shadow

    def outdated(self, yard: Yard) -> bool:
        """Return whether something has been released since, or somebody has outstayed what was expected of him."""
        outstayed = any(
            yard.expected_end(run, self.made) <= yard.now
            for run in yard.running.values()
            if yard.queues.meet(self.queue, yard.queues.has(run.job))
        )
        return outstayed or any(met_by(yard, self.queue, each) for each in yard.releases[self.releases :])

    def stands(self, yard: Yard, now_made: Reservation) -> bool:
        """Return whether it stays as it is, and is not given up for what would be promised now."""
        return (
            self.is_for_the_head_of(now_made)
            and self.undisturbed
            and not self.outdated(yard)
            and self.ahead == now_made.ahead
        )

    def is_for_the_head_of(self, other: Reservation) -> bool:
        return (self.head, self.types) == (other.head, other.types)

    @property
    def window(self) -> Closing | None:
        """What it closes to those who come after its head."""
        if self.shadow is None:
            return None
        until = self.shadow + self.length
        return Closing(nodes=self.nodes, start=self.shadow, end=until, users=(), tenants=(), partitions=())


def met_by(yard: Yard, queue: Queue, released_by: Queue | bool) -> bool:
    """Return whether a release is one for a queue; ``True``: it is for all."""
    return released_by is True or yard.queues.meet(queue, released_by)


def reserve(yard: Yard, head: Job, kind: str, queue: Queue, found: Mapping[Queue, Reservation]) -> Reservation:
    """Return a reservation for the head as things are now, on ``nodes`` or by ``counts`` of GPUs.

    ``found``: those of the heads that have been found before in the pass.
    """
    blank = Reservation(
        head=head.row,
        types=head.types,
        queue=queue,
        length=yard.durations[head.row],
        shadow=None,
        made=yard.now,
        releases=len(yard.releases),
        ahead={each: kept for each, kept in found.items() if yard.queues.meet(queue, each)},
    )
    windows = [each.window for each in found.values() if each.window is not None]
    ends = {yard.expected_end(run) for run in yard.running.values()} | set(yard.arrivals())
    for at in sorted(ends | set(yard.openings(head, windows))):
        if kind == "counts":
            stay = [run for run in yard.running.values() if yard.expected_end(run) > at]
            free = yard.gpus - yard.gpus_of(yard.absent(at)) - sum(run.job.thousandths for run in stay)
            if free >= head.thousandths:
                return replace(blank, shadow=at, extra=free - head.thousandths)
        else:
            pieces = place(yard.room(yard.closed(head, at, windows), at), head, yard.rule)
            if pieces is not None:
                return replace(blank, shadow=at, nodes=frozenset(piece.node for piece in pieces))
    return blank


def check_promise(yard: Yard, before: Reservation | None, now_made: Reservation, kind: str) -> None:
    """Assert that making the reservation anew does not move it to later, nor to never.

    It may if a job started ahead of the head, if heads were or are found before it, if a job runs on past its expected
    end, and by counts after a job has ended: the head may have its GPUs and not its shape, and waits for the next
    expected end then.
    """
    assert now_made.shadow is not None, "every job that is not rejected could start on the empty cluster"
    kept_end = all(run.expected_end > yard.now for run in yard.running.values()) and not yard.late
    kept_end &= kind == "nodes" or before is None or before.releases == now_made.releases
    if before is None or before.ahead or now_made.ahead:
        return
    if before.is_for_the_head_of(now_made) and before.undisturbed and kept_end:
        assert now_made.shadow <= before.shadow, f"shadow time {before.shadow} moved to {now_made.shadow}"
