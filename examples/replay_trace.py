"""Replay a trace: what is in it, what its scheduler did, and what another one would have done."""

from pathlib import Path

import gpuyard as gy

# Six invented jobs in the standard workload format, which counts processors: here, a GPU for each.
trace = Path(__file__).parents[1] / "traces" / "samples" / "workload.swf"
jobs = gy.read_trace(trace, gpu_rule="processor:1")
print(f"{len(jobs)} jobs, second 0 is {jobs.origin}")
print(*jobs.notes, sep="\n")

# 8 nodes of 8 GPUs: the job of 64 GPUs needs all of them.
cluster = gy.Cluster.uniform(nodes=8, gpus_per_node=8)

# replay="recorded" starts every job when it started in the record.  Where the record holds more than
# there is, as on this small cluster, a job finds no room and holds nothing.
runs = {
    "recorded": gy.simulate(jobs, cluster, replay="recorded"),
    "fifo": gy.simulate(jobs, cluster, policy="fifo"),  # strict: nobody passes a blocked job
    "fifo-fit": gy.simulate(jobs, cluster, policy="fifo-fit"),  # whatever fits may start
}
for name, result in runs.items():
    starts = dict(zip(result.jobs["job_id"].to_pylist(), result.jobs["start_time"].to_pylist(), strict=True))
    print(f"{name:9} starts, s", {job: "never" if start is None else round(start) for job, start in starts.items()})

beyond = runs["recorded"].summary()["oversubscribed"]
print(f"in the record, {beyond['attempts']} job had no room, {beyond['peak_gpus_above_capacity']:.0f} GPUs beyond")
reasons = runs["fifo"].jobs["reject_reason"].drop_null().to_pylist()
print("rejected:", *reasons)
