"""From instant to instant under preemption: jobs that run make room for more urgent ones, and go on later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpuyard.workload import NEVER
from reference.attempts import Past, service
from reference.jobs import WHOLE, Attempt, Fate, Job, Piece, asked, ended_as, slots_of
from reference.levels import Levels
from reference.placing import place
from reference.promising import Promise
from reference.replanning import Planner
from reference.sharing import Stays
from reference.simulator import Simulation
from reference.yard import Run


class PreemptiveSimulation(Simulation):
    """One run of one workload under a policy that preempts."""

    def __init__(self, *given: object, **more: object) -> None:
        super().__init__(*given, **more)
        assert not self.recorded
        self.terms = self.policy.preemption
        self.pasts = {
            job.row: Past(attempts=self.fates[job.row].attempts, interval=job.checkpoint_interval)
            for job in self.waiting
        }
        lengths = {job: self.yard.lengths[job.row] for job in self.waiting}
        self.levels = Levels.of(self.terms, lengths, self.ranking.estimates)
        self.costs = self.levels.costs
        self.promise = Promise(self.policy)
        self.planner = Planner(self.policy)
        self.scheduler = self.planner
        for job in self.waiting:
            self.expect(job)
        self.line: list[int] = []
        """rows of the jobs that wait, in the order in which they joined the queue"""
        self.cancelled: list[int] = []
        """rows of those that were preempted at this instant and are gone, before their END"""

    def asked(self, job: Job) -> tuple[object, ...]:
        return asked(job, self.yard.cluster, str(self.policy.placement))

    def run(self) -> list[Fate]:
        now, first = -NEVER, self.begin is not None
        self.place_running()
        while (at := self.next_instant(now)) is not None:
            self.yard.now = now = at
            for row in sorted([*self.cancelled, *(row for row, run in self.yard.running.items() if run.end == now)]):
                self.end(row)
            self.release(now)
            self.give_places(now, first)
            first = False
            self.let_join(now)
            self.promote(now)
            self.rank(now, len(self.queue()))
            self.decide()
        self.stop_running()
        self.leave_out_what_was_before()
        return self.with_eligible()

    def place_running(self) -> None:
        """Let those who run when the simulation begins be in their first attempt."""
        super().place_running()
        for row, run in self.yard.running.items():
            run.end = run.start + self.costs.length(self.pasts[row], self.yard.lengths[row])
            if not run.pieces:
                run.job = replace(run.job, preemptible=False)

    def leave_out_what_was_before(self) -> None:
        """Let attempts begin, and be useful, when the simulation begins at the earliest."""
        begin = -NEVER if self.begin is None else self.begin
        for row, fate in enumerate(self.fates):
            for number, each in enumerate(fate.attempts):
                if each.start < begin:
                    past = replace(self.pasts[row], attempts=[])
                    before = self.costs.kept(past, self.yard.lengths[row], begin - each.start)
                    useful = min(each.useful - before, each.end - begin)
                    fate.attempts[number] = each._replace(start=begin, useful=useful)

    def next_instant(self, now: int) -> int | None:
        """Return the next instant, ticks among them."""
        others = super().next_instant(now)
        times = [now] if self.cancelled else [] if others is None else [others]
        for row, run in self.yard.running.items():
            changes = self.levels.changes(run.job, self.pasts[row], run.start)
            times += [at for at in changes if at > max(now, -NEVER if self.begin is None else self.begin)]
        promotions = [self.levels.promotion(self.pasts[job.row]) for job in self.waiting]
        times += [at for at in promotions if at is not None]
        at = min(times, default=None)
        assert at is None or at >= now
        return None if at is None or (self.stop is not None and at > self.stop) else at

    def end(self, row: int) -> None:
        """Let a job end now, which may have been preempted before at this instant."""
        if row in self.cancelled:
            self.cancelled.remove(row)
            self.fates[row].end, self.fates[row].outcome = self.yard.now, "cancelled"
            return
        useful = self.yard.lengths[row] - self.pasts[row].saved
        self.close(row, useful, cause=None)
        kept = self.runs(self.jobs[row])
        self.fates[row].end, self.fates[row].outcome = self.yard.now, ended_as(self.jobs[row], self.policy, kept)

    def close(self, row: int, useful: int, cause: int | None) -> None:
        """End the attempt of a running job now."""
        run = self.yard.running[row]
        self.yard.end(row)
        attempt = Attempt(run.start, self.yard.now, slots_of(run.pieces), useful, cause)
        self.fates[row].attempts.append(attempt)

    def let_join(self, now: int) -> None:
        """Let those jobs join the queue that become eligible now: submitted before, then submitted now, by row."""
        new = [job for job in self.queue() if job.row not in self.line]
        self.line += [job.row for job in sorted(new, key=lambda job: (job.submit == now, job.row))]

    def stays(self) -> Stays:
        """Return when each job has run so far, by row: all its attempts."""
        running = {row: [(run.start, None)] for row, run in self.yard.running.items()}
        return {
            row: [(it.start, it.end) for it in fate.attempts] + running.get(row, [])
            for row, fate in enumerate(self.fates)
        }

    def expect(self, job: Job) -> None:
        """Say how long the next attempt of a job is expected to last."""
        guess = max(self.ranking.estimates[job.row], 1)
        self.yard.durations[job.row] = self.costs.expected(self.pasts[job.row], guess)

    def promote(self, now: int) -> None:
        for job in self.waiting:
            if self.levels.promotion(self.pasts[job.row]) == now:
                self.pasts[job.row].promoted = now

    def queue(self) -> list[Job]:
        """Return the jobs that wait and may start, in no order."""
        known = [(job, self.eligible(job)) for job in self.waiting]
        return [job for job, at in known if at is not None and at <= self.yard.now]

    def level(self, job: Job) -> int:
        run = self.yard.running.get(job.row)
        return self.levels.level(job, self.pasts[job.row], None if run is None else run.start, self.yard.now)

    def place_in_queue(self, job: Job) -> tuple[float, ...]:
        if self.terms.rule == "time-slice":
            return self.level(job), self.line.index(job.row)
        return self.level(job), *self.ranking.key(job, self.yard.now, self.eligible(job))

    def decide(self) -> None:
        """Make one pass."""
        self.planner.begin_pass(self.yard)
        if self.planner.is_used:
            self.try_and_plan()
        else:
            self.try_in_order()
        self.planner.end_pass(waits=bool(self.queue()))

    def try_and_plan(self) -> None:
        """Start jobs up to the first that neither can be placed nor makes room; then plan, if it is time."""
        tried: set[int] = set()
        while (job := self.first_but(tried)) is not None:
            tried.add(job.row)
            if not self.starts(job, tried):
                tried.remove(job.row)
                break
        if not self.planner.plans:
            return
        self.planner.begin_plan(self.yard)
        while self.planner.has_turns_left() and (job := self.first_but(tried)) is not None:
            tried.add(job.row)
            prey = {run.job.row for run in self.candidates(job, tried)}
            self.planner.give_turn(self.yard, job, prey, lambda job: self.starts(job, tried))

    def first_but(self, tried: set[int]) -> Job | None:
        """Return the first job of the queue that has not been tried."""
        return min((job for job in self.queue() if job.row not in tried), key=self.place_in_queue, default=None)

    def try_in_order(self) -> None:
        """Try all jobs that nobody holds up."""
        tried: set[int] = set()
        refused: set[tuple[object, ...]] = set()
        self.promise.begin_pass()
        while (job := self.first_but(tried)) is not None:
            tried.add(job.row)
            is_vain = self.asked(job) in refused or self.promise.is_blocked(self.yard, job)
            if is_vain or self.starts(job, tried):
                continue
            if self.policy.backfill == "fit" and not self.yard.windows and not self.terms.preempts:
                refused.add(self.asked(job))
            self.promise.refuse(self.yard, job)
        self.promise.end_pass()

    def starts(self, job: Job, tried: set[int]) -> bool:
        """Start a job if it can be placed or can make room; return whether it has started."""
        if self.can_start_without(job, []):
            self.start(job)
        elif (victims := self.victims(job, tried)) is not None:
            self.make_room(job, victims)
        return job.row in self.yard.running

    def place_without(self, job: Job, gone: Sequence[Run]) -> list[Piece] | None:
        """Return what the job could have if these running jobs were not there."""
        closed = self.promise.closed(self.yard, job)
        return None if closed is None else place(self.yard.room(closed, gone=gone), job, self.rule)

    def can_start_without(self, job: Job, gone: Sequence[Run]) -> bool:
        return self.place_without(job, gone) is not None

    def victims(self, job: Job, tried: set[int]) -> list[Run] | None:
        """Return who makes room for the job, in order, or ``None`` if it cannot be placed even so."""
        gone: list[Run] = []
        for run in self.candidates(job, tried):
            gone.append(run)
            if self.can_start_without(job, gone):
                break
        else:
            return None
        for run in reversed(gone[:-1]):
            fewer = [other for other in gone if other is not run]
            if self.can_start_without(job, fewer):
                gone = fewer
        return gone

    def candidates(self, job: Job, tried: set[int]) -> list[Run]:
        """Return the running jobs that may be preempted for a job; who is running and tried started in this pass."""
        level = self.level(job)
        found = [
            run
            for row, run in self.yard.running.items()
            if self.level(run.job) > level and self.lists(job, run) and row not in tried and self.may_be_preempted(run)
        ]
        return sorted(found, key=self.place_in_list)

    def lists(self, job: Job, run: Run) -> bool:
        """Return whether a running job is of a name that a job may take from, where that is said."""
        names = {"partition": (job.partition, run.job.partition), "qos": (job.qos, run.job.qos)}
        if not self.terms.preempts:
            return True
        own, other = names[self.terms.rule]
        return other in self.terms.preempts.get(own, ())

    def may_be_preempted(self, run: Run) -> bool:
        before = len(self.pasts[run.job.row].attempts)
        enough = self.yard.now - run.start >= run.job.min_run
        return run.job.preemptible and enough and (self.terms.max_preemptions or NEVER) > before

    def place_in_list(self, run: Run) -> tuple[int, ...]:
        level, row = -self.level(run.job), run.job.row
        if self.terms.rule in {"srtf", "srsf"}:
            return level, row
        if self.terms.victims == "latest-start":
            return level, -run.start, row
        if self.terms.victims == "fewest-gpus":
            return level, service(run.job, 1), row
        lost = self.costs.lost(self.pasts[row], self.yard.lengths[row], self.yard.now - run.start)
        return level, service(run.job, lost) // WHOLE, row

    def make_room(self, job: Job, victims: Sequence[Run]) -> None:
        """Preempt these jobs and start the other."""
        before = self.place_in_queue(job)
        for run in victims:
            self.preempt(run, job)
            assert self.place_in_queue(run.job) > before, "a victim is more urgent than the job that preempted it"
        self.start(job)

    def preempt(self, run: Run, job: Job) -> None:
        """End the attempt of a running job for another; it waits again, or is gone."""
        self.close(run.job.row, self.kept(run), cause=job.row)
        if run.job.is_cancelled:
            self.cancelled.append(run.job.row)
            return
        self.expect(run.job)
        self.waiting = sorted([*self.waiting, run.job], key=lambda each: each.row)
        self.line.append(run.job.row)

    def kept(self, run: Run) -> int:
        """Return what the attempt of a running job saves if it ends now, before the job does."""
        row = run.job.row
        return self.costs.kept(self.pasts[row], self.yard.lengths[row], self.yard.now - run.start)

    def start(self, job: Job) -> None:
        """Let a job that can be placed begin an attempt."""
        pieces = self.place_without(job, [])
        assert pieces is not None
        self.begin_attempt(job, pieces)

    def begin_attempt(self, job: Job, pieces: list[Piece]) -> None:
        self.promise.note_start(self.yard, job)
        self.yard.hold(job, pieces)
        run, fate = self.yard.running[job.row], self.fates[job.row]
        run.end = self.yard.now + self.costs.length(self.pasts[job.row], self.yard.lengths[job.row])
        self.waiting.remove(job)
        self.line.remove(job.row)
        fate.start = self.yard.now if fate.start is None else fate.start
        fate.slots = slots_of(run.pieces)

    def stop_running(self) -> None:
        """Let the attempts end that still run when the simulation stops."""
        if self.stop is not None:
            self.yard.now = self.stop
        for row in sorted(self.yard.running):
            self.close(row, self.kept(self.yard.running[row]), cause=None)
