"""Drug discovery, battery materials and manufacturing: the graphs that their pages describe, in small."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from gpuyard.streams import Stream
from gpuyard.synthesis import ClassShare, SynthesisSpec, Tenant, synthesise
from gpuyard.synthesis.battery import POTENTIALS, PublishedPotentials, battery_kinds
from gpuyard.synthesis.class_shares import DEFAULT_CLASSES
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.domains import Days
from gpuyard.synthesis.drug_discovery import alphafold_runtimes, drug_discovery_kinds
from gpuyard.synthesis.expansion import Draws, Jobs, Site
from gpuyard.synthesis.kinds import Kind
from gpuyard.synthesis.manufacturing import manufacturing_kinds
from gpuyard.synthesis.published import ASSUMPTION

HOUR, DAY = 3600.0, 86_400.0
MONDAY = datetime.fromisoformat("2027-01-04T00:00:00+09:00")
SITE = Site(20_000, 20_000, growth=0.5, node_cpus=112.0, start=MONDAY)
KINDS = {kind.name: kind for kind in (*drug_discovery_kinds(), *battery_kinds(), *manufacturing_kinds())}


def made(name: str, units: int = 40, span: float = 30 * DAY, site: Site = SITE) -> Jobs:
    kind = KINDS[name]
    assert kind.expansion is not None
    sizes = kind.sizes_on(site.gpus, site.largest, site.growth)
    return kind.expansion.jobs(Draws(0, f"synthesis:{kind.key}:0"), np.arange(units), sizes, site, span)


def stage_of(kind: Kind, name: str) -> int:
    return [stage.name for stage in kind.stages].index(name)


def widths(jobs: Jobs, stage: int) -> list[int]:
    return list(Counter(jobs.unit[jobs.stage == stage].tolist()).values())


@pytest.mark.parametrize("kinds", [drug_discovery_kinds(), battery_kinds(), manufacturing_kinds()])
def test_shares_of_a_class_sum_to_1_and_one_kind_at_least_is_of_single_jobs(kinds):
    assert sum(kind.share for kind in kinds) == pytest.approx(1.0)
    assert any(kind.expansion is None for kind in kinds)


@pytest.mark.parametrize(
    ("name", "stages", "width"),
    [
        ("docking", ("docking-preparation", "docking", "docking-ranking"), (100, 4000)),
        ("molecular-dynamics", ("dynamics-setup", "molecular-dynamics", "dynamics-analysis"), (10, 1000)),
        ("free-energy", ("free-energy-setup", "free-energy", "free-energy-analysis"), (12, 48)),
    ],
)
def test_an_array_stands_between_two_stages_on_cpus(name, stages, width):
    jobs = made(name)
    assert tuple(stage.name for stage in KINDS[name].stages) == stages
    assert widths(jobs, 0) == widths(jobs, 2) == [1] * 40
    middle = jobs.stage == 1
    assert width[0] <= min(widths(jobs, 1)) < 2 * width[0]
    assert width[1] / 2 < max(widths(jobs, 1)) <= width[1]
    assert set(jobs.gpus[middle].tolist()) == {1}
    assert np.all(jobs.array[middle] >= 0)
    assert np.all(jobs.cpus[~middle] >= 8)
    assert np.all(jobs.gpus[~middle] == 0)
    assert np.array_equal(jobs.parents[jobs.stage == 2], widths(jobs, 1))  # the last stage waits for all of the array


def test_a_target_is_aligned_on_cpus_and_then_predicted_on_a_gpu():
    jobs = made("folding", units=2)
    assert jobs.gpus.tolist() == [0, 1, 0, 1]
    assert jobs.cpus[[0, 2]].tolist() == [32.0, 32.0]
    assert jobs.parents.tolist() == [0, 1, 0, 1]


def test_predictions_of_structures_take_as_long_as_alphafold_3_on_an_h100():
    # its performance notes: 34, 144, 367, 774, 1416 s for 1,024 to 5,120 tokens; five seeds
    curve = alphafold_runtimes()
    assert curve.quantile(np.array([0.0, 1.0])).tolist() == pytest.approx([5 * 34.0, 5 * 1416.0])
    assert curve.below(5 * 144.0) == pytest.approx(np.log(2) / np.log(5))


def test_each_round_of_active_learning_is_4_models_explorations_a_selection_and_labels():
    jobs = made("active-learning", units=6, span=2000 * DAY)  # a window that holds whole loops
    whole = [unit for unit in range(6) if jobs.start[jobs.unit == unit].min() == 0]
    assert len(whole) >= 3
    for unit in whole:
        stages = jobs.stage[jobs.unit == unit]
        begins = np.flatnonzero(np.diff(stages, prepend=-1) != 0)
        widths = np.diff(np.append(begins, stages.size)).reshape(-1, 4)
        assert np.array_equal(stages[begins].reshape(-1, 4), np.tile([0, 1, 2, 3], (widths.shape[0], 1)))
        assert 10 <= widths.shape[0] <= 60
        assert set(widths[:, 0]) == {4}
        assert widths[:, 1].min() >= 10
        assert widths[:, 1].max() <= 100
        assert set(widths[:, 2]) == {1}
        assert widths[:, 3].min() >= 50
        assert widths[:, 3].max() <= 500
        parents = jobs.parents[jobs.unit == unit][begins].reshape(-1, 4)
        assert np.array_equal(parents[:, 1:], widths[:, :-1])  # every stage waits for all of the one before
        assert np.array_equal(parents[1:, 0], widths[:-1, 3])  # and the next round for all labels


def test_potentials_take_their_published_gpu_hours_unless_their_gpus_are_too_few():
    sizes = Sizes.steps({32: 1, 512: 1})
    campaigns = PublishedPotentials().campaigns(Draws(0, "x"), np.arange(200), sizes)
    assert {one.hours for one in campaigns if one.gpus == 512} == set(POTENTIALS.values())
    assert max(one.hours for one in campaigns if one.gpus == 32) == 60 * 24 * 32


def test_campaigns_of_some_days_work_for_so_many_days_on_all_their_gpus():
    campaigns = Days(least=7, most=28, evidence=ASSUMPTION).campaigns(
        Draws(0, "x"), np.arange(300), Sizes.steps({64: 1})
    )
    days = np.array([one.hours / 24 / one.gpus for one in campaigns])
    assert days.min() >= 7
    assert days.max() <= 28
    assert np.median(days) == pytest.approx(14, rel=0.1)


def test_a_line_is_trained_again_at_its_hour_with_the_same_gpus_for_about_as_long():
    jobs = made("vision-retraining", units=30, span=14 * DAY)
    training = stage_of(KINDS["vision-retraining"], "vision-retraining")
    data = stage_of(KINDS["vision-retraining"], "retraining-data")
    daily = weekly = 0
    for unit in range(30):
        mine = jobs.unit == unit
        begun = jobs.submit[mine & (jobs.stage == data) & (jobs.submit > 0)]
        every = np.diff(begun)
        assert set(np.round(every)) <= {DAY, 7 * DAY}
        daily, weekly = daily + (begun.size >= 13), weekly + (begun.size <= 2)
        assert np.allclose(jobs.deadline[mine & (jobs.submit > 0)] % DAY, jobs.submit[mine & (jobs.submit > 0)] % DAY)
        trained = jobs.runtime[mine & (jobs.stage == training)][1:-1]
        if trained.size:
            assert trained.max() / trained.min() <= 1.25 / 0.75 + 1e-9
        assert len(set(jobs.gpus[mine & (jobs.stage == training)].tolist())) <= 1
    assert daily + weekly == 30
    assert weekly == pytest.approx(9, abs=6)


def test_without_cpus_in_the_cluster_no_job_asks_for_any_and_graphs_keep_their_order():
    spec = SynthesisSpec(
        days=7,
        classes=(ClassShare(name="battery", share=0.5), ClassShare(name="drug-discovery", share=0.5)),
        tenants=(Tenant(name="lab", weights={"battery": 1.0, "drug-discovery": 1.0}),),
    )
    bare, stated = (synthesise(spec, gpus=4_000, seed=0, node_cpus=cpus).table for cpus in (None, 112.0))
    assert bare["cpus"].null_count == bare.num_rows
    assert min(bare["gpus"].to_pylist()) == 1
    assert stated["cpus"].null_count < stated.num_rows
    waits = [row for row in bare.to_pylist() if row["job_name"] == "labelling" and row["depends_on"]]
    assert waits
    assert all(row["think_time"] >= 120 for row in waits)  # the selection that is not made: 2 to 20 minutes


def test_adding_a_class_leaves_the_jobs_of_the_others_as_they_are():
    tenants = (Tenant(name="lab", weights={one.name: 1.0 for one in DEFAULT_CLASSES}),)
    alone = SynthesisSpec(days=3, load=0.4, classes=(ClassShare(name="battery", share=1.0),), tenants=tenants)
    both = replace(
        alone, load=0.8, classes=(ClassShare(name="battery", share=0.5), ClassShare(name="training", share=0.5))
    )
    one, other = (synthesise(spec, gpus=4_000, seed=0, node_cpus=112.0).table for spec in (alone, both))
    mine = [row for row in other.to_pylist() if row["job_class"] == "battery"]
    assert mine == one.to_pylist()


def test_streams_of_kinds_are_unrelated():
    # the standard error of a correlation of 20,000 independent pairs is 0.007
    names = ("synthesis:battery-screening:0", "synthesis:battery-active-learning:0")
    first, second = (Draws(0, name).uniform("runtime", np.arange(20_000)) for name in names)
    sequential = Stream(0, names[0]).uniform(20_000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first, sequential)[0, 1]) < 0.03
