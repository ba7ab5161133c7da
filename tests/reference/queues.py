"""The queues of partitions that have nodes, and that of the whole cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reference.closing import Closing
from reference.jobs import Job

Queue = str | None
"""The name of a partition; ``None``: the whole cluster."""


@dataclass(frozen=True, kw_only=True)
class Queues:
    """Which jobs wait in which, and whose nodes they have in common."""

    partitions: tuple[Closing, ...]
    nodes: frozenset[int]
    """of the whole cluster"""

    @classmethod
    def of(cls, windows: Iterable[Closing], nodes: int) -> Queues:
        partitions = tuple(each for each in windows if each.is_default is not None)
        return cls(partitions=partitions, nodes=frozenset(range(nodes)))

    def has(self, job: Job) -> Queue:
        """Return the queue that a job waits in."""
        return next((each.partitions[0] for each in self.partitions if each.is_for(job)), None)

    def nodes_of(self, queue: Queue) -> frozenset[int]:
        return self.nodes.difference(*(each.nodes for each in self.partitions if each.partitions[0] == queue))

    def meet(self, one: Queue, other: Queue) -> bool:
        """Return whether two queues have a node in common; each meets itself."""
        return one == other or bool(self.nodes_of(one) & self.nodes_of(other))
