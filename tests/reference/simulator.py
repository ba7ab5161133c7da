"""From instant to instant: changes of state, then one pass."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import NEVER, Workload
from reference.backfilling import InOrder
from reference.beginning import among, estimated, left_at
from reference.bounding import Bounding
from reference.closing import Closing, coming, outside
from reference.jobs import Fate, Job, Piece, ended_as, read, run_length, slots_of, ticks
from reference.placing import Room, Rule, place
from reference.planning import Conservative, Slurm
from reference.queueing import Ranking
from reference.sharing import Sharing, Stays
from reference.tenanted import AmongTenants
from reference.tenants import Tenancy
from reference.yard import Yard

BACKFILLS: dict[str, type[InOrder]] = {
    "none": InOrder,
    "fit": InOrder,
    "easy": InOrder,
    "conservative": Conservative,
    "slurm": Slurm,
}


@dataclass(frozen=True, kw_only=True)
class Partitions:
    """The names of the partitions that have nodes, and what each closes."""

    listed: Sequence[str] = ()
    closings: Sequence[Closing] = ()

    def have_room(self, cluster: Cluster, job: Job, rule: Rule) -> bool:
        """Return whether the nodes of its partition hold a job when they are empty."""
        if self.listed and job.partition is not None and job.partition not in self.listed:
            return False
        return place(self.nothing_held(cluster, job), job, rule) is not None

    def nothing_held(self, cluster: Cluster, job: Job) -> Room:
        """Return the nodes of a job's partition, empty."""
        return Room(cluster, [], outside(self.closings, job))


def rejected_rows(
    jobs: Sequence[Job],
    cluster: Cluster,
    policy: Policy,
    rule: Rule,
    refused: Collection[int] = (),
) -> set[int]:
    """Return the jobs that never enter the queue; ``refused`` are out for a reason of their own."""
    recorded = policy.replay == "recorded"
    nothing_held = Room(cluster, [])
    rejected = {
        job.row
        for job in jobs
        if job.row in refused
        or run_length(job, policy) is None
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

    def __init__(
        self,
        workload: Workload,
        cluster: Cluster,
        policy: Policy,
        seed: int,
        until: float | None,
        *,
        begin: float | None,
        windows: Sequence[NodeWindow],
        tenants: Tenants,
        bounds: Sequence[Bounds] = (),
        members: frozenset[str] | None = None,
    ) -> None:
        """``members``: the names of the jobs that take part; the others are there only for what is learned."""
        self.policy, self.stop = policy, ticks(until)
        self.recorded = policy.replay == "recorded"
        listed = [name for window in windows if window.is_partition for name in window.partitions]
        closings = [
            Closing.outside(window, cluster.nodes) if window.is_partition else Closing.of(window)
            for window in windows
            if not window.is_commission
        ]
        self.partitions = Partitions(listed=listed, closings=closings)
        self.bounding = Bounding(bounds=bounds, closings=closings)
        everybody = [self.bounding.limited(job) for job in read(workload, policy)]
        self.begin, self.jobs = ticks(begin), everybody if begin is None else left_at(everybody, ticks(begin))
        if members is not None:
            self.jobs = among(self.jobs, members)
        self.limits = {job.array: job.array_limit for job in everybody if job.array_limit is not None}
        self.since: dict[int, int] = {}
        """when tasks of arrays with a limit became eligible, by row"""
        self.rule = Rule(placement=policy.placement, seed=seed, block_level=policy.block_level)
        self.tenancy = Tenancy.of(tenants, cluster)
        rejected = self.rejected(cluster)
        self.rule = replace(self.rule, mix=[job for job in self.jobs if job.row not in rejected])
        self.fates = [Fate(outcome="rejected" if job.row in rejected else "unfinished") for job in self.jobs]
        self.waiting = [job for job in self.jobs if job.row not in rejected]
        estimates = {job.row: estimated(job, everybody, self.jobs, policy, seed) for job in self.waiting}
        self.ranking = Ranking(policy=policy, estimates=estimates, seed=seed, cluster_gpus=cluster.gpus)
        self.sharing = Sharing.of(policy, self.jobs, self.begin)
        self.scheduler = BACKFILLS[policy.backfill](policy)
        if self.tenancy is not None:
            assert not self.recorded
            self.scheduler = AmongTenants(policy, self.tenancy)
        self.yard = Yard(
            cluster=cluster,
            rule=self.rule,
            lengths={
                job.row: job.known_end - job.known_start if self.runs(job) else run_length(job, policy)
                for job in self.waiting
            },
            durations={row: max(each, 1) for row, each in estimates.items()},
            windows=closings,
            coming=coming(windows),
        )

    def rejected(self, cluster: Cluster) -> set[int]:
        """Return the rows of the jobs that never enter the queue."""
        refused = [job.row for job in self.jobs if not self.could_ever_run(cluster, job)]
        return rejected_rows(self.jobs, cluster, self.policy, self.rule, refused)

    def could_ever_run(self, cluster: Cluster, job: Job) -> bool:
        """Return whether partitions, QOS and tenants would let a job run if nothing else did."""
        if self.is_beyond_bounds(cluster, job) or not self.partitions.have_room(cluster, job, self.rule):
            return False
        empty = self.partitions.nothing_held(cluster, job)
        return self.tenancy is None or self.tenancy.find([], empty, job, self.rule) is not None

    def is_beyond_bounds(self, cluster: Cluster, job: Job) -> bool:
        """Return whether a job asks for more than bounds let it; one that has started is not asked."""
        return not self.runs(job) and self.bounding.refuse(job, cluster)

    def eligible(self, job: Job) -> int | None:
        """Return when the job is eligible, ``None`` if that is not known yet."""
        if not self.recorded and job.array in self.limits and not self.runs(job):
            return self.since.get(job.row)
        return self.ready(job)

    def give_places(self, now: int, first: bool) -> None:
        """Let tasks of arrays become eligible, by row, as far as their arrays have places."""
        for array, limit in self.limits.items():
            tasks = [job for job in self.jobs if job.array == array]
            ran = [job for job in tasks if self.runs(job) and self.fates[job.row].outcome != "rejected"]
            held = sum((job.row in self.since or job in ran) and self.fates[job.row].end is None for job in tasks)
            for job in tasks:
                ready = self.ready(job) if job in self.waiting and job not in ran else None
                if ready is not None and ready <= now and job.row not in self.since and held < limit:
                    self.since[job.row] = ready if first else now
                    held += 1

    def ready(self, job: Job) -> int | None:
        """Return when the job is eligible as far as its array does not matter, ``None`` if that is not known yet."""
        if self.recorded or self.runs(job):
            return job.submit
        if any(self.fates[parent].end is None for parent in job.parents):
            return None
        after = [self.fates[parent].end + job.think for parent in job.parents]
        return max([job.submit, job.submit if job.not_before is None else job.not_before, *after])

    def may_start(self, job: Job) -> int | None:
        return max(job.submit, job.recorded_start) if self.recorded else self.eligible(job)

    def runs(self, job: Job) -> bool:
        """Return whether the job runs already when the simulation begins."""
        return self.begin is not None and job.runs_at(self.begin)

    def next_instant(self, now: int) -> int | None:
        """Return the next instant, ``None`` if there is none or it is later than the stop."""
        begin = -NEVER if self.begin is None else self.begin
        known = [self.may_start(job) if self.recorded else self.ready(job) for job in self.waiting]
        times = [max(at, begin) for at in known if at is not None and max(at, begin) > now]
        times += [max(job.submit, begin) for job in self.waiting if max(job.submit, begin) > now]
        times += [run.end for run in self.yard.running.values()]
        times += [begin] if self.yard.running and begin > now else []
        times += [] if self.scheduler.due is None else [self.scheduler.due]
        times += [since for since in self.yard.coming.values() if since > max(now, begin)]
        if any(self.may_start(job) is not None and self.may_start(job) <= now for job in self.waiting):
            times += [window.end for window in self.yard.windows if window.end > now]
            times += [] if self.sharing is None else [self.sharing.next_after(now)]
        at = min(times, default=None)
        return None if at is None or (self.stop is not None and at > self.stop) else at

    def release(self, now: int) -> None:
        """Note that windows end now, or nodes come."""
        if any(window.end == now for window in self.yard.windows) or now in self.yard.coming.values():
            self.yard.releases.append(True)

    def place_running(self) -> None:
        """Let run on, by row, what runs when the simulation begins; who finds no room holds nothing."""
        running = [job for job in self.waiting if self.runs(job)]
        for job in running:
            self.yard.now = self.begin
            pieces = self.place_anyway(job)
            self.yard.now = job.known_start
            self.yard.hold(job, pieces)
            self.note_starts([job])
            self.fates[job.row].start = job.known_start

    def place_anyway(self, job: Job) -> list[Piece]:
        """Return what a job holds that runs when the simulation begins, whatever quotas say: nothing without room."""
        tries = [job] if self.tenancy is None else [asked for _, asked in self.tenancy.tries(job)]
        found = (place(self.yard.room(), asked, self.rule) for asked in tries)
        return next((pieces for pieces in found if pieces is not None), [])

    def run(self) -> list[Fate]:
        now, first = -NEVER, True
        self.place_running()
        while (at := self.next_instant(now)) is not None:
            self.yard.now = now = at
            for row in sorted(row for row, run in self.yard.running.items() if run.end == now):
                self.yard.end(row)
                kept = self.runs(self.jobs[row])
                self.fates[row].end, self.fates[row].outcome = now, ended_as(self.jobs[row], self.policy, kept)
            self.release(now)
            self.give_places(now, first and self.begin is not None)
            first = False
            queue = [job for job in self.waiting if (at := self.may_start(job)) is not None and at <= now]
            if self.recorded:
                self.replay(queue)
            else:
                self.rank(now, len(queue))
                queue.sort(key=lambda job: self.ranking.key(job, now, self.eligible(job)))
                self.scheduler.decide(self.yard, queue)
            self.note_starts(queue)
        for job in self.waiting + [run.job for run in self.yard.running.values()]:
            assert self.fates[job.row].outcome == "unfinished"
        return self.with_eligible()

    def rank(self, now: int, waiting: int) -> None:
        """Bring up to date what scores look at."""
        self.ranking = replace(self.ranking, present=waiting + len(self.yard.running))
        if self.sharing is not None:
            self.sharing.come_to(now, self.stays())
            self.ranking = replace(self.ranking, factors=self.sharing.factors)

    def stays(self) -> Stays:
        """Return when each job has run so far, by row."""
        return {
            job.row: [] if fate.start is None else [(fate.start, fate.end)]
            for job, fate in zip(self.jobs, self.fates, strict=True)
        }

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
                self.fates[job.row].slots = slots_of(pieces)

    def with_eligible(self) -> list[Fate]:
        for job in self.jobs:
            at = None if self.fates[job.row].outcome == "rejected" else self.eligible(job)
            self.fates[job.row].eligible = at if self.stop is None or at is None or at <= self.stop else None
        return self.fates
