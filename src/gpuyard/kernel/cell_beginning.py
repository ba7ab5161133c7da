"""What runs already when a simulation in cells begins: in cells of its owner, in lent ones, or in none.

``docs/semantics.md``, *Beginning in the middle*, is the specification.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.agenda import enter
from gpuyard.kernel.attempting import begin_attempt
from gpuyard.kernel.bindings import bind
from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import choose, take
from gpuyard.kernel.cell_moves import begin_stay, borrow
from gpuyard.kernel.cell_queue import Estate, Waits
from gpuyard.kernel.cells import IDLE
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site

__all__ = ["place_in_cells"]


@kernel
def place_in_cells(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    stays: Stays,
    estate: Estate,
    rows: NDArray[np.int64],
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Let these jobs run since the start that they have: those that find cells of their owner, then the others.

    One that finds no cells runs and holds nothing.
    """
    claims, forests = estate.claims, estate.forests
    for lent in range(2):
        for number in range(rows.size):
            row = int(rows[number])
            asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
            forest = IDLE if lent > 0 else int(asked["forest"])
            stay = stays.stay[nth(row)]
            if stay["attempt"] != NOBODY or forest == NOBODY or (lent > 0 and stay["fixed"] > 0):
                continue
            if choose(forests, forest, int(asked["level"]), int(asked["count"]), claims.chosen):
                if lent > 0:
                    borrow(jobs, estate, row)
                else:
                    _bind_all(estate, int(jobs.claim[nth(row)]["demand"]))
                begin_stay(jobs, log, events, stays, estate, row, lent > 0, int(jobs.job[nth(row)]["start"]))
    for number in range(rows.size):
        row = int(rows[number])
        if stays.stay[nth(row)]["attempt"] == NOBODY:
            _run_anyway(jobs, events, stays, estate, row)
        stays.state[Gain.ACTIVE] += 1
        stays.state[Gain.CHUNKS] += stays.chunks[nth(jobs.claim[nth(row)]["demand"])]


@inlined
def _bind_all(estate: Estate, wish: int) -> None:
    """Bind the virtual cells that are chosen, and write the physical ones in their place; nobody is in these."""
    forests, claims = estate.forests, estate.claims
    asked = claims.claim[nth(wish)]
    level = int(asked["level"])
    for place in range(asked["count"]):
        there = bind(forests, estate.cells, int(asked["forest"]), level, int(claims.chosen[nth(place)]))
        claims.chosen[nth(place)] = there
        take(forests, IDLE, level, there)


@inlined
def _run_anyway(jobs: Jobs, events: Events, stays: Stays, estate: Estate, row: int) -> None:
    """Let a job run that holds nothing; it makes room for nobody."""
    start = int(jobs.job[nth(row)]["start"])
    stays.stay[nth(row)]["fixed"] = 1
    begin_attempt(jobs, events, stays, row, int(events.counter[Count.SLOTS]), start)
    if estate.crowd.state[Waits.RESERVES] > 0:
        enter(estate.expected.ends, int(start + estate.expected.estimate[nth(row)]), row)
