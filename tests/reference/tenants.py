"""Tenants: what quotas and limits admit, who borrows, and what decides between tenants; GPUs in thousandths.

Everything is worked out anew from who runs.  A tenant is its path as a tuple of names; the root is ``()``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from gpuyard.cluster import Cluster
from gpuyard.tenancy import Limit, Quota, Tenant, Tenants
from reference.jobs import WHOLE, Job, Piece, brings
from reference.placing import Room, Rule, place

Path = tuple[str, ...]
ALL = "*"
"""The resource where quotas are about GPUs of all types."""
Held = Sequence[tuple[Job, str]]
"""The running jobs, each with the resource that its GPUs are."""


def path_of(name: str) -> Path:
    return tuple(name.split("/")) if name else ()


def upwards(tenant: Path) -> list[Path]:
    """Return a tenant and all above it, the root last."""
    return [tenant[:depth] for depth in range(len(tenant), -1, -1)]


def amount(quota: Quota | None, resource: str, default: int | None) -> int | None:
    """Return what a quota says of a resource: of a type that a table does not name, 0."""
    if quota is None:
        return default
    return round((quota.get(resource, 0) if isinstance(quota, Mapping) else quota) * WHOLE)


@dataclass(frozen=True, kw_only=True)
class Tenancy:
    """Tenants on a cluster."""

    tenants: Tenants
    cluster: Cluster
    stated: Mapping[Path, Tenant] = field(default_factory=dict)

    @classmethod
    def of(cls, tenants: Tenants, cluster: Cluster) -> Tenancy | None:
        """Return ``None`` where nothing is shared out."""
        if not tenants:
            return None
        return cls(tenants=tenants, cluster=cluster, stated={path_of(each.name): each for each in tenants.tenants})

    # --- the tree -------------------------------------------------------------------------------------------------

    @cached_property
    def paths(self) -> list[Path]:
        return sorted({above for path in [(), *self.stated] for above in upwards(path)})

    @property
    def by_type(self) -> bool:
        return self.tenants.has_quotas and self.tenants.types is not None

    @property
    def resources(self) -> list[str]:
        return sorted({*self.cluster.gpu_types, *self.tenants.types}) if self.by_type else [ALL]

    def tenant_of(self, job: Job) -> Path:
        """Return the deepest tenant that is the job's column or begins it."""
        return next(path for path in upwards(path_of(job.tenant or "")) if path in self.paths)

    def children(self, parent: Path) -> list[Path]:
        return [path for path in self.paths if path and path[:-1] == parent]

    def weight(self, tenant: Path) -> float:
        return self.stated[tenant].weight if tenant in self.stated else 1.0

    # --- quotas ---------------------------------------------------------------------------------------------------

    def own_nominal(self, tenant: Path, resource: str) -> int:
        """Return q."""
        quota = self.tenants.nominal if tenant == () else getattr(self.stated.get(tenant), "nominal", None)
        return amount(quota, resource, 0)

    def nominal(self, tenant: Path, resource: str) -> int:
        """Return N."""
        lent = sum(self.nominal(child, resource) - self.kept(child, resource) for child in self.children(tenant))
        return self.own_nominal(tenant, resource) + lent

    def kept(self, tenant: Path, resource: str) -> int:
        """Return R."""
        lend = amount(getattr(self.stated.get(tenant), "lend", None), resource, None)
        return 0 if lend is None else max(self.nominal(tenant, resource) - lend, 0)

    def most(self, tenant: Path, resource: str) -> float:
        """Return N + b."""
        borrow = amount(getattr(self.stated.get(tenant), "borrow", None), resource, None)
        if tenant == ():
            borrow = 0
        return float("inf") if borrow is None else self.nominal(tenant, resource) + borrow

    def own_usage(self, held: Held, tenant: Path, resource: str) -> int:
        """Return O."""
        return sum(job.thousandths for job, kind in held if kind == resource and self.tenant_of(job) == tenant)

    def usage(self, held: Held, tenant: Path, resource: str) -> int:
        """Return U."""
        passed_on = [
            max(self.usage(held, child, resource) - self.kept(child, resource), 0) for child in self.children(tenant)
        ]
        return self.own_usage(held, tenant, resource) + sum(passed_on)

    def quotas_admit(self, held: Held, job: Job, resource: str) -> bool:
        if not self.tenants.has_quotas or job.gpus == 0:
            return True
        after = [*held, (job, resource)]
        return all(
            self.usage(after, tenant, resource) <= self.most(tenant, resource)
            for tenant in upwards(self.tenant_of(job))
            if self.usage(after, tenant, resource) > self.usage(held, tenant, resource)
        )

    # --- limits ---------------------------------------------------------------------------------------------------

    def value(self, job: Job, column: str) -> str | None:
        return "/".join(self.tenant_of(job)) if column == "tenant" else getattr(job, column)

    def group(self, limit: Limit, job: Job) -> tuple[str | None, ...] | None:
        """Return the group that a job is in, ``None`` where the limit is not about it."""
        if any(self.value(job, column) != wanted for column, wanted in limit.where.items()):
            return None
        return tuple(self.value(job, column) for column in limit.each)

    def groups(self, job: Job) -> tuple[object, ...]:
        return tuple(self.group(limit, job) for limit in self.tenants.limits)

    def limits_admit(self, held: Held, job: Job) -> bool:
        for limit in self.tenants.limits:
            group = self.group(limit, job)
            if group is None:
                continue
            together = [other for other, _ in held if self.group(limit, other) == group] + [job]
            if limit.jobs is not None and len(together) > limit.jobs:
                return False
            if limit.gpus is not None and sum(each.thousandths for each in together) > round(limit.gpus * WHOLE):
                return False
        return True

    def admits(self, held: Held, job: Job, resource: str) -> bool:
        return self.quotas_admit(held, job, resource) and self.limits_admit(held, job)

    # --- types ----------------------------------------------------------------------------------------------------

    def tries(self, job: Job) -> list[tuple[str, Job]]:
        """Return the resources that are tried for a job one after the other, with what it asks for then.

        Types go in the order of the lowest-numbered node of each.
        """
        if not self.by_type or job.gpus == 0:
            return [(ALL, job)]
        by_node = dict.fromkeys(self.cluster.gpu_types[number] for number in self.cluster.node_type)
        types = [kind for kind in by_node if job.types is None or kind in job.types]
        return [(kind, replace(job, types=(kind,))) for kind in types]

    def resource_of(self, job: Job, pieces: Iterable[Piece]) -> str:
        """Return the resource that the GPUs of a running job are."""
        if not self.by_type or job.gpus == 0:
            return ALL
        (kind,) = {self.cluster.gpu_types[self.cluster.node_type[piece.node]] for piece in pieces}
        return kind

    def find(self, held: Held, room: Room, job: Job, rule: Rule) -> list[Piece] | None:
        """Return what a job would hold now, on the first type on which it is admitted and can be placed."""
        for resource, asked in self.tries(job):
            pieces = place(room, asked, rule) if self.admits(held, job, resource) else None
            if pieces is not None:
                return pieces
        return None

    def admitted(self, held: Held, empty: Room, job: Job, rule: Rule) -> Job | None:
        """Return what a job asks for on the first type on which it is admitted now and that can hold it when empty."""
        for resource, asked in self.tries(job):
            if self.admits(held, job, resource) and place(empty, asked, rule) is not None:
                return asked
        return None

    # --- between tenants ------------------------------------------------------------------------------------------

    def share(self, held: Held, tenant: Path) -> float:
        """Return what decides between tenants."""
        shares = {"queue": lambda *_: 0.0, "drf": self.dominant_share, "fair": self.borrowed_share}
        return shares[self.tenants.between](held, tenant)

    def shares(self, held: Held, jobs: Iterable[Job]) -> dict[Path, float]:
        """Return the shares of the tenants of jobs."""
        return {tenant: self.share(held, tenant) for tenant in {self.tenant_of(job) for job in jobs}}

    def dominant_share(self, held: Held, tenant: Path) -> float:
        own = [asked_of_all(job) for job, _ in held if self.tenant_of(job) == tenant]
        room = Room(self.cluster, [])
        totals = [sum(room.size) * WHOLE, sum(room.cpus or [0]), sum(room.memory or [0])]
        shares = [sum(each[number] for each in own) / total for number, total in enumerate(totals) if total > 0]
        return max(shares, default=0.0) / self.weight(tenant)

    def borrowed_share(self, held: Held, tenant: Path) -> float:
        lendable = sum(self.nominal((), resource) for resource in self.resources)
        borrowed = sum(self.borrowed(held, tenant, resource) for resource in self.resources)
        return borrowed / lendable / self.weight(tenant) if lendable else 0.0

    def borrowed(self, held: Held, tenant: Path, resource: str) -> int:
        return max(self.own_usage(held, tenant, resource) - self.own_nominal(tenant, resource), 0)

    def borrows_from(self, held: Held, borrower: Path, lender: Path, resource: str) -> bool:
        """Return whether a tenant holds what another could have back."""
        between = [path for path in upwards(borrower) if path not in upwards(lender)]
        return self.borrowed(held, borrower, resource) > 0 and all(
            self.usage(held, path, resource) > self.nominal(path, resource) for path in between
        )

    def is_entitled(self, held: Held, job: Job, resource: str) -> bool:
        """Return whether a job's tenant stays within its nominal quota with it."""
        tenant = self.tenant_of(job)
        with_it = self.own_usage(held, tenant, resource) + job.thousandths
        return job.gpus > 0 and with_it <= self.own_nominal(tenant, resource)


def asked_of_all(job: Job) -> tuple[int, int, int]:
    """Return the GPUs, CPUs and memory that a job asks for on all its nodes."""
    times = job.gpus or job.nodes or 1
    cpus, memory = brings(job, 1)
    return job.thousandths, times * cpus, times * memory
