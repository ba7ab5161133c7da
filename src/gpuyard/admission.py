"""Jobs that are beyond the bounds of their partition or QOS: they never start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from gpuyard.kernel.expectations import thousandths_asked
from gpuyard.lowering import Asked, Rejections
from gpuyard.participants import Participants
from gpuyard.shapes import largest_nodes
from gpuyard.units import format_seconds
from gpuyard.workload import MICROSECOND, NEVER, Workload

__all__ = ["reject_beyond"]

_WHOLE: Final = 1000
"""Thousandths of a GPU, of a core."""
_MIB: Final = 1024
_NONE: Final = "\0"
"""What a job has whose column says nothing."""


def reject_beyond(part: Participants, cluster: Cluster, asked: Asked) -> Rejections:
    """Return the jobs that ask for more, or less, than their partition or QOS allows, or that it does not take.

    Jobs that run when the simulation begins are asked for nothing.
    """
    workload, bounds = part.workload, part.bounds
    rejections = Rejections(len(workload))
    for each in sorted((each for each in bounds if each.binds), key=lambda each: each.column):
        mine = each.members(workload)
        if part.middle is not None:
            mine &= ~part.middle.running
        if mine.any():
            for wrong, reason in _beyond(workload, cluster, asked, each, bounds):
                rejections.add(mine & wrong, reason)
    return rejections


def _beyond(
    workload: Workload, cluster: Cluster, asked: Asked, its: Bounds, bounds: Sequence[Bounds]
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Yield which jobs are beyond each bound, and why they would be rejected if they were of this partition or QOS.

    In brackets is what Slurm calls such a reason, where it has a word for it.
    """
    yours, in_partition = f"of its {its.what}", its.partition is not None
    if its.max_time is not None:
        limit = workload.time_limit
        code = "PartitionTimeLimit" if in_partition else "QOSMaxWallDurationPerJobLimit"
        longest = format_seconds(its.max_time)
        yield (
            (limit != NEVER) & (limit > round(its.max_time * MICROSECOND)),
            f"its time limit is above the {longest} {yours} ({code})",
        )
    if its.min_nodes is not None or its.max_nodes is not None:
        nodes = nodes_of_demands(asked, cluster)[asked.demand]
        few, many = ("PartitionNodeLimit",) * 2 if in_partition else ("QOSMinNode", "QOSMaxNodePerJobLimit")
        yield (nodes > 0) & (nodes < (its.min_nodes or 0)), f"has fewer nodes than the {its.min_nodes} {yours} ({few})"
        most = NEVER if its.max_nodes is None else its.max_nodes
        yield nodes > most, f"has more nodes than the {its.max_nodes} {yours} ({many})"
    if its.min_gpus is not None or its.max_gpus is not None:
        gpus = thousandths_asked(asked.demands, asked.quanta)[asked.demand]
        least, most = _ticks(its.min_gpus, _WHOLE, 0), _ticks(its.max_gpus, _WHOLE, NEVER)
        yield gpus < least, f"asks for fewer GPUs than the {its.min_gpus or 0:g} {yours} (QOSMinGRES)"
        yield gpus > most, f"asks for more GPUs than the {its.max_gpus or 0:g} {yours} (QOSMaxGRESPerJob)"
    for column, value, unit, what, code in (
        ("cpus", its.max_cpus, _WHOLE, "CPUs", "QOSMaxCpuPerJobLimit"),
        ("memory_gib", its.max_memory_gib, _MIB, "memory", "QOSMaxMemoryPerJob"),
    ):
        if value is not None:
            given = np.rint(np.nan_to_num(workload.floats(column)) * unit).astype(np.int64)
            said = f"{value:g} GiB" if unit == _MIB else f"{value:g}"
            yield given > _ticks(value, unit, NEVER), f"asks for more {what} than the {said} {yours} ({code})"
    yield from _not_taken(workload, its, bounds)


def _not_taken(workload: Workload, its: Bounds, bounds: Sequence[Bounds]) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Yield which jobs are of tenants or QOS that a partition or QOS does not take, and why."""
    if its.allow_tenants or its.deny_tenants:
        codes, known = workload.labels("tenant", _NONE)
        named = its.allow_tenants or its.deny_tenants
        inside = [any(f"{each}/".startswith(f"{name}/") for name in named) for each in known]
        wrong = np.array(inside, np.bool_)[codes] != bool(its.allow_tenants)
        yield wrong, f"its tenant is not among those {_of(its)} (AccountNotAllowed)"
    if its.allow_qos or its.deny_qos:
        codes, known = workload.labels("qos", _NONE)
        default = next((each.name for each in bounds if each.qos is not None and each.is_default), _NONE)
        named = its.allow_qos or its.deny_qos
        inside = [(default if each == _NONE else each) in named for each in known]
        wrong = np.array(inside, np.bool_)[codes] != bool(its.allow_qos)
        yield wrong, f"its QOS is not among those {_of(its)} (QOSNotAllowed)"


def _of(its: Bounds) -> str:
    return f"that its {its.what} takes"


def _ticks(value: float | None, unit: int, none: int) -> int:
    return none if value is None else round(value * unit)


def nodes_of_demands(asked: Asked, cluster: Cluster) -> NDArray[np.int64]:
    """Return the fewest nodes that a job with each demand has, shape (demands,); 0: it has no number of them.

    That is what it states; else the fewest chunks on a type on which it runs, and 1 without GPUs.
    """
    largest = largest_nodes(cluster).tolist()
    demands = asked.demands
    found = np.zeros(demands.size, np.int64)
    columns = (demands[name].tolist() for name in ("gpus", "nodes", "whole", "cut", "spread"))
    for row, (gpus, nodes, whole, cut, spread) in enumerate(zip(*columns, strict=True)):
        if spread > 0:
            continue
        if nodes > 0 or gpus == 0 or whole > 0:
            found[row] = max(nodes, 1)
            continue
        chunks = [-(-gpus // size) for kind, size in enumerate(largest) if cut >> kind & 1]
        found[row] = min(chunks, default=0)
    return found
