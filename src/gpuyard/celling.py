"""Cells in the engine's units: the hierarchy of a cluster, what owners own, what jobs ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, unknown_name
from gpuyard.kernel.cells import CLAIM, OWNERS, Cells, Claims, Forests, build_cells
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.tables import DEMAND, Records
from gpuyard.lowering import Asked, Rejections
from gpuyard.policy import Policy
from gpuyard.workload import Workload

__all__ = ["Hierarchy", "ask_for_cells", "celled_tables", "hierarchy_of", "homes_of", "owned_cells"]

_SAME: Final = ("level", "count", "asker", "priority")
"""What jobs of a lane have in common besides where they may run, where everybody passes who cannot start."""
_WHOLE: Final = 1000
_MIB: Final = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Hierarchy:
    """The levels of cells of a cluster, lowest first."""

    names: tuple[str, ...]
    size: NDArray[np.int64]
    """GPUs of a cell, shape (levels,)"""
    cells: NDArray[np.int64]
    """cells of the whole cluster, shape (levels,)"""

    @property
    def node(self) -> int:
        """The level of nodes."""
        return self.names.index("node")


def hierarchy_of(cluster: Cluster, levels: Sequence[str] | None = None) -> Hierarchy:
    """Return the levels of cells.

    Parameters
    ----------
    levels
        Those of the cluster's levels of locality that are cells; ``None`` for all.

    Raises
    ------
    ConfigError
        For nodes that are not alike, a level that there is not, and one whose domains are not alike.
    """
    gpus = int(cluster.node_gpus[0])
    if gpus < 1 or np.any(cluster.node_gpus != gpus) or len(cluster.gpu_types) > 1:
        different = ", ".join(str(each) for each in np.unique(cluster.node_gpus).tolist())
        types = ", ".join(name or "none" for name in cluster.gpu_types)
        raise ConfigError(
            f"cells need nodes with the same number of GPUs, of one type; '{cluster.name}' has nodes of {different} "
            f"GPUs and types {types}; simulate each kind of node as a cluster of its own"
        )
    there = cluster.levels.names
    for name in levels or ():
        if name not in there:
            raise unknown_name(f"level of '{cluster.name}'", name, there)
    size = [1]
    while 2 * size[-1] < gpus and gpus % (2 * size[-1]) == 0:
        size.append(2 * size[-1])
    names = ["gpu", *(f"gpus-{each}" for each in size[1:]), "node"]
    size.append(gpus)
    below: NDArray[np.int32] = np.arange(cluster.nodes, dtype=np.int32)
    for name, domain in zip(there, cluster.levels.domains, strict=True):
        if levels is not None and name not in levels:
            continue
        held = np.bincount(domain[np.unique(below, return_index=True)[1]])
        if np.any(held != held[0]):
            raise ConfigError(
                f"the {name}s of '{cluster.name}' hold {held.min()} to {held.max()} cells of level {names[-1]}, and "
                f"cells of a level must be alike; leave the level out with levels = [...] in [policy.cells]"
            )
        names.append(name)
        size.append(size[-1] * int(held[0]))
        below = domain
    sizes = np.array(size, np.int64)
    return Hierarchy(names=tuple(names), size=sizes, cells=cluster.gpus // sizes)


def _owned(policy: Policy, levels: Hierarchy, name: str) -> NDArray[np.int64]:
    """Return the cells that each owner owns, shape (owners, levels); raise for what does not fit."""
    owned = np.zeros((len(policy.cells.owners), len(levels.names)), np.int64)
    for number, (owner, counts) in enumerate(policy.cells.owners.items()):
        for level, count in counts.items():
            if level not in levels.names:
                raise unknown_name(f"level of cells in 'cells.owners.{owner}'", level, levels.names)
            owned[number, levels.names.index(level)] = count
    there = int(levels.cells[-1])
    for number in range(len(levels.names) - 1, -1, -1):
        wanted = int(owned[:, number].sum())
        if wanted > there:
            raise ConfigError(
                f"owners own {wanted} cells of level {levels.names[number]}, and '{name}' has {there} beside "
                "those of higher levels; take some away"
            )
        if number:
            there = (there - wanted) * int(levels.size[number] // levels.size[number - 1])
    return owned


def homes_of(workload: Workload, policy: Policy) -> NDArray[np.int64]:
    """Return the number of each job's owner, shape (jobs,); NOBODY where it has none."""
    codes, labels = workload.labels(policy.cells.by, "")
    numbers = {name: number for number, name in enumerate(policy.cells.owners)}
    home = np.full(max(len(labels), 1), NOBODY, np.int64)
    for code, label in enumerate(labels):
        path = label
        while path and path not in numbers:
            path = path.rpartition("/")[0]
        home[code] = numbers.get(path, NOBODY)
    return home[codes] if len(labels) else np.full(len(workload), NOBODY, np.int64)


def _shapes(workload: Workload, levels: Hierarchy) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return for each job the chunks, the GPUs of the smaller ones, and how many have one more."""
    node = int(levels.size[levels.node])
    nodes, gpus = workload.integers("nodes", 0), workload.gpus.astype(np.int64)
    chunks = np.where(nodes > 0, nodes, np.maximum(-(-gpus // node), 1))
    return chunks, gpus // chunks, gpus % chunks


def owned_cells(cluster: Cluster, policy: Policy) -> NDArray[np.int64]:
    """Return the cells that each owner owns as such, int64, shape (owners, levels), lowest level first.

    Raises
    ------
    ConfigError
        For a cluster that has no such cells, and for cells that it has not got.
    """
    return _owned(policy, hierarchy_of(cluster, policy.cells.levels), cluster.name)


def claims_of(workload: Workload, cluster: Cluster, policy: Policy) -> tuple[Hierarchy, Records]:
    """Return the levels of cells, and what each job asks for: records of kernel.cells.CLAIM, shape (jobs,).

    Raises
    ------
    ConfigError
        For a cluster that has no such cells, and for cells that it has not got.
    """
    levels = hierarchy_of(cluster, policy.cells.levels)
    return levels, _claims(workload, policy, levels, _owned(policy, levels, cluster.name))


def _claims(workload: Workload, policy: Policy, levels: Hierarchy, owned: NDArray[np.int64]) -> Records:
    """Return what each job asks for, shape (jobs,)."""
    node = int(levels.size[levels.node])
    chunks, small, more = _shapes(workload, levels)
    stated = workload.integers("nodes", 0) > 0
    claim = np.zeros(len(workload), CLAIM)
    claim["count"] = chunks
    claim["large"] = np.where(stated, small + (more > 0), np.where(chunks > 1, node, workload.gpus))
    claim["many"] = np.where(stated & (more > 0), more, np.where(stated, chunks, np.maximum(workload.gpus // node, 1)))
    claim["small"] = np.where(stated, small, workload.gpus % node)
    lowest = np.searchsorted(levels.size[: levels.node + 1], np.minimum(claim["large"], node))
    claim["level"] = np.where(chunks > 1, levels.node, lowest)
    home = homes_of(workload, policy)
    due = (home != NOBODY) & (workload.integers("priority", 0) >= 0)
    claim["guest"] = ~due | (policy.cells.beyond == "opportunistic")
    claim["guest"] &= workload.integers("preemptible", 1) > 0
    holds = np.zeros((owned.shape[0], len(levels.names)), np.int64)
    for level in range(len(levels.names)):
        holds[:, level] = owned[:, level:] @ (levels.size[level:] // levels.size[level])
    fits = due & (claim["count"] <= holds[home, claim["level"]] if holds.size else due)
    claim["forest"] = np.where(fits, home + OWNERS, NOBODY)
    if policy.cells.within == "priority":
        claim["priority"] = np.where(due, workload.integers("priority", 0), 0)
    return claim


def _reject(workload: Workload, cluster: Cluster, policy: Policy, asked: Asked, rejections: Rejections) -> None:
    """Reject the jobs that cells are not for."""
    levels = hierarchy_of(cluster, policy.cells.levels)
    owned = _owned(policy, levels, cluster.name)
    demands = asked.demands[asked.demand]
    rejections.add(workload.gpus == 0, "asks for no GPU, and so for no cell")
    rejections.add(demands["share"] > 0, "asks for a fraction of a GPU, and cells are of whole ones")
    rejections.add(demands["spread"] > 0, "asks for GPUs from anywhere, and cells are not")
    rejections.add(demands["alone"] > 0, "asks for nodes to itself, which cells do not know; ask for whole nodes")
    node = int(levels.size[levels.node])
    for name, there, unit in (("cpu", cluster.node_cpus, _WHOLE), ("memory", cluster.node_memory_gib, _MIB)):
        if there is not None:
            least = int(np.rint(there * unit).min())
            what = "CPUs" if name == "cpu" else "memory"
            rejections.add(demands[name] * node > least, f"asks for more {what} for a GPU than a cell has for each")
    claim = _claims(workload, policy, levels, owned)
    nowhere = (claim["forest"] == NOBODY) & (claim["guest"] == 0)
    due = (homes_of(workload, policy) != NOBODY) & (workload.integers("priority", 0) >= 0)
    rejections.add(nowhere & due, "asks for more than its owner owns")
    rejections.add(nowhere, "is opportunistic and not preemptible")


def ask_for_cells(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    asked: Asked,
    rejections: Rejections,
    *,
    asker: NDArray[np.int64],
) -> Asked:
    """Return the demands once more, each for just the same cells; who stands in one lane is refused together.

    Jobs that cells are not for are rejected.

    Parameters
    ----------
    asker
        As :func:`gpuyard.tenanting.limited_alike` returns it.

    Raises
    ------
    ConfigError
        For a cluster that has no such cells, and for cells that it has not got.
    """
    _reject(workload, cluster, policy, asked, rejections)
    levels = hierarchy_of(cluster, policy.cells.levels)
    claim = _claims(workload, policy, levels, _owned(policy, levels, cluster.name))
    claim["asker"] = asker
    different, first, demand = np.unique(claim, return_index=True, return_inverse=True)
    demands = np.zeros(different.size, DEMAND)
    demands["gpus"] = workload.gpus[first]
    demands["kinds"] = 1
    demands["lane"] = _numbered(different, "forest", "guest", *(() if policy.backfill == "none" else _SAME))
    demands["plain"] = 1
    demands["large"], demands["many"] = different["large"], different["many"]
    return replace(
        asked, demands=demands, demand=demand.astype(np.int32), chunks=different["count"].astype(np.int64), quanta=0
    )


def _numbered(claim: Records, *names: str) -> NDArray[np.int64]:
    """Return the same number for claims that are the same in these fields, shape (claims,)."""
    return np.unique(claim[list(names)], return_inverse=True)[1].astype(np.int64)


def celled_tables(
    workload: Workload, cluster: Cluster, asked: Asked, policy: Policy, *, asker: NDArray[np.int64]
) -> tuple[Forests, Cells, Claims]:
    """Return cells of which nothing is taken; ``asked`` as :func:`ask_for_cells` returned it for ``asker``."""
    levels = hierarchy_of(cluster, policy.cells.levels)
    owned = _owned(policy, levels, cluster.name)
    claim = np.zeros(asked.demands.size, CLAIM)
    claim[asked.demand] = _claims(workload, policy, levels, owned)
    claim["asker"][asked.demand] = asker
    claim["lane"] = asked.demands["lane"]
    claim["loan"] = _numbered(claim, "level", "count")
    claim["own"] = _numbered(claim, "forest", "level", "count", "priority") + claim.size
    site = np.zeros((OWNERS, len(levels.names)), np.int64)
    site[:, -1] = levels.cells[-1]
    return build_cells(levels.size, levels.node, np.concatenate([site, owned]), claim)
