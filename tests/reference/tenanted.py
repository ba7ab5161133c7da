"""The pass among tenants where nobody is preempted: one round."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.policy import Policy
from reference.backfilling import Strict
from reference.jobs import Job, asked
from reference.placing import Room
from reference.tenants import Held, Tenancy
from reference.yard import Run, Yard


def held_in(yard: Yard, tenancy: Tenancy, gone: Sequence[Run] = ()) -> Held:
    """Return who runs, but for some."""
    stay = [run for run in yard.running.values() if run not in gone]
    return [(run.job, tenancy.resource_of(run.job, run.pieces)) for run in stay]


def room_in(yard: Yard, gone: Sequence[Run] = ()) -> Room:
    """Return what is free without some of those who run."""
    stay = [run for run in yard.running.values() if run not in gone]
    return Room(yard.cluster, [piece for run in stay for piece in run.pieces], yard.absent())


def refusal(job: Job, tenancy: Tenancy, yard: Yard, policy: Policy) -> tuple[object, ...]:
    """Return what jobs have in common that are passed over once one of them has been refused."""
    tenant = tenancy.tenant_of(job)
    if policy.backfill == "none":
        return (tenant,)
    return tenant, tenancy.groups(job), asked(job, yard.cluster, str(policy.placement))


class AmongTenants(Strict):
    """Nobody is preempted: a pass is one round."""

    def __init__(self, policy: Policy, tenancy: Tenancy) -> None:
        super().__init__(policy)
        self.tenancy = tenancy

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        alike = {job.row: refusal(job, self.tenancy, yard, self.policy) for job in queue}
        left = list(queue)
        while left:
            held = held_in(yard, self.tenancy)
            shares = self.tenancy.shares(held, left)
            job = min(left, key=lambda job: (shares[self.tenancy.tenant_of(job)], queue.index(job)))
            pieces = self.tenancy.find(held, room_in(yard), job, yard.rule)
            if pieces is None:
                left = [other for other in left if alike[other.row] != alike[job.row]]
            else:
                left.remove(job)
                yard.hold(job, pieces)
