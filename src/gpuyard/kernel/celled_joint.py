"""The event loop of cells with scores, limits and reservations: every waiting job has its turn in every pass.

``docs/semantics.md``, *Cells*, is the specification.  :mod:`gpuyard.kernel.celled` is the loop for orders that stay and
jobs that nothing but cells holds back, which tries the first of those who ask for the same.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.agenda import enter, strike
from gpuyard.kernel.attempting import end_attempt, keep_gain
from gpuyard.kernel.bindings import bind, count_guests, guest_in
from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import choose, give, take
from gpuyard.kernel.cell_heads import Heads, has_head, may_stay, reserve_cells
from gpuyard.kernel.cell_stays import begin_in_cells, vacate_cells
from gpuyard.kernel.cells import IDLE, Cells, Claims, Forests, Kept
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_arrival, next_eligible, skip_rejected, tell_others
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.outstaying import expect_longer
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.quotas import charge, holder_of
from gpuyard.kernel.rescoring import score_all_places, score_place
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import Ledger
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.turns import heapify, push_turn, take_first
from gpuyard.kernel.worth import expected_length, work_saved

__all__ = ["Crowd", "Throng", "build_throng", "run_celled_joint"]


class Crowd(IntEnum):
    """Places in the state of those who wait."""

    LENGTH = 0
    """places in the list, gaps among them"""
    TURNS = 1
    """places on the heap of those who are to be tried"""
    SCORED = 2
    """1 = the order is worked out in every pass"""
    RESERVES = 3
    """1 = nobody is in the way of the first who finds no cells"""
    SIZE = 4


class Found(IntEnum):
    """What came of a try."""

    NOTHING = 0
    """it is not admitted, or would be in the way of the head"""
    NO_CELLS = 1
    CELLS = 2


class Throng(NamedTuple):
    """Who waits, and who is known to find no cells."""

    state: NDArray[np.int64]  # by Crowd
    refused: NDArray[np.int64]  # shape (2 * demands,): cells given back when one found none, of its owner and idle ones


def build_throng(demands: int, *, scored: bool, reserves: bool) -> Throng:
    """Return a queue in which nobody waits."""
    state = np.zeros(Crowd.SIZE, np.int64)
    state[Crowd.SCORED], state[Crowd.RESERVES] = scored, reserves
    return Throng(state=state, refused=np.full(2 * demands, NOBODY, np.int64))


@kernel
def run_celled_joint(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    heads: Heads,
    throng: Throng,
    scorer: Scorer,
    stop: int,
    placer: Placer,
    releaser: Releaser,
) -> None:
    """Process every instant up to and including ``stop``; the tables hold what happened.

    Where the log has no room for what the next pass may write, the loop stops before it, with Gain.PAUSED set; called
    again with more room, it goes on from there.  With Kept.BROKEN it stops for good.
    """
    count, state = events.counter, stays.state
    while count[Count.CANCEL] == 0 and forests.state[Kept.BROKEN] == 0:
        if state[Gain.PAUSED] == 0:
            skip_rejected(jobs, events, stop)
            now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER))
            if count[Count.WAITING] > 0:
                now = min(now, next_recalculation(contenders.accounts, int(count[Count.LAST])))
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            _change(
                jobs,
                dependencies,
                log,
                events,
                stays,
                ledger,
                contenders,
                expected,
                forests,
                cells,
                claims,
                heads,
                throng,
                now,
            )
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = (
            log.slots.size - count[Count.SLOTS] < state[Gain.CHUNKS]
            or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
        )
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        scored = throng.state[Crowd.SCORED] > 0
        if count[Count.WAITING] > 0 and (not scored or score_all_places(contenders, jobs, events, stays, scorer, now)):
            expect_longer(expected, now)
            _serve_owners(
                jobs,
                log,
                events,
                stays,
                ledger,
                contenders,
                expected,
                forests,
                cells,
                claims,
                heads,
                throng,
                scorer,
                now,
            )
            if forests.state[Kept.BROKEN] == 0:
                _serve_guests(
                    jobs, log, events, stays, ledger, contenders, expected, forests, cells, claims, heads, throng, now
                )
            _close_gaps(contenders, throng)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


@kernel
def _change(
    jobs: Jobs,
    dependencies: Dependencies,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    heads: Heads,
    throng: Throng,
    now: int,
) -> None:
    """Apply the changes of an instant: END, RELEASE and SUBMIT."""
    state = stays.state
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        vacate_cells(jobs, log, stays, forests, cells, claims, row)
        _count_out(stays, ledger, expected, row)
        end_attempt(events, stays, row, now, int(jobs.job[nth(row)]["duration"] - stays.stay[nth(row)]["saved"]), -1)
        tell_others(dependencies, events, row, now)
        state[Gain.ACTIVE] -= 1
        state[Gain.CHUNKS] -= stays.chunks[nth(jobs.claim[nth(row)]["demand"])]
    while True:
        row = next_eligible(jobs, dependencies, events, now)
        if row == NOBODY:
            break
        state[Gain.ACTIVE] += 1
        state[Gain.CHUNKS] += stays.chunks[nth(jobs.claim[nth(row)]["demand"])]
        _join(jobs, events, stays, contenders, expected, throng, row)


@inner
def _join(
    jobs: Jobs, events: Events, stays: Stays, contenders: Contenders, expected: Expectations, throng: Throng, row: int
) -> int:
    """Let a job wait, with what its next attempt is expected to last; return its place in the list."""
    expected.estimate[nth(row)] = expected_length(stays, row)
    place = int(throng.state[Crowd.LENGTH])
    throng.state[Crowd.LENGTH] = place + 1
    contenders.waiting[nth(place)] = contenders.feature[nth(row)]
    contenders.eligible[nth(place)] = jobs.job[nth(row)]["eligible"]
    contenders.score[nth(place)] = -float(jobs.place[nth(row)]["rank"])
    events.counter[Count.WAITING] += 1
    return place


@inlined
def _line_up(jobs: Jobs, contenders: Contenders, forests: Forests, claims: Claims, throng: Throng, lent: bool) -> None:
    """Let those be tried, in order, who may run in the cells of their owners, or in lent ones.

    Where everybody passes a job that is refused, those are left off who are known to find no cells: in this part of a
    pass none are given back.
    """
    passes = forests.state[Kept.STRICT] == 0 and throng.state[Crowd.RESERVES] == 0
    kept = 0
    for place in range(throng.state[Crowd.LENGTH]):
        row = int(contenders.waiting[nth(place)]["row"])
        if row == NOBODY:
            continue
        wish = int(jobs.claim[nth(row)]["demand"])
        asked = claims.claim[nth(wish)]
        forest = IDLE if lent else int(asked["forest"])
        if forest == NOBODY or (lent and asked["guest"] == 0):
            continue
        if not (passes and _is_vain(forests, throng, wish, forest)):
            contenders.turn[nth(kept)] = place
            kept += 1
    throng.state[Crowd.TURNS] = kept
    heapify(contenders, kept)


@inlined
def _next_turn(contenders: Contenders, throng: Throng) -> int:
    """Take the place whose turn it is off the heap."""
    size = int(throng.state[Crowd.TURNS])
    throng.state[Crowd.TURNS] = size - 1
    return take_first(contenders, size)


@inlined
def _is_vain(forests: Forests, throng: Throng, wish: int, forest: int) -> bool:
    """Return whether no cell was given back since one that asks for the same found none."""
    return bool(throng.refused[nth(2 * wish + (forest == IDLE))] == forests.given[nth(forest)])


@kernel
def _find_cells(
    jobs: Jobs,
    ledger: Ledger,
    expected: Expectations,
    forests: Forests,
    claims: Claims,
    heads: Heads,
    throng: Throng,
    row: int,
    forest: int,
    turn: int,
    now: int,
) -> int:
    """Take cells for a job that limits admit and the head of its queue lets pass; write them down as chosen."""
    wish = int(jobs.claim[nth(row)]["demand"])
    asked = claims.claim[nth(wish)]
    level = int(asked["level"])
    if holder_of(ledger, int(ledger.asker_of[nth(row)]), NOBODY)[0] != NOBODY:
        return Found.NOTHING
    if _is_vain(forests, throng, wish, forest):
        return Found.NO_CELLS
    if not choose(forests, forest, level, int(asked["count"]), claims.chosen):
        throng.refused[nth(2 * wish + (forest == IDLE))] = forests.given[nth(forest)]
        return Found.NO_CELLS
    if not has_head(heads, forest, turn) or may_stay(jobs, expected, forests, claims, heads, forest, row, now):
        return Found.CELLS
    for place in range(asked["count"]):
        give(forests, forest, level, int(claims.chosen[nth(place)]))
        forests.given[nth(forest)] -= 1  # nothing was given back that others would find
    return Found.NOTHING


@kernel
def _serve_owners(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    heads: Heads,
    throng: Throng,
    scorer: Scorer,
    now: int,
) -> None:
    """Start the guaranteed jobs for which their owner has cells, in order."""
    strict, turn = forests.state[Kept.STRICT] > 0, int(events.counter[Count.PASSES])
    reserves = throng.state[Crowd.RESERVES] > 0
    _line_up(jobs, contenders, forests, claims, throng, False)
    while throng.state[Crowd.TURNS] > 0:
        place = _next_turn(contenders, throng)
        row = int(contenders.waiting[nth(place)]["row"])
        asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
        forest, level = int(asked["forest"]), int(asked["level"])
        if claims.stopped[nth(forest)] == turn:
            continue
        found = _find_cells(jobs, ledger, expected, forests, claims, heads, throng, row, forest, turn, now)
        if found != Found.CELLS:
            claims.stopped[nth(forest)] = turn if strict else NOBODY
            if reserves and found == Found.NO_CELLS and not has_head(heads, forest, turn):
                reserve_cells(jobs, log, stays, expected, forests, cells, claims, heads, forest, row, turn)
            continue
        for number in range(asked["count"]):
            there = bind(forests, cells, forest, level, int(claims.chosen[nth(number)]))
            if there == NOBODY:
                forests.state[Kept.BROKEN] = 1
                return
            claims.chosen[nth(number)] = there
            guest = guest_in(forests, cells, level, there)
            while guest != NOBODY:
                _preempt(
                    jobs, log, events, stays, ledger, contenders, expected, forests, cells, claims, heads, throng,
                    scorer, guest, row, now,
                )  # fmt: skip
                guest = guest_in(forests, cells, level, there)
            take(forests, IDLE, level, there)
        _begin(jobs, log, events, stays, ledger, contenders, expected, forests, claims, place, now)


@kernel
def _serve_guests(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    heads: Heads,
    throng: Throng,
    now: int,
) -> None:
    """Start the opportunistic jobs for which there are idle cells, in order."""
    turn = int(events.counter[Count.PASSES])
    _line_up(jobs, contenders, forests, claims, throng, True)
    while throng.state[Crowd.TURNS] > 0:
        place = _next_turn(contenders, throng)
        row = int(contenders.waiting[nth(place)]["row"])
        found = _find_cells(jobs, ledger, expected, forests, claims, heads, throng, row, IDLE, turn, now)
        if found != Found.CELLS:
            if forests.state[Kept.STRICT] > 0:
                return
            if throng.state[Crowd.RESERVES] > 0 and found == Found.NO_CELLS and not has_head(heads, IDLE, turn):
                reserve_cells(jobs, log, stays, expected, forests, cells, claims, heads, IDLE, row, turn)
            continue
        asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
        for number in range(asked["count"]):
            count_guests(forests, cells, int(asked["level"]), int(claims.chosen[nth(number)]), row)
        _begin(jobs, log, events, stays, ledger, contenders, expected, forests, claims, place, now)
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["guest"] = 1


@inner
def _begin(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    forests: Forests,
    claims: Claims,
    place: int,
    now: int,
) -> None:
    """Let the job at a place run in the cells that are chosen, and leave a gap."""
    row = int(contenders.waiting[nth(place)]["row"])
    contenders.waiting[nth(place)]["row"] = NOBODY
    events.counter[Count.WAITING] -= 1
    begin_in_cells(jobs, log, events, stays, forests, claims, row, now)
    charge(ledger, int(ledger.asker_of[nth(row)]), NOBODY, 1)
    enter(expected.ends, int(now + expected.estimate[nth(row)]), row)


@inner
def _count_out(stays: Stays, ledger: Ledger, expected: Expectations, row: int) -> None:
    """Take a running job off its groups, and off those that are expected to end."""
    charge(ledger, int(ledger.asker_of[nth(row)]), NOBODY, -1)
    strike(expected.ends, int(stays.stay[nth(row)]["since"] + expected.estimate[nth(row)]), row)


@inner
def _preempt(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    expected: Expectations,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    heads: Heads,
    throng: Throng,
    scorer: Scorer,
    row: int,
    cause: int,
    now: int,
) -> None:
    """End the attempt of an opportunistic job, and let it wait again; if it has an owner, it is to be tried there."""
    useful = work_saved(jobs, stays, row, now)
    vacate_cells(jobs, log, stays, forests, cells, claims, row)
    _count_out(stays, ledger, expected, row)
    end_attempt(events, stays, row, now, useful, cause)
    wish = int(jobs.claim[nth(row)]["demand"])
    keep_gain(stays, row, wish, useful, now)
    place = _join(jobs, events, stays, contenders, expected, throng, row)
    if throng.state[Crowd.SCORED] > 0:
        score_place(contenders, events, scorer, place, now)
    if claims.claim[nth(wish)]["forest"] != NOBODY:
        push_turn(contenders, int(throng.state[Crowd.TURNS]), place)
        throng.state[Crowd.TURNS] += 1


@inner
def _close_gaps(contenders: Contenders, throng: Throng) -> None:
    """Close the gaps that jobs left in the list when they started: the last ones move there."""
    length, place = int(throng.state[Crowd.LENGTH]), 0
    while place < length:
        if contenders.waiting[nth(place)]["row"] != NOBODY:
            place += 1
            continue
        length -= 1
        contenders.waiting[nth(place)] = contenders.waiting[nth(length)]
        contenders.eligible[nth(place)] = contenders.eligible[nth(length)]
        contenders.score[nth(place)] = contenders.score[nth(length)]
    throng.state[Crowd.LENGTH] = length
