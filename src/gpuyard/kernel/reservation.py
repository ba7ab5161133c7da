"""The reservation of the first job in the queue: when and where it could start if all went as expected."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.fraction import take_share
from gpuyard.kernel.index import insert, remove
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.nodes import change_free, offer_node, withdraw_node
from gpuyard.kernel.placement import Placer, Releaser, place_plain, release_plain
from gpuyard.kernel.scored_placement import note_change
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site
from gpuyard.kernel.timetable import enter, look_begin, look_next, strike

__all__ = ["count_start", "drop_reservation", "forget", "place", "place_beside", "reserve"]


@inner
def place(site: Site, demand: Records, log: Log, events: Events, placer: Placer, row: int, wish: int) -> bool:
    """Place a job anywhere, or nothing."""
    asked = demand[nth(wish)]
    if asked["plain"] == 0:
        return placer(site, demand, log, events, row, wish)
    return place_plain(site, log, events, asked["large"], asked["many"], asked["rest"])


@inner
def count_start(
    site: Site, log: Log, events: Events, expected: Expectations, row: int, wish: int, first: int, now: int
) -> None:
    """Note that a job starts in the slots from ``first`` on: its expected end, and what it takes of the promised."""
    promise = expected.promise
    enter(expected.ends, now + expected.estimate[nth(row)], row)
    promise[Promise.FREE] -= expected.thousandths[nth(wish)]
    if promise[Promise.RESERVED] > 0:
        for number in range(first, events.counter[Count.SLOTS]):
            node = log.slots[nth(number)]["node"]
            if expected.is_reserved[nth(node)] > 0:
                free = int(site.node[nth(node)]["free"])
                expected.reserved_free[nth(free + int(log.slots[nth(number)]["gpus"]))] -= 1
                expected.reserved_free[nth(free)] += 1


@inlined
def forget(expected: Expectations, row: int, wish: int) -> None:
    """Note that a job ended."""
    strike(expected.ends, row)
    expected.promise[Promise.FREE] += expected.thousandths[nth(wish)]


@kernel
def drop_reservation(expected: Expectations) -> None:
    """Promise nothing."""
    for place_ in range(expected.promise[Promise.RESERVED]):
        expected.is_reserved[nth(expected.reserved[nth(place_)])] = 0
    expected.reserved_free[:] = 0
    expected.promise[Promise.RESERVED] = 0
    expected.promise[Promise.HEAD] = NOBODY


@kernel
def reserve(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    releaser: Releaser,
    head: int,
    now: int,
) -> None:
    """Promise the head the earliest instant, and the nodes there, at which it can be expected to start."""
    promise = expected.promise
    drop_reservation(expected)
    promise[Promise.HEAD] = head
    promise[Promise.TERMS] += 1
    promise[Promise.SHADOW] = NEVER
    promise[Promise.EXTRA] = 0
    if promise[Promise.COUNTS] > 0:
        _reserve_counts(jobs, expected, head, now)
    else:
        _reserve_nodes(jobs, demand, site, log, events, expected, placer, releaser, head, now)


@inlined
def _expected_end(expected: Expectations, entry: int, now: int) -> int:
    """Return when the job of an entry is expected to end: it did not end by now."""
    return max(int(expected.ends.time[nth(entry)]), now + 1)


@kernel
def _reserve_counts(jobs: Jobs, expected: Expectations, head: int, now: int) -> None:
    """Go through the expected ends until enough GPUs are free, wherever they are."""
    promise = expected.promise
    needed = expected.thousandths[int(jobs.claim[head]["demand"])]
    free = promise[Promise.FREE]
    look_begin(expected.ends)
    entry = look_next(expected.ends)
    while entry != NOBODY:
        end = _expected_end(expected, entry, now)
        while entry != NOBODY and _expected_end(expected, entry, now) == end:
            free += expected.thousandths[int(jobs.claim[int(expected.ends.row[entry])]["demand"])]
            entry = look_next(expected.ends)
        if free >= needed:
            promise[Promise.SHADOW] = end
            promise[Promise.EXTRA] = free - needed
            break


@kernel
def _reserve_nodes(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    releaser: Releaser,
    head: int,
    now: int,
) -> None:
    """Take running jobs away in the order of their expected ends until the head can be placed; then put all back."""
    promise, count = expected.promise, events.counter
    wish = int(jobs.claim[head]["demand"])
    first = count[Count.SLOTS]
    away, gpus = 0, 0
    look_begin(expected.ends)
    entry = look_next(expected.ends)
    while entry != NOBODY:
        end = _expected_end(expected, entry, now)
        while entry != NOBODY and _expected_end(expected, entry, now) == end:
            row = int(expected.ends.row[entry])
            gpus = _take_away(jobs, demand, site, log, expected, releaser, row, gpus)
            expected.imagined[away] = row
            away += 1
            entry = look_next(expected.ends)
        if place(site, demand, log, events, placer, head, wish):
            promise[Promise.SHADOW] = end
            for number in range(first, count[Count.SLOTS]):
                expected.reserved[promise[Promise.RESERVED]] = log.slots[number]["node"]
                expected.is_reserved[int(log.slots[number]["node"])] = 1
                promise[Promise.RESERVED] += 1
            slots = int(count[Count.SLOTS] - first)
            if demand[wish]["plain"] == 0:
                releaser(site, demand, log, head, wish, first, slots)
            else:
                release_plain(site, log, first, slots)
            count[Count.SLOTS] = first
            break
    while away > 0:
        away -= 1
        gpus = _put_back(jobs, demand, site, log, expected, int(expected.imagined[away]), gpus)
    for place_ in range(promise[Promise.RESERVED]):
        expected.reserved_free[int(site.node[int(expected.reserved[place_])]["free"])] += 1


@kernel
def _take_away(
    jobs: Jobs, demand: Records, site: Site, log: Log, expected: Expectations, releaser: Releaser, row: int, gpus: int
) -> int:
    """Free in imagination what a job holds; note which GPUs, after ``gpus`` others, and return how many are noted."""
    claim = jobs.claim[row]
    wish = int(claim["demand"])
    first, slots = int(claim["slot"]), int(claim["slots"])
    if demand[wish]["plain"] != 0:
        release_plain(site, log, first, slots)
        return gpus
    if site.quanta > 0 and demand[wish]["share"] == 0:
        for number in range(first, first + slots):
            this = site.node[int(log.slots[number]["node"])]
            for gpu in range(int(this["first_gpu"]), int(this["first_gpu"] + this["size"])):
                if site.gpu[gpu]["owner"] == row:
                    expected.imagined_gpu[gpus] = gpu
                    gpus += 1
    releaser(site, demand, log, row, wish, first, slots)
    return gpus


@kernel
def _put_back(jobs: Jobs, demand: Records, site: Site, log: Log, expected: Expectations, row: int, gpus: int) -> int:
    """Give a job what :func:`_take_away` took; return how many GPUs remain noted."""
    claim = jobs.claim[row]
    wish = int(claim["demand"])
    asked = demand[wish]
    for number in range(int(claim["slot"]), int(claim["slot"] + claim["slots"])):
        node, held = int(log.slots[number]["node"]), int(log.slots[number]["gpus"])
        this = site.node[node]
        if asked["plain"] != 0:
            change_free(site, node, -held)
            continue
        this["cpu"] -= asked["cpu"] * max(held, 1)
        this["memory"] -= asked["memory"] * max(held, 1)
        if asked["share"] > 0:
            take_share(site, int(this["first_gpu"] + log.gpu[number]), asked["share"])
            continue
        withdraw_node(site, node)
        this["free"] -= held
        offer_node(site, node)
    if site.quanta > 0 and asked["share"] == 0:
        for _ in range(asked["gpus"]):
            gpus -= 1
            gpu = int(expected.imagined_gpu[gpus])
            remove(site.shares, int(site.node[int(site.gpu[gpu]["node"])]["kind"]), site.quanta, gpu)
            site.gpu[gpu]["free"] = 0
            site.gpu[gpu]["owner"] = row
    if site.scores.stamp.size > 0:
        note_change(site, demand, log, wish, int(claim["slot"]), int(claim["slot"] + claim["slots"]), 1)
    return gpus


@inner
def place_beside(
    site: Site,
    demand: Records,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    row: int,
    wish: int,
) -> bool:
    """Place a job that would outlast the shadow time: without what is promised, or nothing."""
    promise = expected.promise
    asked = demand[nth(wish)]
    if promise[Promise.COUNTS] > 0:
        needed = expected.thousandths[nth(wish)]
        if needed > promise[Promise.EXTRA] or not place(site, demand, log, events, placer, row, wish):
            return False
        promise[Promise.EXTRA] -= needed
        return True
    if asked["plain"] != 0 and not _roomy(site, expected, asked["large"], asked["many"], asked["rest"]):
        return False
    _show(site, expected, False)
    placed = place(site, demand, log, events, placer, row, wish)
    _show(site, expected, True)
    return placed


@kernel
def _roomy(site: Site, expected: Expectations, large: int, many: int, rest: int) -> bool:
    """Return whether a plain job has room on the nodes that are not reserved, by the counts."""
    index = site.openings
    fitting = 0
    for free in range(index.n_keys - 1, -1, -1):
        if free < large and (rest == 0 or free < rest):
            break
        fitting += index.bits[nth(index.held + free)] - expected.reserved_free[nth(free)]
        if free == large and fitting < many:
            return False
    return fitting >= many + (rest > 0)


@kernel
def _show(site: Site, expected: Expectations, shown: bool) -> None:
    """Hide the reserved nodes and their GPUs, or show them again."""
    for place_ in range(expected.promise[Promise.RESERVED]):
        node = int(expected.reserved[nth(place_)])
        if shown:
            offer_node(site, node)
        else:
            withdraw_node(site, node)
        if site.quanta > 0:
            this = site.node[node]
            for gpu in range(int(this["first_gpu"]), int(this["first_gpu"] + this["size"])):
                free = int(site.gpu[gpu]["free"])
                if free > 0 and shown:
                    insert(site.shares, int(this["kind"]), free, gpu)
                elif free > 0:
                    remove(site.shares, int(this["kind"]), free, gpu)
