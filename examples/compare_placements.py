"""One workload under every placement: waits, and how much GPU time crosses racks."""

import gpuyard as gy

# 32 nodes of 8 GPUs in racks of 4, and two days of jobs that would fill 90 % of them.
cluster = gy.Cluster.uniform(nodes=32, gpus_per_node=8, nodes_per_rack=4)
jobs = gy.synthesise(gy.SynthesisSpec(days=2, load=0.9), gpus=cluster.gpus, seed=1)
print(f"{len(jobs):,} jobs on {cluster.gpus} GPUs")

# The same jobs arrive at the same times; only the nodes that they get differ.
for placement in ("first-fit", "best-fit", "worst-fit", "random", "packed", "fgd"):
    summary = gy.simulate(jobs, cluster, policy="fifo-fit", placement=placement, seed=1).summary()
    print(
        f"{placement:10} mean wait {summary['wait_s']['mean'] / 60:4.0f} min",
        f"{summary['network']['multi_node_share']:.1%} of GPU time on several nodes",
        f"{summary['network']['cross_rack_share']:.1%} of that across racks",
        sep=", ",
    )
