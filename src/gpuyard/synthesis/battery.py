"""Battery materials: active learning, density functionals, interatomic potentials and screening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.synthesis.chains import DAY, Campaign
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.domains import HOUR, MINUTE, POWERS_TO_8, cpu_stage, gang, task
from gpuyard.synthesis.expansion import Draws, Stage
from gpuyard.synthesis.graphs import Graph, Part
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.published import Evidence
from gpuyard.synthesis.reading import read_positive, read_span, read_table

__all__ = ["POTENTIALS", "PublishedPotentials", "battery_kinds"]

CLASS, PRIORITY = "battery", 30
POTENTIALS = {
    "MACE-MP-0 medium": 2_600.0,
    "eSEN-30M": 8_040.0,
    "UMA-S": 46_080.0,
    "UMA-L": 95_232.0,
    "UMA-M": 129_024.0,
}
"""GPU hours of published interatomic potentials: arXiv 2401.00096 (A100), 2506.23971 (H200 and H100), 2606.02419."""
DENSITY_FUNCTIONAL = LogCdf.lognormal(median=1.5 * HOUR, sigma=1.2, low=0.2 * HOUR, high=24 * HOUR)
DP_GEN = "DP-GEN: train, explore, select, label, repeat (dpgen2 developer guide)"


def battery_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the class 'battery'; shares of its GPU time sum to 1."""
    return (
        task("density-functional", CLASS, 0.35, DENSITY_FUNCTIONAL, power=0.60, burst=20.0, gpus=POWERS_TO_8,
             sizes="1 to 8 GPUs, each power of two as likely",
             source="log-normal, median 1.5 h, sigma 1.2, within 0.2 to 24 h"),
        _active_learning(),
        gang("potential-training", CLASS, 0.25, {32: 1, 64: 1, 128: 1, 256: 1, 512: 1}, PublishedPotentials(),
             power=0.80, source="32 to 512 GPUs (MACE-MP-0: 40 to 80 A100, arXiv 2401.00096; UMA, arXiv 2506.23971)"),
        _committee(),
        _trajectories(),
        _screening(),
    )  # fmt: skip


def _stage(name: str, power: float) -> Stage:
    return Stage(name, PRIORITY, activity_of_power(power))


def _active_learning() -> Kind:
    static = LogCdf.between(5 * MINUTE, 60 * MINUTE)
    graph = Graph(
        parts=(
            Part(stage=_stage("potential-committee", 0.70), runtimes=LogCdf.between(2 * HOUR, 12 * HOUR), width=(4, 4),
                 gpus=Sizes.steps({1: 1, 2: 1}),
                 evidence=Evidence("assumption", f"{DP_GEN}; a committee of 4 models that differ by seed")),
            Part(stage=_stage("exploration", 0.70), runtimes=LogCdf.between(1 * HOUR, 12 * HOUR), width=(10, 100),
                 gpus=Sizes.steps({1: 1}), array=True, evidence=Evidence("assumption", f"{DP_GEN}; 10 to 100 runs")),
            Part(stage=cpu_stage("selection", PRIORITY), runtimes=LogCdf.between(2 * MINUTE, 20 * MINUTE), gpus="none",
                 cores=8, evidence=Evidence("assumption", f"{DP_GEN}; minutes on CPUs")),
            Part(stage=_stage("labelling", 0.60), runtimes=static, width=(50, 500), array=True,
                 evidence=Evidence("assumption", f"{DP_GEN}; 50 to 500 single points")),
        ),
        rounds=(10, 60),
        rounds_evidence=Evidence("assumption", "10 to 60 rounds, 2,000 to 20,000 labels (Zhang et al. 2020)"),
        standing=True,
    )  # fmt: skip
    return task("active-learning", CLASS, 0.20, static, power=0.60, gpus={1: 1, 2: 1, 4: 1}, expansion=graph,
                sizes="1, 2 or 4 GPUs a label",
                source="single points of 100 to 200 atoms, 5 to 60 minutes")  # fmt: skip


def _committee() -> Kind:
    runtimes = LogCdf.between(2 * HOUR, 48 * HOUR)
    graph = Graph(
        parts=(Part(stage=_stage("potential-finetune", 0.70), runtimes=runtimes, width=(4, 4), gpus="unit",
                    evidence=Evidence("assumption", "a committee of 4 models that differ by seed")),),
    )  # fmt: skip
    return task("potential-finetune", CLASS, 0.05, runtimes, power=0.70, gpus={1: 1, 2: 1}, expansion=graph,
                sizes="1 or 2 GPUs a model, the same for all of a committee",
                source="committees of 4 models, 2 to 48 h each")  # fmt: skip


def _trajectories() -> Kind:
    runtimes = LogCdf.between(2 * HOUR, 48 * HOUR)
    graph = Graph(
        parts=(Part(stage=_stage("potential-dynamics", 0.70), runtimes=runtimes, width=(10, 200), array=True,
                    evidence=Evidence("assumption", "10 to 200 temperatures and compositions")),),
    )  # fmt: skip
    return task("potential-dynamics", CLASS, 0.10, runtimes, power=0.70, sizes="one GPU a trajectory", expansion=graph,
                source="hours to days each; 1.4 ns a day at 1,000 atoms (UMA-S, arXiv 2506.23971)")  # fmt: skip


def _screening() -> Kind:
    runtimes = LogCdf.between(0.3 * HOUR, 6 * HOUR)
    graph = Graph(
        parts=(
            Part(stage=cpu_stage("screening-preparation", PRIORITY), runtimes=LogCdf.between(10 * MINUTE, 60 * MINUTE),
                 gpus="none", cores=16, evidence=Evidence("assumption", "candidates are enumerated on CPUs")),
            Part(stage=Stage("screening", PRIORITY, activity_of_power(0.70), array_limit=256), runtimes=runtimes,
                 width=(32, 1024), array=True,
                 evidence=Evidence("assumption", "100,000 to 100,000,000 relaxations of 1 to 30 s in chunks")),
            Part(stage=_stage("screening-check", 0.60), runtimes=DENSITY_FUNCTIONAL, width=(10, 50),
                 gpus=Sizes.steps(POWERS_TO_8), array=True,
                 evidence=Evidence("assumption", "the best candidates are computed with density functionals")),
        ),
    )  # fmt: skip
    return task("screening", CLASS, 0.05, runtimes, power=0.70, sizes="one GPU a chunk of candidates", expansion=graph,
                source="chunks of 1,000 relaxations at 1 to 30 s each")  # fmt: skip


@dataclass(frozen=True, slots=True)
class PublishedPotentials:
    """Each campaign trains one of the published potentials, each as likely."""

    longest_days: float = 60.0
    potentials: Mapping[str, float] = field(default_factory=lambda: POTENTIALS)

    def changed(self, given: Changes) -> PublishedPotentials:
        """Return the potentials with what a user changed: ``potentials`` as GPU hours by name, and ``longest``."""
        longest = given.take("longest", read_span, self.longest_days * DAY) / DAY
        return PublishedPotentials(longest, given.take("potentials", _read_potentials, self.potentials))

    def campaigns(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes) -> list[Campaign]:
        """Return the campaigns; one that would take too long on its GPUs stops before it is done."""
        hours = np.array(list(self.potentials.values()))
        gpus = sizes.quantile(draws.uniform("size", units))
        chosen = hours[np.minimum((draws.uniform("run", units) * hours.size).astype(np.int64), hours.size - 1)]
        least = np.minimum(chosen, self.longest_days * 24.0 * gpus)
        return [Campaign(own, work) for own, work in zip(gpus.tolist(), least.tolist(), strict=True)]

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return the potentials and their GPU hours."""
        value = ", ".join(f"{name} {hours:,.0f}" for name, hours in self.potentials.items())
        source = "arXiv 2401.00096, 2506.23971 (table 8) and 2606.02419; as if the GPUs were alike"
        return [
            ("GPU hours of a campaign", value, Evidence("read", source)),
            ("longest campaign", f"{self.longest_days:g} days of work", Evidence("assumption", "the rest is left out")),
        ]


def _read_potentials(key: str, value: object) -> dict[str, float]:
    found = {name: read_positive(f"'{name}' of {key}", hours) for name, hours in read_table(key, value).items()}
    if not found:
        raise ConfigError(f"{key} names no potential; leave it out for the published ones")
    return found
