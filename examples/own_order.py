"""An order of one's own: a compiled score of the waiting jobs, under EASY backfilling, beside the named ones."""

import gpuyard as gy


@gy.order
def expansion(now, jobs, out):
    """Score by how much longer than its estimate a job has taken so far, waiting included."""
    for place in range(jobs.size):
        job = jobs[place]
        out[place] = (job["wait"] + job["estimate"]) / job["estimate"]


# 16 nodes of 8 GPUs, and a week of jobs that would keep them all busy.
cluster = gy.Cluster.uniform(nodes=16, gpus_per_node=8)
jobs = gy.synthesise(gy.SynthesisSpec(days=7, load=1.0), gpus=cluster.gpus, seed=1)

for order in ("fifo", "sjf", "wfp", expansion):
    policy = gy.Policy(order=order, backfill="easy")
    summary = gy.simulate(jobs, cluster, policy=policy, seed=1).summary()
    print(f"{policy.name:28} mean wait {summary['wait_s']['mean'] / 60:5.1f} min")
