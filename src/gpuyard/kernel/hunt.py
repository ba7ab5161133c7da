"""Make room for a job: who is taken off the cluster, who of these is spared, and that the job can be placed then.

Candidates are taken off one by one until the job finds room; going back, each is put back if it still does.  On a site
of plain jobs nodes are counted; otherwise the jobs are taken off and put back in fact.  What few runs need is behind a
pointer, so that the others do not compile it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count, Placement
from gpuyard.kernel.imagined import put_back, take_away
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import compiler, inlined, kernel, pointed
from gpuyard.kernel.placement import Placer, Releaser, place_plain, release_plain
from gpuyard.kernel.prey import candidate, list_candidates, may_reach, tell_apart
from gpuyard.kernel.stays import Gain, Stays, Terms
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site

__all__ = [
    "Hunter",
    "hunt_by_trial",
    "hunt_listed",
    "hunt_nothing",
    "hunter_signature",
    "make_room",
    "try_place",
    "undo_place",
]

Hunter: TypeAlias = Callable[[Jobs, Records, Site, Log, Events, Stays, Placer, Releaser, int, int, int], int]
"""Makes room for a job where not all jobs are plain, or not all stand in order; else :func:`make_room` does."""


def hunter_signature(before: Sequence[Any], placing: tuple[Any, ...]) -> Any:
    """Return numba's signature of a :data:`Hunter`, of the types of what a loop takes up to its stays."""
    jobs, demand, _, site, _, log, events = before[:7]
    whole = compiler.types.int64
    return whole(jobs, demand, site, log, events, before[-1], *placing, whole, whole, whole)


@kernel
def make_room(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    hunter: Hunter,
    placer: Placer,
    releaser: Releaser,
    row: int,
    level: int,
    now: int,
    origin: int,
) -> int:
    """Place a job that found no room where less urgent ones run; return how many of ``Stays.catch`` were taken off.

    Those that are not marked as spared have been released, and the job holds the slots written last.  0: there is no
    room even without all of them, and nothing changed.
    """
    stays.state[Gain.SHORT] = 1
    tell_apart(jobs, site, log, stays, now, origin, NEVER)
    if stays.prey.size[0] == 0:
        return 0
    if stays.terms[Terms.COUNTED] == 0:
        return hunter(jobs, demand, site, log, events, stays, placer, releaser, row, level, now)
    wish = int(jobs.claim[nth(row)]["demand"])
    return _make_by_counts(jobs, demand, site, log, events, stays, wish, level, now, False)


@kernel
def _make_by_counts(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    wish: int,
    level: int,
    now: int,
    listed: bool,
) -> int:
    """Make room for a plain job among plain jobs, and place it; return what :func:`make_room` does."""
    if not may_reach(site, stays, demand[nth(wish)], level):
        return 0
    taken = _by_counts(jobs, demand, site, log, stays, wish, level, now, listed)
    for number in range(taken):
        if stays.catch[nth(number)]["spared"] == 0:
            claim = jobs.claim[nth(stays.catch[nth(number)]["row"])]
            release_plain(site, log, int(claim["slot"]), int(claim["slots"]))
    if taken > 0:
        asked = demand[nth(wish)]
        place_plain(site, log, events, int(asked["large"]), int(asked["many"]), int(asked["rest"]))
    return taken


@inlined
def _after(stays: Stays, chunk: int, at: int) -> tuple[int, int]:
    """Return the chunk and the place of the entry after one."""
    if chunk < stays.prey.size[0] and at + 1 < stays.prey.held[nth(stays.prey.order[nth(chunk)])]:
        return chunk, at + 1
    return chunk + 1, 0


# --- plain jobs: by counts ---------------------------------------------------------------------------------


@kernel
def _by_counts(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    wish: int,
    level: int,
    now: int,
    listed: bool,
) -> int:
    """Choose whom to take off for a plain job among plain jobs; return how many are noted, 0 if that is not enough."""
    asked = demand[nth(wish)]
    large, many, rest = int(asked["large"]), int(asked["many"]), int(asked["rest"])
    chunks = many + (rest > 0)
    fitting = members(site.openings, 1, large, site.node.size)
    fitting_rest = members(site.openings, 1, rest, site.node.size) if rest > 0 else chunks
    taken, chunk, at = 0, 0, 0
    found = NOBODY
    while fitting < many or fitting_rest < chunks:
        found = candidate(stays, listed, taken, chunk, at, level, now)
        if found == NOBODY:
            break
        this = stays.catch[nth(taken)]
        this["row"] = found
        this["spared"] = 0
        taken += 1
        chunk, at = _after(stays, chunk, at)
        claim = jobs.claim[nth(found)]
        for number in range(claim["slot"], claim["slot"] + claim["slots"]):
            node, back = nth(int(log.slots[nth(number)]["node"])), int(log.slots[nth(number)]["gpus"])
            before = int(site.node[node]["free"]) + int(stays.returned[node])
            stays.returned[node] += back
            fitting += before < large <= before + back
            fitting_rest += rest > 0 and before < rest <= before + back
    if found != NOBODY:
        _spare(jobs, site, log, stays, taken, large, many, rest, fitting, fitting_rest)
    else:
        stays.state[Gain.SHORT] = max(many - fitting, chunks - fitting_rest, 1)
    for place in range(taken):
        claim = jobs.claim[nth(stays.catch[nth(place)]["row"])]
        for number in range(claim["slot"], claim["slot"] + claim["slots"]):
            stays.returned[nth(int(log.slots[nth(number)]["node"]))] = 0
    return taken if found != NOBODY else 0


@kernel
def _spare(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    taken: int,
    large: int,
    many: int,
    rest: int,
    fitting: int,
    fitting_rest: int,
) -> None:
    """Mark those whose nodes are not needed, from the last but one to the first."""
    chunks = many + (rest > 0)
    for place in range(taken - 2, -1, -1):
        claim = jobs.claim[nth(stays.catch[nth(place)]["row"])]
        lost, lost_rest = 0, 0
        for number in range(claim["slot"], claim["slot"] + claim["slots"]):
            node, back = nth(int(log.slots[nth(number)]["node"])), int(log.slots[nth(number)]["gpus"])
            with_it = int(site.node[node]["free"]) + int(stays.returned[node])
            lost += with_it - back < large <= with_it
            lost_rest += rest > 0 and with_it - back < rest <= with_it
        if fitting - lost < many or fitting_rest - lost_rest < chunks:
            continue
        fitting -= lost
        fitting_rest -= lost_rest
        stays.catch[nth(place)]["spared"] = 1
        for number in range(claim["slot"], claim["slot"] + claim["slots"]):
            stays.returned[nth(int(log.slots[nth(number)]["node"]))] -= int(log.slots[nth(number)]["gpus"])


# --- all others: by trial ----------------------------------------------------------------------------------


@pointed
def hunt_nothing(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    placer: Placer,
    releaser: Releaser,
    row: int,
    level: int,
    now: int,
) -> int:
    """Stand in where none is needed: never called."""
    return 0


@pointed
def hunt_listed(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    placer: Placer,
    releaser: Releaser,
    row: int,
    level: int,
    now: int,
) -> int:
    """Make room where all jobs are plain, and whom to take off first changes with time."""
    wish = int(jobs.claim[nth(row)]["demand"])
    listed = list_candidates(jobs, stays, level, now)
    return _make_by_counts(jobs, demand, site, log, events, stays, wish, level, now, listed)


@pointed
def hunt_by_trial(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    placer: Placer,
    releaser: Releaser,
    row: int,
    level: int,
    now: int,
) -> int:
    """Take candidates off until the job can be placed, put back who is not needed, and place it.

    A job that can be placed still can with more room, but for blocks: there it is tried after each that is taken off,
    otherwise in growing steps, and then between the last two.  Likewise it still can where its nodes are not touched.
    """
    listed = list_candidates(jobs, stays, level, now)
    wish = int(jobs.claim[nth(row)]["demand"])
    first = int(events.counter[Count.SLOTS])
    steady = site.rule != Placement.TOPOLOGY_BLOCK
    taken, chunk, at, noted, failed, step = 0, 0, 0, 0, 0, 1
    placed = False
    while not placed:
        found = candidate(stays, listed, taken, chunk, at, level, now)
        if found != NOBODY:
            this = stays.catch[nth(taken)]
            this["row"] = found
            this["spared"] = 0
            this["gpus"] = noted
            noted = take_away(jobs, demand, site, log, stays.noted_gpu, releaser, found, noted)
            taken += 1
            chunk, at = _after(stays, chunk, at)
        if taken == failed:
            break
        if found == NOBODY or taken == failed + step:
            placed = try_place(demand, site, log, events, placer, row, wish)
            if not placed:
                failed = taken
                step += step if steady else 0
    if not placed:
        _move(jobs, demand, site, log, stays, releaser, taken, 0, noted)
        return 0
    off = taken
    while taken - failed > 1:
        middle = (taken + failed) >> 1
        if placed:
            undo_place(demand, site, log, events, releaser, row, wish, first)
        noted = _move(jobs, demand, site, log, stays, releaser, off, middle, noted)
        off = middle
        placed = try_place(demand, site, log, events, placer, row, wish)
        if placed:
            taken = middle
        else:
            failed = middle
    if not placed:
        _move(jobs, demand, site, log, stays, releaser, off, taken, noted)
        try_place(demand, site, log, events, placer, row, wish)
    _spare_by_trial(jobs, demand, site, log, events, stays, placer, releaser, row, wish, taken, first, steady)
    return taken


@kernel
def _move(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    releaser: Releaser,
    off: int,
    wanted: int,
    noted: int,
) -> int:
    """Let so many candidates be off, of which the first ``off`` are; return how many GPUs are noted then."""
    for place in range(off, wanted):
        row = int(stays.catch[nth(place)]["row"])
        noted = take_away(jobs, demand, site, log, stays.noted_gpu, releaser, row, noted)
    for place in range(off - 1, wanted - 1, -1):
        noted = put_back(jobs, demand, site, log, stays.noted_gpu, int(stays.catch[nth(place)]["row"]), noted)
    return noted


@kernel
def _spare_by_trial(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    placer: Placer,
    releaser: Releaser,
    row: int,
    wish: int,
    taken: int,
    first: int,
    steady: bool,
) -> None:
    """Put back who is not needed by a job that is placed in the slots from ``first`` on, the last but one first."""
    stale = False
    for place in range(taken - 2, -1, -1):
        this = stays.catch[nth(place)]
        end = int(stays.catch[nth(place + 1)]["gpus"])
        if steady and not _meets(log, jobs.claim[nth(this["row"])], first, int(events.counter[Count.SLOTS])):
            put_back(jobs, demand, site, log, stays.noted_gpu, int(this["row"]), end)
            this["spared"] = 1
            stale = True
            continue
        undo_place(demand, site, log, events, releaser, row, wish, first)
        put_back(jobs, demand, site, log, stays.noted_gpu, int(this["row"]), end)
        stale = False
        if try_place(demand, site, log, events, placer, row, wish):
            this["spared"] = 1
        else:
            take_away(jobs, demand, site, log, stays.noted_gpu, releaser, int(this["row"]), int(this["gpus"]))
            try_place(demand, site, log, events, placer, row, wish)
    if stale:
        undo_place(demand, site, log, events, releaser, row, wish, first)
        try_place(demand, site, log, events, placer, row, wish)


@kernel
def _meets(log: Log, claim: Any, first: int, end: int) -> bool:
    """Return whether a job holds anything on the nodes of the slots from ``first`` to before ``end``."""
    for mine in range(claim["slot"], claim["slot"] + claim["slots"]):
        for its in range(first, end):
            if log.slots[nth(mine)]["node"] == log.slots[nth(its)]["node"]:
                return True
    return False


@inlined
def try_place(demand: Records, site: Site, log: Log, events: Events, placer: Placer, row: int, wish: int) -> bool:
    """Place a job with a demand; return whether it found room."""
    asked = demand[nth(wish)]
    if asked["plain"] == 0:
        return placer(site, demand, log, events, row, wish)
    return place_plain(site, log, events, int(asked["large"]), int(asked["many"]), int(asked["rest"]))


@kernel
def undo_place(
    demand: Records, site: Site, log: Log, events: Events, releaser: Releaser, row: int, wish: int, first: int
) -> None:
    """Undo the placement of a job in the slots from ``first`` on."""
    slots = int(events.counter[Count.SLOTS]) - first
    if demand[nth(wish)]["plain"] == 0:
        releaser(site, demand, log, row, wish, first, slots)
    else:
        release_plain(site, log, first, slots)
    events.counter[Count.SLOTS] = first
