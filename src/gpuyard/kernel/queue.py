"""The waiting jobs: who is first, who joins, who leaves.  A position is a job's place in the order."""

from __future__ import annotations

from gpuyard.kernel.bits import ONE, trailing_zeros
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.jit import inlined
from gpuyard.kernel.tables import Events, Jobs, Queue

__all__ = ["first_job", "join", "leave", "unblock"]


@inlined
def join(queue: Queue, jobs: Jobs, events: Events, job: int, now: int) -> None:
    """Let a job that became eligible wait."""
    jobs.eligible[job] = now
    position = queue.position[job]
    at = position
    for layer in range(queue.layer.size):
        word = queue.layer[layer] + (at >> 6)
        before = queue.bits[word]
        queue.bits[word] = before | (ONE << (at & 63))
        if before != 0:
            break
        at >>= 6
    lane = queue.lane[jobs.demand[job]]
    if queue.waiting[lane] == 0 or position < queue.head[lane]:
        queue.head[lane] = position
        if queue.waiting.size == 1:  # a new head of the only lane may fit where the old one did not
            queue.blocked[lane] = 0
    queue.waiting[lane] += 1
    events.count[Count.WAITING] += 1


@inlined
def leave(queue: Queue, events: Events, lane: int) -> None:
    """Take the first waiting job out of a lane and find the next."""
    position = queue.head[lane]
    at = position
    for layer in range(queue.layer.size):
        word = queue.layer[layer] + (at >> 6)
        after = queue.bits[word] & ~(ONE << (at & 63))
        queue.bits[word] = after
        if after != 0:
            break
        at >>= 6
    queue.waiting[lane] -= 1
    events.count[Count.WAITING] -= 1
    if queue.waiting[lane] > 0:
        queue.head[lane] = _after(queue, position)


@inlined
def _after(queue: Queue, position: int) -> int:
    """Return the next waiting position after one; there is one."""
    at = position + 1
    layer = 0
    bits = ONE - ONE
    while True:
        word = queue.layer[layer] + (at >> 6)
        bits = queue.bits[word] & (-ONE << (at & 63))
        if bits != 0:
            break
        at = (at >> 6) + 1
        layer += 1
    at = ((at >> 6) << 6) + trailing_zeros(bits)
    while layer > 0:
        layer -= 1
        at = (at << 6) + trailing_zeros(queue.bits[queue.layer[layer] + at])
    return at


@inlined
def first_job(queue: Queue) -> int:
    """Return the first waiting job of all lanes that are not blocked, or NOBODY."""
    best = NOBODY
    best_rank = 0
    for lane in range(queue.waiting.size):
        if queue.waiting[lane] > 0 and not queue.blocked[lane]:
            job = queue.job[queue.head[lane]]
            rank = queue.rank[job]
            if best == NOBODY or rank < best_rank:
                best = job
                best_rank = rank
    return best


@inlined
def unblock(queue: Queue) -> None:
    """Something was released: every lane may try again."""
    for lane in range(queue.blocked.size):
        queue.blocked[lane] = 0
