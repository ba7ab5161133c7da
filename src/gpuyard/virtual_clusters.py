"""Virtual clusters: who is in which, on which nodes, under which policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, GpuyardError, InputError
from gpuyard.policy import Policy, named_policy
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.units import counted
from gpuyard.windows import node_numbers
from gpuyard.workload import Workload

__all__ = [
    "Division",
    "VirtualCluster",
    "check_run_tenants",
    "divide",
    "owners_of_nodes",
    "virtual_cluster_tables",
]

_COLUMNS = ("partition", "tenant", "user")
"""Columns of the job table by which virtual clusters have their jobs."""
_SIZES = ("nodes", "gpus", "share")


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
    sharing
        Who shares its GPUs, with quotas and limits, as ``tenants`` of :func:`gpuyard.simulate` says it of a cluster.
    source
        The file and line in which it stands, for messages; ``None`` for one that no file lists.

    Raises
    ------
    ConfigError
        For a virtual cluster without a name, a size or with several sizes, or a policy that decides in own code.
    InputError
        The same, for one out of a file; what is wrong with it later is said so too.
    """

    name: str
    nodes: tuple[int | str, ...] = ()
    gpus: int | None = None
    share: float | None = None
    partitions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    policy: str | Policy | None = None
    sharing: Tenants | Mapping[str, object] | None = None
    source: tuple[Path, int] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise self.refused("a virtual cluster needs a name", "write a name such as vc-a", "name")
        given = [name for name in _SIZES if getattr(self, name) not in (None, ())]
        if len(given) != 1:
            what = "says more than one of" if given else "says none of"
            problem = f"virtual cluster '{self.name}' {what} nodes, gpus and share"
            raise self.refused(problem, "give it one of them", given[-1] if given else None)
        if self.gpus is not None and self.gpus < 1:
            problem = f"virtual cluster '{self.name}' needs at least 1 GPU, got gpus = {self.gpus}"
            raise self.refused(problem, "write a whole number such as 256", "gpus")
        if self.share is not None and not 0 < self.share <= 1:
            got = f", got {self.share}" if self.source is None else ""
            problem = f"the share of virtual cluster '{self.name}' must be more than 0 and at most 1{got}"
            raise self.refused(problem, "write a number such as 0.25", "share")
        try:
            object.__setattr__(self, "sharing", Tenants.of(self.sharing))
        except ConfigError as problem:
            raise self.refused(f"virtual cluster '{self.name}': {problem}") from None

    def refused(
        self, problem: str, remedy: str | None = None, column: str | None = None, value: object = None
    ) -> GpuyardError:
        """Return the error about what it says in ``column``: with the place in the file it is from, if it is from one.

        ``value`` is what is wrong there; all that it says in that column if left out.
        """
        if self.source is None:
            return ConfigError(f"{problem}; {remedy}" if remedy else problem)
        path, row = self.source
        if value is None and column is not None:
            value = ";".join(map(str, self.nodes)) if column == "nodes" else getattr(self, column)
        return InputError(problem, path=path, row=row, column=column, value=value, remedy=remedy)

    @property
    def own_policy(self) -> Policy | None:
        """Its own policy, if it has one."""
        return None if self.policy is None else named_policy(self.policy)

    @property
    def own_tenants(self) -> Tenants:
        """Who shares its GPUs; nobody if it does not say so."""
        return Tenants.of(self.sharing)

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
            For a partition, tenant or user that no job has; an InputError for one that a file names.
        """
        found = np.zeros(len(workload), np.bool_)
        for column, names in self._named:
            codes, known = workload.labels(column, "\0")
            for name in names:
                if name not in known:
                    problem = (
                        f"virtual cluster '{self.name}' is for the {column} '{name}', but no job has that {column}"
                    )
                    raise self.refused(problem, "name one of the jobs', or drop it", column, name)
                found |= codes == known.index(name)
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Division:
    """How a run is divided into virtual clusters.

    ``names``, ``policies`` and ``tenants``, one a virtual cluster; ``member``: int16, shape (jobs,), the number of the
    virtual cluster of each job; ``owner``: int16, shape (nodes,), that of each node; both -1 for none.
    """

    names: tuple[str, ...]
    policies: tuple[Policy, ...]
    tenants: tuple[Tenants, ...]
    member: NDArray[np.int16]
    owner: NDArray[np.int16]


def divide(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    virtual_clusters: Sequence[VirtualCluster],
    tenants: Tenants = NO_TENANTS,
) -> Division:
    """Return which jobs and nodes each virtual cluster has, and its policy and tenants: its own, or those of the run.

    Raises
    ------
    ConfigError
        For virtual clusters that share a name, nodes or jobs, that the cluster has no room for, or that have no jobs,
        and for tenants of the run with numbers of GPUs or jobs.
    InputError
        The same, about one that a file lists.
    """
    names = tuple(each.name for each in virtual_clusters)
    for at, each in enumerate(virtual_clusters):
        if each.name in names[:at]:
            raise each.refused(f"two virtual clusters are called '{each.name}'", "give each its own name", "name")
    policies = tuple(each.own_policy or policy for each in virtual_clusters)
    for each, own in zip(virtual_clusters, policies, strict=True):
        _check_policy(each, own, policy)
    check_run_tenants(tenants)
    return Division(
        names=names,
        policies=policies,
        tenants=tuple(each.own_tenants or tenants for each in virtual_clusters),
        member=_members(workload, virtual_clusters),
        owner=owners_of_nodes(cluster, virtual_clusters),
    )


def check_run_tenants(tenants: Tenants) -> None:
    """Raise a ConfigError for tenants of a run with virtual clusters whose numbers are those of the whole cluster."""
    if tenants.is_absolute:
        raise ConfigError(
            "quotas and limits of tenants are numbers of the whole cluster, and a virtual cluster has a part of it; "
            "write those of each virtual cluster in its own [virtual_cluster.tenants] (in Python sharing = ...), and "
            "no nominal, borrow, lend or limit for the run"
        )


def _check_policy(each: VirtualCluster, own: Policy, policy: Policy) -> None:
    """Raise an error where a virtual cluster cannot have its policy beside that of the run."""
    if each.policy is None and policy.cells:
        raise each.refused(
            f"the cells of the policy are pieces of the whole cluster, and virtual cluster '{each.name}' has a part of "
            "it",
            "give it a policy of its own with its own cells, or leave out cells or virtual clusters",
            "policy",
        )
    if own.replay != policy.replay:
        problem = f"virtual cluster '{each.name}' has replay = {own.replay}, the run {policy.replay}"
        raise each.refused(problem, "use one", "policy")
    if own.decide is not None:
        raise each.refused(
            f"'{own.name}' decides in code of your own, and would be asked about several clusters",
            f"choose an order and a backfill by name for virtual cluster '{each.name}', or leave out the virtual "
            "clusters",
            "policy",
        )


def owners_of_nodes(cluster: Cluster, virtual_clusters: Sequence[VirtualCluster]) -> NDArray[np.int16]:
    """Return the number of the virtual cluster of each node, -1 for none, shape (nodes,).

    Raises
    ------
    ConfigError
        For virtual clusters that share nodes, or that the cluster has no room for; an InputError for one of a file.
    """
    owner = np.full(cluster.nodes, -1, np.int16)
    for number, each in enumerate(virtual_clusters):
        if each.nodes:
            numbers = _nodes_of(each, cluster)
            taken = numbers[owner[numbers] >= 0]
            if taken.size:
                other = virtual_clusters[owner[taken[0]]].name
                problem = f"virtual clusters '{other}' and '{each.name}' both have node {taken[0]}"
                raise each.refused(problem, "give a node to one of them", "nodes")
            owner[numbers] = number
    for number, each in enumerate(virtual_clusters):
        if each.gpus is not None:
            _take_gpus(owner, cluster, number, each)
    _take_shares(owner, cluster, virtual_clusters)
    for number, each in enumerate(virtual_clusters):
        if not np.any(owner == number):
            problem = (
                f"virtual cluster '{each.name}' gets none of the {counted(cluster.nodes, 'node')} of '{cluster.name}'"
            )
            raise each.refused(problem, "give it a larger share", "share")
    return owner


def _nodes_of(each: VirtualCluster, cluster: Cluster) -> NDArray[np.int64]:
    """Return the numbers of the nodes that a virtual cluster names, ascending."""
    try:
        return node_numbers(each.nodes, cluster, f"virtual cluster '{each.name}'")
    except ConfigError as problem:
        raise each.refused(str(problem), column="nodes") from None


def _take_gpus(owner: NDArray[np.int16], cluster: Cluster, number: int, each: VirtualCluster) -> None:
    """Give a virtual cluster the lowest free nodes, until it has the GPUs it says."""
    wanted = int(each.gpus or 0)
    free = np.flatnonzero(owner < 0)
    total = np.cumsum(cluster.node_gpus[free], dtype=np.int64)
    many = int(np.searchsorted(total, wanted)) + 1
    if many > free.size or total[many - 1] != wanted:
        sizes = sorted({0, *total[max(many - 2, 0) : many].tolist()} - {0})
        listed = f"the nearest sizes are {' and '.join(map(str, sizes))}" if sizes else "no node is left"
        problem = f"virtual cluster '{each.name}' wants {counted(wanted, 'GPU')}, to which the nodes that are left"
        raise each.refused(f"{problem} do not come: {listed}", column="gpus")
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
            problem = (
                f"the shares up to virtual cluster '{each.name}' come to {float(share * 100):g} % of the "
                f"{counted(cluster.gpus, 'GPU')} of '{cluster.name}', more than are left"
            )
            raise each.refused(problem, "lower them", "share")
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
            problem = (
                f"job '{workload.table['job_id'][int(twice[0])]}' would belong to virtual clusters "
                f"'{virtual_clusters[member[twice[0]]].name}' and '{virtual_clusters[number].name}'"
            )
            remedy = "name partitions, tenants and users so that each job is in one"
            raise virtual_clusters[number].refused(problem, remedy)
        member[jobs] = number
    if len(workload) and not np.any(member >= 0):
        said = [
            f"{name}s {', '.join(known[:8])}{' ...' if len(known) > 8 else ''}"
            for name in ("partition", "tenant")
            if (known := tuple(each for each in workload.labels(name, "\0")[1] if each != "\0"))
        ]
        raise virtual_clusters[0].refused(
            f"no job belongs to a virtual cluster; the jobs have {' and '.join(said) or 'no partitions or tenants'}",
            "name those of each virtual cluster with partition, tenant or user",
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
    if each.own_tenants:
        table["tenants"] = each.own_tenants.to_mapping()
    return table
