"""How much of the GPU time lay on several nodes, and across racks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.record import Record

__all__ = ["network_block"]


def network_block(record: Record, held: NDArray[np.float64]) -> dict[str, object]:
    """Return the block ``network``: shares of GPU time that span nodes and racks; the speed is 1 without contention.

    ``held``: GPU-hours of each attempt in the window, shape (attempts,).
    """
    offset = record.slot_offset
    several = np.diff(offset) > 1
    everything, on_several = float(held.sum()), float(held[several].sum())
    levels = record.cluster.levels
    crossing: float | None = None
    if levels.names and on_several > 0:
        level = levels.names.index("rack") if "rack" in levels.names else 0
        domain = levels.domains[level][record.slot_node]
        changes = np.concatenate([[0], np.cumsum(np.diff(domain) != 0, dtype=np.int64)])
        crosses = np.zeros(several.size, dtype=np.bool_)
        crosses[several] = changes[offset[1:][several] - 1] > changes[offset[:-1][several]]
        crossing = float(held[crosses].sum()) / on_several
    return {
        "cross_rack_share": crossing,
        "multi_node_share": on_several / everything if everything > 0 else None,
        "mean_speed": 1.0 if record.attempt_job.size else None,
    }
