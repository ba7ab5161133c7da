"""Windows over nodes: which nodes are closed for a job that would start at some time, which are not there yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gpuyard.windows import NodeWindow
from gpuyard.workload import NEVER
from reference.jobs import SECOND, Job


def numbers(window: NodeWindow) -> frozenset[int]:
    found = set()
    for each in window.nodes:
        first, _, last = str(each).partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def coming(windows: Sequence[NodeWindow]) -> dict[int, int]:
    """Return from when on nodes are there, in microseconds, by node: those that are not always there."""
    found: dict[int, int] = {}
    for window in windows:
        if window.is_commission:
            at = round(window.end * SECOND)
            found |= {node: max(at, found.get(node, at)) for node in numbers(window)}
    return found


@dataclass(frozen=True, kw_only=True)
class Closing:
    """One window; times in microseconds.  Only node numbers and ranges of them are understood here."""

    nodes: frozenset[int]
    start: int
    end: int
    users: tuple[str, ...]
    tenants: tuple[str, ...]
    partitions: tuple[str, ...]
    is_default: bool | None = None
    """of a partition, which closes its nodes to its own jobs always, whether the jobs of none are its own"""

    @classmethod
    def of(cls, window: NodeWindow) -> Closing:
        return cls(
            nodes=numbers(window),
            start=round(window.start * SECOND),
            end=round(window.end * SECOND),
            users=window.users,
            tenants=window.tenants,
            partitions=window.partitions,
        )

    @classmethod
    def outside(cls, window: NodeWindow, nodes: int) -> Closing:
        """Return what a partition closes: all nodes of the cluster but its own."""
        return replace(
            cls.of(window),
            nodes=frozenset(range(nodes)) - numbers(window),
            start=-NEVER,
            end=NEVER,
            is_default=window.is_default,
        )

    def is_for(self, job: Job) -> bool:
        """Return whether the window keeps this job out."""
        if self.is_default is not None:
            return job.partition in self.partitions or (self.is_default and job.partition is None)
        return not (job.user in self.users or job.tenant in self.tenants or job.partition in self.partitions)

    def closed(self, job: Job, at: int, duration: int) -> frozenset[int]:
        """Return the nodes closed for a job that would start then and is expected to stay so long."""
        meets = self.is_for(job) and max(at, self.start) < min(at + duration, self.end)
        return self.nodes if meets else frozenset()


def outside(closings: Iterable[Closing], job: Job) -> frozenset[int]:
    """Return the nodes that are closed for a job at all times: those outside its partition."""
    return frozenset().union(*(each.nodes for each in closings if each.is_default is not None and each.is_for(job)))
