"""Inspection services of plants: three shifts of requests, replicas that follow them, and what became of requests."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.compute as pc
import pytest

import gpuyard as gy
from gpuyard.errors import ConfigError
from gpuyard.services.book import Book
from gpuyard.synthesis import ClassShare, SynthesisSpec, Tenant, synthesise
from gpuyard.synthesis.manufacturing import INSPECTION, shift_hours
from gpuyard.traces.schema import SERVICES
from gpuyard.workload import Workload

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture(scope="module")
def week() -> Workload:
    return synthesise(SynthesisSpec(days=7), gpus=20_000, seed=0)


def inspection_of(workload: Workload):
    return workload.table.filter(pc.starts_with(workload.table["job_id"], "manufacturing-inspection"))


def test_shifts_of_8_hours_begin_at_6_14_and_22_h():
    hours = shift_hours((1.0, 0.8, 0.6), 6.0)
    assert [hours[at] for at in (5, 6, 13, 14, 21, 22, 23, 0)] == [0.6, 1.0, 1.0, 0.8, 0.8, 0.6, 0.6, 0.6]
    assert max(hours) / np.mean(hours) == pytest.approx(1.25)
    assert INSPECTION.hourly == hours


def test_its_replicas_are_of_the_class_manufacturing_and_hold_its_share_of_the_load(week):
    mine = inspection_of(week)
    assert set(mine["job_class"].to_pylist()) == {"manufacturing"}
    assert set(mine["priority"].to_pylist()) == {100}
    assert set(mine["preemptible"].to_pylist()) == {False}
    held = np.sum(mine["runtime"].to_numpy() * mine["gpus"].to_numpy())
    assert held == pytest.approx(0.85 * 20_000 * 7 * DAY * 0.03 * 0.15, rel=0.01)


def test_replicas_follow_the_shifts_by_the_rule_of_the_autoscaler(week):
    # by hand: after a shift has lasted for an hour, ceil(demand / target) replicas and one to spare, at most the most
    book = Book.loads(week.table.schema.metadata[SERVICES])
    mine = inspection_of(week)
    submit, end = mine["submit_time"].to_numpy(), mine["submit_time"].to_numpy() + mine["runtime"].to_numpy()
    name = np.array(mine["job_name"].to_pylist())
    services = [each for each in book.services if each.kind == "inspection"]
    assert len(services) > 5
    assert {each.job_class for each in services} == {"manufacturing"}
    for service in services:
        for hour, load in ((10, 1.25), (18, 1.0), (2, 0.75)):
            at = 3 * DAY + hour * HOUR
            running = int(((submit <= at) & (at < end) & (name == service.name)).sum())
            exact = service.mean * load / INSPECTION.target
            # within the tolerance of 10 % the rule leaves the replicas of the shift before
            assert min(math.ceil(exact / 1.1), service.most) + 1 <= running <= min(math.ceil(exact * 1.1), 999) + 1


def test_another_class_with_services_leaves_all_other_jobs_as_they_are():
    tenants = (Tenant(name="lab", weights=dict.fromkeys(("realtime", "training", "manufacturing"), 1.0)),)
    parts = {"realtime": 0.3, "training": 0.4, "manufacturing": 0.3}
    both = SynthesisSpec(
        days=3, load=0.8, tenants=tenants, classes=tuple(ClassShare(name=n, share=s) for n, s in parts.items())
    )
    without = SynthesisSpec(
        days=3, load=0.8 * 0.7, tenants=tenants,
        classes=tuple(ClassShare(name=n, share=parts[n] / 0.7) for n in ("realtime", "training")),
    )  # fmt: skip
    table = synthesise(both, gpus=2_000, seed=3).table
    others = table.filter(pc.not_equal(table["job_class"], "manufacturing")).combine_chunks()
    alone = synthesise(without, gpus=2_000, seed=3).table
    same = [name for name in alone.column_names if name != "depends_on"]
    assert others.num_rows == alone.num_rows > 1_000
    assert others.select(same).equals(alone.select(same))
    assert inspection_of(synthesise(both, gpus=2_000, seed=3)).num_rows > 0


def test_two_services_of_one_name_are_refused():
    kinds = {"classes": {"realtime": 0.5, "manufacturing": 0.5}, "services": {"inspection": {"gpus": 1}}}
    with pytest.raises(ConfigError, match="service 'inspection' is given twice"):
        SynthesisSpec.from_mapping(kinds)


def test_a_day_with_a_bump_has_no_shifts_and_the_profile_of_hours_goes_with_load_no_more():
    def inspection(**keys: object):
        (one,) = (
            kind.service
            for kind in ClassShare(name="manufacturing", share=1.0, changes={"inspection": keys}).kinds()
            if kind.service is not None
        )
        return one

    assert inspection(peak=1.5).hourly is None
    assert inspection(first_shift="7h").hourly == shift_hours((1.0, 0.8, 0.6), 7.0)
    assert inspection(weekend=0.5).hourly == INSPECTION.hourly
    with pytest.raises(ConfigError, match="has peak, and load or first_shift as well"):
        inspection(peak=1.5, load=[1, 1, 1])


def test_requests_of_a_scenario_lie_beside_it_and_its_record_says_which_file_it_was(tmp_path, monkeypatch):
    (tmp_path / "requests.csv").write_text("time,requests\n0,10\n3600,30\n")
    (tmp_path / "plant.toml").write_text(
        'extends = "phase-1"\n[workload]\ndays = 1\nload = 0.3\n[workload.classes]\nmanufacturing = 1.0\n'
        '[workload.kinds.manufacturing.inspection]\nrequests = "requests.csv"\ninterval = 3600\n'
    )
    monkeypatch.chdir("/")
    scenario = gy.load_scenario(tmp_path / "plant.toml")
    echo = gy.run_scenario(scenario).scenario["workload"]["kinds"]["manufacturing"]["inspection"]
    assert echo["requests"] == str(tmp_path / "requests.csv")
    assert len(echo["sha256"]) == 64


def erlang(servers: int, load: float, room: int, wait: float) -> tuple[float, float]:
    """Return the shares late and lost of M/M/c/K, term by term; ``wait`` in mean service times."""
    weights = [1.0]
    for number in range(1, servers + room + 1):
        weights.append(weights[-1] * load / min(number, servers))
    total = math.fsum(weights)
    late = 0.0
    for waiting in range(room):
        x = servers * wait
        early = math.fsum(math.exp(-x + k * math.log(x) - math.lgamma(k + 1)) for k in range(waiting + 1))
        late += weights[servers + waiting] / total * early
    return late, weights[-1] / total


@pytest.mark.parametrize("begin", ["2027-01-04T00:00:00+09:00"])
def test_requests_of_inspection_are_judged_by_the_replicas_that_ran_with_its_class_in_every_result(begin):
    kinds = {"manufacturing": {"inspection": {"share": 1.0, "target": 0.7, "spare": 0, "cold_start": "10m"}}}
    site = {"workload": {
        "days": 1, "load": 0.5, "start": begin, "classes": {"manufacturing": 1.0}, "kinds": kinds,
        "tenants": {"plant": {"manufacturing": 1.0}},
    }, "cluster": {"blocks": [{"name": "a", "hardware": "hgx-h100", "nodes": 4}]}}  # fmt: skip
    result = gy.run_scenario(gy.load_scenario("phase-1").over(site, "plants"))
    block = result.numbers["services"]
    assert block["not_judged"] == 0
    assert set(block["by_class"]) == {"manufacturing"}
    assert {each["job_class"] for each in block["by_service"].values()} == {"manufacturing"}
    assert set(result.services["job_class"].to_pylist()) == {"manufacturing"}
    asked = block["by_class"]["manufacturing"]
    assert asked["requests"] == pytest.approx(sum(each["requests"] for each in block["by_service"].values()))
    assert asked["requests"] == pytest.approx(asked["on_time"] + asked["late"] + asked["lost"])
    assert 0.5 < asked["attainment"] < 1
    checked = 0
    for row in result.services.to_pylist():
        replicas = row["ready_replicas"]
        if replicas == round(replicas) > 0 and 10 * HOUR < row["time"] < 13 * HOUR:
            places = int(replicas) * 8
            late, lost = erlang(places, row["demand_replicas"] * 8, int(0.5 * places / 0.05), 0.1 / 0.05)
            assert row["late"] == pytest.approx(row["requests"] * late, rel=1e-6, abs=1e-6)
            assert row["lost"] == pytest.approx(row["requests"] * lost, rel=1e-6, abs=1e-6)
            checked += 1
    assert checked > 10
