"""A kind of job: what one workload class is made of, such as pre-training within training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from gpuyard.errors import ConfigError
from gpuyard.services.kinds import ServiceKind
from gpuyard.synthesis.coupling import Coupling, coupled
from gpuyard.synthesis.distributions import WHOLE_GPUS, Fractions, LogCdf, Sizes
from gpuyard.synthesis.expansion import Expansion, Stage
from gpuyard.synthesis.published import CLUSTERS, Evidence, States

__all__ = [
    "ACTIVITY_OF_POWER_IDLE",
    "CLASSES",
    "Kind",
    "Rhythm",
    "activity_of_power",
    "campaign_scale",
    "from_cluster",
    "reshared",
]

CLASSES = ("realtime", "training", "drug-discovery", "battery", "manufacturing")
"""The workload classes, in the order in which jobs of one instant are listed."""

ACTIVITY_OF_POWER_IDLE = 0.15
"""Idle power as a fraction of the rated power (A100: 60 W of 400 W, Acme data)."""

Rhythm = Literal["cluster", "working-hours", "flat"]
"""When people submit: the published profiles of clusters; weekdays 8 to 19 h; or evenly."""


def activity_of_power(fraction: float) -> float:
    """Return the activity at which a GPU draws ``fraction`` of its rated power, if power is linear in activity."""
    return round((fraction - ACTIVITY_OF_POWER_IDLE) / (1 - ACTIVITY_OF_POWER_IDLE), 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of job of a class, or of units of several jobs.

    Parameters
    ----------
    share
        Its part of the GPU time of its class.
    burst
        Mean number of jobs submitted at one instant by one user (geometric); 1 means one by one.
    reference_gpus
        GPUs of the cluster for which ``sizes`` holds; None where sizes do not grow with the cluster.
    rank_correlation
        Of size and run time (normal copula), 0 where they are independent.
    coupling
        Of size and run time by a shift for each size, None where there is none.
    swing
        Mean square of the random number, of mean 1, by which the rate of a day is multiplied; 1 means none.
    profile
        The published cluster whose hours and days it follows where the user gives none; None for the default profile.
    fractions
        Parts of a GPU that its jobs of one GPU ask for; only where each submission is one job.
    preemptible
        Whether its jobs may be preempted.
    checkpoint_interval
        s of work between two checkpoints of its jobs, 0 where nothing is lost; None: not stated, so that the policy's
        holds.
    expansion
        Makes several jobs of each submission; ``sizes`` and ``runtimes`` are then those of the stage that holds most of
        the GPU time, and ``burst`` counts units.  None: each submission is one job.
    service
        Where the kind is a service, what it is: its jobs are the replicas that its demand wants, and of the rest of
        this only name, class, share, priority and ``preemptible`` count.
    """

    name: str
    job_class: str
    share: float
    sizes: Sizes
    runtimes: LogCdf
    priority: int
    activity: float
    states: States
    size_evidence: Evidence
    runtime_evidence: Evidence
    burst: float = 1.0
    rhythm: Rhythm = "cluster"
    reference_gpus: int | None = None
    rank_correlation: float = 0.0
    coupling: Coupling | None = None
    swing: float = 1.0
    profile: str | None = None
    preemptible: bool = True
    checkpoint_interval: float | None = None
    fractions: Fractions = WHOLE_GPUS
    expansion: Expansion | None = None
    service: ServiceKind | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that its jobs are of: one of its own name, unless an expansion has others."""
        own = Stage(
            self.name,
            self.priority,
            self.activity,
            preemptible=self.preemptible,
            checkpoint_interval=self.checkpoint_interval,
        )
        return (own,) if self.expansion is None else self.expansion.stages

    @property
    def key(self) -> str:
        """Name of the kind among all kinds: the stem of its random streams and of its job ids."""
        return f"{self.job_class}-{self.name}"

    def sizes_on(self, gpus: int, largest: int, growth: float) -> Sizes:
        """Return the sizes of this kind on a cluster of ``gpus`` GPUs, given at most ``largest`` GPUs a job.

        Raises
        ------
        ConfigError
            If even the smallest job is larger than that.
        """
        scale = 1.0 if self.reference_gpus is None else campaign_scale(gpus, self.reference_gpus, growth)
        try:
            return self.sizes.scaled(scale).at_most(largest)
        except ConfigError as problem:
            raise ConfigError(f"jobs of {self.key}: {problem}; raise max_gpus_per_job or drop the class") from None


def campaign_scale(gpus: int, reference: int, growth: float) -> float:
    """Return the power of two by which campaigns differ in size from those of the reference cluster.

    They grow as ``(gpus / reference) ** growth`` on larger clusters and shrink in proportion on smaller ones, rounded
    down to a power of two.
    """
    ratio = gpus / reference
    return 2.0 ** math.floor(math.log2(ratio) * (growth if ratio > 1 else 1.0))


def from_cluster(source: str, job_class: str, *, priority: int, share: float) -> Kind:
    """Return the kind that draws from the general tables of a published cluster, such as 'philly'."""
    cluster = CLUSTERS[source]
    return Kind(
        name=f"{source}-like",
        job_class=job_class,
        share=share,
        sizes=cluster.sizes,
        runtimes=cluster.runtimes,
        priority=priority,
        activity=0.4,
        states=cluster.states,
        coupling=coupled(cluster.sizes, cluster.gpu_time, cluster.runtimes, cluster.fractions.mean()),
        fractions=cluster.fractions,
        burst=cluster.burst,
        swing=cluster.swing,
        profile=cluster.profile,
        size_evidence=cluster.evidence,
        runtime_evidence=cluster.evidence,
    )


def reshared(kind: Kind, share: float) -> Kind:
    """Return the kind with another share of the GPU time of its class."""
    return replace(kind, share=share)
