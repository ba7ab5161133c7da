"""One run across the build-out; ``build_out.py 1 3``: the plan's nodes, undivided, and three days for each year."""

import sys
from itertools import pairwise

import gpuyard as gy

# A site of a hundredth of the plan's nodes, and one day that stands for each year, are assumptions.
PART, DAYS = map(int, sys.argv[1:]) if len(sys.argv) > 1 else (100, 1)
SPLIT = {"p1": (2027, 1), "p2": (2028, 3), "p3": (2031, 5), "p4": (2036, 5)}  # first year, and years it is built over

# The announced periods are those of the plan; that a block comes in equal yearly parts, and p4 in 5, is assumed.
plan = gy.load_scenario("phase-4")
blocks = [block | {"nodes": block["nodes"] // PART} for block in plan.to_mapping()["cluster"]["blocks"]]
later, first = [], 0
for block in blocks:
    year, years = SPLIT[block["name"]]
    cuts = [first + block["nodes"] * part // years for part in range(years + 1)]
    for part, (low, high) in enumerate(pairwise(cuts)):
        when = {"start": f"{(year + part - 2027) * DAYS}d", "phase": block["name"]}
        later.append({"nodes": [f"{low}-{high - 1}"], **when})
    first += block["nodes"]
time = {"workload": {"days": 14 * DAYS}, "run": {"until": 14 * DAYS * 86_400}}
layer = {"cluster": {"blocks": blocks}, "commission": later, **time}
summary = gy.run_scenario(plan.over(layer, "the build-out")).summary()

print(f"{summary['jobs']['submitted']:,} jobs")
print("year   GPUs up   held  busy  mean MW  training wait  real-time wait  goals met")
for number, stage in summary["stages"].items():
    waits = {name: stage["by_class"][name]["wait_s"]["mean"] or 0 for name in ("training", "realtime")}
    print(
        f"{2026 + int(number)}  {stage['gpus_up']:8,.0f}  {stage['gpu']['allocation_rate']:5.1%} "
        f"{stage['gpu']['utilization']:5.1%}  {stage['energy']['mean_mw']:7.2f}  {waits['training'] / 60:9.1f} min"
        f"  {waits['realtime']:12.0f} s  {stage['services']['time_attained']:9.2%}"
    )
for name, phase in summary["phases"].items():
    hours, mwh = phase["gpu"]["gpu_hours"] / 1000, phase["energy"]["facility_kwh"] / 1000
    print(f"while {name} comes: {hours:6.1f} thousand GPU-hours, {mwh:6.1f} MWh at the meter")
