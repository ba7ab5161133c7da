"""What tenants held over time against their quotas: exact steps for each tenant, from its own jobs up the tree.

Of a tenant with usage U and nominal quota N, *borrowed* is max(U - N, 0), and *unused* what of its contribution to the
tenant above nobody below it uses.  What the tenants below one parent borrow is lent first by those of them with unused
quota, in proportion to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gpuyard.entitlement import Entitlement, entitlement, owners
from gpuyard.holdings import asked_milli
from gpuyard.intervals import Spans, Steps
from gpuyard.metrics.among import Among
from gpuyard.record import Record

__all__ = ["Usage", "usage"]

Ticks = NDArray[np.int64]
_MILLI_HOUR = 1000 * 3600 * 1_000_000
"""One GPU-hour in thousandths of a GPU x microseconds."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the tenants of a cluster or a virtual cluster held, from ``start`` to ``stop`` (microseconds).

    ``owner``: int64, shape (jobs,), the tenant of each job, ELSEWHERE for those of other virtual clusters.
    ``resource``: int64, shape (attempts,), the resource whose quota an attempt is charged to.  ``milli``: int64, shape
    (attempts,), thousandths of GPUs that it asked for.
    """

    given: Entitlement
    record: Record
    owner: Ticks
    resource: Ticks
    milli: Ticks
    start: int
    stop: int

    @cached_property
    def members(self) -> NDArray[np.bool_]:
        """Which tenants are each tenant or below it, bool, shape (tenants, tenants)."""
        count = len(self.given.paths)
        inside = np.eye(count, dtype=np.bool_)
        for number in range(count - 1, 0, -1):
            inside[self.given.parent[number]] |= inside[number]
        return inside

    @cached_property
    def due(self) -> NDArray[np.int64]:
        """What each tenant and those below it may always have in all, int64 thousandths of GPUs, shape (tenants,).

        It is N and, besides, what tenants below keep for themselves.
        """
        return np.asarray(self.members @ self.given.own.sum(axis=1), np.int64)

    @cached_property
    def steps(self) -> list[list[Steps]]:
        """U of each tenant, resource by resource."""
        count, resources = len(self.given.paths), range(len(self.given.resources))
        by_tenant: list[list[Steps]] = [[] for _ in range(count)]
        for number in range(count - 1, -1, -1):
            by_tenant[number] = [self._steps(number, resource, by_tenant) for resource in resources]
        return by_tenant

    def _steps(self, number: int, resource: int, by_tenant: Sequence[Sequence[Steps]]) -> Steps:
        """Return U of a tenant whose children are known."""
        own = self._own(number, resource)
        if not self.given.children[number]:
            return own
        parts = [own]
        for child in self.given.children[number]:
            used = by_tenant[child][resource]
            parts.append(Steps(used.times, np.maximum(used.values - self.given.kept[child, resource], 0)))
        return _summed(parts)

    @cached_property
    def _of_owner(self) -> list[Ticks]:
        """The attempts of each tenant's own jobs, in their order."""
        owner = self.owner[self.record.attempt_job]
        order = np.argsort(owner, kind="stable")
        bounds = np.searchsorted(owner[order], np.arange(len(self.given.paths) + 1))
        return [order[first:end] for first, end in pairwise(bounds.tolist())]

    def held(self, number: int, edges: Ticks) -> NDArray[np.float64]:
        """Return the GPU-hours between edges that jobs of a tenant, and of those below it, held."""
        below = np.flatnonzero(self.members[number])
        mine = np.concatenate([self._of_owner[each] for each in below.tolist()])
        spans = Spans(self.record.attempt_start[mine], self.record.attempt_end[mine])
        return _hours(spans.integrals(self.milli[mine], edges))

    def borrowed(self, number: int, edges: Ticks) -> NDArray[np.float64]:
        """Return the GPU-hours between edges that a tenant used above its nominal quota."""
        total = np.zeros(edges.size - 1)
        for resource, used in enumerate(self.steps[number]):
            above = np.maximum(used.values - self.given.nominal[number, resource], 0)
            total += _hours(Steps(used.times, above).integrals(edges))
        return total

    def lent(self, number: int, edges: Ticks) -> NDArray[np.float64]:
        """Return the GPU-hours between edges of a tenant's quota that those beside it held."""
        parent = int(self.given.parent[number])
        total = np.zeros(edges.size - 1)
        if parent < 0:
            return total
        for resource in range(len(self.given.resources)):
            times, reach = self._lending[parent][resource]
            unused = self._unused(number, resource)
            total += _product(unused, times, reach, edges)
        return total / _MILLI_HOUR

    def lent_in_common(self, edges: Ticks) -> NDArray[np.float64]:
        """Return the GPU-hours between edges that tenants held of what belongs to nobody."""
        total = np.zeros(edges.size - 1)
        for resource, (times, reach) in enumerate(self._lending[0]):
            total += _product(self._unused_own(0, resource), times, reach, edges)
        return total / _MILLI_HOUR

    def seconds_at_quota(self, number: int, edges: Ticks) -> NDArray[np.float64]:
        """Return the seconds between edges in which a tenant used its nominal quota, or more, of some resource."""
        asked = [each for each in range(len(self.given.resources)) if self.given.nominal[number, each] > 0]
        if not asked:
            return np.zeros(edges.size - 1)
        used = [self.steps[number][each] for each in asked]
        times = np.unique(np.concatenate([each.times for each in used]))
        full = np.zeros(times.size - 1 if times.size > 1 else 1, np.bool_)
        for resource, each in zip(asked, used, strict=True):
            full |= _at(each, times[: full.size]) >= self.given.nominal[number, resource]
        if times.size == 1:
            return np.zeros(edges.size - 1)
        return np.array(Steps(times, full.astype(np.int64)).integrals(edges)) / 1e6

    def _unused(self, number: int, resource: int) -> Steps:
        """Return what of a tenant's contribution to the one above is not used below it."""
        used, kept = self.steps[number][resource], int(self.given.kept[number, resource])
        given = int(self.given.nominal[number, resource]) - kept
        return Steps(used.times, np.maximum(given - np.maximum(used.values - kept, 0), 0))

    def _unused_own(self, number: int, resource: int) -> Steps:
        """Return what a tenant's own jobs leave of the nominal quota that is its own."""
        own = self._own(number, resource)
        return Steps(own.times, np.maximum(self.given.own[number, resource] - own.values, 0))

    def _own(self, number: int, resource: int) -> Steps:
        mine = self._of_owner[number]
        mine = mine[self.resource[mine] == resource]
        spans = Spans(
            np.clip(self.record.attempt_start[mine], self.start, self.stop),
            np.clip(self.record.attempt_end[mine], self.start, self.stop),
        )
        return Steps.of(spans, self.milli[mine], base=0, start=self.start, stop=self.stop)

    @cached_property
    def _lending(self) -> dict[int, list[tuple[Ticks, NDArray[np.float64]]]]:
        """For the root, each parent and resource, the integral up to each time of the lent part of what is unused."""
        parents = [number for number, below in enumerate(self.given.children) if below or number == 0]
        resources = range(len(self.given.resources))
        return {parent: [self._lent_part(parent, resource) for resource in resources] for parent in parents}

    def _lent_part(self, parent: int, resource: int) -> tuple[Ticks, NDArray[np.float64]]:
        own = self._own(parent, resource)
        above = [Steps(own.times, np.maximum(own.values - self.given.own[parent, resource], 0))]
        unused = [self._unused_own(parent, resource)]
        for child in self.given.children[parent]:
            used = self.steps[child][resource]
            above.append(Steps(used.times, np.maximum(used.values - self.given.nominal[child, resource], 0)))
            unused.append(self._unused(child, resource))
        wanted, free = _summed(above), _summed(unused)
        part = np.minimum(wanted.values, free.values) / np.maximum(free.values, 1)
        reach = np.concatenate([[0.0], np.cumsum(part * np.diff(wanted.times))])
        return wanted.times, reach


def usage(record: Record, start: int, stop: int, among: Among | None = None) -> Usage:
    """Return what the tenants of a record held between two instants, microseconds; or those of a virtual cluster."""
    given = entitlement(record.tenants if among is None else among.tenants)
    milli = asked_milli(record.workload)
    milli = np.where(record.exclusive & (record.workload.integers("gpu_milli", 0) > 0), 1000, milli)
    resource = np.zeros(record.attempt_job.size, np.int64)
    if given.resources != ("",):
        place = {name: number for number, name in enumerate(given.resources)}
        of_type = np.array([place.get(name, -1) for name in record.cluster.gpu_types], np.int64)
        several = record.slot_offset[:-1] < record.slot_offset[1:]
        node = record.slot_node[record.slot_offset[:-1][several]]
        resource[several] = of_type[record.cluster.node_type[node]]
        resource[~several] = -1
    return Usage(
        given=given,
        record=record,
        owner=owners(given.paths, record.workload) if among is None else among.owner,
        resource=resource,
        milli=milli[record.attempt_job],
        start=start,
        stop=stop,
    )


def _summed(parts: Sequence[Steps]) -> Steps:
    """Return the sum of quantities that have the same first and last time."""
    first, last = parts[0].times[0], parts[0].times[-1]
    times = np.concatenate([each.times[1:-1] for each in parts])
    changes = np.concatenate([np.diff(each.values) for each in parts])
    order = np.argsort(times, kind="stable")
    base = sum(int(each.values[0]) for each in parts)
    return Steps(np.concatenate([[first], times[order], [last]]), np.cumsum(np.concatenate([[base], changes[order]])))


def _at(steps: Steps, times: Ticks) -> Ticks:
    """Return the value from each time on, int64, of the shape of the times."""
    place = np.searchsorted(steps.times[:-1], times, side="right") - 1
    return steps.values[np.clip(place, 0, steps.values.size - 1)]


def _product(steps: Steps, times: Ticks, reach: NDArray[np.float64], edges: Ticks) -> NDArray[np.float64]:
    """Return the integral between edges of a quantity times another whose integral up to each time is ``reach``."""
    cuts = np.unique(np.concatenate([steps.times, edges]))
    upto = np.interp(cuts, times, reach)
    area = np.concatenate([[0.0], np.cumsum(_at(steps, cuts[:-1]) * np.diff(upto))])
    return np.diff(area[np.searchsorted(cuts, edges)])


def _hours(integrals: Sequence[int]) -> NDArray[np.float64]:
    return np.array([whole / _MILLI_HOUR for whole in integrals], np.float64)
