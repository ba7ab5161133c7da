"""A workload that grows with its cluster: each stage offers the load to what is there in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

import gpuyard as gy
from gpuyard.cli import main
from gpuyard.errors import ConfigError
from gpuyard.metrics.digests import workload_digest
from gpuyard.parents import coded_table
from gpuyard.reshaping.columns import marked, moved
from gpuyard.scenario import load, run
from gpuyard.services.book import Book
from gpuyard.streams import stream_key
from gpuyard.synthesis import (
    Stage,
    SynthesisSpec,
    generate,
    generation_growing,
    growing,
    realtime,
    synthesise,
    synthesise_growing,
)
from gpuyard.synthesis.unit_supply import UnitSupply
from gpuyard.traces.schema import SERVICES
from gpuyard.traces.write import write_table

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


ODD = (
    Stage(0.0, 0.7 * DAY + 0.123456, 256, 256, 112.0, (8,)),
    Stage(0.7 * DAY + 0.123456, 1.9 * DAY + 7.000001, 768, 768, 96.0, (4, 8)),
    Stage(1.9 * DAY + 7.000001, 3.3 * DAY, 2_048, 1_024, None, (4,)),
)
"""Stages that begin between two milliseconds, on nodes of different GPUs and cores."""
ALL = {"training": 1, "realtime": 1, "drug-discovery": 1, "battery": 1, "manufacturing": 1}
LATER = {"a": ALL, "b": ALL | {"start": "2027-01-05"}, "c": {"battery": 1, "realtime": 2, "start": "2027-01-06"}}
CHANGES = {
    "plain": {},
    "users wait": {"think_time": 600.0},
    "closed loop": {"think_time": 600.0, "closed_loop": True},
    "move-ins": {"tenants": LATER},
    "limits": {"limits": "modal", "holidays": "KR"},
}


def bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(table.combine_chunks(), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_tables_of_any_size_hold_the_bytes_of_the_growing_workload_at_once(change: dict[str, object]) -> None:
    made = generation_growing(SynthesisSpec.from_mapping({"days": 3.3, "load": 0.8} | change), ODD, seed=3)
    whole = made.workload()
    assert len(whole) == made.jobs or "tenants" in change
    for rows in (97, 2_000, 10_000_000):
        tables = list(made.tables(rows))
        assert bytes_of(pa.concat_tables(tables)) == bytes_of(whole.table)
        if "closed_loop" not in change:
            assert len(tables) >= len(whole) // rows
            assert max(each.num_rows for each in tables) < 3 * rows + 2_000


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_growing_workload_is_that_of_its_stages_moved_named_and_sorted(change: dict[str, object]) -> None:
    spec, parts = SynthesisSpec.from_mapping({"days": 3.3, "load": 0.8} | change), []
    whole = synthesise_growing(spec, ODD, seed=3)
    for number, stage in enumerate(ODD):
        start = (spec.origin() + timedelta(seconds=stage.begin)).isoformat()
        alone = synthesise(
            replace(spec, days=(stage.end - stage.begin) / DAY, start=start), gpus=stage.gpus,
            max_gpus_per_job=stage.largest, node_cpus=stage.node_cpus, node_gpus=stage.node_gpus,
            seed=stream_key(3, f"synthesis:stage:{number}") if number else 3,
        ).table  # fmt: skip
        queued = alone.filter(_is_queued(alone))
        parts.append(marked(moved(queued, round(stage.begin * 1e6)), f"~{number + 1}") if number else queued)
    stages = pa.concat_tables([each.replace_schema_metadata(None) for each in parts])
    found = whole.table.filter(_is_queued(whole.table)).replace_schema_metadata(None)
    assert found.equals(stages.take(_in_order(stages)))
    assert workload_digest(whole) == workload_digest(gy.Workload(held=coded_table(whole.table), name="synthetic"))


def _is_queued(table: pa.Table) -> pa.ChunkedArray:
    """Return which jobs are no replicas of services: those may be preempted."""
    return pc.is_null(table["preemptible"])


def _in_order(table: pa.Table) -> pa.Array:
    return pa.array(np.argsort(table["submit_time"].to_numpy(), kind="stable"))


def test_nothing_of_a_stage_is_made_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[str, float]]()
    whole_batches = generate.batches

    def watched(order: object, spec: SynthesisSpec, span: float, seed: int) -> object:
        asked.append((spec.origin().isoformat(), span))
        return whole_batches(order, spec, span, seed)

    monkeypatch.setattr(generate, "batches", watched)
    tables = generation_growing(SPEC, STAGES, seed=0).tables(500)
    next(tables)
    first = len(asked)
    assert {span for _, span in asked} == {2 * DAY}
    assert first
    list(tables)
    assert {span for _, span in asked[first:]} == {3 * DAY}


def test_plans_of_stages_keep_no_units(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = list[UnitSupply]()
    planned = growing.generation

    def watched(*given: object, **named: object) -> generate.SteadyGeneration:
        made = planned(*given, **named)
        kept.extend(order.supply for order in made._orders if isinstance(order.supply, UnitSupply))
        return made

    monkeypatch.setattr(growing, "generation", watched)
    generation_growing(SPEC, STAGES, seed=0)
    assert kept
    assert not any(each._kept for each in kept)


def test_replicas_of_services_are_the_same_worked_out_a_few_at_a_time(
    grown: gy.Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime, "AT_ONCE", 1)
    assert bytes_of(synthesise_growing(SPEC, STAGES, seed=0).table) == bytes_of(grown.table)


def test_the_command_writes_a_growing_workload_table_by_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate.Generation.tables, "__defaults__", (100,))
    commission = "commission=[{nodes='8-15', start='1d'}]"
    sets = ["cluster.nodes=16", "cluster.gpus_per_node=8", "workload.days=2", commission]
    scenario = load("phase-1").apply_sets(sets)
    write_table(scenario.read_workload()[0].table, tmp_path / "at_once.parquet")
    monkeypatch.setattr("gpuyard.scenario.Scenario.read_workload", None)
    words = [word for each in sets for word in ("--set", each)]
    assert main(["generate", "phase-1", *words, "-o", str(tmp_path / "jobs.parquet")]) == 0
    assert (tmp_path / "jobs.parquet").read_bytes() == (tmp_path / "at_once.parquet").read_bytes()


def test_a_growing_workload_knows_its_jobs_and_load_before_they_are_made(grown: gy.Workload) -> None:
    made = generation_growing(SPEC, STAGES, seed=0)
    assert (made.jobs, made.span) == (len(grown), 5 * DAY)
    assert made.load == pytest.approx(0.8, rel=0.01)
    held = grown.gpus * grown.floats("runtime")
    assert made.load == pytest.approx(held.sum() / (512 * 2 * DAY + 1_024 * 3 * DAY), rel=0.001)


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
