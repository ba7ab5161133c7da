"""What partitions and QOS let a single job of theirs ask for, and the time limit that they give it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from reference.closing import Closing
from reference.jobs import WHOLE, Job, ticks
from reference.room import Room
from reference.shaping import chunks, groups


@dataclass(frozen=True, kw_only=True)
class Bounding:
    """The bounds of a run."""

    bounds: Sequence[Bounds]
    closings: Sequence[Closing] = ()
    """the windows, partitions with nodes among them, of which one may be the default"""

    def partition_of(self, job: Job) -> str | None:
        listed = [name for each in self.closings if each.is_default for name in each.partitions]
        return default(job.partition, [*listed, *(each.partition for each in self.bounds if each.is_default)])

    def qos_of(self, job: Job) -> str | None:
        return default(job.qos, [each.qos for each in self.bounds if each.is_default])

    def those_of(self, job: Job) -> list[Bounds]:
        """Return the bounds of a job's partition and of its QOS."""
        partition, qos = self.partition_of(job), self.qos_of(job)
        return [
            each
            for each in self.bounds
            if (each.partition is not None and each.partition == partition)
            or (each.qos is not None and each.qos == qos)
        ]

    def limited(self, job: Job) -> Job:
        """Return a job with the time limit that it has if it states none."""
        given = [time for each in self.those_of(job) for time in (each.default_time, each.max_time) if time is not None]
        return job if job.limit is not None or not given else replace(job, limit=min(map(ticks, given)))

    def refuse(self, job: Job, cluster: Cluster) -> bool:
        """Return whether a job is beyond a bound of its partition or of its QOS."""
        return any(self.is_beyond(each, job, cluster) for each in self.those_of(job))

    def is_beyond(self, each: Bounds, job: Job, cluster: Cluster) -> bool:
        memory = None if each.max_memory_gib is None else round(each.max_memory_gib * 1024)
        return (
            is_outside(job.limit, None, ticks(each.max_time))
            or is_outside(number_of_nodes(job, cluster), each.min_nodes, each.max_nodes)
            or is_outside(job.thousandths, thousandths(each.min_gpus), thousandths(each.max_gpus))
            or is_outside(job.cpus or 0, None, thousandths(each.max_cpus))
            or is_outside(job.memory or 0, None, memory)
            or is_denied(lambda path: is_within(job.tenant, path), each.allow_tenants, each.deny_tenants)
            or is_denied(lambda name: name == self.qos_of(job), each.allow_qos, each.deny_qos)
        )


def default(stated: str | None, defaults: Iterable[str | None]) -> str | None:
    """Return what a column states, else the default, if there is one."""
    return next((name for name in defaults if name is not None), None) if stated is None else stated


def is_outside(asked: int | None, least: int | None, most: int | None) -> bool:
    """Return whether a number is too small or too large; what has none is never."""
    return asked is not None and ((least is not None and asked < least) or (most is not None and asked > most))


def is_denied(is_of: object, allowed: Sequence[str], denied: Sequence[str]) -> bool:
    return (bool(allowed) and not any(map(is_of, allowed))) or any(map(is_of, denied))


def is_within(path: str | None, above: str) -> bool:
    """Return whether a tenant is another or below it."""
    return path is not None and (path == above or path.startswith(f"{above}/"))


def thousandths(number: float | None) -> int | None:
    return None if number is None else round(number * WHOLE)


def number_of_nodes(job: Job, cluster: Cluster) -> int | None:
    """Return on how many nodes a job runs at least; ``None`` for one without shape, or that runs on no type."""
    if job.spread:
        return None
    if job.nodes is not None or job.gpus == 0:
        return job.nodes or 1
    empty = Room(cluster, [])
    return min(
        (len(chunks(empty, job, nodes)) for nodes in groups(empty, job) if chunks(empty, job, nodes)), default=None
    )
