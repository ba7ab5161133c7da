"""Drug discovery: docking, structure prediction, molecular dynamics, free energies and generative models."""

from __future__ import annotations

import math

from gpuyard.synthesis.distributions import LogCdf
from gpuyard.synthesis.domains import HOUR, MINUTE, Days, cpu_stage, gang, task
from gpuyard.synthesis.expansion import Stage
from gpuyard.synthesis.graphs import Graph, Part
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.published import Evidence

__all__ = ["drug_discovery_kinds"]

CLASS, PRIORITY = "drug-discovery", 30
SEEDS = 5
"""Structures predicted for one target."""
ALPHAFOLD_TOKENS = (1024, 2048, 3072, 4096, 5120)
ALPHAFOLD_H100 = (34.0, 144.0, 367.0, 774.0, 1416.0)
"""s of inference for so many tokens on one H100 (AlphaFold 3, performance notes)."""


def drug_discovery_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the class 'drug-discovery'; shares of its GPU time sum to 1."""
    return (_docking(), _dynamics(), _free_energy(), _folding(), _protein_model(), _generation())


def _stage(name: str, power: float, array_limit: int | None = None) -> Stage:
    return Stage(name, PRIORITY, activity_of_power(power), array_limit)


def _cpus(name: str, minutes: tuple[float, float], cores: int, source: str) -> Part:
    """Return a stage of one job on CPUs."""
    return Part(
        stage=cpu_stage(name, PRIORITY), runtimes=LogCdf.between(minutes[0] * MINUTE, minutes[1] * MINUTE),
        gpus="none", cores=cores, evidence=Evidence("assumption", source),
    )  # fmt: skip


def _docking() -> Kind:
    runtimes = LogCdf.between(0.3 * HOUR, 24 * HOUR)
    graph = Graph(
        parts=(
            _cpus("docking-preparation", (10, 60), 16, "ligands are prepared before they are docked"),
            Part(stage=_stage("docking", 0.60, array_limit=256), runtimes=runtimes, width=(100, 4000), array=True,
                 evidence=Evidence("assumption", "100 to 10,000 tasks a library (LeGrand 2020)")),
            _cpus("docking-ranking", (5, 30), 8, "scores are collected and ranked"),
        ),
    )  # fmt: skip
    return task("docking", CLASS, 0.30, runtimes, power=0.60, expansion=graph,
                sizes="one GPU a chunk of the ligand library",
                source="chunks of 1,000 to 100,000 ligands at 0.6 to 9 a second and GPU (LeGrand 2020; Yu 2023)",
                )  # fmt: skip


def _dynamics() -> Kind:
    runtimes = LogCdf.between(2 * HOUR, 48 * HOUR)
    graph = Graph(
        parts=(
            _cpus("dynamics-setup", (5, 20), 8, "systems are built and minimised"),
            Part(stage=_stage("molecular-dynamics", 0.70, array_limit=128), runtimes=runtimes, width=(10, 1000),
                 array=True, evidence=Evidence("assumption", "ensembles of 10 to 1,000 replicas of 100 ns to 1 us")),
            _cpus("dynamics-analysis", (10, 60), 8, "trajectories are analysed together"),
        ),
    )  # fmt: skip
    return task("molecular-dynamics", CLASS, 0.42, runtimes, power=0.70, sizes="one GPU a replica", expansion=graph,
                source="replicas of 100 ns to 1 us, 2 to 48 h each, a checkpoint every 15 minutes")  # fmt: skip


def _free_energy() -> Kind:
    runtimes = LogCdf.between(0.5 * HOUR, 2 * HOUR)
    windows = "2 legs of 12 to 24 windows; an edge takes 10 to 30 GPU hours on an A100"
    graph = Graph(
        parts=(
            _cpus("free-energy-setup", (5, 20), 8, "an edge of the map is set up"),
            Part(stage=_stage("free-energy", 0.70), runtimes=runtimes, width=(12, 48), array=True,
                 evidence=Evidence("assumption", windows)),
            _cpus("free-energy-analysis", (2, 10), 8, "the windows of an edge are analysed together"),
        ),
    )  # fmt: skip
    return task("free-energy", CLASS, 0.03, runtimes, power=0.70, burst=50.0, sizes="one GPU a window", expansion=graph,
                source="windows of 0.5 to 2 h")  # fmt: skip


def _folding() -> Kind:
    runtimes = alphafold_runtimes()
    graph = Graph(
        parts=(
            _cpus("alignment", (10, 40), 32, "tens of minutes on 4 x 8 cores (AlphaFold 3, performance notes)"),
            Part(stage=_stage("folding", 0.70), runtimes=runtimes,
                 evidence=Evidence("assumption", "one target, five seeds one after the other")),
        ),
    )  # fmt: skip
    return task("folding", CLASS, 0.03, runtimes, power=0.70, burst=50.0, sizes="one GPU a target", expansion=graph,
                source="34 to 1,416 s a seed on one H100 (read: AlphaFold 3, performance notes); 5 seeds, and 1,024 to "
                       "5,120 tokens, log-uniform, assumed")  # fmt: skip


def alphafold_runtimes() -> LogCdf:
    """Return the run times of targets of 1,024 to 5,120 tokens, log-uniform, straight in the logarithm between them."""
    low, high = math.log(ALPHAFOLD_TOKENS[0]), math.log(ALPHAFOLD_TOKENS[-1])
    climb = [(math.log(tokens) - low) / (high - low) for tokens in ALPHAFOLD_TOKENS]
    return LogCdf(values=tuple(SEEDS * one for one in ALPHAFOLD_H100), cumulative=(0.0, *climb[1:-1], 1.0))


def _protein_model() -> Kind:
    weeks = Days(least=7, most=28, evidence=Evidence("assumption", "pre-training of the BioNeMo class, 1 to 4 weeks"))
    return gang("protein-model", CLASS, 0.17, {64: 1, 128: 1, 256: 1, 512: 1}, weeks, power=0.80,
                source="64 to 512 GPUs for weeks (OpenFold, BioNeMo)")  # fmt: skip


def _generation() -> Kind:
    return task("generation", CLASS, 0.05, LogCdf.between(1 * HOUR, 24 * HOUR), power=0.60, burst=4.0,
                sizes="one GPU a run",
                source="generative chemistry of the REINVENT type, 1 to 24 h on one GPU")  # fmt: skip
