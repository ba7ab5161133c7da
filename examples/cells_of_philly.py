"""Philly's virtual clusters as owners of cells: what do they wait alone, and lending each other what is idle?

python examples/cells_of_philly.py PHILLY.csv PHILLY_VC.csv
"""

import csv
import sys
from pathlib import Path

import numpy as np

import gpuyard as gy

jobs = gy.read_trace(sys.argv[1])
nodes = {row["vc"]: int(row["node num"]) for row in csv.DictReader(Path(sys.argv[2]).read_text().splitlines())}
jobs = jobs.where(np.isin(jobs.table["tenant"].to_numpy(zero_copy_only=False), list(nodes)), "of known size")
tenant = jobs.table["tenant"].to_numpy(zero_copy_only=False)
costs = {"rule": "cells", "checkpoint_interval": 3600.0, "restart_cost": 62.0}


def row(name, share, **options):
    site = gy.Cluster.uniform(nodes=int(sum(nodes.values()) * share), gpus_per_node=8)
    result = gy.simulate(jobs, site, policy="fifo-fit", **options)
    wait, numbers = result.jobs["wait_time"].to_numpy(), result.summary()
    worst = max(wait[tenant == each].mean() for each in nodes)
    figures = f"{wait.mean():14.1f}{worst:18,.1f}{wait.max():14,.0f}{np.mean(wait > 0):9.2%}"
    print(f"{name:30}{site.nodes:6}{figures}{numbers['preemptions']:11,}{numbers['lost_gpu_hours']:13,.0f}")


heads = f"{'nodes':>6}{'mean wait, s':>14}{'of the worst off':>18}{'longest, s':>14}{'waited':>9}{'preempted':>11}"
print(f"{'':30}{heads}{'lost GPU h':>13}")
for share in (1.0, 0.4, 1 / 3):
    owners = {name: {"node": max(1, int(number * share))} for name, number in nodes.items()}
    row("one pool", share)
    if share == 1:
        row("cells", share, cells={"owners": owners})
    lent = {"owners": owners, "beyond": "opportunistic"}
    row("cells, lent", share, cells=lent)
    row("cells, lent, work lost", share, cells=lent, preemption=costs)
