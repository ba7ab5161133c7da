"""How urgent a job is at an instant, and when that changes by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpuyard.preemption import Preemption
from reference.attempts import Costs, Past, service
from reference.jobs import WHOLE, Job, ticks

RULES = ("priority", "partition", "qos", "srtf", "srsf", "las", "2d-las", "gittins", "time-slice", "reclaim")


def gittins_ranks(services: Sequence[int], thresholds: Sequence[int], index: str) -> list[int]:
    """Return the level of each bin, given the service that each job of a history needs (GPU microseconds)."""
    indices = []
    last = max([*services, *thresholds], default=0)
    for number, begin in enumerate([0, *thresholds]):
        ends = [*thresholds[number:], last]
        if index == "released":
            indices.append(released_index(services, begin, ends[0]))
        else:
            indices.append(max(textbook_index(services, begin, end) for end in ends))
    ranking = sorted(range(len(indices)), key=lambda number: (-indices[number], number))
    return [ranking.index(number) for number in range(len(indices))]


def textbook_index(services: Sequence[int], begin: int, end: int) -> float:
    """Return P / E of a job that has had its service up to ``begin`` and is run up to ``end``."""
    spent = sum(min(need, end) - begin for need in services if need > begin)
    return sum(begin < need <= end for need in services) / spent if spent else 0.0


def released_index(services: Sequence[int], begin: int, end: int) -> float:
    """Return the same as the simulator published with Tiresias has it, which forgets the service that was had."""
    inside = [need for need in services if begin < need <= end]
    spent = sum(inside) + (end - begin) * sum(need > end for need in services)
    return len(inside) / spent if spent else 0.0


@dataclass(frozen=True, kw_only=True)
class Levels:
    """One rule with all that it looks at: costs, estimates by row, what the jobs need (``gittins``)."""

    terms: Preemption
    costs: Costs
    estimates: Mapping[int, int]
    ranks: Sequence[int]
    """``gittins``: the level of each bin"""

    @classmethod
    def of(cls, terms: Preemption, lengths: Mapping[Job, int], estimates: Mapping[int, int]) -> Levels:
        """Return the levels under a rule; ``lengths``: how long each job runs that is not rejected."""
        needs = [service(job, length) // WHOLE for job, length in lengths.items() if job.gpus > 0]
        if terms.gittins_history is not None:
            needs = [ticks(each) for each in terms.gittins_history]
        thresholds = [ticks(each) for each in terms.final_thresholds]
        ranks = gittins_ranks(needs, thresholds, terms.gittins_index) if terms.rule == "gittins" else []
        return cls(terms=terms, costs=Costs.of(terms), estimates=estimates, ranks=ranks)

    def level(self, job: Job, past: Past, start: int | None, now: int) -> int:
        """Return the level of a job that waits, or runs since ``start``: the lower, the more urgent."""
        rule = self.terms.rule
        if rule in {"priority", "partition", "qos", "reclaim"}:
            return self.fixed(job)
        if rule == "srtf":
            return self.remaining(job, past, start, now)
        if rule == "srsf":
            return service(job, self.remaining(job, past, start, now)) // WHOLE
        if rule == "time-slice":
            return int(start is not None and now - start >= ticks(self.terms.final_slice))
        time = past.attained + (0 if start is None else now - start)
        number = sum(time >= needed for needed in self.times_to_thresholds(job))
        return self.ranks[number] if rule == "gittins" else number

    def fixed(self, job: Job) -> int:
        """Return the level of a job under a rule whose levels never change."""
        tiers = self.terms.tiers
        levels = {
            "priority": -job.priority,
            "partition": -tiers.get(job.partition, 0),
            "qos": -tiers.get(job.qos, 0),
            "reclaim": 0,
        }
        return levels[self.terms.rule]

    def remaining(self, job: Job, past: Past, start: int | None, now: int) -> int:
        left = max(self.estimates[job.row] - past.saved, 1) + self.costs.before_work(past)
        return left if start is None else max(start + left - now, 1)

    def times_to_thresholds(self, job: Job) -> list[int]:
        """Return with how much attained time each threshold is reached, without those that never are."""
        if self.terms.rule not in {"las", "2d-las", "gittins"}:
            return []
        thresholds = [ticks(each) for each in self.terms.final_thresholds]
        if self.terms.rule == "las":
            return thresholds
        return [-(-each * WHOLE // job.thousandths) for each in thresholds] if job.thousandths > 0 else []

    def changes(self, job: Job, past: Past, start: int) -> list[int]:
        """Return when running on changes how a job stands: into another bin, a slice that is over, a least run."""
        times = [start + needed - past.attained for needed in self.times_to_thresholds(job)]
        if self.terms.rule == "time-slice":
            times.append(start + ticks(self.terms.final_slice))
        if job.preemptible and job.min_run > 0:
            times.append(start + job.min_run)
        return times

    def promotion(self, past: Past) -> int | None:
        """Return when a waiting job is promoted if it goes on waiting, ``None`` for never."""
        if self.terms.promote is None or past.attained == 0:
            return None
        return past.attempts[-1].end + max(round(self.terms.promote * past.attained), 1)
