"""Who waits for cells: lanes of jobs that ask for the same, of whom limits admit all or nobody.

In a part of a pass (owners' cells, then idle ones) a lane is out as soon as its first job finds no cells: no more come
back.  It is *parked* where none of its jobs can start as things are, because limits do not admit them or they would be
in the way of the head, or where others of its owner may be preempted and leave cells: it is woken by a preemption or a
start that changes that, and then those of its jobs that stand before who was tried last had their turn.  A job that had
its turn alone stands *aside* until the part ends.

Orders with a score have the jobs in a list as well, from which the lanes are filled anew in each part.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.cell_heads import Heads
from gpuyard.kernel.cells import IDLE, Cells, Claims, Forests
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, inner, kernel
from gpuyard.kernel.line import empty, first_of, line_up, stand_out, take_turn, turn_again, turn_back
from gpuyard.kernel.quotas import holder_of
from gpuyard.kernel.rescoring import score_place
from gpuyard.kernel.scorers import Scorer
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Events, Jobs, Records
from gpuyard.kernel.tenancy import Ledger
from gpuyard.kernel.worth import expected_length

__all__ = [
    "Crowd",
    "Estate",
    "Waits",
    "begin_part",
    "build_crowd",
    "close_gaps",
    "end_part",
    "is_admitted",
    "is_vain",
    "join",
    "join_again",
    "leave",
    "next_lane",
    "pass_over",
    "wake",
]


class Waits(IntEnum):
    """Places in the state of those who wait."""

    STRICT = 0
    """1 = nobody passes a job that cannot start"""
    RESERVES = 1
    """1 = nobody is in the way of the first who finds no cells"""
    LIMITED = 2
    """1 = there are limits"""
    SCORED = 3
    """1 = the order is worked out in every pass"""
    LIVE = 4
    """lanes in which somebody waits"""
    ASIDE = 5
    """jobs that stand aside"""
    LENGTH = 6
    """places in the list, gaps among them"""
    PART = 7
    """parts of passes so far"""
    KEY = 8
    """of the job that is the last in the order of those who were tried in this part"""
    ROW = 9
    """and its row, or NOBODY"""
    WITHIN = 10
    """1 = jobs take cells from others of their owner"""
    SIZE = 11


PEN = np.dtype(
    [
        ("forest", np.int64),  # as in Claims; owner, cells and limits are those of all its jobs,
        ("guest", np.int64),  # but where nobody passes who cannot start: then cells and limits are not
        ("own", np.int64),
        ("loan", np.int64),
        ("wish", np.int64),  # a demand of its jobs
        ("waiting", np.int64),  # jobs that wait, aside or not
        ("at", np.int64),  # place in Crowd.live
        ("awake", np.int64),  # the last part of a pass in which its jobs could find cells
        ("parked", np.int64),  # the last part in which none of its jobs could start, or NOBODY: it was woken
        ("shortest", np.int64),  # no job that waits is expected to be shorter
        ("least", np.int64),  # the shortest of those who stand aside
    ]
)
"""What is known of a lane of the queue."""


class Crowd(NamedTuple):
    """Those who wait."""

    state: NDArray[np.int64]  # by Waits
    pen: Records  # shape (lanes,)
    live: NDArray[np.int32]  # lanes in which somebody waits
    aside: NDArray[np.int32]  # rows
    refused: NDArray[np.int64]  # cells that were given back when somebody found none, by a claim's own and loan
    taking: NDArray[np.int64]  # likewise when it could not take any from others of its owner, by a claim's own
    place: NDArray[np.int32]  # by row: in the list; empty without scores
    bits: NDArray[np.int64]  # the scores of the list, bit by bit


class Estate(NamedTuple):
    """Cells, who waits for them, and what decides who may."""

    forests: Forests
    cells: Cells
    claims: Claims
    heads: Heads
    ledger: Ledger
    contenders: Contenders
    expected: Expectations
    crowd: Crowd


def build_crowd(
    jobs: int,
    claim: Records,
    contenders: Contenders,
    *,
    strict: bool,
    reserves: bool,
    limited: bool,
    scored: bool,
    within: bool,
) -> Crowd:
    """Return a queue in which nobody waits."""
    lanes = int(claim["lane"].max(initial=0)) + 1
    pen = np.zeros(lanes, PEN)
    pen["awake"] = pen["parked"] = NOBODY
    for name in ("forest", "guest", "own", "loan"):
        pen[name][claim["lane"]] = claim[name]
    pen["wish"][claim["lane"]] = np.arange(claim.size)
    state = np.zeros(Waits.SIZE, np.int64)
    state[Waits.STRICT], state[Waits.RESERVES] = strict, reserves
    state[Waits.LIMITED], state[Waits.SCORED], state[Waits.WITHIN] = limited, scored, within
    marks = 1 + max(int(claim["own"].max(initial=0)), int(claim["loan"].max(initial=0)))
    return Crowd(
        state=state,
        pen=pen,
        live=np.empty(lanes, np.int32),
        aside=np.empty(jobs, np.int32),
        refused=np.full(marks, NOBODY, np.int64),
        taking=np.full(marks, NOBODY, np.int64),
        place=np.empty(jobs if scored else 0, np.int32),
        bits=contenders.score.view(np.int64),
    )


@inlined
def is_vain(estate: Estate, wish: int, forest: int) -> bool:
    """Return whether no cell was given back since one that asks for the same found none."""
    asked = estate.claims.claim[nth(wish)]
    mark = asked["loan"] if forest == IDLE else asked["own"]
    return bool(estate.crowd.refused[nth(mark)] == estate.forests.given[nth(forest)])


@inlined
def is_admitted(estate: Estate, wish: int) -> bool:
    """Return whether limits admit one more job of a demand."""
    if estate.crowd.state[Waits.LIMITED] == 0:
        return True
    return bool(holder_of(estate.ledger, int(estate.claims.claim[nth(wish)]["asker"]), NOBODY)[0] == NOBODY)


@inlined
def join(jobs: Jobs, events: Events, stays: Stays, estate: Estate, row: int) -> int:
    """Let a job wait, with what its next attempt is expected to last; return its lane."""
    crowd = estate.crowd
    number = int(estate.claims.claim[nth(jobs.claim[nth(row)]["demand"])]["lane"])
    pen = crowd.pen[nth(number)]
    if pen["waiting"] == 0:
        pen["at"] = crowd.state[Waits.LIVE]
        crowd.live[nth(pen["at"])] = number
        crowd.state[Waits.LIVE] += 1
        pen["shortest"] = NEVER
    pen["waiting"] += 1
    events.counter[Count.WAITING] += 1
    if crowd.state[Waits.RESERVES] > 0:
        length = expected_length(stays, row)
        estate.expected.estimate[nth(row)] = length
        pen["shortest"] = min(int(pen["shortest"]), length)
    if crowd.state[Waits.SCORED] > 0:
        _enlist(jobs, estate, row)
    else:
        stays.stay[nth(row)]["key"] = jobs.place[nth(row)]["rank"]
        line_up(stays, number, row)
    return number


@inlined
def _enlist(jobs: Jobs, estate: Estate, row: int) -> None:
    """Put a job at the end of the list."""
    contenders, crowd = estate.contenders, estate.crowd
    place = int(crowd.state[Waits.LENGTH])
    crowd.state[Waits.LENGTH] = place + 1
    crowd.place[nth(row)] = place
    contenders.waiting[nth(place)] = contenders.feature[nth(row)]
    contenders.eligible[nth(place)] = jobs.job[nth(row)]["eligible"]


@inlined
def leave(events: Events, stays: Stays, estate: Estate, number: int) -> int:
    """Take the first job of a lane, which starts, out of the queue; return it."""
    crowd, row = estate.crowd, first_of(stays, number)
    stand_out(stays, number, row)
    pen = crowd.pen[nth(number)]
    pen["waiting"] -= 1
    if pen["waiting"] == 0:
        last = int(crowd.state[Waits.LIVE]) - 1
        crowd.state[Waits.LIVE] = last
        moved = crowd.live[nth(last)]
        crowd.live[nth(pen["at"])] = moved
        crowd.pen[nth(moved)]["at"] = pen["at"]
    if crowd.state[Waits.SCORED] > 0:
        estate.contenders.waiting[nth(crowd.place[nth(row)])]["row"] = NOBODY
    events.counter[Count.WAITING] -= 1
    return row


@inlined
def _key(estate: Estate, place: int) -> int:
    """Return a number that is the lower, the higher the score at a place in the list."""
    if estate.contenders.score[nth(place)] == 0.0:
        return -1
    bits = int(estate.crowd.bits[nth(place)])
    return ~(bits if bits >= 0 else bits ^ NEVER)


@inlined
def begin_part(jobs: Jobs, stays: Stays, estate: Estate, lent: bool) -> None:
    """Let those lanes have their turn whose jobs may run in the cells of their owners, or in lent ones.

    Where everybody passes who cannot start, those are left off that are known to find no cells, or that limits do not
    admit.
    """
    crowd = estate.crowd
    state = crowd.state
    state[Waits.PART] += 1
    state[Waits.ROW] = NOBODY
    state[Waits.ASIDE] = 0
    stays.state[Gain.TURNS] = 0
    if state[Waits.SCORED] > 0:
        _fill(jobs, stays, estate, lent)
    parks = state[Waits.STRICT] == 0 and state[Waits.LIMITED] > 0
    for at in range(state[Waits.LIVE]):
        number = int(crowd.live[nth(at)])
        pen = crowd.pen[nth(number)]
        if not _is_due(estate, pen, lent):
            if not lent and state[Waits.WITHIN] > 0 and pen["forest"] != NOBODY:
                pen["parked"] = state[Waits.PART]
            continue
        pen["least"] = NEVER
        if parks and not is_admitted(estate, int(pen["wish"])):
            pen["parked"] = state[Waits.PART]
        else:
            turn_back(stays, number)


@inlined
def _is_due(estate: Estate, pen: Records, lent: bool) -> bool:
    """Return whether the jobs of a lane may run in the cells of a part, and may find some or stop others."""
    crowd = estate.crowd
    forest = IDLE if lent else int(pen["forest"])
    if forest == NOBODY or (lent and pen["guest"] == 0):
        return False
    mark = int(pen["loan"] if lent else pen["own"])
    marks = crowd.taking if crowd.state[Waits.WITHIN] > 0 and not lent else crowd.refused
    if marks[nth(mark)] != estate.forests.given[nth(forest)]:
        return True
    return bool(crowd.state[Waits.STRICT] + crowd.state[Waits.RESERVES] > 0)


@inner
def _fill(jobs: Jobs, stays: Stays, estate: Estate, lent: bool) -> None:
    """Fill the lanes whose jobs may find cells from the list."""
    crowd, waiting = estate.crowd, estate.contenders.waiting
    part = crowd.state[Waits.PART]
    for at in range(crowd.state[Waits.LIVE]):
        number = int(crowd.live[nth(at)])
        empty(stays, number)
        if _is_due(estate, crowd.pen[nth(number)], lent):
            crowd.pen[nth(number)]["awake"] = part
    for place in range(crowd.state[Waits.LENGTH]):
        row = int(waiting[nth(place)]["row"])
        if row == NOBODY:
            continue
        number = int(estate.claims.claim[nth(jobs.claim[nth(row)]["demand"])]["lane"])
        if crowd.pen[nth(number)]["awake"] == part:
            stays.stay[nth(row)]["key"] = _key(estate, place)
            line_up(stays, number, row)


@inlined
def next_lane(stays: Stays, crowd: Crowd) -> int:
    """Return the lane whose turn it is, and note that its first job is tried."""
    number = take_turn(stays)
    row = first_of(stays, number)
    if _is_tried(stays, crowd, row):
        return number
    crowd.state[Waits.KEY] = stays.stay[nth(row)]["key"]
    crowd.state[Waits.ROW] = row
    return number


@inlined
def _is_tried(stays: Stays, crowd: Crowd, row: int) -> bool:
    """Return whether a job stands no later than the last that was tried."""
    key, last = stays.stay[nth(row)]["key"], crowd.state[Waits.KEY]
    if crowd.state[Waits.ROW] == NOBODY:
        return False
    return bool(key < last or (key == last and row <= crowd.state[Waits.ROW]))


@inner
def _put_aside(stays: Stays, estate: Estate, number: int) -> None:
    """Let the first job of a lane stand aside until the part ends."""
    crowd, row = estate.crowd, first_of(stays, number)
    pen = crowd.pen[nth(number)]
    stand_out(stays, number, row)
    crowd.aside[nth(crowd.state[Waits.ASIDE])] = row
    crowd.state[Waits.ASIDE] += 1
    if crowd.state[Waits.RESERVES] > 0:
        pen["least"] = min(int(pen["least"]), int(estate.expected.estimate[nth(row)]))


@inner
def pass_over(stays: Stays, estate: Estate, number: int, alone: bool) -> None:
    """Let a lane whose first job cannot start be parked, or, where it is ``alone`` in that, only this job stand aside.

    So it is where another of its jobs may be shorter, and where it was preempted in this pass, so that those behind it
    had their turn before.
    """
    crowd = estate.crowd
    pen, lane = crowd.pen[nth(number)], stays.lane[nth(number)]
    if not alone:
        pen["parked"] = crowd.state[Waits.PART]
        return
    _put_aside(stays, estate, number)
    if lane["waiting"] > 0:
        turn_back(stays, number)
    elif pen["waiting"] == crowd.state[Waits.ASIDE]:
        pen["shortest"] = pen["least"]


@inner
def _unpark(stays: Stays, estate: Estate, number: int) -> None:
    """Let those jobs of a parked lane have their turn that had none."""
    estate.crowd.pen[nth(number)]["parked"] = NOBODY
    lane = stays.lane[nth(number)]
    while lane["waiting"] > 0 and _is_tried(stays, estate.crowd, first_of(stays, number)):
        _put_aside(stays, estate, number)
    if lane["waiting"] > 0:
        turn_back(stays, number)


@inner
def wake(stays: Stays, estate: Estate, forest: int, lent: bool) -> None:
    """Let parked lanes have their turn again, now that somebody started in a forest, or was preempted (NOBODY).

    Only a preemption lets limits admit more, and only a start changes the cells that are found.
    """
    crowd = estate.crowd
    for at in range(crowd.state[Waits.LIVE]):
        number = int(crowd.live[nth(at)])
        pen = crowd.pen[nth(number)]
        if pen["parked"] != crowd.state[Waits.PART]:
            continue
        there = IDLE if lent else pen["forest"]
        if forest in (NOBODY, there) and is_admitted(estate, int(pen["wish"])):
            _unpark(stays, estate, number)


@kernel
def join_again(jobs: Jobs, events: Events, stays: Stays, estate: Estate, scorer: Scorer, row: int, now: int) -> None:
    """Let a job wait that was preempted in this pass; it has its turn among those of its owner."""
    crowd = estate.crowd
    number = int(estate.claims.claim[nth(jobs.claim[nth(row)]["demand"])]["lane"])
    pen = crowd.pen[nth(number)]
    owned = pen["forest"] != NOBODY
    if pen["parked"] == crowd.state[Waits.PART] and owned and pen["waiting"] > 0:
        _unpark(stays, estate, number)
    join(jobs, events, stays, estate, row)
    if crowd.state[Waits.SCORED] > 0:
        place = int(crowd.place[nth(row)])
        score_place(estate.contenders, events, scorer, place, now)
        stays.stay[nth(row)]["key"] = _key(estate, place)
        line_up(stays, number, row)
    if owned and first_of(stays, number) == row:
        turn_again(stays, number)


@inner
def end_part(jobs: Jobs, stays: Stays, estate: Estate) -> None:
    """Let those who stand aside wait in their lanes again; with scores these are filled anew."""
    crowd = estate.crowd
    if crowd.state[Waits.SCORED] > 0:
        return
    for place in range(crowd.state[Waits.ASIDE]):
        row = int(crowd.aside[nth(place)])
        line_up(stays, int(estate.claims.claim[nth(jobs.claim[nth(row)]["demand"])]["lane"]), row)


@inner
def close_gaps(estate: Estate) -> None:
    """Close the gaps that jobs left in the list when they started: the last ones move there."""
    contenders, crowd = estate.contenders, estate.crowd
    length, place = int(crowd.state[Waits.LENGTH]), 0
    while place < length:
        if contenders.waiting[nth(place)]["row"] != NOBODY:
            place += 1
            continue
        length -= 1
        contenders.waiting[nth(place)] = contenders.waiting[nth(length)]
        contenders.eligible[nth(place)] = contenders.eligible[nth(length)]
        row = int(contenders.waiting[nth(place)]["row"])
        if row != NOBODY:
            crowd.place[nth(row)] = place
    crowd.state[Waits.LENGTH] = length
