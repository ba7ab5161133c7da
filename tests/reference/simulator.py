"""From instant to instant: changes of state, then one pass."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import NEVER, Workload
from reference.backfilling import Easy, Fit, Strict
from reference.estimating import estimate
from reference.jobs import Fate, Job, ended_as, read, run_length, ticks
from reference.placing import Room, Rule, place
from reference.planning import Conservative, Slurm
from reference.queueing import Ranking
from reference.yard import Yard

BACKFILLS: dict[str, type[Strict]] = {
    "none": Strict,
    "fit": Fit,
    "easy": Easy,
    "conservative": Conservative,
    "slurm": Slurm,
}


def rejected_rows(jobs: Sequence[Job], cluster: Cluster, policy: Policy, rule: Rule) -> set[int]:
    """Return the jobs that never enter the queue."""
    recorded = policy.replay == "recorded"
    nothing_held = Room(cluster, [])
    rejected = {
        job.row
        for job in jobs
        if run_length(job, policy) is None
        or (recorded and job.recorded_start is None)
        or place(nothing_held, job, rule) is None
    }
    while not recorded:
        heirs = {job.row for job in jobs if rejected & set(job.parents)} - rejected
        if not heirs:
            break
        rejected |= heirs
    return rejected


class Simulation:
    """One run of one workload."""

    def __init__(self, workload: Workload, cluster: Cluster, policy: Policy, seed: int, until: float | None) -> None:
        self.policy, self.stop = policy, ticks(until)
        self.recorded = policy.replay == "recorded"
        self.jobs = read(workload, policy)
        self.rule = Rule(placement=policy.placement, seed=seed)
        rejected = rejected_rows(self.jobs, cluster, policy, self.rule)
        self.fates = [Fate(outcome="rejected" if job.row in rejected else "unfinished") for job in self.jobs]
        self.waiting = [job for job in self.jobs if job.row not in rejected]
        estimates = {job.row: estimate(job, self.jobs, policy, seed) or 0 for job in self.waiting}
        self.ranking = Ranking(policy=policy, estimates=estimates, seed=seed, cluster_gpus=cluster.gpus)
        self.scheduler = BACKFILLS[policy.backfill](policy)
        self.yard = Yard(
            cluster=cluster,
            rule=self.rule,
            lengths={job.row: run_length(job, policy) for job in self.waiting},
            durations={row: max(each, 1) for row, each in estimates.items()},
        )

    def eligible(self, job: Job) -> int | None:
        """Return when the job is eligible, ``None`` if that is not known yet."""
        if self.recorded:
            return job.submit
        if any(self.fates[parent].end is None for parent in job.parents):
            return None
        after = [self.fates[parent].end + job.think for parent in job.parents]
        return max([job.submit, job.submit if job.not_before is None else job.not_before, *after])

    def may_start(self, job: Job) -> int | None:
        return max(job.submit, job.recorded_start) if self.recorded else self.eligible(job)

    def next_instant(self, now: int) -> int | None:
        """Return the next instant, ``None`` if there is none or it is later than the stop."""
        times = [at for job in self.waiting if (at := self.may_start(job)) is not None and at > now]
        times += [job.submit for job in self.waiting if job.submit > now]
        times += [run.end for run in self.yard.running.values()]
        times += [] if self.scheduler.due is None else [self.scheduler.due]
        at = min(times, default=None)
        return None if at is None or (self.stop is not None and at > self.stop) else at

    def run(self) -> list[Fate]:
        now = -NEVER
        while (at := self.next_instant(now)) is not None:
            self.yard.now = now = at
            for row in sorted(row for row, run in self.yard.running.items() if run.end == now):
                self.yard.end(row)
                self.fates[row].end, self.fates[row].outcome = now, ended_as(self.jobs[row], self.policy)
            queue = [job for job in self.waiting if (at := self.may_start(job)) is not None and at <= now]
            if self.recorded:
                self.replay(queue)
            else:
                queue.sort(key=lambda job: self.ranking.key(job, now, self.eligible(job)))
                self.scheduler.decide(self.yard, queue)
            self.note_starts(queue)
        for job in self.waiting + [run.job for run in self.yard.running.values()]:
            assert self.fates[job.row].outcome == "unfinished"
        return self.with_eligible()

    def replay(self, queue: Sequence[Job]) -> None:
        """Start these jobs by row, those that cannot be placed too."""
        for job in sorted(queue, key=lambda each: each.row):
            if not self.yard.start(job):
                self.yard.hold(job, [])

    def note_starts(self, queue: Sequence[Job]) -> None:
        """Write down which of the jobs that waited have started in this pass, and where."""
        for job in queue:
            if job.row in self.yard.running:
                self.waiting.remove(job)
                pieces = self.yard.running[job.row].pieces
                self.fates[job.row].start = self.yard.now
                self.fates[job.row].slots = [(it.node, len(it.gpus), min(it.gpus, default=-1)) for it in pieces]

    def with_eligible(self) -> list[Fate]:
        for job in self.jobs:
            at = None if self.fates[job.row].outcome == "rejected" else self.eligible(job)
            self.fates[job.row].eligible = at if self.stop is None or at is None or at <= self.stop else None
        return self.fates


def simulate(
    workload: Workload, cluster: Cluster, policy: Policy, seed: int = 0, until: float | None = None
) -> list[Fate]:
    """Return the fate of each job, by row of the workload."""
    return Simulation(workload, cluster, policy, seed, until).run()
