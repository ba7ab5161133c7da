"""Four tenants on a fiftieth of phase 1: one queue for all, quotas that are lent, and quotas that are taken back."""

import gpuyard as gy

DAYS = 4
TENANTS = {
    "foundation": {"users": 20, "training": 1.0},
    "steel": {"users": 20, "manufacturing": 1.0},
    "bio": {"users": 20, "drug-discovery": 1.0},
    "battery": {"users": 20, "battery": 1.0},
}
QUOTAS = {"foundation": 160, "steel": 80, "bio": 80, "battery": 80}

site = gy.Cluster.uniform(nodes=50, gpus_per_node=8)
spec = gy.SynthesisSpec.from_mapping(
    {
        "days": DAYS,
        "load": 1.4,
        "classes": {"training": 0.79, "manufacturing": 0.07, "drug-discovery": 0.07, "battery": 0.07},
        "tenants": TENANTS,
    }
)
jobs = gy.synthesise(spec, gpus=site.gpus, seed=1, max_gpus_per_job=64)
shared = gy.Tenants(tenants=[gy.Tenant(name=name, nominal=gpus) for name, gpus in QUOTAS.items()])
ways = {
    "one queue": {},
    "quotas, lent": {"tenants": shared},
    "quotas, taken back": {"tenants": shared, "preemption": {"rule": "reclaim", "checkpoint_interval": 3600}},
}

print(f"{'':20}{'':12}{'mean wait':>10}{'held':>10}{'borrowed':>10}{'lent':>10}{'made room':>11}{'lost':>8}")
for way, options in ways.items():
    numbers = gy.simulate(jobs, site, policy="fifo-fit", until=DAYS * 86_400, **options).summary()
    for name in QUOTAS:
        waits, block = numbers["by_tenant"][name], (numbers["tenants"] or {"by_tenant": {}})["by_tenant"].get(name)
        line = f"{way:20}{name:12}{waits['wait_s']['mean'] / 3600:8.1f} h{waits['gpu']['gpu_hours']:10,.0f}"
        if block:
            line += f"{block['borrowed_gpu_hours']:10,.0f}{block['lent_gpu_hours']:10,.0f}"
            line += f"{block['reclaimed']['preemptions']:11,}{block['reclaimed']['lost_gpu_hours']:8,.0f}"
        print(line)
