"""The one way in."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from reference.jobs import Fate
from reference.preempting import PreemptiveSimulation
from reference.reclaiming import TenantedPreemptiveSimulation
from reference.simulator import Simulation


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
) -> list[Fate]:
    """Return the fate of each job, by row of the workload; with ``begin``, of those that have not ended by then."""
    kind = Simulation
    if policy.preemption:
        kind = TenantedPreemptiveSimulation if tenants else PreemptiveSimulation
    return kind(workload, cluster, policy, seed, until, begin=begin, windows=windows, tenants=tenants).run()
