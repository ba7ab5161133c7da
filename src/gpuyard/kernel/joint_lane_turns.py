"""Whose turn it is where one queue is for all and who is known not to start is left off: told lane by lane.

Nobody of a lane is looked at as long as all of it are left off.  Of another, only the first is found; when that one
has been tried, the others are put in order.  Who was left off stays so in the round, unless somebody starts after whom
more may be taken: while jobs only start, nobody finds room who found none.
"""

from __future__ import annotations

from typing import Any

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_lanes import is_all_off, is_off, look_anew, look_at
from gpuyard.kernel.joint_tables import Joint, Ordered, Party
from gpuyard.kernel.joint_turns import goes_before, sink
from gpuyard.kernel.partitions import Partitions, Round
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tenancy import Between, Ledger, Share

__all__ = ["begin_after", "choose_way", "line_up_lanes", "next_of_lanes", "pass_on"]

_FEW = 4
"""Turns are told lane by lane where so many jobs wait for each lane."""


@inlined
def choose_way(ledger: Ledger, joint: Joint) -> bool:
    """Note, and return, whether turns are told lane by lane in this round: not where lanes are hardly fewer than jobs.

    Both ways the same jobs are tried in the same order, but those of whom it is known that they do not start.
    """
    state = joint.state
    few = _FEW * state[Party.LANES] <= state[Party.LENGTH]
    state[Party.BY_LANE] = state[Party.LEAVES] > 0 and ledger.state[Share.BETWEEN] == Between.QUEUE and few
    state[Party.MARK] = NOBODY
    return bool(state[Party.BY_LANE] > 0)


@inlined
def begin_after(stays: Stays, joint: Joint, place: int, waiting: int) -> None:
    """Let those be lined up next who go after the job at a place, and those from ``waiting`` on."""
    joint.state[Party.MARK], joint.state[Party.JOINED] = place, waiting
    joint.state[Party.MARK_KEY] = stays.stay[nth(joint.entry[nth(place)]["row"])]["key"]


@kernel
def line_up_lanes(
    contenders: Contenders,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    partitions: Partitions,
    joint: Joint,
    now: int,
) -> None:
    """Let all be tried that may start, in the order of this moment: of each lane the first is found."""
    look_anew(partitions, joint, now)
    state, lanes, kept = joint.state, joint.lane, 0
    all_sought = (  # any admitted job may become a head, and nobody was found not to be admitted
        state[Party.PASSING] == Passing.BESIDE and state[Party.HOLDS] == 0 and partitions.state[Round.HEADS] == 0
    )
    state[Party.HEAPED] = lanes.size
    for place in range(state[Party.LANES]):
        number = int(lanes[nth(place)]["listed"])
        lane = lanes[nth(number)]
        lane["heap"] = NOBODY
        if all_sought:
            lane["look"], lane["level"], lane["beside_level"] = state[Party.LOOK], NEVER, NEVER
            lane["exact"], lane["beside_exact"] = 0, 0
        else:
            look_at(ledger, expected, partitions, joint, lane)
        if is_all_off(lane):
            continue
        _find_best(contenders, stays, joint, lane)
        if lane["best"] != NOBODY:
            joint.turn[nth(kept)] = number
            kept += 1
    joint.queue[0]["size"] = kept
    state[Party.ORDERED] = Ordered.LATER


@inlined
def _is_behind(contenders: Contenders, stays: Stays, joint: Joint, place: int) -> bool:
    """Return whether the job at a place goes after the one that started last with which others were lined up again."""
    mark = joint.state[Party.MARK]
    if mark == NOBODY or place >= joint.state[Party.JOINED]:
        return True
    its, entry = joint.entry[nth(mark)], joint.entry[nth(place)]
    if its["level"] != entry["level"]:
        return bool(its["level"] < entry["level"])
    if contenders.score[nth(mark)] != contenders.score[nth(place)]:
        return bool(contenders.score[nth(mark)] > contenders.score[nth(place)])
    key = stays.stay[nth(entry["row"])]["key"]
    if joint.state[Party.MARK_KEY] != key:
        return bool(joint.state[Party.MARK_KEY] < key)
    return bool(its["row"] < entry["row"])


@kernel
def _find_best(contenders: Contenders, stays: Stays, joint: Joint, lane: Any) -> None:
    """Find the first of a lane that is to be tried; NOBODY if none is."""
    best, place, least, most = NOBODY, int(lane["first"]), NEVER, -NEVER
    while place != NOBODY:
        least = min(least, int(joint.entry[nth(place)]["level"]))
        most = max(most, int(joint.entry[nth(place)]["level"]))
        ahead = best == NOBODY or goes_before(contenders, stays, joint, place, best)
        if ahead and not is_off(joint, lane, place) and _is_behind(contenders, stays, joint, place):
            best = place
        place = int(joint.entry[nth(place)]["after"])
    lane["best"], lane["least"], lane["most"] = best, least, most


@kernel
def _gather(contenders: Contenders, stays: Stays, joint: Joint, lane: Any) -> None:
    """Put those of a lane that are to be tried after its first into a heap."""
    first, size, place = int(joint.state[Party.HEAPED]), 0, int(lane["first"])
    while place != NOBODY:
        if place != lane["best"] and not is_off(joint, lane, place) and _is_behind(contenders, stays, joint, place):
            joint.turn[nth(first + size)] = place
            size += 1
        place = int(joint.entry[nth(place)]["after"])
    lane["heap"], lane["size"] = first, size
    joint.state[Party.HEAPED] += size
    for at in range(size // 2 - 1, -1, -1):
        sink(contenders, stays, joint, first, size, at, int(joint.turn[nth(first + at)]))


@kernel
def _advance(contenders: Contenders, stays: Stays, joint: Joint, lane: Any) -> bool:
    """Go on to the next of a lane that was looked at; return whether there is one that is not left off."""
    if lane["heap"] == NOBODY:
        first = int(lane["first"])
        if first == NOBODY or (first == lane["best"] and joint.entry[nth(first)]["after"] == NOBODY):
            return False
        if is_all_off(lane):
            return False
        _gather(contenders, stays, joint, lane)
    heap = int(lane["heap"])
    while lane["size"] > 0:
        best = int(joint.turn[nth(heap)])
        if lane["exact"] == 0 and lane["level"] <= joint.entry[nth(best)]["level"]:
            return False
        lane["size"] -= 1
        size = int(lane["size"])
        if size > 0:
            sink(contenders, stays, joint, heap, size, 0, int(joint.turn[nth(heap + size)]))
        if not is_off(joint, lane, best):
            lane["best"] = best
            return True
    return False


@inlined
def _lane_before(contenders: Contenders, stays: Stays, joint: Joint, one: int, other: int) -> bool:
    """Return whether the first of a lane goes before that of another."""
    return goes_before(contenders, stays, joint, int(joint.lane[nth(one)]["best"]), int(joint.lane[nth(other)]["best"]))


@kernel
def _sink_lane(contenders: Contenders, stays: Stays, joint: Joint, at: int) -> None:
    """Move a lane down the heap of lanes to where it belongs."""
    turn, size = joint.turn, int(joint.queue[0]["size"])
    moved = int(turn[nth(at)])
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and _lane_before(
            contenders, stays, joint, int(turn[nth(child + 1)]), int(turn[nth(child)])
        ):
            child += 1
        if _lane_before(contenders, stays, joint, moved, int(turn[nth(child)])):
            break
        turn[nth(at)] = turn[nth(child)]
        at = child
        child = 2 * at + 1
    turn[nth(at)] = moved


@kernel
def _order_lanes(
    contenders: Contenders, stays: Stays, ledger: Ledger, expected: Expectations, partitions: Partitions, joint: Joint
) -> None:
    """Put the lanes in order whose first ones may still start."""
    turn, kept = joint.turn, 0
    for at in range(joint.queue[0]["size"]):
        number = int(turn[nth(at)])
        lane = joint.lane[nth(number)]
        if _holds_on(contenders, stays, ledger, expected, partitions, joint, lane):
            turn[nth(kept)] = number
            kept += 1
    joint.queue[0]["size"] = kept
    joint.state[Party.ORDERED] = Ordered.ALL
    for at in range(kept // 2 - 1, -1, -1):
        _sink_lane(contenders, stays, joint, at)


@inlined
def _holds_on(
    contenders: Contenders,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    partitions: Partitions,
    joint: Joint,
    lane: Any,
) -> bool:
    """Return whether a lane has one to be tried, by what is known now: the first that it had, or another."""
    if lane["look"] == joint.state[Party.LOOK]:
        return True
    look_at(ledger, expected, partitions, joint, lane)
    return bool(not is_off(joint, lane, int(lane["best"])) or _advance(contenders, stays, joint, lane))


@kernel
def _bring_first_lane(contenders: Contenders, stays: Stays, joint: Joint) -> None:
    """Let the lane whose first goes before all others stand before them."""
    turn, best = joint.turn, 0
    for at in range(1, joint.queue[0]["size"]):
        if _lane_before(contenders, stays, joint, int(turn[nth(at)]), int(turn[nth(best)])):
            best = at
    first = int(turn[nth(best)])
    turn[nth(best)] = turn[0]
    turn[0] = first


@kernel
def next_of_lanes(
    contenders: Contenders, stays: Stays, ledger: Ledger, expected: Expectations, partitions: Partitions, joint: Joint
) -> int:
    """Return the place whose turn it is, or NOBODY.

    Often the first becomes the head, and few others are to be tried: so it is found before lanes are put in order.
    """
    state, its = joint.state, joint.queue[0]
    if state[Party.ORDERED] == Ordered.LATER:
        state[Party.ORDERED] = Ordered.FIRST
        _bring_first_lane(contenders, stays, joint)
    elif state[Party.ORDERED] == Ordered.NOT:
        _order_lanes(contenders, stays, ledger, expected, partitions, joint)
    while its["size"] > 0:
        lane = joint.lane[nth(joint.turn[0])]
        if lane["look"] == state[Party.LOOK]:
            return int(lane["best"])
        look_at(ledger, expected, partitions, joint, lane)
        if not is_off(joint, lane, int(lane["best"])):
            return int(lane["best"])
        _replace_first(contenders, stays, joint, lane)
    return NOBODY


@inlined
def _replace_first(contenders: Contenders, stays: Stays, joint: Joint, lane: Any) -> None:
    """Let the next of the first lane, which was looked at, stand where it belongs."""
    its = joint.queue[0]
    if not _advance(contenders, stays, joint, lane):
        its["size"] -= 1
        joint.turn[0] = joint.turn[nth(its["size"])]
    if its["size"] > 0:
        _sink_lane(contenders, stays, joint, 0)


@kernel
def pass_on(
    contenders: Contenders,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    partitions: Partitions,
    joint: Joint,
    placed: bool,
    now: int,
) -> None:
    """Note that the job whose turn it was has been tried, and is ``placed`` or not: then more is known."""
    lane, its = joint.lane[nth(joint.turn[0])], joint.queue[0]
    if not placed:
        look_anew(partitions, joint, now)
        look_at(ledger, expected, partitions, joint, lane)
    if joint.state[Party.ORDERED] == Ordered.ALL:
        _replace_first(contenders, stays, joint, lane)
        return
    joint.state[Party.ORDERED] = Ordered.NOT
    if not _advance(contenders, stays, joint, lane):
        its["size"] -= 1
        joint.turn[0] = joint.turn[nth(its["size"])]
