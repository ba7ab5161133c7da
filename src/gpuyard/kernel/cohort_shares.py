"""What cohorts, tenants and their queues borrow of what they could have: the shares that are compared level by level.

``docs/semantics.md``, *Fair sharing level by level*, is the specification.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.quotas import resources_of
from gpuyard.kernel.tenancy import Ledger

__all__ = ["has_below", "is_above", "is_beyond_quota", "passed_on", "queue_share", "share_below", "tenant_share"]


@inlined
def has_below(ledger: Ledger, tenant: int) -> bool:
    """Return whether a tenant has others below it: whether it is a cohort."""
    return bool(ledger.tenant[nth(tenant)]["end"] > tenant + 1)


@inlined
def is_above(ledger: Ledger, tenant: int, other: int) -> bool:
    """Return whether a tenant is another, or above it."""
    return bool(tenant <= other < ledger.tenant[nth(tenant)]["end"])


@kernel
def _potential(ledger: Ledger, cohort: int) -> int:
    """Return what a cohort could have if nothing else ran, thousandths of GPUs of all resources."""
    resources, found = resources_of(ledger), 0
    for resource in range(resources):
        least, kept, node = NEVER, 0, cohort
        while node != NOBODY:
            quota = ledger.quota[nth(node * resources + resource)]
            least = min(least, int(quota["most"]) if quota["most"] == NEVER else kept + int(quota["most"]))
            kept += int(quota["kept"])
            node = int(ledger.tenant[nth(node)]["parent"])
        found += least
    return found


@kernel
def tenant_share(ledger: Ledger, tenant: int, resource: int, more: int) -> float:
    """Return the share of a tenant other than the root, with those below it, if it used so much more of a resource."""
    resources, borrowed = resources_of(ledger), 0
    for number in range(resources):
        quota = ledger.quota[nth(tenant * resources + number)]
        used = int(quota["used"]) + (more if number == resource else 0)
        borrowed += max(used - int(quota["nominal"]), 0)
    potential = _potential(ledger, int(ledger.tenant[nth(tenant)]["parent"]))
    return borrowed / potential / ledger.tenant[nth(tenant)]["weight"] if potential > 0 else 0.0


@kernel
def queue_share(ledger: Ledger, tenant: int, resource: int, more: int) -> float:
    """Return the share of a tenant's queue, if it held so much more of a resource."""
    if not has_below(ledger, tenant):
        return tenant_share(ledger, tenant, resource, more)
    resources, borrowed = resources_of(ledger), 0
    for number in range(resources):
        quota = ledger.quota[nth(tenant * resources + number)]
        held = int(quota["own_used"]) + (more if number == resource else 0)
        borrowed += max(held - int(quota["own_nominal"]), 0)
    potential = _potential(ledger, tenant)
    return borrowed / potential if potential > 0 else 0.0


@inlined
def passed_on(ledger: Ledger, tenant: int, resource: int, more: int) -> int:
    """Return by how much a tenant's use of its parent rises if it uses so much more of a resource."""
    if resource == NOBODY:
        return 0
    quota = ledger.quota[nth(tenant * resources_of(ledger) + resource)]
    used, kept = int(quota["used"]), int(quota["kept"])
    return max(used + more - kept, 0) - max(used - kept, 0)


@inlined
def is_beyond_quota(ledger: Ledger, tenant: int, resource: int) -> bool:
    """Return whether a tenant, with those below it, uses more than its nominal quota of a resource."""
    quota = ledger.quota[nth(tenant * resources_of(ledger) + resource)]
    return bool(quota["used"] > quota["nominal"])


@kernel
def share_below(ledger: Ledger, cohort: int, tenant: int) -> float:
    """Return the share of that child of a cohort which is a tenant's queue, or above it."""
    if tenant == cohort:
        return queue_share(ledger, tenant, NOBODY, 0)
    node = tenant
    while ledger.tenant[nth(node)]["parent"] != cohort:
        node = int(ledger.tenant[nth(node)]["parent"])
    return tenant_share(ledger, node, NOBODY, 0)
