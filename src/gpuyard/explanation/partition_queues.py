"""The queues of partitions, as an explanation sees them: whose they are, and on which nodes their jobs run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.policy import Policy

__all__ = ["Partition", "Queues", "queues_of"]


class Partition(NamedTuple):
    """A partition that has nodes."""

    name: str
    nodes: NDArray[np.bool_]
    """bool, shape (nodes,): which are its own"""
    members: NDArray[np.bool_]
    """bool, shape (jobs,): which jobs are of it"""


class Queues(NamedTuple):
    """A queue for each partition that has nodes, after that of the whole cluster, which is number 0."""

    of: NDArray[np.int64]
    """int64, shape (jobs,): the queue of each job"""
    nodes: NDArray[np.bool_]
    """bool, shape (queues, nodes)"""
    names: tuple[str | None, ...]
    """of the partition; of the queue of the whole cluster, ``None``"""

    @property
    def several(self) -> bool:
        """Whether there is more than the queue of the whole cluster."""
        return len(self.names) > 1

    def name_of(self, row: int) -> str | None:
        """Return the partition in whose queue a job waits; ``None`` in that of the whole cluster."""
        return self.names[int(self.of[row])]


def queues_of(partitions: Sequence[Partition], policy: Policy, jobs: int, nodes: int) -> Queues:
    """Return the queues of a site; that of the whole cluster alone where who waits is no affair of queues."""
    by_counts = policy.backfill == "easy" and policy.reservation == "counts"
    if by_counts or policy.backfill not in ("none", "easy"):
        partitions = []
    of = np.zeros(jobs, np.int64)
    for number, each in enumerate(partitions, 1):
        of[each.members] = number
    every = np.ones((1, nodes), np.bool_)
    return Queues(
        of=of,
        nodes=np.concatenate([every, *(each.nodes[None, :] for each in partitions)]),
        names=(None, *(each.name for each in partitions)),
    )
