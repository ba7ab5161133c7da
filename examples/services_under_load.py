"""Services and training on one cluster as the load rises: what it costs each, with and without a spare replica."""

import gpuyard as gy

DAYS = 3
site = gy.Cluster.uniform(nodes=64, gpus_per_node=8)
kinds = ("chat", "code", "image")
careful = {"target": 0.6, "spare": 1}
tight = {"target": 0.85, "spare": 0}

print("scaling  load  GPUs held  goals missed  requests late or lost  replicas waited  training waited")
for name, scaling in (("careful", careful), ("tight", tight)):
    for load in (0.6, 0.8, 1.0, 1.1):
        spec = gy.SynthesisSpec.from_mapping(
            {
                "days": DAYS,
                "load": load,
                "classes": {"realtime": 0.3, "training": 0.7},
                "services": dict.fromkeys(kinds, scaling),
            }
        )
        jobs = gy.synthesise(spec, gpus=site.gpus, seed=4, max_gpus_per_job=128)
        result = gy.simulate(jobs, site, policy="priority", backfill="fit", until=DAYS * 86_400)
        numbers = result.summary()
        services, classes = numbers["services"], numbers["by_class"]
        print(
            f"{name:7}  {load:4}  {numbers['gpu']['allocation_rate']:9.1%}  {1 - services['time_attained']:12.2%}"
            f"  {1 - services['attainment']:21.3%}  {classes['realtime']['wait_s']['mean']:13.0f} s"
            f"  {classes['training']['wait_s']['mean'] / 60:11.0f} min"
        )
