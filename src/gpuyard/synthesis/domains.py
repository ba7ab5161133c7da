"""What the kinds of drug discovery, battery materials and manufacturing are built from.

Published are the costs of one unit of work on one GPU; how many units make a job is an assumption, and so is every
kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuyard.synthesis.chains import SEGMENTS, Campaign, Chain, Work
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.expansion import Draws, Expansion, Stage
from gpuyard.synthesis.kinds import Kind, Rhythm, activity_of_power
from gpuyard.synthesis.published import CLUSTERS, Evidence
from gpuyard.synthesis.reading import read_range

__all__ = ["DAY", "HOUR", "MINUTE", "POWERS_TO_8", "REFERENCE_GPUS", "Days", "cpu_stage", "gang", "task"]

REFERENCE_GPUS = 20_000
"""GPUs of the site for which the sizes of campaigns are meant (phase 1)."""

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
POWERS_TO_8 = {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}
_STATES = replace(CLUSTERS["helios"].states, evidence=Evidence("assumption", "as in Helios (Hu et al., SC 2021)"))
_SEGMENTS = Evidence("assumption", "segments as in pre-training in Kalos (Hu et al., NSDI 2024)")


def cpu_stage(name: str, priority: int) -> Stage:
    """Return a stage that has no GPUs."""
    return Stage(name, priority, 0.0)


def task(
    name: str,
    job_class: str,
    share: float,
    runtimes: LogCdf,
    *,
    power: float,
    sizes: str,
    source: str,
    gpus: dict[int, float] | None = None,
    burst: float = 1.0,
    priority: int = 30,
    rhythm: Rhythm = "cluster",
    preemptible: bool = True,
    expansion: Expansion | None = None,
) -> Kind:
    """Return a kind of small jobs, whose sizes do not depend on the site."""
    return Kind(
        name=name, job_class=job_class, share=share, priority=priority, activity=activity_of_power(power),
        sizes=Sizes.steps({1: 1} if gpus is None else gpus), runtimes=runtimes, states=_STATES, burst=burst,
        rhythm=rhythm, size_evidence=Evidence("assumption", sizes), runtime_evidence=Evidence("assumption", source),
        preemptible=preemptible, expansion=expansion,
    )  # fmt: skip


def gang(
    name: str,
    job_class: str,
    share: float,
    gpus: dict[int, float],
    work: Work,
    *,
    power: float,
    source: str,
    priority: int = 30,
) -> Kind:
    """Return a kind of campaigns, whose sizes grow with the site and which run in segments."""
    activity = activity_of_power(power)
    return Kind(
        name=name, job_class=job_class, share=share, priority=priority, activity=activity,
        sizes=Sizes.steps(gpus), runtimes=SEGMENTS, states=_STATES, reference_gpus=REFERENCE_GPUS,
        size_evidence=Evidence("assumption", source), runtime_evidence=_SEGMENTS,
        expansion=Chain(stage=Stage(name, priority, activity), work=work),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Days:
    """Campaigns of some days of work on all their GPUs, log-uniform."""

    least: float
    most: float
    evidence: Evidence

    def campaigns(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes) -> list[Campaign]:
        """Return the campaigns."""
        gpus = sizes.quantile(draws.uniform("size", units))
        days = LogCdf.between(self.least, self.most).quantile(draws.uniform("days", units))
        return [Campaign(own, own * 24.0 * length) for own, length in zip(gpus.tolist(), days.tolist(), strict=True)]

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return the days."""
        return [("work of a campaign", f"{self.least:g} to {self.most:g} days on its GPUs", self.evidence)]

    def changed(self, given: Changes) -> Days:
        """Return the days that a user gives for them."""
        least, most = given.take("work", read_range, (self.least * DAY, self.most * DAY))
        return replace(self, least=least / DAY, most=most / DAY)
