"""Closed loops: a user submits after his last job has ended and he has thought; the run decides when that is."""

from __future__ import annotations

import numpy as np
import pytest

import gpuyard as gy
from gpuyard.errors import ConfigError
from gpuyard.result import Result
from gpuyard.synthesis import ClassShare, SynthesisSpec, Tenant, synthesise

HOUR, DAY = 3600.0, 86_400.0
USERS, THINK = 12, 1800.0
ONE_GPU = {
    "digital-twin": {"share": 1.0, "gpus": 1, "runtime": ["10m", "1h"], "rhythm": "flat"},
}


def spec(**keys: object) -> SynthesisSpec:
    return SynthesisSpec(
        days=20, load=2.0, zipf_exponent=0.0, think_time=THINK,
        classes=(ClassShare(name="manufacturing", share=1.0, changes=ONE_GPU),),
        tenants=(Tenant(name="lab", users=USERS, weights={"manufacturing": 1.0}),), **keys,
    )  # fmt: skip


def run(gpus: int, until: float, **keys: object) -> Result:
    jobs = synthesise(spec(**keys), gpus=8, seed=1)
    return gy.simulate(jobs, gy.Cluster.uniform(nodes=gpus, gpus_per_node=1), policy="fifo", until=until)


@pytest.mark.parametrize("gpus", [4, 8, 12])
def test_throughput_times_response_and_think_time_is_the_number_of_users(gpus):
    # the interactive response time law (Denning and Buzen 1978): X (R + Z) = N, whatever the distributions; with as
    # many GPUs as users nobody waits
    result = run(gpus, 5 * DAY, closed_loop=True)
    table = result.jobs
    end = table["end_time"].to_numpy(zero_copy_only=False)
    eligible = table["eligible_time"].to_numpy(zero_copy_only=False)
    inside = (end > DAY) & (end <= 5 * DAY)
    throughput, response = inside.sum() / (4 * DAY), float((end - eligible)[inside].mean())
    assert inside.sum() > 500
    assert throughput * (response + THINK) == pytest.approx(USERS, rel=0.06)
    waits = (table["start_time"].to_numpy(zero_copy_only=False) - eligible)[inside]
    assert waits.mean() == 0 if gpus == 12 else waits.mean() > 0


def test_each_job_may_start_when_the_one_before_of_its_user_has_ended_and_he_has_thought():
    jobs = synthesise(spec(closed_loop=True), gpus=8, seed=1)
    result = gy.simulate(jobs, gy.Cluster.uniform(nodes=3, gpus_per_node=1), policy="fifo", until=3 * DAY)
    ended = dict(zip(result.jobs["job_id"].to_pylist(), result.jobs["end_time"].to_pylist(), strict=True))
    eligible = dict(zip(result.jobs["job_id"].to_pylist(), result.jobs["eligible_time"].to_pylist(), strict=True))
    checked = 0
    for row in jobs.table.select(["job_id", "user", "depends_on", "think_time", "submit_time"]).to_pylist():
        if row["depends_on"] is None:
            continue
        (before,) = row["depends_on"]
        if ended[before] is None:
            assert eligible[row["job_id"]] is None
        elif eligible[row["job_id"]] is not None:
            assert eligible[row["job_id"]] == pytest.approx(ended[before] + row["think_time"], abs=1e-5)
            checked += 1
    assert checked > 200


def test_one_user_has_one_job_at_a_time():
    result = run(12, 3 * DAY, closed_loop=True)
    users = np.array(result.jobs["user"].to_pylist())
    start, end = (result.jobs[name].to_numpy(zero_copy_only=False) for name in ("start_time", "end_time"))
    for user in set(users.tolist()):
        mine = (users == user) & np.isfinite(start)
        order = np.argsort(start[mine])
        assert np.all(start[mine][order][1:] >= np.nan_to_num(end[mine][order][:-1], nan=np.inf))


def test_jobs_owners_and_run_times_are_those_of_the_open_loop():
    closed, partly = (synthesise(spec(closed_loop=closed), gpus=8, seed=1).table for closed in (True, None))
    same = ["job_id", "runtime", "gpus", "user", "state", "think_time"]
    assert closed.select(same).sort_by("job_id").equals(partly.select(same).sort_by("job_id"))
    first = {}
    for row in partly.select(["user", "submit_time"]).to_pylist():
        first.setdefault(row["user"], row["submit_time"])
    assert all(row["submit_time"] == first[row["user"]] for row in closed.select(["user", "submit_time"]).to_pylist())


def test_a_closed_loop_is_the_same_in_one_table_as_in_a_workload():
    from gpuyard.synthesis.generate import generation

    made = generation(spec(closed_loop=True), gpus=8, seed=1)
    (table,) = made.tables(rows=100)
    whole = made.workload().table
    assert table.select(["job_id", "submit_time", "depends_on"]).equals(
        whole.select(["job_id", "submit_time", "depends_on"])
    )


def test_a_closed_loop_needs_a_think_time():
    with pytest.raises(ConfigError, match="closed_loop needs a think_time"):
        SynthesisSpec(closed_loop=True)
    with pytest.raises(ConfigError, match="closed_loop must be true or false"):
        SynthesisSpec.from_mapping({"closed_loop": "yes", "think_time": "15m"})
    assert SynthesisSpec.from_mapping({"closed_loop": True, "think_time": "15m"}).closed_loop
