"""The event loop of strict and of aggressive queues: every instant's changes, then one scheduling pass."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, start_job
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.queue import advance, first_job, gather, join, leave, unblock
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site

__all__ = ["run"]


@kernel
def run(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    forced: int,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count = events.counter
    while count[Count.CANCEL] == 0:
        now = next_instant(jobs, events)
        if now == NEVER or now > stop:
            break
        count[Count.LAST] = now
        running = count[Count.RUNNING]
        while True:
            row = next_end(events, now)
            if row == NOBODY:
                break
            release(jobs, demand, dependencies, site, log, events, releaser, row, now)
        if count[Count.RUNNING] < running:
            unblock(queue)
        while True:
            row = next_eligible(jobs, dependencies, events, now)
            if row == NOBODY:
                break
            join(queue, jobs, demand, events, row)
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, queue, log, events, forced, placer, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


@inlined
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    forced: int,
    placer: Placer,
    now: int,
) -> None:
    """Make one pass: start first jobs until every lane is empty or blocked.

    A strict order is one lane, blocked by its first job.  With ``forced`` a job that finds no room starts
    all the same and holds nothing.
    """
    count = events.counter
    several = queue.lane.size > 1
    if several:
        gather(queue, jobs, events)
    row = first_job(queue, events)
    while row != NOBODY:
        wish = int(jobs.claim[nth(row)]["demand"])
        asked = demand[nth(wish)]
        lane = asked["lane"]
        first = count[Count.SLOTS]
        if asked["plain"] == 0:
            placed = placer(site, demand, log, events, row, wish)
        else:
            placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
        if placed or forced > 0:
            start_job(jobs, log, events, row, first, now)
            leave(queue, events, lane)
        else:
            queue.lane[nth(lane)]["blocked"] = 1
        if several:
            advance(queue, jobs, events)
        row = first_job(queue, events)
