"""The event loop of sites with windows over nodes under an order with a score: none, fit and easy.

As :mod:`gpuyard.kernel.windowed`, with every waiting job scored and tried in every pass.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.contenders import Contenders, forget_started, join_contenders, note_waits
from gpuyard.kernel.decisions import note_block
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, skip_rejected, start_job
from gpuyard.kernel.jit import inner, kernel
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
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.promising import find_head
from gpuyard.kernel.reservation import count_start, forget
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.turns import heapify, score_all, take_first
from gpuyard.kernel.windowed import finds_open_place
from gpuyard.kernel.windows import Windows, block, close_for, is_window_end, next_window_end, show_withheld

__all__ = ["run_scored_windowed"]


@kernel
def run_scored_windowed(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    contenders: Contenders,
    expected: Expectations,
    windows: Windows,
    passing: int,
    scorer: Scorer,
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
            last = int(count[Count.LAST])
            now = min(now, next_window_end(windows, last), next_recalculation(contenders.accounts, last))
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
            join_contenders(contenders, events, row, int(jobs.job[nth(row)]["eligible"]))
            join_queue(partitions, row)
        count[Count.PASSES] += 1
        size = _line_up(jobs, log, contenders, events, scorer, now)
        if size > 0:
            _schedule(
                jobs, demand, site, log, events, contenders, expected, windows, passing, placer, releaser, size, now
            )
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])


@inner
def _line_up(jobs: Jobs, log: Log, contenders: Contenders, events: Events, scorer: Scorer, now: int) -> int:
    """Score the waiting jobs and put them on the heap; return how many."""
    waiting = int(events.counter[Count.WAITING])
    if waiting == 0:
        return 0
    note_waits(contenders, waiting, now)
    if not score_all(contenders, jobs, log, events, waiting, scorer, now):
        return 0
    for place in range(waiting):
        contenders.turn[nth(place)] = place
    heapify(contenders, waiting)
    return waiting


@kernel
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    contenders: Contenders,
    expected: Expectations,
    windows: Windows,
    passing: int,
    placer: Placer,
    releaser: Releaser,
    size: int,
    now: int,
) -> None:
    """Make one pass in order: each job is tried on the nodes open to it, and beside what is promised to the heads."""
    count, partitions = events.counter, windows.partitions
    note_outstaying(partitions, expected, now)
    expect_longer(expected, now)
    open_round(partitions)
    started = 0
    while size > 0:
        place = take_first(contenders, size)
        size -= 1
        row = int(contenders.waiting[nth(place)]["row"])
        number = partition_of(partitions, row)
        if is_blocked(partitions, number):
            continue
        wish = int(jobs.claim[nth(row)]["demand"])
        short = not holds_back(partitions, int(expected.estimate[nth(row)]), now)
        first = int(count[Count.SLOTS])
        if finds_open_place(site, demand, log, events, expected, windows, placer, row, wish, short, now):
            start_job(jobs, log, events, row, first, now)
            count_start(site, log, events, expected, row, wish, first, now, short)
            leave_queue(partitions, number)
            note_ahead(partitions, number)
            started += 1
            contenders.turn[nth(count[Count.WAITING] - started)] = place
            contenders.waiting[nth(place)]["row"] = NOBODY
        elif passing == Passing.NOBODY:
            note_block(log, partitions, number, row, now)
            if block(site, windows, number):
                break
        elif passing == Passing.BESIDE and not has_head(partitions, number):
            find_head(jobs, demand, site, log, events, expected, windows, placer, releaser, row, wish, now)
    close_for(site, windows, 0, now, 0)
    show_withheld(site, windows)
    forget_started(contenders, events, started)
