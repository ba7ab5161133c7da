"""Whose turn it is where cohorts share: each cohort names one of the jobs that its children name.

As ``docs/semantics.md`` has it (Fair sharing level by level).  Shares are worked out anew only for who has had a turn
and the cohorts above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.entitlement import Entitlement
from gpuyard.explanation.cohorts import potential_of
from gpuyard.explanation.line import Place

__all__ = ["Entrant", "Tournament"]


class Entrant(NamedTuple):
    """A job that waits for its turn."""

    place: Place
    row: int
    tenant: int
    milli: int
    """thousandths of GPUs that it asks for"""
    attempt: int
    """that begins at its turn, or -1"""


class _Bid(NamedTuple):
    """Who is named, the share of the member that names it with it, and how much more the cohort of both then uses."""

    share: float
    entrant: Entrant
    resource: int
    rise: int


class _Above(NamedTuple):
    """What is used above nominal quotas, thousandths of GPUs, by tenant: of each resource, and what is borrowed."""

    above: list[list[int]]
    sums: list[int]

    @classmethod
    def of(cls, above: NDArray[np.int64]) -> _Above:
        return cls(above.tolist(), np.maximum(above, 0).sum(axis=1).tolist())

    def borrowed(self, tenant: int, resource: int, rise: int) -> int:
        """Return what a tenant borrows with so much more of a resource."""
        above = self.above[tenant][resource]
        return self.sums[tenant] - max(above, 0) + max(above + rise, 0)


class Tournament:
    """Names jobs one after the other.

    Parameters
    ----------
    given
        The quotas.
    entrants
        Who waits for a turn; of each tenant by place.
    charged_on
        Tells on which resource a job is counted now.
    """

    def __init__(self, given: Entitlement, entrants: Iterable[Entrant], charged_on: Callable[[Entrant], int]) -> None:
        self._given, self._charged_on = given, charged_on
        self._queues: list[list[Entrant]] = [[] for _ in given.paths]
        for each in sorted(entrants, reverse=True):
            self._queues[each.tenant].append(each)
        self._potential = [potential_of(given, tenant) if given.children[tenant] else 0 for tenant in self._tenants()]
        self._parent, self._weight = given.parent.tolist(), given.weight.tolist()
        self._bids: list[_Bid | None] = [None for _ in given.paths]

    def _tenants(self) -> range:
        return range(len(self._given.paths))

    def hold(self, held: NDArray[np.int64]) -> None:
        """Say what tenants' own jobs hold from now on: thousandths of GPUs, shape (tenants, resources)."""
        given = self._given
        used = given.usage(held)
        self._own, self._all = _Above.of(held - given.own), _Above.of(used - given.nominal)
        self._passed: list[list[int]] = (used - given.kept).tolist()
        for tenant in reversed(self._tenants()):
            self._name(tenant)

    def first(self) -> Entrant | None:
        """Return the job that the root names, ``None`` if nobody is left."""
        bid = self._bids[0]
        return None if bid is None else bid.entrant

    def drop(self, entrant: Entrant) -> None:
        """Let the first job of a tenant's own have had its turn."""
        assert self._queues[entrant.tenant].pop() is entrant
        for tenant in self._given.up(entrant.tenant):
            self._name(tenant)

    def _name(self, tenant: int) -> None:
        """Bring up to date whom a tenant names."""
        below = (self._bids[child] for child in self._given.children[tenant])
        bids = [bid for bid in (self._of_queue(tenant), *below) if bid is not None]
        best = min(bids, key=lambda bid: (bid.share, bid.entrant.place), default=None)
        self._bids[tenant] = None if best is None else self._passed_on(tenant, best)

    def _of_queue(self, tenant: int) -> _Bid | None:
        """Return whom the own queue of a tenant names."""
        if not self._queues[tenant]:
            return None
        entrant = self._queues[tenant][-1]
        resource = self._charged_on(entrant)
        borrowed = self._own.borrowed(tenant, resource, entrant.milli)
        return _Bid(_share(borrowed, self._potential[tenant], 1.0), entrant, resource, entrant.milli)

    def _passed_on(self, tenant: int, best: _Bid) -> _Bid:
        """Return a bid as one of those of the cohort above, which the root has none of."""
        if tenant == 0:
            return best
        resource = best.resource
        borrowed = self._all.borrowed(tenant, resource, best.rise)
        share = _share(borrowed, self._potential[self._parent[tenant]], self._weight[tenant])
        beyond = self._passed[tenant][resource]
        return _Bid(share, best.entrant, resource, max(beyond + best.rise, 0) - max(beyond, 0))


def _share(borrowed: int, potential: int, weight: float) -> float:
    return borrowed / potential / weight if potential > 0 else 0.0
