"""Open loop by rate, closed loop by think time, and limits as users ask for them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.synthesis import ClassShare, SynthesisSpec, Tenant, generation, synthesise
from gpuyard.synthesis.limits import SUGGESTED, VALUES, modal_limits
from gpuyard.workload import Workload

HOUR, DAY = 3600.0, 86_400.0


def lab(**keys: object) -> SynthesisSpec:
    return SynthesisSpec(
        classes=(ClassShare(name="training", share=1.0, source={"philly": 1.0}),),
        tenants=(Tenant(name="lab", users=5, weights={"training": 1.0}),),
        **keys,
    )


def test_a_rate_gives_so_many_jobs_an_hour_whatever_the_cluster():
    for gpus in (500, 5_000):
        assert generation(lab(rate=38.7, days=10), gpus=gpus, seed=0).jobs == 9_288


def test_a_rate_and_a_number_of_jobs_give_the_window():
    made = generation(lab(rate=50.0, jobs=6_000), gpus=500, seed=0)
    assert (made.jobs, made.span) == (6_000, 120 * HOUR)


def test_at_a_rate_classes_keep_their_shares_of_the_gpu_time():
    made = synthesise(SynthesisSpec(rate=500.0, days=28), gpus=10_000, seed=0)
    work = made.floats("gpus") * made.floats("runtime")
    codes, names = made.labels("job_class")
    shares = np.bincount(codes, weights=work) / work.sum()
    assert dict(zip(names, shares, strict=True)) == pytest.approx(
        {"realtime": 0.15, "training": 0.65, "drug-discovery": 0.10, "battery": 0.07, "manufacturing": 0.03}, rel=0.25
    )


def test_a_rate_needs_jobs_that_are_submitted():
    spec = SynthesisSpec(rate=1.0, classes=(ClassShare(name="realtime", share=1.0),))
    with pytest.raises(ConfigError, match="a rate of jobs needs a kind that is no service"):
        synthesise(spec, gpus=64, seed=0)


@pytest.fixture(scope="module")
def loop() -> Workload:
    return synthesise(lab(rate=20.0, days=20, think_time=600.0), gpus=500, seed=0)


def test_a_user_waits_for_the_longest_of_the_jobs_submitted_before(loop):
    rows = loop.table.select(["job_id", "user", "submit_time", "runtime", "depends_on", "think_time"]).to_pylist()
    bursts: dict[str, list[list[dict]]] = {}
    for row in rows:
        mine = bursts.setdefault(row["user"], [])
        if mine and mine[-1][0]["submit_time"] == row["submit_time"]:
            mine[-1].append(row)
        else:
            mine.append([row])
    assert len(bursts) == 5
    for mine in bursts.values():
        assert all(row["depends_on"] is None and row["think_time"] is None for row in mine[0])
        for before, after in itertools.pairwise(mine):
            longest = max(before, key=lambda row: row["runtime"])
            assert [row["depends_on"] for row in after] == [[longest["job_id"]]] * len(after)


def test_think_times_are_exponential_with_the_given_mean(loop):
    think = loop.floats("think_time")
    think = np.unique(think[np.isfinite(think)])
    assert think.mean() == pytest.approx(600.0, rel=0.25)
    assert think.std() == pytest.approx(600.0, rel=0.35)


def test_a_closed_loop_changes_nothing_else(loop):
    links = ["depends_on", "think_time"]
    plain = synthesise(lab(rate=20.0, days=20), gpus=500, seed=0)
    assert loop.table.drop_columns(links).equals(plain.table.drop_columns(links))


def test_a_closed_loop_table_by_table_is_that_at_once(loop):
    made = generation(lab(rate=20.0, days=20, think_time=600.0), gpus=500, seed=0)
    rows = [row for table in made.tables(700) for row in table.select(["job_id", "depends_on"]).to_pylist()]
    assert rows == loop.table.select(["job_id", "depends_on"]).to_pylist()


def test_in_a_closed_loop_a_full_cluster_slows_its_users_down(loop):
    small = Cluster.uniform(nodes=4, gpus_per_node=8)
    plain = synthesise(lab(rate=20.0, days=20), gpus=500, seed=0)
    waits = []
    for jobs in (plain, loop):
        record = schedule(jobs.where(jobs.gpus <= 8, "small"), small, Policy())
        waits.append(float(np.mean(record.start - record.eligible)))
    assert waits[1] < 0.8 * waits[0]


def test_modal_limits_by_hand():
    # chance 0.1 keeps the suggested day; 0.2 expects the run time; 0.6 twice of it; 0.92 ten times
    runtime = np.array([100.0, 100.0, 1000.0, 1000.0, 100_000.0, 700_000.0])
    chance = np.array([0.1, 0.2, 0.6, 0.92, 0.1, 0.3])
    assert modal_limits(runtime, chance).tolist() == [SUGGESTED, 300.0, 3600.0, 10_800.0, 2 * DAY, 9 * DAY]


def test_modal_limits_are_few_values_and_never_shorter_than_the_job():
    made = synthesise(lab(rate=100.0, days=30, limits="modal"), gpus=500, seed=0)
    limit, runtime = made.floats("time_limit"), made.floats("runtime")
    assert np.all(limit >= runtime)
    assert np.mean(np.isin(limit, VALUES)) > 0.97
    # recorded: 0.12 (RICC) to 0.47 (HPC2N), see the page on workloads
    assert 0.12 < np.mean(runtime / limit) < 0.47


def test_limits_come_from_one_model():
    with pytest.raises(ConfigError, match="unknown model of limits 'model'; did you mean 'modal'"):
        lab(limits="model")
    with pytest.raises(ConfigError, match="leave out one of them"):
        lab(limits="modal", limit_factor=(1, 2))
    plain = lab(rate=5.0, days=3)
    with_limits = synthesise(replace(plain, limits="modal"), gpus=100, seed=0).table
    assert with_limits.drop_columns("time_limit").equals(
        synthesise(plain, gpus=100, seed=0).table.drop_columns("time_limit")
    )


@pytest.mark.parametrize(("gpus", "jobs", "largest"), [(1_152, 19_200, 256), (20_000, 267_000, 2_048)])
def test_a_default_week_has_as_many_jobs_as_the_page_of_workloads_says(gpus, jobs, largest):
    page = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
    assert f"| {gpus:,} | {jobs:,} | {largest:,} |" in page
    planned, bare = (generation(SynthesisSpec(), gpus=gpus, seed=0, node_cpus=cpus).jobs for cpus in (112.0, None))
    assert planned == pytest.approx(jobs, rel=0.003)
    assert 0.06 <= 1 - bare / planned <= 0.08
