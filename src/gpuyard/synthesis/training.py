"""Training: pre-training campaigns with their evaluations, reinforcement, fine-tuning, evaluation and debugging.

Pre-training jobs are segments of campaigns: they fail and restart often, so that their run times are short although the
campaign lasts for weeks.  That is what the published run times describe.
"""

from __future__ import annotations

from dataclasses import replace

from gpuyard.synthesis.chains import SEGMENTS, Chain, Evaluation
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.expansion import Stage
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.pretraining import PublishedRuns
from gpuyard.synthesis.published import ACME_FIGURES, CLUSTERS, Evidence, like_class

__all__ = ["KALOS_GPUS", "training_kinds"]

KALOS_GPUS = 2_416
SEREN_GPUS = 2_288

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
