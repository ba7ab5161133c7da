"""Fair sharing level by level: the shares of cohorts and queues, whose turn it is, and whom to look at for room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reference.jobs import Job
from reference.tenants import Held, Path, Tenancy


class Member(NamedTuple):
    """A child of a cohort: a tenant, or the queue of the cohort itself."""

    path: Path
    is_own_queue: bool = False
    """of the cohort of this path"""

    @property
    def parent(self) -> Path:
        return self.path if self.is_own_queue else self.path[:-1]


@dataclass(frozen=True, kw_only=True)
class Cohorts:
    """The tenants that have others below them; the root is always one."""

    tenancy: Tenancy

    def is_cohort(self, tenant: Path) -> bool:
        return tenant == () or bool(self.tenancy.children(tenant))

    def is_queue(self, member: Member) -> bool:
        return member.is_own_queue or not self.is_cohort(member.path)

    def queue_of(self, tenant: Path) -> Member:
        """Return where the own jobs of a tenant wait."""
        return Member(tenant, self.is_cohort(tenant))

    def members(self, cohort: Path) -> list[Member]:
        return [Member(cohort, is_own_queue=True), *map(Member, self.tenancy.children(cohort))]

    def line(self, queue: Member) -> list[Member]:
        """Return a queue and the cohorts above it, but the root."""
        above = [queue]
        while above[-1].parent != ():
            above.append(Member(above[-1].parent))
        return above

    # --- shares ---------------------------------------------------------------------------------------------------

    def could_have(self, cohort: Path, resource: str) -> float:
        """Return what a cohort could have of a resource if nothing else ran."""
        if cohort == ():
            return self.tenancy.nominal(cohort, resource)
        lent_to_it = self.could_have(cohort[:-1], resource)
        return min(self.tenancy.kept(cohort, resource) + lent_to_it, self.tenancy.most(cohort, resource))

    def borrowed(self, held: Held, member: Member, resource: str) -> int:
        if member.is_own_queue:
            return self.tenancy.borrowed(held, member.path, resource)
        usage, nominal = self.tenancy.usage(held, member.path, resource), self.tenancy.nominal(member.path, resource)
        return max(usage - nominal, 0)

    def share(self, held: Held, member: Member) -> float:
        """Return S."""
        there_is = sum(self.could_have(member.parent, resource) for resource in self.tenancy.resources)
        borrowed = sum(self.borrowed(held, member, resource) for resource in self.tenancy.resources)
        weight = 1.0 if member.is_own_queue else self.tenancy.weight(member.path)
        return borrowed / there_is / weight if there_is else 0.0

    # --- whose turn it is -----------------------------------------------------------------------------------------

    def first_of(self, held: Held, places: Mapping[Job, tuple[float, ...]]) -> Job:
        """Return the job that the root names; ``places``: where each job stands by level and by key or score."""
        first = self.named_by((), held, places)
        assert first is not None
        return first

    def named_by(self, cohort: Path, held: Held, places: Mapping[Job, tuple[float, ...]]) -> Job | None:
        named: list[tuple[float, tuple[float, ...], Job]] = []
        for member in self.members(cohort):
            job = self.named_in(member, held, places)
            if job is not None:
                with_it = [*held, (job, self.charged_on(held, job))]
                named.append((self.share(with_it, member), places[job], job))
        return min(named, key=lambda each: each[:2])[2] if named else None

    def named_in(self, member: Member, held: Held, places: Mapping[Job, tuple[float, ...]]) -> Job | None:
        if not self.is_queue(member):
            return self.named_by(member.path, held, places)
        own = [job for job in places if self.tenancy.tenant_of(job) == member.path]
        return min(own, key=lambda job: places[job], default=None)

    def charged_on(self, held: Held, job: Job) -> str:
        """Return the resource on which a job that waits is counted."""
        resources = [resource for resource, _ in self.tenancy.tries(job)]
        return next((each for each in resources if self.tenancy.admits(held, job, each)), resources[0])

    # --- who makes room -------------------------------------------------------------------------------------------

    def counts(self, held: Held, member: Member, queues: set[Member], own: Member) -> bool:
        """Return whether a queue or cohort may be taken from, given the queues with a candidate, and the job's own."""
        has_any = member in queues if self.is_queue(member) else self.has_any(held, member.path, queues, own)
        return has_any and (member in self.line(own) or self.share(held, member) > 0)

    def has_any(self, held: Held, cohort: Path, queues: set[Member], own: Member) -> bool:
        return any(self.counts(held, member, queues, own) for member in self.members(cohort))

    def looked_at_next(self, held: Held, queues: set[Member], own: Member) -> Member | None:
        """Return the queue with the highest share, from level to level, ``None`` if there is none to be taken from."""
        cohort: Path = ()
        while members := [each for each in self.members(cohort) if self.counts(held, each, queues, own)]:
            highest = min(members, key=lambda each: (-self.share(held, each), self.is_queue(each), each.path))
            if self.is_queue(highest):
                return highest
            cohort = highest.path
        assert cohort == ()
        return None

    def sides(self, own: Member, other: Member) -> tuple[Member, Member]:
        """Return the children, on the way to either queue, of the lowest cohort that both are in."""
        return next((mine, its) for mine in self.line(own) for its in self.line(other) if mine.parent == its.parent)


Strategy = Callable[[float, float, float], bool]
STRATEGIES: Sequence[Strategy] = (
    lambda share, without, _: share <= without,
    lambda share, _, with_it: share < with_it,
)
"""Whether a job is taken off: given the share of the side that asks, of the other side without the job and with it."""
