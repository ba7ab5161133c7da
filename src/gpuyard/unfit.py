"""Jobs that can never run: the empty cluster, or the nodes of their partition, cannot hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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

__all__ = ["reject_unfit", "reject_without_nodes"]


def reject_unfit(
    workload: Workload, cluster: Cluster, policy: Policy, asked: Asked, shared: Shared | None, rejections: Rejections
) -> None:
    """Reject the jobs that not even the empty cluster can hold: each demand is tried once, alone."""
    demands = asked.demands
    reject_contradictions(workload, policy, rejections)
    nothing = (demands["gpus"] == 0) & (demands["cpu"] == 0)
    rejections.add(nothing[asked.demand], "asks for no GPU, and for no CPU that the cluster knows of")
    typeless = demands["kinds"] == 0
    rejections.add(typeless[asked.demand], "no node has a GPU type it accepts")
    site = lower_site(cluster, policy, asked, 0)
    log = build.build_log(int(asked.chunks.max(initial=1)), 1, tracked=asked.quanta > 0)
    fits = try_demands(demands, site, log, build.build_events(1, 1))
    unfit = ~fits[asked.demand]
    rejections.add(unfit & (workload.gpus > cluster.gpus), "asks for more GPUs than the cluster has")
    rejections.add(unfit, "does not fit the cluster even when it is empty")
    if shared is not None:
        reject_never_admitted(shared, fits, rejections)


def reject_without_nodes(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    asked: Asked,
    windows: Sequence[NodeWindow],
    rejections: Rejections,
) -> None:
    """Reject the jobs whose partition has no nodes, or none that hold them when they are empty.

    Shapes are those of the whole cluster: each demand is tried once, alone, with nothing on the other nodes.
    """
    rejections.add(unlisted(windows, workload), "its partition has no nodes")
    for window in windows:
        if not window.is_partition:
            continue
        mine = window.members(workload)
        others = np.zeros(cluster.nodes, np.bool_)
        others[window.node_numbers(cluster)] = True
        if not (mine.any() and others.any()):
            continue
        site = lower_site(cluster, policy, asked, 0)
        nodes, everybody = np.flatnonzero(others), np.ones((1, 1), np.bool_)
        closed = build_windows(np.array([-NEVER]), np.array([NEVER]), [nodes], everybody, others.size)
        close_for(site, closed, 0, 0, 1)
        site.node["size"][others] = 0
        log = build.build_log(int(asked.chunks.max(initial=1)), 1, tracked=asked.quanta > 0)
        fits = try_demands(asked.demands, site, log, build.build_events(1, 1))
        rejections.add(mine & ~fits[asked.demand], "does not fit its partition even when that is empty")
