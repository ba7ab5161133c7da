"""Half a day of the first phase: 20,000 GPUs, five classes of work, and the power they draw."""

import gpuyard as gy

# A preset is a scenario: cluster, workload, policy and energy, each figure with its source or called an assumption.
phase = gy.load_scenario("phase-1")

# Any key may be set: here half a day instead of a week, so that the example is over soon.
result = gy.run_scenario(phase.apply_sets(["workload.days=0.5", "run.until=12h"]))

summary = result.summary()
jobs, gpu, energy = summary["jobs"], summary["gpu"], summary["energy"]
print(f"{jobs['submitted']:,} jobs on {gpu['count']:,} GPUs; {jobs['unfinished']:,} not over after 12 hours")
print(f"allocation rate {gpu['allocation_rate']:.1%}, utilization {gpu['utilization']:.1%}")
print(f"{energy['facility_kwh'] / 1000:,.0f} MWh at the meter, at most {energy['peak_mw']:.1f} MW")

for name, block in summary["by_class"].items():
    share, drawn = block["gpu"]["share"], block["energy"]["it_kwh"] / 1000
    print(f"  {name:15} {share:6.1%} of the GPU time held, {drawn:5.1f} MWh of IT energy")
