"""Which demands the empty cluster can hold at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import Count
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.tables import Events, Log, Records, Site

__all__ = ["plain_fits", "try_each"]


def plain_fits(demand: Records, node_gpus: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return whether empty nodes of so many GPUs hold each plain demand: enough nodes for each size of chunk.

    Parameters
    ----------
    demand
        Shape (demands,); only what it says of plain jobs is looked at.
    node_gpus
        int32, shape (nodes,).
    """
    sizes = np.sort(node_gpus)
    for_large, for_rest = (sizes.size - np.searchsorted(sizes, demand[name]) for name in ("large", "rest"))
    large, rest = demand["many"], demand["rest"] > 0
    return (for_large >= large) & (~rest | (for_rest >= large + rest))


@kernel
def try_each(
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    fits: NDArray[np.int64],
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Place one job of each demand marked in ``fits`` on the empty site and take it back; unmark those without room."""
    for wish in range(fits.size):
        if fits[wish] > 0:
            if placer(site, demand, log, events, wish, wish):
                releaser(site, demand, log, wish, wish, 0, int(events.counter[Count.SLOTS]))
                events.counter[Count.SLOTS] = 0
            else:
                fits[wish] = 0
