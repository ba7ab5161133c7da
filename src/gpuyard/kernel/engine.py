"""The event loop of strict and of aggressive queues: every instant's changes, then one scheduling pass."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.index import has_members
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, start_job
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.placement import Placer, Releaser, place_plain, place_single
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
        _rule_out(demand, site, queue)
        gather(queue, jobs, events)
    row = first_job(queue, events)
    while row != NOBODY:
        wish = int(jobs.claim[nth(row)]["demand"])
        asked = demand[nth(wish)]
        lane = asked["lane"]
        first = count[Count.SLOTS]
        if asked["plain"] != 0:
            placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
        elif asked["single"] != 0:
            placed = place_single(site, log, events, asked["kinds"], asked["gpus"])
        else:
            placed = placer(site, demand, log, events, row, wish)
        if placed or forced > 0:
            start_job(jobs, log, events, row, first, now)
            leave(queue, events, lane)
        else:
            queue.lane[nth(lane)]["blocked"] = 1
        if several:
            advance(queue, jobs, events)
        row = first_job(queue, events)


@kernel
def _rule_out(demand: Records, site: Site, queue: Queue) -> None:
    """Block the lanes that find no room in this pass, as far as the counts of free nodes tell."""
    for number in range(queue.lane.size):
        lane = queue.lane[nth(number)]
        if lane["waiting"] > 0 and lane["blocked"] == 0:
            asked = demand[nth(number)]
            if asked["bare"] != 0 and asked["spread"] == 0 and not _may_fit(demand, site, number):
                lane["blocked"] = 1


@inlined
def _may_fit(demand: Records, site: Site, wish: int) -> bool:
    """Return whether enough nodes of one type have free what a job on whole GPUs wants of each at least."""
    asked = demand[nth(wish)]
    for kind in range(site.openings.kinds):
        if asked["kinds"] >> kind & 1:
            least, chunks = asked["gpus"], 1
            if asked["nodes"] > 0:
                least, chunks = asked["gpus"] // asked["nodes"], asked["nodes"]
            elif asked["cut"] >> kind & 1:
                least = site.largest[nth(kind)]
                chunks = asked["gpus"] // max(least, 1)
            if has_members(site.openings, kind, least, chunks):
                return True
    return False
