"""Nodes that are not there yet when a simulation begins: held, whole, by something that ends when they come.

To every event loop it is a running job whose row comes after those of all jobs; it is no attempt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.alone import take_rest
from gpuyard.kernel.codes import Count
from gpuyard.kernel.heap import push
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.scored_placement import note_change
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site

__all__ = ["hold_latecomers"]


@kernel
def hold_latecomers(
    jobs: Jobs, demand: Records, site: Site, log: Log, events: Events, row: int, nodes: NDArray[np.int64]
) -> None:
    """Let ``row`` hold these nodes of the empty site, with all they have, until it ends."""
    count = events.counter
    claim, first = jobs.claim[row], int(count[Count.SLOTS])
    for place_ in range(nodes.size):
        number = int(count[Count.SLOTS])
        log.slots[number]["node"] = nodes[place_]
        log.slots[number]["gpus"] = 0
        count[Count.SLOTS] = number + 1
        take_rest(site, log, row, number)
    claim["slot"], claim["slots"] = first, nodes.size
    if site.scores.stamp.size > 0:
        note_change(site, demand, log, int(claim["demand"]), first, int(count[Count.SLOTS]), 1)
    push(events.ends, count[Count.RUNNING], jobs.job[row]["start"] + jobs.job[row]["duration"], row)
    count[Count.RUNNING] += 1
