"""How far the GPU time of a look-alike lies in other sizes than that of its source, by the number of jobs, in Markdown.

``python benchmarks/look_alike_spread.py``; a source is a synthetic workload, and beside its look-alikes stand other
seeds of the source itself: what is due to the few large jobs alone.
"""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np

from gpuyard.fitting import fit, look_alike
from gpuyard.synthesis import SynthesisSpec, synthesise
from gpuyard.workload import Workload

SIZES = ((2_000, 128), (20_000, 128), (20_000, 1_152), (200_000, 1_152))
SOURCES, LOOK_ALIKES = 3, 4
LONGER = 20


def shares(workload: Workload) -> tuple[dict[int, float], float]:
    """Return the share of the GPU time that each size has, and all of it in seconds."""
    milli = workload.integers("gpus", 0) * workload.integers("gpu_milli", 1000)
    sizes, place = np.unique(milli, return_inverse=True)
    held = np.bincount(place, weights=milli * workload.floats("runtime"))
    return dict(zip(sizes.tolist(), (held / held.sum()).tolist(), strict=True)), float(held.sum()) / 1000


def elsewhere(first: dict[int, float], second: dict[int, float]) -> float:
    """Return the share of the GPU time that lies in other sizes."""
    return sum(abs(first.get(size, 0.0) - second.get(size, 0.0)) for size in first | second) / 2


def row(jobs: int, gpus: int) -> str:
    """Return one row of Markdown."""
    sources = [synthesise(SynthesisSpec(jobs=jobs), gpus=gpus, seed=seed) for seed in range(SOURCES)]
    own = [shares(each) for each in sources]
    apart, longer, totals = list[float](), list[float](), list[float]()
    for source, (parts, total) in zip(sources, own, strict=True):
        model = fit(source)
        for seed in range(LOOK_ALIKES):
            found, held = shares(look_alike(model, jobs=jobs, seed=seed))
            apart.append(elsewhere(parts, found))
            totals.append(held / total)
        longer.append(elsewhere(parts, shares(look_alike(model, jobs=LONGER * jobs, seed=LOOK_ALIKES))[0]))
    seeds = [elsewhere(first, second) for (first, _), (second, _) in combinations(own, 2)]
    return (
        f"| {jobs:,} on {gpus:,} GPUs | {np.mean(apart):.0%}, {max(apart):.0%} "
        f"| {min(totals):.2f} to {max(totals):.2f} | {np.mean(longer):.0%} | {np.mean(seeds):.0%}, {max(seeds):.0%} |"
    )


def main() -> None:
    """Print the table."""
    sys.stdout.write(
        "| jobs | look-alikes: mean, most | their GPU time over that of the source "
        f"| {LONGER} times as long | other seeds of the source: mean, most |\n|--:|--:|--:|--:|--:|\n"
    )
    for jobs, gpus in SIZES:
        sys.stdout.write(row(jobs, gpus) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
