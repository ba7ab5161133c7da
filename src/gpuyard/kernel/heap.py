"""A binary heap of (time, row): the pending ends, or the pending releases.

Ties go to the lower row.  Measured: no other queue beats it inside the whole loop.
"""

from __future__ import annotations

from gpuyard.kernel.jit import inlined
from gpuyard.kernel.tables import Records

__all__ = ["pop", "push"]


@inlined
def push(heap: Records, size: int, time: int, row: int) -> None:
    """Add an entry to a heap of ``size`` entries."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        above = heap[parent]["time"]
        other = heap[parent]["row"]
        if above < time or (above == time and other < row):
            break
        heap[at]["time"] = above
        heap[at]["row"] = other
        at = parent
    heap[at]["time"] = time
    heap[at]["row"] = row


@inlined
def pop(heap: Records, size: int) -> None:
    """Take the first entry out of a heap of ``size`` entries; read it before."""
    last = size - 1
    time = heap[last]["time"]
    row = heap[last]["row"]
    at = 0
    child = 1
    while child < last:
        below = heap[child]["time"]
        other = heap[child]["row"]
        if child + 1 < last:
            right = heap[child + 1]["time"]
            if right < below or (right == below and heap[child + 1]["row"] < other):
                child += 1
                below = right
                other = heap[child]["row"]
        if time < below or (time == below and row < other):
            break
        heap[at]["time"] = below
        heap[at]["row"] = other
        at = child
        child = 2 * at + 1
    heap[at]["time"] = time
    heap[at]["row"] = row
