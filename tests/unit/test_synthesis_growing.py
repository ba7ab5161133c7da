"""A workload that grows with its cluster: each stage offers the load to what is there in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import gpuyard as gy
from gpuyard.errors import ConfigError
from gpuyard.scenario import load, run
from gpuyard.services.book import Book
from gpuyard.streams import stream_key
from gpuyard.synthesis import Stage, SynthesisSpec, synthesise, synthesise_growing
from gpuyard.traces.schema import SERVICES

DAY = 86_400.0
SPEC = SynthesisSpec(days=5, load=0.8)
STAGES = (Stage(0.0, 2 * DAY, 512, 512, 112.0), Stage(2 * DAY, 5 * DAY, 1_024, 512, 112.0))


@pytest.fixture(scope="module")
def grown() -> gy.Workload:
    return synthesise_growing(SPEC, STAGES, seed=0)


def test_every_stage_offers_the_load_to_the_gpus_that_are_there_in_it(grown: gy.Workload) -> None:
    submit, work = grown.floats("submit_time"), grown.gpus * grown.floats("runtime")
    for stage in STAGES:
        offered = work[(submit >= stage.begin) & (submit < stage.end)].sum()
        assert offered / (stage.gpus * (stage.end - stage.begin)) == pytest.approx(0.8, rel=0.01)


def test_the_first_stage_is_the_workload_that_is_made_for_it_alone(grown: gy.Workload) -> None:
    alone = synthesise(replace(SPEC, days=2), gpus=512, seed=0, node_cpus=112.0)
    begun = grown.table.filter(pc.less(grown.table["submit_time"], 2 * DAY))
    assert begun.equals(alone.table.replace_schema_metadata(begun.schema.metadata))


def test_stages_share_no_job_and_no_draw(grown: gy.Workload) -> None:
    ids = grown.table["job_id"]
    assert pc.count_distinct(ids).as_py() == len(ids)
    later = pc.greater_equal(grown.table["submit_time"], 2 * DAY)
    assert pc.all(pc.equal(pc.match_substring(ids, "~2"), later)).as_py()
    parents = grown.table.filter(later)["depends_on"].combine_chunks().flatten()
    assert pc.all(pc.match_substring(parents, "~2")).as_py()
    sizes = [grown.table.filter(pc.match_substring(ids, f"training-finetune-0000{at:03d}"))["runtime"].to_pylist()
             for at in range(1, 40)]  # fmt: skip
    assert all(len(set(each)) == len(each) for each in sizes)


def test_growth_goes_by_days() -> None:
    with pytest.raises(ConfigError, match="leave 'jobs' out"):
        synthesise_growing(replace(SPEC, jobs=1_000), STAGES, seed=0)


@pytest.fixture(scope="module")
def built() -> gy.Result:
    layers = ["cluster.nodes=16", "cluster.gpus_per_node=8", "workload.days=0.5", "run.until=12h",
              "workload.load=0.6", "commission=[{nodes='8-15', start='6h'}]"]  # fmt: skip
    return run(load("phase-1").apply_sets(layers))


def test_the_numbers_of_the_stages_add_up_to_those_of_the_run(built: gy.Result) -> None:
    numbers = built.summary()
    stages = list(numbers["stages"].values())
    assert [each["gpus_up"] for each in stages] == [64.0, 128.0]
    assert [(each["start_s"], each["end_s"]) for each in stages] == [(0.0, 21_600.0), (21_600.0, 43_200.0)]
    for block, name in (("gpu", "gpu_hours"), ("energy", "it_kwh"), ("energy", "facility_kwh")):
        assert sum(each[block][name] for each in stages) == pytest.approx(numbers[block][name])
    for job_class, whole in numbers["by_class"].items():
        submitted = [each["by_class"][job_class]["jobs"]["submitted"] for each in stages]
        assert sum(submitted) == whole["jobs"]["submitted"]
    assert all(0 < each["gpu"]["allocation_rate"] <= 1 for each in stages)
    assert numbers["energy"]["peak_mw"] == max(each["energy"]["peak_mw"] for each in stages)
    for name in ("requests", "late", "lost"):
        assert sum(each["services"][name] for each in stages) == pytest.approx(numbers["services"][name])
    assert numbers["years"] is None


def test_services_of_every_stage_are_judged_while_it_lasts(built: gy.Result) -> None:
    services = built.services
    assert services is not None
    assert built.summary()["services"]["not_judged"] == 0
    later = pc.match_substring(services["service"], "~2")
    ends = pc.add(services["time"], services["duration_s"])
    assert pc.min(services.filter(later)["time"]).as_py() == 21_600.0
    assert pc.max(ends.filter(pc.invert(later))).as_py() == 21_600.0


def test_services_that_were_there_before_go_on_when_nodes_are_commissioned(built: gy.Result) -> None:
    rows = [row for row in built.services.to_pylist() if row["time"] == 21_600.0]
    assert "image-01~2" in {row["service"] for row in rows}
    for row in rows:
        assert row["ready_replicas"] == row["wanted_replicas"], row["service"]
        assert row["lost"] < 0.001 * row["requests"]


def test_a_later_stage_asks_for_the_replicas_that_it_would_ask_for_alone(grown: gy.Workload) -> None:
    alone = synthesise(
        replace(SPEC, days=3, start="2027-01-06T00:00:00+09:00"), gpus=1_024, max_gpus_per_job=512, node_cpus=112.0,
        seed=stream_key(0, "synthesis:stage:1"),
    )  # fmt: skip
    known = {each.name for each in Book.loads(grown.table.schema.metadata[SERVICES]).services if each.continued}

    def replicas_of(table: pa.Table, names: set[str], later: float) -> list[tuple[str, float, float]]:
        rows = table.filter(pc.is_in(table["job_name"], pa.array(sorted(names)))).to_pylist()
        return sorted((row["job_name"].split("~")[0], row["submit_time"] + later, row["runtime"]) for row in rows)

    mine = replicas_of(grown.table, known, 0.0)
    assert len(mine) > 30
    assert mine == replicas_of(alone.table, {name.removesuffix("~2") for name in known}, 2 * DAY)


def test_recorded_requests_go_on_from_stage_to_stage_and_the_load_is_met(tmp_path: Path) -> None:
    # ten times the requests in the first 30 of 96 hours: a stage that began the recording anew would miss its load
    lines = [f"{3600 * hour},{100 if hour < 30 else 10}" for hour in range(96)]
    (tmp_path / "requests.csv").write_text("\n".join(["time,requests", *lines]))
    image = {"requests": str(tmp_path / "requests.csv")}
    spec = SynthesisSpec.from_mapping(
        {"days": 4, "load": 0.6, "classes": {"realtime": 1}, "services": {"image": image}}
    )
    stages = (Stage(0, 2 * DAY, 512, 512, None), Stage(2 * DAY, 4 * DAY, 1_024, 512, None))
    jobs = synthesise_growing(spec, stages, seed=0)
    submit, work = jobs.floats("submit_time"), jobs.gpus * jobs.floats("runtime")
    later = submit >= 2 * DAY
    assert work[~later].sum() / (512 * 2 * DAY) == pytest.approx(0.6, rel=0.01)
    assert work[later].sum() / (1_024 * 2 * DAY) == pytest.approx(0.6, rel=0.01)


def test_a_stage_of_a_long_growth_meets_its_load_though_control_intervals_are_longer_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 100 minutes, where a stage alone has 50: calibrated with its own, the first offers 0.609
    monkeypatch.setattr("gpuyard.services.book.MOST_INTERVALS", 120)
    spec = SynthesisSpec.from_mapping({"days": 8, "load": 0.6, "classes": {"realtime": 1}})
    stages = (Stage(0, 4 * DAY, 64, 64, None), Stage(4 * DAY, 8 * DAY, 128, 128, None))
    jobs = synthesise_growing(spec, stages, seed=0)
    submit, work = jobs.floats("submit_time"), jobs.gpus * jobs.floats("runtime")
    later = submit >= 4 * DAY
    assert work[~later].sum() / (64 * 4 * DAY) == pytest.approx(0.6, rel=0.01)
    assert work[later].sum() / (128 * 4 * DAY) == pytest.approx(0.6, rel=0.01)


def test_a_kind_of_service_that_a_stage_is_the_first_to_have_begins_cold() -> None:
    spec = SynthesisSpec.from_mapping({"days": 2, "load": 0.8, "classes": {"realtime": 1}, "services": {
        "image": {}, "reasoning": {}}})  # fmt: skip
    stages = (Stage(0.0, DAY, 32, 32, None), Stage(DAY, 2 * DAY, 512, 512, None))
    held = synthesise_growing(spec, stages, seed=0).table.schema.metadata[SERVICES]
    continued = {each.name: each.continued for each in Book.loads(held).services}
    assert not continued["image-01"]
    assert continued["image-01~2"]
    assert not continued["reasoning-01~2"]


def test_a_run_without_commissioning_has_no_stages() -> None:
    few = gy.Workload.from_table(pa.table({"job_id": ["a"], "submit_time": [0.0], "gpus": pa.array([1], pa.int32()),
                                           "runtime": [5.0]}))  # fmt: skip
    assert gy.simulate(few, gy.Cluster.parse("1x8")).summary()["stages"] is None


def test_a_workload_begins_with_a_gpu() -> None:
    asked = load("phase-1").apply_sets(
        ["cluster.nodes=2", "cluster.gpus_per_node=8", "commission=[{nodes='all', start='1h'}]"]
    )
    with pytest.raises(ConfigError, match="no GPU is there when the workload begins"):
        asked.read_workload()
