"""The event loop of policies that hand out cells: guaranteed jobs in those of their owner, others in idle ones.

``docs/semantics.md``, *Cells*, is the specification.  :mod:`gpuyard.kernel.cell_queue` says who is tried.
"""

from __future__ import annotations

from enum import IntEnum

from gpuyard.kernel.attempting import end_attempt, keep_gain
from gpuyard.kernel.bindings import bind, guest_in
from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import choose, give, take
from gpuyard.kernel.cell_heads import has_head, is_short, may_stay, reserve_cells
from gpuyard.kernel.cell_moves import begin_stay, borrow, expect_longer, vacate
from gpuyard.kernel.cell_prey import hunt_in_cells
from gpuyard.kernel.cell_queue import (
    Estate,
    Waits,
    begin_part,
    close_gaps,
    end_part,
    is_admitted,
    is_vain,
    join,
    join_again,
    leave,
    next_lane,
    pass_over,
    wake,
)
from gpuyard.kernel.cells import IDLE, Kept
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.fairshare import next_recalculation
from gpuyard.kernel.instants import next_arrival, next_eligible, skip_rejected, tell_others
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.line import first_of, turn_back
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.rescoring import score_all_places
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.worth import work_saved

__all__ = ["run_celled"]


class Found(IntEnum):
    """What came of a try."""

    NO_CELLS = 0
    CELLS = 1
    HELD = 2
    """limits do not admit it, or it would be in the way of the head"""


@kernel
def run_celled(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    queue: Queue,
    log: Log,
    events: Events,
    stays: Stays,
    estate: Estate,
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
    while count[Count.CANCEL] == 0 and estate.forests.state[Kept.BROKEN] == 0:
        if state[Gain.PAUSED] == 0:
            now = _next_instant(jobs, events, stays, estate, stop)
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            _change(jobs, dependencies, log, events, stays, estate, now)
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = (
            log.slots.size - count[Count.SLOTS] < state[Gain.CHUNKS]
            or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
        )
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _pass(jobs, log, events, stays, estate, scorer, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


@inlined
def _next_instant(jobs: Jobs, events: Events, stays: Stays, estate: Estate, stop: int) -> int:
    """Return the earliest pending end, release, submission or recalculation of fair shares, or NEVER."""
    waits = estate.crowd.state
    if waits[Waits.SCORED] + waits[Waits.RESERVES] + waits[Waits.LIMITED] > 0:
        skip_rejected(jobs, events, stop)
    now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER))
    if waits[Waits.SCORED] > 0 and events.counter[Count.WAITING] > 0:
        now = min(now, next_recalculation(estate.contenders.accounts, int(events.counter[Count.LAST])))
    return now


@kernel
def _change(
    jobs: Jobs, dependencies: Dependencies, log: Log, events: Events, stays: Stays, estate: Estate, now: int
) -> None:
    """Apply the changes of an instant: END, RELEASE and SUBMIT."""
    state = stays.state
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        vacate(jobs, log, stays, estate, row)
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
        join(jobs, events, stays, estate, row)


@inlined
def _pass(jobs: Jobs, log: Log, events: Events, stays: Stays, estate: Estate, scorer: Scorer, now: int) -> None:
    """Make one pass: in the cells of owners, then in idle ones; nothing if a score is no number."""
    waits = estate.crowd.state
    if waits[Waits.SCORED] > 0 and not score_all_places(estate.contenders, jobs, events, stays, scorer, now):
        return
    if waits[Waits.RESERVES] > 0:
        expect_longer(jobs, log, stays, estate, now)
    for lent in range(2):
        if estate.forests.state[Kept.BROKEN] == 0:
            _serve(jobs, log, events, stays, estate, scorer, lent > 0, now)
    if waits[Waits.SCORED] > 0:
        close_gaps(estate)


@inlined
def _serve(
    jobs: Jobs, log: Log, events: Events, stays: Stays, estate: Estate, scorer: Scorer, lent: bool, now: int
) -> None:
    """Start those, in order, for which there are cells: those of their owner, or lent ones."""
    waits, heads, turn = estate.crowd.state, estate.heads, int(events.counter[Count.PASSES])
    strict, reserves, takes = waits[Waits.STRICT] > 0, waits[Waits.RESERVES] > 0, waits[Waits.WITHIN] > 0
    begin_part(jobs, stays, estate, lent)
    while stays.state[Gain.TURNS] > 0:
        number = next_lane(stays, estate.crowd)
        row = first_of(stays, number)
        asked = estate.claims.claim[nth(jobs.claim[nth(row)]["demand"])]
        forest = IDLE if lent else int(asked["forest"])
        if estate.claims.stopped[nth(forest)] == turn:
            continue
        found = _find_cells(jobs, estate, row, forest, turn, now)
        if takes and found == Found.NO_CELLS and not lent:
            found = _take_back(jobs, log, events, stays, estate, scorer, row, now)
        if found == Found.CELLS:
            leave(events, stays, estate, number)
            if stays.lane[nth(number)]["waiting"] > 0:
                turn_back(stays, number)
            if lent:
                borrow(jobs, estate, row)
            elif not _settle(jobs, log, events, stays, estate, scorer, row, now):
                return
            begin_stay(jobs, log, events, stays, estate, row, lent, now)
            if reserves:
                wake(stays, estate, forest, lent)
        elif strict:
            estate.claims.stopped[nth(forest)] = turn
        elif found == Found.HELD or (takes and not lent):
            pass_over(stays, estate, number, _is_alone(stays, estate, number, row, forest, turn, now))
        elif reserves and not has_head(heads, forest, turn):
            reserve_cells(estate.claims, heads, forest, int(jobs.claim[nth(row)]["demand"]), turn)
    if waits[Waits.ASIDE] > 0:
        end_part(jobs, stays, estate)


@inlined
def _is_alone(stays: Stays, estate: Estate, number: int, row: int, forest: int, turn: int, now: int) -> bool:
    """Return whether a job's being held says nothing of the others of its lane.

    So it is where it was preempted in this pass, so that those behind it had their turn already, and where another may
    be shorter.
    """
    this = stays.stay[nth(row)]
    if this["times"] > 0 and this["since"] == now:
        return True
    shortest = int(estate.crowd.pen[nth(number)]["shortest"])
    return has_head(estate.heads, forest, turn) and is_short(estate.forests, estate.heads, forest, shortest, now)


@kernel
def _find_cells(jobs: Jobs, estate: Estate, row: int, forest: int, turn: int, now: int) -> int:
    """Take cells for a job that limits admit and the head of its queue lets pass; write them down as chosen."""
    forests, claims, heads = estate.forests, estate.claims, estate.heads
    wish = int(jobs.claim[nth(row)]["demand"])
    asked = claims.claim[nth(wish)]
    level = int(asked["level"])
    if not is_admitted(estate, wish):
        return Found.HELD
    if is_vain(estate, wish, forest):
        return Found.NO_CELLS
    if not choose(forests, forest, level, int(asked["count"]), claims.chosen):
        estate.crowd.refused[nth(asked["loan"] if forest == IDLE else asked["own"])] = forests.given[nth(forest)]
        return Found.NO_CELLS
    if not has_head(heads, forest, turn) or may_stay(jobs, estate.expected, forests, claims, heads, forest, row, now):
        return Found.CELLS
    for place in range(asked["count"]):
        give(forests, forest, level, int(claims.chosen[nth(place)]))
        forests.given[nth(forest)] -= 1  # nothing was given back that others would find
    return Found.HELD


@kernel
def _take_back(
    jobs: Jobs, log: Log, events: Events, stays: Stays, estate: Estate, scorer: Scorer, row: int, now: int
) -> int:
    """Take cells for a job from those of its owner with a lower priority, who are preempted, if that is enough."""
    claims, forests = estate.claims, estate.forests
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    forest = int(asked["forest"])
    if estate.crowd.taking[nth(asked["own"])] == forests.given[nth(forest)]:
        return Found.NO_CELLS
    taken = hunt_in_cells(jobs, log, stays, forests, estate.cells, claims, row, now)
    if taken <= 0:
        estate.crowd.taking[nth(asked["own"])] = NOBODY if taken < 0 else forests.given[nth(forest)]
        return Found.NO_CELLS
    for place in range(taken):
        if stays.catch[nth(place)]["spared"] == 0:
            _preempt(jobs, log, events, stays, estate, scorer, int(stays.catch[nth(place)]["row"]), row, now)
    choose(forests, forest, int(asked["level"]), int(asked["count"]), claims.chosen)
    return Found.CELLS


@inlined
def _settle(
    jobs: Jobs, log: Log, events: Events, stays: Stays, estate: Estate, scorer: Scorer, row: int, now: int
) -> bool:
    """Bind the chosen virtual cells, and let opportunistic jobs leave; return whether all could be bound."""
    forests, cells, claims = estate.forests, estate.cells, estate.claims
    asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
    level = int(asked["level"])
    for place in range(asked["count"]):
        there = bind(forests, cells, int(asked["forest"]), level, int(claims.chosen[nth(place)]))
        if there == NOBODY:
            forests.state[Kept.BROKEN] = 1
            return False
        claims.chosen[nth(place)] = there
        guest = guest_in(forests, cells, level, there)
        while guest != NOBODY:
            _preempt(jobs, log, events, stays, estate, scorer, guest, row, now)
            guest = guest_in(forests, cells, level, there)
        take(forests, IDLE, level, there)
    return True


@inner
def _preempt(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    estate: Estate,
    scorer: Scorer,
    row: int,
    cause: int,
    now: int,
) -> None:
    """End the attempt of an opportunistic job, and let it wait again; if it has an owner, it is to be tried there."""
    useful = work_saved(jobs, stays, row, now)
    vacate(jobs, log, stays, estate, row)
    end_attempt(events, stays, row, now, useful, cause)
    keep_gain(stays, row, int(jobs.claim[nth(row)]["demand"]), useful, now)
    waits = estate.crowd.state
    if waits[Waits.LIMITED] + waits[Waits.WITHIN] > 0 and waits[Waits.STRICT] == 0:
        wake(stays, estate, NOBODY, False)
    join_again(jobs, events, stays, estate, scorer, row, now)
