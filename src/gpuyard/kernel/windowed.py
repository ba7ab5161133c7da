"""The event loop of sites with windows over nodes: none, fit and easy, every waiting job tried in every pass.

What one job learns of its chances says nothing of the next, which may be shorter, or invited where the other is not.
So nothing is remembered between two tries.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, skip_rejected, start_job
from gpuyard.kernel.jit import inner_inlined, kernel
from gpuyard.kernel.minima import first_within, put_value, take_value
from gpuyard.kernel.outstaying import expect_longer
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.reservation import count_start, forget, reserve_open
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.windows import Windows, close_for, hide_reserved, is_window_end, next_window_end

__all__ = ["finds_open_place", "run_windowed"]

_ANY = NEVER - 1


@kernel
def run_windowed(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    windows: Windows,
    passing: int,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count, promise = events.counter, expected.promise
    while count[Count.CANCEL] == 0:
        skip_rejected(jobs, events, stop)
        now = next_instant(jobs, events)
        if count[Count.WAITING] > 0:
            now = min(now, next_window_end(windows, int(count[Count.LAST])))
        if now == NEVER or now > stop:
            break
        count[Count.LAST] = now
        while True:
            row = next_end(events, now)
            if row == NOBODY:
                break
            release(jobs, demand, dependencies, site, log, events, releaser, row, now)
            forget(jobs, expected, row, int(jobs.claim[nth(row)]["demand"]))
            promise[Promise.RELEASED] = 1
        if is_window_end(windows, now):
            promise[Promise.RELEASED] = 1
        while True:
            row = next_eligible(jobs, dependencies, events, now)
            if row == NOBODY:
                break
            put_value(expected.waiting, int(jobs.place[nth(row)]["position"]), expected.estimate[nth(row)])
            count[Count.WAITING] += 1
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, queue, log, events, expected, windows, passing, placer, releaser, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
        promise[Promise.RELEASED] = 0


@inner_inlined
def finds_open_place(
    site: Site,
    demand: Records,
    log: Log,
    events: Events,
    expected: Expectations,
    windows: Windows,
    placer: Placer,
    row: int,
    wish: int,
    short: bool,
    now: int,
) -> bool:
    """Try a job on the nodes open to it and, unless it is short, beside what is reserved.

    The nodes that are closed to it stay hidden.  Where GPUs are counted, no node is reserved.
    """
    promise, asked = expected.promise, demand[nth(wish)]
    if not short and promise[Promise.COUNTS] > 0 and expected.thousandths[nth(wish)] > promise[Promise.EXTRA]:
        return False
    close_for(site, windows, row, now, int(expected.estimate[nth(row)]))
    if not short:
        hide_reserved(site, windows, expected, True)
    if asked["plain"] == 0:
        placed = placer(site, demand, log, events, row, wish)
    else:
        placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
    if not short:
        hide_reserved(site, windows, expected, False)
    return placed


@kernel
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    windows: Windows,
    passing: int,
    placer: Placer,
    releaser: Releaser,
    now: int,
) -> None:
    """Make one pass in order: each job is tried on the nodes open to it, and beside what is promised to the first."""
    count, promise = events.counter, expected.promise
    outstayed = expect_longer(expected, now)
    headless = True
    started = 0
    row = NOBODY
    position = first_within(expected.waiting, 0, _ANY)
    while position != NOBODY:
        row = int(queue.job[nth(position)])
        wish = int(jobs.claim[nth(row)]["demand"])
        duration = int(expected.estimate[nth(row)])
        short = headless or duration <= promise[Promise.SHADOW] - now
        first = int(count[Count.SLOTS])
        placed = finds_open_place(site, demand, log, events, expected, windows, placer, row, wish, short, now)
        if placed:
            start_job(jobs, log, events, row, first, now)
            count_start(site, log, events, expected, row, wish, first, now, short)
            take_value(expected.waiting, position)
            count[Count.WAITING] -= 1
            started += 1
        elif passing == Passing.NOBODY:
            break
        elif passing == Passing.BESIDE and headless:
            headless = False
            if promise[Promise.HEAD] != row or promise[Promise.RELEASED] > 0 or started > 0 or outstayed:
                reserve_open(jobs, demand, site, log, events, expected, windows, placer, releaser, row, wish, now)
        position = first_within(expected.waiting, position + 1, _ANY)
    if row != NOBODY:
        close_for(site, windows, row, now, 0)
