"""Who makes room next where cohorts share: from the root down, in the child with the largest share.

``docs/semantics.md``, *Fair sharing level by level*, is the specification.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.cohort_shares import has_below, is_above, is_beyond_quota, queue_share, share_below, tenant_share
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_prey import is_candidate
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.quotas import charge, resource_held, resources_of
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Jobs, Log, Site
from gpuyard.kernel.tenancy import Ledger

__all__ = ["counts_for", "next_of_cohorts"]

_ROOT = 0


@kernel
def next_of_cohorts(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    number: int,
    resource: int,
    level: int,
    strategy: int,
) -> int:
    """Return the next of the list whom a strategy, 0 or 1, lets a job of an asker take, or NOBODY."""
    charge(ledger, number, resource, 1)
    found = NOBODY
    tenant = int(ledger.asker[nth(number)]["tenant"])
    changed = int(joint.state[Party.CHANGED])
    if changed == NOBODY:
        _count_all(jobs, site, log, stays, ledger, joint, tenant, resource, level)
    else:
        _count(jobs, site, log, stays, ledger, joint, tenant, changed, resource, level)
    while joint.queue[_ROOT]["counts"] > 0:
        other = _largest(ledger, joint)
        joint.state[Party.CHANGED] = other
        found = _look_in(jobs, site, log, stays, ledger, joint, tenant, other, resource, level, strategy)
        if found != NOBODY:
            break
        _count(jobs, site, log, stays, ledger, joint, tenant, other, resource, level)
    charge(ledger, number, resource, -1)
    return found


@kernel
def _count_all(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    tenant: int,
    resource: int,
    level: int,
) -> None:
    """Note which queues and which cohorts count: nobody does of whom, and below whom, no job may be taken."""
    queue = joint.queue
    queue[_ROOT]["counts"] = 0
    for place in range(joint.state[Party.ROBBED]):
        node = int(queue[nth(place)]["robbed"])
        while node != NOBODY:
            its = queue[nth(node)]
            its["eligible"], its["counts"], its["below"] = 0, 0, 0
            node = int(ledger.tenant[nth(node)]["parent"])
    for place in range(joint.state[Party.ROBBED]):
        _count(jobs, site, log, stays, ledger, joint, tenant, int(queue[nth(place)]["robbed"]), resource, level)


@kernel
def _count(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    tenant: int,
    other: int,
    resource: int,
    level: int,
) -> None:
    """Note whether a queue and the cohorts above it count; what others hold has not changed since they were noted."""
    its = joint.queue[nth(other)]
    borrows = other == tenant or _queue_borrows(ledger, other, resource)
    its["eligible"] = borrows and _look(jobs, site, log, stays, ledger, joint, tenant, other, resource, level) != NOBODY
    if its["eligible"] > 0:
        its["own_part"] = queue_share(ledger, other, NOBODY, 0)
    node = other
    while node != NOBODY:
        its, above = joint.queue[nth(node)], int(ledger.tenant[nth(node)]["parent"])
        counted = int(its["counts"])
        its["counts"] = (its["eligible"] > 0 or its["below"] > 0) and (
            is_above(ledger, node, tenant) or _borrows(ledger, node, resource)
        )
        if above != NOBODY:
            joint.queue[nth(above)]["below"] += its["counts"] - counted
            if its["counts"] > 0:
                its["part"] = tenant_share(ledger, node, NOBODY, 0)
        node = above


@inlined
def _queue_borrows(ledger: Ledger, other: int, resource: int) -> bool:
    """Return whether a tenant's own jobs hold more of a resource than is theirs, and its queue has a share."""
    quota = ledger.quota[nth(other * resources_of(ledger) + resource)]
    return bool(quota["own_used"] > quota["own_nominal"] and queue_share(ledger, other, NOBODY, 0) > 0.0)


@inlined
def _borrows(ledger: Ledger, other: int, resource: int) -> bool:
    """Return whether a tenant, with those below it, uses more of a resource than is theirs, and has a share."""
    return is_beyond_quota(ledger, other, resource) and tenant_share(ledger, other, NOBODY, 0) > 0.0


@kernel
def counts_for(ledger: Ledger, other: int, tenant: int, resource: int) -> bool:
    """Return whether a tenant's queue, if it has a candidate, counts for a job of another tenant."""
    if not _queue_borrows(ledger, other, resource):
        return False
    node = other
    while not is_above(ledger, node, tenant):
        if not _borrows(ledger, node, resource):
            return False
        node = int(ledger.tenant[nth(node)]["parent"])
    return True


@kernel
def _look(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    tenant: int,
    other: int,
    resource: int,
    level: int,
) -> int:
    """Return the first candidate of a queue that was not looked at, or NOBODY."""
    queue = joint.queue[nth(other)]
    while queue["cursor"] != NOBODY:
        at = int(queue["cursor"])
        its = joint.prey[nth(at)]
        if other == tenant:
            suits = its["level"] > level
        else:
            suits = resource_held(jobs, site, log, ledger, int(its["row"])) == resource
        if suits and is_candidate(stays, joint, at):
            return at
        queue["cursor"] = its["next"]
    return NOBODY


@inlined
def _largest(ledger: Ledger, joint: Joint) -> int:
    """Return the tenant to whose queue the way down from the root leads."""
    cohort = _ROOT
    while has_below(ledger, cohort):
        best, most, is_cohort = cohort, -1.0, False
        if joint.queue[nth(cohort)]["eligible"] > 0:
            most = joint.queue[nth(cohort)]["own_part"]
        for place in range(joint.state[Party.ROBBED]):
            child = _child_above(ledger, cohort, int(joint.queue[nth(place)]["robbed"]))
            if child != NOBODY and joint.queue[nth(child)]["counts"] > 0:
                share, deep = joint.queue[nth(child)]["part"], has_below(ledger, child)
                if share > most or (share == most and deep and not is_cohort):
                    best, most, is_cohort = child, share, deep
        if best == cohort:
            return cohort
        cohort = best
    return cohort


@inlined
def _child_above(ledger: Ledger, cohort: int, tenant: int) -> int:
    """Return that child of a cohort which is a tenant, or above it; NOBODY if none is."""
    if tenant == cohort or not is_above(ledger, cohort, tenant):
        return NOBODY
    while ledger.tenant[nth(tenant)]["parent"] != cohort:
        tenant = int(ledger.tenant[nth(tenant)]["parent"])
    return tenant


@kernel
def _look_in(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    tenant: int,
    other: int,
    resource: int,
    level: int,
    strategy: int,
) -> int:
    """Return the first of a queue that a strategy takes, or NOBODY: all, or under the second one, were looked at.

    Shares stay as they are while nobody is taken, so that the same queue is the next as long as it has a candidate.
    """
    queue = joint.queue[nth(other)]
    at = _look(jobs, site, log, stays, ledger, joint, tenant, other, resource, level)
    if other == tenant:
        queue["cursor"] = joint.prey[nth(at)]["next"]
        return at
    cohort = tenant
    while not is_above(ledger, cohort, other):
        cohort = int(ledger.tenant[nth(cohort)]["parent"])
    share = share_below(ledger, cohort, tenant)
    if strategy > 0:
        queue["cursor"] = NOBODY
        return at if share < share_below(ledger, cohort, other) else NOBODY
    while at != NOBODY:
        queue["cursor"] = joint.prey[nth(at)]["next"]
        number = int(ledger.asker_of[nth(joint.prey[nth(at)]["row"])])
        charge(ledger, number, resource, -1)
        rest = share_below(ledger, cohort, other)
        charge(ledger, number, resource, 1)
        if share <= rest:
            return at
        at = _look(jobs, site, log, stays, ledger, joint, tenant, other, resource, level)
    return NOBODY
