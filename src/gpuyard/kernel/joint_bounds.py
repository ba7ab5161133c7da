"""Who finds no room whoever is taken away, told before anybody is: by sums, and of plain jobs by counts of nodes.

Who may be taken away in the end is among those who may be now: tenants and cohorts borrow less and less.  Whose share
is smaller than the asker's will be, even without those of its own jobs that may go, gives nothing under fair sharing.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.cohort_prey import counts_for
from gpuyard.kernel.cohort_shares import has_below, is_above, queue_share, share_below, tenant_share
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_prey import borrows_from, is_candidate
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.quotas import charge, fair_share, resource_held, resources_of
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import Ledger, Reclaim, Share
from gpuyard.kernel.windows import Windows

__all__ = ["lacks_room"]


@kernel
def lacks_room(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    windows: Windows,
    joint: Joint,
    row: int,
    wish: int,
    resource: int,
    level: int,
    bound: int,
    share: float,
    lent: bool,
) -> bool:
    """Return whether a job is known to find no room even if all were away that may be taken for it.

    Those are its tenant's jobs above a level and, if others' are ``lent``, what these borrow above a ``bound``;
    ``share`` is the asker's under ``reclaim = fair``.
    """
    state, queue = joint.state, joint.queue
    number = int(ledger.asker_of[nth(row)])
    tenant, gpus = int(ledger.asker[nth(number)]["tenant"]), int(ledger.asker[nth(number)]["gpus"])
    asked = demand[nth(wish)]
    large, rest = int(asked["large"]), int(asked["rest"])
    state[Party.LACKING], state[Party.SHORT], state[Party.SHORT_REST] = gpus - ledger.state[Share.FREE], 0, 0
    state[Party.COUNTED] = asked["plain"]
    if asked["plain"] > 0:
        state[Party.SHORT] = asked["many"] - members(site.openings, 1, large, site.node.size)
        if rest > 0:
            state[Party.SHORT_REST] = asked["many"] + 1 - members(site.openings, 1, rest, site.node.size)
    before = int(state[Party.LACKING])
    _count_queue(jobs, demand, site, log, stays, ledger, windows, joint, tenant, NOBODY, level, large, rest)
    given = lent and _is_short(joint)
    if given:
        _note_givers(ledger, joint, number, resource, share, before - int(state[Party.LACKING]))
        for place in range(state[Party.ROBBED]):
            other = int(queue[nth(place)]["robbed"])
            if queue[nth(other)]["gives"] == state[Party.TRY]:
                if queue[nth(other)]["greedy"] > 0:
                    _choose(jobs, site, log, stays, ledger, joint, other, resource)
                _count_queue(
                    jobs, demand, site, log, stays, ledger, windows, joint, other, resource, bound, large, rest
                )
    if asked["plain"] > 0:
        _forget(jobs, log, stays, joint, tenant, level)
        for place in range(state[Party.ROBBED] if given else 0):
            other = int(queue[nth(place)]["robbed"])
            if queue[nth(other)]["gives"] == state[Party.TRY]:
                _forget(jobs, log, stays, joint, other, bound)
    return _is_short(joint)


@inlined
def _is_short(joint: Joint) -> bool:
    """Return whether a job lacks GPUs, or nodes that hold its chunks, with all away that were counted."""
    state = joint.state
    return bool(state[Party.LACKING] > 0 or state[Party.SHORT] > 0 or state[Party.SHORT_REST] > 0)


@kernel
def _count_queue(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    windows: Windows,
    joint: Joint,
    other: int,
    resource: int,
    bound: int,
    large: int,
    rest: int,
) -> None:
    """Count what those of a queue give back that are above a bound and hold a resource, NOBODY: any.

    Of another tenant's queue, those only that were chosen, where it is known who is.
    """
    state, at = joint.state, int(joint.queue[nth(other)]["prey"])
    chosen = resource != NOBODY and joint.queue[nth(other)]["greedy"] > 0
    while at != NOBODY and joint.prey[nth(at)]["level"] > bound and _is_short(joint):
        its = int(joint.prey[nth(at)]["row"])
        suits = resource == NOBODY or resource_held(jobs, site, log, ledger, its) == resource
        if chosen:
            suits = joint.prey[nth(at)]["chosen"] == state[Party.TRY]
        if suits and is_candidate(stays, joint, at):
            state[Party.LACKING] -= ledger.asker[nth(ledger.asker_of[nth(its)])]["gpus"]
            if demand[nth(jobs.claim[nth(its)]["demand"])]["plain"] == 0:
                state[Party.COUNTED], state[Party.SHORT], state[Party.SHORT_REST] = 0, 0, 0
            if state[Party.COUNTED] > 0:
                more, more_rest = _count_back(jobs, log, site, stays, windows, its, large, rest)
                state[Party.SHORT] -= more
                state[Party.SHORT_REST] -= more_rest
        at = int(joint.prey[nth(at)]["next"])


@inlined
def _note_givers(ledger: Ledger, joint: Joint, number: int, resource: int, share: float, own: int) -> None:
    """Note which other tenants' jobs may be taken for one of an asker; ``own``: what its own tenant gives back."""
    reclaim, tenant = ledger.state[Share.RECLAIM], int(ledger.asker[nth(number)]["tenant"])
    if reclaim == Reclaim.COHORTS:
        charge(ledger, number, resource, 1)
    for place in range(joint.state[Party.ROBBED]):
        other = int(joint.queue[nth(place)]["robbed"])
        if other == tenant:
            continue
        its = joint.queue[nth(other)]
        its["greedy"] = reclaim == Reclaim.FAIR
        if reclaim == Reclaim.COHORTS:
            gives = counts_for(ledger, other, tenant, resource) and _is_larger(ledger, joint, other, tenant, own)
        else:
            its["low"] = share
            gives = borrows_from(ledger, other, tenant, resource)
            gives = gives and (reclaim != Reclaim.FAIR or share <= fair_share(ledger, other, NOBODY, 0))
        if gives:
            its["gives"] = joint.state[Party.TRY]
    if reclaim == Reclaim.COHORTS:
        charge(ledger, number, resource, -1)


@kernel
def _is_larger(ledger: Ledger, joint: Joint, other: int, tenant: int, own: int) -> bool:
    """Return whether, where two tenants part, one's share is no smaller than another's might become.

    Of the other's, ``own`` may be taken of itself, and all that is listed of those with it below where they part.
    """
    if resources_of(ledger) > 1:  # it is not known of which resource how much would be taken
        return True
    if is_above(ledger, tenant, other):
        return bool(queue_share(ledger, tenant, 0, -own) <= share_below(ledger, tenant, other))
    node = tenant
    while not is_above(ledger, int(ledger.tenant[nth(node)]["parent"]), other):
        node = int(ledger.tenant[nth(node)]["parent"])
    for place in range(joint.state[Party.ROBBED]):
        robbed = int(joint.queue[nth(place)]["robbed"])
        if robbed != tenant and is_above(ledger, node, robbed):
            own += int(joint.queue[nth(robbed)]["held"])
    cohort, its = int(ledger.tenant[nth(node)]["parent"]), joint.queue[nth(other)]
    its["low"] = tenant_share(ledger, node, 0, -own)
    its["greedy"] = own == 0 and ledger.tenant[nth(other)]["parent"] == cohort and not has_below(ledger, other)
    return bool(its["low"] <= share_below(ledger, cohort, other))


@kernel
def _choose(
    jobs: Jobs, site: Site, log: Log, stays: Stays, ledger: Ledger, joint: Joint, other: int, resource: int
) -> None:
    """Mark whom both strategies of fair sharing would take of a queue, if all were taken that they allow.

    The asker's share does not change, and this tenant's only by those that are taken of it.
    """
    queue, number, taken = joint.queue[nth(other)], int(joint.state[Party.TRY]), 0
    cohorts = ledger.state[Share.RECLAIM] == Reclaim.COHORTS
    for strategy in range(2):
        at = int(queue["prey"])
        while at != NOBODY:
            its = joint.prey[nth(at)]
            row = int(its["row"])
            fresh = its["chosen"] != number and is_candidate(stays, joint, at)
            if fresh and resource_held(jobs, site, log, ledger, row) == resource:
                share = _share_without(ledger, other, resource, taken, cohorts)
                if share <= 0.0 or (strategy == 1 and queue["low"] >= share):
                    return
                gpus = int(ledger.asker[nth(ledger.asker_of[nth(row)])]["gpus"])
                if strategy == 1 or queue["low"] <= _share_without(ledger, other, resource, taken + gpus, cohorts):
                    its["chosen"] = number
                    taken += gpus
                    if strategy == 1 and cohorts:  # one of each queue
                        return
            at = int(its["next"])


@inlined
def _share_without(ledger: Ledger, other: int, resource: int, taken: int, cohorts: bool) -> float:
    """Return the share of a tenant without so many thousandths of what it holds of a resource."""
    if cohorts:
        return tenant_share(ledger, other, resource, -taken)
    return fair_share(ledger, other, resource, -taken)


@inlined
def _count_back(
    jobs: Jobs, log: Log, site: Site, stays: Stays, windows: Windows, row: int, large: int, rest: int
) -> tuple[int, int]:
    """Count what a job gives back on the nodes that are not hidden; return how many more hold a chunk, and a rest."""
    claim, more, more_rest = jobs.claim[nth(row)], 0, 0
    for number in range(claim["slot"], claim["slot"] + claim["slots"]):
        node, back = nth(int(log.slots[nth(number)]["node"])), int(log.slots[nth(number)]["gpus"])
        if windows.hidden[node] == 0:
            before = int(site.node[node]["free"]) + int(stays.returned[node])
            stays.returned[node] += back
            more += before < large <= before + back
            more_rest += rest > 0 and before < rest <= before + back
    return more, more_rest


@inlined
def _forget(jobs: Jobs, log: Log, stays: Stays, joint: Joint, other: int, bound: int) -> None:
    """Forget what those of a queue give back that are above a bound."""
    at = int(joint.queue[nth(other)]["prey"])
    while at != NOBODY and joint.prey[nth(at)]["level"] > bound:
        claim = jobs.claim[nth(joint.prey[nth(at)]["row"])]
        for number in range(claim["slot"], claim["slot"] + claim["slots"]):
            stays.returned[nth(int(log.slots[nth(number)]["node"]))] = 0
        at = int(joint.prey[nth(at)]["next"])
