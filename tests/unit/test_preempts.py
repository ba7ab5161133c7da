"""Lists of whom a QOS may preempt: in scenarios, and what may not be."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.errors import ConfigError
from gpuyard.preempting import lists_of
from gpuyard.preemption import Preemption
from gpuyard.scenario import load, run

TIERS = {"urgent": 3, "high": 2, "normal": 1, "low": 0}


def test_a_scenario_says_whom_each_qos_may_preempt(tmp_path: Path) -> None:
    """b of high may not take from a of normal, which is less urgent, and c of urgent may."""
    (tmp_path / "jobs.csv").write_text(
        "job_id,submit_time,runtime,gpus,qos\na,0,100,4,normal\nb,10,20,4,high\nc,30,10,4,urgent\n", encoding="utf-8"
    )
    path = tmp_path / "lab.toml"
    path.write_text(
        '[workload]\ntrace = "jobs.csv"\n[cluster]\nnodes = 1\ngpus_per_node = 4\n[policy]\nbackfill = "fit"\n'
        '[policy.preemption]\nrule = "qos"\ntiers = { urgent = 3, high = 2, normal = 1 }\n'
        'preempts = { urgent = ["normal", "high"], high = "low" }\n',
        encoding="utf-8",
    )
    result = run(load(path))
    assert result.jobs["start_time"].to_pylist() == [0, 40, 30]
    assert result.scenario["policy"]["preemption"]["preempts"] == {"urgent": ["normal", "high"], "high": ["low"]}
    result.save(tmp_path / "out")
    assert run(load(tmp_path / "out")).digest == result.digest


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preempts": ["low"]}, "a table of names and lists of names"),
        ({"preempts": {"high": 3}}, "'preempts.high' must be a list of names"),
        ({"preempts": {"high": ["urgent"]}}, "whose tier 3 is not below the 2 of 'high'"),
        ({"preempts": {"high": ["high"]}}, "could preempt each other for ever"),
        ({"preempts": {"low": ["other"]}}, "whose tier 0 is not below the 0 of 'low'"),
        ({"rule": "priority", "tiers": {}, "preempts": {"a": ["b"]}}, "no meaning under preemption = priority"),
    ],
)
def test_what_may_not_be_is_said(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Preemption(**{"rule": "qos", "tiers": TIERS} | given)


def test_beside_quotas_that_are_taken_back_lists_are_refused() -> None:
    policy = gy.Policy(backfill="fit", preemption={"rule": "qos", "tiers": TIERS, "preempts": {"high": ["low"]}})
    tenants = {"tenant": [{"name": "a", "nominal": 1}]}
    jobs = workload((0, 1, 1))
    with pytest.raises(ConfigError, match="reclaim = never"):
        gy.simulate(jobs, cluster(2), policy=policy, tenants=tenants)
    gy.simulate(jobs, cluster(2), policy=policy, tenants=tenants | {"reclaim": "never"})


def test_more_names_than_there_is_room_for_are_refused_before_a_table_of_them_is_made() -> None:
    names = [f"q{number}" for number in range(2**15)]
    jobs = gy.Workload.from_table(
        pa.table(
            {"job_id": names, "submit_time": [0.0] * 2**15, "runtime": [1.0] * 2**15, "gpus": [1] * 2**15, "qos": names}
        )
    )
    with pytest.raises(ConfigError, match=r"at most 32,767 names, and the jobs are of 32,768"):
        lists_of(jobs, Preemption(rule="qos", tiers={"q1": 1}, preempts={"q1": ["q2"]}))
