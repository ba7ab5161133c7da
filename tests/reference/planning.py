"""Backfilling with a plan of free GPUs: conservative and slurm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpuyard.policy import Policy
from gpuyard.workload import NEVER
from reference.backfilling import InOrder
from reference.jobs import Job, ticks
from reference.yard import Run, Yard

Span = tuple[int, int, int]
"""From when to before when how many GPUs (thousandths) are taken."""
BEGIN_IS_AN_INSTANT = True
"""Whether conservative makes a pass when a reservation begins and nothing else happens.

Without it, jobs that hold a reservation can be forgotten on an empty cluster.
"""


@dataclass(kw_only=True)
class Plan:
    """Who takes how many GPUs from when to before when, microseconds."""

    gpus: int
    spans: list[Span] = field(default_factory=list)

    def take(self, begin: int, end: int, gpus: int) -> None:
        self.spans.append((begin, end, gpus))

    def free(self, at: int) -> int:
        return self.gpus - sum(gpus for begin, end, gpus in self.spans if begin <= at < end)

    def changes(self, after: int) -> list[int]:
        """Return the instants later than this at which the number of free GPUs changes, ascending."""
        instants = {at for begin, end, _ in self.spans for at in (begin, end) if at > after}
        return [at for at in sorted(instants) if self.free(at) != self.free(at - 1)]

    def has(self, begin: int, duration: int, gpus: int) -> bool:
        """Return whether so many GPUs are free from ``begin`` on for so long."""
        during = [begin, *(at for at in self.changes(begin) if at < begin + duration)]
        return gpus == 0 or all(self.free(at) >= gpus for at in during)

    def begins(self, now: int, duration: int, gpus: int) -> Iterator[int]:
        """Go through the instants, now or changes, from which so many GPUs are free for so long."""
        return (at for at in [now, *self.changes(now)] if self.has(at, duration, gpus))

    def check(self, now: int) -> None:
        """Assert that nothing is promised twice."""
        assert all(self.free(at) >= 0 for at in [now, *self.changes(now)]), "more GPUs are planned than there are"


class Conservative(InOrder):
    """Every job has a reservation."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.begin: dict[int, int] = {}
        """when the reservation of each waiting job begins, by row"""
        self.thousandths: dict[int, int] = {}
        """how many GPUs it is for, by row"""
        self.all_planned: int | None = None
        self.kept = True
        """whether nobody ran on for too long, all that the plan had GPUs for was placed, and no begin was missed"""

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        for run in yard.running.values():
            if run.expected_end <= yard.now:
                run.expected_end = yard.now + max(yard.now - run.start, 1)
                self.kept = False
        if yard.late or yard.crowded or any(begin < yard.now for begin in self.begin.values()):
            self.kept = False
        left = len(queue) if self.policy.depth is None else self.policy.depth
        for job in queue[left:]:
            self.begin.pop(job.row, None)
        everybody = self.is_everybody_planned(yard)
        for job in queue:
            if left == 0:
                break
            if everybody or self.begin.get(job.row, yard.now) <= yard.now:
                self.plan_job(yard, job)
            left -= job.row not in yard.running
        if self.kept:
            self.plan(yard).check(yard.now)
        if BEGIN_IS_AN_INSTANT:
            self.due = min([*self.begin.values(), *([] if self.due is None else [self.due])], default=None)

    def is_everybody_planned(self, yard: Yard) -> bool:
        """Return whether all jobs are planned in this pass, and see to the pass that is due if not."""
        interval = ticks(self.policy.interval) or 0
        self.due = None
        if not yard.early:
            return False
        if self.all_planned is not None and yard.now - self.all_planned < interval:
            self.due = self.all_planned + interval
            return False
        yard.early, self.all_planned = False, yard.now
        return True

    def plan(self, yard: Yard) -> Plan:
        plan = Plan(gpus=yard.gpus)
        for since in yard.arrivals():
            plan.take(-NEVER, since, yard.gpus_of(node for node, at in yard.coming.items() if at == since))
        for run in yard.running.values():
            plan.take(run.start, run.expected_end, run.job.thousandths)
        for row, begin in self.begin.items():
            plan.take(begin, begin + yard.durations[row], self.thousandths[row])
        return plan

    def plan_job(self, yard: Yard, job: Job) -> None:
        """Start the job now or give it a new reservation."""
        self.thousandths[job.row] = job.thousandths
        before = self.begin.pop(job.row, None)
        plan, duration = self.plan(yard), yard.durations[job.row]
        at = next(plan.begins(yard.now, duration, job.thousandths), None)
        if at == yard.now and not yard.start(job):
            self.kept = False
            ends = [run.expected_end for run in yard.running.values()] + yard.arrivals()
            again = min(ends + yard.openings(job), default=None)
            at = None if again is None else next(plan.begins(again, duration, job.thousandths), None)
        if at is not None:
            self.check_promise(before, at)
            if job.row not in yard.running:
                self.begin[job.row] = at

    def check_promise(self, before: int | None, at: int) -> None:
        """Assert that a reservation does not move to later.

        It may after a job ran on past its expected end, or did not find its shape where the plan had the GPUs.
        """
        if self.kept and before is not None:
            assert at <= before, f"a reservation moved from {before} to {at}"


class Slurm(InOrder):
    """A bounded plan, made anew every so often."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.planned: int | None = None
        self.depth = 500 if policy.depth is None else policy.depth
        self.interval = ticks(30 if policy.interval is None else policy.interval)
        self.window = ticks(86_400 if policy.window is None else policy.window)
        self.resolution = ticks(60 if policy.resolution is None else policy.resolution)

    def decide(self, yard: Yard, queue: Sequence[Job]) -> None:
        left = yard.start_in_order(queue)
        if self.comes_to_plan(yard.now):
            self.make_plan(yard, left[: self.depth])
        else:
            self.see_to_next(bool(left))

    def comes_to_plan(self, now: int) -> bool:
        """Return whether a pass plans, now that it is made."""
        if self.due is not None and self.due <= now:
            self.due = None
        if self.planned is not None and now - self.planned < self.interval:
            return False
        self.planned = now
        return True

    def see_to_next(self, waits: bool) -> None:
        """Let a pass be due for the next planning, after one that did not plan, if somebody waits."""
        if waits and self.due is None:
            self.due = self.planned + self.interval

    def rounded_up(self, at: int) -> int:
        return -(-at // self.resolution) * self.resolution

    def absences(self, yard: Yard) -> list[Span]:
        """Return what nodes hold that are not there yet."""
        spans = []
        for since in yard.arrivals():
            absent = [node for node, at in yard.coming.items() if at == since]
            spans.append((-NEVER, self.rounded_up(since), yard.gpus_of(absent)))
        return spans

    def stay(self, run: Run, now: int) -> Span:
        """Return what a running job holds, as it is expected."""
        return run.start, self.rounded_up(max(run.expected_end, now + 1)), run.job.thousandths

    def make_plan(self, yard: Yard, jobs: Sequence[Job]) -> None:
        stays = [self.stay(run, yard.now) for run in yard.running.values()]
        plan = Plan(gpus=yard.gpus, spans=self.absences(yard) + stays)
        for job in jobs:
            duration = self.rounded_up(yard.durations[job.row])
            at = next(plan.begins(yard.now, duration, job.thousandths), None)
            if at == yard.now and not yard.start(job):
                at = next_begin(plan, yard, job, duration)
            if at is not None and at <= yard.now + self.window:
                plan.take(at, at + duration, job.thousandths)
            if not yard.crowded:
                plan.check(yard.now)


def next_begin(plan: Plan, yard: Yard, job: Job, duration: int) -> int | None:
    """Return when a job has its GPUs in a plan, later than now, when it could not be placed."""
    again = min(plan.changes(yard.now)[:1] + yard.openings(job), default=None)
    return None if again is None else next(plan.begins(again, duration, job.thousandths), None)
