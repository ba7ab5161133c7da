"""Drug discovery: docking, structure prediction, molecular dynamics, free energies and generative models."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.domains import HOUR, gang, task
from gpuyard.synthesis.expansion import Draws, Jobs, Site, Stage
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.published import Evidence
from gpuyard.synthesis.stages import Steps

__all__ = ["drug_discovery_kinds"]

MD_ACTIVITY = activity_of_power(0.70)
WINDOW = LogCdf.between(0.5 * HOUR, 2 * HOUR)
"""Run time of one lambda window, s."""
SETUP, ANALYSIS = LogCdf.between(300, 1200), LogCdf.between(120, 600)


def drug_discovery_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the class 'drug-discovery'; shares of its GPU time sum to 1."""
    return (
        task("docking", "drug-discovery", 0.30, LogCdf.between(0.3 * HOUR, 24 * HOUR), power=0.60, burst=100.0,
             sizes="one GPU a chunk of the ligand library",
             source="chunks of 1,000 to 100,000 ligands at 0.6 to 9 a second and GPU (LeGrand 2020; Yu 2023)"),
        task("molecular-dynamics", "drug-discovery", 0.44, LogCdf.between(2 * HOUR, 48 * HOUR), power=0.70, burst=20.0,
             sizes="one GPU a replica", source="replicas of 100 ns to 1 us, 2 to 48 h each"),
        _free_energy(),
        task("folding", "drug-discovery", 0.03, LogCdf.between(600, 6 * HOUR), power=0.70, burst=10.0,
             sizes="one GPU a batch of structures",
             source="batches at 34 to 1,416 s a structure on one H100 (AlphaFold 3, performance notes)"),
        gang("protein-model", "drug-discovery", 0.20, {64: 1, 128: 1, 256: 1, 512: 1}, power=0.80,
             source="64 to 512 GPUs for weeks (OpenFold, BioNeMo)"),
    )  # fmt: skip


def _free_energy() -> Kind:
    kind = task("free-energy", "drug-discovery", 0.03, WINDOW, power=0.70, burst=50.0,
                sizes="one GPU a window", source="windows of 0.5 to 2 h")  # fmt: skip
    return replace(kind, expansion=FreeEnergy())


@dataclass(frozen=True, slots=True)
class FreeEnergy:
    """One edge of a perturbation map: set-up on CPUs, an array of lambda windows, analysis on CPUs."""

    windows: tuple[int, int] = (12, 48)
    cores: int = 8

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Set-up, windows, analysis."""
        return (
            Stage("free-energy-setup", 30, 0.0),
            Stage("free-energy", 30, MD_ACTIVITY),
            Stage("free-energy-analysis", 30, 0.0),
        )

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return windows and CPU stages."""
        low, high = self.windows
        guess = Evidence("assumption", "no published figure; change it to suit the site")
        return [
            ("windows an edge", f"{low} to {high}, an array between set-up and analysis",
             Evidence("assumption", "2 legs of 12 to 24 windows; an edge takes 10 to 30 GPU hours on an A100")),
            ("set-up and analysis", f"{self.cores} cores for 5 to 20 and 2 to 10 minutes", guess),
        ]  # fmt: skip

    def jobs(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes, site: Site, span: float) -> Jobs:
        """Return the jobs of the edges."""
        low, high = self.windows
        width = low + np.floor(draws.uniform("windows", units) * (high - low + 1)).astype(np.int64)
        steps = Steps(draws, units, site.node_cpus, span)
        steps.step(0, 1, SETUP, cpus=self.cores)
        steps.step(1, width, WINDOW, gpus=sizes, array=True)
        steps.step(2, 1, ANALYSIS, cpus=self.cores)
        return steps.jobs()
