"""The pass among tenants under preemption, in rounds, and who makes room for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reference.cohorts import STRATEGIES, Cohorts, Member
from reference.jobs import Job, Piece, ticks
from reference.preempting import PreemptiveSimulation
from reference.tenanted import held_in, is_admitted, refusal, refuse
from reference.tenants import Held, Path, Tenancy
from reference.yard import Run

MOST_FRUITLESS = 1000


class TenantedPreemptiveSimulation(PreemptiveSimulation):
    """One run of one workload that tenants share, under a policy that preempts."""

    tenancy: Tenancy

    def may_be_preempted(self, run: Run) -> bool:
        """Return whether a running job may be; a thousand times at most where it might have to begin anew for ever."""
        return super().may_be_preempted(run) and not (
            self.may_go_round() and len(self.pasts[run.job.row].attempts) >= MOST_FRUITLESS
        )

    def may_go_round(self) -> bool:
        """Return whether attempts may last their least run and have saved nothing, and be taken by other tenants."""
        tenants = self.tenancy.tenants
        if self.terms.max_preemptions or not tenants.has_quotas or tenants.reclaim in {"lower", "never"}:
            return False
        return any(
            job.min_run > 0 and any(self.may_save_nothing(each, job.min_run) for each in self.intervals(job))
            for job in self.jobs
        )

    def intervals(self, job: Job) -> list[int | None]:
        """Return the policy's interval between checkpoints, which has to do for all jobs, and the job's own."""
        own = [] if job.checkpoint_interval is None else [job.checkpoint_interval]
        return [ticks(self.terms.checkpoint_interval), *own]

    def may_save_nothing(self, interval: int | None, lasted: int) -> bool:
        """Return whether an attempt may have lasted so long and saved nothing."""
        if interval is None:
            return True
        written = interval + ticks(self.terms.checkpoint_cost) if interval else 0
        return lasted <= ticks(self.terms.restart_cost) + written

    def held(self, gone: Sequence[Run] = ()) -> Held:
        return held_in(self.yard, self.tenancy, gone)

    def decide(self) -> None:
        """Make one pass: rounds, until one ends without preemption."""
        self.planner.begin_pass(self.yard)
        while self.makes_room_in_a_round():
            pass
        self.planner.end_pass(waits=bool(self.queue()))

    def makes_room_in_a_round(self) -> bool:
        """Make one round; return whether it ended with a preemption."""
        if self.planner.is_used:
            return self.makes_room_in_a_planned_round()
        refused: set[tuple[object, ...]] = set()
        self.promise.begin_pass()
        while left := [job for job in self.queue() if self.refusal(job) not in refused]:
            job = self.first_of(left)
            if self.starts_at_once(job):
                continue
            if self.made_room_among_tenants(job):
                return True
            refused.add(self.refusal(job))
            refuse(self.promise, self.yard, self.tenancy, job)
        self.promise.end_pass()
        return False

    def makes_room_in_a_planned_round(self) -> bool:
        """Make one round with a plan, if this pass plans; return whether it ended with a preemption."""
        over: set[int] = set()
        while left := [job for job in self.queue() if job.row not in over]:
            job = self.first_of(left)
            if self.starts_at_once(job):
                continue
            if self.made_room_among_tenants(job):
                return True
            if is_admitted(self.yard, self.tenancy, job):
                break
            over.add(job.row)
        if not self.planner.plans:
            return False
        self.planner.begin_plan(self.yard)
        while self.planner.has_turns_left() and (left := [job for job in self.queue() if job.row not in over]):
            job = self.first_of(left)
            over.add(job.row)
            admitted, ran = is_admitted(self.yard, self.tenancy, job), set(self.yard.running)
            self.planner.give_turn(self.yard, job, self.prey(job), self.starts_somehow, is_admitted=admitted)
            if ran - set(self.yard.running):
                return True
        return False

    def first_of(self, left: Sequence[Job]) -> Job:
        """Return the first in the order of this moment."""
        if self.tenancy.tenants.between == "cohorts":
            return Cohorts(tenancy=self.tenancy).first_of(self.held(), {job: self.place_in_queue(job) for job in left})
        shares = self.tenancy.shares(self.held(), left)
        return min(left, key=lambda job: (shares[self.tenancy.tenant_of(job)], *self.place_in_queue(job)))

    def starts_at_once(self, job: Job) -> bool:
        """Start a job if it is admitted and can be placed; return whether it has started."""
        pieces = self.find_without(job, [])
        if pieces is not None:
            self.begin_attempt(job, pieces)
        return pieces is not None

    def starts_somehow(self, job: Job) -> bool:
        return self.starts_at_once(job) or self.made_room_among_tenants(job)

    def prey(self, job: Job) -> set[int]:
        """Return the rows of those who run that are candidates for a job before anybody is taken off."""
        found: set[int] = set()
        for resource, asked_now in self.tenancy.tries(job):
            own, others = self.might_go(asked_now, resource)
            if self.tenancy.tenants.reclaim == "cohorts" and job.gpus > 0:
                found |= {run.job.row for run in self.prey_level_by_level(asked_now, resource)}
                continue
            lent = [run for run in self.claimed(asked_now, resource, others) if self.is_lent(run, job, resource, [])]
            if self.tenancy.tenants.reclaim == "fair":
                held, tenant_of = self.held(), self.tenancy.tenant_of
                lent = [run for run in lent if self.tenancy.borrowed_share(held, tenant_of(run.job)) > 0]
            found |= {run.job.row for run in [*own, *lent]}
        return found

    def prey_level_by_level(self, job: Job, resource: str) -> list[Run]:
        """Return the candidates whose queue counts, and all cohorts above it."""
        cohorts, own = Cohorts(tenancy=self.tenancy), self.queue_of(job)
        held = [*self.held(), (job, resource)]
        candidates = self.candidates_level_by_level(job, resource, [], [])
        queues = {self.queue_of(run.job) for run in candidates}
        return [
            run
            for run in candidates
            if all(cohorts.counts(held, each, queues, own) for each in cohorts.line(self.queue_of(run.job)))
        ]

    def claimed(self, job: Job, resource: str, others: Sequence[Run]) -> Sequence[Run]:
        """Return those of others that a job may have if their tenants borrow from its own."""
        tenants = self.tenancy.tenants
        if job.gpus == 0 or tenants.reclaim in {"never", "cohorts"}:
            return []
        if tenants.reclaim == "fair" or self.tenancy.is_entitled(self.held(), job, resource):
            return others
        if tenants.borrow_within == "never" or not tenants.has_quotas:
            return []
        return [run for run in others if self.level(run.job) > self.level(job) and self.is_within_threshold(run)]

    def is_within_threshold(self, run: Run) -> bool:
        """Return whether the priority, or tier, of a running job is no higher than what may be taken to borrow."""
        most = self.tenancy.tenants.borrow_threshold
        return most is None or -self.level(run.job) <= most

    def refusal(self, job: Job) -> tuple[object, ...]:
        return refusal(job, self.tenancy, self.yard, self.policy)

    def made_room_among_tenants(self, job: Job) -> bool:
        """Preempt who has to go, on the first type on which that helps, and start the job; return whether it did."""
        for resource, asked_now in self.tenancy.tries(job):
            victims = self.victims_among_tenants(asked_now, resource)
            if victims is None:
                continue
            for run in victims:
                self.preempt(run, job)
            pieces = self.find_without(asked_now, [])
            assert pieces is not None
            self.begin_attempt(job, pieces)
            return True
        return False

    def find_without(self, job: Job, gone: Sequence[Run]) -> list[Piece] | None:
        """Return what a job could have if these running jobs were not there, on the first type that admits it then."""
        closed = self.promise.closed(self.yard, job, self.tenancy.tenant_of(job))
        if closed is None:
            return None
        return self.tenancy.find(self.held(gone), self.yard.room(closed, gone=gone), job, self.rule)

    def could_start_without(self, job: Job, gone: Sequence[Run]) -> bool:
        """Return whether the job, which asks for one type where these are tried, is admitted and placed then."""
        return self.find_without(job, gone) is not None

    def victims_among_tenants(self, job: Job, resource: str) -> list[Run] | None:
        """Return who makes room for the job, in order, or ``None`` if it cannot start even so."""
        gone: list[Run] = []
        for run in self.taken_off(job, resource, gone):
            gone.append(run)
            if self.could_start_without(job, gone):
                return self.without_the_spared(job, gone)
        return None

    def without_the_spared(self, job: Job, gone: Sequence[Run]) -> list[Run]:
        left = list(gone)
        for run in reversed(gone[:-1]):
            fewer = [other for other in left if other is not run]
            if self.could_start_without(job, fewer):
                left = fewer
        return left

    def taken_off(self, job: Job, resource: str, gone: Sequence[Run]) -> Iterator[Run]:
        """Say who is taken off next, again and again; ``gone`` grows by each of them meanwhile."""
        own, others = self.might_go(job, resource)
        if self.tenancy.tenants.reclaim == "cohorts" and job.gpus > 0:
            yield from self.taken_level_by_level(job, resource, gone)
            return
        if self.tenancy.tenants.reclaim in {"any", "lower"}:
            yield from self.taken_back(job, resource, others, gone)
        if self.tenancy.tenants.reclaim == "fair":
            yield from self.taken_fairly(job, resource, others, gone)
        yield from own

    def might_go(self, job: Job, resource: str) -> tuple[list[Run], list[Run]]:
        """Return the less urgent of a job's own tenant, and those of others that hold what it asks for; as listed."""
        tenant, level = self.tenancy.tenant_of(job), self.level(job)
        listed = sorted(filter(self.may_go, self.yard.running.values()), key=self.place_in_list)
        own = [run for run in listed if self.tenancy.tenant_of(run.job) == tenant]
        others = [
            run
            for run in listed
            if run not in own and run.job.gpus > 0 and self.tenancy.resource_of(run.job, run.pieces) == resource
        ]
        if self.tenancy.tenants.reclaim == "lower":
            others = [run for run in others if self.level(run.job) > level]
        return [run for run in own if self.level(run.job) > level and self.lists(job, run)], others

    def may_go(self, run: Run) -> bool:
        return self.may_be_preempted(run) and run.start < self.yard.now

    def taken_back(self, job: Job, resource: str, others: Sequence[Run], gone: Sequence[Run]) -> Iterator[Run]:
        """Let a job have what others borrow, if it is within its nominal quota or may take to borrow itself."""
        claimed = self.claimed(job, resource, others)
        while candidates := [run for run in claimed if self.is_lent(run, job, resource, gone)]:
            yield candidates[0]

    def is_lent(self, run: Run, job: Job, resource: str, gone: Sequence[Run]) -> bool:
        """Return whether a running job is there yet, and its tenant borrows from that of the job."""
        borrower, lender = self.tenancy.tenant_of(run.job), self.tenancy.tenant_of(job)
        return run not in gone and self.tenancy.borrows_from(self.held(gone), borrower, lender, resource)

    def taken_fairly(self, job: Job, resource: str, others: Sequence[Run], gone: Sequence[Run]) -> Iterator[Run]:
        """Let a job have what tenants with a larger share than its own borrow."""
        if job.gpus == 0:
            return
        share = self.tenancy.borrowed_share([*self.held(), (job, resource)], self.tenancy.tenant_of(job))

        def share_of(run: Run, without: Sequence[Run] = ()) -> float:
            return self.tenancy.borrowed_share(self.held([*gone, *without]), self.tenancy.tenant_of(run.job))

        def may_be_looked_at(run: Run) -> bool:
            return self.is_lent(run, job, resource, gone) and share_of(run) > 0

        def final(run: Run) -> bool:
            return share <= share_of(run, [run])

        def initial(run: Run) -> bool:
            return share < share_of(run)

        strategies: list[Callable[[Run], bool]] = [final, initial]
        for holds in strategies:
            looked_at: list[Run] = []
            while candidates := [run for run in others if run not in looked_at and may_be_looked_at(run)]:
                places: dict[int, tuple[float, Path]] = {
                    run.job.row: (-share_of(run), self.tenancy.tenant_of(run.job)) for run in candidates
                }
                run = min(candidates, key=lambda run: (places[run.job.row], candidates.index(run)))
                looked_at.append(run)
                if holds(run):
                    yield run

    def queue_of(self, job: Job) -> Member:
        return Cohorts(tenancy=self.tenancy).queue_of(self.tenancy.tenant_of(job))

    def candidates_level_by_level(
        self, job: Job, resource: str, gone: Sequence[Run], looked_at: Sequence[Run]
    ) -> list[Run]:
        own, others = self.might_go(job, resource)
        lent = [run for run in others if self.is_lent(run, job, resource, gone)]
        return [run for run in [*own, *lent] if run not in gone and run not in looked_at]

    def taken_level_by_level(self, job: Job, resource: str, gone: Sequence[Run]) -> Iterator[Run]:
        """Let a job have what cohorts with a larger share than its own borrow, and its own tenant's in turn with it."""
        cohorts, own = Cohorts(tenancy=self.tenancy), self.queue_of(job)
        for number, holds in enumerate(STRATEGIES):
            looked_at: list[Run] = []
            while True:
                candidates = self.candidates_level_by_level(job, resource, gone, looked_at)
                if number == 1:
                    seen = {self.queue_of(run.job) for run in looked_at}
                    candidates = [run for run in candidates if self.queue_of(run.job) not in seen]
                held = [*self.held(gone), (job, resource)]
                queue = cohorts.looked_at_next(held, {self.queue_of(run.job) for run in candidates}, own)
                if queue is None:
                    break
                run = next(run for run in candidates if self.queue_of(run.job) == queue)
                looked_at.append(run)
                without = [*self.held([*gone, run]), (job, resource)]
                if queue == own:
                    yield run
                    continue
                mine, its = cohorts.sides(own, queue)
                if holds(cohorts.share(held, mine), cohorts.share(without, its), cohorts.share(held, its)):
                    yield run
