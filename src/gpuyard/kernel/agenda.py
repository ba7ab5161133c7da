"""Pairs of (time, row) in order, to be walked from the first on: when running jobs are expected to end.

They lie in short sorted chunks, so that a walk reads memory in a row, and an entry or its removal moves half a chunk at
most.  Measured: a walk over a heap, entry by entry in order, costs several times as much.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.expectations import CHUNK_ROOM, Agenda
from gpuyard.kernel.jit import inlined, inner

__all__ = ["enter", "strike"]


@inlined
def _chunk_of(agenda: Agenda, time: int, row: int) -> int:
    """Return the place in the order of the last chunk that begins at or before (time, row), or 0."""
    low, high = 0, int(agenda.size[0])
    while high - low > 1:
        middle = (low + high) >> 1
        at = nth(int(agenda.order[nth(middle)]) * CHUNK_ROOM)
        begin = agenda.time[at]
        if begin < time or (begin == time and agenda.row[at] <= row):
            low = middle
        else:
            high = middle
    return low


@inner
def _add_chunk(agenda: Agenda, place: int) -> int:
    """Put an empty chunk into the order at a place; return it."""
    size = int(agenda.size[0])
    chunk = int(agenda.order[nth(size)])
    for at in range(size, place, -1):
        agenda.order[nth(at)] = agenda.order[nth(at - 1)]
    agenda.order[nth(place)] = chunk
    agenda.held[nth(chunk)] = 0
    agenda.size[0] = size + 1
    return chunk


@inner
def _drop_chunk(agenda: Agenda, place: int) -> None:
    """Take a chunk out of the order; beyond its end the order holds the chunks not in use."""
    size = int(agenda.size[0]) - 1
    chunk = agenda.order[nth(place)]
    for at in range(place, size):
        agenda.order[nth(at)] = agenda.order[nth(at + 1)]
    agenda.order[nth(size)] = chunk
    agenda.size[0] = size


@inner
def _pour(agenda: Agenda, source: int, begin: int, target: int) -> None:
    """Move the entries of a chunk from ``begin`` on to the end of another."""
    held = int(agenda.held[nth(target)])
    for at in range(begin, int(agenda.held[nth(source)])):
        agenda.time[nth(target * CHUNK_ROOM + held)] = agenda.time[nth(source * CHUNK_ROOM + at)]
        agenda.row[nth(target * CHUNK_ROOM + held)] = agenda.row[nth(source * CHUNK_ROOM + at)]
        held += 1
    agenda.held[nth(target)] = held
    agenda.held[nth(source)] = begin


@inner
def enter(agenda: Agenda, time: int, row: int) -> None:
    """Add an entry."""
    if agenda.size[0] == 0:
        _add_chunk(agenda, 0)
    place = _chunk_of(agenda, time, row)
    chunk = int(agenda.order[nth(place)])
    if agenda.held[nth(chunk)] == CHUNK_ROOM:
        _pour(agenda, chunk, CHUNK_ROOM // 2, _add_chunk(agenda, place + 1))
        chunk = int(agenda.order[nth(_chunk_of(agenda, time, row))])
    base = chunk * CHUNK_ROOM
    at = base + int(agenda.held[nth(chunk)])
    while at > base:
        before = agenda.time[nth(at - 1)]
        if before < time or (before == time and agenda.row[nth(at - 1)] < row):
            break
        agenda.time[nth(at)] = before
        agenda.row[nth(at)] = agenda.row[nth(at - 1)]
        at -= 1
    agenda.time[nth(at)] = time
    agenda.row[nth(at)] = row
    agenda.held[nth(chunk)] += 1


@inner
def strike(agenda: Agenda, time: int, row: int) -> None:
    """Take an entry out; two neighbours that are half a chunk together become one."""
    place = _chunk_of(agenda, time, row)
    chunk = int(agenda.order[nth(place)])
    held = int(agenda.held[nth(chunk)]) - 1
    at = chunk * CHUNK_ROOM
    last = at + held
    while agenda.time[nth(at)] < time or agenda.row[nth(at)] != row:
        at += 1
    while at < last:
        agenda.time[nth(at)] = agenda.time[nth(at + 1)]
        agenda.row[nth(at)] = agenda.row[nth(at + 1)]
        at += 1
    agenda.held[nth(chunk)] = held
    if held == 0:
        _drop_chunk(agenda, place)
    elif place + 1 < agenda.size[0]:
        following = int(agenda.order[nth(place + 1)])
        if held + agenda.held[nth(following)] <= CHUNK_ROOM // 2:
            _pour(agenda, following, 0, chunk)
            _drop_chunk(agenda, place + 1)
