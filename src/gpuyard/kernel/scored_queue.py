"""The event loop of queues whose order is a score: none, fit and easy, every waiting job scored in every pass.

The order is worked out only as far as a pass gets: a heap of the waiting jobs, of which most passes take a few.  What
is known of a demand (``blocked``, ``narrow``, as in :mod:`gpuyard.kernel.easy`) keeps its jobs off the heap.
"""

from __future__ import annotations

from enum import IntEnum

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.contenders import Contenders, forget_started, join_contenders, note_waits
from gpuyard.kernel.decisions import note_head
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, skip_rejected, start_job
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.outstaying import expect_longer
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.reservation import Reserver, count_start, forget, may_pass, reserve, show_reserved
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.turns import heapify, score_all, take_first

__all__ = ["Passing", "run_scored"]

_VAIN = 16
"""Once a pass has looked in vain at one in so many of the jobs on the heap, the hopeless are taken off it."""


class Passing(IntEnum):
    """Who may pass a job that finds no room."""

    NOBODY = 0
    ALL = 1
    BESIDE = 2
    """those that do not take what is promised to the first"""


@kernel
def run_scored(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    contenders: Contenders,
    expected: Expectations,
    reserver: Reserver,
    passing: int,
    scorer: Scorer,
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
            now = min(now, next_recalculation(contenders.accounts, int(count[Count.LAST])))
        if now == NEVER or now > stop:
            break
        count[Count.LAST] = now
        while True:
            row = next_end(events, now)
            if row == NOBODY:
                break
            release(jobs, demand, dependencies, site, log, events, releaser, row, now)
            if passing == Passing.BESIDE:
                forget(jobs, expected, row, int(jobs.claim[nth(row)]["demand"]))
            promise[Promise.RELEASED] = 1
        while True:
            row = next_eligible(jobs, dependencies, events, now)
            if row == NOBODY:
                break
            join_contenders(contenders, events, row, int(jobs.job[nth(row)]["eligible"]))
        count[Count.PASSES] += 1
        if promise[Promise.RELEASED] > 0:
            promise[Promise.ROOM] += 1
        if count[Count.WAITING] > 0:
            _schedule(
                jobs, demand, site, log, events, contenders, expected, reserver, passing, scorer, placer, releaser, now
            )
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
        promise[Promise.RELEASED] = 0


@inlined
def _schedule(  # noqa: PLR0912, PLR0915  # one body: a second call of what places would be inlined a second time
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    contenders: Contenders,
    expected: Expectations,
    reserver: Reserver,
    passing: int,
    scorer: Scorer,
    placer: Placer,
    releaser: Releaser,
    now: int,
) -> None:
    """Make one pass: score all, start jobs in order, let others pass as ``passing`` says.

    The head is the first job that finds no room; while it is sought (``headless``), nobody is held back for it.
    """
    count, promise = events.counter, expected.promise
    outstayed = expect_longer(expected, now)
    size = _line_up(jobs, log, contenders, expected, events, passing, scorer, now)
    headless = True
    started, vain = 0, 0
    while size > 0:
        place = take_first(contenders, size)
        size -= 1
        row = int(contenders.waiting[nth(place)]["row"])
        wish = int(jobs.claim[nth(row)]["demand"])
        asked = demand[nth(wish)]
        chance = contenders.chance[nth(wish)]
        short = headless or expected.estimate[nth(row)] <= promise[Promise.SHADOW] - now
        hopeful = chance["blocked"] != promise[Promise.ROOM]
        if hopeful and not short:
            hopeful = chance["narrow"] != promise[Promise.TERMS] and may_pass(site, demand, expected, wish)
        placed = False
        first = count[Count.SLOTS]
        if hopeful:
            if not short:
                show_reserved(site, expected, False)
            if asked["plain"] == 0:
                placed = placer(site, demand, log, events, row, wish)
            else:
                placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
            if not short:
                show_reserved(site, expected, True)
        if placed:
            start_job(jobs, log, events, row, first, now)
            if passing == Passing.BESIDE:
                count_start(site, log, events, expected, row, wish, first, now, short)
            started += 1
            contenders.turn[nth(count[Count.WAITING] - started)] = place
            contenders.waiting[nth(place)]["row"] = NOBODY
            continue
        vain += 1
        if not short:
            chance["narrow"] = promise[Promise.TERMS]
        else:
            chance["blocked"] = promise[Promise.ROOM]
            if passing == Passing.NOBODY:
                note_head(log, row, now)
                break
            if passing == Passing.BESIDE and headless:
                headless = False
                if promise[Promise.HEAD] != row or promise[Promise.RELEASED] > 0 or started > 0 or outstayed:
                    reserve(jobs, demand, site, log, events, expected, reserver, placer, releaser, row, now)
                vain = size
        if vain * _VAIN > size:
            size = _sift(jobs, contenders, expected, size, headless, now)
            heapify(contenders, size)
            vain = 0
    if headless and passing == Passing.BESIDE:
        promise[Promise.HEAD] = NOBODY
    forget_started(contenders, events, started)


@inner
def _line_up(
    jobs: Jobs,
    log: Log,
    contenders: Contenders,
    expected: Expectations,
    events: Events,
    passing: int,
    scorer: Scorer,
    now: int,
) -> int:
    """Score the waiting jobs and put those on the heap that may be tried; return how many."""
    waiting = int(events.counter[Count.WAITING])
    for place in range(waiting):
        contenders.turn[nth(place)] = place
    size = waiting
    if passing == Passing.ALL:
        size = _sift(jobs, contenders, expected, waiting, True, now)
        if size == 0:
            return 0
    note_waits(contenders, waiting, now)
    if not score_all(contenders, jobs, log, events, waiting, scorer, now):
        return 0
    heapify(contenders, size)
    return size


@inner
def _sift(jobs: Jobs, contenders: Contenders, expected: Expectations, size: int, headless: bool, now: int) -> int:
    """Leave on the heap the jobs that may find room, in any order; return how many they are."""
    promise = expected.promise
    kept = 0
    for number in range(size):
        place = int(contenders.turn[nth(number)])
        row = int(contenders.waiting[nth(place)]["row"])
        chance = contenders.chance[nth(jobs.claim[nth(row)]["demand"])]
        hopeful = chance["blocked"] != promise[Promise.ROOM]
        if hopeful and not headless and chance["narrow"] == promise[Promise.TERMS]:
            hopeful = expected.estimate[nth(row)] <= promise[Promise.SHADOW] - now
        if hopeful:
            contenders.turn[nth(kept)] = place
            kept += 1
    return kept
