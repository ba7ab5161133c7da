"""How much each domain of each level can send and receive: the network's capacity beside its levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.topology.levels import Levels

__all__ = ["Capacity"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """Link capacities in Gbit/s, one direction, in the order of the levels they belong to.

    Parameters
    ----------
    node_gbps
        float64, shape (nodes,): from each node into the network (NVLink between nodes not counted).
    uplink_gbps
        One float64 array of shape (domains,) for each level: from a domain to the rest of the site.
    """

    node_gbps: NDArray[np.float64]
    uplink_gbps: tuple[NDArray[np.float64], ...]

    def oversubscription(self, levels: Levels) -> tuple[NDArray[np.float64], ...]:
        """Return, for each level and domain, its nodes' capacity over its uplinks'; 1 is non-blocking."""
        return tuple(
            np.bincount(domain, weights=self.node_gbps, minlength=uplink.size) / uplink
            for domain, uplink in zip(levels.domains, self.uplink_gbps, strict=True)
        )
