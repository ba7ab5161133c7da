"""Who is next: the orders with a fixed key, and those whose score is worked out anew in every pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpuyard.policy import Policy
from reference.jobs import SECOND, Job
from reference.placing import random_bits

ORDERS = (
    "fifo", "sjf", "ljf", "smallest", "largest", "smallest-area", "priority", "edf", "random", "wfp", "unicef",
    "themis", "multifactor",
)  # fmt: skip
SCORED = ("wfp", "unicef", "themis", "multifactor")
WEIGHTS = {
    "age": 1000,
    "max_age": 604_800,
    "size": 0,
    "fairshare": 0,
    "priority": 1,
    "qos": 0,
    "partition": 0,
    "nice": 1,
}


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """An order with all it looks at: estimates by row (microseconds), the seed, the cluster's GPUs."""

    policy: Policy
    estimates: Mapping[int, int]
    seed: int
    cluster_gpus: int
    present: int = 0
    """jobs that wait or run"""
    factors: Mapping[int, float] = field(default_factory=dict)
    """of fair share, by row; 1 where there is none yet"""

    def key(self, job: Job, now: int, eligible: int) -> tuple[float, int, int]:
        """Return what the queue is sorted by, ascending."""
        scores = {"wfp": self.wfp, "unicef": self.unicef, "themis": self.themis, "multifactor": self.multifactor}
        score = scores.get(self.policy.order)
        first = self.fixed(job) if score is None else -score(job, (now - eligible) / SECOND)
        return first, job.submit, job.row

    def fixed(self, job: Job) -> float:
        """Return the key of the orders that do not look at the time."""
        guess = self.estimates[job.row]
        keys: dict[str, float] = {
            "fifo": 0,
            "sjf": guess,
            "ljf": -guess,
            "smallest": job.stated,
            "largest": -job.stated,
            "smallest-area": float(job.stated) * float(guess),
            "priority": -job.priority,
            "edf": math.inf if job.deadline is None else job.deadline,
            "random": random_bits("order", self.seed, job.drawn, 0),
        }
        return keys[self.policy.order]

    def expected(self, job: Job) -> float:
        """Return the expected run time in seconds."""
        return max(self.estimates[job.row], 1) / SECOND

    def wfp(self, job: Job, wait: float) -> float:
        x = wait / self.expected(job)
        return x * x * x * job.gpu_count

    def unicef(self, job: Job, wait: float) -> float:
        size = max(1, math.log2(job.gpu_count)) if job.gpu_count > 0 else 1
        return wait / (size * self.expected(job))

    def themis(self, job: Job, wait: float) -> float:
        alone = self.expected(job) * max(1, job.gpu_count * self.present / max(self.cluster_gpus, 1))
        return (wait + self.expected(job)) / alone

    def multifactor(self, job: Job, wait: float) -> float:
        weight = WEIGHTS | dict(self.policy.weights)
        score = weight["age"] * min(1, wait / weight["max_age"])
        score += weight["size"] * job.gpu_count / self.cluster_gpus if self.cluster_gpus else 0
        score += weight["fairshare"] * self.factors.get(job.row, 1.0)
        score += weight["priority"] * job.priority
        score += weight["qos"] * self.policy.qos.get(job.qos or "", 0)
        score += weight["partition"] * self.policy.partitions.get(job.partition or "", 0)
        score -= weight["nice"] * job.nice
        return score
