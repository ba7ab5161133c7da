"""The event loop of a user's own policy: in every pass it is asked whom to start, and what it says is checked."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.callback import decide
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.contenders import Contenders, close_gaps, join_contenders, note_waits
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, skip_rejected, start_job
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.named import Fault, place_on
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site

__all__ = ["Blame", "Verdict", "build_verdict", "run_called"]


class Blame(IntEnum):
    """Places in what is said of a decision that cannot be."""

    FAULT = 0
    ROW = 1
    NODE = 2
    NOW = 3
    SIZE = 4


class Verdict(NamedTuple):
    """Whom to start, in order, and the nodes that were named for each."""

    row: NDArray[np.int64]
    first: NDArray[np.int64]  # where the nodes of each begin; one more than there are rows
    node: NDArray[np.int64]
    tried: NDArray[np.int64]  # by row: number of the last pass that tried it
    seen: NDArray[np.int64]  # by node: number of the last job that was given it by name
    blame: NDArray[np.int64]  # by Blame


def build_verdict(jobs: int, chunks: int, nodes: int) -> Verdict:
    """Return room for the decisions of a pass: on so many jobs, which hold so many chunks in all."""
    return Verdict(
        row=np.empty(jobs, np.int64),
        first=np.zeros(jobs + 1, np.int64),
        node=np.empty(chunks, np.int64),
        tried=np.zeros(jobs, np.int64),
        seen=np.zeros(nodes + 1, np.int64),
        blame=np.zeros(Blame.SIZE, np.int64),
    )


@kernel
def run_called(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    contenders: Contenders,
    verdict: Verdict,
    address: int,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count = events.counter
    while count[Count.CANCEL] == 0:
        skip_rejected(jobs, events, stop)
        now = next_instant(jobs, events)
        if now == NEVER or now > stop:
            break
        count[Count.LAST] = now
        while True:
            row = next_end(events, now)
            if row == NOBODY:
                break
            release(jobs, demand, dependencies, site, log, events, releaser, row, now)
        while True:
            row = next_eligible(jobs, dependencies, events, now)
            if row == NOBODY:
                break
            join_contenders(contenders, events, row, int(jobs.job[nth(row)]["eligible"]))
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, log, events, contenders, verdict, address, placer, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


@inlined
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    contenders: Contenders,
    verdict: Verdict,
    address: int,
    placer: Placer,
    now: int,
) -> None:
    """Make one pass: ask, then start whom the policy names; who finds no room stays."""
    count = events.counter
    note_waits(contenders, count[Count.WAITING], now)
    decided = decide(address, now)
    if decided < 0:
        count[Count.CANCEL] = 1
        return
    started = 0
    for number in range(decided):
        row = verdict.row[nth(number)]
        fault = Fault.NONE.value
        if row < 0 or row >= jobs.job.size or jobs.job[nth(row)]["eligible"] == NEVER:
            fault = Fault.NOT_WAITING.value
        elif verdict.tried[nth(row)] == count[Count.PASSES]:
            fault = Fault.TWICE.value
        elif jobs.job[nth(row)]["start"] != NEVER:
            fault = Fault.NOT_WAITING.value
        node, placed, first = NOBODY, False, count[Count.SLOTS]
        if fault == Fault.NONE:
            verdict.tried[nth(row)] = count[Count.PASSES]
            wish = int(jobs.claim[nth(row)]["demand"])
            asked = demand[nth(wish)]
            begin, end = verdict.first[nth(number)], verdict.first[nth(number + 1)]
            if end > begin:
                fault, node = place_on(site, demand, log, events, verdict.node[begin:end], verdict.seen, row, wish)
                placed = fault == Fault.NONE
            elif asked["plain"] == 0:
                placed = placer(site, demand, log, events, row, wish)
            else:
                placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
        if fault != Fault.NONE:
            verdict.blame[Blame.FAULT] = fault
            verdict.blame[Blame.ROW] = row
            verdict.blame[Blame.NODE] = node
            verdict.blame[Blame.NOW] = now
            count[Count.CANCEL] = 1
            break
        if placed:
            start_job(jobs, log, events, row, first, now)
            started += 1
    if started > 0:
        close_gaps(contenders, jobs, events)
