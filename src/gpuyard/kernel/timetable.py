"""A heap of (time, row): any row can be taken out, and the entries can be seen in order without taking them out.

Holds when running jobs are expected to end, and when waiting jobs' reservations begin.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.expectations import Timetable
from gpuyard.kernel.jit import inlined, kernel

__all__ = ["enter", "first_time", "look_begin", "look_next", "strike"]


@inlined
def _set(table: Timetable, at: int, time: int, row: int) -> None:
    table.time[nth(at)] = time
    table.row[nth(at)] = row
    table.place[nth(row)] = at


@inlined
def _rise(table: Timetable, at: int, time: int, row: int) -> int:
    """Move larger entries down from ``at`` upwards; return where (time, row) belongs."""
    while at > 0:
        parent = (at - 1) >> 1
        above, other = table.time[nth(parent)], table.row[nth(parent)]
        if above < time or (above == time and other < row):
            break
        _set(table, at, above, int(other))
        at = parent
    return at


@kernel
def enter(table: Timetable, time: int, row: int) -> None:
    """Add a row that is not in the table."""
    size = int(table.size[0])
    table.size[0] = size + 1
    _set(table, _rise(table, size, time, row), time, row)


@kernel
def strike(table: Timetable, row: int) -> None:
    """Take a row out."""
    size = int(table.size[0]) - 1
    table.size[0] = size
    hole = int(table.place[nth(row)])
    table.place[nth(row)] = NOBODY
    if hole == size:
        return
    time, moved = int(table.time[nth(size)]), int(table.row[nth(size)])
    at = _rise(table, hole, time, moved)
    if at == hole:
        child = 2 * at + 1
        while child < size:
            below = int(table.time[nth(child)])
            if child + 1 < size:  # which of both is first cannot be foretold: no branch depends on it
                right = int(table.time[nth(child + 1)])
                second = int(right < below)
                if right == below:
                    second = int(table.row[nth(child + 1)] < table.row[nth(child)])
                child += second
                below = min(below, right)
            if time < below or (time == below and moved < table.row[nth(child)]):
                break
            _set(table, at, below, int(table.row[nth(child)]))
            at = child
            child = 2 * at + 1
    _set(table, at, time, moved)


@inlined
def first_time(table: Timetable, never: int) -> int:
    """Return the earliest time, or ``never``."""
    return int(table.time[0]) if table.size[0] > 0 else never


@kernel
def look_begin(table: Timetable) -> None:
    """Begin to look at the entries in order; the table must not change before the last :func:`look_next`."""
    table.size[1] = 0
    if table.size[0] > 0:
        table.front[0] = 0
        table.size[1] = 1


@inlined
def _before(table: Timetable, one: int, other: int) -> bool:
    """Return whether the entry at ``one`` comes before the entry at ``other``."""
    left, right = table.time[nth(one)], table.time[nth(other)]
    return bool(left < right or (left == right and table.row[nth(one)] < table.row[nth(other)]))


@kernel
def look_next(table: Timetable) -> int:
    """Return where the next entry in order stands, or NOBODY.

    The entries whose parents were seen form a heap of their own: Frederickson's way to the smallest of a heap.
    """
    front = table.front
    size = int(table.size[1])
    if size == 0:
        return NOBODY
    found = int(front[0])
    size -= 1
    moved = int(front[nth(size)])
    at = 0
    child = 1
    while child < size:
        if child + 1 < size and _before(table, int(front[nth(child + 1)]), int(front[nth(child)])):
            child += 1
        if _before(table, moved, int(front[nth(child)])):
            break
        front[nth(at)] = front[nth(child)]
        at = child
        child = 2 * at + 1
    front[nth(at)] = moved
    for below in range(2 * found + 1, min(2 * found + 3, int(table.size[0]))):
        at = size
        size += 1
        while at > 0 and _before(table, below, int(front[nth((at - 1) >> 1)])):
            front[nth(at)] = front[nth((at - 1) >> 1)]
            at = (at - 1) >> 1
        front[nth(at)] = below
    table.size[1] = size
    return found
