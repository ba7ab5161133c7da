"""Which windows close nodes to a job: maintenance, reservations for others, what is outside its partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.explanation.story import Shut
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Closure", "closures_of", "find_needed", "joint"]

Flags = NDArray[np.bool_]


class Closure(NamedTuple):
    """A window over nodes."""

    nodes: Flags
    """bool, shape (nodes,): which it closes"""
    start: int
    """int64 microseconds"""
    end: int
    invited: Flags
    """bool, shape (jobs,): to which jobs it does not close them"""
    kind: str
    """``maintenance``, ``reservation`` or ``partition``"""
    whose: Mapping[str, tuple[str, ...]]
    """of a reservation, the users, tenants and partitions that it is for; of a partition, its name"""

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from other windows."""
        return self.kind, self.start, self.end, tuple(self.whose.items()), self.nodes.tobytes()

    def in_words(self, cluster: Cluster) -> Shut:
        """Return it as stories have it."""
        is_lasting = self.kind == "partition"
        return Shut(
            kind=self.kind,
            nodes=tuple(cluster.node_names[node] for node in np.flatnonzero(self.nodes).tolist()),
            start=None if is_lasting else self.start / MICROSECOND,
            end=None if is_lasting else self.end / MICROSECOND,
            whose=self.whose,
        )


def closures_of(windows: Sequence[NodeWindow], workload: Workload, cluster: Cluster) -> list[Closure]:
    """Return the windows that close nodes, without nodes that come later."""
    found = []
    for window in windows:
        if window.is_commission:
            continue
        nodes = np.zeros(cluster.nodes, np.bool_)
        nodes[window.node_numbers(cluster)] = True
        names = {"user": window.users, "tenant": window.tenants, "partition": window.partitions}
        whose = {column: values for column, values in names.items() if values}
        kind = "partition" if window.is_partition else "reservation" if whose else "maintenance"
        invited = window.invited(workload)
        found.append(Closure(nodes, window.start_tick, window.end_tick, invited, kind, whose))
    return found


def joint(closures: Sequence[Closure]) -> Flags | None:
    """Return which nodes are closed by any of these, bool, shape (nodes,); ``None`` where there are none."""
    return np.asarray(np.logical_or.reduce([each.nodes for each in closures])) if closures else None


def find_needed(closures: Sequence[Closure], has_room: Callable[[Flags | None], bool]) -> tuple[Closure, ...]:
    """Return windows of these without any of which a job would find room beside the others; who ends first goes first.

    ``has_room``: tells whether there are nodes for the job where some are closed.
    """
    needed = sorted(closures, key=lambda each: -each.end)
    for each in tuple(needed):
        fewer = [other for other in needed if other is not each]
        if not has_room(joint(fewer)):
            needed = fewer
    return tuple(reversed(needed))
