"""Jobs that a preemption cancels, and least runs by name, in scenarios, results, explanations; and what may not be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard import explain
from gpuyard.errors import ConfigError
from gpuyard.preemption import Preemption
from gpuyard.report import compare
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


def test_who_was_cancelled_is_not_well_served() -> None:
    """Job 0 ended at 4 with none of its 10 s done: it has an end, and no completion time, run time or slowdown."""
    result = simulated()
    numbers = result.numbers
    assert result.jobs["wait_time"].to_pylist() == [0, 0, 5, 0]
    for name, found in (("jct", [5, 8, 1]), ("runtime", [5, 3, 1]), ("slowdown", [1, 8 / 3, 1])):
        assert result.jobs[name].to_pylist() == [None, *found]
    assert result.jobs["bounded_slowdown"].to_pylist() == [None, 1, 1, 1]
    assert (numbers["jct_s"]["mean"], numbers["jct_s"]["max"]) == (pytest.approx(14 / 3), 8)
    assert numbers["by_qos"]["low"]["jct_s"]["mean"] == pytest.approx(9 / 2)
    assert (
        numbers["by_qos"]["low"]["jobs"] | {"submitted": 3, "completed": 2, "cancelled": 1}
        == (numbers["by_qos"]["low"]["jobs"])
    )
    assert numbers["makespan_s"] == 21


def test_who_is_cancelled_long_after_the_start_is_not_the_slowest() -> None:
    """It had 3,600 as its slowdown: its 36,000 s over a run time of 0, taken for 10 s."""
    jobs = workload((0, 100_000, 8, LOW), (36_000, 100, 8, HIGH))
    result = gy.simulate(jobs, cluster(8), policy=gy.Policy(preemption=GONE))
    assert result.jobs["state"].to_pylist() == ["cancelled", "completed"]
    assert result.numbers["bounded_slowdown"]["max"] == 1


def test_a_group_of_which_all_are_cancelled_has_no_completion_times() -> None:
    jobs = workload((0, 100, 4, LOW), (5, 0, 4, HIGH))
    numbers = gy.simulate(jobs, cluster(4), policy=gy.Policy(preemption=GONE)).numbers["by_qos"]["low"]
    assert numbers["jct_s"]["mean"] is None
    assert numbers["bounded_slowdown"]["max"] is None


def shared(*rows: tuple[object, ...], until: float | None = None) -> Result:
    """Tenants a and b take back their 4 GPUs each of 8; who makes room and is of the QOS low is cancelled."""
    terms = {"rule": "qos", "tiers": {"high": 1}, "modes": {"low": "cancel"}}
    sharing = {"reclaim": "any", "tenant": [{"name": name, "nominal": 4} for name in "ab"]}
    policy = gy.Policy(backfill="fit", preemption=terms)
    return gy.simulate(workload(*rows), cluster(8), policy=policy, tenants=sharing, alone=True, until=until)


def test_a_deadline_is_missed_by_who_was_cancelled_though_it_ended_before() -> None:
    due = {"deadline": 200_000.0}
    result = shared((0, 100_000, 8, LOW | {"tenant": "a"} | due), (1_000, 500, 4, LOW | {"tenant": "b"} | due))
    assert result.jobs["state"].to_pylist() == ["cancelled", "completed"]
    assert result.jobs["lateness"].to_pylist() == [None, 1_500 - 200_000]
    block = result.numbers["deadlines"]
    assert (block["met"], block["missed"], block["open"], block["missed_share"]) == (1, 1, 0, 0.5)
    assert block["lateness_s"]["max"] is None


def test_who_was_cancelled_is_not_compared_with_running_alone() -> None:
    """a's first had 10 s for 100 alone, and is left out; its second has 5 for 85, behind the first."""
    result = shared((0, 100, 8, LOW | {"tenant": "a"}), (10, 50, 4, LOW | {"tenant": "b"}), (20, 5, 4, {"tenant": "a"}))
    assert result.jobs["state"].to_pylist() == ["cancelled", "completed", "completed"]
    block = result.numbers["fairness"]
    assert block["by_tenant"]["a"]["alone_slowdown"]["max"] == pytest.approx(5 / 85)
    assert block["by_tenant"]["b"]["alone_slowdown_total"] == 1
    assert block["by_tenant"]["a"]["rho"]["max"] == 1


def test_who_is_cancelled_alone_is_not_compared_either() -> None:
    """a's first starts after b's and ends; alone it starts at once, and a's second cancels it at 20."""
    result = shared(
        (0, 50, 4, {"tenant": "b"}), (0, 30, 8, LOW | {"tenant": "a"}), (20, 5, 4, {"qos": "high", "tenant": "a"})
    )
    assert result.jobs["state"].to_pylist() == ["completed"] * 3
    block = result.numbers["fairness"]["by_tenant"]["a"]
    assert block["alone_slowdown"]["max"] == block["alone_slowdown_total"] == 1


def test_compare_pairs_completion_times_of_jobs_that_were_not_cancelled_in_either() -> None:
    """Requeued, job 0 starts anew at 9 and ends at 19, job 2 after it; only jobs 1 to 3 have both times."""
    kept = gy.simulate(JOBS, cluster(4), policy=gy.Policy(backfill="fit", preemption=GONE | {"modes": {}}))
    paired = compare(kept, simulated()).paired
    assert paired is not None
    shifts = np.subtract(simulated().jobs["jct"].to_pylist()[1:], kept.jobs["jct"].to_pylist()[1:])
    assert paired.jct_mean == pytest.approx(shifts.mean())


def test_who_was_cancelled_waits_no_more() -> None:
    """Job 0 is gone at 4: from there on only job 2 waits, for its GPU and up to 9, of 21 s in all."""
    assert simulated().numbers["queue"]["mean_gpus"] == pytest.approx(5 / 21)


def test_explain_tells_for_whom_a_job_was_cancelled() -> None:
    told = str(explain(simulated(), "0", workload=JOBS, cluster=cluster(4)))
    assert "It made room for job 1" in told
    assert "Ended at 4 s: cancelled, as a job of the QOS 'low' is when it makes room." in told
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
