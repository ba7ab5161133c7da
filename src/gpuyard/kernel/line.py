"""The queue of a loop that preempts: lanes of jobs that ask for the same, in the order of (key, row).

A key changes only while a job is not in the queue, or when the job is promoted.  Who joins behind all others of a lane,
as most do, stands in its *row* of such; the others are a heap.  Then the next is found without a look at jobs that
wait behind, of which nobody has thought for long.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Records

__all__ = ["empty", "first_of", "line_up", "stand_out", "take_turn", "turn_again", "turn_back", "turns_after"]


@inlined
def _is_before(stays: Stays, one: int, other: int) -> bool:
    """Return whether a waiting job goes before another."""
    left, right = stays.stay[nth(one)]["key"], stays.stay[nth(other)]["key"]
    return bool(left < right or (left == right and one < other))


@inlined
def first_of(stays: Stays, number: int) -> int:
    """Return the first job of a lane that has one."""
    return int(stays.lane[nth(number)]["first"])


@inlined
def empty(stays: Stays, number: int) -> None:
    """Take all jobs out of a lane."""
    lane = stays.lane[nth(number)]
    lane["waiting"] = lane["head"] = lane["tail"] = lane["heap"] = 0


@inlined
def _set(stays: Stays, base: int, room: int, at: int, row: int) -> None:
    stays.line[nth(base + room + at)] = row
    stays.stay[nth(row)]["place"] = room + at


@kernel
def _settle(stays: Stays, lane: Records, at: int, row: int) -> None:
    """Put a job into a lane's heap at ``at``, or above or below it."""
    base, room, size = int(lane["base"]), int(lane["room"]), int(lane["heap"])
    start = at
    while at > 0:
        above = int(stays.line[nth(base + room + ((at - 1) >> 1))])
        if not _is_before(stays, row, above):
            break
        _set(stays, base, room, at, above)
        at = (at - 1) >> 1
    if at == start:
        child = 2 * at + 1
        while child < size:
            below = int(stays.line[nth(base + room + child)])
            if child + 1 < size:
                right = int(stays.line[nth(base + room + child + 1)])
                if _is_before(stays, right, below):
                    child += 1
                    below = right
            if _is_before(stays, row, below):
                break
            _set(stays, base, room, at, below)
            at = child
            child = 2 * at + 1
    _set(stays, base, room, at, row)


@kernel
def line_up(stays: Stays, number: int, row: int) -> None:
    """Let a job wait in a lane; a new first one may find room where the old one did not."""
    lane = stays.lane[nth(number)]
    base, head, tail, key = int(lane["base"]), int(lane["head"]), int(lane["tail"]), stays.stay[nth(row)]["key"]
    if head == tail:
        head = tail = 0
        lane["head"] = 0
    last = head == tail or lane["last"] < key or (lane["last"] == key and stays.line[nth(base + tail - 1)] < row)
    if last and tail < lane["room"]:
        lane["last"] = key
        stays.line[nth(base + tail)] = row
        stays.stay[nth(row)]["place"] = tail
        lane["tail"] = tail + 1
    else:
        lane["tail"] = tail
        size = int(lane["heap"])
        lane["heap"] = size + 1
        _settle(stays, lane, size, row)
    waiting = lane["waiting"]
    lane["waiting"] = waiting + 1
    if waiting == 0 or _is_before(stays, row, int(lane["first"])):
        lane["first"] = row
        lane["blocked"] = NOBODY


@kernel
def stand_out(stays: Stays, number: int, row: int) -> None:
    """Take a job out of its lane."""
    lane = stays.lane[nth(number)]
    base, room = int(lane["base"]), int(lane["room"])
    head = int(lane["head"])
    heads = head < lane["tail"] and stays.line[nth(base + head)] == row  # as most do: then no stay is looked up
    place = head if heads else int(stays.stay[nth(row)]["place"])
    lane["waiting"] -= 1
    if place < room:
        _leave_row(stays, lane, place)
    else:
        size = int(lane["heap"]) - 1
        lane["heap"] = size
        if place - room < size:
            _settle(stays, lane, place - room, int(stays.line[nth(base + room + size)]))
    if row == lane["first"] and lane["waiting"] > 0:
        lane["first"] = _find_first(stays, lane)


@inlined
def _leave_row(stays: Stays, lane: Records, place: int) -> None:
    """Take a job out of the row of a lane; it neither begins nor ends with a gap."""
    base, head, tail = int(lane["base"]), int(lane["head"]), int(lane["tail"])
    stays.line[nth(base + place)] = NOBODY
    while head < tail and stays.line[nth(base + head)] == NOBODY:
        head += 1
    while head < tail and stays.line[nth(base + tail - 1)] == NOBODY:
        tail -= 1
    if head < tail < lane["tail"]:
        lane["last"] = stays.stay[nth(stays.line[nth(base + tail - 1)])]["key"]
    lane["head"], lane["tail"] = head, tail


@inlined
def _find_first(stays: Stays, lane: Records) -> int:
    """Return the first job of a lane that has one."""
    base, head = int(lane["base"]), int(lane["head"])
    if lane["heap"] == 0:
        return int(stays.line[nth(base + head)])
    top = int(stays.line[nth(base + int(lane["room"]))])
    if head == lane["tail"]:
        return top
    front = int(stays.line[nth(base + head)])
    return front if _is_before(stays, front, top) else top


@kernel
def turn_back(stays: Stays, number: int) -> None:
    """Let a lane be tried, when the turn comes to its first job."""
    at = int(stays.state[Gain.TURNS])
    stays.state[Gain.TURNS] = at + 1
    _raise(stays, at, number)


@kernel
def turn_again(stays: Stays, number: int) -> None:
    """Let a lane be tried whose first job may have joined just now; it may be about to be tried already."""
    at = 0
    while at < stays.state[Gain.TURNS] and stays.turn[nth(at)] != number:
        at += 1
    stays.state[Gain.TURNS] = max(at + 1, int(stays.state[Gain.TURNS]))
    _raise(stays, at, number)


@kernel
def _raise(stays: Stays, at: int, number: int) -> None:
    """Put a lane at ``at`` among those that are to be tried, or above."""
    turn = stays.turn
    row = first_of(stays, number)
    while at > 0:
        above = turn[nth((at - 1) >> 1)]
        if not _is_before(stays, row, first_of(stays, int(above))):
            break
        turn[nth(at)] = above
        at = (at - 1) >> 1
    turn[nth(at)] = number


@kernel
def take_turn(stays: Stays) -> int:
    """Return the lane whose turn it is, and take it off the heap."""
    turn = stays.turn
    found = int(turn[0])
    size = int(stays.state[Gain.TURNS]) - 1
    stays.state[Gain.TURNS] = size
    moved = int(turn[nth(size)])
    row = first_of(stays, moved)
    at, child = 0, 1
    while child < size:
        below = first_of(stays, int(turn[nth(child)]))
        if child + 1 < size:
            right = first_of(stays, int(turn[nth(child + 1)]))
            if _is_before(stays, right, below):
                child += 1
                below = right
        if _is_before(stays, row, below):
            break
        turn[nth(at)] = turn[nth(child)]
        at = child
        child = 2 * at + 1
    turn[nth(at)] = moved
    return found


@kernel
def turns_after(stays: Stays, key: int, row: int, given: int) -> None:
    """Let the lanes be tried whose first job stands after (key, row); the others were, and stay as they are.

    Whoever stands before was refused although all could be taken away that a job behind can take, so that it gains
    nothing by the slots that were ``given`` back for that job.
    """
    room = stays.state[Gain.ROOM]
    stays.state[Gain.TURNS] = 0
    for number in range(stays.lane.size):
        lane = stays.lane[nth(number)]
        if lane["waiting"] == 0 or lane["blocked"] >= room:
            continue
        first = first_of(stays, number)
        its = stays.stay[nth(first)]["key"]
        if its > key or (its == key and first > row):
            turn_back(stays, number)
        else:
            lane["blocked"] += given
