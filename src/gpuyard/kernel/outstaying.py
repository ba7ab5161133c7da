"""Jobs that outstay their estimates: what is expected of them then."""

from __future__ import annotations

from gpuyard.kernel.agenda import enter, strike
from gpuyard.kernel.bits import nth
from gpuyard.kernel.expectations import CHUNK_ROOM, Expectations
from gpuyard.kernel.jit import inlined, inner

__all__ = ["expect_longer"]


@inlined
def expect_longer(expected: Expectations, now: int) -> bool:
    """Correct the expected ends that have come though their jobs still run; return whether there were any."""
    ends = expected.ends
    if ends.size[0] == 0 or ends.time[nth(ends.order[0] * CHUNK_ROOM)] > now:
        return False
    _double(expected, now)
    return True


@inner
def _double(expected: Expectations, now: int) -> None:
    """Double the estimates of these running jobs until their expected ends are later than now."""
    ends = expected.ends
    while True:
        first = nth(ends.order[0] * CHUNK_ROOM)
        end, row = int(ends.time[first]), int(ends.row[first])
        if end > now:
            return
        strike(ends, end, row)
        length = int(expected.estimate[nth(row)])
        start = end - length
        while start + length <= now:
            length *= 2
        expected.estimate[nth(row)] = length
        enter(ends, start + length, row)
