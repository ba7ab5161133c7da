"""Services in scenario files: what is set, where a request trace is looked for, and that a run can be repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpuyard as gy
from gpuyard.errors import ConfigError, InputError
from gpuyard.services.book import Book
from gpuyard.traces.schema import SERVICES

TEXT = """
[workload]
days = 0.5
load = 0.5
[workload.classes]
realtime = 1.0
[workload.services.image]
requests = "requests.csv"
crowds_a_week = 0
[cluster]
nodes = 8
gpus_per_node = 8
[policy]
order = "priority"
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A service that is asked for ten times as much in every second hour."""
    (tmp_path / "requests.csv").write_text("time,requests\n0,100\n3600,1000\n", encoding="utf-8")
    path = tmp_path / "scenario.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_request_trace_is_looked_for_beside_the_scenario_and_its_shape_is_replayed(scenario):
    workload, _ = gy.load_scenario(scenario).read_workload()
    book = Book.loads(workload.table.schema.metadata[SERVICES])
    assert set(book.kinds) == {"image"}
    assert book.recordings["image"].shape == pytest.approx((2 / 11, 20 / 11), rel=1e-5)
    wanted = book.wanted(book.edges(300.0)).sum(axis=0)
    hours = [int(wanted[hour * 12 + 6]) for hour in range(12)]
    assert min(hours[1::2]) > 4 * max(hours[::2])
    assert "service 'image' replays 1,100 requests of 7200 s" in workload.notes[1]


def test_a_named_service_without_room_is_told():
    spec = gy.SynthesisSpec.from_mapping(
        {
            "days": 1.0,
            "classes": {"realtime": 0.3, "training": 0.7},
            "services": {"chat": {"gpus": 16}, "images": {"gpus": 2, "service_time": 25.0, "slo_wait": 20.0}},
        }
    )
    workload = gy.synthesise(spec, gpus=128, seed=0)
    assert set(Book.loads(workload.table.schema.metadata[SERVICES]).kinds) == {"images"}
    assert workload.notes[1].startswith("no room for service 'chat' in the 32.6 GPUs of class realtime: ")


def test_the_replicas_hold_the_offered_load(scenario):
    workload, _ = gy.load_scenario(scenario).read_workload()
    held = (workload.gpus * workload.floats("runtime")).sum() / (64 * 43_200)
    assert held == pytest.approx(0.5, rel=0.01)


def test_a_run_with_recorded_requests_can_be_repeated_from_its_folder(scenario, tmp_path):
    first = gy.run_scenario(gy.load_scenario(scenario))
    again = gy.run_scenario(gy.load_scenario(first.save(tmp_path / "run")))
    assert again.digest == first.digest
    assert again.services.equals(first.services)


def test_another_request_trace_than_that_of_the_run_is_refused(scenario, tmp_path):
    folder = gy.run_scenario(gy.load_scenario(scenario)).save(tmp_path / "run")
    (tmp_path / "requests.csv").write_text("time,requests\n0,1\n60,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="this is another request trace than the one meant"):
        gy.load_scenario(folder).read_workload()


def test_a_request_trace_that_is_not_there_is_said(scenario):
    with pytest.raises(InputError, match=r"nothing\.csv"):
        gy.load_scenario(scenario).apply_sets(["workload.services.image.requests=nothing.csv"]).read_workload()


def test_a_key_of_a_service_that_nobody_knows_names_the_nearest(scenario):
    with pytest.raises(ConfigError, match="unknown key of service 'image' 'slo_wat'; did you mean 'slo_wait'"):
        gy.load_scenario(scenario).apply_sets(["workload.services.image.slo_wat=3"]).read_workload()


def test_the_figures_of_a_workload_say_which_of_a_service_are_the_users_own(scenario):
    hours = "workload.services.image.hourly=[1,1,1,1,1,1,2,2,2,2,2,2,2,2,2,2,2,2,2,2,1,1,1,1]"
    figures = {one.figure: one for one in gy.load_scenario(scenario).apply_sets([hours]).workload_figures()}
    assert "hourly 6x1 14x2 4x1" in figures["realtime, image: day"].value
    assert figures["realtime, image: day"].source == "given by the user"
    assert figures["realtime, image: cold start"].source == "no published figure; change it to suit the site"
    assert "realtime, chat: day" not in figures


def loaded(tenant_priority: int = 0) -> gy.Workload:
    """A day of services and training that want a tenth more than 64 GPUs."""
    spec = gy.SynthesisSpec.from_mapping(
        {
            "days": 1.0,
            "load": 1.1,
            "classes": {"realtime": 0.3, "training": 0.7},
            "services": {"image": {"crowds_a_week": 14}},
            "tenants": {
                "services": {"realtime": 1.0, "training": 0.0},
                "training": {"realtime": 0.0, "training": 1.0, "priority": tenant_priority},
            },
        }
    )
    return gy.synthesise(spec, gpus=64, seed=4, max_gpus_per_job=16)


def served(jobs: gy.Workload, preemption: str) -> dict:
    site = gy.Cluster.uniform(nodes=8, gpus_per_node=8)
    return gy.simulate(jobs, site, order="priority", backfill="fit", preemption=preemption, until=86_400.0).summary()


def test_a_replica_takes_gpus_from_training_and_more_requests_are_on_time():
    jobs = loaded()
    alone, reclaiming = served(jobs, "none"), served(jobs, "priority")
    assert alone["by_class"]["realtime"]["wait_s"]["mean"] > 600
    assert reclaiming["by_class"]["realtime"]["wait_s"]["mean"] == 0
    assert reclaiming["by_class"]["training"]["preemptions"] > 0
    assert reclaiming["services"]["attainment"] > alone["services"]["attainment"]


def test_not_even_more_urgent_training_takes_gpus_from_a_replica():
    numbers = served(loaded(tenant_priority=1000), "priority")
    assert numbers["by_class"]["realtime"]["wait_s"]["mean"] > 0
    assert numbers["by_class"]["realtime"]["preemptions"] == 0


def test_a_replica_is_not_preemptible_and_of_other_jobs_nothing_is_said():
    table = loaded().table
    is_replica = [name == "realtime" for name in table["job_class"].to_pylist()]
    assert table["preemptible"].to_pylist() == [False if replica else None for replica in is_replica]
