"""Drug discovery, battery materials and manufacturing: kinds of jobs by their published unit costs.

The costs are those of one unit of work on one GPU; how many units make a job is an assumption, and so is every kind
here.
"""

from __future__ import annotations

from dataclasses import replace

from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.kinds import Kind, Rhythm, activity_of_power
from gpuyard.synthesis.published import CLUSTERS, Evidence
from gpuyard.synthesis.training import SEGMENTS

__all__ = ["HOUR", "REFERENCE_GPUS", "STATES_OF_CAMPAIGNS", "battery_kinds", "gang", "manufacturing_kinds", "task"]

REFERENCE_GPUS = 20_000
"""GPUs of the site for which the sizes of this module's campaigns are meant (phase 1)."""

HOUR = 3600.0
_ONE_GPU = Sizes.steps({1: 1})
STATES_OF_CAMPAIGNS = replace(
    CLUSTERS["helios"].states, evidence=Evidence("assumption", "as in Helios (Hu et al., SC 2021)")
)
_SEGMENTS = Evidence("assumption", "segments as in pre-training in Kalos (Hu et al., NSDI 2024)")


def battery_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the class 'battery'; shares of its GPU time sum to 1."""
    static = LogCdf.lognormal(median=1.5 * HOUR, sigma=1.2, low=0.2 * HOUR, high=24 * HOUR)
    return (
        task("density-functional", "battery", 0.40, static, power=0.60, burst=20.0, gpus={1: 1, 2: 1, 4: 1, 8: 1},
              sizes="1 to 8 GPUs, each power of two as likely",
              source="log-normal, median 1.5 h, sigma 1.2, within 0.2 to 24 h"),
        gang("potential-training", "battery", 0.30, {32: 1, 64: 1, 128: 1, 256: 1, 512: 1}, power=0.80,
              source="32 to 512 GPUs (MACE-MP-0: 40 to 80 A100, arXiv 2401.00096; UMA, arXiv 2506.23971)"),
        task("potential-finetune", "battery", 0.10, LogCdf.between(2 * HOUR, 48 * HOUR), power=0.70, burst=4.0,
              gpus={1: 1, 2: 1, 4: 1, 8: 1}, sizes="1 to 8 GPUs, each power of two as likely",
              source="committees of 4 models, 2 to 48 h each"),
        task("potential-dynamics", "battery", 0.20, LogCdf.between(2 * HOUR, 48 * HOUR), power=0.70, burst=20.0,
              sizes="one GPU a trajectory", source="10 to 200 trajectories, hours to days each"),
    )  # fmt: skip


def manufacturing_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the class 'manufacturing'; shares of its GPU time sum to 1."""
    return (
        task("vision-retraining", "manufacturing", 0.30, LogCdf.between(0.5 * HOUR, 12 * HOUR), power=0.70,
              gpus={1: 1, 2: 1, 4: 1, 8: 1}, sizes="1 to 8 GPUs, each power of two as likely",
              source="recurring retraining of one production line, 0.5 to 12 h", priority=40),
        gang("process-model", "manufacturing", 0.30, {8: 1, 16: 1, 32: 1, 64: 1}, power=0.80,
              source="8 to 64 GPUs for days", priority=40),
        task("digital-twin", "manufacturing", 0.15, LogCdf.between(0.5 * HOUR, 8 * HOUR), power=0.50,
              gpus={1: 1, 2: 1, 4: 1, 8: 1}, sizes="1 to 8 GPUs, each power of two as likely",
              source="interactive sessions in working hours", priority=40, rhythm="working-hours"),
        task("robot-simulation", "manufacturing", 0.25, LogCdf.between(2 * HOUR, 48 * HOUR), power=0.60, burst=8.0,
              gpus={1: 1, 2: 1, 4: 1, 8: 1, 16: 1, 32: 1, 64: 1}, sizes="1 to 64 GPUs, each power of two as likely",
              source="arrays of 2 to 48 h", priority=40),
    )  # fmt: skip


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
) -> Kind:
    """Return a kind of small jobs, whose sizes do not depend on the site."""
    return Kind(
        name=name, job_class=job_class, share=share, priority=priority, activity=activity_of_power(power),
        sizes=_ONE_GPU if gpus is None else Sizes.steps(gpus), runtimes=runtimes,
        states=STATES_OF_CAMPAIGNS, burst=burst, rhythm=rhythm, size_evidence=Evidence("assumption", sizes),
        runtime_evidence=Evidence("assumption", source),
    )  # fmt: skip


def gang(
    name: str, job_class: str, share: float, gpus: dict[int, float], *, power: float, source: str, priority: int = 30
) -> Kind:
    """Return a kind of campaigns, whose sizes grow with the site and which run in segments."""
    return Kind(
        name=name, job_class=job_class, share=share, priority=priority, activity=activity_of_power(power),
        sizes=Sizes.steps(gpus), runtimes=SEGMENTS, states=STATES_OF_CAMPAIGNS, reference_gpus=REFERENCE_GPUS,
        size_evidence=Evidence("assumption", source), runtime_evidence=_SEGMENTS,
    )  # fmt: skip
