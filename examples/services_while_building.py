"""Services take GPUs from less urgent jobs while a site is built: two days for each of the plan's first four years."""

from itertools import pairwise

import gpuyard as gy

# A fiftieth of the plan's nodes, that p2 comes in thirds, and load 1.1 are assumptions; so is an hour from one
# checkpoint to the next.  Services have the highest priority in any case, and their replicas are not preemptible.
PART, DAYS = 50, 2
plan = gy.load_scenario("phase-4")
blocks = [block | {"nodes": block["nodes"] // PART} for block in plan.to_mapping()["cluster"]["blocks"]]
first, second = (block["nodes"] for block in blocks[:2])
cuts = [first + second * part // 3 for part in range(4)]
later = [
    {"nodes": f"{low}-{high - 1}", "start": f"{number * DAYS}d"} for number, (low, high) in enumerate(pairwise(cuts), 1)
]
layer = {
    "cluster": {"blocks": blocks[:2]},
    "commission": later,
    "workload": {"days": 4 * DAYS, "load": 1.1},
    "run": {"until": 4 * DAYS * 86_400},
}
ways = {
    "nobody makes room": {},
    "by priority": {"policy": {"preemption": {"rule": "priority", "checkpoint_interval": 3600, "restart_cost": 300}}},
}

for way, policy in ways.items():
    summary = gy.run_scenario(plan.over(layer | policy, way)).summary()
    held = summary["gpu"]["gpu_hours"]
    print(
        f"{way}: {summary['preemptions']:,} preemptions, {summary['lost_gpu_hours'] / held:.1%} of the GPU-hours lost"
    )
    for number, stage in summary["stages"].items():
        waits = {name: each["wait_s"]["mean"] / 60 for name, each in stage["by_class"].items()}
        print(
            f"  {2026 + int(number)}, {stage['gpus_up']:.0f} GPUs, {stage['gpu']['allocation_rate']:4.0%} held; "
            f"minutes waited: real time {waits['realtime']:4.1f}, training {waits['training']:6.1f}, "
            f"drug discovery {waits['drug-discovery']:6.1f}"
        )
