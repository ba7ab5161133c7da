"""One site: its nodes, how near they are to each other, and the hardware they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.hardware import NodeType
from gpuyard.topology.levels import Levels

__all__ = ["Cluster"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
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
        The graph of hosts and switches that the levels were compiled from, where there is one.
    facts
        What the site states about itself (megawatts, phase, source and standing of each figure).
    """

    name: str
    node_names: tuple[str, ...]
    node_gpus: NDArray[np.int32]
    node_kind: NDArray[np.int16]
    kinds: tuple[NodeType, ...]
    node_cpus: NDArray[np.float64] | None = None
    node_memory_gib: NDArray[np.float64] | None = None
    levels: Levels = field(default_factory=Levels.flat)
    graph: nx.Graph | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.node_names:
            raise ConfigError(f"cluster '{self.name}' has no nodes; give at least one")
        if int(self.node_gpus.min()) < 0:
            raise ConfigError(f"cluster '{self.name}' has a node with {int(self.node_gpus.min())} GPUs")

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
        """The GPU types of the site, in alphabetical order; a node without GPUs has type ''."""
        return tuple(sorted({kind.gpu_type for kind in self.kinds}))

    @property
    def node_type(self) -> NDArray[np.int16]:
        """int16, shape (nodes,): index of each node's GPU type in :attr:`gpu_types`."""
        rank = {name: number for number, name in enumerate(self.gpu_types)}
        of_kind = np.array([rank[kind.gpu_type] for kind in self.kinds], dtype=np.int16)
        return of_kind[self.node_kind]
