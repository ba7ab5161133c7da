"""The heads of queues, and what each is promised: when, and on which nodes, it could start if all went as expected.

For sites whose nodes close at times, and where jobs are preempted or share the cluster with other tenants'.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, Count, Promise
from gpuyard.kernel.decisions import note_promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.imagined import put_back, take_away
from gpuyard.kernel.jit import inner, kernel
from gpuyard.kernel.partitions import WHOLE, Partitions, is_outdated, lead, partition_of, reserve_for
from gpuyard.kernel.placement import Placer, Releaser, place_plain, release_plain
from gpuyard.kernel.reservation import after, drop_reservation, end_at, reserve_by_counts, row_at
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site
from gpuyard.kernel.windows import Windows, close_for, hide_promised, next_opening, next_promise_end, next_window_end

__all__ = ["find_head"]


@inner
def find_head(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    windows: Windows,
    placer: Placer,
    releaser: Releaser,
    row: int,
    wish: int,
    now: int,
) -> None:
    """Let a job be the head of its queue in this round, with the reservation that it has, or with a new one.

    ``wish`` is its demand, or that with one of its GPU types alone.
    """
    number = partition_of(windows.partitions, row)
    if is_outdated(windows.partitions, number, row, wish):
        drop_reservation(expected)
        reserve_for(windows.partitions, number, row, wish)
        _reserve(jobs, demand, site, log, events, expected, windows, placer, releaser, number, now)
    lead(windows.partitions, number)


@kernel
def _reserve(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    windows: Windows,
    placer: Placer,
    releaser: Releaser,
    number: int,
    now: int,
) -> None:
    """Promise the head of a queue the first instant at which it could start, beside the heads of this round."""
    own, promise = windows.partitions.own[nth(number)], expected.promise
    head = int(own["head"])
    own["shadow"] = NEVER
    extra = -1
    if promise[Promise.COUNTS] > 0:
        _reserve_counts_open(jobs, expected, windows, head, now)
        own["shadow"] = promise[Promise.SHADOW]
        extra = int(promise[Promise.EXTRA])
    else:
        _reserve_nodes(jobs, demand, site, log, events, expected, windows, placer, releaser, number, now)
    own["until"] = own["shadow"] + expected.estimate[nth(head)] if own["shadow"] < NEVER else NEVER
    if windows.partitions.own.size == 1:
        _tell(expected, windows.partitions)
    note_promise(log, windows.partitions, number, extra, now)


@kernel
def _tell(expected: Expectations, partitions: Partitions) -> None:
    """Let those know who look no further than the one head that there is."""
    own, promise = partitions.own[WHOLE], expected.promise
    promise[Promise.HEAD], promise[Promise.SHADOW] = own["head"], own["shadow"]
    for place in range(own["reserved"]):
        node = partitions.promised[nth(place)]
        expected.reserved[nth(place)] = node
        expected.is_reserved[nth(node)] = 1
    promise[Promise.RESERVED] = own["reserved"]


@kernel
def _reserve_counts_open(jobs: Jobs, expected: Expectations, windows: Windows, head: int, now: int) -> None:
    """Promise GPUs, wherever they are, with the ends of the windows that keep the head out.

    No GPU comes back at such an end, so it matters only where enough are free and nothing is expected to end before.
    """
    promise = expected.promise
    promise[Promise.SHADOW] = NEVER
    promise[Promise.EXTRA] = 0
    extra = promise[Promise.FREE] - expected.thousandths[int(jobs.claim[head]["demand"])]
    opening = next_opening(windows, head, now)
    if extra >= 0 and opening < end_at(expected, 0, 0):
        promise[Promise.SHADOW] = opening
        promise[Promise.EXTRA] = extra
    else:
        reserve_by_counts(jobs, expected, head)


@inner
def _next_instant(expected: Expectations, windows: Windows, chunk: int, at: int, now: int) -> int:
    """Return the next instant at which something may make room: entry ``at`` of a chunk ends, or a window does."""
    return min(end_at(expected, chunk, at), next_window_end(windows, now), next_promise_end(windows, now))


@kernel
def _reserve_nodes(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    windows: Windows,
    placer: Placer,
    releaser: Releaser,
    number: int,
    now: int,
) -> None:
    """Take running jobs away in the order of their expected ends until the head can be placed; then put all back.

    Also the ends of windows are instants that are gone through, and of what was promised to the heads before.
    """
    count, own = events.counter, windows.partitions.own[nth(number)]
    head, wish = int(own["head"]), int(own["wish"])
    asked, length = demand[wish], int(expected.estimate[head])
    first = count[Count.SLOTS]
    close_for(site, windows, head, now, 0)
    away, gpus = 0, 0
    chunk, at = 0, 0
    instant = _next_instant(expected, windows, chunk, at, now)
    while instant != NEVER and own["shadow"] == NEVER:
        while end_at(expected, chunk, at) <= instant:
            row = row_at(expected, chunk, at)
            gpus = take_away(jobs, demand, site, log, expected.imagined_gpu, releaser, row, gpus)
            expected.imagined[away] = row
            away += 1
            chunk, at = after(expected, chunk, at)
        close_for(site, windows, head, instant, length)
        hide_promised(site, windows, length, instant, now, True)
        if asked["plain"] == 0:
            placed = placer(site, demand, log, events, head, wish)
        else:
            placed = place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])
        if placed:
            own["shadow"] = instant
            _note_nodes(log, events, windows.partitions, number, int(first))
            if asked["plain"] == 0:
                releaser(site, demand, log, head, wish, first, int(count[Count.SLOTS] - first))
            else:
                release_plain(site, log, first, int(count[Count.SLOTS] - first))
            count[Count.SLOTS] = first
        hide_promised(site, windows, length, instant, now, False)
        close_for(site, windows, head, instant, 0)
        instant = _next_instant(expected, windows, chunk, at, instant)
    while away > 0:
        away -= 1
        gpus = put_back(jobs, demand, site, log, expected.imagined_gpu, int(expected.imagined[away]), gpus)


@kernel
def _note_nodes(log: Log, events: Events, partitions: Partitions, number: int, first: int) -> None:
    """Promise the nodes of the slots from ``first`` on to the head of a queue."""
    own = partitions.own[nth(number)]
    base = number * partitions.own[WHOLE]["last"]
    for place in range(first, events.counter[Count.SLOTS]):
        partitions.promised[nth(base + own["reserved"])] = log.slots[nth(place)]["node"]
        own["reserved"] += 1
