"""The plan of slurm where jobs are preempted or held by quotas: what each waiting job sees of it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gpuyard.policy import Policy
from reference.jobs import Job
from reference.planning import Plan, Slurm, Span, next_begin
from reference.yard import Yard


class Planner(Slurm):
    """When passes plan, and the plan of the present one."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.is_used = policy.backfill == "slurm"
        self.plans = False
        """whether the present pass does"""
        self.stays: dict[int, Span] = {}
        """what jobs hold that ran when the plan was begun, by row; not those that have been preempted since"""
        self.taken: list[Span] = []
        """what nodes hold that are not there yet, and what those have got that had their turn"""
        self.turns = 0
        """of jobs that were admitted"""

    def begin_pass(self, yard: Yard) -> None:
        if self.is_used:
            self.plans = self.comes_to_plan(yard.now)

    def end_pass(self, waits: bool) -> None:
        if self.is_used and not self.plans:
            self.see_to_next(waits)

    def begin_plan(self, yard: Yard) -> None:
        """Begin a plan with nothing but who runs now."""
        self.stays = {row: self.stay(run, yard.now) for row, run in yard.running.items()}
        self.taken = self.absences(yard)
        self.turns = 0

    def has_turns_left(self) -> bool:
        return self.turns < self.depth

    def seen(self, yard: Yard, prey: Collection[int]) -> Plan:
        """Return the plan without some who run, by row."""
        return Plan(gpus=yard.gpus, spans=self.taken + [span for row, span in self.stays.items() if row not in prey])

    def give_turn(
        self,
        yard: Yard,
        job: Job,
        prey: Collection[int],
        starts: Callable[[Job], bool],
        *,
        is_admitted: bool = True,
    ) -> None:
        """Let a job start, if the plan has its GPUs now and ``starts`` lets it, or have a reservation."""
        self.turns += is_admitted
        seen, duration = self.seen(yard, prey), self.rounded_up(yard.durations[job.row])
        at = next(seen.begins(yard.now, duration, job.thousandths), None)
        if at == yard.now:
            if starts(job):
                self.stays = {row: span for row, span in self.stays.items() if row in yard.running}
                is_admitted = True
            else:
                at = next_begin(seen, yard, job, duration)
        if is_admitted and at is not None and at <= yard.now + self.window:
            self.taken.append((at, at + duration, job.thousandths))
