"""Whose turn it is among the waiting jobs of a pass: by the share of the tenant, level, score or key, and row.

Each queue is a heap of places, the queues are one of their first jobs.  A queue's place among the others changes only
when its first job has been tried: only then may its tenant's share have changed.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_entries import move_entry, set_level
from gpuyard.kernel.joint_tables import Joint, Ordered, Party
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tenancy import Between, Ledger, Share

__all__ = [
    "close_ranks",
    "drop_first",
    "goes_before",
    "line_up_after",
    "line_up_all",
    "next_turn",
    "queue_up",
    "renew_levels",
    "sink",
    "turn_over",
]


@inlined
def goes_before(contenders: Contenders, stays: Stays, joint: Joint, one: int, other: int) -> bool:
    """Return whether the job at a place goes before that at another of the same share."""
    first, second = joint.entry[nth(one)], joint.entry[nth(other)]
    if first["level"] != second["level"]:
        return bool(first["level"] < second["level"])
    if contenders.score[nth(one)] != contenders.score[nth(other)]:
        return bool(contenders.score[nth(one)] > contenders.score[nth(other)])
    left, right = first["row"], second["row"]
    if stays.stay[nth(left)]["key"] != stays.stay[nth(right)]["key"]:
        return bool(stays.stay[nth(left)]["key"] < stays.stay[nth(right)]["key"])
    return bool(left < right)


@inlined
def _queue_before(contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint, one: int, other: int) -> bool:
    """Return whether a queue goes before another: by share, then by their first jobs."""
    if ledger.tenant[nth(one)]["share"] != ledger.tenant[nth(other)]["share"]:
        return bool(ledger.tenant[nth(one)]["share"] < ledger.tenant[nth(other)]["share"])
    left, right = joint.turn[nth(joint.queue[nth(one)]["first"])], joint.turn[nth(joint.queue[nth(other)]["first"])]
    return goes_before(contenders, stays, joint, int(left), int(right))


@kernel
def sink(contenders: Contenders, stays: Stays, joint: Joint, first: int, size: int, at: int, place: int) -> None:
    """Put a place into a heap of ``size``, at ``at`` or below."""
    turn = joint.turn
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and goes_before(
            contenders, stays, joint, int(turn[nth(first + child + 1)]), int(turn[nth(first + child)])
        ):
            child += 1
        if goes_before(contenders, stays, joint, place, int(turn[nth(first + child)])):
            break
        turn[nth(first + at)] = turn[nth(first + child)]
        at = child
        child = 2 * at + 1
    turn[nth(first + at)] = place


@kernel
def _sink_queue(contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint, at: int) -> None:
    """Move a queue down the heap of queues to where it belongs."""
    top, size = joint.top, int(joint.state[Party.QUEUES])
    moved = int(top[nth(at)])
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and _queue_before(
            contenders, stays, ledger, joint, int(top[nth(child + 1)]), int(top[nth(child)])
        ):
            child += 1
        if _queue_before(contenders, stays, ledger, joint, moved, int(top[nth(child)])):
            break
        top[nth(at)] = top[nth(child)]
        at = child
        child = 2 * at + 1
    top[nth(at)] = moved


@inlined
def _queue_of(contenders: Contenders, ledger: Ledger, place: int) -> int:
    """Return the queue of the job at a place: its tenant's, or the one for all."""
    if ledger.state[Share.BETWEEN] == Between.QUEUE:
        return 0
    row = contenders.waiting[nth(place)]["row"]
    return int(ledger.asker[nth(ledger.asker_of[nth(row)])]["tenant"])


@inlined
def renew_levels(contenders: Contenders, stays: Stays, joint: Joint) -> None:
    """Bring the levels of all who wait up to date if one changed."""
    if joint.state[Party.PROMOTED] > 0:
        joint.state[Party.PROMOTED] = 0
        for place in range(joint.state[Party.LENGTH]):
            set_level(joint, place, level_of_waiting(stays, int(contenders.waiting[nth(place)]["row"])))


@kernel
def line_up_all(contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint) -> None:
    """Let all waiting jobs be tried, in the order of this moment."""
    state, queue, waiting = joint.state, joint.queue, int(joint.state[Party.LENGTH])
    for at in range(state[Party.MANNED]):
        queue[nth(queue[nth(at)]["manned"])]["size"] = 0
    state[Party.MANNED] = 0
    if ledger.state[Share.BETWEEN] == Between.QUEUE:
        queue[0]["first"], queue[0]["size"] = 0, waiting
        queue[0]["manned"], state[Party.MANNED] = 0, 1
        for place in range(waiting):
            joint.turn[nth(place)] = place
    else:
        _part(contenders, ledger, joint, waiting)
    state[Party.ORDERED] = Ordered.LATER


@kernel
def _part(contenders: Contenders, ledger: Ledger, joint: Joint, waiting: int) -> None:
    """Let the first so many jobs of the list stand in the queues of their tenants."""
    state, queue = joint.state, joint.queue
    for place in range(waiting):
        number = _queue_of(contenders, ledger, place)
        its = queue[nth(number)]
        if its["size"] == 0:
            queue[nth(state[Party.MANNED])]["manned"] = number
            state[Party.MANNED] += 1
        its["size"] += 1
    first = 0
    for at in range(state[Party.MANNED]):
        its = queue[nth(queue[nth(at)]["manned"])]
        its["first"] = first
        first += its["size"]
        its["size"] = 0
    for place in range(waiting):
        its = queue[nth(_queue_of(contenders, ledger, place))]
        joint.turn[nth(its["first"] + its["size"])] = place
        its["size"] += 1


@kernel
def _order_queues(contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint) -> None:
    """Put the jobs of each queue in order, and the queues that have some."""
    queues = 0
    for each in range(joint.state[Party.MANNED]):
        number = int(joint.queue[nth(each)]["manned"])
        its = joint.queue[nth(number)]
        first, size = int(its["first"]), int(its["size"])
        if size > 0:
            joint.top[nth(queues)] = number
            queues += 1
        for at in range(size // 2 - 1, -1, -1):
            sink(contenders, stays, joint, first, size, at, int(joint.turn[nth(first + at)]))
    joint.state[Party.QUEUES] = queues
    joint.state[Party.ORDERED] = Ordered.ALL
    for at in range(queues // 2 - 1, -1, -1):
        _sink_queue(contenders, stays, ledger, joint, at)


@kernel
def line_up_after(contenders: Contenders, stays: Stays, joint: Joint, place: int, waiting: int) -> None:
    """Let all after the job at a place be tried, those who were left off as well, and those from ``waiting`` on.

    There is one queue.
    """
    kept = 0
    for other in range(joint.state[Party.LENGTH]):
        if contenders.waiting[nth(other)]["row"] == NOBODY:
            continue
        if other >= waiting or (other != place and goes_before(contenders, stays, joint, place, other)):
            joint.turn[nth(kept)] = other
            kept += 1
    joint.queue[0]["first"], joint.queue[0]["size"] = 0, kept
    joint.state[Party.ORDERED] = Ordered.LATER


@inlined
def next_turn(contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint) -> int:
    """Return the place whose turn it is, or NOBODY.

    Often the first becomes the head, and few others are to be tried: so it is found before they are put in order.
    """
    state, its = joint.state, joint.queue[0]
    if state[Party.ORDERED] == Ordered.LATER and ledger.state[Share.BETWEEN] == Between.QUEUE and its["size"] > 0:
        state[Party.ORDERED] = Ordered.FIRST
        state[Party.QUEUES] = 1
        joint.top[0] = 0
        _bring_first(contenders, stays, joint, int(its["size"]))
    elif state[Party.ORDERED] not in (Ordered.ALL, Ordered.FIRST):
        _order_queues(contenders, stays, ledger, joint)
    return int(joint.turn[nth(joint.queue[nth(joint.top[0])]["first"])]) if state[Party.QUEUES] > 0 else NOBODY


@kernel
def _bring_first(contenders: Contenders, stays: Stays, joint: Joint, size: int) -> None:
    """Let the first of the only queue stand before all others."""
    turn, best = joint.turn, 0
    for at in range(1, size):
        if goes_before(contenders, stays, joint, int(turn[nth(at)]), int(turn[nth(best)])):
            best = at
    first = int(turn[nth(best)])
    turn[nth(best)] = turn[0]
    turn[0] = first


@inlined
def drop_first(contenders: Contenders, stays: Stays, joint: Joint, number: int) -> bool:
    """Take the first job off a queue that is in order; return whether there are others in it."""
    its = joint.queue[nth(number)]
    its["size"] -= 1
    first, size = int(its["first"]), int(its["size"])
    if size > 0:
        sink(contenders, stays, joint, first, size, 0, int(joint.turn[nth(first + size)]))
    return size > 0


@kernel
def turn_over(contenders: Contenders, stays: Stays, ledger: Ledger, joint: Joint) -> None:
    """Note that the job whose turn it was has been tried."""
    number = int(joint.top[0])
    if joint.state[Party.ORDERED] == Ordered.FIRST:
        its = joint.queue[nth(number)]
        its["size"] -= 1
        joint.turn[nth(its["first"])] = joint.turn[nth(its["first"] + its["size"])]
        joint.state[Party.ORDERED] = Ordered.NOT
        return
    if not drop_first(contenders, stays, joint, number):
        joint.state[Party.QUEUES] -= 1
        joint.top[0] = joint.top[nth(joint.state[Party.QUEUES])]
    if joint.state[Party.QUEUES] > 0:
        _sink_queue(contenders, stays, ledger, joint, 0)


@kernel
def queue_up(contenders: Contenders, stays: Stays, joint: Joint, place: int) -> None:
    """Let a job be tried in this pass that waits since it was preempted in it, where one queue is for all."""
    its = joint.queue[0]
    if joint.state[Party.ORDERED] == Ordered.ALL and joint.state[Party.QUEUES] == 0:
        joint.state[Party.QUEUES] = 1
        joint.top[0] = 0
        its["first"] = 0
    at = int(its["size"])
    its["size"] += 1
    while at > 0 and joint.state[Party.ORDERED] == Ordered.ALL:
        above = int(joint.turn[nth(its["first"] + ((at - 1) >> 1))])
        if goes_before(contenders, stays, joint, above, place):
            break
        joint.turn[nth(its["first"] + at)] = above
        at = (at - 1) >> 1
    joint.turn[nth(its["first"] + at)] = place


@kernel
def close_ranks(contenders: Contenders, joint: Joint) -> None:
    """Close the gaps that jobs left in the list when they started: the last ones move there."""
    length, gap = int(joint.state[Party.LENGTH]), int(joint.state[Party.GAPS]) - 1
    while gap != NOBODY:
        following = int(joint.entry[nth(gap)]["after"])
        while length > 0 and contenders.waiting[nth(length - 1)]["row"] == NOBODY:
            length -= 1
        if gap < length:
            length -= 1
            contenders.waiting[nth(gap)] = contenders.waiting[nth(length)]
            contenders.eligible[nth(gap)] = contenders.eligible[nth(length)]
            contenders.score[nth(gap)] = contenders.score[nth(length)]
            move_entry(joint, gap, length)
        gap = following
    joint.state[Party.LENGTH] = length
    joint.state[Party.GAPS] = 0
