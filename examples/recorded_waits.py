"""How long jobs waited in the record, and how long they wait under three policies.

python examples/recorded_waits.py TRACE NODESxGPUS [GPU-RULE]
"""

import sys

import numpy as np

import gpuyard as gy

trace, site, *rule = sys.argv[1:]
jobs = gy.read_trace(trace, gpu_rule=rule[0] if rule else None)
cluster = gy.Cluster.parse(site)


def waits(**policy):
    """Return waits from submission, s, of the jobs that have a recorded start too."""
    table = gy.simulate(jobs, cluster, **policy).jobs
    table = table.filter(table["recorded_start_time"].is_valid())
    return table["submit_wait_time"].to_numpy()


def row(name, wait, *comparison):
    median, p90, p99 = np.percentile(wait, [50, 90, 99])
    figures = f"{wait.mean():11,.0f}{median:11,.0f}{p90:11,.0f}{p99:11,.0f}{np.mean(wait > 0):11.1%}"
    print(f"{name:17}{figures}", *comparison, sep="")


recorded = waits(replay="recorded")  # starts every job when it started in the record
print(f"{len(recorded):,} jobs, waits in seconds")
print(f"{'':17}{'mean':>11}{'median':>11}{'90 %':>11}{'99 %':>11}{'waited':>11}{'mean error':>12}{'correlation':>13}")
row("recorded", recorded)
for limit in ("kill", "ignore"):
    for policy in ("fifo", "fifo-fit", "sjf"):
        wait = waits(policy=policy, on_limit=limit)
        error, correlation = np.abs(wait - recorded).mean(), np.corrcoef(wait, recorded)[0, 1]
        row(f"{policy}, {limit}", wait, f"{error:12,.0f}{correlation:13.2f}")
