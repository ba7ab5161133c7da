"""Virtual clusters apart and as one pool: what do they wait alone, and how small may the pool be?

python examples/virtual_clusters.py PHILLY.csv PHILLY_VC.csv
"""

import csv
import sys
from pathlib import Path

import numpy as np

import gpuyard as gy

jobs = gy.read_trace(sys.argv[1])
nodes = {row["vc"]: int(row["node num"]) for row in csv.DictReader(Path(sys.argv[2]).read_text().splitlines())}
tenant = jobs.table["tenant"].to_numpy(zero_copy_only=False)


def simulated(chosen, size):
    """Return the waits, s, and the share of the GPUs that was held."""
    result = gy.simulate(chosen, gy.Cluster.uniform(nodes=size, gpus_per_node=8), policy="fifo-fit")
    return result.jobs["wait_time"].to_numpy(), f"{result.summary()['gpu']['allocation_rate']:.1%}"


def row(name, size, wait, held):
    figures = f"{size:7}{len(wait):9,}{held:>8}{wait.mean():14,.1f}{wait.max():14,.0f}{np.mean(wait > 0):9.2%}"
    print(f"{name:18}{figures}")


print(f"{'':18}{'nodes':>7}{'jobs':>9}{'held':>8}{'mean wait, s':>14}{'longest, s':>14}{'waited':>9}")
alone = {name: simulated(jobs.where(tenant == name, name), nodes[name]) for name in sorted(nodes)}
for name, (wait, held) in alone.items():
    row(name, nodes[name], wait, held)
total, sized = sum(nodes.values()), jobs.where(np.isin(tenant, list(nodes)), "virtual clusters of known size")
row("all, apart", total, np.concatenate([wait for wait, _ in alone.values()]), "")
for size in (total, total // 2, total * 2 // 5, total // 3):
    row("all, one pool", size, *simulated(sized, size))
row("with those unsized", total, *simulated(jobs, total))
