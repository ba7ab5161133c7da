"""What it brings to know run times: Philly's jobs on fewer nodes, in order of arrival and shortest or smallest first.

python examples/orders_of_philly.py TRACE NODESxGPUS
"""

import sys

import numpy as np

import gpuyard as gy

trace, site = sys.argv[1:]
jobs = gy.read_trace(trace)
cluster = gy.Cluster.parse(site)

print(f"{'':26}{'wait, mean s':>14}{'90 %':>11}{'longest':>11}{'completion, mean s':>21}")
for name, policy in {
    "fifo": {"policy": "fifo"},
    "fifo-fit": {"policy": "fifo-fit"},
    "easy": {"policy": "easy"},
    "sjf": {"policy": "sjf"},
    "qssf, true run times": {"policy": "qssf"},
    "qssf, history": {"policy": "qssf", "estimate": "history"},
    "qssf, noise": {"policy": "qssf", "estimate": "noise"},
}.items():
    table = gy.simulate(jobs, cluster, **policy).jobs
    table = table.filter(table["end_time"].is_valid())
    wait, submit, end = (table[column].to_numpy() for column in ("submit_wait_time", "submit_time", "end_time"))
    p90 = np.percentile(wait, 90)
    print(f"{name:26}{wait.mean():14,.0f}{p90:11,.0f}{wait.max():11,.0f}{(end - submit).mean():21,.0f}")
