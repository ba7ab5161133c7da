"""How large the benchmarks are: ``GPUYARD_BENCH_SIZE`` is ``small`` (the default, for their assertions) or ``full``."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["FULL", "SIZE", "Size"]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Jobs and nodes of each group of benchmarks."""

    jobs: int
    fewer_jobs: int
    nodes: int
    node_curve: tuple[int, ...]
    depth_jobs: int
    depths: tuple[int, ...]
    rounds: int
    streamed_jobs: int


_SMALL = Size(
    jobs=20_000,
    fewer_jobs=4_000,
    nodes=64,
    node_curve=(64, 512),
    depth_jobs=6_000,
    depths=(10, 100, 1_000),
    rounds=1,
    streamed_jobs=5_000_000,
)
FULL = Size(
    jobs=1_000_000,
    fewer_jobs=100_000,
    nodes=1_024,
    node_curve=(1_024, 25_000, 62_500),
    depth_jobs=400_000,
    depths=(100, 1_000, 10_000, 100_000),
    rounds=5,
    streamed_jobs=20_000_000,
)
"""The sizes that docs/performance.md quotes."""
SIZE = {"small": _SMALL, "full": FULL}[os.environ.get("GPUYARD_BENCH_SIZE", "small")]
