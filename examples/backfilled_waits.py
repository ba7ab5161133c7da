"""How long the jobs of a log wait under each way of backfilling, by the limits that users gave and by true run times.

python examples/backfilled_waits.py TRACE NODESxGPUS
"""

import sys

import numpy as np

import gpuyard as gy

trace, site = sys.argv[1:]
jobs = gy.read_trace(trace)
cluster = gy.Cluster.parse(site)


def row(name, wait, run):
    slowdown = np.maximum(1, (wait + run) / np.maximum(run, 10)).mean()
    median, p90, p99 = np.percentile(wait, [50, 90, 99])
    waited = np.mean(wait > 0)
    print(f"{name:24}{wait.mean():11,.0f}{median:11,.0f}{p90:11,.0f}{p99:11,.0f}{waited:11.1%}{slowdown:11,.1f}")


print(f"{'waits in seconds':24}{'mean':>11}{'median':>11}{'90 %':>11}{'99 %':>11}{'waited':>11}{'slowdown':>11}")
for name, policy in {
    "fifo": {"policy": "fifo"},
    "easy": {"policy": "easy"},
    "easy, counts": {"policy": "easy", "reservation": "counts"},
    "easy, true run times": {"policy": "easy", "estimate": "runtime"},
    "easy, history": {"policy": "easy", "estimate": "history"},
    "conservative": {"policy": "conservative"},
    "conservative, true": {"policy": "conservative", "estimate": "runtime"},
    "conservative, history": {"policy": "conservative", "estimate": "history"},
    "slurm": {"policy": "slurm"},
    "fifo-fit": {"policy": "fifo-fit"},
}.items():
    table = gy.simulate(jobs, cluster, spread=True, **policy).jobs  # any free processors will do
    table = table.filter(table["end_time"].is_valid())
    wait, start, end = (table[column].to_numpy() for column in ("submit_wait_time", "start_time", "end_time"))
    row(name, wait, end - start)
