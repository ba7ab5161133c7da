"""Virtual clusters: who is in which, on which nodes, under which policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy, named_policy
from gpuyard.units import counted
from gpuyard.windows import node_numbers
from gpuyard.workload import Workload

__all__ = ["Division", "VirtualCluster", "divide", "virtual_cluster_tables"]

_COLUMNS = ("partition", "tenant", "user")
"""Columns of the job table by which virtual clusters have their jobs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VirtualCluster:
    """A set of nodes with a queue of its own, and whose jobs wait there.

    Parameters
    ----------
    name
        What results call it.
    nodes
        Its nodes, named as in :class:`~gpuyard.windows.NodeWindow`; or none, and one of the next two.
    gpus
        How many GPUs it has: the lowest nodes that nobody has.
    share
        Which share of the cluster's GPUs it has, more than 0 and at most 1: the next nodes that nobody has.
    partitions, tenants, users
        Whose jobs are its members; without any, those whose partition, or else tenant, is its name.
    policy
        Its own policy, or the name of one; that of the run if left out.

    Raises
    ------
    ConfigError
        For a virtual cluster without a name, a size or with several sizes, or a policy that decides in own code.
    """

    name: str
    nodes: tuple[int | str, ...] = ()
    gpus: int | None = None
    share: float | None = None
    partitions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    policy: str | Policy | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a virtual cluster needs a name; write name = 'vc-a'")
        given = [bool(self.nodes), self.gpus is not None, self.share is not None]
        if sum(given) != 1:
            what = "says none of" if not any(given) else "says more than one of"
            raise ConfigError(f"virtual cluster '{self.name}' {what} nodes, gpus and share; give it one of them")
        if self.gpus is not None and self.gpus < 1:
            raise ConfigError(f"virtual cluster '{self.name}' needs at least 1 GPU, got gpus = {self.gpus}")
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigError(f"the share of virtual cluster '{self.name}' is more than 0 and at most 1: {self.share}")

    @property
    def own_policy(self) -> Policy | None:
        """Its own policy, if it has one."""
        return None if self.policy is None else named_policy(self.policy)

    @property
    def _named(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Whose jobs it names, by column."""
        return tuple(zip(_COLUMNS, (self.partitions, self.tenants, self.users), strict=True))

    @property
    def is_named(self) -> bool:
        """Whether it says whose jobs are its members."""
        return any(names for _, names in self._named)

    def members(self, workload: Workload) -> NDArray[np.bool_]:
        """Return which jobs belong to those it names, bool, shape (jobs,).

        Raises
        ------
        ConfigError
            For a partition, tenant or user that no job has.
        """
        found = np.zeros(len(workload), np.bool_)
        for column, names in self._named:
            codes, known = workload.labels(column, "\0")
            for name in names:
                if name not in known:
                    raise ConfigError(
                        f"virtual cluster '{self.name}' is for the {column} '{name}', but no job has that {column}"
                    )
                found |= codes == known.index(name)
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Division:
    """How a run is divided into virtual clusters.

    ``names`` and ``policies``, one a virtual cluster; ``member``: int16, shape (jobs,), the number of the virtual
    cluster of each job; ``owner``: int16, shape (nodes,), that of each node; both -1 for none.
    """

    names: tuple[str, ...]
    policies: tuple[Policy, ...]
    member: NDArray[np.int16]
    owner: NDArray[np.int16]


def divide(
    workload: Workload, cluster: Cluster, policy: Policy, virtual_clusters: Sequence[VirtualCluster]
) -> Division:
    """Return which jobs and nodes each virtual cluster has.

    Raises
    ------
    ConfigError
        For virtual clusters that share a name, nodes or jobs, that the cluster has no room for, or that have no jobs.
    """
    names = tuple(each.name for each in virtual_clusters)
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two virtual clusters are called '{name}'; give each its own name")
    policies = tuple(each.own_policy or policy for each in virtual_clusters)
    heirs = [each.name for each in virtual_clusters if each.policy is None and policy.cells]
    if heirs:
        raise ConfigError(
            f"the cells of the policy are pieces of the whole cluster, and virtual cluster '{heirs[0]}' has a part of "
            "it; give it a policy of its own with its own cells, or leave out cells or virtual clusters"
        )
    for name, own in zip(names, policies, strict=True):
        if own.replay != policy.replay:
            raise ConfigError(f"virtual cluster '{name}' has replay = {own.replay}, the run {policy.replay}; use one")
        if own.decide is not None:
            raise ConfigError(
                f"'{own.name}' decides in code of your own, and would be asked about several clusters; choose an order "
                f"and a backfill by name for virtual cluster '{name}', or leave out the virtual clusters"
            )
    return Division(
        names=names,
        policies=policies,
        member=_members(workload, virtual_clusters),
        owner=_owners(cluster, virtual_clusters),
    )


def _owners(cluster: Cluster, virtual_clusters: Sequence[VirtualCluster]) -> NDArray[np.int16]:
    """Return the number of the virtual cluster of each node, -1 for none, shape (nodes,)."""
    owner = np.full(cluster.nodes, -1, np.int16)
    for number, each in enumerate(virtual_clusters):
        if each.nodes:
            numbers = node_numbers(each.nodes, cluster, f"virtual cluster '{each.name}'")
            taken = numbers[owner[numbers] >= 0]
            if taken.size:
                raise ConfigError(
                    f"virtual clusters '{virtual_clusters[owner[taken[0]]].name}' and '{each.name}' both have node "
                    f"{taken[0]}; give a node to one of them"
                )
            owner[numbers] = number
    for number, each in enumerate(virtual_clusters):
        if each.gpus is not None:
            _take_gpus(owner, cluster, number, each)
    _take_shares(owner, cluster, virtual_clusters)
    for number, each in enumerate(virtual_clusters):
        if not np.any(owner == number):
            raise ConfigError(
                f"virtual cluster '{each.name}' gets none of the {counted(cluster.nodes, 'node')} of '{cluster.name}'; "
                "give it a larger share"
            )
    return owner


def _take_gpus(owner: NDArray[np.int16], cluster: Cluster, number: int, each: VirtualCluster) -> None:
    """Give a virtual cluster the lowest free nodes, until it has the GPUs it says."""
    wanted = int(each.gpus or 0)
    free = np.flatnonzero(owner < 0)
    total = np.cumsum(cluster.node_gpus[free], dtype=np.int64)
    many = int(np.searchsorted(total, wanted)) + 1
    if many > free.size or total[many - 1] != wanted:
        sizes = sorted({0, *total[max(many - 2, 0) : many].tolist()} - {0})
        listed = f"the nearest sizes are {' and '.join(map(str, sizes))}" if sizes else "no node is left"
        raise ConfigError(
            f"virtual cluster '{each.name}' wants {counted(wanted, 'GPU')}, to which the nodes that are left do not "
            f"come: {listed}"
        )
    owner[free[:many]] = number


def _take_shares(owner: NDArray[np.int16], cluster: Cluster, virtual_clusters: Sequence[VirtualCluster]) -> None:
    """Give out the free nodes to those that have a share of the cluster's GPUs, one after the other."""
    free = np.flatnonzero(owner < 0)
    total = np.cumsum(cluster.node_gpus[free], dtype=np.int64)
    share, first = Fraction(0), 0
    for number, each in enumerate(virtual_clusters):
        if each.share is None:
            continue
        share += Fraction(repr(float(each.share)))
        if share * cluster.gpus > (total[-1] if total.size else 0):
            raise ConfigError(
                f"the shares up to virtual cluster '{each.name}' come to {float(share * 100):g} % of the "
                f"{counted(cluster.gpus, 'GPU')} of '{cluster.name}', more than are left; lower them"
            )
        last = int(np.searchsorted(total, int(share * cluster.gpus), side="right"))
        owner[free[first:last]] = number
        first = last


def _members(workload: Workload, virtual_clusters: Sequence[VirtualCluster]) -> NDArray[np.int16]:
    """Return the number of the virtual cluster of each job, -1 for none, shape (jobs,)."""
    member = np.full(len(workload), -1, np.int16)
    unnamed = {each.name: number for number, each in enumerate(virtual_clusters) if not each.is_named}
    found = [(number, each.members(workload)) for number, each in enumerate(virtual_clusters) if each.is_named]
    column = next((name for name in ("partition", "tenant") if set(workload.labels(name, "\0")[1]) & set(unnamed)), "")
    if column:
        codes, known = workload.labels(column, "\0")
        found += [(unnamed[name], codes == code) for code, name in enumerate(known) if name in unnamed]
    for number, jobs in found:
        twice = np.flatnonzero(jobs & (member >= 0))
        if twice.size:
            raise ConfigError(
                f"job '{workload.table['job_id'][int(twice[0])]}' would belong to virtual clusters "
                f"'{virtual_clusters[member[twice[0]]].name}' and '{virtual_clusters[number].name}'; name partitions, "
                "tenants and users so that each job is in one"
            )
        member[jobs] = number
    if len(workload) and not np.any(member >= 0):
        said = [
            f"{name}s {', '.join(known[:8])}{' ...' if len(known) > 8 else ''}"
            for name in ("partition", "tenant")
            if (known := tuple(each for each in workload.labels(name, "\0")[1] if each != "\0"))
        ]
        raise ConfigError(
            f"no job belongs to a virtual cluster; the jobs have {' and '.join(said) or 'no partitions or tenants'}: "
            "name those of each virtual cluster with partition, tenant or user"
        )
    return member


def virtual_cluster_tables(virtual_clusters: Sequence[VirtualCluster]) -> dict[str, list[dict[str, object]]]:
    """Return virtual clusters as a scenario writes them: tables under ``virtual_cluster``; none for none."""
    tables = [_table(each) for each in virtual_clusters]
    return {"virtual_cluster": tables} if tables else {}


def _table(each: VirtualCluster) -> dict[str, object]:
    table: dict[str, object] = {"name": each.name}
    if each.nodes:
        table["nodes"] = list(each.nodes)
    table |= {name: value for name, value in (("gpus", each.gpus), ("share", each.share)) if value is not None}
    table |= {column: list(names) for column, names in each._named if names}
    if each.own_policy is not None:
        table["policy"] = {"name": "fifo", **each.own_policy.to_mapping()}  # with a name it is not laid over the run's
    return table
