"""Energy accounts worked out by hand: node power is 100 W idle, 400 W a GPU, 200 W of CPUs."""

from __future__ import annotations

import itertools

import pytest

from conftest import cluster, workload
from gpuyard.energy import CLASS_LOADS, EnergyModel, account
from gpuyard.energy.model import LOAD_SOURCES, job_load
from gpuyard.errors import ConfigError, InputError
from gpuyard.record import Outcome
from records import record

FULL = EnergyModel(default_load=1.0, pue=1.5, carbon_kg_per_kwh=0.4, price_krw_per_kwh=100.0)


def test_an_empty_node_draws_its_idle_power_and_a_full_one_its_rated_power():
    jobs = workload((0, 3600, 4), (7200, 3600, 4))
    drawn = account(record(jobs, cluster(4), (0, 0, 3600, [(0, 4)]), (1, 7200, 10800, [(0, 4)])), FULL)
    totals = drawn.totals
    assert drawn.job_kwh.tolist() == [1.8, 1.8]  # 4 x 400 W + 200 W for an hour
    assert drawn.job_idle_kwh.tolist() == [0.1, 0.1]
    assert (totals.jobs_kwh, totals.held_idle_kwh, totals.idle_kwh) == (3.6, 0.2, 0.1)
    assert totals.it_kwh == pytest.approx(3.9, rel=1e-15)
    assert totals.overhead_kwh == pytest.approx(1.95, rel=1e-15)
    assert totals.facility_kwh == pytest.approx(5.85, rel=1e-15)
    assert totals.carbon_kg == pytest.approx(2.34, rel=1e-15)
    assert totals.cost_krw == pytest.approx(585, rel=1e-15)
    assert (totals.it_peak_w, totals.facility_peak_w) == (1900.0, 2850.0)
    assert totals.it_mean_w == pytest.approx(1300)
    assert totals.idle_share == pytest.approx(0.1 / 3.9)


def test_the_parts_add_up_to_the_meter():
    jobs = workload((0, 7, 1), (1.5, 3, 2, {"activity": 0.37}), (2, 11, 8, {"job_class": "training"}))
    site = cluster(4, 8)
    drawn = account(
        record(jobs, site, (0, 0, 7, [(0, 1)]), (1, 1.5, 4.5, [(0, 2)]), (2, 2, 13, [(1, 8)])), EnergyModel(pue=1.31)
    )
    assert drawn.totals.parts_kwh == pytest.approx(drawn.totals.facility_kwh, rel=1e-14)
    assert drawn.job_kwh.sum() == pytest.approx(drawn.totals.jobs_kwh, rel=1e-14)
    assert drawn.job_idle_kwh.sum() == pytest.approx(drawn.totals.held_idle_kwh, rel=1e-14)


def test_load_comes_from_the_activity_then_the_class_then_the_default():
    jobs = workload(
        (0, 1, 1, {"activity": 0.25, "job_class": "training"}),
        (0, 1, 1, {"job_class": "Training"}),
        (0, 1, 1, {"job_class": "mine"}),
        (0, 1, 1),
    )
    load, source = job_load(jobs, EnergyModel(class_load={"Mine": 0.9}, default_load=0.3))
    assert load.tolist() == [0.25, CLASS_LOADS["training"].load, 0.9, 0.3]
    assert [LOAD_SOURCES[number] for number in source] == ["activity", "class", "class", "default"]


def test_a_class_load_is_the_middle_of_its_source_above_idle():
    # 0.75 to 0.85 of TDP with 0.15 idle: (0.80 - 0.15) / 0.85
    assert CLASS_LOADS["pretraining"].load == pytest.approx((0.80 - 0.15) / 0.85, abs=0.005)
    assert all(0 < each.load < 1 and each.standing in "RCM" and each.meaning for each in CLASS_LOADS.values())


def test_the_document_has_the_figures_of_the_code():
    from pathlib import Path

    from gpuyard.energy.model import reference

    text = (Path(__file__).parents[2] / "docs" / "energy.md").read_text(encoding="utf-8")
    assert all(rows in text for rows in reference()), "docs/energy.md: put the rows of reference() in again"


def test_a_share_of_a_gpu_draws_that_share():
    jobs = workload((0, 3600, 1, {"gpu_milli": 250}))
    drawn = account(record(jobs, cluster(4), (0, 0, 3600, [(0, 1)])), FULL)
    # 0.25 GPU: 100 W; CPUs by the GPU share, 0.25 / 4 of 200 W; idle 0.25 / 4 of 100 W
    assert drawn.attempt_mw.tolist() == [112_500]
    assert drawn.attempt_idle_mw.tolist() == [6_250]


def test_cpus_draw_by_the_cores_held_where_both_sides_are_known():
    jobs = workload((0, 10, 2, {"cpus": 16}), (0, 10, 0, {"cpus": 32}), (0, 10, 1))
    site = cluster(4, 0, cpus=[32, 64])
    drawn = account(
        record(jobs, site, (0, 0, 10, [(0, 2)]), (1, 0, 10, [(1, 0)]), (2, 0, 10, [(0, 1)])),
        EnergyModel(default_load=0.5),
    )
    # job 0: 2 x 400 x 0.5 + 200 x 16/32; job 1: 200 x 32/64; job 2, cores not recorded: 200 + 200 x 1/4 x 0.5
    assert drawn.attempt_mw.tolist() == [500_000, 100_000, 225_000]
    assert drawn.attempt_idle_mw.tolist() == [50_000, 0, 25_000]


def test_switches_and_other_it_come_from_the_cluster_unless_the_model_says_otherwise():
    from dataclasses import replace

    site = replace(cluster(4), facts={"switches": 4, "switch_w": 300.0, "other_it_w": 700.0})
    facts = record(workload((0, 3600, 1)), site, (0, 0, 3600, [(0, 1)]))
    totals = account(facts, FULL).totals
    assert (totals.switches_kwh, totals.other_kwh) == (1.2, 0.7)
    totals = account(facts, EnergyModel(switch_w=100, other_it_w=50)).totals
    assert (totals.switches_kwh, totals.other_kwh) == (0.4, 0.05)
    bare = replace(site, facts={"switches": 4})
    assert account(replace(facts, cluster=bare), FULL).totals.switches_kwh == 1.0  # 250 W each


def test_an_attempt_without_room_draws_nothing_and_is_counted():
    jobs = workload((0, 10, 4), (0, 10, 4))
    drawn = account(record(jobs, cluster(4), (0, 0, 10, [(0, 4)]), (1, 0, 10, [])), FULL)
    assert drawn.job_kwh.tolist()[1] == 0
    assert drawn.notes == ("1 attempts ran where the cluster had no room; they hold no node and draw nothing",)


def test_a_job_that_still_runs_at_the_stop_draws_until_then():
    drawn = account(record(workload((0, 9999, 4)), cluster(4), (0, 0, 3600, [(0, 4)]), stop=3600), FULL)
    assert drawn.job_kwh.tolist() == [1.8]
    assert drawn.totals.it_kwh == pytest.approx(1.9)


def test_no_jobs_and_no_time_is_no_energy():
    totals = account(record(workload(), cluster(4)), FULL).totals
    assert (totals.it_kwh, totals.facility_kwh, totals.it_mean_w, totals.idle_share) == (0, 0, None, None)
    rejected = record(workload((5, 1, 9)), cluster(4), outcomes={0: Outcome.REJECTED})
    assert account(rejected, FULL).totals.it_kwh == 0


def test_windows_that_follow_each_other_add_up_to_the_run():
    jobs = workload((0, 70, 3), (10, 33, 4), (20, 50, 1))
    site = cluster(4, 4)
    drawn = account(record(jobs, site, (0, 0, 70, [(0, 3)]), (1, 10, 43, [(1, 4)]), (2, 20, 70, [(0, 1)])), FULL)
    cuts = [0, 1, 12_345_678, 43_000_000, 70_000_000]
    pieces = [drawn.between(a, b) for a, b in itertools.pairwise(cuts)]
    for name in ("jobs_kwh", "held_idle_kwh", "idle_kwh", "it_kwh", "facility_kwh", "cost_krw"):
        assert sum(getattr(piece, name) for piece in pieces) == pytest.approx(getattr(drawn.totals, name), rel=1e-12)
    assert max(piece.it_peak_w for piece in pieces) == drawn.totals.it_peak_w


def test_a_year_at_32_megawatts_costs_what_a_calculator_says():
    """40 MW at 80 % for 8,760 h: 280.32 GWh, 116.98 kt CO2e at 0.4173 kg/kWh, 50.46 bn KRW at 180 KRW/kWh."""
    year = 8760 * 3600.0
    jobs = workload((0, year, 0, {"cpus": 1}))
    site = cluster(0, cpus=[10**9])
    drawn = account(record(jobs, site, (0, 0, year, [(0, 0)])), EnergyModel(pue=1.0, other_it_w=32e6 - 100))
    assert drawn.totals.facility_kwh == pytest.approx(280.32e6, rel=1e-12)
    assert drawn.totals.carbon_kg == pytest.approx(116_977_536, rel=1e-12)
    assert drawn.totals.cost_krw == pytest.approx(50.4576e9, rel=1e-12)
    assert drawn.totals.facility_peak_w == 32e6


def test_a_scenario_section_becomes_a_model_and_back():
    model = EnergyModel.from_mapping({"pue": [1.1] * 11 + [1.2], "class_load": {"training": 1.0}, "switch_w": 10})
    assert model.pue == (1.1,) * 11 + (1.2,)
    assert model.loads()["training"] == 1.0
    again = EnergyModel.from_mapping(model.to_mapping())
    assert again.to_mapping() == model.to_mapping()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pu": 1.2}, "unknown energy key 'pu'; did you mean 'pue'"),
        ({"pue": 0.9}, "pue must be at least 1, got 0.9"),
        ({"pue": [1.1, 1.2]}, "twelve, January to December; got 2"),
        ({"pue": "low"}, "pue must be a finite number, got 'low'"),
        ({"default_load": 1.5}, "default_load must be at most 1"),
        ({"class_load": {"training": -1}}, "class_load of 'training' must be at least 0"),
        ({"class_load": 0.5}, "class_load is a table"),
        ({"carbon_kg_per_kwh": float("nan")}, "must be a finite number"),
        ({"other_it_w": True}, "other_it_w must be a finite number, got True"),
    ],
)
def test_a_figure_out_of_its_range_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        EnergyModel.from_mapping(values)


def test_an_activity_in_percent_is_refused_with_the_row():
    with pytest.raises(InputError, match=r"row 2, column 'activity'.*divide percentages by 100"):
        account(record(workload((0, 1, 1), (0, 1, 1, {"activity": 80.0})), cluster(4)))
