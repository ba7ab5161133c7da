"""Running jobs that may be taken away: in which order, and how much room there would be without them.

Who starts is noted, and told apart only when somebody looks for room: most jobs have ended by then.

``reach`` counts, for each level that splits them (a *cut*), the GPUs of every node that are free or held by jobs above
it.  It is kept where levels are few and jobs plain, and says at once who would find no room even so.
"""

from __future__ import annotations

from gpuyard.kernel.agenda import enter, strike
from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.expectations import CHUNK_ROOM
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import prey_key, running_level
from gpuyard.kernel.prey_order import sort_prey
from gpuyard.kernel.stays import LEVEL_SHIFT, Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Jobs, Log, Records, Site
from gpuyard.kernel.worth import price

__all__ = [
    "announce",
    "candidate",
    "keep_out",
    "list_candidates",
    "look_again",
    "may_reach",
    "tell_apart",
    "withdraw",
]


@kernel
def _shift_reach(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int, first: int, last: int, sign: int) -> None:
    """Count what a job holds for or against the cuts from ``first`` to before ``last``."""
    nodes, keys = site.node.size, site.openings.n_keys
    claim = jobs.claim[nth(row)]
    for number in range(claim["slot"], claim["slot"] + claim["slots"]):
        node, gpus = int(log.slots[nth(number)]["node"]), sign * int(log.slots[nth(number)]["gpus"])
        for cut in range(first, last):
            at = nth(cut * nodes + node)
            before = int(stays.reach[at])
            stays.reached[nth(cut * keys + before)] -= 1
            stays.reached[nth(cut * keys + before + gpus)] += 1
            stays.reach[at] = before + gpus


@inlined
def _cuts(site: Site, stays: Stays) -> int:
    return stays.reach.size // site.node.size


@kernel
def _offer(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int, now: int, origin: int) -> None:
    """Let a running job be taken away from now on if it may be."""
    this, terms = stays.stay[nth(row)], stays.terms
    if this["fixed"] > 0 or this["times"] >= terms[Terms.MOST] or now - this["since"] < this["min_run"]:
        return
    level = running_level(stays, row, int(jobs.claim[nth(row)]["demand"]), now)
    if terms[Terms.RULE] == Rule.SLICE and level == 0:
        return
    this["level"] = level
    this["key"] = prey_key(stays, row, level, origin)
    enter(stays.prey, int(this["key"]), row)
    if stays.reach.size > 0:
        _shift_reach(jobs, site, log, stays, row, 0, level, 1)


@kernel
def _let_go(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int) -> None:
    """Let a running job not be taken away any more."""
    this = stays.stay[nth(row)]
    if this["level"] == NOBODY:
        return
    strike(stays.prey, int(this["key"]), row)
    if stays.reach.size > 0:
        _shift_reach(jobs, site, log, stays, row, 0, int(this["level"]), -1)
    this["level"] = NOBODY


@kernel
def keep_out(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int) -> None:
    """Note what is held for good, until it is withdrawn."""
    if stays.reach.size > 0:
        _shift_reach(jobs, site, log, stays, row, 0, _cuts(site, stays), -1)


@inlined
def announce(stays: Stays, row: int) -> None:
    """Note that a job runs."""
    number = stays.state[Gain.FRESH]
    stays.fresh[nth(number)] = row
    stays.stay[nth(row)]["fresh"] = number
    stays.state[Gain.FRESH] = number + 1


@kernel
def withdraw(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int) -> None:
    """Note that a job does not run any more; its slots are those that it had."""
    this = stays.stay[nth(row)]
    if this["fresh"] == NOBODY:
        _let_go(jobs, site, log, stays, row)
        if stays.reach.size > 0:
            _shift_reach(jobs, site, log, stays, row, 0, _cuts(site, stays), 1)
        return
    last = stays.state[Gain.FRESH] - 1
    moved = int(stays.fresh[nth(last)])
    stays.fresh[nth(this["fresh"])] = moved
    stays.stay[nth(moved)]["fresh"] = this["fresh"]
    this["fresh"] = NOBODY
    stays.state[Gain.FRESH] = last


@kernel
def tell_apart(jobs: Jobs, site: Site, log: Log, stays: Stays, now: int, origin: int, until: int) -> None:
    """Let those be taken away who started since the last time, before the instant ``until``, and may be."""
    kept = 0
    for number in range(stays.state[Gain.FRESH]):
        row = int(stays.fresh[nth(number)])
        if stays.stay[nth(row)]["since"] >= until:
            stays.fresh[nth(kept)] = row
            stays.stay[nth(row)]["fresh"] = kept
            kept += 1
            continue
        stays.stay[nth(row)]["fresh"] = NOBODY
        keep_out(jobs, site, log, stays, row)
        _offer(jobs, site, log, stays, row, now, origin)
    stays.state[Gain.FRESH] = kept


@kernel
def look_again(jobs: Jobs, site: Site, log: Log, stays: Stays, row: int, now: int, origin: int) -> None:
    """Bring the place of a running job among those who may be taken away up to date: its level changed, or it may."""
    if stays.stay[nth(row)]["fresh"] == NOBODY:
        _let_go(jobs, site, log, stays, row)
        _offer(jobs, site, log, stays, row, now, origin)


@kernel
def may_reach(site: Site, stays: Stays, asked: Records, level: int) -> bool:
    """Return whether a plain job would find room if all jobs above its level were away; True where it is not known.

    If not, say how many more nodes at least would have to change.
    """
    if stays.reach.size == 0:
        return True
    keys = site.openings.n_keys
    large, many, rest = int(asked["large"]), int(asked["many"]), int(asked["rest"])
    fitting, short = 0, many
    for key in range(keys - 1, 0, -1):
        if key < large and (rest == 0 or key < rest):
            break
        fitting += int(stays.reached[nth(level * keys + key)])
        if key == large:
            short = many - fitting
    short = max(short, many + (rest > 0) - fitting)
    stays.state[Gain.SHORT] = max(short, 1)
    return short <= 0


@kernel
def list_candidates(jobs: Jobs, stays: Stays, level: int, now: int) -> bool:
    """List who may be taken away for a job of a level, where the order changes with time; return whether it does."""
    terms = stays.terms
    if terms[Terms.VICTIMS] == 0 and terms[Terms.RULE] != Rule.REMAINING_SERVICE:
        return False
    found = 0
    for place in range(stays.prey.size[0]):
        chunk = int(stays.prey.order[nth(place)])
        for at in range(stays.prey.held[nth(chunk)]):
            row = int(stays.prey.row[nth(chunk * CHUNK_ROOM + at)])
            wish = int(jobs.claim[nth(row)]["demand"])
            its = running_level(stays, row, wish, now)
            if its > level:
                this = stays.catch[nth(found)]
                this["row"] = row
                this["level"] = its
                this["loss"] = 0
                if terms[Terms.VICTIMS] > 0:
                    this["loss"] = price(jobs, stays, row, wish, now)
                found += 1
    sort_prey(stays.catch, found)
    stays.state[Gain.CAUGHT] = found
    return True


@kernel
def candidate(stays: Stays, listed: bool, number: int, chunk: int, at: int, level: int, now: int) -> int:
    """Return who is taken away after ``number`` others, or NOBODY: from the list, or from the agenda at a place.

    The agenda's key has the level, as :func:`gpuyard.kernel.levels.prey_key` wrote it.
    """
    if listed:
        return int(stays.catch[nth(number)]["row"]) if number < stays.state[Gain.CAUGHT] else NOBODY
    if chunk == stays.prey.size[0]:
        return NOBODY
    entry = nth(int(stays.prey.order[nth(chunk)]) * CHUNK_ROOM + at)
    its = -int(stays.prey.time[entry])
    its = max(its - now, 1) if stays.terms[Terms.RULE] == Rule.REMAINING else its >> LEVEL_SHIFT
    return int(stays.prey.row[entry]) if its > level else NOBODY
