"""Virtual clusters: one simulation after the other, and their fates put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.topology.levels import Levels
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from reference.beginning import left_at
from reference.celled import CellSimulation
from reference.closing import Closing
from reference.jobs import Attempt, Fate, Job, Slot, read, ticks
from reference.preempting import PreemptiveSimulation
from reference.reclaiming import TenantedPreemptiveSimulation
from reference.simulator import Simulation


def kind_of(policy: Policy, tenants: Tenants = NO_TENANTS) -> type[Simulation]:
    if not policy.preemption:
        return Simulation
    if policy.cells:
        return CellSimulation
    return TenantedPreemptiveSimulation if tenants else PreemptiveSimulation


def simulate_apart(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    virtual_clusters: Sequence[VirtualCluster],
    *,
    seed: int,
    until: float | None,
    begin: float | None,
    windows: Sequence[NodeWindow],
    tenants: Tenants,
    bounds: Sequence[Bounds] = (),
) -> list[Fate]:
    everybody = read(workload, policy)
    jobs = everybody if begin is None else left_at(everybody, ticks(begin))
    member_of = {job.name: belongs_to(job, everybody, virtual_clusters) for job in jobs}
    nodes_of = node_sets(cluster, virtual_clusters)
    outside = {job.row for job in jobs if member_of[job.name] is None}
    while heirs := {job.row for job in jobs if outside & set(job.parents)} - outside:
        outside |= heirs
    fates = [Fate(outcome="rejected") for _ in jobs]
    for each in virtual_clusters:
        rows = [job.row for job in jobs if job.row not in outside and member_of[job.name] == each.name]
        nodes = nodes_of[each.name]
        own, sharing = each.own_policy or policy, each.sharing or tenants
        simulation = kind_of(own, sharing)(
            workload,
            cut(cluster, nodes),
            own,
            seed,
            until,
            begin=begin,
            windows=within(windows, nodes),
            tenants=sharing,
            bounds=bounds,
            members=frozenset(jobs[row].name for row in rows),
        )
        for row, fate in zip(rows, simulation.run(), strict=True):
            fates[row] = moved(fate, rows, nodes)
    return fates


def belongs_to(job: Job, everybody: Sequence[Job], virtual_clusters: Sequence[VirtualCluster]) -> str | None:
    """Return the name of the virtual cluster of a job; that there is at most one is taken for granted."""
    unnamed = {each.name for each in virtual_clusters if not (each.partitions or each.tenants or each.users)}
    own = job.partition if any(other.partition in unnamed for other in everybody) else job.tenant
    for each in virtual_clusters:
        if job.partition in each.partitions or job.tenant in each.tenants or job.user in each.users:
            return each.name
    return own if own in unnamed else None


def node_sets(cluster: Cluster, virtual_clusters: Sequence[VirtualCluster]) -> dict[str, list[int]]:
    """Return the nodes of each virtual cluster; only node numbers and ranges of them are understood here."""
    gpus = cluster.node_gpus.tolist()
    found: dict[str, list[int]] = {}
    for each in virtual_clusters:
        if each.nodes:
            window = NodeWindow(nodes=each.nodes, start=0, end=1)
            found[each.name] = sorted(Closing.of(window).nodes)
    for each in virtual_clusters:
        if each.gpus is not None:
            taken = {node for nodes in found.values() for node in nodes}
            found[each.name] = []
            for node in range(cluster.nodes):
                if node not in taken and sum(gpus[other] for other in found[each.name]) < each.gpus:
                    found[each.name].append(node)
    taken = {node for nodes in found.values() for node in nodes}
    free, share, given = [node for node in range(cluster.nodes) if node not in taken], Fraction(0), 0
    for each in virtual_clusters:
        if each.share is not None:
            share += Fraction(str(each.share))
            upto = [
                number
                for number in range(len(free))
                if sum(gpus[node] for node in free[: number + 1]) <= share * sum(gpus)
            ]
            found[each.name] = free[given : len(upto)]
            given = len(upto)
    return found


def cut(cluster: Cluster, nodes: Sequence[int]) -> Cluster:
    """Return the cluster of some nodes."""
    domains = []
    for domain in cluster.levels.domains:
        left = sorted({int(domain[node]) for node in nodes})
        domains.append(domain[: len(nodes)].copy())
        domains[-1][:] = [left.index(int(domain[node])) for node in nodes]
    own_types = [cluster.kinds[cluster.node_kind[node]] for node in nodes]
    kinds = [kind for kind in cluster.kinds if kind in own_types]
    node_kind = cluster.node_kind[: len(nodes)].copy()
    node_kind[:] = [kinds.index(kind) for kind in own_types]
    return Cluster(
        name="part",
        node_names=tuple(cluster.node_names[node] for node in nodes),
        node_gpus=cluster.node_gpus[list(nodes)],
        node_kind=node_kind,
        kinds=tuple(kinds),
        node_cpus=None if cluster.node_cpus is None else cluster.node_cpus[list(nodes)],
        node_memory_gib=None if cluster.node_memory_gib is None else cluster.node_memory_gib[list(nodes)],
        levels=Levels(names=cluster.levels.names, domains=tuple(domains)),
    )


def within(windows: Sequence[NodeWindow], nodes: Sequence[int]) -> list[NodeWindow]:
    """Return the windows over some of these nodes, in their own numbers; all partitions, which then may have none."""
    found = []
    for window in windows:
        inside = tuple(number for number, node in enumerate(nodes) if node in Closing.of(window).nodes)
        found += [replace(window, nodes=inside)] if inside or window.is_partition else []
    return found


def moved(fate: Fate, rows: Sequence[int], nodes: Sequence[int]) -> Fate:
    """Return a fate in the numbers of the whole."""

    def there(slots: Sequence[Slot]) -> list[Slot]:
        return [(nodes[node], gpus, gpu) for node, gpus, gpu in slots]

    attempts = [
        Attempt(each.start, each.end, there(each.slots), each.useful, None if each.cause is None else rows[each.cause])
        for each in fate.attempts
    ]
    return replace(fate, slots=there(fate.slots), attempts=attempts)
