"""Synthetic workloads: training, real-time services and scientific campaigns, calibrated by published figures.

>>> from gpuyard.synthesis import SynthesisSpec, synthesise
>>> workload = synthesise(SynthesisSpec(days=1), gpus=1152, seed=0)
>>> sorted(set(workload.table["job_class"].to_pylist()))
['battery', 'drug-discovery', 'manufacturing', 'realtime', 'training']
"""

from __future__ import annotations

from gpuyard.synthesis.class_shares import ClassShare
from gpuyard.synthesis.describe import Figure, describe
from gpuyard.synthesis.generate import Generation, generation, synthesise
from gpuyard.synthesis.growing import Stage, generation_growing, synthesise_growing
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.table import span_of
from gpuyard.synthesis.tenants import Tenant

__all__ = [
    "ClassShare",
    "Figure",
    "Generation",
    "Stage",
    "SynthesisSpec",
    "Tenant",
    "describe",
    "generation",
    "generation_growing",
    "span_of",
    "synthesise",
    "synthesise_growing",
]
