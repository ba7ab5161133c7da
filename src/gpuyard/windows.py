"""Windows over nodes: they are drained, kept for some jobs, or not there yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.units import counted
from gpuyard.workload import MICROSECOND, NEVER, Workload

__all__ = [
    "NodeWindow",
    "check_windows",
    "closed_gpus",
    "node_numbers",
    "partitions_of",
    "there_from",
    "unlisted",
    "window_tables",
]

EVER = -1e12
"""Seconds since the origin at which windows begin that have no beginning: before anything that can be simulated."""
_SPAN = re.compile(r"(?:(?P<level>.*\S)\s+)?(?P<first>\d{1,18})(?:\s*-\s*(?P<last>\d{1,18}))?")
_PADDED = re.compile(r"0\d+")
"""A name such as 001, and no number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeWindow:
    """Some nodes, closed from ``start`` to before ``end`` (s since the origin) to all jobs but the invited ones.

    Parameters
    ----------
    nodes
        Node numbers (``3``, ``"3"``, ``"0-15"``), node names, domains of a level (``"rack 3"``, ``"pod 0-1"``) or
        ``"all"``: one or several.
    users, tenants, partitions
        Whose jobs are invited; without any, it is maintenance: nobody's are.
    is_commission
        The nodes are not there before ``end``: see :meth:`commissioned`.
    phase
        The phase of the site that begins when they come.
    is_partition, is_default
        All other nodes are closed to the jobs of a partition: see :meth:`partition`.
    said
        The date at which its nodes come, as it was given, for messages; empty where it is not by a date.

    Raises
    ------
    ConfigError
        For no nodes, or times that are not finite or do not follow each other.  Only a partition that was cut to a
        virtual cluster may have none left.
    """

    nodes: tuple[int | str, ...]
    start: float
    end: float
    users: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    is_commission: bool = False
    phase: str = ""
    is_partition: bool = False
    is_default: bool = False
    said: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.nodes and not self.is_partition:
            raise ConfigError(
                "a window over nodes names no nodes; write numbers, a range such as '0-15', names or 'all'"
            )
        if not (abs(self.start) < NEVER / MICROSECOND / 4 and abs(self.end) < NEVER / MICROSECOND / 4):
            raise ConfigError(f"a window over nodes has finite times, got {self.start} s to {self.end} s")
        if self.end_tick <= self.start_tick:
            raise ConfigError(f"a window over nodes ends after it starts, got {self.start:g} s to {self.end:g} s")

    @classmethod
    def commissioned(cls, nodes: tuple[int | str, ...], start: float, phase: str = "") -> NodeWindow:
        """Return the window over nodes that are there from ``start`` on (s since the origin), and closed ever before.

        Until then they do not count as up, and draw nothing.  With a name, a ``phase`` of the site begins with them.
        """
        return cls(nodes=nodes, start=EVER, end=start, is_commission=True, phase=phase)

    @classmethod
    def partition(cls, name: str, nodes: tuple[int | str, ...], *, is_default: bool = False) -> NodeWindow:
        """Return the partition of that name: its jobs run on these nodes only, and others may run there too.

        The jobs without a partition are of the one that ``is_default``.

        Raises
        ------
        ConfigError
            For no nodes.
        """
        if not nodes:
            raise ConfigError(
                f"partition '{name}' names no nodes; write numbers, a range such as '0-15', names or 'all'"
            )
        return cls(nodes=nodes, start=EVER, end=-EVER, partitions=(name,), is_partition=True, is_default=is_default)

    @property
    def when(self) -> str:
        """When its nodes come, in words: the date that was given, or seconds since the origin."""
        return self.said or f"{self.end:g} s"

    @property
    def start_tick(self) -> int:
        """When it starts, microseconds."""
        return round(self.start * MICROSECOND)

    @property
    def end_tick(self) -> int:
        """When it ends, microseconds; NEVER for a partition."""
        return NEVER if self.is_partition else round(self.end * MICROSECOND)

    @property
    def is_maintenance(self) -> bool:
        """Whether nobody is invited to nodes that are there."""
        return not (self.is_commission or self.is_partition or self.users or self.tenants or self.partitions)

    def node_numbers(self, cluster: Cluster) -> NDArray[np.int64]:
        """Return the numbers of the nodes that it closes, ascending; a partition closes all but its own.

        Raises
        ------
        ConfigError
            For a node, level or domain that the cluster does not have.
        """
        if not self.is_partition:
            return node_numbers(self.nodes, cluster, "a window over nodes")
        others = np.ones(cluster.nodes, np.bool_)
        others[node_numbers(self.nodes, cluster, f"partition '{self.partitions[0]}'")] = False
        return np.flatnonzero(others)

    def members(self, workload: Workload) -> NDArray[np.bool_]:
        """Return which jobs are of a partition, bool, shape (jobs,)."""
        codes, known = workload.labels("partition", "\0")
        mine = [name in self.partitions or (self.is_default and name == "\0") for name in known]
        return np.array(mine, np.bool_)[codes] if known else np.zeros(len(workload), np.bool_)

    def invited(self, workload: Workload) -> NDArray[np.bool_]:
        """Return which jobs are invited, bool, shape (jobs,); a partition invites all but its own to the other nodes.

        Raises
        ------
        ConfigError
            For a user, tenant or partition that no job has.
        """
        if self.is_partition:
            return ~self.members(workload)
        found = np.zeros(len(workload), np.bool_)
        for column, names in (("user", self.users), ("tenant", self.tenants), ("partition", self.partitions)):
            codes, known = workload.labels(column, "\0")
            for name in names:
                if name not in known:
                    raise ConfigError(f"a reservation is for the {column} '{name}', but no job has that {column}")
                found |= codes == known.index(name)
        return found


def unlisted(windows: Sequence[NodeWindow], workload: Workload) -> NDArray[np.bool_]:
    """Return which jobs are of a partition that has no nodes, where others have some; bool, shape (jobs,)."""
    listed = [name for each in windows if each.is_partition for name in each.partitions]
    codes, known = workload.labels("partition", "\0")
    strange = np.array([name not in (*listed, "\0") for name in known], np.bool_)
    return strange[codes] if listed and strange.any() else np.zeros(len(workload), np.bool_)


def partitions_of(windows: Sequence[NodeWindow]) -> list[tuple[str, bool]]:
    """Return the names of the partitions that have nodes, and whether each is the default."""
    return [(each.partitions[0], each.is_default) for each in windows if each.is_partition]


def check_windows(windows: Sequence[NodeWindow]) -> None:
    """Raise ConfigError for windows that contradict each other.

    A partition is given twice, or several are those of jobs without a partition; two phases begin at one instant, or
    one begins again after another.
    """
    _check_partitions(windows)
    _check_phases(windows)


def _check_phases(windows: Sequence[NodeWindow]) -> None:
    named = sorted((each for each in windows if each.phase), key=lambda each: each.end_tick)
    over: set[str] = set()
    for before, after in pairwise(named):
        if after.phase == before.phase:
            continue
        both = f"'{before.phase}' and '{after.phase}'"
        if after.end_tick == before.end_tick:
            raise ConfigError(f"the phases {both} begin at one instant, {after.when}; give them one name or two times")
        over.add(before.phase)
        if after.phase in over:
            raise ConfigError(f"the phase '{after.phase}' begins again after '{before.phase}'; give it another name")


def _check_partitions(windows: Sequence[NodeWindow]) -> None:
    partitions = [each for each in windows if each.is_partition]
    names = [each.partitions[0] for each in partitions]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise ConfigError(f"partition '{name}' is given twice; give it once, with all of its nodes")
    defaults = [each.partitions[0] for each in partitions if each.is_default]
    if len(defaults) > 1:
        both = f"'{defaults[0]}' and '{defaults[1]}'"
        raise ConfigError(f"jobs without a partition cannot be of both {both}; let one of them be the default")


def node_numbers(nodes: Sequence[int | str], cluster: Cluster, who: str) -> NDArray[np.int64]:
    """Return the numbers of the nodes that texts name, ascending.

    Parameters
    ----------
    nodes
        As in :class:`NodeWindow`.
    who
        Whose nodes they are, for messages.

    Raises
    ------
    ConfigError
        For a node, level or domain that the cluster does not have.
    """
    chosen = np.zeros(cluster.nodes, np.bool_)
    for each in nodes:
        chosen[_nodes_of(str(each).strip(), cluster, who)] = True
    return np.flatnonzero(chosen)


def closed_gpus(windows: Sequence[NodeWindow], cluster: Cluster) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return from when to when how many GPUs are closed to everybody, overlapping windows counted once.

    Returns
    -------
    tuple of NDArray
        The instants at which a maintenance starts or ends, int64 microseconds, shape (instants,), ascending; and the
        GPUs closed from each to the next, int64, shape (instants,), 0 at the last.
    """
    drains = [each for each in windows if each.is_maintenance]
    edges = sorted({tick for each in drains for tick in (each.start_tick, each.end_tick)})
    nodes = [each.node_numbers(cluster) for each in drains]
    gpus = []
    for first, last in pairwise(edges):
        closed = np.zeros(cluster.nodes, np.bool_)
        for each, numbers in zip(drains, nodes, strict=True):
            if each.start_tick < last and each.end_tick > first:
                closed[numbers] = True
        gpus.append(int(cluster.node_gpus[closed].sum()))
    return np.array(edges, np.int64), np.array([*gpus, 0][: len(edges)], np.int64)


def there_from(windows: Sequence[NodeWindow], cluster: Cluster) -> NDArray[np.int64]:
    """Return from when on each node is there, int64 microseconds, shape (nodes,); -NEVER for always."""
    begins = np.full(cluster.nodes, -NEVER, np.int64)
    for each in windows:
        if each.is_commission:
            numbers = each.node_numbers(cluster)
            begins[numbers] = np.maximum(begins[numbers], each.end_tick)
    return begins


def window_tables(windows: Sequence[NodeWindow]) -> dict[str, list[dict[str, object]]]:
    """Return windows as a scenario writes them: tables under ``maintenance``, ``reservation`` and so on."""
    tables: dict[str, list[dict[str, object]]] = {}
    for each in windows:
        if each.is_partition:
            partition: dict[str, object] = {"name": each.partitions[0], "nodes": list(each.nodes)}
            tables.setdefault("partition", []).append(partition | ({"default": True} if each.is_default else {}))
            continue
        if each.is_commission:
            later: dict[str, object] = {"nodes": list(each.nodes), "start": each.end}
            tables.setdefault("commission", []).append(later | ({"phase": each.phase} if each.phase else {}))
            continue
        table: dict[str, object] = {"nodes": list(each.nodes), "start": each.start, "end": each.end}
        for name, names in (("user", each.users), ("tenant", each.tenants), ("partition", each.partitions)):
            if names:
                table[name] = list(names)
        tables.setdefault("maintenance" if each.is_maintenance else "reservation", []).append(table)
    return tables


def _nodes_of(text: str, cluster: Cluster, who: str) -> NDArray[np.int64]:
    """Return the numbers of the nodes that one text names."""
    said = f"{who} names '{text}'"
    if text == "all":
        return np.arange(cluster.nodes)
    if text in cluster.node_names:
        return np.array([cluster.node_names.index(text)])
    found = _SPAN.fullmatch(text)
    if found is None or _PADDED.fullmatch(text):
        raise ConfigError(
            f"{said}, which is neither a node nor a domain of '{cluster.name}'; write a "
            f"number, a range such as '0-15', {_example(cluster)}a node's name or 'all'"
        )
    first = int(found["first"])
    last = first if found["last"] is None else int(found["last"])
    if found["level"] is None:
        _check_span(first, last, cluster.nodes, "node", said, cluster)
        return np.arange(first, last + 1)
    names = cluster.levels.names
    if found["level"] not in names:
        listed = ", ".join(names) if names else "none"
        raise ConfigError(f"{said}, but '{cluster.name}' has no level '{found['level']}'; its levels: {listed}")
    domain = cluster.levels.domains[names.index(found["level"])]
    _check_span(first, last, int(domain[-1]) + 1, found["level"], said, cluster)
    return np.flatnonzero((domain >= first) & (domain <= last))


def _example(cluster: Cluster) -> str:
    return f"a domain such as '{cluster.levels.names[0]} 0', " if cluster.levels.names else ""


def _check_span(first: int, last: int, many: int, what: str, said: str, cluster: Cluster) -> None:
    if last < first:
        raise ConfigError(f"{said}, a range that goes backwards")
    if last >= many:
        raise ConfigError(f"{said}, but '{cluster.name}' has {counted(many, what)}, numbered from 0")
