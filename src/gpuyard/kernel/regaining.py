"""Make room for a job among tenants: what was lent is taken back, and what its own tenant needs less.

Candidates are taken off one by one until quotas and limits admit the job and it can be placed; going back, each is
put back if that still holds.  ``docs/semantics.md``, *Making room among tenants*, is the specification.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from gpuyard.kernel.bits import nth
from gpuyard.kernel.booty import drop_prey, put_prey, refresh
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.counting import count_away, count_back, nodes_for
from gpuyard.kernel.hunt import try_place, undo_place
from gpuyard.kernel.imagined import put_back, take_away
from gpuyard.kernel.jit import compiler, inlined, kernel, pointed
from gpuyard.kernel.lending import note_borrower, settle_borrowers, tenant_of
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.pairing import take_out
from gpuyard.kernel.placement import Placer, Releaser, place_plain, release_plain
from gpuyard.kernel.quotas import charge, fair_share, holder_of, is_within_quota, resource_held, resources_of
from gpuyard.kernel.stays import Stays, Terms
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Reclaim, Share, Tenancy
from gpuyard.kernel.vain import forget_vain, is_vain, note_if_vain

__all__ = ["Regainer", "regain", "regain_nothing", "regainer_signature"]

_FAIR, _BORROWED, _OWN = 0, 2, 3
"""Stages: fair sharing's two strategies, jobs of those that borrow, jobs of the same tenant."""

Regainer: TypeAlias = Callable[[Jobs, Records, Site, Log, Events, Stays, Tenancy, Placer, Releaser, int, int], int]
"""Makes room for a job of a tenant; see :func:`regain`."""


def regainer_signature(before: Sequence[Any], placing: tuple[Any, ...]) -> Any:
    """Return numba's signature of a :data:`Regainer`, of the types of what a loop takes up to its tenants."""
    jobs, demand, _, site, _, log, events = before[:7]
    whole = compiler.types.int64
    return whole(jobs, demand, site, log, events, *before[-2:], *placing, whole, whole)


@pointed
def regain_nothing(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    placer: Placer,
    releaser: Releaser,
    row: int,
    now: int,
) -> int:
    """Stand in where nobody is preempted: never called."""
    return 0


@pointed
def regain(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    placer: Placer,
    releaser: Releaser,
    row: int,
    now: int,
) -> int:
    """Place a job where others run; return how many of ``Stays.catch`` were taken off, 0 if there is no room even so.

    Those that are not marked as spared have been released and are charged to nobody any more, and the job, which is
    not charged yet, holds the slots written last.
    """
    settle_borrowers(tenancy)
    number = int(tenancy.ledger.asker_of[nth(row)])
    if is_vain(stays, tenancy, row, number):
        return 0
    refresh(jobs, stays, tenancy, now)
    asker = tenancy.ledger.asker[nth(number)]
    wish, resource = int(asker["wish"]), int(asker["resource"])
    if resource != ANY_TYPE:
        return _make_room(jobs, demand, site, log, events, stays, tenancy, placer, releaser, row, wish, resource)
    types = resources_of(tenancy.ledger)
    for kind in range(types):
        if demand[nth(wish)]["kinds"] >> kind & 1:
            only = int(tenancy.variant[nth(wish * types + kind)])
            taken = _make_room(jobs, demand, site, log, events, stays, tenancy, placer, releaser, row, only, kind)
            if taken > 0:
                return taken
    return 0


@inlined
def _first_stage(tenancy: Tenancy, number: int, resource: int) -> int:
    """Return the stage with which making room for a job of an asker begins."""
    reclaim = tenancy.ledger.state[Share.RECLAIM]
    if resource == NOBODY or reclaim == Reclaim.NEVER:
        return _OWN
    if reclaim == Reclaim.FAIR:
        return _FAIR
    return _BORROWED if is_within_quota(tenancy.ledger, number, resource) else _OWN


@kernel
def _make_room(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    placer: Placer,
    releaser: Releaser,
    row: int,
    wish: int,
    resource: int,
) -> int:
    """Make room for a job on one type, or wherever it may be; return what :func:`regain` does.

    NOBODY: even without all candidates, only jobs of its own tenant can change that its quota does not admit it.
    """
    number = int(tenancy.ledger.asker_of[nth(row)])
    tenant = int(tenancy.ledger.asker[nth(number)]["tenant"])
    level = level_of_waiting(stays, row)
    stage = _first_stage(tenancy, number, resource)
    share = 0.0
    if stage == _FAIR:
        share = fair_share(tenancy.ledger, tenant, resource, int(tenancy.ledger.asker[nth(number)]["gpus"]))
    first = int(events.counter[Count.SLOTS])
    counted, asked = stays.terms[Terms.COUNTED] > 0, demand[nth(wish)]
    many, large, rest = int(asked["many"]), int(asked["large"]), int(asked["rest"])
    fitting, smaller = nodes_for(site, asked) if counted else (0, 0)
    taken, noted, left, passed = 0, 0, 0, 0
    placed, own = False, stage == _OWN
    while not placed and stage <= _OWN:
        found, left, passed = _next(jobs, site, log, tenancy, tenant, resource, level, share, stage, left, passed)
        if found == NOBODY:
            if stage < _BORROWED:
                passed = _bring_back(tenancy, passed)
            stage = _OWN if stage + 1 == _BORROWED else stage + 1
            continue
        this = stays.catch[nth(taken)]
        this["row"] = found
        this["spared"] = 0
        this["gpus"] = noted
        drop_prey(tenancy, found)
        _shift_charge(jobs, site, log, tenancy, found, -1)
        if stage <= _BORROWED:
            note_borrower(tenancy, tenant_of(tenancy, found))
        taken += 1
        if counted:
            more, more_rest = count_away(jobs, site, log, stays, found, large, rest)
            fitting, smaller = fitting + more, smaller + more_rest
            if fitting < many or (rest > 0 and smaller <= many):
                continue
        else:
            noted = take_away(jobs, demand, site, log, stays.noted_gpu, releaser, found, noted)
        if holder_of(tenancy.ledger, number, resource)[0] == NOBODY:
            placed = counted or try_place(demand, site, log, events, placer, row, wish)
    if placed and counted:
        _spare_by_counts(jobs, demand, site, log, events, stays, tenancy, row, wish, taken, fitting, smaller)
    elif placed:
        _spare(jobs, demand, site, log, events, stays, tenancy, placer, releaser, row, wish, resource, taken, first)
    else:
        own = own and _is_held_by_own(tenancy, number, resource)
        note_if_vain(
            stays, tenancy, number, row, resource, share, left, many - fitting, many + 1 - smaller if rest > 0 else 0
        )
        _put_all_back(jobs, demand, site, log, stays, tenancy, taken, noted, large, rest)
        taken = 0
    _bring_back(tenancy, passed)
    _note_borrowers(stays, tenancy, left, taken)
    return NOBODY if own and not placed else taken


@inlined
def _note_borrowers(stays: Stays, tenancy: Tenancy, left: int, taken: int) -> None:
    """Bring those up to date who were left out, and whose jobs were taken off."""
    for place in range(left):
        note_borrower(tenancy, int(tenancy.booty.seen[nth(place)]))
    for place in range(taken):
        note_borrower(tenancy, tenant_of(tenancy, int(stays.catch[nth(place)]["row"])))
    if taken > 0:
        forget_vain(tenancy)


@inlined
def _is_held_by_own(tenancy: Tenancy, number: int, resource: int) -> bool:
    """Return whether a job is not admitted by its tenant's own quota, to which no tenant below it is charged."""
    ledger = tenancy.ledger
    asker = ledger.asker[nth(number)]
    at, _ = holder_of(ledger, number, resource)
    tenant = int(asker["tenant"])
    return bool(resource != NOBODY and at == asker["first_link"] and ledger.tenant[nth(tenant)]["end"] == tenant + 1)


@inlined
def _shift_charge(jobs: Jobs, site: Site, log: Log, tenancy: Tenancy, row: int, sign: int) -> None:
    """Charge a running job, or take it off what it is charged to."""
    charge(
        tenancy.ledger,
        int(tenancy.ledger.asker_of[nth(row)]),
        resource_held(jobs, site, log, tenancy.ledger, row),
        sign,
    )


@kernel
def _put_all_back(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    tenancy: Tenancy,
    taken: int,
    noted: int,
    large: int,
    rest: int,
) -> None:
    """Put back all that were taken off, the last first; tenants are looked at once where several of theirs follow."""
    for place in range(taken - 1, -1, -1):
        row = int(stays.catch[nth(place)]["row"])
        if stays.terms[Terms.COUNTED] > 0:
            count_back(jobs, site, log, stays, row, large, rest)
        else:
            noted = put_back(jobs, demand, site, log, stays.noted_gpu, row, noted)
        _shift_charge(jobs, site, log, tenancy, row, 1)
        put_prey(tenancy, row)
        tenant = tenant_of(tenancy, row)
        if place == 0 or tenant_of(tenancy, int(stays.catch[nth(place - 1)]["row"])) != tenant:
            note_borrower(tenancy, tenant)


@kernel
def _spare(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    placer: Placer,
    releaser: Releaser,
    row: int,
    wish: int,
    resource: int,
    taken: int,
    first: int,
) -> None:
    """Put those back who are not needed, from the last but one to the first; the job stays placed."""
    number = int(tenancy.ledger.asker_of[nth(row)])
    for place in range(taken - 2, -1, -1):
        this = stays.catch[nth(place)]
        found = int(this["row"])
        _shift_charge(jobs, site, log, tenancy, found, 1)
        if holder_of(tenancy.ledger, number, resource)[0] != NOBODY:
            _shift_charge(jobs, site, log, tenancy, found, -1)
            continue
        undo_place(demand, site, log, events, releaser, row, wish, first)
        put_back(jobs, demand, site, log, stays.noted_gpu, found, int(stays.catch[nth(place + 1)]["gpus"]))
        if try_place(demand, site, log, events, placer, row, wish):
            this["spared"] = 1
            put_prey(tenancy, found)
        else:
            _shift_charge(jobs, site, log, tenancy, found, -1)
            take_away(jobs, demand, site, log, stays.noted_gpu, releaser, found, int(this["gpus"]))
            try_place(demand, site, log, events, placer, row, wish)


@kernel
def _spare_by_counts(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    events: Events,
    stays: Stays,
    tenancy: Tenancy,
    row: int,
    wish: int,
    taken: int,
    fitting: int,
    smaller: int,
) -> None:
    """As :func:`_spare`, where nobody is off the site yet and the job not placed; ``fitting`` nodes would have room.

    Then those who are needed are released, and the job is placed: it goes where it went in the last of the trials.
    """
    number, asked = int(tenancy.ledger.asker_of[nth(row)]), demand[nth(wish)]
    resource = int(tenancy.ledger.asker[nth(number)]["resource"])
    many, large, rest = int(asked["many"]), int(asked["large"]), int(asked["rest"])
    for place in range(taken - 2, -1, -1):
        this = stays.catch[nth(place)]
        found = int(this["row"])
        lost, lost_rest = count_back(jobs, site, log, stays, found, large, rest)
        if fitting - lost >= many and (rest == 0 or smaller - lost_rest > many):
            _shift_charge(jobs, site, log, tenancy, found, 1)
            if holder_of(tenancy.ledger, number, resource)[0] == NOBODY:
                this["spared"] = 1
                fitting, smaller = fitting - lost, smaller - lost_rest
                put_prey(tenancy, found)
                continue
            _shift_charge(jobs, site, log, tenancy, found, -1)
        count_away(jobs, site, log, stays, found, large, rest)
    for place in range(taken):
        this = stays.catch[nth(place)]
        if this["spared"] == 0:
            count_back(jobs, site, log, stays, int(this["row"]), large, rest)
            claim = jobs.claim[nth(this["row"])]
            release_plain(site, log, int(claim["slot"]), int(claim["slots"]))
    place_plain(site, log, events, large, many, rest)


@kernel
def _next(
    jobs: Jobs,
    site: Site,
    log: Log,
    tenancy: Tenancy,
    tenant: int,
    resource: int,
    level: int,
    share: float,
    stage: int,
    left: int,
    passed: int,
) -> tuple[int, int, int]:
    """Return who is taken next in a stage, or NOBODY; how many tenants were left out, and jobs passed over, so far.

    They stand at the beginning and at the end of ``Booty.seen``, there also tenants of whom all are passed over.
    """
    if stage == _OWN:
        found = int(tenancy.ledger.tenant[nth(tenant)]["prey"])
        if found == NOBODY or -tenancy.booty.prey.item[nth(found)]["first"] <= level:
            return NOBODY, left, passed
        return found, left, passed
    if stage == _BORROWED:
        return _next_borrowed(jobs, site, log, tenancy, tenant, resource, level, left, passed)
    return _next_fair(jobs, site, log, tenancy, tenant, resource, share, stage, left, passed)


@inlined
def _pass_over(tenancy: Tenancy, row: int, passed: int) -> int:
    """Take a job out of its tenant's for the time being; return how many are passed over."""
    drop_prey(tenancy, row)
    tenancy.booty.seen[nth(tenancy.booty.seen.size - 1 - passed)] = row
    return passed + 1


@kernel
def _bring_back(tenancy: Tenancy, passed: int) -> int:
    """Put those back who were passed over; return 0."""
    for number in range(passed):
        row = int(tenancy.booty.seen[nth(tenancy.booty.seen.size - 1 - number)])
        if row < NOBODY:
            note_borrower(tenancy, NOBODY - 1 - row)
            continue
        put_prey(tenancy, row)
        note_borrower(tenancy, tenant_of(tenancy, row))
    return 0


@inlined
def _pass_tenant(tenancy: Tenancy, other: int, passed: int) -> int:
    """As :func:`_pass_over`, all jobs of a tenant at once, which stay where they are."""
    state = tenancy.ledger.state
    state[Share.BORROWERS] = take_out(tenancy.booty.borrowers, int(state[Share.BORROWERS]), other)
    tenancy.booty.borrowers.item[nth(other)]["heap"] = 0
    tenancy.booty.seen[nth(tenancy.booty.seen.size - 1 - passed)] = NOBODY - 1 - other
    return passed + 1


@inlined
def _leave_out(tenancy: Tenancy, other: int, left: int) -> int:
    """Take a tenant out of those that borrow until room is made; return how many are left out."""
    state = tenancy.ledger.state
    state[Share.BORROWERS] = take_out(tenancy.booty.borrowers, other, other)
    tenancy.booty.borrowers.item[nth(other)]["heap"] = 0
    tenancy.booty.seen[nth(left)] = other
    return left + 1


@kernel
def _next_borrowed(
    jobs: Jobs,
    site: Site,
    log: Log,
    tenancy: Tenancy,
    tenant: int,
    resource: int,
    level: int,
    left: int,
    passed: int,
) -> tuple[int, int, int]:
    """Return the first in the list of those whose tenants borrow from a tenant, as :func:`_next` does."""
    state = tenancy.ledger.state
    while state[Share.BORROWERS] != NOBODY:
        other = int(state[Share.BORROWERS])
        found = int(tenancy.ledger.tenant[nth(other)]["prey"])
        if state[Share.RECLAIM] == Reclaim.LOWER and -tenancy.booty.prey.item[nth(found)]["first"] <= level:
            break
        if other == tenant or not _borrows_from(tenancy, other, tenant, resource):
            left = _leave_out(tenancy, other, left)
        elif resource_held(jobs, site, log, tenancy.ledger, found) != resource:
            passed = _pass_over(tenancy, found, passed)
            note_borrower(tenancy, other)
        else:
            return found, left, passed
    return NOBODY, left, passed


@kernel
def _borrows_from(tenancy: Tenancy, other: int, tenant: int, resource: int) -> bool:
    """Return whether what a tenant's own jobs hold is borrowed from another.

    Its own jobs are above its own nominal quota, and it and each tenant above it that is not the other or above the
    other is above its quota.
    """
    resources = resources_of(tenancy.ledger)
    own = tenancy.ledger.quota[nth(other * resources + resource)]
    if own["own_used"] <= own["own_nominal"]:
        return False
    node = other
    while node != NOBODY and not node <= tenant < tenancy.ledger.tenant[nth(node)]["end"]:
        quota = tenancy.ledger.quota[nth(node * resources + resource)]
        if quota["used"] <= quota["nominal"]:
            return False
        node = int(tenancy.ledger.tenant[nth(node)]["parent"])
    return True


@kernel
def _next_fair(
    jobs: Jobs,
    site: Site,
    log: Log,
    tenancy: Tenancy,
    tenant: int,
    resource: int,
    share: float,
    strategy: int,
    left: int,
    passed: int,
) -> tuple[int, int, int]:
    """Return the first of the tenant that borrows most whom a strategy allows to take, as :func:`_next` does.

    None of those that borrow less may be taken either, once a tenant's share is too small with all that it holds; nor,
    under the first strategy, any job of a tenant whose share would be too small without as little as its jobs ask for.
    """
    ledger, state = tenancy.ledger, tenancy.ledger.state
    while state[Share.BORROWERS] != NOBODY:
        other = int(state[Share.BORROWERS])
        most = -tenancy.booty.borrowers.item[nth(other)]["share"]
        if most <= 0.0 or most < share or (strategy > _FAIR and most == share):
            break
        found = int(ledger.tenant[nth(other)]["prey"])
        gpus = int(ledger.asker[nth(ledger.asker_of[nth(found)])]["gpus"])
        if other == tenant or not _borrows_from(tenancy, other, tenant, resource):
            left = _leave_out(tenancy, other, left)
        elif resource_held(jobs, site, log, ledger, found) != resource or (
            strategy == _FAIR and share > fair_share(ledger, other, resource, -gpus)
        ):
            if strategy == _FAIR and share > fair_share(
                ledger, other, resource, -int(ledger.tenant[nth(other)]["least"])
            ):
                passed = _pass_tenant(tenancy, other, passed)
            else:
                passed = _pass_over(tenancy, found, passed)
                note_borrower(tenancy, other)
        else:
            return found, left, passed
    return NOBODY, left, passed
