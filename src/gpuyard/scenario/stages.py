"""The stages of a cluster that grows: from one commissioning to the next, and what is there in each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.windows import NodeWindow, there_from
from gpuyard.workload import MICROSECOND

if TYPE_CHECKING:
    from gpuyard.synthesis import Stage

__all__ = ["stages_of"]

DAY = 86_400.0


def stages_of(cluster: Cluster, windows: Sequence[NodeWindow], days: float) -> list[Stage]:
    """Return the stages of the first ``days``.

    Raises
    ------
    ConfigError
        If no GPU is there in the first.
    """
    from gpuyard.synthesis import Stage

    begins = there_from(windows, cluster)
    span = round(days * DAY, 3)
    inner = np.unique(begins[(begins > 0) & (begins < round(span * MICROSECOND))]) / MICROSECOND
    found = []
    for begin, end in pairwise([0.0, *inner.tolist(), span]):
        there = begins <= round(begin * MICROSECOND)
        pools = np.bincount(cluster.node_type[there], weights=cluster.node_gpus[there])
        if not pools.sum():
            first = min((each for each in windows if each.is_commission), key=lambda each: each.end)
            raise ConfigError(
                f"no GPU is there when the workload begins: the first come at {first.when}; commission some at 0 s or "
                "before"
            )
        cpus = None if cluster.node_cpus is None else float(cluster.node_cpus[there].min())
        sizes = node_sizes(cluster.node_gpus[there])
        found.append(Stage(begin, end, int(pools.sum()), int(pools.max()), cpus, sizes))
    return found


def node_sizes(gpus: NDArray[np.int32]) -> tuple[int, ...]:
    """Return the different numbers of GPUs of nodes that have any."""
    return tuple(np.unique(gpus[gpus > 0]).tolist())
