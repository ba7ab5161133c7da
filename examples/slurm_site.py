"""A site as Slurm users run it: multifactor with Fair Tree, EASY, partitions, preemption by QOS, a limit per user."""

import numpy as np
import pyarrow as pa

import gpuyard as gy

site = gy.Cluster.uniform(nodes=16, gpus_per_node=8)
spec = gy.SynthesisSpec(days=4, load=1.1, limit_factor=(1.5, 3.0))
table = gy.synthesise(spec, gpus=site.gpus, seed=1, max_gpus_per_job=32).table
# What `sacct` would say of each job; shares of the QOS, and that short small jobs are for debugging, are assumptions.
qos = np.random.default_rng(1).choice(["high", "normal", "scavenger"], len(table), p=[0.1, 0.4, 0.5])
debug = (table["gpus"].to_numpy() <= 8) & (table["time_limit"].to_numpy() <= 3600)
columns = {"partition": np.where(debug, "debug", "main"), "qos": qos, "preemptible": qos == "scavenger"}
for name, values in columns.items():
    table = table.drop_columns([name] if name in table.column_names else []).append_column(name, pa.array(values))
jobs = gy.Workload.from_table(table, name="slurm-site")

weights = {"age": 1000, "fairshare": 2000, "qos": 1000}
factors = {"fair_share": "fair-tree", "weights": weights, "qos": {"high": 1.0, "normal": 0.5}}
policy = gy.Policy(order="multifactor", backfill="easy", **factors)
main = gy.NodeWindow.partition("main", ("2-15",), is_default=True)  # Nodes=n[02-15] Default=YES
windows = [main, gy.NodeWindow.partition("debug", ("0-3",))]  # Nodes=n[00-03], two of them main's too
tiers = {"high": 3, "normal": 2, "scavenger": 1}  # preempt/qos; min_run: PreemptExemptTime
preemption = {"rule": "qos", "tiers": tiers, "checkpoint_interval": 1800, "restart_cost": 120, "min_run": 600}
limit = gy.Limit(each=("user",), where={"qos": "scavenger"}, gpus=32)  # MaxTRESPerUser=gres/gpu=32
options = {"partitions": {"windows": windows}, "preemption": {"preemption": preemption}}
options["limit"] = {"tenants": gy.Tenants(limits=[limit])}

print(f"{'minutes waited':20}{'high':>8}{'normal':>8}{'scavenger':>11}{'debug':>8}{'preempted':>11}{'lost':>7}")
given = {}
for name in ("multifactor, EASY", *options):
    given |= options.get(name, {})
    result = gy.simulate(jobs, site, policy=policy, **given)
    waited, numbers = result.jobs["wait_time"].to_numpy() / 60, result.summary()
    groups = (qos == "high", 8), (qos == "normal", 8), (qos == "scavenger", 11), (debug, 8)
    line = "".join(f"{waited[rows].mean():{width}.1f}" for rows, width in groups)
    lost = (numbers["lost_gpu_hours"] or 0) / numbers["gpu"]["gpu_hours"]
    print(f"{'+ ' * (name in options) + name:20}{line}{numbers['preemptions'] or 0:11,}{lost:7.1%}")
