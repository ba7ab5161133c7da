"""The pass among tenants where nobody is preempted: one round."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.policy import Policy
from reference.backfilling import InOrder
from reference.cohorts import Cohorts
from reference.jobs import Job, asked
from reference.promising import Promise
from reference.replanning import Planner
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
        return tenant, yard.queues.has(job)
    if policy.backfill == "easy" or yard.windows or policy.preemption.preempts:
        return tenant, job.row
    return tenant, tenancy.groups(job), asked(job, yard.cluster, str(policy.placement))


def admitted(yard: Yard, tenancy: Tenancy, job: Job) -> Job | None:
    """Return what a job asks for on the first type that admits it now, and that could hold it."""
    return tenancy.admitted(held_in(yard, tenancy), yard.empty(job), job, yard.rule)


def is_admitted(yard: Yard, tenancy: Tenancy, job: Job) -> bool:
    return admitted(yard, tenancy, job) is not None


def refuse(promise: Promise, yard: Yard, tenancy: Tenancy, job: Job) -> None:
    """Let a job that could not start hold up those behind it: as a head, only if it is admitted.

    A head asks for the first type that admits it.
    """
    asked_now = admitted(yard, tenancy, job) if promise.is_made else job
    if asked_now is not None:
        promise.refuse(yard, asked_now, tenancy.tenant_of(job))


class AmongTenants(InOrder):
    """Nobody is preempted: a pass is one round."""

    def __init__(self, policy: Policy, tenancy: Tenancy) -> None:
        super().__init__(policy)
        self.tenancy = tenancy
        self.planner = Planner(policy)

    @property
    def due(self) -> int | None:
        return self.planner.due

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        self.planner.begin_pass(yard)
        if self.planner.is_used:
            self.try_and_plan(yard, queue)
        else:
            self.try_in_order(yard, queue)
        self.planner.end_pass(waits=any(job.row not in yard.running for job in queue))

    def try_in_order(self, yard: Yard, queue: Sequence[Job]) -> None:
        alike = {job.row: refusal(job, self.tenancy, yard, self.policy) for job in queue}
        left = list(queue)
        self.promise.begin_pass()
        while left:
            job = self.first_of(yard, left)
            if self.starts(yard, job):
                left.remove(job)
            else:
                left = [other for other in left if alike[other.row] != alike[job.row]]
                refuse(self.promise, yard, self.tenancy, job)
        self.promise.end_pass()

    def try_and_plan(self, yard: Yard, queue: Sequence[Job]) -> None:
        """Start jobs up to the first that is admitted and cannot be placed; then plan, if it is time."""
        left = list(queue)
        while left:
            job = self.first_of(yard, left)
            if not self.starts(yard, job) and is_admitted(yard, self.tenancy, job):
                break
            left.remove(job)
        if not self.planner.plans:
            return
        self.planner.begin_plan(yard)
        while left and self.planner.has_turns_left():
            job = self.first_of(yard, left)
            left.remove(job)
            admitted_now = is_admitted(yard, self.tenancy, job)
            self.planner.give_turn(yard, job, [], lambda job: self.starts(yard, job), is_admitted=admitted_now)

    def first_of(self, yard: Yard, left: Sequence[Job]) -> Job:
        """Return the first in the order of this moment, of jobs in the order of the queue."""
        held = held_in(yard, self.tenancy)
        if self.tenancy.tenants.between == "cohorts":
            return Cohorts(tenancy=self.tenancy).first_of(held, {job: (at,) for at, job in enumerate(left)})
        shares = self.tenancy.shares(held, left)
        return min(left, key=lambda job: (shares[self.tenancy.tenant_of(job)], left.index(job)))

    def starts(self, yard: Yard, job: Job) -> bool:
        """Start a job if it is admitted and can be placed; return whether it has started."""
        closed = self.promise.closed(yard, job, self.tenancy.tenant_of(job))
        if closed is None:
            return False
        pieces = self.tenancy.find(held_in(yard, self.tenancy), yard.room(closed), job, yard.rule)
        if pieces is not None:
            self.promise.note_start(yard, job)
            yard.hold(job, pieces)
        return pieces is not None
