"""The waiting jobs: who is first, who joins, who leaves.  A position is a job's place in the order."""

from __future__ import annotations

from gpuyard.kernel.bits import ONE, nth, trailing_zeros
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.heap import pop, push
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Events, Jobs, Queue, Records

__all__ = ["advance", "first_job", "gather", "join", "leave", "unblock"]


@inlined
def join(queue: Queue, jobs: Jobs, demand: Records, events: Events, row: int) -> None:
    """Let a job that became eligible wait."""
    position = int(jobs.place[nth(row)]["position"])
    at = position
    for layer in range(queue.layer.size):
        word = queue.layer[nth(layer)] + (at >> 6)
        before = queue.bits[nth(word)]
        queue.bits[nth(word)] = before | (ONE << (at & 63))
        if before != 0:
            break
        at >>= 6
    lane = queue.lane[nth(demand[nth(jobs.claim[nth(row)]["demand"])]["lane"])]
    waiting = lane["waiting"]
    if waiting == 0 or position < lane["head"]:
        lane["head"] = position
        if queue.lane.size == 1:  # a new head of the only lane may fit where the old one did not
            lane["blocked"] = 0
    lane["waiting"] = waiting + 1
    events.counter[Count.WAITING] += 1


@inlined
def leave(queue: Queue, events: Events, number: int) -> None:
    """Take the first waiting job out of a lane and find the next."""
    lane = queue.lane[nth(number)]
    position = lane["head"]
    at = position
    for layer in range(queue.layer.size):
        word = queue.layer[nth(layer)] + (at >> 6)
        after = queue.bits[nth(word)] & ~(ONE << (at & 63))
        queue.bits[nth(word)] = after
        if after != 0:
            break
        at >>= 6
    waiting = lane["waiting"] - 1
    lane["waiting"] = waiting
    events.counter[Count.WAITING] -= 1
    if waiting > 0:
        lane["head"] = _after(queue, position)


@inlined
def _after(queue: Queue, position: int) -> int:
    """Return the next waiting position after one; there is one."""
    at = position + 1
    layer = 0
    while True:
        bits = queue.bits[nth(queue.layer[nth(layer)] + (at >> 6))] & (-ONE << (at & 63))
        if bits != 0:
            break
        at = (at >> 6) + 1
        layer += 1
    at = ((at >> 6) << 6) + trailing_zeros(bits)
    while layer > 0:
        layer -= 1
        at = (at << 6) + trailing_zeros(queue.bits[nth(queue.layer[nth(layer)] + at)])
    return at


@kernel
def gather(queue: Queue, jobs: Jobs, events: Events) -> None:
    """Begin a pass over several lanes: order those that have jobs waiting and are not blocked."""
    events.counter[Count.HEADS] = 0
    for number in range(queue.lane.size):
        lane = queue.lane[nth(number)]
        if lane["waiting"] > 0 and lane["blocked"] == 0:
            _put_head(queue, jobs, events, number)


@inlined
def _put_head(queue: Queue, jobs: Jobs, events: Events, number: int) -> None:
    row = int(queue.job[nth(queue.lane[nth(number)]["head"])])
    push(queue.heads, events.counter[Count.HEADS], int(jobs.place[nth(row)]["rank"]), number)
    events.counter[Count.HEADS] += 1


@kernel
def advance(queue: Queue, jobs: Jobs, events: Events) -> None:
    """Go on from the lane that was tried: it comes again with its next job, unless it is empty or blocked."""
    number = int(queue.heads.row[0])
    pop(queue.heads, events.counter[Count.HEADS])
    events.counter[Count.HEADS] -= 1
    lane = queue.lane[nth(number)]
    if lane["waiting"] > 0 and lane["blocked"] == 0:
        _put_head(queue, jobs, events, number)


@inlined
def first_job(queue: Queue, events: Events) -> int:
    """Return the first waiting job of all lanes that are not blocked, or NOBODY."""
    if queue.lane.size == 1:
        only = queue.lane[0]
        return int(queue.job[nth(only["head"])]) if only["waiting"] > 0 and only["blocked"] == 0 else NOBODY
    if events.counter[Count.HEADS] == 0:
        return NOBODY
    return int(queue.job[nth(queue.lane[nth(queue.heads.row[0])]["head"])])


@inlined
def unblock(queue: Queue) -> None:
    """Something was released: every lane may try again."""
    for lane in range(queue.lane.size):
        queue.lane[nth(lane)]["blocked"] = 0
