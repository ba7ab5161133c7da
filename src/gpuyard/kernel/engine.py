"""The event loop.  One instant after the other: ends, releases, submissions, then one scheduling pass."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.heap import pop, push
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.placement import Placer, Releaser, place_plain, release_plain
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
    forced: bool,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count = events.counter
    while count[Count.CANCEL] == 0:
        now = _next_instant(jobs, events)
        if now == NEVER or now > stop:
            break
        count[Count.LAST] = now
        _end_jobs(jobs, demand, dependencies, site, queue, log, events, releaser, now)
        if count[Count.RELEASES] > 0:
            _release_jobs(jobs, demand, queue, events, now)
        _submit_jobs(jobs, demand, dependencies, queue, events, now)
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, queue, log, events, forced, placer, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


@inlined
def _next_instant(jobs: Jobs, events: Events) -> int:
    """Return the earliest pending instant, or NEVER."""
    count = events.counter
    now = NEVER
    if count[Count.NEXT] < jobs.job.size:
        now = jobs.job[nth(count[Count.NEXT])]["submit"]
    if count[Count.RUNNING] > 0:
        now = min(now, events.ends.time[0])
    if count[Count.RELEASES] > 0:
        now = min(now, events.releases.time[0])
    return now


@inlined
def _end_jobs(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    releaser: Releaser,
    now: int,
) -> None:
    """END: free what ended jobs hold, and tell the jobs that depend on them."""
    count = events.counter
    ended = False
    while count[Count.RUNNING] > 0 and events.ends.time[0] == now:
        row = int(events.ends.row[0])
        pop(events.ends, count[Count.RUNNING])
        count[Count.RUNNING] -= 1
        this = jobs.claim[nth(row)]
        wish = int(this["demand"])
        if demand[nth(wish)]["plain"] == 0:
            releaser(site, demand, log, row, wish, this["slot"], int(this["slots"]))
        else:
            release_plain(site, log, this["slot"], int(this["slots"]))
        if dependencies.child.size > 0:
            _tell_children(dependencies, events, row, now)
        ended = True
    if ended:
        unblock(queue)


@kernel
def _tell_children(dependencies: Dependencies, events: Events, row: int, now: int) -> None:
    """Let the jobs that depend on an ended one come nearer to being eligible."""
    hold = dependencies.hold
    first = hold[row]["first_child"]
    for place_ in range(first, first + hold[row]["children"]):
        child = int(dependencies.child[place_])
        unmet = hold[child]["unmet"] - 1
        bound = max(hold[child]["bound"], now + hold[child]["think"])
        hold[child]["unmet"] = unmet
        hold[child]["bound"] = bound
        if unmet == 0 and child < events.counter[Count.NEXT]:
            push(events.releases, events.counter[Count.RELEASES], bound, child)
            events.counter[Count.RELEASES] += 1


@kernel
def _release_jobs(jobs: Jobs, demand: Records, queue: Queue, events: Events, now: int) -> None:
    """RELEASE: jobs submitted earlier that become eligible now join the queue."""
    count = events.counter
    while count[Count.RELEASES] > 0 and events.releases.time[0] <= now:
        row = int(events.releases.row[0])
        pop(events.releases, count[Count.RELEASES])
        count[Count.RELEASES] -= 1
        count[Count.RELEASED] += 1
        join(queue, jobs, demand, events, row, now)


@inlined
def _submit_jobs(
    jobs: Jobs, demand: Records, dependencies: Dependencies, queue: Queue, events: Events, now: int
) -> None:
    """SUBMIT: jobs submitted now join the queue, or wait to become eligible."""
    count = events.counter
    row = count[Count.NEXT]
    while row < jobs.job.size and jobs.job[nth(row)]["submit"] == now:
        if jobs.claim[nth(row)]["demand"] != NOBODY:
            held = False
            if dependencies.hold.size > 0:
                held = _hold_back(dependencies, events, row, now)
            if not held:
                join(queue, jobs, demand, events, row, now)
        row += 1
    count[Count.NEXT] = row


@kernel
def _hold_back(dependencies: Dependencies, events: Events, row: int, now: int) -> bool:
    """Return whether a submitted job is not eligible yet; one whose instant is known waits for its release."""
    hold = dependencies.hold
    if hold[row]["unmet"] > 0:
        return True
    if hold[row]["bound"] <= now:
        return False
    push(events.releases, events.counter[Count.RELEASES], hold[row]["bound"], row)
    events.counter[Count.RELEASES] += 1
    return True


@inlined
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    forced: bool,
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
        this = jobs.claim[nth(row)]
        wish = int(this["demand"])
        asked = demand[nth(wish)]
        lane = asked["lane"]
        first = count[Count.SLOTS]
        if asked["plain"] == 0:
            placed = placer(site, demand, log, events, row, wish)
        else:
            placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
        if placed or forced:
            jobs.job[nth(row)]["start"] = now
            this["slot"] = first
            this["slots"] = count[Count.SLOTS] - first
            log.attempt_job[nth(count[Count.ATTEMPTS])] = row
            count[Count.ATTEMPTS] += 1
            push(events.ends, count[Count.RUNNING], now + jobs.job[nth(row)]["duration"], row)
            count[Count.RUNNING] += 1
            leave(queue, events, lane)
        else:
            queue.lane[nth(lane)]["blocked"] = 1
        if several:
            advance(queue, jobs, events)
        row = first_job(queue, events)
