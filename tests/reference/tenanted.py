"""The pass among tenants where nobody is preempted: one round."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.policy import Policy
from reference.backfilling import Strict
from reference.jobs import Job, asked
from reference.promising import Promise
from reference.tenants import Held, Tenancy
from reference.yard import Run, Yard


def held_in(yard: Yard, tenancy: Tenancy, gone: Sequence[Run] = ()) -> Held:
    """Return who runs, but for some; one that holds nothing is charged to nobody."""
    stay = [run for run in yard.running.values() if run not in gone and run.pieces]
    return [(run.job, tenancy.resource_of(run.job, run.pieces)) for run in stay]


def refusal(job: Job, tenancy: Tenancy, yard: Yard, policy: Policy) -> tuple[object, ...]:
    """Return what jobs have in common that are passed over once one of them has been refused."""
    tenant = tenancy.tenant_of(job)
    if policy.backfill == "none":
        return (tenant,)
    if policy.backfill == "easy" or yard.windows:
        return tenant, job.row
    return tenant, tenancy.groups(job), asked(job, yard.cluster, str(policy.placement))


def let_lead(promise: Promise, yard: Yard, tenancy: Tenancy, job: Job) -> None:
    """Let a job that was refused be the head if it is admitted; it asks for the first type then that admits it."""
    if not promise.is_made:
        return
    asked_now = tenancy.admitted(held_in(yard, tenancy), yard.empty(job), job, yard.rule)
    if asked_now is not None:
        promise.find_head(yard, asked_now)


class AmongTenants(Strict):
    """Nobody is preempted: a pass is one round."""

    def __init__(self, policy: Policy, tenancy: Tenancy) -> None:
        super().__init__(policy)
        self.tenancy = tenancy
        self.promise = Promise(policy)

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        alike = {job.row: refusal(job, self.tenancy, yard, self.policy) for job in queue}
        left = list(queue)
        self.promise.begin_pass()
        while left:
            held = held_in(yard, self.tenancy)
            shares = self.tenancy.shares(held, left)
            job = min(left, key=lambda job: (shares[self.tenancy.tenant_of(job)], queue.index(job)))
            closed = self.promise.closed(yard, job)
            pieces = None if closed is None else self.tenancy.find(held, yard.room(closed), job, yard.rule)
            if pieces is None:
                left = [other for other in left if alike[other.row] != alike[job.row]]
                let_lead(self.promise, yard, self.tenancy, job)
            else:
                left.remove(job)
                self.promise.note_start(yard, job)
                yard.hold(job, pieces)
