"""The event loop of policies that hand out cells: guaranteed jobs in those of their owner, others in idle ones.

``docs/semantics.md``, *Cells*, is the specification.  Jobs that ask for the same and may run in the same cells wait in
one lane; where nobody passes a blocked job, those of one owner do.
"""

from __future__ import annotations

from gpuyard.kernel.attempting import end_attempt, keep_gain
from gpuyard.kernel.bindings import bind, count_guests, guest_in
from gpuyard.kernel.bits import nth
from gpuyard.kernel.buddies import choose, take
from gpuyard.kernel.cell_stays import begin_in_cells, vacate_cells
from gpuyard.kernel.cells import IDLE, Cells, Claims, Forests, Kept
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.instants import next_arrival, next_eligible, tell_others
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.line import first_of, line_up, stand_out, take_turn, turn_again, turn_back
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Queue, Records, Site
from gpuyard.kernel.timetable import first_time
from gpuyard.kernel.worth import work_saved

__all__ = ["run_celled"]


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
    forests: Forests,
    cells: Cells,
    claims: Claims,
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
            now = min(next_arrival(jobs, events), first_time(stays.ends, NEVER))
            if now == NEVER or now > stop:
                break
            count[Count.LAST] = now
            _change(jobs, demand, dependencies, log, events, stays, forests, cells, claims, now)
        now = int(count[Count.LAST])
        state[Gain.PAUSED] = (
            log.slots.size - count[Count.SLOTS] < state[Gain.CHUNKS]
            or stays.attempt.size - state[Gain.ATTEMPTS] < state[Gain.ACTIVE]
        )
        if state[Gain.PAUSED] > 0:
            break
        count[Count.PASSES] += 1
        if count[Count.WAITING] > 0:
            _serve_owners(jobs, demand, log, events, stays, forests, cells, claims, now)
            if forests.state[Kept.BROKEN] == 0:
                _serve_guests(jobs, log, events, stays, forests, cells, claims, now)
            count[Count.MAX_WAITING] = max(count[Count.MAX_WAITING], count[Count.WAITING])
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["useful"] = work_saved(jobs, stays, row, stop)


@kernel
def _change(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    log: Log,
    events: Events,
    stays: Stays,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    now: int,
) -> None:
    """Apply the changes of an instant: END, RELEASE and SUBMIT."""
    state = stays.state
    while first_time(stays.ends, NEVER) == now:
        row = int(stays.ends.row[0])
        vacate_cells(jobs, log, stays, forests, cells, claims, row)
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
        _join(jobs, demand, events, stays, row)


@inlined
def _join(jobs: Jobs, demand: Records, events: Events, stays: Stays, row: int) -> None:
    """Let a job wait in its place in the order."""
    stays.stay[nth(row)]["key"] = jobs.place[nth(row)]["rank"]
    line_up(stays, int(demand[nth(jobs.claim[nth(row)]["demand"])]["lane"]), row)
    events.counter[Count.WAITING] += 1


@kernel
def _serve_owners(
    jobs: Jobs,
    demand: Records,
    log: Log,
    events: Events,
    stays: Stays,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    now: int,
) -> None:
    """Start the guaranteed jobs for which their owner has cells, in order."""
    state, strict = stays.state, forests.state[Kept.STRICT] > 0
    turn = int(events.counter[Count.PASSES])
    state[Gain.TURNS] = 0
    for number in range(claims.pen.size):
        forest = claims.pen[nth(number)]["forest"]
        if stays.lane[nth(number)]["waiting"] == 0 or forest == NOBODY:
            continue
        if strict or stays.lane[nth(number)]["blocked"] < forests.given[nth(forest)]:
            turn_back(stays, number)
    while state[Gain.TURNS] > 0:
        number = take_turn(stays)
        lane = stays.lane[nth(number)]
        forest = int(claims.pen[nth(number)]["forest"])
        if claims.stopped[nth(forest)] == turn:
            continue
        row = first_of(stays, number)
        asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
        level, cells_asked = int(asked["level"]), int(asked["count"])
        found = lane["blocked"] < forests.given[nth(forest)]
        found = found and choose(forests, forest, level, cells_asked, claims.chosen)
        if not found:
            lane["blocked"] = forests.given[nth(forest)]
            claims.stopped[nth(forest)] = turn if strict else NOBODY
            continue
        _leave(events, stays, row, number)
        ahead = False
        for place in range(cells_asked):
            there = bind(forests, cells, forest, level, int(claims.chosen[nth(place)]))
            if there == NOBODY:
                forests.state[Kept.BROKEN] = 1
                return
            claims.chosen[nth(place)] = there
            guest = guest_in(forests, cells, level, there)
            while guest != NOBODY:
                ahead |= _preempt(jobs, demand, log, events, stays, forests, cells, claims, guest, row, now)
                guest = guest_in(forests, cells, level, there)
            take(forests, IDLE, level, there)
        begin_in_cells(jobs, log, events, stays, forests, claims, row, now)
        if lane["waiting"] > 0:
            if ahead:
                turn_again(stays, number)
            else:
                turn_back(stays, number)


@kernel
def _serve_guests(
    jobs: Jobs,
    log: Log,
    events: Events,
    stays: Stays,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    now: int,
) -> None:
    """Start the opportunistic jobs for which there are idle cells, in order."""
    state, strict = stays.state, forests.state[Kept.STRICT] > 0
    state[Gain.TURNS] = 0
    for number in range(claims.pen.size):
        pen = claims.pen[nth(number)]
        if stays.lane[nth(number)]["waiting"] == 0 or pen["guest"] == 0:
            continue
        if strict or pen["refused"] < forests.given[IDLE]:
            turn_back(stays, number)
    while state[Gain.TURNS] > 0:
        number = take_turn(stays)
        row = first_of(stays, number)
        asked = claims.claim[nth(jobs.claim[nth(row)]["demand"])]
        level, cells_asked = int(asked["level"]), int(asked["count"])
        if not choose(forests, IDLE, level, cells_asked, claims.chosen):
            if strict:
                return
            claims.pen[nth(number)]["refused"] = forests.given[IDLE]
            continue
        for place in range(cells_asked):
            count_guests(forests, cells, level, int(claims.chosen[nth(place)]), row)
        _leave(events, stays, row, number)
        begin_in_cells(jobs, log, events, stays, forests, claims, row, now)
        stays.attempt[nth(stays.stay[nth(row)]["attempt"])]["guest"] = 1
        if stays.lane[nth(number)]["waiting"] > 0:
            turn_back(stays, number)


@inlined
def _leave(events: Events, stays: Stays, row: int, number: int) -> None:
    """Take a job that starts out of its lane."""
    stand_out(stays, number, row)
    stays.lane[nth(number)]["blocked"] = NOBODY
    events.counter[Count.WAITING] -= 1


@inner
def _preempt(
    jobs: Jobs,
    demand: Records,
    log: Log,
    events: Events,
    stays: Stays,
    forests: Forests,
    cells: Cells,
    claims: Claims,
    row: int,
    cause: int,
    now: int,
) -> bool:
    """End the attempt of an opportunistic job, and let it wait again; return whether a lane of owners has its turn."""
    useful = work_saved(jobs, stays, row, now)
    vacate_cells(jobs, log, stays, forests, cells, claims, row)
    end_attempt(events, stays, row, now, useful, cause)
    keep_gain(stays, row, int(jobs.claim[nth(row)]["demand"]), useful, now)
    _join(jobs, demand, events, stays, row)
    number = int(demand[nth(jobs.claim[nth(row)]["demand"])]["lane"])
    if first_of(stays, number) != row or claims.pen[nth(number)]["forest"] == NOBODY:
        return False
    turn_again(stays, number)
    return True
