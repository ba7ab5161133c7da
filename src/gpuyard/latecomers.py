"""Nodes that come during a run, as the event loops see them: a running job for each instant at which some come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.kernel.build import build_jobs
from gpuyard.kernel.codes import ABSENT, NEVER, NOBODY
from gpuyard.kernel.latecomers import hold_latecomers
from gpuyard.kernel.tables import DEMAND, HOLD, Dependencies, Events, Jobs, Log, Records, Site
from gpuyard.lowering import Asked
from gpuyard.windows import NodeWindow, there_from

__all__ = ["Latecomers", "latecomers"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Latecomers:
    """Nodes that come later, in groups that come together.  The row of a group comes after those of the jobs.

    ``at``: when each group comes, int64 microseconds, shape (groups,), ascending.  ``nodes``: the numbers of each
    group's nodes.  ``gpus``: of each group.  ``since``: before the first instant, microseconds.
    """

    at: NDArray[np.int64]
    nodes: tuple[NDArray[np.int64], ...]
    gpus: NDArray[np.int64]
    since: int

    @property
    def slots(self) -> int:
        """How many nodes they are."""
        return sum(each.size for each in self.nodes)

    def estimates(self, estimate: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the estimates of jobs and, after them, how long each group's row runs, int64 microseconds."""
        return np.append(estimate, self.at - self.since)

    def rows(self, jobs: Jobs, asked: Asked) -> Jobs:
        """Return the jobs and, after them, a row for each group, which is never submitted."""
        more = build_jobs(
            np.full(self.at.size, NEVER),
            self.at - self.since,
            np.arange(asked.demands.size, asked.demands.size + self.at.size, dtype=np.int32),
            np.arange(jobs.job.size, jobs.job.size + self.at.size, dtype=np.int32),
        )
        more.job["start"] = self.since
        return Jobs(*(np.append(table, its) for table, its in zip(jobs, more, strict=True)))

    def asked(self, asked: Asked) -> Asked:
        """Return what jobs ask for and, after it, what each group's row holds."""
        demands = np.zeros(self.at.size, DEMAND)
        demands["gpus"], demands["alone"] = self.gpus, ABSENT
        chunks = np.append(asked.chunks, np.ones(self.at.size, np.int64))
        return replace(asked, demands=np.append(asked.demands, demands), chunks=chunks)

    def dependencies(self, dependencies: Dependencies) -> Dependencies:
        """Return what holds jobs back, where any is, and for each group's row that nothing does."""
        if dependencies.hold.size == 0:
            return dependencies
        more = np.zeros(self.at.size, HOLD)
        more["array"] = NOBODY
        return dependencies._replace(hold=np.append(dependencies.hold, more))

    def hold(self, jobs: Jobs, demands: Records, site: Site, log: Log, events: Events) -> NDArray[np.int64]:
        """Take the nodes off the empty site; return the rows that hold them, int64, shape (groups,)."""
        rows = np.arange(jobs.job.size - self.at.size, jobs.job.size)
        for row, nodes in zip(rows.tolist(), self.nodes, strict=True):
            hold_latecomers(jobs, demands, site, log, events, row, nodes)
        return rows


def latecomers(windows: Sequence[NodeWindow], cluster: Cluster, first: int, begin: int = -NEVER) -> Latecomers | None:
    """Return the nodes that are not there yet at ``begin``, if any; ``first`` is when the first job comes.

    Both are in microseconds; without a ``begin``, nodes that have a date are not there before it.
    """
    begins = there_from(windows, cluster)
    at, group = np.unique(begins, return_inverse=True)
    later = np.flatnonzero(at > begin)
    if later.size == 0:
        return None
    nodes = tuple(np.flatnonzero(group == each) for each in later)
    return Latecomers(
        at=at[later],
        nodes=nodes,
        gpus=np.array([int(cluster.node_gpus[each].sum()) for each in nodes], np.int64),
        since=min(first, int(at[later[0]])) - 1,
    )
