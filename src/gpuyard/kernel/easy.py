"""The event loop of EASY backfilling: the first job that cannot start holds a reservation, and others pass beside it.

Jobs of equal demand wait in one lane.  Of a lane that found no room at all (*blocked*), or none beside the reservation
(*narrow*), no other job can find it either until something is released, or until there is another reservation; of a
narrow lane only the jobs that are short enough are tried, and a tree over the estimates yields the first of them.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.heap import pop, push
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, start_job
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.minima import first_within, put_value, take_value
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.reservation import count_start, drop_reservation, forget, place, place_beside, reserve
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site

__all__ = ["run_easy"]

_ANY = NEVER - 1
"""An estimate that every waiting job is within."""


@kernel
def run_easy(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count, promise = events.counter, expected.promise
    while count[Count.CANCEL] == 0:
        now = next_instant(jobs, events)
        if now == NEVER or now > stop:
            break
        count[Count.LAST] = now
        while True:
            row = next_end(events, now)
            if row == NOBODY:
                break
            release(jobs, demand, dependencies, site, log, events, releaser, row, now)
            forget(expected, row, int(jobs.claim[nth(row)]["demand"]))
            promise[Promise.RELEASED] = 1
        while True:
            row = next_eligible(jobs, dependencies, events, now)
            if row == NOBODY:
                break
            _join(jobs, demand, queue, events, expected, row)
        count[Count.PASSES] += 1
        if promise[Promise.RELEASED] > 0:
            promise[Promise.ROOM] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, queue, log, events, expected, placer, releaser, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
        promise[Promise.RELEASED] = 0
        promise[Promise.FRESH] = 0


@inlined
def _join(jobs: Jobs, demand: Records, queue: Queue, events: Events, expected: Expectations, row: int) -> None:
    """Let a job that became eligible wait, and remember that it is new."""
    position = int(jobs.place[nth(row)]["position"])
    put_value(expected.waiting, position, expected.estimate[nth(row)])
    lane = queue.lane[nth(demand[nth(jobs.claim[nth(row)]["demand"])]["lane"])]
    if lane["waiting"] == 0 or position < lane["head"]:
        lane["head"] = position
    lane["waiting"] += 1
    events.counter[Count.WAITING] += 1
    fresh = expected.promise[Promise.FRESH]
    if fresh < expected.fresh.size:
        at = fresh
        rank = jobs.place[nth(row)]["rank"]
        while at > 0 and jobs.place[nth(expected.fresh[nth(at - 1)])]["rank"] > rank:
            expected.fresh[nth(at)] = expected.fresh[nth(at - 1)]
            at -= 1
        expected.fresh[nth(at)] = row
    expected.promise[Promise.FRESH] = fresh + 1


@kernel
def _leave(queue: Queue, events: Events, expected: Expectations, number: int, position: int) -> None:
    """Take a job out of its lane."""
    lane = queue.lane[nth(number)]
    take_value(expected.waiting, position)
    lane["waiting"] -= 1
    events.counter[Count.WAITING] -= 1
    if lane["waiting"] > 0 and lane["head"] == position:
        lane["head"] = first_within(expected.waiting, position + 1, _ANY)


@kernel
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    releaser: Releaser,
    now: int,
) -> None:
    """Make one pass.  While the reservation stands, whoever was refused stays refused: only new jobs are tried."""
    promise = expected.promise
    head = promise[Promise.HEAD]
    stands = head != NOBODY and promise[Promise.RELEASED] == 0
    if stands and promise[Promise.FRESH] > 0:
        first = (
            _first_rank(jobs, queue)
            if promise[Promise.FRESH] > expected.fresh.size
            else int(jobs.place[nth(expected.fresh[0])]["rank"])
        )
        stands = first >= jobs.place[nth(head)]["rank"]
    if not stands:
        drop_reservation(expected)
        head = _start_in_order(jobs, demand, site, queue, log, events, expected, placer, now)
        if head != NOBODY:
            reserve(jobs, demand, site, log, events, expected, placer, releaser, head, now)
            if events.counter[Count.HEADS] > 0:
                _backfill(jobs, demand, site, queue, log, events, expected, placer, now)
    elif promise[Promise.FRESH] > expected.fresh.size:
        _gather(jobs, queue, events)
        _backfill(jobs, demand, site, queue, log, events, expected, placer, now)
    else:
        for at in range(promise[Promise.FRESH]):
            row = int(expected.fresh[nth(at)])
            _try(jobs, demand, site, queue, log, events, expected, placer, row, now)


@kernel
def _first_rank(jobs: Jobs, queue: Queue) -> int:
    """Return the rank of the first waiting job; there is one."""
    first = NEVER
    for number in range(queue.lane.size):
        if queue.lane[number]["waiting"] > 0:
            first = min(first, int(jobs.place[int(queue.job[queue.lane[number]["head"]])]["rank"]))
    return first


@kernel
def _gather(jobs: Jobs, queue: Queue, events: Events) -> None:
    """Put every lane with waiting jobs into the heap of heads, at its first job."""
    events.counter[Count.HEADS] = 0
    for number in range(queue.lane.size):
        if queue.lane[number]["waiting"] > 0:
            _look_at(jobs, queue, events, number, queue.lane[number]["head"])


@inlined
def _look_at(jobs: Jobs, queue: Queue, events: Events, number: int, position: int) -> None:
    """Let a lane be tried at a position when its turn comes."""
    queue.lane[nth(number)]["cursor"] = position
    row = int(queue.job[nth(position)])
    push(queue.heads, events.counter[Count.HEADS], int(jobs.place[nth(row)]["rank"]), number)
    events.counter[Count.HEADS] += 1


@kernel
def _start_in_order(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    now: int,
) -> int:
    """Start jobs in order up to the first that cannot be placed, and return it; its lane is looked at no more."""
    _gather(jobs, queue, events)
    while events.counter[Count.HEADS] > 0:
        number = int(queue.heads.row[0])
        lane = queue.lane[nth(number)]
        row = int(queue.job[nth(lane["head"])])
        pop(queue.heads, events.counter[Count.HEADS])
        events.counter[Count.HEADS] -= 1
        if lane["blocked"] != expected.promise[Promise.ROOM]:
            first = events.counter[Count.SLOTS]
            wish = int(jobs.claim[nth(row)]["demand"])
            if place(site, demand, log, events, placer, row, wish):
                start_job(jobs, log, events, row, first, now)
                count_start(site, log, events, expected, row, wish, first, now)
                _leave(queue, events, expected, number, lane["head"])
                if lane["waiting"] > 0:
                    _look_at(jobs, queue, events, number, lane["head"])
                continue
            lane["blocked"] = expected.promise[Promise.ROOM]
        return row
    return NOBODY


@kernel
def _backfill(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    now: int,
) -> None:
    """Try, in order, the jobs of the lanes in the heap that may start beside the reservation."""
    promise = expected.promise
    while events.counter[Count.HEADS] > 0:
        number = int(queue.heads.row[0])
        lane = queue.lane[nth(number)]
        pop(queue.heads, events.counter[Count.HEADS])
        events.counter[Count.HEADS] -= 1
        position = lane["cursor"]
        _try(jobs, demand, site, queue, log, events, expected, placer, int(queue.job[nth(position)]), now)
        if lane["blocked"] == promise[Promise.ROOM]:
            continue
        most = _ANY
        if lane["narrow"] == promise[Promise.TERMS]:
            most = min(promise[Promise.SHADOW] - now, _ANY)
        position = first_within(expected.waiting, position + 1, most)
        if position != NOBODY and position < lane["end"]:
            _look_at(jobs, queue, events, number, position)


@kernel
def _try(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    row: int,
    now: int,
) -> None:
    """Start a job that may pass the head if there is room for it; else note what that says of its lane."""
    promise = expected.promise
    wish = int(jobs.claim[nth(row)]["demand"])
    number = demand[nth(wish)]["lane"]
    lane = queue.lane[nth(number)]
    if lane["blocked"] == promise[Promise.ROOM]:
        return
    first = events.counter[Count.SLOTS]
    placed = False
    if expected.estimate[nth(row)] <= promise[Promise.SHADOW] - now:
        placed = place(site, demand, log, events, placer, row, wish)
        if not placed:
            lane["blocked"] = promise[Promise.ROOM]
    elif lane["narrow"] != promise[Promise.TERMS]:
        placed = place_beside(site, demand, log, events, expected, placer, row, wish)
        if not placed:
            lane["narrow"] = promise[Promise.TERMS]
    if placed:
        start_job(jobs, log, events, row, first, now)
        count_start(site, log, events, expected, row, wish, first, now)
        _leave(queue, events, expected, number, int(jobs.place[nth(row)]["position"]))
