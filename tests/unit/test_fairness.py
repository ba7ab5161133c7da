"""Fairness among tenants: every number worked out by hand from records written down by hand."""

from __future__ import annotations

import numpy as np
import pytest

import gpuyard as gy
from conftest import Row, cluster, workload
from gpuyard.energy import account
from gpuyard.errors import ConfigError
from gpuyard.metrics import summarise, timeline_table
from gpuyard.metrics.columns import undocumented
from gpuyard.metrics.fairness import jain_index, tenant_weights
from gpuyard.policy import Policy
from gpuyard.record import Outcome, Record
from gpuyard.scenario import Scenario, run
from records import record

A, B, C = {"tenant": "a"}, {"tenant": "b"}, {"tenant": "c"}


def fairness(facts: Record, **options: object):
    return summarise(facts, account(facts), **options)["fairness"]


def by_tenant(facts: Record, name: str, **options: object):
    return {tenant: block[name] for tenant, block in fairness(facts, **options)["by_tenant"].items()}


def gpu_seconds(facts: Record, name: str, **options: object):
    return pytest.approx({tenant: 3600 * hours for tenant, hours in by_tenant(facts, name, **options).items()})


def two() -> Record:
    """On 4 GPUs a holds all until 60; b, which came at 10 and asks for 2, holds them from 60 to 100, beside a."""
    jobs = workload((0, 60, 4, A), (10, 40, 2, B), (20, 30, 2, A))
    return record(jobs, cluster(4), (0, 0, 60, [(0, 4)]), (1, 60, 100, [(0, 2)]), (2, 60, 90, [(0, 2)]))


# --- Jain index -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "index"),
    [([5.0], 1.0), ([3, 3, 3], 1.0), ([1, 0], 0.5), ([1, 0, 0, 0], 0.25), ([2, 1], 0.9), ([0, 0], 1.0), ([], None)],
)
def test_the_jain_index_of_a_few_numbers(values, index):
    assert jain_index(values) == index


def test_the_jain_index_of_the_paper():
    """Jain, Chiu, Hawe 1984: where k of n share evenly and the others get nothing, the index is k / n."""
    assert jain_index([20.0] * 10 + [0.0] * 90) == pytest.approx(0.10)
    assert jain_index([1e300, 1e300, 0.0]) == pytest.approx(2 / 3)


def test_the_jain_index_of_gpu_time_is_of_that_over_the_weight():
    """Held: a 240 + 60, b 80 GPU seconds. With weight 3.75 for a, both have 80 for each of weight 1."""
    assert fairness(two())["jain_gpu_hours"] == pytest.approx((300 + 80) ** 2 / (2 * (300**2 + 80**2)))
    assert fairness(two(), tenant_weights={"a": 3.75})["jain_gpu_hours"] == pytest.approx(1.0)


def test_the_jain_index_of_waits_is_of_the_means():
    """Waits: a 0 and 40, mean 20; b 50."""
    assert fairness(two())["jain_wait"] == pytest.approx(70**2 / (2 * (20**2 + 50**2)))


# --- weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "shares", "expected"),
    [
        (("a", "b"), {}, [0.5, 0.5]),
        (("a", "b", "other"), {"a": 2.0}, [0.5, 0.25, 0.25]),
        (("a", "b"), {"a": 0.0}, [0.0, 1.0]),
        (("steel/vision", "steel/speech", "wood"), {"steel": 3.0, "steel/vision": 2.0}, [0.5, 0.25, 0.25]),
        (("steel", "steel/vision", "wood"), {"steel/vision": 3.0}, [0.125, 0.375, 0.5]),
        (("a", "b"), {"a": 0.0, "b": 0.0}, [0.0, 0.0]),
    ],
)
def test_weights_follow_from_the_shares_along_the_paths(names, shares, expected):
    assert tenant_weights(names, None, shares).tolist() == pytest.approx(expected)


def test_weights_that_are_given_win_and_shares_are_parts_of_them():
    facts = two()
    assert by_tenant(facts, "due_share") == {"a": 0.5, "b": 0.5}
    assert by_tenant(facts, "due_share", tenant_weights={"b": 3}) == {"a": 0.25, "b": 0.75}


def test_weights_of_tenants_that_share_the_cluster_win_over_shares_of_the_policy():
    tenants = {"tenant": [{"name": "a", "weight": 3}]}
    policy = Policy(order="multifactor", weights={"fairshare": 1}, shares={"b": 9})
    jobs = workload((0, 60, 4, A), (10, 40, 3, B))

    def due(policy: Policy, **options: object):
        block = gy.simulate(jobs, cluster(4), policy=policy, **options).summary()["fairness"]["by_tenant"]
        return {name: each["due_share"] for name, each in block.items()}

    assert due(Policy(backfill="fit"), tenants=tenants) == {"a": 0.75, "b": 0.25}
    assert due(policy) == pytest.approx({"a": 0.1, "b": 0.9})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"bb": 1}, "tenant_weights: no job has the tenant 'bb'; did you mean 'b'?"),
        ({"zzz": 1}, "tenant_weights: no job has the tenant 'zzz'; there are a, b"),
        ({"a": -1}, "'tenant_weights.a' must be a number from 0 to 1e\\+09, got -1"),
        ({"a": True}, "'tenant_weights.a' must be a number"),
    ],
)
def test_weights_of_nobody_and_no_weights_are_refused(weights, message):
    with pytest.raises(ConfigError, match=message.replace("?", "\\?")):
        fairness(two(), tenant_weights=weights)


# --- deficit ----------------------------------------------------------------------------------------------


def test_who_waits_is_due_its_share_of_what_is_held_and_no_more_than_it_asks_for():
    """From 10 to 60 b waits for 2 GPUs and is due half of 4; from 20 to 60 a waits too, and holds 4 for 2 due."""
    assert gpu_seconds(two(), "shortfall_gpu_hours") == {"a": 0.0, "b": 100.0}
    assert gpu_seconds(two(), "surplus_gpu_hours") == {"a": 80.0, "b": 0.0}
    block = fairness(two())
    assert (block["shortfall_gpu_hours"], block["surplus_gpu_hours"]) == pytest.approx((100 / 3600, 80 / 3600))


def test_a_heavier_tenant_is_due_more_but_not_more_than_it_asks_for():
    """With weight 1 to 3 b were due 3 of 4 GPUs, and asks for 2; a, due 1, has 3 too many."""
    weights = {"b": 3}
    assert gpu_seconds(two(), "shortfall_gpu_hours", tenant_weights=weights) == {"a": 0.0, "b": 100.0}
    assert gpu_seconds(two(), "surplus_gpu_hours", tenant_weights=weights) == {"a": 120.0, "b": 0.0}
    assert gpu_seconds(two(), "shortfall_gpu_hours", tenant_weights={"a": 3}) == {"a": 0.0, "b": 50.0}


def test_a_tenant_that_neither_holds_nor_waits_is_due_nothing_meanwhile():
    """c comes at 40: from 40 to 60 b is due a third of 4 GPUs; c, whose job holds a GPU from 60 on, likewise is 1."""
    jobs = workload((0, 60, 4, A), (10, 40, 2, B), (40, 40, 1, C))
    facts = record(jobs, cluster(4), (0, 0, 60, [(0, 4)]), (1, 60, 100, [(0, 2)]), (2, 60, 100, [(0, 1)]))
    assert gpu_seconds(facts, "shortfall_gpu_hours") == {"a": 0.0, "b": 30 * 2 + 20 * 4 / 3, "c": 20.0}


def test_deficits_are_cut_to_the_window_and_its_warm_up():
    assert gpu_seconds(two(), "shortfall_gpu_hours", window=(0, 55), warmup=5) == {"a": 0.0, "b": 90.0}


def test_a_tenant_without_weight_is_due_nothing_and_is_no_tenant_that_shares():
    jobs = workload((0, 60, 4, A), (10, 40, 2, B), (40, 40, 1, C))
    facts = record(jobs, cluster(4), (0, 0, 60, [(0, 4)]), (1, 60, 100, [(0, 2)]), (2, 60, 100, [(0, 1)]))
    assert gpu_seconds(facts, "shortfall_gpu_hours", tenant_weights={"c": 0}) == {"a": 0.0, "b": 100.0}


def test_a_preempted_job_waits_again():
    """a, preempted at 5 for b with a tier, waits until 8 with nothing, while 1 GPU is held: it is due half of it."""
    jobs = workload((0, 9, 1, {**A, "qos": "low"}), (5, 3, 1, {**B, "qos": "high"}))
    policy = Policy(backfill="fit", preemption={"rule": "qos", "tiers": {"high": 1}})
    block = gy.simulate(jobs, cluster(1), policy=policy).summary()["fairness"]
    assert block["by_tenant"]["a"]["shortfall_gpu_hours"] == pytest.approx(1.5 / 3600)


def test_the_timeline_has_the_deficit_of_each_tenant():
    """In bins of 20 s: b lacks 2 GPUs from 10 to 60; a has 2 too many from 20 to 60."""
    facts = two()
    table = timeline_table(facts, account(facts), bin_width=20.0)
    assert table.column_names[-2:] == ["deficit.a", "deficit.b"]
    assert table["deficit.a"].to_pylist() == pytest.approx([0, -2, -2, 0, 0])
    assert table["deficit.b"].to_pylist() == pytest.approx([1, 2, 2, 0, 0])


@pytest.mark.parametrize("seed", range(12))
def test_deficits_are_those_of_a_walk_from_second_to_second(seed):
    """Random runs with whole seconds: looked at in every second, and added up."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = [
        (
            int(rng.integers(0, 20)),
            int(rng.integers(1, 9)),
            int(rng.integers(0, 4)) or 1,
            {"tenant": str(rng.choice(["a", "b", "c"]))},
        )
        for _ in range(int(rng.integers(2, 25)))
    ]
    jobs = workload(*rows)
    result = gy.simulate(jobs, cluster(4), policy="fifo-fit", tenant_weights={jobs.labels("tenant")[1][0]: 2.5})
    names = jobs.labels("tenant")[1]
    if len(names) < 2:
        assert result.summary()["fairness"] is None
        return
    weight = {name: 2.5 if name == names[0] else 1.0 for name in names}
    table, shortfall = result.jobs.to_pylist(), dict.fromkeys(names, 0.0)
    for now in range(60):
        held, asked = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        for job in table:
            held[job["tenant"]] += job["gpus"] * (job["start_time"] <= now < job["end_time"])
            asked[job["tenant"]] += job["gpus"] * (job["eligible_time"] <= now < job["start_time"])
        there = sum(weight[name] for name in names if held[name] + asked[name] > 0)
        for name in names:
            if asked[name]:
                due = min(sum(held.values()) * weight[name] / there, held[name] + asked[name])
                shortfall[name] += max(due - held[name], 0)
    found = {
        name: block["shortfall_gpu_hours"] * 3600 for name, block in result.summary()["fairness"]["by_tenant"].items()
    }
    assert found == pytest.approx(shortfall)


# --- rho --------------------------------------------------------------------------------------------------


def test_rho_is_the_time_to_the_end_over_that_alone_on_ones_share():
    """Alone on 2 of 4 GPUs the job of 4 GPUs would take 120 s, and took 60; b's 90 of 40, a's other 70 of 30."""
    rho = by_tenant(two(), "rho")
    assert (rho["a"]["mean"], rho["a"]["max"]) == pytest.approx(((0.5 + 70 / 30) / 2, 70 / 30))
    assert rho["b"]["mean"] == pytest.approx(90 / 40)
    assert fairness(two())["rho"]["mean"] == pytest.approx((0.5 + 70 / 30 + 90 / 40) / 3)


def test_a_larger_share_would_have_run_wide_jobs_faster():
    """With 3 of 4 GPUs due, the job of 4 GPUs takes 80 s alone; b's 2 GPUs on 1 take 80."""
    rho = by_tenant(two(), "rho", tenant_weights={"a": 3})
    assert (rho["a"]["max"], rho["b"]["mean"]) == pytest.approx((70 / 30, 90 / 80))
    assert rho["a"]["mean"] == pytest.approx((60 / 80 + 70 / 30) / 2)


# --- alone ------------------------------------------------------------------------------------------------


def test_slowdown_against_running_alone():
    """FIFO on 4 GPUs: b waits 50 s for a's first job and takes 90 for 40 alone; a's second, behind b, 110 for 90.

    Alone a's second job waits from 20 to 60 and ends at 90, after 70 s; here b and a's job do not fit side by side.
    """
    jobs = workload((0, 60, 4, A), (10, 40, 3, B), (20, 30, 2, A))
    block = gy.simulate(jobs, cluster(4), policy="fifo", alone=True).summary()["fairness"]
    a, b = block["by_tenant"]["a"], block["by_tenant"]["b"]
    assert b["alone_slowdown"]["mean"] == b["alone_slowdown_total"] == pytest.approx(90 / 40)
    assert (a["alone_slowdown"]["mean"], a["alone_slowdown"]["max"]) == pytest.approx(((1 + 110 / 70) / 2, 110 / 70))
    assert a["alone_slowdown_total"] == pytest.approx((60 + 110) / (60 + 70))
    assert block["alone_slowdown_total"] == pytest.approx((60 + 110 + 90) / (60 + 70 + 40))
    assert undocumented({"fairness": block}) == []


def test_alone_has_the_same_stop_and_beginning():
    """At 100 alone b's second job would not have ended, so that there is nothing to compare it with."""
    jobs = workload((0, 60, 4, A), (10, 40, 3, B), (20, 200, 2, B))
    block = gy.simulate(jobs, cluster(4), policy="fifo", alone=True, until=150).summary()["fairness"]
    assert block["by_tenant"]["b"]["alone_slowdown"]["max"] == pytest.approx(90 / 40)
    ran = {"start_time": 0.0, "end_time": 60.0}
    jobs = workload((0, 60, 4, {**A, **ran}), (0, 5, 1, {**B, "start_time": 0.0, "end_time": 5.0}), (10, 40, 3, B))
    block = gy.simulate(jobs, cluster(4), policy="fifo", alone=True, begin=10).summary()["fairness"]
    assert block["by_tenant"]["b"]["alone_slowdown_total"] == pytest.approx(90 / 40)
    assert block["by_tenant"]["a"]["alone_slowdown_total"] == 1.0


def test_nobody_is_simulated_alone_unasked_or_under_a_class_that_may_remember():
    jobs = workload((0, 60, 4, A), (10, 40, 3, B))
    assert gy.simulate(jobs, cluster(4)).summary()["fairness"]["alone_slowdown_total"] is None

    class InTurn:
        def decide(self, state):
            return state.waiting

    with pytest.raises(ConfigError, match="InTurn' decides itself and may remember the run of all jobs"):
        gy.simulate(jobs, cluster(4), policy=InTurn(), alone=True)


# --- where there is nothing to say ------------------------------------------------------------------------


def test_one_tenant_shares_with_nobody():
    assert fairness(record(workload((0, 60, 4, A)), cluster(4), (0, 0, 60, [(0, 4)]))) is None
    facts = record(workload((0, 60, 4, A)), cluster(4), (0, 0, 60, [(0, 4)]))
    assert not any(name.startswith("deficit") for name in timeline_table(facts, account(facts)).column_names)


def test_a_tenant_whose_jobs_are_all_rejected_does_not_share():
    facts = record(
        workload((0, 60, 4, A), (10, 40, 64, B)), cluster(4), (0, 0, 60, [(0, 4)]), outcomes={1: Outcome.REJECTED}
    )
    assert fairness(facts) is None


def test_deficits_that_would_take_long_are_not_worked_out(monkeypatch):
    monkeypatch.setattr("gpuyard.metrics.deficits.MOST_PAIRS", 1)
    block = fairness(two())
    assert (block["shortfall_gpu_hours"], block["by_tenant"]["b"]["surplus_gpu_hours"]) == (None, None)
    assert block["rho"]["mean"] is not None


def test_a_scenario_says_weights_and_asks_for_runs_alone(tmp_path):
    """As in the story of running alone, from a file; the resolved scenario says so again and gives the same numbers."""
    trace = tmp_path / "jobs.csv"
    trace.write_text("job_id,submit_time,runtime,gpus,tenant\n0,0,60,4,a\n1,10,40,3,b\n2,20,30,2,a\n")
    scenario = {
        "workload": {"trace": str(trace)},
        "cluster": {"nodes": 1, "gpus_per_node": 4},
        "run": {"alone": True, "tenant_weights": {"a": 3}},
    }
    first = run(Scenario.from_mapping(scenario))
    block = first.summary()["fairness"]
    assert block["by_tenant"]["a"]["due_share"] == 0.75
    assert block["by_tenant"]["b"]["alone_slowdown_total"] == pytest.approx(90 / 40)
    echoed = {key: item for key, item in first.scenario.items() if key != "provenance"}
    assert run(Scenario.from_mapping(echoed)).summary()["fairness"] == block


def test_alone_keeps_to_the_virtual_clusters_of_the_run():
    """Each tenant has 2 of 4 GPUs to itself, together as alone: nobody is slowed down."""
    jobs = workload((0, 60, 2, A), (10, 40, 2, A), (0, 30, 2, B))
    clusters = [gy.VirtualCluster(name=name, nodes=(node,)) for node, name in enumerate("ab")]
    block = gy.simulate(jobs, cluster(2, 2), virtual_clusters=clusters, alone=True).summary()["fairness"]
    assert (block["alone_slowdown"]["max"], block["alone_slowdown_total"]) == (1.0, 1.0)
