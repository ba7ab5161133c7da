"""What every way of making a cluster hands over: the fields that :class:`gpuyard.cluster.Cluster` inherits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.hardware import NodeType
from gpuyard.topology.capacity import Capacity
from gpuyard.topology.fabric import Fabric
from gpuyard.topology.levels import Levels
from gpuyard.units import counted

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["MOST_GPUS", "MOST_NODES", "Parts", "check_size"]

MOST_GPUS = 10_000_000
"""A cluster of more GPUs is taken for a typing error."""
MOST_NODES = 10_000_000
"""The same for nodes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The fields of a cluster; see :class:`gpuyard.cluster.Cluster` for their meaning."""

    name: str
    node_names: tuple[str, ...]
    node_gpus: NDArray[np.int32]
    node_kind: NDArray[np.int16]
    kinds: tuple[NodeType, ...]
    node_cpus: NDArray[np.float64] | None = None
    node_memory_gib: NDArray[np.float64] | None = None
    levels: Levels = field(default_factory=Levels.flat)
    graph: nx.Graph | None = None
    fabrics: tuple[Fabric, ...] = ()
    interconnect_oversubscription: float = 4.0
    capacity: Capacity | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


def check_size(what: str, nodes: int, gpus: int) -> None:
    """Raise a ConfigError if there are too many nodes or GPUs to be meant."""
    if nodes > MOST_NODES or gpus > MOST_GPUS:
        raise ConfigError(
            f"{what} would have {counted(nodes, 'node')} and {counted(gpus, 'GPU')}; "
            f"gpuyard takes at most {MOST_NODES:,} nodes and {MOST_GPUS:,} GPUs"
        )
