"""Who finds no room whoever is taken away, told before anybody is: by sums, and of plain jobs by counts of nodes.

Who may be taken away in the end is among those who may be now: tenants and cohorts borrow less and less.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.cohort_prey import counts_for
from gpuyard.kernel.index import members
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_prey import is_candidate, is_lent
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.quotas import resource_held
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
    lent: bool,
) -> bool:
    """Return whether a job is known to find no room even if all were away that may be taken for it.

    Those are its tenant's jobs above a level and, if others' are ``lent``, what these borrow above a ``bound``.
    """
    number = ledger.asker_of[nth(row)]
    tenant = int(ledger.asker[nth(number)]["tenant"])
    lacking = int(ledger.asker[nth(number)]["gpus"] - ledger.state[Share.FREE])
    asked = demand[nth(wish)]
    large, many, rest = int(asked["large"]), int(asked["many"]), int(asked["rest"])
    plain = asked["plain"] > 0
    chunks = many + (rest > 0)
    fitting = members(site.openings, 1, large, site.node.size) if plain else many
    fitting_rest = members(site.openings, 1, rest, site.node.size) if plain and rest > 0 else chunks
    least, at = min(level, bound) if lent else level, 0
    while at < joint.state[Party.LISTED] and (lacking > 0 or fitting < many or fitting_rest < chunks):
        if joint.prey[nth(at)]["level"] <= least:
            break
        if _is_taken(jobs, site, log, stays, ledger, joint, at, tenant, resource, level, bound, lent):
            its = int(joint.prey[nth(at)]["row"])
            lacking -= int(ledger.asker[nth(ledger.asker_of[nth(its)])]["gpus"])
            if demand[nth(jobs.claim[nth(its)]["demand"])]["plain"] == 0:
                plain, fitting, fitting_rest = False, many, chunks
            if plain:
                more, more_rest = _count_back(jobs, log, site, stays, windows, its, large, rest)
                fitting += more
                fitting_rest += more_rest
        at += 1
    if asked["plain"] > 0:
        _forget(jobs, log, stays, joint, at)
    return lacking > 0 or fitting < many or fitting_rest < chunks


@inlined
def _is_taken(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    at: int,
    tenant: int,
    resource: int,
    level: int,
    bound: int,
    lent: bool,
) -> bool:
    """Return whether one of the list is among those who may be taken."""
    its = joint.prey[nth(at)]
    own = ledger.asker[nth(ledger.asker_of[nth(its["row"])])]["tenant"] == tenant
    if own:
        return bool(its["level"] > level and is_candidate(stays, joint, at))
    if not lent or its["level"] <= bound:
        return False
    if ledger.state[Share.RECLAIM] == Reclaim.COHORTS:
        return _counts(jobs, site, log, stays, ledger, joint, at, tenant, resource)
    return is_lent(jobs, site, log, stays, ledger, joint, at, tenant, resource)


@inlined
def _counts(
    jobs: Jobs, site: Site, log: Log, stays: Stays, ledger: Ledger, joint: Joint, at: int, tenant: int, resource: int
) -> bool:
    """Return whether one of the list, of another tenant, is in a queue that counts where cohorts share."""
    row = int(joint.prey[nth(at)]["row"])
    other = int(ledger.asker[nth(ledger.asker_of[nth(row)])]["tenant"])
    return bool(
        is_candidate(stays, joint, at)
        and resource_held(jobs, site, log, ledger, row) == resource
        and counts_for(ledger, other, tenant, resource)
    )


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
def _forget(jobs: Jobs, log: Log, stays: Stays, joint: Joint, listed: int) -> None:
    """Forget what the first of the list give back."""
    for at in range(listed):
        claim = jobs.claim[nth(joint.prey[nth(at)]["row"])]
        for number in range(claim["slot"], claim["slot"] + claim["slots"]):
            stays.returned[nth(int(log.slots[nth(number)]["node"]))] = 0
