"""The reservation of the first job in the queue: when and where it could start if all went as expected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.agenda import enter, strike
from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Promise
from gpuyard.kernel.decisions import note_reservation
from gpuyard.kernel.expectations import CHUNK_ROOM, Expectations
from gpuyard.kernel.imagined import put_back, take_away
from gpuyard.kernel.index import insert, members, remove
from gpuyard.kernel.jit import compiler, inlined, inner, inner_inlined, kernel, pointed
from gpuyard.kernel.nodes import change_free, offer_node, withdraw_node
from gpuyard.kernel.placement import Placer, Releaser, place_plain, release_plain
from gpuyard.kernel.tables import Events, Index, Jobs, Log, Records, Site

__all__ = [
    "Reserver",
    "after",
    "count_start",
    "drop_reservation",
    "end_at",
    "forget",
    "may_pass",
    "renew_reservation",
    "reserve",
    "reserve_by_counts",
    "reserve_counts",
    "reserve_nothing",
    "reserve_special",
    "reserver_signature",
    "row_at",
    "show_reserved",
]

Reserver: TypeAlias = Callable[[Jobs, Records, Site, Log, Events, Expectations, Placer, Releaser, int], None]


def reserver_signature(before: Sequence[Any], placing: tuple[Any, ...]) -> Any:
    """Return numba's signature of a :data:`Reserver`, of the types of what a loop takes up to its expectations."""
    jobs, demand, _, site, _, log, events = before[:7]
    return compiler.types.void(jobs, demand, site, log, events, before[-1], *placing, compiler.types.int64)


@inlined
def count_start(
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    row: int,
    wish: int,
    first: int,
    now: int,
    short: bool,
) -> None:
    """Note that a job starts in the slots from ``first`` on: its expected end, and what it takes of the promised.

    A job that is not ``short`` takes none of the reserved nodes, but of the extra GPUs where these are counted.
    """
    promise = expected.promise
    enter(expected.ends, now + expected.estimate[nth(row)], row)
    promise[Promise.FREE] -= expected.thousandths[nth(wish)]
    if not short:
        promise[Promise.EXTRA] -= expected.thousandths[nth(wish)]
    elif promise[Promise.RESERVED] > 0:
        for number in range(first, events.counter[Count.SLOTS]):
            node = log.slots[nth(number)]["node"]
            if expected.is_reserved[nth(node)] > 0:
                free = int(site.node[nth(node)]["free"])
                expected.reserved_free[nth(free + int(log.slots[nth(number)]["gpus"]))] -= 1
                expected.reserved_free[nth(free)] += 1


@inlined
def forget(jobs: Jobs, expected: Expectations, row: int, wish: int) -> None:
    """Note that a job ended."""
    strike(expected.ends, jobs.job[nth(row)]["start"] + expected.estimate[nth(row)], row)
    expected.promise[Promise.FREE] += expected.thousandths[nth(wish)]


@kernel
def drop_reservation(expected: Expectations) -> None:
    """Promise nothing: what was narrow under the old terms may not be so any more."""
    expected.promise[Promise.TERMS] += 1
    for place_ in range(expected.promise[Promise.RESERVED]):
        expected.is_reserved[nth(expected.reserved[nth(place_)])] = 0
    expected.reserved_free[:] = 0
    expected.promise[Promise.RESERVED] = 0
    expected.promise[Promise.HEAD] = NOBODY


@inner
def renew_reservation(site: Site, expected: Expectations) -> None:
    """Promise the same as before, after something has ended: what was narrow may not be so any more."""
    expected.promise[Promise.TERMS] += 1
    expected.reserved_free[:] = 0
    _count_reserved(site, expected)


@inlined
def _count_reserved(site: Site, expected: Expectations) -> None:
    """Count the reserved nodes by what they have free now."""
    for place_ in range(expected.promise[Promise.RESERVED]):
        expected.reserved_free[nth(site.node[nth(expected.reserved[nth(place_)])]["free"])] += 1


@inner_inlined
def reserve(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    reserver: Reserver,
    placer: Placer,
    releaser: Releaser,
    head: int,
    now: int,
) -> None:
    """Promise the head the earliest instant, and the nodes there, at which it can be expected to start.

    What only counts need, or jobs that are not plain, is behind a pointer: a run without them does not compile it.
    """
    promise = expected.promise
    drop_reservation(expected)
    promise[Promise.HEAD] = head
    promise[Promise.SHADOW] = NEVER
    promise[Promise.EXTRA] = 0
    if promise[Promise.COUNTS] > 0 or demand[jobs.claim[head]["demand"]]["plain"] == 0:
        reserver(jobs, demand, site, log, events, expected, placer, releaser, head)
    else:
        _reserve_plain(jobs, demand, site, log, events, expected, head)
    _count_reserved(site, expected)
    note_reservation(log, expected, head, now)


@inlined
def row_at(expected: Expectations, chunk: int, at: int) -> int:
    """Return the job of entry ``at`` of a chunk, counted in the order of expected ends; NOBODY after the last."""
    ends = expected.ends
    return int(ends.row[nth(ends.order[nth(chunk)] * CHUNK_ROOM + at)]) if chunk < ends.size[0] else NOBODY


@inlined
def end_at(expected: Expectations, chunk: int, at: int) -> int:
    """Return when that job is expected to end; NEVER after the last."""
    ends = expected.ends
    if chunk == ends.size[0]:
        return NEVER
    return int(ends.time[nth(ends.order[nth(chunk)] * CHUNK_ROOM + at)])


@inlined
def after(expected: Expectations, chunk: int, at: int) -> tuple[int, int]:
    """Return the chunk and the place of the entry after one."""
    if at + 1 < expected.ends.held[nth(expected.ends.order[nth(chunk)])]:
        return chunk, at + 1
    return chunk + 1, 0


@pointed
def reserve_counts(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    releaser: Releaser,
    head: int,
) -> None:
    """Promise GPUs, and no nodes."""
    reserve_by_counts(jobs, expected, head)


@kernel
def reserve_by_counts(jobs: Jobs, expected: Expectations, head: int) -> None:
    """Go through the expected ends until enough GPUs are free, wherever they are."""
    promise = expected.promise
    needed = expected.thousandths[int(jobs.claim[head]["demand"])]
    free = promise[Promise.FREE]
    chunk, at = 0, 0
    end = end_at(expected, chunk, at)
    while end != NEVER:
        free += expected.thousandths[int(jobs.claim[row_at(expected, chunk, at)]["demand"])]
        chunk, at = after(expected, chunk, at)
        following = end_at(expected, chunk, at)
        if following != end and free >= needed:
            promise[Promise.SHADOW] = end
            promise[Promise.EXTRA] = free - needed
            break
        end = following


@inner_inlined
def _reserve_plain(
    jobs: Jobs, demand: Records, site: Site, log: Log, events: Events, expected: Expectations, head: int
) -> None:
    """Reserve nodes for a plain job: count what each expected end adds to its node until enough nodes fit.

    Only then are these nodes changed, the job placed by the rule, and all put back as it was.
    """
    promise, count = expected.promise, events.counter
    asked = demand[nth(jobs.claim[nth(head)]["demand"])]
    large, many, rest = int(asked["large"]), int(asked["many"]), int(asked["rest"])
    all_chunks = many + (rest > 0)
    fitting = members(site.openings, 1, large, many)
    fitting_rest = members(site.openings, 1, rest, all_chunks) if rest > 0 else all_chunks
    touched = 0
    chunk, at = 0, 0
    end = shadow = end_at(expected, chunk, at)
    while end != NEVER and (end == shadow or fitting < many or fitting_rest < all_chunks):
        shadow = end
        claim = jobs.claim[nth(row_at(expected, chunk, at))]
        for number in range(claim["slot"], claim["slot"] + claim["slots"]):
            node, back = nth(log.slots[nth(number)]["node"]), int(log.slots[nth(number)]["gpus"])
            before = int(site.node[node]["free"]) + int(expected.returned[node])
            if expected.returned[node] == 0 and back > 0:
                expected.imagined[nth(touched)] = node
                touched += 1
            expected.returned[node] += back
            fitting += before < large <= before + back
            fitting_rest += before < rest <= before + back
        chunk, at = after(expected, chunk, at)
        end = end_at(expected, chunk, at)
    for place_ in range(touched):
        node = nth(expected.imagined[nth(place_)])
        change_free(site, int(node), int(expected.returned[node]))
    if fitting >= many and fitting_rest >= all_chunks:
        first = count[Count.SLOTS]
        place_plain(site, log, events, large, many, rest)
        promise[Promise.SHADOW] = shadow
        _note_reserved(log, events, expected, first)
        release_plain(site, log, first, int(count[Count.SLOTS] - first))
        count[Count.SLOTS] = first
    for place_ in range(touched):
        node = nth(expected.imagined[nth(place_)])
        change_free(site, int(node), -int(expected.returned[node]))
        expected.returned[node] = 0


@inlined
def _note_reserved(log: Log, events: Events, expected: Expectations, first: int) -> None:
    """Promise the nodes of the slots from ``first`` on."""
    promise = expected.promise
    for number in range(first, events.counter[Count.SLOTS]):
        node = int(log.slots[nth(number)]["node"])
        expected.reserved[nth(promise[Promise.RESERVED])] = node
        expected.is_reserved[nth(node)] = 1
        promise[Promise.RESERVED] += 1


@pointed
def reserve_nothing(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    releaser: Releaser,
    head: int,
) -> None:
    """Stand in where all jobs are plain and nodes are reserved, or nothing is: never called."""


@pointed
def reserve_special(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    expected: Expectations,
    placer: Placer,
    releaser: Releaser,
    head: int,
) -> None:
    """Take running jobs away in the order of their expected ends until the head can be placed; then put all back."""
    promise, count = expected.promise, events.counter
    wish = int(jobs.claim[head]["demand"])
    first = count[Count.SLOTS]
    away, gpus = 0, 0
    chunk, at = 0, 0
    end = end_at(expected, chunk, at)
    while end != NEVER:
        row = row_at(expected, chunk, at)
        gpus = take_away(jobs, demand, site, log, expected.imagined_gpu, releaser, row, gpus)
        expected.imagined[away] = row
        away += 1
        chunk, at = after(expected, chunk, at)
        following = end_at(expected, chunk, at)
        if following != end and placer(site, demand, log, events, head, wish):
            promise[Promise.SHADOW] = end
            _note_reserved(log, events, expected, first)
            releaser(site, demand, log, head, wish, first, int(count[Count.SLOTS] - first))
            count[Count.SLOTS] = first
            break
        end = following
    while away > 0:
        away -= 1
        gpus = put_back(jobs, demand, site, log, expected.imagined_gpu, int(expected.imagined[away]), gpus)


@inlined
def may_pass(site: Site, demand: Records, expected: Expectations, wish: int) -> bool:
    """Return whether a job that would outlast the shadow time might have room beside what is promised."""
    asked = demand[nth(wish)]
    if expected.promise[Promise.COUNTS] > 0:
        return bool(expected.thousandths[nth(wish)] <= expected.promise[Promise.EXTRA])
    if asked["plain"] == 0:
        return True
    return _roomy(site.openings, expected.reserved_free, asked["large"], asked["many"], asked["rest"])


@inner
def _roomy(index: Index, reserved_free: NDArray[np.int64], large: int, many: int, rest: int) -> bool:
    """Return whether a plain job has room on the nodes that are not reserved, by the counts."""
    fitting = 0
    for free in range(index.n_keys - 1, -1, -1):
        if free < large and (rest == 0 or free < rest):
            break
        fitting += index.bits[nth(index.held + free)] - reserved_free[nth(free)]
        if free == large and fitting < many:
            return False
    return fitting >= many + (rest > 0)


@inner
def show_reserved(site: Site, expected: Expectations, shown: bool) -> None:
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
