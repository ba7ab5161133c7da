"""What happens at an instant before anything is scheduled: who ends, who becomes eligible."""

from __future__ import annotations

from gpuyard.kernel.bits import fetch, nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.heap import pop, push
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.placement import Releaser, release_plain
from gpuyard.kernel.tables import Dependencies, Events, Jobs, Log, Records, Site

__all__ = [
    "next_arrival",
    "next_eligible",
    "next_end",
    "next_instant",
    "release",
    "skip_rejected",
    "start_job",
    "tell_others",
    "vacate",
]

_AHEAD = 7
"""Running jobs that are looked at before they end: the first three layers of the heap."""


@inlined
def next_instant(jobs: Jobs, events: Events) -> int:
    """Return the earliest pending end, release or submission, or NEVER."""
    now = next_arrival(jobs, events)
    if events.counter[Count.RUNNING] > 0:
        now = min(now, int(events.ends.time[0]))
    return now


@inlined
def next_arrival(jobs: Jobs, events: Events) -> int:
    """Return the earliest pending release or submission, or NEVER."""
    count = events.counter
    now = NEVER
    if count[Count.NEXT] < jobs.job.size:
        now = int(jobs.job[nth(count[Count.NEXT])]["submit"])
    if count[Count.RELEASES] > 0:
        now = min(now, int(events.releases.time[0]))
    return now


@inlined
def skip_rejected(jobs: Jobs, events: Events, stop: int) -> None:
    """Pass over rejected jobs that are next to be submitted by ``stop``: their submission is no instant.

    It matters where a pass depends on the time itself: a score, a plan, an estimate outstayed, a user's own decision.
    """
    row = events.counter[Count.NEXT]
    while row < jobs.job.size and jobs.claim[nth(row)]["demand"] == NOBODY and jobs.job[nth(row)]["submit"] <= stop:
        row += 1
    events.counter[Count.NEXT] = row


@inlined
def next_end(events: Events, now: int) -> int:
    """END: take the next job that ends now off the pending ends; NOBODY when there is none left."""
    count = events.counter
    if count[Count.RUNNING] == 0 or events.ends.time[0] != now:
        return NOBODY
    row = int(events.ends.row[0])
    pop(events.ends, count[Count.RUNNING])
    count[Count.RUNNING] -= 1
    return row


@inlined
def release(
    jobs: Jobs,
    demand: Records,
    dependencies: Dependencies,
    site: Site,
    log: Log,
    events: Events,
    releaser: Releaser,
    row: int,
    now: int,
) -> None:
    """Free what an ended job holds, and tell the jobs that depend on it."""
    _look_ahead(jobs, dependencies, site, log, events)
    vacate(jobs, demand, site, log, releaser, row)
    tell_others(dependencies, events, row, now)


@inlined
def _look_ahead(jobs: Jobs, dependencies: Dependencies, site: Site, log: Log, events: Events) -> None:
    """Fetch what the next end looks up, and for those that may come after it what to fetch then."""
    row, hold = events.ends.row, dependencies.hold
    if events.counter[Count.RUNNING] < _AHEAD:
        return
    first = jobs.claim[nth(row[0])]
    if first["slots"] > 0:
        fetch(site.node, log.slots[nth(first["slot"])]["node"])
    for place in range(1, 3):
        fetch(log.slots, jobs.claim[nth(row[nth(place)])]["slot"])
    for place in range(3, _AHEAD):
        fetch(jobs.claim, row[nth(place)])
    if dependencies.child.size > 0:
        fetch(dependencies.child, hold[nth(row[0])]["first_child"])
        for place in range(1, 3):
            fetch(hold, row[nth(place)])


@inlined
def vacate(jobs: Jobs, demand: Records, site: Site, log: Log, releaser: Releaser, row: int) -> None:
    """Free what a job holds."""
    this = jobs.claim[nth(row)]
    wish = int(this["demand"])
    if demand[nth(wish)]["bare"] == 0:
        releaser(site, demand, log, row, wish, this["slot"], int(this["slots"]))
    else:
        release_plain(site, log, this["slot"], int(this["slots"]))


@inlined
def tell_others(dependencies: Dependencies, events: Events, row: int, now: int) -> None:
    """Tell the jobs that depend on an ended one, and its array."""
    if dependencies.child.size > 0:
        _tell_children(dependencies, events, row, now)
    if dependencies.array.size > 0:
        _give_back_place(dependencies, events, row, now)


@kernel
def _tell_children(dependencies: Dependencies, events: Events, row: int, now: int) -> None:
    """Let the jobs that depend on an ended one come nearer to being eligible."""
    hold = dependencies.hold
    first = hold[row]["first_child"]
    for place_ in range(first, first + hold[row]["children"]):
        child = int(dependencies.child[place_])
        unmet = hold[child]["unmet"] - 1
        bound = max(hold[child]["bound"], now + hold[child]["think"])
        hold[child]["unmet"] = unmet
        hold[child]["bound"] = bound
        if unmet == 0 and child < events.counter[Count.NEXT]:
            push(events.releases, events.counter[Count.RELEASES], bound, child)
            events.counter[Count.RELEASES] += 1


@inlined
def next_eligible(jobs: Jobs, dependencies: Dependencies, events: Events, now: int) -> int:
    """RELEASE, then SUBMIT: return the next job that becomes eligible now; NOBODY when there is none left."""
    count = events.counter
    found = NOBODY
    while found == NOBODY and count[Count.RELEASES] > 0 and events.releases.time[0] <= now:
        released = int(events.releases.row[0])
        pop(events.releases, count[Count.RELEASES])
        count[Count.RELEASES] -= 1
        if dependencies.array.size == 0 or _take_place(dependencies, released):
            found = released
            count[Count.RELEASED] += 1
    row = count[Count.NEXT]
    while found == NOBODY and row < jobs.job.size and jobs.job[nth(row)]["submit"] == now:
        if jobs.claim[nth(row)]["demand"] != NOBODY:
            held = False
            if dependencies.hold.size > 0:
                held = _hold_back(dependencies, events, row, now)
            if not held:
                found = row
        row += 1
    count[Count.NEXT] = row
    if found != NOBODY:
        this = jobs.job[nth(found)]
        this["eligible"] = min(this["eligible"], now)
    return found


@kernel
def _hold_back(dependencies: Dependencies, events: Events, row: int, now: int) -> bool:
    """Return whether a submitted job is not eligible yet; one whose instant is known waits for its release."""
    hold = dependencies.hold
    if hold[row]["unmet"] > 0:
        return True
    if hold[row]["bound"] <= now:
        return dependencies.array.size > 0 and not _take_place(dependencies, row)
    push(events.releases, events.counter[Count.RELEASES], hold[row]["bound"], row)
    events.counter[Count.RELEASES] += 1
    return True


@kernel
def _take_place(dependencies: Dependencies, row: int) -> bool:
    """Give a ready task a place of its array; if there is none, it waits for one."""
    number = dependencies.hold[row]["array"]
    if number == NOBODY:
        return True
    array = dependencies.array[number]
    if array["free"] > 0:
        array["free"] -= 1
        return True
    at = int(array["first"])
    last = int(array["cursor"])
    while at < last and dependencies.task[at] < row:  # tasks come by row: halve the rest
        middle = (at + last) >> 1
        if dependencies.task[middle] < row:
            at = middle + 1
        else:
            last = middle
    array["cursor"] = min(at, array["cursor"])
    array["waiting"] += 1
    dependencies.hold[row]["waits"] = 1
    return False


@kernel
def _give_back_place(dependencies: Dependencies, events: Events, row: int, now: int) -> None:
    """Let the first task that waits for a place of an ended task's array try again at this instant."""
    number = dependencies.hold[row]["array"]
    if number == NOBODY:
        return
    array = dependencies.array[number]
    array["free"] += 1
    if array["waiting"] == 0 or array["free"] <= 0:
        return
    at = array["cursor"]
    while dependencies.hold[dependencies.task[at]]["waits"] == 0:
        at += 1
    found = int(dependencies.task[at])
    dependencies.hold[found]["waits"] = 0
    array["waiting"] -= 1
    array["cursor"] = at + 1
    push(events.releases, events.counter[Count.RELEASES], now, found)
    events.counter[Count.RELEASES] += 1


@inlined
def start_job(jobs: Jobs, log: Log, events: Events, row: int, first: int, now: int) -> None:
    """Let a job run that holds the slots from ``first`` on."""
    count = events.counter
    this = jobs.claim[nth(row)]
    jobs.job[nth(row)]["start"] = now
    this["slot"] = first
    this["slots"] = count[Count.SLOTS] - first
    log.attempt_job[nth(count[Count.ATTEMPTS])] = row
    count[Count.ATTEMPTS] += 1
    push(events.ends, count[Count.RUNNING], now + jobs.job[nth(row)]["duration"], row)
    count[Count.RUNNING] += 1
