"""The event loop.  One instant after the other: ends, releases, submissions, then one scheduling pass."""

from __future__ import annotations

from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.heap import pop, push
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.packed import Plan
from gpuyard.kernel.placement import Site, place, release
from gpuyard.kernel.queue import first_job, join, leave, unblock
from gpuyard.kernel.tables import Demands, Dependencies, Events, Jobs, Queue, Slots

__all__ = ["run"]


@kernel
def run(
    jobs: Jobs,
    demands: Demands,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    slots: Slots,
    events: Events,
    plan: Plan,
    forced: bool,
    stop: int,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count = events.count
    while count[Count.CANCEL] == 0:
        now = _next_instant(jobs, events)
        if now == NEVER or now > stop:
            break
        count[Count.LAST] = now
        _end_jobs(jobs, demands, dependencies, site, queue, slots, events, now)
        _release_jobs(jobs, queue, events, now)
        _submit_jobs(jobs, dependencies, queue, events, now)
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demands, site, queue, slots, events, plan, forced, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


@inlined
def _next_instant(jobs: Jobs, events: Events) -> int:
    """Return the earliest pending instant, or NEVER."""
    count = events.count
    now = NEVER
    if count[Count.NEXT] < jobs.submit.size:
        now = jobs.submit[count[Count.NEXT]]
    if count[Count.RUNNING] > 0:
        now = min(now, events.end_time[0])
    if count[Count.RELEASES] > 0:
        now = min(now, events.release_time[0])
    return now


@inlined
def _end_jobs(
    jobs: Jobs,
    demands: Demands,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    slots: Slots,
    events: Events,
    now: int,
) -> None:
    """END: free what ended jobs hold, and tell the jobs that depend on them."""
    count = events.count
    ended = False
    while count[Count.RUNNING] > 0 and events.end_time[0] == now:
        job = events.end_row[0]
        pop(events.end_time, events.end_row, count[Count.RUNNING])
        count[Count.RUNNING] -= 1
        count[Count.EVENTS] += 1
        release(site, demands, slots, job, jobs.demand[job], jobs.slot[job], jobs.slots[job])
        if dependencies.child.size > 0:
            _tell_children(jobs, dependencies, events, job, now)
        ended = True
    if ended:
        unblock(queue)


@kernel
def _tell_children(jobs: Jobs, dependencies: Dependencies, events: Events, job: int, now: int) -> None:
    """Let the jobs that depend on an ended one come nearer to being eligible."""
    count = events.count
    for place_ in range(dependencies.first_child[job], dependencies.first_child[job + 1]):
        child = dependencies.child[place_]
        dependencies.unmet[child] -= 1
        dependencies.bound[child] = max(dependencies.bound[child], now + dependencies.think[child])
        if dependencies.unmet[child] == 0 and child < count[Count.NEXT]:
            push(
                events.release_time, events.release_row, count[Count.RELEASES], dependencies.bound[child], child
            )
            count[Count.RELEASES] += 1


@inlined
def _release_jobs(jobs: Jobs, queue: Queue, events: Events, now: int) -> None:
    """RELEASE: jobs submitted earlier that become eligible now join the queue."""
    count = events.count
    while count[Count.RELEASES] > 0 and events.release_time[0] <= now:
        job = events.release_row[0]
        pop(events.release_time, events.release_row, count[Count.RELEASES])
        count[Count.RELEASES] -= 1
        count[Count.EVENTS] += 1
        join(queue, jobs, events, job, now)


@inlined
def _submit_jobs(jobs: Jobs, dependencies: Dependencies, queue: Queue, events: Events, now: int) -> None:
    """SUBMIT: jobs submitted now join the queue, or wait to become eligible."""
    count = events.count
    job = count[Count.NEXT]
    while job < jobs.submit.size and jobs.submit[job] == now:
        count[Count.EVENTS] += 1
        if jobs.demand[job] == NOBODY:
            job += 1
            continue
        if dependencies.bound.size == 0:
            join(queue, jobs, events, job, now)
        elif dependencies.unmet[job] == 0:
            if dependencies.bound[job] <= now:
                join(queue, jobs, events, job, now)
            else:
                push(events.release_time, events.release_row, count[Count.RELEASES], dependencies.bound[job], job)
                count[Count.RELEASES] += 1
        job += 1
    count[Count.NEXT] = job


@inlined
def _start(jobs: Jobs, queue: Queue, slots: Slots, events: Events, job: int, first: int, now: int) -> None:
    """Write a start and its end to come."""
    count = events.count
    jobs.start[job] = now
    jobs.slot[job] = first
    jobs.slots[job] = count[Count.SLOTS] - first
    slots.attempt_job[count[Count.ATTEMPTS]] = job
    count[Count.ATTEMPTS] += 1
    push(events.end_time, events.end_row, count[Count.RUNNING], now + jobs.duration[job], job)
    count[Count.RUNNING] += 1


@inlined
def _schedule(
    jobs: Jobs,
    demands: Demands,
    site: Site,
    queue: Queue,
    slots: Slots,
    events: Events,
    plan: Plan,
    forced: bool,
    now: int,
) -> None:
    """Make one pass: start first jobs until every lane is empty or blocked.

    A strict order is one lane, blocked by its first job.  With ``forced`` a job that finds no room starts
    all the same and holds nothing.
    """
    job = first_job(queue)
    while job != NOBODY:
        demand = jobs.demand[job]
        lane = queue.lane[demand]
        first = events.count[Count.SLOTS]
        if place(site, demands, slots, events, plan, job, demand) or forced:
            _start(jobs, queue, slots, events, job, first, now)
            leave(queue, events, lane)
        else:
            queue.blocked[lane] = 1
        job = first_job(queue)
