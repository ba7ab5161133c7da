"""The event loop of cells with scores and limits: every waiting job has its turn in every pass.

``docs/semantics.md``, *Cells*, is the specification.  :mod:`gpuyard.kernel.celled` is the loop for orders that stay and
jobs that nothing but cells holds back, which tries the first of those who ask for the same.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.attempting import end_attempt, keep_gain
from gpuyard.kernel.bindings import bind, count_guests, guest_in
from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import choose, take
from gpuyard.kernel.cell_stays import begin_in_cells, vacate_cells
from gpuyard.kernel.cells import IDLE, Cells, Claims, Forests, Kept
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_arrival, next_eligible, skip_rejected, tell_others
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.quotas import charge, holder_of
from gpuyard.kernel.rescoring import score_all_places, score_place
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.tenancy import Ledger
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.turns import heapify, push_turn, take_first
from gpuyard.kernel.worth import work_saved

__all__ = ["Crowd", "Throng", "build_throng", "run_celled_joint"]


class Crowd(IntEnum):
    """Places in the state of those who wait."""

    LENGTH = 0
    """places in the list, gaps among them"""
    TURNS = 1
    """places on the heap of those who are to be tried"""
    SCORED = 2
    """1 = the order is worked out in every pass"""
    SIZE = 3


class Throng(NamedTuple):
    """Who waits, and who is known to find no cells."""

    state: NDArray[np.int64]  # by Crowd
    refused: NDArray[np.int64]  # shape (2 * demands,): cells given back when one found none, of its owner and idle ones


def build_throng(demands: int, *, scored: bool) -> Throng:
    """Return a queue in which nobody waits."""
    state = np.zeros(Crowd.SIZE, np.int64)
    state[Crowd.SCORED] = scored
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
    forests: Forests,
    cells: Cells,
    claims: Claims,
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
            _change(jobs, dependencies, log, events, stays, ledger, contenders, forests, cells, claims, throng, now)
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
            _serve_owners(jobs, log, events, stays, ledger, contenders, forests, cells, claims, throng, scorer, now)
            if forests.state[Kept.BROKEN] == 0:
                _serve_guests(jobs, log, events, stays, ledger, contenders, forests, cells, claims, throng, now)
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
    forests: Forests,
    cells: Cells,
    claims: Claims,
    throng: Throng,
    now: int,
) -> None:
    """Apply the changes of an instant: END, RELEASE and SUBMIT."""
    state = stays.state
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        vacate_cells(jobs, log, stays, forests, cells, claims, row)
        charge(ledger, int(ledger.asker_of[nth(row)]), NOBODY, -1)
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
        _join(jobs, events, contenders, throng, row)


@inner
def _join(jobs: Jobs, events: Events, contenders: Contenders, throng: Throng, row: int) -> int:
    """Let a job wait; return its place in the list."""
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

    Where others pass a job that is refused, those are left off who are known to find no cells: in this part of a pass
    none are given back.
    """
    passes = forests.state[Kept.STRICT] == 0
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


@inner
def _find_cells(
    jobs: Jobs, ledger: Ledger, forests: Forests, claims: Claims, throng: Throng, row: int, forest: int
) -> bool:
    """Take cells for a job that limits admit, and write them down as chosen; note where there are none."""
    wish = int(jobs.claim[nth(row)]["demand"])
    asked = claims.claim[nth(wish)]
    if _is_vain(forests, throng, wish, forest):
        return False
    if holder_of(ledger, int(ledger.asker_of[nth(row)]), NOBODY)[0] != NOBODY:
        return False
    found = choose(forests, forest, int(asked["level"]), int(asked["count"]), claims.chosen)
    if not found:
        throng.refused[nth(2 * wish + (forest == IDLE))] = forests.given[nth(forest)]
    return bool(found)


@kernel
def _serve_owners(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    throng: Throng,
    scorer: Scorer,
    now: int,
) -> None:
    """Start the guaranteed jobs for which their owner has cells, in order."""
    strict, turn = forests.state[Kept.STRICT] > 0, int(events.counter[Count.PASSES])
    _line_up(jobs, contenders, forests, claims, throng, False)
    while throng.state[Crowd.TURNS] > 0:
        place = _next_turn(contenders, throng)
        row = int(contenders.waiting[nth(place)]["row"])
        asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
        forest, level = int(asked["forest"]), int(asked["level"])
        if claims.stopped[nth(forest)] == turn:
            continue
        if not _find_cells(jobs, ledger, forests, claims, throng, row, forest):
            claims.stopped[nth(forest)] = turn if strict else NOBODY
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
                    jobs, log, events, stays, ledger, contenders, forests, cells, claims, throng, scorer, guest, row,
                    now,
                )  # fmt: skip
                guest = guest_in(forests, cells, level, there)
            take(forests, IDLE, level, there)
        _begin(jobs, log, events, stays, ledger, contenders, forests, claims, place, now)


@kernel
def _serve_guests(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    throng: Throng,
    now: int,
) -> None:
    """Start the opportunistic jobs for which there are idle cells, in order."""
    _line_up(jobs, contenders, forests, claims, throng, True)
    while throng.state[Crowd.TURNS] > 0:
        place = _next_turn(contenders, throng)
        row = int(contenders.waiting[nth(place)]["row"])
        if not _find_cells(jobs, ledger, forests, claims, throng, row, IDLE):
            if forests.state[Kept.STRICT] > 0:
                return
            continue
        asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
        for number in range(asked["count"]):
            count_guests(forests, cells, int(asked["level"]), int(claims.chosen[nth(number)]), row)
        _begin(jobs, log, events, stays, ledger, contenders, forests, claims, place, now)
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["guest"] = 1


@inner
def _begin(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
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


@inner
def _preempt(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    contenders: Contenders,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    throng: Throng,
    scorer: Scorer,
    row: int,
    cause: int,
    now: int,
) -> None:
    """End the attempt of an opportunistic job, and let it wait again; if it has an owner, it is to be tried there."""
    useful = work_saved(jobs, stays, row, now)
    vacate_cells(jobs, log, stays, forests, cells, claims, row)
    charge(ledger, int(ledger.asker_of[nth(row)]), NOBODY, -1)
    end_attempt(events, stays, row, now, useful, cause)
    wish = int(jobs.claim[nth(row)]["demand"])
    keep_gain(stays, row, wish, useful, now)
    place = _join(jobs, events, contenders, throng, row)
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
