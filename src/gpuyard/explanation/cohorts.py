"""The shares of cohorts, tenants and their queues, worked out from what is held, as ``docs/semantics.md`` has them.

A member of a cohort is a tenant below it, or its own queue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.entitlement import Entitlement
from gpuyard.workload import NEVER

__all__ = ["Member", "potential_of", "queue_of", "share_of", "sides"]


@dataclass(frozen=True, slots=True)
class Member:
    """A tenant, or the own queue of a cohort, by the number of the tenant."""

    tenant: int
    is_own_queue: bool = False

    def cohort(self, given: Entitlement) -> int:
        """Return the cohort that it is in."""
        return self.tenant if self.is_own_queue else int(given.parent[self.tenant])


def queue_of(given: Entitlement, tenant: int) -> Member:
    """Return where the own jobs of a tenant wait."""
    return Member(tenant, bool(given.children[tenant]) or tenant == 0)


def share_of(
    given: Entitlement, held: NDArray[np.int64], member: Member, used: NDArray[np.int64] | None = None
) -> float:
    """Return S; ``held``: thousandths of GPUs of each tenant's own jobs, shape (tenants, resources).

    ``used``: what they use with those below them, where it is known.
    """
    if member.is_own_queue:
        used, nominal = held, given.own
    else:
        used, nominal = given.usage(held) if used is None else used, given.nominal
    borrowed = int(np.maximum(used[member.tenant] - nominal[member.tenant], 0).sum())
    potential = potential_of(given, member.cohort(given))
    weight = 1.0 if member.is_own_queue else float(given.weight[member.tenant])
    return borrowed / potential / weight if potential > 0 else 0.0


def potential_of(given: Entitlement, cohort: int) -> int:
    """Return A, thousandths of GPUs: what a cohort could have of all resources if nothing else ran."""
    return sum(_potential(given, cohort, resource) for resource in range(len(given.resources)))


def _potential(given: Entitlement, cohort: int, resource: int) -> int:
    """Return what a cohort could have of a resource if nothing else ran."""
    if cohort == 0:
        return int(given.nominal[0, resource])
    most = int(given.kept[cohort, resource]) + _potential(given, int(given.parent[cohort]), resource)
    borrow = int(given.borrow[cohort, resource])
    return most if borrow == NEVER else min(most, int(given.nominal[cohort, resource]) + borrow)


def sides(given: Entitlement, one: int, other: int) -> tuple[Member, Member]:
    """Return the members, on the way to the queues of two tenants, of the lowest cohort that both are in."""
    lines = [_line(given, queue_of(given, tenant)) for tenant in (one, other)]
    return next((mine, its) for mine in lines[0] for its in lines[1] if mine.cohort(given) == its.cohort(given))


def _line(given: Entitlement, queue: Member) -> list[Member]:
    """Return a queue and the cohorts above it, but the root."""
    line = [queue]
    while line[-1].cohort(given) != 0:
        line.append(Member(line[-1].cohort(given)))
    return line
