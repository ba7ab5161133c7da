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
from gpuyard.kernel.instants import next_eligible, next_end, next_instant, release, skip_rejected, start_job
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.minima import first_within, put_value, take_value
from gpuyard.kernel.outstaying import expect_longer
from gpuyard.kernel.placement import Placer, Releaser, place_plain
from gpuyard.kernel.reservation import (
    Reserver,
    count_start,
    drop_reservation,
    forget,
    may_pass,
    renew_reservation,
    reserve,
    show_reserved,
)
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
    reserver: Reserver,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened."""
    count, promise = events.counter, expected.promise
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
            early = jobs.job[nth(row)]["start"] + expected.estimate[nth(row)] > now
            forget(jobs, expected, row, int(jobs.claim[nth(row)]["demand"]))
            promise[Promise.RELEASED] = max(promise[Promise.RELEASED], 1 + early)
        while True:
            row = next_eligible(jobs, dependencies, events, now)
            if row == NOBODY:
                break
            _join(jobs, demand, queue, events, expected, row)
        count[Count.PASSES] += 1
        if promise[Promise.RELEASED] > 0:
            promise[Promise.ROOM] += 1
        if count[Count.WAITING] > 0:
            _schedule(jobs, demand, site, queue, log, events, expected, reserver, placer, releaser, now)
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


@inlined
def _leave(queue: Queue, events: Events, expected: Expectations, number: int, position: int) -> None:
    """Take a job out of its lane."""
    lane = queue.lane[nth(number)]
    take_value(expected.waiting, position)
    lane["waiting"] -= 1
    events.counter[Count.WAITING] -= 1
    if lane["waiting"] > 0 and lane["head"] == position:
        lane["head"] = first_within(expected.waiting, position + 1, _ANY)


@inlined
def _schedule(
    jobs: Jobs,
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    reserver: Reserver,
    placer: Placer,
    releaser: Releaser,
    now: int,
) -> None:
    """Make one pass: start jobs in order, reserve for the first that cannot, try the rest beside it.

    While an earlier reservation stands, whoever was refused stays refused, and only new jobs are tried.  After an end
    all are tried again, the head first; where its reservation would come out the same, it is not made anew.
    """
    count, promise = events.counter, expected.promise
    stands = _stands(jobs, demand, site, queue, expected, now)
    only_fresh = stands and promise[Promise.FRESH] <= expected.fresh.size
    if not only_fresh:
        _gather(jobs, queue, events)
    turn = 0
    while turn < promise[Promise.FRESH] if only_fresh else count[Count.HEADS] > 0:
        row = int(expected.fresh[nth(turn)]) if only_fresh else _take_turn(queue, events)
        turn += 1
        wish = int(jobs.claim[nth(row)]["demand"])
        lane = queue.lane[nth(demand[nth(wish)]["lane"])]
        head = promise[Promise.HEAD]
        short = head == NOBODY or expected.estimate[nth(row)] <= promise[Promise.SHADOW] - now
        short = short or head == row
        first = count[Count.SLOTS]
        position = int(jobs.place[nth(row)]["position"])
        if _place(demand, site, queue, log, events, expected, placer, row, wish, short):
            start_job(jobs, log, events, row, first, now)
            count_start(site, log, events, expected, row, wish, first, now, short)
            _leave(queue, events, expected, demand[nth(wish)]["lane"], position)
            if head == row:
                drop_reservation(expected)
        elif not short:
            lane["narrow"] = promise[Promise.TERMS]
        else:
            lane["blocked"] = promise[Promise.ROOM]
            if promise[Promise.HEAD] == NOBODY:
                reserve(jobs, demand, site, log, events, expected, reserver, placer, releaser, row, now)
        if not only_fresh and lane["blocked"] != promise[Promise.ROOM] and lane["waiting"] > 0:
            most = _ANY
            if lane["narrow"] == promise[Promise.TERMS]:
                most = min(promise[Promise.SHADOW] - now, _ANY)
            position = first_within(expected.waiting, position + 1, most)
            if position != NOBODY and position < lane["end"]:
                _look_at(jobs, queue, events, demand[nth(wish)]["lane"], position)


@inlined
def _take_turn(queue: Queue, events: Events) -> int:
    """Take the lane whose turn it is out of the heap; return the job there."""
    row = int(queue.job[nth(queue.lane[nth(queue.heads.row[0])]["cursor"])])
    pop(queue.heads, events.counter[Count.HEADS])
    events.counter[Count.HEADS] -= 1
    return row


@inlined
def _place(
    demand: Records,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    row: int,
    wish: int,
    short: bool,
) -> bool:
    """Place a job if what is known of its lane leaves hope; one that is not ``short`` beside what is promised."""
    promise = expected.promise
    asked = demand[nth(wish)]
    lane = queue.lane[nth(asked["lane"])]
    if lane["blocked"] == promise[Promise.ROOM]:
        return False
    if not short and (lane["narrow"] == promise[Promise.TERMS] or not may_pass(site, demand, expected, wish)):
        return False
    if not short:
        show_reserved(site, expected, False)
    if asked["plain"] == 0:
        placed = placer(site, demand, log, events, row, wish)
    else:
        placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
    if not short:
        show_reserved(site, expected, True)
    return placed


@inlined
def _stands(jobs: Jobs, demand: Records, site: Site, queue: Queue, expected: Expectations, now: int) -> bool:
    """Return whether the reservation of an earlier pass stands as it was; if not, it is renewed or dropped."""
    still_first = not expect_longer(expected, now) and _is_first(jobs, queue, expected)
    if still_first and expected.promise[Promise.RELEASED] == 0:
        return True
    if still_first and _comes_out_the_same(jobs, demand, site, expected):
        renew_reservation(site, expected)
    else:
        drop_reservation(expected)
    return False


@inlined
def _is_first(jobs: Jobs, queue: Queue, expected: Expectations) -> bool:
    """Return whether there is a reservation, and no new job goes before the one that holds it."""
    promise = expected.promise
    head = promise[Promise.HEAD]
    if head == NOBODY:
        return False
    if promise[Promise.FRESH] == 0:
        return True
    if promise[Promise.FRESH] > expected.fresh.size:
        first = _first_rank(jobs, queue)
    else:
        first = int(jobs.place[nth(expected.fresh[0])]["rank"])
    return bool(first >= jobs.place[nth(head)]["rank"])


@inlined
def _comes_out_the_same(jobs: Jobs, demand: Records, site: Site, expected: Expectations) -> bool:
    """Return whether a reservation made anew would be the one there is, all jobs having ended as expected since.

    Nothing is free at any future instant but what was to be free then: no earlier instant will do for the head.  At its
    own the reserved nodes are free again.  They are still the choice if nodes of the largest size are wanted whole:
    such nodes are all alike but for their numbers, and fewer others are free than before.
    """
    promise = expected.promise
    if promise[Promise.RELEASED] > 1 or promise[Promise.COUNTS] > 0:
        return False
    asked = demand[nth(jobs.claim[nth(promise[Promise.HEAD])]["demand"])]
    return bool(asked["plain"] != 0 and asked["rest"] == 0 and asked["large"] == site.openings.n_keys - 1)


@kernel
def _first_rank(jobs: Jobs, queue: Queue) -> int:
    """Return the rank of the first waiting job; there is one."""
    first = NEVER
    for number in range(queue.lane.size):
        if queue.lane[number]["waiting"] > 0:
            first = min(first, int(jobs.place[int(queue.job[queue.lane[number]["head"]])]["rank"]))
    return first


@inlined
def _gather(jobs: Jobs, queue: Queue, events: Events) -> None:
    """Let every lane with waiting jobs be tried, from its first job on."""
    events.counter[Count.HEADS] = 0
    for number in range(queue.lane.size):
        if queue.lane[nth(number)]["waiting"] > 0:
            _look_at(jobs, queue, events, number, queue.lane[nth(number)]["head"])


@inlined
def _look_at(jobs: Jobs, queue: Queue, events: Events, number: int, position: int) -> None:
    """Let a lane be tried at a position when its turn comes."""
    queue.lane[nth(number)]["cursor"] = position
    row = int(queue.job[nth(position)])
    push(queue.heads, events.counter[Count.HEADS], int(jobs.place[nth(row)]["rank"]), number)
    events.counter[Count.HEADS] += 1
