"""What a record says about its scheduler: did jobs wait for lack of GPUs, and did later jobs pass them?

python examples/room_while_waiting.py TRACE GPUS [GPU-RULE]
"""

import sys

import numpy as np

import gpuyard as gy

trace, capacity, *rule = sys.argv[1:]
jobs = gy.read_trace(trace, gpu_rule=rule[0] if rule else None)
jobs = jobs.where(~np.isnan(jobs.floats("start_time") + jobs.floats("runtime")), "ran")
submit, start, end, gpus = (jobs.floats(name) for name in ("submit_time", "start_time", "end_time", "gpus"))
wait, limit = start - submit, jobs.floats("time_limit")

# GPUs in use before the first start or end, and after each; at one instant, ends come first.
moments, changes = np.concatenate([end, start]), np.concatenate([-gpus, gpus])
order = np.argsort(moments, kind="stable")
moments, used = moments[order], np.concatenate([[0], np.cumsum(changes[order])])

with_room = 0.0
first, last = np.searchsorted(moments, submit, side="right"), np.searchsorted(moments, start, side="left")
for job in np.flatnonzero(wait > 0):
    edges = np.concatenate([[submit[job]], moments[first[job] : last[job]], [start[job]]])
    with_room += np.diff(edges)[used[first[job] : last[job] + 1] + gpus[job] <= int(capacity)].sum()

starts = np.sort(start)
queued = np.searchsorted(np.sort(submit), starts, side="right") - np.searchsorted(starts, starts, side="right")
pause = np.argmax(np.diff(starts) * (queued[:-1] > 0))
print(f"most GPUs in use               {used.max():9,.0f} of {int(capacity):,}")
print(f"started before an earlier job  {np.mean(start[1:] < np.maximum.accumulate(start)[:-1]):9.1%} of the jobs")
print(f"waited whole minutes           {np.mean(wait[wait > 0] % 60 == 0):9.1%} of the jobs that waited")
print(f"waited though GPUs were free   {with_room / wait.sum():9.1%} of the waiting time")
print(
    f"longest pause without a start  {(starts[pause + 1] - starts[pause]) / 3600:9.1f} h, with {queued[pause]} waiting"
)
print(f"ran                            {np.nansum(end - start) / np.nansum(limit):9.1%} of the time asked for")
