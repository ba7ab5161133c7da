"""Make room for a job where nodes may be closed to it: whom to take off, and who of these is put back.

Candidates are taken off in fact, one by one, until quotas and limits admit the job and it can be placed on the nodes
that are open to it; going back, each is put back if that still holds.  A node that is hidden is shown while what a
candidate holds there is taken off or put back, so that it stays as well hidden as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.cohort_prey import next_of_cohorts
from gpuyard.kernel.hunt import try_place, undo_place
from gpuyard.kernel.imagined import put_back, take_away
from gpuyard.kernel.jit import compiler, inlined, kernel, pointed
from gpuyard.kernel.joint_admission import holder_of_asker
from gpuyard.kernel.joint_bounds import lacks_room
from gpuyard.kernel.joint_prey import (
    begin_fair,
    bound_of,
    is_candidate,
    is_lent,
    list_prey,
    may_take,
    next_fair,
    takes_back,
)
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.placement import Placer, Releaser
from gpuyard.kernel.quotas import charge, fair_share, holder_of, resource_held, resources_of
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Ledger, Reclaim, Share, Tenancy
from gpuyard.kernel.windows import Windows, conceal, reveal

__all__ = ["Roomer", "find_no_room", "find_room", "roomer_signature"]

_FAIR, _MORE_FAIR, _BORROWED, _OWN, _NONE = range(5)
"""Stages: fair sharing's two strategies, jobs of those that borrow, jobs of the same tenant.

Where cohorts share, the two strategies are all.
"""

Roomer: TypeAlias = Callable[
    [Jobs, Records, Site, Log, Events, Stays, Tenancy, Windows, Joint, Placer, Releaser, int, int], int
]
"""Makes room for a job; see :func:`find_room`."""


def roomer_signature(before: Sequence[Any], placing: tuple[Any, ...]) -> Any:
    """Return numba's signature of a :data:`Roomer`, of the types of what a loop takes up to it."""
    jobs, demand, _, site, _, log, events, stays = before[:8]
    tenancy, windows, joint = before[-3:]
    whole = compiler.types.int64
    return whole(jobs, demand, site, log, events, stays, tenancy, windows, joint, *placing, whole, whole)


@pointed
def find_no_room(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    windows: Windows,
    joint: Joint,
    placer: Placer,
    releaser: Releaser,
    row: int,
    now: int,
) -> int:
    """Stand in where nobody is preempted: never called."""
    return 0


@pointed
def find_room(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    windows: Windows,
    joint: Joint,
    placer: Placer,
    releaser: Releaser,
    row: int,
    now: int,
) -> int:
    """Place a job where others run; return how many of ``Stays.catch`` were taken off, 0 if there is no room even so.

    Those that are not marked as spared have been released and are charged to nobody any more, and the job, which is
    not charged yet, holds the slots written last.  The nodes that it may not use are hidden, before and after.
    """
    ledger = tenancy.ledger
    joint.state[Party.TRIED] = 0
    if joint.state[Party.LISTED] == NOBODY:
        list_prey(jobs, stays, ledger, joint, now)
    if joint.state[Party.LISTED] == 0:
        joint.state[Party.HOLDER] = holder_of_asker(ledger, row)
        return 0
    asker = ledger.asker[nth(ledger.asker_of[nth(row)])]
    wish, resource = int(asker["wish"]), int(asker["resource"])
    if resource != ANY_TYPE:
        return _make_room(
            jobs, demand, site, log, events, stays, ledger, windows, joint, placer, releaser, row, wish, resource
        )
    types = resources_of(ledger)
    for kind in range(types):
        if demand[nth(wish)]["kinds"] >> kind & 1:
            only = int(tenancy.variant[nth(wish * types + kind)])
            taken = _make_room(
                jobs, demand, site, log, events, stays, ledger, windows, joint, placer, releaser, row, only, kind
            )
            if taken > 0:
                return taken
    joint.state[Party.HOLDER] = NOBODY
    return 0


@inlined
def _first_stage(ledger: Ledger, number: int, resource: int) -> int:
    """Return the stage with which making room for a job of an asker begins."""
    if resource != NOBODY and ledger.state[Share.RECLAIM] in (Reclaim.FAIR, Reclaim.COHORTS):
        return _FAIR
    return _BORROWED if takes_back(ledger, number, resource) else _OWN


@inlined
def _stage_after(ledger: Ledger, stage: int) -> int:
    """Return the stage that follows another."""
    if stage != _MORE_FAIR:
        return stage + 1
    return _NONE if ledger.state[Share.RECLAIM] == Reclaim.COHORTS else _OWN


@kernel
def _make_room(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    windows: Windows,
    joint: Joint,
    placer: Placer,
    releaser: Releaser,
    row: int,
    wish: int,
    resource: int,
) -> int:
    """Make room for a job on one type, or wherever it may be; return what :func:`find_room` does."""
    number = int(ledger.asker_of[nth(row)])
    tenant = int(ledger.asker[nth(number)]["tenant"])
    level = level_of_waiting(stays, row)
    stage = _first_stage(ledger, number, resource)
    share = fair_share(ledger, tenant, resource, int(ledger.asker[nth(number)]["gpus"])) if stage == _FAIR else 0.0
    bound = -NEVER if stage == _FAIR else level
    if stage == _BORROWED:
        bound = bound_of(ledger, number, resource, level)
    joint.state[Party.TRY] += 1
    if joint.name_of.size == 0 and lacks_room(
        jobs, demand, site, log, stays, ledger, windows, joint, row, wish, resource, level, bound, share, stage != _OWN
    ):
        joint.state[Party.HOLDER] = NOBODY
        return 0
    joint.state[Party.TRIED] = 1
    if stage == _FAIR:
        begin_fair(joint)
    first = int(events.counter[Count.SLOTS])
    taken, noted, at = 0, 0, 0
    placed = False
    while not placed:
        at = _next(jobs, site, log, stays, ledger, joint, row, resource, level, bound, share, stage, at)
        if at == NOBODY:
            if stage == _FAIR:
                begin_fair(joint)
            stage = _stage_after(ledger, stage)
            if stage == _NONE:
                break
            at = 0
            continue
        joint.prey[nth(at)]["taken"] = joint.state[Party.TRY]
        this = stays.catch[nth(taken)]
        this["row"] = joint.prey[nth(at)]["row"]
        this["spared"] = 0
        this["gpus"] = noted
        noted = _take_off(jobs, demand, site, log, stays, ledger, windows, releaser, int(this["row"]), noted)
        taken += 1
        at += 1
        if holder_of(ledger, number, resource)[0] == NOBODY:
            placed = try_place(demand, site, log, events, placer, row, wish)
    if placed:
        _spare(
            jobs, demand, site, log, events, stays, ledger, windows, placer, releaser, row, wish, resource, taken, first
        )
        return taken
    at, _ = holder_of(ledger, number, resource)
    joint.state[Party.HOLDER] = NOBODY if at == NOBODY else ledger.link[nth(at)]["node"]
    while taken > 0:
        taken -= 1
        noted = _put_on(jobs, demand, site, log, stays, ledger, windows, int(stays.catch[nth(taken)]["row"]), noted)
    return 0


@inlined
def _next(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    row: int,
    resource: int,
    level: int,
    bound: int,
    share: float,
    stage: int,
    at: int,
) -> int:
    """Return who of the list is taken next in a stage, or NOBODY; before ``at`` all were looked at, but for fairness.

    Who is no candidate now will be none when others were taken: tenants borrow less and less.
    """
    number = int(ledger.asker_of[nth(row)])
    tenant = int(ledger.asker[nth(number)]["tenant"])
    if stage < _BORROWED and ledger.state[Share.RECLAIM] == Reclaim.COHORTS:
        return next_of_cohorts(jobs, site, log, stays, ledger, joint, number, resource, level, stage)
    if stage < _BORROWED:
        return next_fair(jobs, site, log, stays, ledger, joint, tenant, resource, share, stage)
    listed = joint.state[Party.LISTED]
    if stage == _BORROWED:
        while at < listed and joint.prey[nth(at)]["level"] > bound:
            if is_lent(jobs, site, log, stays, ledger, joint, at, tenant, resource):
                return at
            at += 1
        return NOBODY
    while at < listed and joint.prey[nth(at)]["level"] > level:
        other = int(joint.prey[nth(at)]["row"])
        its = int(ledger.asker[nth(ledger.asker_of[nth(other)])]["tenant"])
        if its == tenant and is_candidate(stays, joint, at) and may_take(joint, row, other):
            return at
        at += 1
    return NOBODY


@inlined
def _turn_over_nodes(jobs: Jobs, site: Site, log: Log, windows: Windows, row: int, shown: bool) -> None:
    """Show the hidden nodes that a job is on, or hide them again."""
    claim = jobs.claim[nth(row)]
    for number in range(claim["slot"], claim["slot"] + claim["slots"]):
        node = int(log.slots[nth(number)]["node"])
        if windows.hidden[nth(node)] > 0:
            if shown:
                reveal(site, node)
            else:
                conceal(site, node)


@inlined
def _charge_running(jobs: Jobs, site: Site, log: Log, ledger: Ledger, row: int, sign: int) -> None:
    """Charge a running job, or take it off what it is charged to."""
    charge(ledger, int(ledger.asker_of[nth(row)]), resource_held(jobs, site, log, ledger, row), sign)


@kernel
def _take_off(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    windows: Windows,
    releaser: Releaser,
    row: int,
    noted: int,
) -> int:
    """Take a running job off the site and off what it is charged to; return how many GPUs are noted then."""
    _charge_running(jobs, site, log, ledger, row, -1)
    _turn_over_nodes(jobs, site, log, windows, row, True)
    noted = take_away(jobs, demand, site, log, stays.noted_gpu, releaser, row, noted)
    _turn_over_nodes(jobs, site, log, windows, row, False)
    return noted


@kernel
def _put_on(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    windows: Windows,
    row: int,
    noted: int,
) -> int:
    """Put a job that was taken off back where it was; return how many GPUs remain noted."""
    _charge_running(jobs, site, log, ledger, row, 1)
    _turn_over_nodes(jobs, site, log, windows, row, True)
    noted = put_back(jobs, demand, site, log, stays.noted_gpu, row, noted)
    _turn_over_nodes(jobs, site, log, windows, row, False)
    return noted


@kernel
def _spare(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    ledger: Ledger,
    windows: Windows,
    placer: Placer,
    releaser: Releaser,
    row: int,
    wish: int,
    resource: int,
    taken: int,
    first: int,
) -> None:
    """Put those back who are not needed, from the last but one to the first; the job stays placed."""
    number = int(ledger.asker_of[nth(row)])
    for place in range(taken - 2, -1, -1):
        this = stays.catch[nth(place)]
        found = int(this["row"])
        _charge_running(jobs, site, log, ledger, found, 1)
        admitted = holder_of(ledger, number, resource)[0] == NOBODY
        _charge_running(jobs, site, log, ledger, found, -1)
        if not admitted:
            continue
        undo_place(demand, site, log, events, releaser, row, wish, first)
        _put_on(jobs, demand, site, log, stays, ledger, windows, found, int(stays.catch[nth(place + 1)]["gpus"]))
        if try_place(demand, site, log, events, placer, row, wish):
            this["spared"] = 1
        else:
            _take_off(jobs, demand, site, log, stays, ledger, windows, releaser, found, int(this["gpus"]))
            try_place(demand, site, log, events, placer, row, wish)
