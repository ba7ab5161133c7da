"""Nodes that are not there yet when a simulation begins: held, whole, by something that ends when they come.

To every event loop it is a running job whose row comes after those of all jobs; it is no attempt.  A loop that
preempts has it among the running attempts' ends, as the only row there without an attempt: nobody can take it away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.alone import take_rest
from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import ABSENT, NOBODY, Count
from gpuyard.kernel.heap import push
from gpuyard.kernel.instants import vacate
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.placement import Releaser
from gpuyard.kernel.prey import keep_out
from gpuyard.kernel.scored_placement import note_change
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site
from gpuyard.kernel.timetable import enter, strike

__all__ = ["expect_latecomers", "hold_latecomers", "holds_absent", "is_latecomer", "let_come"]


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


@kernel
def expect_latecomers(jobs: Jobs, site: Site, log: Log, stays: Stays, rows: NDArray[np.int64]) -> None:
    """Tell a loop that preempts when these rows give their nodes back; nobody has them before."""
    for number in range(rows.size):
        row = int(rows[number])
        enter(stays.ends, int(jobs.job[row]["start"] + jobs.job[row]["duration"]), row)
        keep_out(jobs, site, log, stays, row)


@inlined
def is_latecomer(stays: Stays, row: int) -> bool:
    """Return whether a row that is among the ends of a loop that preempts is no job."""
    return bool(stays.stay[nth(row)]["attempt"] == NOBODY)


@inlined
def holds_absent(demand: Records, wish: int) -> bool:
    """Return whether what asks for this demand is a latecomer."""
    return bool(demand[nth(wish)]["alone"] == ABSENT)


@kernel
def let_come(
    jobs: Jobs, demand: Records, site: Site, log: Log, events: Events, stays: Stays, releaser: Releaser, row: int
) -> None:
    """Give back, in a loop that preempts, the nodes that come now."""
    strike(stays.ends, row)
    events.counter[Count.RUNNING] -= 1
    vacate(jobs, demand, site, log, releaser, row)
