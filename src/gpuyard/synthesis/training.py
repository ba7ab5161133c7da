"""The class ``training``: pre-training campaigns and their evaluations, reinforcement, fine-tuning and debugging.

All of the class is here: its kinds, their figures and sources, and the published runs that campaigns repeat, with the
GPU hours that follow from their size.  Pre-training jobs are segments of campaigns (:mod:`gpuyard.synthesis.chains`):
they fail and restart often, so that their run times are short although the campaign lasts for weeks.  That is what the
published run times describe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.synthesis.chains import DAY, SEGMENTS, Campaign, Chain, Evaluation
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.expansion import Draws, Stage
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.published import ACME_FIGURES, CLUSTERS, Evidence, like_class
from gpuyard.synthesis.reading import read_part, read_positive, read_span, read_table, read_whole

__all__ = [
    "KALOS_GPUS",
    "LONGEST_DAYS",
    "PEAK_FLOPS",
    "REPORTED_HOURS",
    "RUNS",
    "PublishedRuns",
    "Run",
    "gpu_hours",
    "training_kinds",
]

KALOS_GPUS = 2_416
SEREN_GPUS = 2_288

PEAK_FLOPS = 0.99e15
"""Dense BF16 operations a second of an H100 or H200."""
LONGEST_DAYS = 180.0
"""Days of work that nobody lets a campaign take."""
FINETUNE_RANK_CORRELATION = 0.53
"""Fitted here, so that a fine-tuning job has the published mean GPU time of 3.9 GPU hours (Seren)."""

_BOXES = Evidence("computed", f"{ACME_FIGURES}: quartiles and whiskers of GPUs; shares within them assumed")
_DEBUG_SIZES = Evidence("computed", f"{ACME_FIGURES}: quartiles; outliers set to meet its GPU time a job")
_RUNTIMES = Evidence("computed", f"{ACME_FIGURES}: p50, p90 and p99 of the run time")
_SEREN_STATES = replace(
    CLUSTERS["seren"].states,
    evidence=Evidence("assumption", f"those of all GPU jobs of Seren (read), {ACME_FIGURES}, for each kind alike"),
)
_KALOS_STATES = replace(
    CLUSTERS["kalos"].states,
    evidence=Evidence("read", f"all GPU jobs of Kalos, {ACME_FIGURES}; pre-training has 95.5 % of their GPU time"),
)

EVALUATION_SIZES = Sizes.steps({1: 0.60, 2: 0.10, 4: 0.15, 8: 0.15})
EVALUATION_RUNTIMES = like_class("seren", p50=129, p90=1_208, p99=15_600)


def training_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the class 'training'; shares of its GPU time sum to 1."""
    return (_pretraining(), _reinforcement(), _finetuning(), _evaluation(), _debugging())


def _pretraining() -> Kind:
    activity = activity_of_power(0.80)
    evaluation = Evaluation(
        stage=Stage("evaluation", 20, activity_of_power(0.50)), sizes=EVALUATION_SIZES, runtimes=EVALUATION_RUNTIMES,
        tasks=63, every=4 * 3600.0, most=0.05,
    )  # fmt: skip
    return Kind(
        name="pretrain", job_class="training", share=45 / 65, priority=50, activity=activity,
        sizes=Sizes.steps({128: 0.15, 256: 0.25, 512: 0.50, 1024: 0.10}),
        runtimes=SEGMENTS, states=_KALOS_STATES, reference_gpus=KALOS_GPUS,
        size_evidence=_BOXES, runtime_evidence=_RUNTIMES,
        expansion=Chain(stage=Stage("pretrain", 50, activity, domain=8), work=PublishedRuns(), evaluation=evaluation),
    )  # fmt: skip


def _reinforcement() -> Kind:
    return Kind(
        name="reinforcement", job_class="training", share=10 / 65, priority=50, activity=activity_of_power(0.70),
        sizes=Sizes.steps({8: 1, 16: 1, 32: 1, 64: 1, 128: 1, 256: 1}),
        runtimes=like_class("seren", p50=297, p90=24_600, p99=313_000), states=_SEREN_STATES,
        reference_gpus=SEREN_GPUS,
        size_evidence=Evidence("assumption", "8 to 256 GPUs beside a campaign, each power of two as likely"),
        runtime_evidence=Evidence("assumption", f"taken from pre-training in Seren, {ACME_FIGURES}"),
    )  # fmt: skip


def _finetuning() -> Kind:
    return Kind(
        name="finetune", job_class="training", share=6 / 65, priority=50, activity=activity_of_power(0.70),
        sizes=Sizes.steps({1: 0.15, 2: 0.15, 4: 0.15, 8: 0.40, 16: 0.15}),
        runtimes=like_class("seren", p50=197, p90=1_128, p99=13_300), states=_SEREN_STATES,
        rank_correlation=FINETUNE_RANK_CORRELATION,
        size_evidence=_BOXES, runtime_evidence=_RUNTIMES,
    )  # fmt: skip


def _evaluation() -> Kind:
    return Kind(
        name="evaluation", job_class="training", share=2 / 65, priority=20, activity=activity_of_power(0.50),
        sizes=EVALUATION_SIZES, runtimes=EVALUATION_RUNTIMES, states=_SEREN_STATES, burst=40.0,
        size_evidence=_BOXES, runtime_evidence=_RUNTIMES,
    )  # fmt: skip


def _debugging() -> Kind:
    return Kind(
        name="debug", job_class="training", share=2 / 65, priority=50, activity=activity_of_power(0.20),
        sizes=Sizes.steps({1: 0.05, 8: 0.75, 16: 0.10, 64: 0.05, 128: 0.05}),
        runtimes=like_class("seren", p50=114, p90=935, p99=22_600), states=_SEREN_STATES,
        size_evidence=_DEBUG_SIZES, runtime_evidence=_RUNTIMES,
    )  # fmt: skip


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
REPORTED_HOURS = {"Llama 3.1 8B": 1.46e6, "Llama 3.1 70B": 7.0e6, "Llama 3.1 405B": 30.84e6}
"""H100 GPU hours that the model card states, all that training took: more than those of the formula."""


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
            *(
                (f"GPU hours reported for {one.name}",
                 f"{REPORTED_HOURS[one.name] / 1e6:g} million, of which the formula gives "
                 f"{one.hours / REPORTED_HOURS[one.name]:.0%}; not used",
                 Evidence("read", "Llama 3.1 model card (Meta 2024): total GPU time required for training"))
                for one in self.runs if one.name in REPORTED_HOURS
            ),
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
