"""Jobs that a preemption cancels, and least runs by name, in scenarios, results, explanations; and what may not be."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard import explain
from gpuyard.errors import ConfigError
from gpuyard.preemption import Preemption
from gpuyard.result import Result
from gpuyard.scenario import load, run
from gpuyard.testing import check_policy

LOW, HIGH = {"qos": "low"}, {"qos": "high"}
JOBS = workload((0, 10, 4, LOW), (4, 5, 4, HIGH), (4, 3, 1, LOW | {"depends_on": ["0"]}), (20, 1, 4, LOW))
GONE = {"rule": "qos", "tiers": {"high": 1}, "modes": {"low": "cancel"}, "checkpoint_interval": "none"}


def simulated() -> Result:
    return gy.simulate(JOBS, cluster(4), policy=gy.Policy(backfill="fit", preemption=GONE))


def test_results_tell_who_was_cancelled_and_what_was_lost() -> None:
    result = simulated()
    jobs, numbers = result.jobs, result.numbers
    assert jobs["state"].to_pylist() == ["cancelled", "completed", "completed", "completed"]
    assert jobs["end_time"].to_pylist() == [4, 9, 12, 21]
    assert result.attempts["end_reason"].to_pylist() == ["preempted", "finished", "finished", "finished"]
    assert result.attempts["useful_time"].to_pylist() == [0, 5, 3, 1]
    assert numbers["jobs"]["cancelled"] == 1
    assert numbers["lost_gpu_hours"] == pytest.approx(16 / 3600)


def test_who_was_cancelled_waits_no_more() -> None:
    """Job 0 is gone at 4: from there on only job 2 waits, for its GPU and up to 9, of 21 s in all."""
    assert simulated().numbers["queue"]["mean_gpus"] == pytest.approx(5 / 21)


def test_explain_tells_for_whom_a_job_was_cancelled() -> None:
    told = str(explain(simulated(), "0", workload=JOBS, cluster=cluster(4)))
    assert "It made room for job 1" in told
    assert "Ended at 4 s: cancelled." in told
    assert "waited when the simulation stopped" not in told
    assert told.count("It did not wait.") == 1


def test_a_scenario_says_modes_and_least_runs_by_name(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(
        "job_id,submit_time,runtime,gpus,qos\na,0,600,4,low\nb,10,60,4,high\nc,400,60,4,high\n", encoding="utf-8"
    )
    path = tmp_path / "lab.toml"
    path.write_text(
        '[workload]\ntrace = "jobs.csv"\n[cluster]\nnodes = 1\ngpus_per_node = 4\n[policy]\nbackfill = "fit"\n'
        '[policy.preemption]\nrule = "qos"\ntiers = { high = 1 }\nmodes = { low = "cancel" }\n'
        'min_runs = { low = "5m" }\n',
        encoding="utf-8",
    )
    result = run(load(path))
    assert result.jobs["end_time"].to_pylist() == [300, 360, 460]
    assert result.scenario["policy"]["preemption"]["min_runs"] == {"low": 300.0}
    result.save(tmp_path / "out")
    assert run(load(tmp_path / "out")).digest == result.digest


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"modes": {"low": "kill"}}, "unknown mode of the qos 'low'"),
        ({"min_runs": {"low": -1}}, "'min_runs.low' must be 0"),
        ({"min_runs": 5}, "a table of names and seconds"),
        ({"rule": "priority", "tiers": {}, "min_runs": {"low": 1}}, "has no meaning under preemption = priority"),
    ],
)
def test_what_may_not_be_is_said(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Preemption(**{"rule": "qos", "tiers": {"high": 1}} | given)


def test_policies_with_such_modes_keep_what_is_checked_of_all() -> None:
    check_policy(gy.Policy(backfill="fit", preemption=GONE | {"tiers": {"low": 0, "high": 1}}), examples=25)
