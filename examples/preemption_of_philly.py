"""What it brings to preempt, and to know run times: Philly's virtual clusters apart, and all of them as one pool.

python examples/preemption_of_philly.py PHILLY.csv PHILLY_VC.csv
"""

import sys

import numpy as np
from pyarrow import csv

import gpuyard as gy

COST = {"restart_cost": 62.0}  # s: the mean cost of a preemption in Tiresias' measurements (Gu et al. 2019)
NAMES = ("fifo", "fifo-fit", "sjf", "qssf", "srtf", "las", "tiresias")

jobs = gy.read_trace(sys.argv[1])
sizes = {row["vc"]: f"{row['node num']}x8" for row in csv.read_csv(sys.argv[2]).to_pylist()}
tenant = np.array(jobs.table["tenant"].to_pylist())
apart = [(jobs.where(tenant == name, name), gy.Cluster.parse(size)) for name, size in sorted(sizes.items())]
pooled = jobs.where(np.isin(tenant, list(sizes)), "those of known size")
pools = {f"one pool of {size}": [(pooled, gy.Cluster.parse(f"{size}x8"))] for size in (352, 117, 80)}


def row(name, parts):
    """Print means over jobs of completion and of time not on GPUs; preemptions; useful over held GPU time."""
    jct, wait, total = [], [], 0
    for chosen, cluster in parts:
        result = gy.simulate(chosen, cluster, policy=name, preemption=COST if name in NAMES[4:] else "none")
        sums, table = result.summary(), result.jobs
        jct.append(table["jct"].to_numpy())
        wait.append(jct[-1] - table["gpu_time"].to_numpy() / table["gpus"].to_numpy())
        total += np.array([sums["preemptions"], sums["lost_gpu_hours"], sums["gpu"]["gpu_hours"]])
    jct, wait = np.concatenate(jct).mean(), np.concatenate(wait).mean()
    print(f"{name:10}{jct:14,.0f}{wait:12,.0f}{total[0]:13,.0f}{1 - total[1] / total[2]:10.2%}")


for title, parts in [("apart", apart), *pools.items()]:
    print(f"{title:18}{'jct, s':>6}{'waiting, s':>12}{'preemptions':>13}{'goodput':>10}")
    for name in NAMES:
        row(name, parts)
