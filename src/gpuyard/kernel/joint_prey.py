"""Who may be taken away in a pass: listed once, when somebody first asks; and who of them is next."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.levels import running_level
from gpuyard.kernel.prey_order import sort_prey
from gpuyard.kernel.quotas import fair_share, is_within_quota, resource_held, resources_of
from gpuyard.kernel.stays import Rule, Stays, Terms
from gpuyard.kernel.tables import Jobs, Log, Site
from gpuyard.kernel.tenancy import Ledger, Reclaim, Share
from gpuyard.kernel.worth import price

__all__ = [
    "begin_fair",
    "borrows_from",
    "bound_of",
    "is_candidate",
    "is_lent",
    "list_prey",
    "may_take",
    "next_fair",
    "takes_back",
]


@kernel
def list_prey(jobs: Jobs, stays: Stays, ledger: Ledger, joint: Joint, now: int) -> None:
    """List the running jobs that may be taken away in this pass: by level, the highest first, then as victims go."""
    terms, rule, found = stays.terms, stays.terms[Terms.RULE], 0
    for place in range(stays.ends.size[0]):
        row = int(stays.ends.row[nth(place)])
        this = stays.stay[nth(row)]
        if this["fixed"] > 0 or this["times"] >= terms[Terms.MOST] or now - this["since"] < this["min_run"]:
            continue
        if joint.state[Party.SHARED] > 0 and this["since"] == now:
            continue
        wish = int(jobs.claim[nth(row)]["demand"])
        its = joint.prey[nth(found)]
        its["level"], its["row"] = running_level(stays, row, wish, now), row
        its["loss"], its["taken"], its["chosen"] = 0, 0, 0
        if terms[Terms.VICTIMS] > 0:
            its["loss"] = price(jobs, stays, row, wish, now)
        elif rule not in (Rule.REMAINING, Rule.REMAINING_SERVICE):
            its["loss"] = -this["since"]
        found += 1
    joint.state[Party.LISTED] = found
    sort_prey(joint.prey, found)
    for number in range(joint.queue.size):
        joint.queue[nth(number)]["prey"] = NOBODY
        joint.queue[nth(number)]["cursor"] = NOBODY
        joint.queue[nth(number)]["held"] = 0
    for at in range(found - 1, -1, -1):
        queue, its = joint.queue[nth(_tenant_of(ledger, joint, at))], joint.prey[nth(at)]
        its["attempt"] = stays.stay[nth(its["row"])]["attempt"]
        its["next"] = queue["prey"]
        queue["prey"] = at
        queue["held"] += ledger.asker[nth(ledger.asker_of[nth(its["row"])])]["gpus"]
    joint.state[Party.ROBBED] = 0
    for number in range(joint.queue.size):
        if joint.queue[nth(number)]["prey"] != NOBODY:
            joint.queue[nth(joint.state[Party.ROBBED])]["robbed"] = number
            joint.state[Party.ROBBED] += 1


@inlined
def _tenant_of(ledger: Ledger, joint: Joint, at: int) -> int:
    return int(ledger.asker[nth(ledger.asker_of[nth(joint.prey[nth(at)]["row"])])]["tenant"])


@inlined
def is_candidate(stays: Stays, joint: Joint, at: int) -> bool:
    """Return whether one of the list still runs as it did, and was not taken in this try."""
    its = joint.prey[nth(at)]
    return bool(stays.stay[nth(its["row"])]["attempt"] == its["attempt"] and its["taken"] != joint.state[Party.TRY])


@inlined
def may_take(joint: Joint, row: int, other: int) -> bool:
    """Return whether a job may take from another as far as lists of names say, where there are any."""
    if joint.name_of.size == 0:
        return True
    return bool(joint.listed[nth(joint.name_of[nth(row)]), nth(joint.name_of[nth(other)])] > 0)


@inlined
def takes_back(ledger: Ledger, number: int, resource: int) -> bool:
    """Return whether a job of an asker may take back what other tenants borrowed, whoever they are."""
    reclaim = ledger.state[Share.RECLAIM]
    if resource == NOBODY or reclaim in (Reclaim.NEVER, Reclaim.FAIR, Reclaim.COHORTS):
        return False
    return bool(ledger.state[Share.BORROWS] > 0 or is_within_quota(ledger, number, resource))


@inlined
def bound_of(ledger: Ledger, number: int, resource: int, level: int) -> int:
    """Return the level up to which nobody is taken back for a job of an asker and a level that takes back."""
    if not is_within_quota(ledger, number, resource):
        return max(level, int(ledger.state[Share.SPARED]))
    return level if ledger.state[Share.RECLAIM] == Reclaim.LOWER else -NEVER


@inlined
def is_lent(
    jobs: Jobs, site: Site, log: Log, stays: Stays, ledger: Ledger, joint: Joint, at: int, tenant: int, resource: int
) -> bool:
    """Return whether one of the list holds GPUs of a resource that its tenant borrows from another."""
    other = _tenant_of(ledger, joint, at)
    if other == tenant or not is_candidate(stays, joint, at):
        return False
    if resource_held(jobs, site, log, ledger, int(joint.prey[nth(at)]["row"])) != resource:
        return False
    return borrows_from(ledger, other, tenant, resource)


@kernel
def borrows_from(ledger: Ledger, other: int, tenant: int, resource: int) -> bool:
    """Return whether what a tenant's own jobs hold is borrowed from another.

    Its own jobs are above its own nominal quota, and it and each tenant above it that is not the other or above the
    other is above its quota.
    """
    resources = resources_of(ledger)
    own = ledger.quota[nth(other * resources + resource)]
    if own["own_used"] <= own["own_nominal"]:
        return False
    node = other
    while node != NOBODY and not node <= tenant < ledger.tenant[nth(node)]["end"]:
        quota = ledger.quota[nth(node * resources + resource)]
        if quota["used"] <= quota["nominal"]:
            return False
        node = int(ledger.tenant[nth(node)]["parent"])
    return True


@kernel
def begin_fair(joint: Joint) -> None:
    """Let all of the list be looked at under a strategy of fair sharing."""
    for place in range(joint.state[Party.ROBBED]):
        its = joint.queue[nth(joint.queue[nth(place)]["robbed"])]
        its["cursor"] = its["prey"]
    joint.state[Party.CHANGED] = NOBODY


@kernel
def next_fair(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    tenant: int,
    resource: int,
    share: float,
    strategy: int,
) -> int:
    """Return the first, in the list of the tenant that borrows most, whom a strategy allows to take, or NOBODY."""
    while True:
        largest, most = NOBODY, 0.0
        for place in range(joint.state[Party.ROBBED]):
            other = int(joint.queue[nth(place)]["robbed"])
            its = fair_share(ledger, other, NOBODY, 0)
            if other == tenant or its <= most or not borrows_from(ledger, other, tenant, resource):
                continue
            if _look(jobs, site, log, stays, ledger, joint, other, resource) != NOBODY:
                largest, most = other, its
        if largest == NOBODY:
            return NOBODY
        at = int(joint.queue[nth(largest)]["cursor"])
        joint.queue[nth(largest)]["cursor"] = joint.prey[nth(at)]["next"]
        gpus = int(ledger.asker[nth(ledger.asker_of[nth(joint.prey[nth(at)]["row"])])]["gpus"])
        if strategy == 0 and share <= fair_share(ledger, largest, resource, -gpus):
            return at
        if strategy == 1 and share < most:
            return at


@kernel
def _look(
    jobs: Jobs, site: Site, log: Log, stays: Stays, ledger: Ledger, joint: Joint, tenant: int, resource: int
) -> int:
    """Return the first of a tenant's that was not looked at and holds GPUs of a resource, or NOBODY."""
    queue = joint.queue[nth(tenant)]
    while queue["cursor"] != NOBODY:
        at = int(queue["cursor"])
        held = resource_held(jobs, site, log, ledger, int(joint.prey[nth(at)]["row"]))
        if is_candidate(stays, joint, at) and held == resource:
            return at
        queue["cursor"] = joint.prey[nth(at)]["next"]
    return NOBODY
