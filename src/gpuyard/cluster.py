"""One site: its nodes, how near they are to each other, and the hardware they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.hardware import NodeType
from gpuyard.sites import construct
from gpuyard.sites.parts import Parts
from gpuyard.topology.levels import Levels
from gpuyard.units import MOST_CPUS, MOST_MEMORY_GIB

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Cluster"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster(Parts):
    """Nodes in topology order, with their GPUs, type, CPUs and memory.

    Node ``n`` is the n-th in topology order; "the lowest node" everywhere means this number.

    Parameters
    ----------
    name
        What the cluster is called in results.
    node_names
        One name a node, unique.
    node_gpus
        int32, shape (nodes,): GPUs of each node, 0 for a CPU-only node.
    node_kind
        int16, shape (nodes,): index into ``kinds``.
    kinds
        The node types of the site; a node may hold fewer or more GPUs than its kind's ``gpus``.
    node_cpus, node_memory_gib
        float64, shape (nodes,), or ``None``: unknown, so that jobs hold no CPUs or memory.
    levels
        The levels of locality above the node, lowest first.
    graph
        The graph of hosts and switches that the levels were compiled from, where there is one;
        :meth:`build_graph` makes it otherwise.
    fabrics
        The fabrics of the site in node order, where it was made from parameters.
    interconnect_oversubscription
        Capacity of a fabric's nodes over the capacity from it to the other fabrics.
    capacity
        Link capacities of nodes and of each level's domains, where they are known.
    facts
        What the site states about itself (megawatts, phase, source and standing of each figure).
    """

    def __post_init__(self) -> None:
        if not self.node_names:
            raise ConfigError(f"cluster '{self.name}' has no nodes; give at least one")
        if int(self.node_gpus.min()) < 0:
            raise ConfigError(f"cluster '{self.name}' has a node with {int(self.node_gpus.min())} GPUs")
        for what, values, most in (
            ("CPU cores", self.node_cpus, MOST_CPUS),
            ("GiB of memory", self.node_memory_gib, MOST_MEMORY_GIB),
        ):
            if values is None:
                continue
            outside = values[~((values >= 0) & (values <= most))]
            if outside.size:
                raise ConfigError(
                    f"cluster '{self.name}' has a node with {outside[0]:g} {what}; give 0 to {most:g}, or none for all"
                )

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.node_names)

    @property
    def gpus(self) -> int:
        """How many GPUs there are."""
        return int(self.node_gpus.sum())

    @property
    def gpu_types(self) -> tuple[str, ...]:
        """The GPU types of the site, that of the lowest node first; a node without GPUs has type ''."""
        first: dict[str, int] = {}
        for number, kind in enumerate(self.kinds):
            its = self.node_kind == number
            node = int(np.argmax(its)) if its.any() else self.nodes
            first[kind.gpu_type] = min(node, first.get(kind.gpu_type, node))
        return tuple(sorted(first, key=lambda name: (first[name], name)))

    @property
    def node_type(self) -> NDArray[np.int16]:
        """int16, shape (nodes,): index of each node's GPU type in :attr:`gpu_types`."""
        rank = {name: number for number, name in enumerate(self.gpu_types)}
        of_kind = np.array([rank[kind.gpu_type] for kind in self.kinds], dtype=np.int16)
        return of_kind[self.node_kind]

    def build_graph(self, *, aggregate: bool = True) -> nx.Graph:
        """Return the graph of hosts and switches.

        It is the graph the cluster was made from, or is drawn from its fabrics, or, if the cluster has
        neither, is the tree of its levels.  Drawn hosts say their ``gpus`` and ``gpu_type``.

        Parameters
        ----------
        aggregate
            For fabrics: ``True`` draws the parallel switches of a domain as one node.
        """
        if self.graph is not None:
            return self.graph
        if self.fabrics:
            from gpuyard.topology.build import site_graph

            graph = site_graph(
                self.fabrics,
                interconnect_oversubscription=self.interconnect_oversubscription,
                aggregate=aggregate,
            )
        else:
            from gpuyard.topology.tree import level_tree

            graph = level_tree(self.node_names, self.levels)
        types = [self.gpu_types[number] for number in self.node_type.tolist()]
        for host, gpus, gpu_type in zip(self.node_names, self.node_gpus.tolist(), types, strict=True):
            graph.nodes[host].update({"gpus": gpus, "gpu_type": gpu_type} if gpus else {"gpus": 0})
        return graph

    @staticmethod
    def uniform(
        *,
        nodes: int,
        gpus_per_node: int,
        gpu_type: str = "generic",
        hardware: str | NodeType | None = None,
        nodes_per_rack: int | None = None,
        name: str | None = None,
    ) -> Cluster:
        """Return equal nodes, all equally near but for racks.

        Parameters
        ----------
        gpu_type
            What jobs may ask for; the draw of a GPU of that name, where the catalogue knows it.
        hardware
            A node type, or its name in the catalogue: the draw is its own, and so is the GPU type where ``gpu_type`` is
            left out; a node may hold fewer or more GPUs than it.
        nodes_per_rack
            Makes the level ``rack``.

        Raises
        ------
        ConfigError
            For numbers that cannot be, hardware that does not exist, or more than 10 million GPUs.
        """
        return _cluster(
            construct.uniform(
                nodes=nodes,
                gpus_per_node=gpus_per_node,
                gpu_type=gpu_type,
                hardware=hardware,
                nodes_per_rack=nodes_per_rack,
                name=name,
            )
        )

    @staticmethod
    def preset(name: str) -> Cluster:
        """Return the cluster of a preset, such as ``phase-1``; ConfigError lists the names if there is none."""
        return _cluster(construct.preset(name))

    @staticmethod
    def from_mapping(
        section: Mapping[str, Any], *, name: str = "cluster", site: Mapping[str, Any] | None = None
    ) -> Cluster:
        """Return the cluster that a scenario's section ``[cluster]`` describes.

        It has one of: ``preset``; ``file`` (with ``gpus_per_node`` and ``hardware`` where the file states neither);
        ``nodes`` and ``gpus_per_node`` (with ``gpu_type``, ``hardware``, ``nodes_per_rack``); or ``blocks``.

        Raises
        ------
        ConfigError
            For an unknown key, which names the nearest, or values that do not go together.
        InputError
            For a file that cannot be used.
        """
        return _cluster(construct.from_mapping(section, name=name, site=site))

    @staticmethod
    def from_csv(path: str | Path, *, name: str | None = None) -> Cluster:
        """Return the cluster of a list of nodes; see :mod:`gpuyard.sites.inventory` for the formats.

        Raises
        ------
        InputError
            With file, row and column, for a list that cannot be used.
        """
        return _cluster(construct.from_file(path, name=name))

    @staticmethod
    def from_file(
        path: str | Path,
        *,
        gpus_per_node: int | None = None,
        gpu_type: str = "generic",
        hardware: str | None = None,
        name: str | None = None,
    ) -> Cluster:
        """Return the cluster of a file: nodes or links (CSV), topology.conf, node-link JSON, GraphML, or TOML.

        Parameters
        ----------
        gpus_per_node, gpu_type, hardware
            GPUs and hardware of every node, for topologies that do not state them; of both, ``gpu_type`` is what the
            GPUs of the hardware are called.

        Raises
        ------
        InputError
            With file, row and column, for a file that cannot be used.
        ConfigError
            If the file does not state GPUs and ``gpus_per_node`` is not given.
        """
        return _cluster(
            construct.from_file(path, gpus_per_node=gpus_per_node, gpu_type=gpu_type, hardware=hardware, name=name)
        )

    @staticmethod
    def from_graph(
        graph: nx.Graph,
        *,
        gpus_per_node: int | None = None,
        hardware: str | NodeType | None = None,
        gpu_type: str = "generic",
        levels: tuple[str, ...] | None = None,
        name: str = "graph",
    ) -> Cluster:
        """Return the cluster of a graph of hosts and switches; see :func:`gpuyard.topology.compile.compile_graph`.

        A host's GPUs are its attribute ``gpus``, else its neighbours of ``kind`` 'gpu', else ``gpus_per_node``.
        """
        return _cluster(
            construct.from_graph(
                graph, gpus_per_node=gpus_per_node, hardware=hardware, gpu_type=gpu_type, levels=levels, name=name
            )
        )

    @staticmethod
    def parse(text: str) -> Cluster:
        """Return the cluster that ``PRESET``, ``FILE`` or ``NODESxGPUS`` (such as ``144x8``) stands for.

        Raises
        ------
        ConfigError
            If it is none of these; the message lists the presets and the nearest one.
        InputError
            With file, row and column, for a file that cannot be used.
        """
        return _cluster(construct.parse(text))

    def part(self, nodes: NDArray[np.int64], name: str) -> Cluster:
        """Return the cluster of some of the nodes (their numbers, ascending), in their order and on their levels.

        Domains without one of these nodes are gone, and the others numbered anew.
        """
        kinds, kind = np.unique(self.node_kind[nodes], return_inverse=True)
        domains = [np.unique(domain[nodes], return_inverse=True)[1].astype(np.int32) for domain in self.levels.domains]
        return Cluster(
            name=name,
            node_names=tuple(self.node_names[node] for node in nodes.tolist()),
            node_gpus=self.node_gpus[nodes],
            node_kind=kind.astype(np.int16),
            kinds=tuple(self.kinds[each] for each in kinds.tolist()),
            node_cpus=None if self.node_cpus is None else self.node_cpus[nodes],
            node_memory_gib=None if self.node_memory_gib is None else self.node_memory_gib[nodes],
            levels=Levels(names=self.levels.names, domains=tuple(domains)),
        )

    def renamed(self, name: str) -> Cluster:
        """Return the same cluster under another name."""
        return replace(self, name=name)


def _cluster(parts: Parts) -> Cluster:
    """Return the cluster made of these parts."""
    return Cluster(**{each.name: getattr(parts, each.name) for each in fields(parts)})
