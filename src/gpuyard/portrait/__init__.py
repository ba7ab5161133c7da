"""What a workload is like, in numbers, and how far two workloads are apart.

>>> from gpuyard.portrait import distances, portray
>>> likeness = distances(portray(first), portray(second))
"""

from __future__ import annotations

from gpuyard.portrait.distances import Distance, distances
from gpuyard.portrait.figures import Portrait, portray

__all__ = ["Distance", "Portrait", "distances", "portray"]
