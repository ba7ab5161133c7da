"""A policy of one's own in plain Python: long jobs only at night, checked by the conformance kit, then compared."""

import gpuyard as gy
from gpuyard.testing import check_policy

HOUR = 3600


class LongJobsAtNight:
    """By day, start what is expected to take less than four hours; by night, and on an idle site, anything."""

    def decide(self, state):
        by_day = 8 <= state.now / HOUR % 24 < 20
        if by_day and state.running.size:
            return state.rows[state.waiting["estimate"] < 4 * HOUR]
        return state.rows


# On small random sites: nothing is held twice, jobs get what they ask for, and whoever fits runs in the end.
check_policy(LongJobsAtNight(), examples=30)

cluster = gy.Cluster.uniform(nodes=16, gpus_per_node=8)
jobs = gy.synthesise(gy.SynthesisSpec(days=7, load=0.9), gpus=cluster.gpus, seed=1)

for name, policy in (("passing in order", "fifo-fit"), ("long jobs at night", LongJobsAtNight())):
    wait = gy.simulate(jobs, cluster, policy=policy, seed=1).summary()["wait_s"]
    print(f"{name:20} mean wait {wait['mean'] / 60:4.0f} min, median {wait['p50'] / 60:4.0f} min")
