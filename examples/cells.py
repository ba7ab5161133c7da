"""What is a promise of cells worth to a tenant, and what do idle cells earn?

A foundry and a battery maker are promised half of the nodes each, the foundry whole racks.  A university is promised
nothing: its jobs have a negative priority, and run where cells are idle.
"""

import numpy as np

import gpuyard as gy
from gpuyard.synthesis import SynthesisSpec, Tenant, synthesise

site = gy.Cluster.uniform(nodes=16, gpus_per_node=8, nodes_per_rack=4)
tenants = (
    Tenant(name="foundry", weights={"training": 1.0}),
    Tenant(name="battery", weights={"battery": 1.0, "manufacturing": 1.0, "realtime": 1.0}),
    Tenant(name="university", weights={"drug-discovery": 1.0}, priority=-100),
)
jobs = synthesise(SynthesisSpec(days=4, load=1.0, tenants=tenants), gpus=site.gpus, seed=2, max_gpus_per_job=32)
owners = {"foundry": {"rack": 2}, "battery": {"node": 8}}
policies = {
    "one pool, by priority": {"preemption": "priority"},
    "cells": {"cells": {"owners": owners}},
    "cells, and beyond them": {"cells": {"owners": owners, "beyond": "opportunistic"}},
}

name = jobs.table["tenant"].to_numpy(zero_copy_only=False)
print(f"{len(jobs)} jobs on {site.gpus} GPUs; mean wait in minutes")
print(f"{'':24}{'foundry':>10}{'battery':>10}{'university':>12}{'held':>8}{'preempted':>11}{'rejected':>10}")
for label, options in policies.items():
    result = gy.simulate(jobs, site, policy="fifo-fit", **options)
    wait = result.jobs["wait_time"].to_numpy()
    means = [np.nanmean(wait[name == each.name]) / 60 for each in tenants]
    numbers = result.summary()
    held, preempted = f"{numbers['gpu']['allocation_rate']:.1%}", numbers["preemptions"]
    rejected = result.jobs["state"].to_pylist().count("rejected")
    print(f"{label:24}{means[0]:10.1f}{means[1]:10.1f}{means[2]:12.1f}{held:>8}{preempted:11}{rejected:10}")
