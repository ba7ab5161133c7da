"""Jobs that outstay their estimates: what is expected of them then."""

from __future__ import annotations

from gpuyard.kernel.agenda import enter, strike
from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.expectations import CHUNK_ROOM, Expectations
from gpuyard.kernel.jit import inlined, inner

__all__ = ["expect_longer", "next_outstayed"]


@inlined
def expect_longer(expected: Expectations, now: int) -> bool:
    """Correct the expected ends that have come though their jobs still run; return whether there were any."""
    if next_outstayed(expected, now) == NOBODY:
        return False
    while next_outstayed(expected, now) != NOBODY:
        pass
    return True


@inlined
def next_outstayed(expected: Expectations, now: int) -> int:
    """Correct the first of the expected ends that have come; return its job, or NOBODY where none has."""
    ends = expected.ends
    if ends.size[0] == 0 or ends.time[nth(ends.order[0] * CHUNK_ROOM)] > now:
        return NOBODY
    return _double(expected, now)


@inner
def _double(expected: Expectations, now: int) -> int:
    """Double the first estimate until its expected end is later than now; return its job."""
    ends = expected.ends
    first = nth(ends.order[0] * CHUNK_ROOM)
    end, row = int(ends.time[first]), int(ends.row[first])
    strike(ends, end, row)
    length = int(expected.estimate[nth(row)])
    start = end - length
    while start + length <= now:
        length *= 2
    expected.estimate[nth(row)] = length
    enter(ends, start + length, row)
    return row
