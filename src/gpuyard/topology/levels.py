"""The compiled form of a topology graph: for each level of locality, the domain of each node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError

__all__ = ["Levels"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """Levels of locality above the node, lowest first, without the site itself.

    Nodes are numbered so that the nodes of a domain are neighbours: ``domains[level]`` is
    non-decreasing, starts at 0 and grows in steps of one.  Every domain lies inside one domain of
    the next level.  A site without topology has no levels at all.

    Parameters
    ----------
    names
        Such as ``("rack", "leaf", "pod")``, lowest first.
    domains
        One int32 array of shape (nodes,) for each name.
    """

    names: tuple[str, ...]
    domains: tuple[NDArray[np.int32], ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.domains):
            raise ConfigError(f"{len(self.names)} level names for {len(self.domains)} levels")
        lower: NDArray[np.int32] | None = None
        for name, domain in zip(self.names, self.domains, strict=True):
            steps = np.diff(domain)
            if domain.size and (domain[0] != 0 or steps.min(initial=0) < 0 or steps.max(initial=0) > 1):
                raise ConfigError(f"level '{name}' is not numbered 0, 1, 2, ... along the nodes")
            if lower is not None and np.any((np.diff(lower) == 0) & (steps != 0)):
                raise ConfigError(f"a domain of the level below '{name}' lies in two of its domains")
            lower = domain

    @staticmethod
    def flat() -> Levels:
        """Return no levels: every pair of nodes is equally near."""
        return Levels(names=(), domains=())
