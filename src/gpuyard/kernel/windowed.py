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
from gpuyard.kernel.partitions import (
    has_head,
    holds_back,
    is_blocked,
    join_queue,
    leave_queue,
    note_ahead,
    note_end,
    note_ends,
    note_outstaying,
    open_round,
    partition_of,
)
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.promising import find_head
from gpuyard.kernel.reservation import count_start, forget
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.windows import (
    Windows,
    block,
    close_for,
    hide_promised,
    is_window_end,
    next_window_end,
    show_withheld,
)

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
    count, partitions = events.counter, windows.partitions
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
            note_end(partitions, row)
        if is_window_end(windows, now):
            note_ends(partitions)
        while True:
            row = next_eligible(jobs, dependencies, events, now)
            if row == NOBODY:
                break
            put_value(expected.waiting, int(jobs.place[nth(row)]["position"]), expected.estimate[nth(row)])
            join_queue(partitions, row)
            count[Count.WAITING] += 1
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, queue, log, events, expected, windows, passing, placer, releaser, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


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
    """Try a job on the nodes open to it and, unless it is short for all heads, beside what is reserved.

    The nodes that are closed to it stay hidden.  Where GPUs are counted, no node is reserved.
    """
    promise, asked, length = expected.promise, demand[nth(wish)], int(expected.estimate[nth(row)])
    if not short and promise[Promise.COUNTS] > 0 and expected.thousandths[nth(wish)] > promise[Promise.EXTRA]:
        return False
    close_for(site, windows, row, now, length)
    if not short:
        hide_promised(site, windows, length, now, now, True)
    if asked["plain"] == 0:
        placed = placer(site, demand, log, events, row, wish)
    else:
        placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
    if not short:
        hide_promised(site, windows, length, now, now, False)
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
    """Make one pass in order: each job is tried on the nodes open to it, and beside what is promised to the heads."""
    count, partitions = events.counter, windows.partitions
    note_outstaying(partitions, expected, now)
    expect_longer(expected, now)
    open_round(partitions)
    row = NOBODY
    position = first_within(expected.waiting, 0, _ANY)
    while position != NOBODY:
        row = int(queue.job[nth(position)])
        number = partition_of(partitions, row)
        if is_blocked(partitions, number):
            position = first_within(expected.waiting, position + 1, _ANY)
            continue
        wish = int(jobs.claim[nth(row)]["demand"])
        short = not holds_back(partitions, int(expected.estimate[nth(row)]), now)
        first = int(count[Count.SLOTS])
        placed = finds_open_place(site, demand, log, events, expected, windows, placer, row, wish, short, now)
        if placed:
            start_job(jobs, log, events, row, first, now)
            count_start(site, log, events, expected, row, wish, first, now, short)
            take_value(expected.waiting, position)
            count[Count.WAITING] -= 1
            leave_queue(partitions, number)
            note_ahead(partitions, number)
        elif passing == Passing.NOBODY:
            if block(site, windows, number):
                break
        elif passing == Passing.BESIDE and not has_head(partitions, number):
            find_head(jobs, demand, site, log, events, expected, windows, placer, releaser, row, wish, now)
        position = first_within(expected.waiting, position + 1, _ANY)
    if row != NOBODY:
        close_for(site, windows, row, now, 0)
        show_withheld(site, windows)
