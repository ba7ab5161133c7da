"""What a pre-training campaign computes: published runs, and the GPU hours that follow from their size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.synthesis.chains import DAY, Campaign
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.expansion import Draws
from gpuyard.synthesis.published import Evidence
from gpuyard.synthesis.reading import read_part, read_positive, read_span, read_table, read_whole

__all__ = ["LONGEST_DAYS", "PEAK_FLOPS", "RUNS", "PublishedRuns", "Run", "gpu_hours"]

PEAK_FLOPS = 0.99e15
"""Dense BF16 operations a second of an H100 or H200."""
LONGEST_DAYS = 180.0
"""Days of work that nobody lets a campaign take."""


class Run(NamedTuple):
    """A published model: what was trained, on how much, and how it was laid out on GPUs."""

    name: str
    parameters: float  # active for each token
    tokens: float
    utilization: float  # model FLOP/s over the peak of the GPUs (MFU)
    tensor: int  # GPUs over which each layer is split (TP); inside one NVLink domain
    pipeline: int  # groups of layers (PP)
    standing: Literal["read", "assumption"] = "assumption"

    @property
    def hours(self) -> float:
        """GPU hours of an H100 that it takes."""
        return gpu_hours(self.parameters, self.tokens, self.utilization, PEAK_FLOPS)

    @property
    def replica(self) -> int:
        """GPUs that hold the model once (TP x PP)."""
        return self.tensor * self.pipeline


RUNS = (
    Run("Llama 3.1 8B", 8.0e9, 15.0e12, 0.40, 1, 1),
    Run("Llama 3.1 70B", 70.6e9, 15.0e12, 0.40, 8, 4),
    Run("Llama 3.1 405B", 405e9, 15.6e12, 0.41, 8, 16),
    Run("DeepSeek-V3", 37e9, 14.8e12, 0.40, 1, 16),
    Run("OPT-175B", 175e9, 0.18e12, 0.40, 8, 1),
    Run("BLOOM-176B", 176e9, 0.366e12, 0.40, 4, 12),
    Run("MegaScale 175B", 175e9, 0.3e12, 0.55, 8, 8),
)
"""Parameters, tokens and layout: recalled from the papers, an assumption.  MFU of Llama 3.1 405B: 38 to 43 %, read."""


def gpu_hours(parameters: float, tokens: float, utilization: float, peak: float) -> float:
    """Return the GPU hours of a training run: 6 operations a parameter and token (Kaplan et al. 2020)."""
    return 6.0 * parameters * tokens / (utilization * peak * 3600.0)


@dataclass(frozen=True, slots=True)
class PublishedRuns:
    """Each campaign repeats a published run that fits its GPUs: at least one copy of the model, and not for ever."""

    runs: tuple[Run, ...] = RUNS
    longest_days: float = LONGEST_DAYS

    def run_of(self, gpus: int, chance: float) -> Run:
        """Return the run of a campaign of so many GPUs; if all would take too long, the shortest with fewer tokens."""
        longest = self.longest_days * 24.0
        holds = [one for one in self.runs if one.replica <= gpus]
        fits = [one for one in holds if one.hours / gpus <= longest]
        if fits:
            return fits[min(int(chance * len(fits)), len(fits) - 1)]
        least = min(holds, key=lambda one: one.hours)
        return least._replace(tokens=least.tokens * longest * gpus / least.hours)

    def campaigns(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes) -> list[Campaign]:
        """Return the campaigns: GPUs are whole copies of the model (TP x PP x DP)."""
        chances, gpus = draws.uniform("run", units), sizes.quantile(draws.uniform("size", units))
        found = []
        for most, chance in zip(gpus.tolist(), chances.tolist(), strict=True):
            run = self.run_of(most, chance)
            found.append(Campaign(most // run.replica * run.replica, run.hours))
        return found

    def changed(self, given: Changes) -> PublishedRuns:
        """Return the runs with what a user changed of them: ``runs`` by name, and ``longest``."""
        longest = given.take("longest", read_span, self.longest_days * DAY) / DAY
        return PublishedRuns(given.take("runs", _read_runs, self.runs), longest)

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return the runs and the formula."""
        peak = f"{PEAK_FLOPS / 1e15:g} PFLOP/s"
        rows = [
            (f"run {one.name}",
             f"{one.parameters / 1e9:g} x 10^9 parameters, {one.tokens / 1e12:g} x 10^12 tokens, "
             f"MFU {one.utilization:g}, "
             f"TP {one.tensor} x PP {one.pipeline}: {one.hours:,.0f} GPU hours",
             Evidence(one.standing, "parameters, tokens and layout recalled from the paper; hours by the formula"))
            for one in self.runs
        ]  # fmt: skip
        return [
            ("GPU hours", f"6 x parameters x tokens / (MFU x {peak})",
             Evidence("assumption", "6 operations a parameter and token (Kaplan et al. 2020); peak of an H100")),
            *rows,
            ("longest campaign", f"{self.longest_days:g} days of work; no run that would take longer", Evidence(
                "assumption", "no published figure; change it to suit the site")),
        ]  # fmt: skip


def _read_runs(key: str, value: object) -> tuple[Run, ...]:
    """Return the runs of a table by name; one of a published name is changed, another needs all its figures."""
    known = {one.name: one for one in RUNS}
    found = []
    for name, entry in read_table(key, value).items():
        given, own = Changes(f"run '{name}' of {key}", entry), known.get(name, Run(name, 0.0, 0.0, 0.0, 0, 0))
        run = Run(
            name=name,
            parameters=given.take("parameters", read_positive, own.parameters),
            tokens=given.take("tokens", read_positive, own.tokens),
            utilization=given.take("utilization", read_part, own.utilization),
            tensor=given.take("tensor", read_whole, own.tensor),
            pipeline=given.take("pipeline", read_whole, own.pipeline),
        )
        given.finish()
        missing = [figure for figure in _RUN_FIGURES if not getattr(run, figure) > 0]
        if missing:
            raise ConfigError(f"run '{name}' of {key} needs {', '.join(missing)}, above 0")
        found.append(run)
    if not found:
        raise ConfigError(f"{key} names no run; leave it out for the published ones")
    return tuple(found)


_RUN_FIGURES = ("parameters", "tokens", "utilization", "tensor", "pipeline")
