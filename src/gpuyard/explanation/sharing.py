"""What tenants and groups with a limit hold at an instant, worked out from who ran; and whom that holds back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.entitlement import Entitlement, entitlement, owners
from gpuyard.explanation.cohorts import queue_of, share_of, sides
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.story import Held, Right, Rival
from gpuyard.explanation.yard import demand_of, held_milli
from gpuyard.tenancy import Limit
from gpuyard.workload import NEVER

__all__ = ["Sharing", "right_of"]

_WHOLE = 1000
_GPUS, _CPUS, _MEMORY = range(3)


class Sharing:
    """What each tenant's own jobs hold, and each group of each limit; :meth:`hold` and :meth:`give_back` move jobs.

    ``given`` has the quotas, ``owner`` the tenant of each job.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.given = entitlement(evidence.tenants, evidence.cluster.gpu_types)
        self.owner = owners(self.given.paths, evidence.workload)
        self.held = np.zeros((len(self.given.paths), len(self.given.resources)), np.int64)
        self._used: NDArray[np.int64] | None = None
        self._all = np.zeros((len(self.given.paths), 3), np.int64)
        self._total = _totals(evidence)
        self._limits = evidence.tenants.limits
        self._groups: list[dict[tuple[str | None, ...], list[int]]] = [{} for _ in self._limits]
        place = {name: number for number, name in enumerate(self.given.resources)}
        self._resource_of_type = [place.get(name, place.get("", -1)) for name in evidence.cluster.gpu_types]
        self._types = list(dict.fromkeys(evidence.cluster.node_type.tolist()))
        """in the order in which they are tried"""
        self._columns = {
            name: evidence.workload.table[name] for each in self._limits for name in (*each.each, *each.where)
        }

    @property
    def used(self) -> NDArray[np.int64]:
        """What each tenant uses, with those below it: thousandths of GPUs, shape (tenants, resources)."""
        if self._used is None:
            self._used = self.given.usage(self.held)
        return self._used

    def hold(self, attempt: int) -> None:
        """Charge a tenant and its groups with an attempt."""
        self._change(attempt, 1)

    def give_back(self, attempt: int) -> None:
        """Take an attempt off them."""
        self._change(attempt, -1)

    def _change(self, attempt: int, sign: int) -> None:
        evidence = self._evidence
        row = int(evidence.attempt_job[attempt])
        milli, tenant = held_milli(evidence, row), int(self.owner[row])
        first, end = int(evidence.slot_offset[attempt]), int(evidence.slot_offset[attempt + 1])
        if first == end:  # it found no room when the simulation began
            return
        if milli:
            kind = int(evidence.cluster.node_type[evidence.slot_node[first]])
            self.held[tenant, self._resource_of_type[kind]] += sign * milli
            self._used = None
        want = demand_of(evidence, row)
        pieces = max(int(want["gpus"]), 1)
        self._all[tenant] += sign * np.array([milli, int(want["cpu"]) * pieces, int(want["memory"]) * pieces])
        for limit, groups in zip(self._limits, self._groups, strict=True):
            group = self._group(limit, row)
            if group is not None:
                known = groups.setdefault(group, [0, 0])
                known[0] += sign
                known[1] += sign * milli

    def _group(self, limit: Limit, row: int) -> tuple[str | None, ...] | None:
        """Return the group of a job under a limit, ``None`` where the limit is not about it."""
        if any(self._value(column, row) != value for column, value in limit.where.items()):
            return None
        return tuple(self._value(column, row) for column in limit.each)

    def _value(self, column: str, row: int) -> str | None:
        if column == "tenant":
            return self.given.paths[self.owner[row]]
        value: str | None = self._columns[column][row].as_py()
        return value

    def groups(self, row: int) -> tuple[tuple[str | None, ...] | None, ...]:
        """Return the group of a job under each limit, ``None`` where the limit is not about it."""
        return tuple(self._group(limit, row) for limit in self._limits)

    def charged_on(self, row: int) -> int:
        """Return the resource on which a job that waits is counted: of those it may use the first that admits it."""
        if len(self.given.resources) == 1:
            return 0
        kinds = int(demand_of(self._evidence, row)["kinds"])
        usable = {kind: self._resource_of_type[kind] for kind in self._types if kinds >> kind & 1}
        first = next(iter(usable.values()), 0)
        if len(usable) <= 1 or self.limit(row) is not None:
            return first
        refused = self.refused_types(row)
        return next((resource for kind, resource in usable.items() if kind not in refused), first)

    def limit(self, row: int) -> Held | None:
        """Return the first limit that would not admit a job now, or ``None``."""
        milli = held_milli(self._evidence, row)
        for limit, groups in zip(self._limits, self._groups, strict=True):
            group = self._group(limit, row)
            if group is None:
                continue
            jobs, gpus = groups.get(group, (0, 0))
            too_many = limit.jobs is not None and jobs + 1 > limit.jobs
            if too_many or (limit.gpus is not None and gpus + milli > round(limit.gpus * _WHOLE)):
                named = {column: value or "" for column, value in zip(limit.each, group, strict=True)}
                used = float(jobs) if too_many else gpus / _WHOLE
                most = limit.jobs if too_many else limit.gpus
                return Held(
                    by="limit",
                    what="jobs" if too_many else "gpus",
                    group={**limit.where, **named},
                    used=(used, used),
                    most=None if most is None else float(most),
                )
        return None

    def refused_types(self, row: int) -> dict[int, Held]:
        """Return the GPU types, of those that a job accepts, on which quotas would not admit it now, and whose."""
        milli = held_milli(self._evidence, row)
        if not milli or not self.given.has_quotas:
            return {}
        kinds = int(demand_of(self._evidence, row)["kinds"])
        found = {}
        for kind, resource in enumerate(self._resource_of_type):
            held = self._at_tenant(row, milli, resource) if kinds >> kind & 1 and resource >= 0 else None
            if held is not None:
                found[kind] = held
        return found

    def _at_tenant(self, row: int, milli: int, resource: int) -> Held | None:
        given, used = self.given, self.used
        held = self.held.copy()
        held[self.owner[row], resource] += milli
        after = given.usage(held)
        for tenant in given.up(int(self.owner[row])):
            borrow, nominal = int(given.borrow[tenant, resource]), int(given.nominal[tenant, resource])
            rises = after[tenant, resource] > used[tenant, resource]
            if rises and borrow != NEVER and after[tenant, resource] > nominal + borrow:
                now = int(used[tenant, resource]) / _WHOLE
                return Held(
                    by="quota",
                    what=given.resources[resource],
                    tenant=given.paths[tenant],
                    used=(now, now),
                    nominal=nominal / _WHOLE,
                    most=(nominal + borrow) / _WHOLE,
                )
        return None

    def share(self, tenant: int, between: str | None = None) -> float:
        """Return the share of a tenant by what decides between tenants, as ``docs/semantics.md`` defines it."""
        between = between or self._evidence.tenants.between
        if between == "queue":
            return 0.0
        if between == "cohorts":
            return share_of(self.given, self.held, queue_of(self.given, tenant), self.used)
        weight = float(self.given.weight[tenant])
        if between == "drf":
            parts = [
                int(held) / int(total) for held, total in zip(self._all[tenant], self._total, strict=True) if total
            ]
            return max(parts, default=0.0) / weight
        return above_share(self.given, self.held, tenant)

    def is_within_quota(self, row: int) -> bool:
        """Return whether a tenant's own jobs would hold no more than its nominal quota with one that waits."""
        tenant, milli = int(self.owner[row]), held_milli(self._evidence, row)
        kinds = int(demand_of(self._evidence, row)["kinds"])
        resources = {each for kind, each in enumerate(self._resource_of_type) if kinds >> kind & 1 and each >= 0}
        left = self.given.own[tenant] - self.held[tenant]
        return milli > 0 and any(int(left[each]) >= milli for each in resources)

    def borrowed(self, beside: int, most: int) -> tuple[tuple[str, float], ...]:
        """Return who but one tenant holds how many GPUs above its nominal quota, the most first, at most so many."""
        above = _above_quota(self.given, self.held)
        above[beside] = 0
        largest = np.argsort(-above, kind="stable")[:most]
        return tuple((self.given.paths[each], int(above[each]) / _WHOLE) for each in largest.tolist() if above[each])

    def rival(self, row: int) -> Rival | None:
        """Return the shares of another tenant and of the job's own with it; ``None`` where nobody else borrows.

        Of several tenants, and types that the job accepts, those with which it may take the most easily.
        """
        tenant, milli = int(self.owner[row]), held_milli(self._evidence, row)
        kinds = int(demand_of(self._evidence, row)["kinds"])
        resources = {each for kind, each in enumerate(self._resource_of_type) if kinds >> kind & 1 and each >= 0}
        above = _above_quota(self.given, self.held)
        above[tenant] = 0
        found = []
        for resource in sorted(resources):
            with_it = self.held.copy()
            with_it[tenant, resource] += milli
            for other in np.flatnonzero(above).tolist():
                (path, own), shares = _compared(self._evidence, self.given, (self.held, with_it), other, tenant)
                if shares is not None and shares[0] > 0:
                    found.append(Rival(path=path, share=shares[0], own_path=own, own_share=shares[1]))
        return max(found, key=lambda each: each.share - each.own_share, default=None)


def above_share(given: Entitlement, held: NDArray[np.int64], tenant: int) -> float:
    """Return what a tenant's own jobs hold above its quota, of what all may lend, by its weight."""
    lendable = int(given.nominal[0].sum())
    above = int(_above_quota(given, held)[tenant])
    return above / lendable / float(given.weight[tenant]) if lendable else 0.0


def _above_quota(given: Entitlement, held: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the thousandths of GPUs that each tenant's own jobs hold above its nominal quota, shape (tenants,)."""
    above: NDArray[np.int64] = np.maximum(held - given.own, 0).sum(axis=1)
    return above


def right_of(evidence: Evidence, attempt: int) -> Right | None:
    """Return by which right an attempt was taken back for a job of another tenant; ``None`` where it was not."""
    by = int(evidence.attempt_by[attempt])
    if by < 0 or not evidence.tenants:
        return None
    sharing = Sharing(evidence)
    tenant, taker = (int(sharing.owner[row]) for row in (evidence.attempt_job[attempt], by))
    if tenant == taker:
        return None
    now = int(evidence.attempt_end[attempt])
    for each in _running_before(evidence, by, now):
        sharing.hold(each)
    above = int(_above_quota(sharing.given, sharing.held)[tenant]) / _WHOLE
    before = sharing.held.copy()
    sharing.hold(_start_of(evidence, by, now))
    compared, shares = _compared(evidence, sharing.given, (before, sharing.held), tenant, taker)
    return Right(
        rule=_rule(evidence, sharing, before, taker),
        tenant=sharing.given.paths[tenant],
        above=above,
        taker=sharing.given.paths[taker],
        used=int(sharing.held[taker].sum()) / _WHOLE,
        nominal=int(sharing.given.own[taker].sum()) / _WHOLE,
        shares=shares,
        compared=compared,
    )


def _rule(evidence: Evidence, sharing: Sharing, before: NDArray[np.int64], taker: int) -> str:
    """Return the rule by which a tenant took: with its job it holds what ``sharing`` says, without ``before``."""
    rises = sharing.held[taker] > before[taker]
    above = sharing.held[taker] > sharing.given.own[taker]
    borrows = evidence.tenants.borrows_within and bool((rises & above).any())
    return "borrow" if borrows else evidence.tenants.reclaim


def _compared(
    evidence: Evidence,
    given: Entitlement,
    held: tuple[NDArray[np.int64], NDArray[np.int64]],
    tenant: int,
    taker: int,
) -> tuple[tuple[str, str], tuple[float, float] | None]:
    """Return whose shares let a tenant take from another, and these; ``None`` for none.

    ``held``: what tenants' own jobs hold before, for the share of the tenant, and with the job, for that of the taker.
    """
    before, with_it = held
    if evidence.tenants.reclaim == "fair":
        shares = above_share(given, before, tenant), above_share(given, with_it, taker)
        return (given.paths[tenant], given.paths[taker]), shares
    if evidence.tenants.reclaim != "cohorts":
        return (given.paths[tenant], given.paths[taker]), None
    its, takers = sides(given, tenant, taker)
    shares = share_of(given, before, its), share_of(given, with_it, takers)
    return (given.paths[its.tenant], given.paths[takers.tenant]), shares


def _running_before(evidence: Evidence, by: int, now: int) -> list[int]:
    """Return the attempts that ran when a job began to take others' place at an instant: theirs, and who left later."""
    start, end = evidence.attempt_start, evidence.attempt_end
    taker = _start_of(evidence, by, now)
    earlier = (start < now) | ((start == now) & (np.arange(start.size) < taker))
    lasting = end > now
    for victim in np.flatnonzero((end == now) & (evidence.attempt_by >= 0)).tolist():
        lasting[victim] = _start_of(evidence, int(evidence.attempt_by[victim]), now) >= taker
    return np.flatnonzero(earlier & lasting).tolist()


def _start_of(evidence: Evidence, row: int, now: int) -> int:
    """Return the attempt of a job that starts at an instant."""
    return int(np.flatnonzero((evidence.attempt_job == row) & (evidence.attempt_start == now))[0])


def _totals(evidence: Evidence) -> NDArray[np.int64]:
    """Return thousandths of GPUs and cores, and MiB, of the whole cluster; 0 for what it does not state."""
    site = evidence.cluster
    cpus = 0 if site.node_cpus is None else int(np.rint(site.node_cpus * _WHOLE).astype(np.int64).sum())
    memory = 0 if site.node_memory_gib is None else int(np.rint(site.node_memory_gib * 1024).astype(np.int64).sum())
    return np.array([site.gpus * _WHOLE, cpus, memory], np.int64)
