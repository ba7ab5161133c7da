"""Jobs that can never run: the empty cluster, or the nodes of their partition, cannot hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.kernel import build
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.launch import try_demands
from gpuyard.kernel.windows import build_windows, close_for
from gpuyard.lowering import Asked, Rejections, lower_site, reject_contradictions
from gpuyard.policy import Policy
from gpuyard.tenanting import Shared, reject_never_admitted
from gpuyard.windows import NodeWindow, unlisted
from gpuyard.workload import Workload

__all__ = ["NO_NODES", "Fits", "reject_unfit"]

NO_NODES: Final = "its partition has no nodes"
"""Why a job is rejected whose partition has none where others have some."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fits:
    """What empty nodes can hold: those of the whole cluster, and those of each partition that has nodes.

    ``place``: int32, shape (jobs,): 0 for a job that may use all nodes, else the number of its partition, from 1 on.
    ``fits``: bool, shape (partitions + 1, demands).
    """

    place: NDArray[np.int32]
    fits: NDArray[np.bool_]


def reject_unfit(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    asked: Asked,
    rejections: Rejections,
    *,
    shared: Shared | None,
    windows: Sequence[NodeWindow],
) -> Fits:
    """Reject the jobs that not even empty nodes can hold, or quotas and limits never admit; return what these hold.

    Each demand is tried once, alone; in a partition with nodes of its own once more, with nothing on the other nodes.
    Shapes are those of the whole cluster.
    """
    demands = asked.demands
    reject_contradictions(workload, policy, rejections)
    nothing = (demands["gpus"] == 0) & (demands["cpu"] == 0)
    rejections.add(nothing[asked.demand], "asks for no GPU, and for no CPU that the cluster knows of")
    typeless = demands["kinds"] == 0
    rejections.add(typeless[asked.demand], "no node has a GPU type it accepts")
    fits = [_fits(cluster, policy, asked, None)]
    unfit = ~fits[0][asked.demand]
    rejections.add(unfit & (workload.gpus > cluster.gpus), "asks for more GPUs than the cluster has")
    rejections.add(unfit, "does not fit the cluster even when it is empty")
    everybody = np.ones(len(workload), np.bool_)
    if shared is not None:
        reject_never_admitted(shared, fits[0], everybody, rejections)
    rejections.add(unlisted(windows, workload), NO_NODES)
    place = np.zeros(len(workload), np.int32)
    for window in windows:
        if not window.is_partition:
            continue
        mine = window.members(workload)
        others = np.zeros(cluster.nodes, np.bool_)
        others[window.node_numbers(cluster)] = True
        if not (mine.any() and others.any()):
            continue
        if others.all():
            rejections.add(mine, NO_NODES)
        place[mine] = len(fits)
        fits.append(_fits(cluster, policy, asked, others))
        rejections.add(mine & ~fits[-1][asked.demand], "does not fit its partition even when that is empty")
        if shared is not None:
            reject_never_admitted(shared, fits[-1], mine, rejections)
    return Fits(place=place, fits=np.stack(fits))


def _fits(cluster: Cluster, policy: Policy, asked: Asked, others: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return which demands an empty cluster can hold, shape (demands,); on all its nodes but others."""
    site = lower_site(cluster, policy, asked, 0)
    if others is not None:
        nodes, everybody = np.flatnonzero(others), np.ones((1, 1), np.bool_)
        closed = build_windows(np.array([-NEVER]), np.array([NEVER]), [nodes], everybody, others.size)
        close_for(site, closed, 0, 0, 1)
        site.node["size"][others] = 0
    log = build.build_log(int(asked.chunks.max(initial=1)), 1, tracked=asked.quanta > 0)
    return try_demands(asked.demands, site, log, build.build_events(1, 1))
