"""What if the jobs of a trace came twice, asked for more, or ran on faster GPUs? Waits on the same cluster."""

import numpy as np
import pyarrow as pa

import gpuyard as gy
from gpuyard.reshaping import map_gpu_types, repeat, resample_users, resize, thin

jobs = gy.Workload.from_table(
    pa.table(
        {
            "job_id": [f"job-{number}" for number in range(400)],
            "submit_time": 300.0 * np.arange(400),
            "runtime": 600.0 * (1 + np.arange(400) ** 2 % 17),
            "gpus": np.array([1, 1, 1, 2, 4, 8, 1, 16])[np.arange(400) % 8],
            "user": [f"user-{number % 9}" for number in range(400)],
        }
    )
)
cases = {
    "as recorded": jobs,
    "every second job": thin(jobs, 0.5, seed=1),
    "other users": resample_users(jobs, seed=1),
    "twice, a day apart": repeat(jobs, 2, every=86_400.0),
    "1.5 times the GPUs": resize(jobs, 1.5),
    "the same work": resize(jobs, 1.5, keep="work"),
    "GPUs twice as fast": map_gpu_types(jobs, {"any": 0.5}),
}
cluster = gy.Cluster.uniform(nodes=8, gpus_per_node=8)
print(f"{'':20} {'jobs':>5} {'GPU-hours':>10} {'mean wait, s':>13} {'allocation':>11}")
for name, each in cases.items():
    found = gy.simulate(each, cluster, policy="easy").summary()
    hours = float(each.floats("runtime") @ each.floats("gpus")) / 3600
    wait, rate = found["wait_s"]["mean"], found["gpu"]["allocation_rate"]
    print(f"{name:20} {len(each):5} {hours:10,.0f} {wait:13,.0f} {rate:11.1%}")
