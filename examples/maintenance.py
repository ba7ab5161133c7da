"""Drain half of the nodes for a day's repair: what does it cost in waiting?"""

import gpuyard as gy

site = gy.Cluster.uniform(nodes=8, gpus_per_node=8)
jobs = gy.synthesise(
    gy.SynthesisSpec(days=3, load=0.9, limit_factor=(1.5, 3.0)), gpus=site.gpus, seed=1, max_gpus_per_job=32
)
repair = gy.NodeWindow(nodes=("0-3",), start=86_400, end=2 * 86_400)

plain = gy.simulate(jobs, site, policy="easy")
drained = gy.simulate(jobs, site, policy="easy", windows=[repair])

print(f"{len(jobs)} jobs on {site.gpus} GPUs")
for name, result in (("no repair", plain), ("repair", drained)):
    numbers = result.summary()
    print(
        f"{name:10} mean wait {numbers['wait_s']['mean'] / 60:6.1f} min   held {numbers['gpu']['allocation_rate']:.1%}"
    )
print(f"closed     {drained.summary()['maintenance']['gpu_hours']:.0f} GPU-hours")
