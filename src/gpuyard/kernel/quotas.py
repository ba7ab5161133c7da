"""What tenants and groups hold against their quotas and limits, and what is shared out by it."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Jobs, Log, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Between, Ledger, Share

__all__ = [
    "charge",
    "charge_own",
    "fair_share",
    "has_room",
    "holder_of",
    "is_above_quota",
    "is_within_quota",
    "note_share",
    "resource_held",
    "resources_of",
    "share_with",
    "tell_above",
]

_GPUS, _CPUS, _MEMORY = 0, 1, 2


@inlined
def resources_of(ledger: Ledger) -> int:
    """Return how many resources have quotas."""
    return int(ledger.state[Share.RESOURCES])


@inlined
def resource_held(jobs: Jobs, site: Site, log: Log, ledger: Ledger, row: int) -> int:
    """Return the resource whose quota a running job is charged to, or NOBODY."""
    resource = int(ledger.asker[nth(ledger.asker_of[nth(row)])]["resource"])
    if resource == ANY_TYPE:
        node = log.slots[nth(int(jobs.claim[nth(row)]["slot"]))]["node"]
        resource = int(site.node[nth(node)]["kind"])
    return resource


@kernel
def holder_of(ledger: Ledger, number: int, resource: int) -> tuple[int, int]:
    """Return the link of an asker at which one more of its jobs is not admitted, and what it lacks there.

    NOBODY if it is admitted.  What it lacks at a tenant is less than it asks for where those below have kept GPUs.
    """
    asker = ledger.asker[nth(number)]
    gpus = int(asker["gpus"])
    tenants, resources = ledger.tenant.size, resources_of(ledger)
    need = gpus
    for at in range(asker["first_link"] + asker["open_links"], asker["first_link"] + asker["links"]):
        node = int(ledger.link[nth(at)]["node"])
        if node >= tenants:
            group = ledger.group[nth(node - tenants)]
            if group["jobs"] + 1 > group["most_jobs"] or group["gpus"] + gpus > group["most_gpus"]:
                return at, gpus
        elif need > 0:
            quota = ledger.quota[nth(node * resources + resource)]
            used, kept = int(quota["used"]), int(quota["kept"])
            if used + need > quota["most"]:
                return at, need
            need = max(used + need - kept, 0) - max(used - kept, 0)
    return NOBODY, 0


@inlined
def has_room(ledger: Ledger, node: int, resource: int, gpus: int) -> bool:
    """Return whether a tenant or group can be charged with one more job of so many thousandths of GPUs."""
    tenants = ledger.tenant.size
    if node >= tenants:
        group = ledger.group[nth(node - tenants)]
        return bool(group["jobs"] + 1 <= group["most_jobs"] and group["gpus"] + gpus <= group["most_gpus"])
    quota = ledger.quota[nth(node * resources_of(ledger) + resource)]
    return bool(quota["used"] + gpus <= quota["most"])


@kernel
def charge(ledger: Ledger, number: int, resource: int, sign: int) -> None:
    """Charge a job to its tenant, those above, and its groups; or take it off them, with ``sign`` -1.

    What was charged by :func:`charge_own` is known to all of them.
    """
    _charge_links(ledger, number, 0, resource, sign)
    _charge_tenant(ledger, number, resource, sign)
    if resource != NOBODY:
        asker = ledger.asker[nth(number)]
        quota = ledger.quota[nth(int(asker["tenant"]) * resources_of(ledger) + resource)]
        quota["told"] += sign * int(asker["gpus"])


@kernel
def charge_own(ledger: Ledger, number: int, resource: int, sign: int) -> None:
    """As :func:`charge`, but those of the links that hold nobody know of it only after :func:`tell_above`.

    They keep nothing either, so that all of it goes on to the next one.
    """
    first = int(ledger.asker[nth(number)]["open_links"])
    if first < ledger.asker[nth(number)]["links"]:
        _charge_links(ledger, number, first, resource, sign)
    _charge_tenant(ledger, number, resource, sign)


@kernel
def tell_above(ledger: Ledger, tenant: int) -> None:
    """Charge a tenant, and those above that hold nobody, with what they were not told of."""
    resources = resources_of(ledger)
    for resource in range(resources):
        quota = ledger.quota[nth(tenant * resources + resource)]
        amount = int(quota["own_used"] - quota["told"])
        quota["told"] = quota["own_used"]
        node = tenant
        for _ in range(ledger.tenant[nth(tenant)]["open_levels"] if amount != 0 else 0):
            ledger.quota[nth(node * resources + resource)]["used"] += amount
            node = int(ledger.tenant[nth(node)]["parent"])


@inlined
def _charge_links(ledger: Ledger, number: int, first: int, resource: int, sign: int) -> None:
    """Charge a job to its links, from a number on."""
    asker = ledger.asker[nth(number)]
    tenants, resources = ledger.tenant.size, resources_of(ledger)
    amount = sign * int(asker["gpus"])
    for at in range(asker["first_link"] + first, asker["first_link"] + asker["links"]):
        node = int(ledger.link[nth(at)]["node"])
        if node >= tenants:
            group = ledger.group[nth(node - tenants)]
            group["jobs"] += sign
            group["gpus"] += sign * int(asker["gpus"])
        elif amount != 0:
            quota = ledger.quota[nth(node * resources + resource)]
            used, kept = int(quota["used"]), int(quota["kept"])
            quota["used"] = used + amount
            amount = max(used + amount - kept, 0) - max(used - kept, 0)


@inlined
def _charge_tenant(ledger: Ledger, number: int, resource: int, sign: int) -> None:
    """Charge a job to what its tenant's own jobs hold."""
    asker = ledger.asker[nth(number)]
    resources = resources_of(ledger)
    if resource != NOBODY:
        ledger.quota[nth(int(asker["tenant"]) * resources + resource)]["own_used"] += sign * int(asker["gpus"])
    ledger.state[Share.FREE] -= sign * asker["gpus"]
    tenant = ledger.tenant[nth(asker["tenant"])]
    tenant["gpus"] += sign * asker["gpus"]
    tenant["cpu"] += sign * asker["cpu"]
    tenant["memory"] += sign * asker["memory"]


@inlined
def is_within_quota(ledger: Ledger, number: int, resource: int) -> bool:
    """Return whether an asker's tenant stays within its own nominal quota with one more of its jobs."""
    asker = ledger.asker[nth(number)]
    quota = ledger.quota[nth(int(asker["tenant"]) * resources_of(ledger) + resource)]
    return bool(quota["own_used"] + asker["gpus"] <= quota["own_nominal"])


@inlined
def is_above_quota(ledger: Ledger, tenant: int) -> bool:
    """Return whether a tenant's own jobs use more than its own nominal quota of any resource."""
    resources = resources_of(ledger)
    for resource in range(resources):
        quota = ledger.quota[nth(tenant * resources + resource)]
        if quota["own_used"] > quota["own_nominal"]:
            return True
    return False


@kernel
def fair_share(ledger: Ledger, tenant: int, resource: int, more: int) -> float:
    """Return a tenant's borrowed over lendable GPUs by its weight, with ``more`` thousandths of a resource."""
    resources = resources_of(ledger)
    borrowed = 0
    for number in range(resources):
        quota = ledger.quota[nth(tenant * resources + number)]
        used = int(quota["own_used"]) + (more if number == resource else 0)
        borrowed += max(used - int(quota["own_nominal"]), 0)
    lendable = ledger.state[Share.LENDABLE]
    return borrowed / lendable / ledger.tenant[nth(tenant)]["weight"] if lendable > 0 else 0.0


@inlined
def share_with(ledger: Ledger, number: int) -> float:
    """Return the share that an asker's tenant would have with one more of its jobs."""
    asker = ledger.asker[nth(number)]
    return fair_share(ledger, int(asker["tenant"]), int(asker["resource"]), int(asker["gpus"]))


@kernel
def note_share(ledger: Ledger, tenant: int) -> bool:
    """Bring the share of a tenant up to date; return whether it changed."""
    this, total = ledger.tenant[nth(tenant)], ledger.total
    share = 0.0
    if ledger.state[Share.BETWEEN] == Between.DRF:
        if total[_GPUS] > 0:
            share = this["gpus"] / total[_GPUS]
        if total[_CPUS] > 0:
            share = max(share, this["cpu"] / total[_CPUS])
        if total[_MEMORY] > 0:
            share = max(share, this["memory"] / total[_MEMORY])
        share /= this["weight"]
    elif ledger.state[Share.BETWEEN] == Between.FAIR:
        share = fair_share(ledger, tenant, NOBODY, 0)
    changed = ledger.tenant[nth(tenant)]["share"] != share
    ledger.tenant[nth(tenant)]["share"] = share
    return bool(changed)
