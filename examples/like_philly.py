"""Fit a model to a trace and put ten look-alikes of it beside the record: mean, lowest and highest of each number.

python examples/like_philly.py philly.csv
"""

import sys

import numpy as np

import gpuyard as gy
from gpuyard.fitting import fit, look_alike
from gpuyard.portrait import distances, portray

jobs = gy.read_trace(sys.argv[1])
model, recorded = fit(jobs), portray(jobs)
likes = [portray(look_alike(model, seed=seed)) for seed in range(10)]


def row(label, number):
    made = np.array([number(like) for like in likes])
    print(f"{label:34} {number(recorded):>12,.4g} {made.mean():>12,.4g} {made.min():>12,.4g} {made.max():>12,.4g}")


print(f"{'':34} {'recorded':>12} {'mean of 10':>12} {'lowest':>12} {'highest':>12}")
row("GPU-hours", lambda each: each.gpu_hours)
for quantity, name in (("runtime_s", "run time, s"), ("gap_s", "between submissions, s")):
    for level in ("mean", "p25", "p50", "p75", "p90", "p99"):
        row(f"{name}, {level}", lambda each, quantity=quantity, level=level: each.quantiles(quantity)[level])
row("between submissions, CV", lambda each: each.gap_cv())
for window in recorded.dispersion:
    row(f"dispersion in {window:,.0f} s", lambda each, window=window: each.dispersion[window])
for size in recorded.size_jobs:
    row(f"share of jobs of {size} GPUs", lambda each, size=size: each.size_jobs.get(size, 0.0))
    row(f"share of their GPU time, {size} GPUs", lambda each, size=size: each.size_gpu_time.get(size, 0.0))
row("share of the largest tenant", lambda each: each.owners["top_tenant_share_of_jobs"])
for place, each in enumerate(distances(recorded, likes[0])):
    apart = [distances(recorded, like)[place] for like in likes]
    found = np.array([one.overlap_lost if one.ks is None else one.ks for one in apart])
    label = f"{each.label}, {'elsewhere' if each.ks is None else 'KS'}"
    print(f"{label:34} {'':>12} {found.mean():>12.4f} {found.min():>12.4f} {found.max():>12.4f}")
