"""The one way in."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from reference.dividing import kind_of, simulate_apart
from reference.jobs import Fate


def simulate(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    seed: int = 0,
    until: float | None = None,
    *,
    begin: float | None = None,
    windows: Sequence[NodeWindow] = (),
    tenants: Tenants = NO_TENANTS,
    virtual_clusters: Sequence[VirtualCluster] = (),
    bounds: Sequence[Bounds] = (),
) -> list[Fate]:
    """Return the fate of each job, by row of the workload; with ``begin``, of those that have not ended by then."""
    if virtual_clusters:
        return simulate_apart(
            workload,
            cluster,
            policy,
            virtual_clusters,
            seed=seed,
            until=until,
            begin=begin,
            windows=windows,
            tenants=tenants,
            bounds=bounds,
        )
    kind = kind_of(policy, tenants)
    return kind(
        workload, cluster, policy, seed, until, begin=begin, windows=windows, tenants=tenants, bounds=bounds
    ).run()
