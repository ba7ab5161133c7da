"""Whole synthetic workloads: load, shares, services, seeds, and what may be asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gpuyard.errors import ConfigError
from gpuyard.services.book import Book
from gpuyard.services.kinds import ServiceKind
from gpuyard.synthesis import ClassShare, SynthesisSpec, Tenant, describe, synthesise
from gpuyard.synthesis.realtime import make_services
from gpuyard.synthesis.table import SPAN
from gpuyard.traces.schema import SERVICES
from gpuyard.workload import Workload

DAY = 86_400.0
PAGES = [
    Path(__file__).parents[2] / "docs" / f"{name}.md"
    for name in ("workloads", "services", "training", "drug-discovery", "battery", "manufacturing")
]


def span(workload: Workload) -> float:
    return float(workload.table.schema.metadata[SPAN])


def work(workload: Workload) -> np.ndarray:
    return workload.floats("gpus") * workload.floats("runtime")


def chosen(workload: Workload, column: str, name: str) -> np.ndarray:
    codes, names = workload.labels(column)
    return codes == names.index(name) if name in names else np.zeros(len(workload), dtype=bool)


def rows(workload: Workload, job_class: str) -> pa.Table:
    return workload.table.filter(pa.array(chosen(workload, "job_class", job_class))).sort_by("job_id")


@pytest.fixture(scope="module")
def week() -> Workload:
    return synthesise(SynthesisSpec(), gpus=20_000, seed=0)


@pytest.mark.parametrize("gpus", [8, 64, 1_152, 20_000])
@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("load", [0.3, 0.85, 1.2])
def test_the_offered_load_is_met_within_1_percent(gpus, days, load):
    workload = synthesise(SynthesisSpec(days=days, load=load), gpus=gpus, seed=1)
    assert span(workload) == days * DAY
    assert work(workload).sum() / (gpus * days * DAY) == pytest.approx(load, rel=0.01)


def test_classes_have_their_shares_of_the_gpu_time(week):
    total = work(week).sum()
    shares = {"realtime": 0.15, "training": 0.65, "drug-discovery": 0.10, "battery": 0.07, "manufacturing": 0.03}
    for name, share in shares.items():
        assert work(week)[chosen(week, "job_class", name)].sum() / total == pytest.approx(share, rel=0.01)


def test_a_default_week_of_phase_1_has_100000_to_400000_jobs(week):
    assert 100_000 < len(week) < 400_000


def test_every_column_is_within_its_meaning(week):
    submit, runtime, gpus = week.floats("submit_time"), week.floats("runtime"), week.gpus
    assert submit.min() == 0.0
    assert submit.max() < 7 * DAY
    assert np.all(np.diff(submit) >= 0)
    assert runtime.min() > 0
    assert runtime.max() <= 7 * DAY
    assert np.all(gpus & (gpus - 1) == 0)  # powers of two
    assert set(week.table["state"].unique().to_pylist()) == {"completed", "cancelled", "failed"}
    assert week.table["time_limit"].null_count == len(week)
    assert week.floats("activity").min() > 0
    assert week.floats("activity").max() < 1
    assert all(user.startswith(f"{tenant}/u") for user, tenant in zip(
        week.table["user"].to_pylist()[:2000], week.table["tenant"].to_pylist()[:2000], strict=True))  # fmt: skip


def test_times_are_whole_milliseconds(week):
    for column in ("submit_time", "runtime"):
        values = week.floats(column)
        assert np.array_equal(values, np.round(values, 3))


def test_the_origin_and_its_zone_are_in_the_metadata(week):
    assert week.origin == "2027-01-04T00:00:00+09:00"
    metadata = week.table.schema.metadata
    assert metadata[b"gpuyard.zone"] == b""  # the origin has the offset, which is no name of a zone
    assert metadata[b"gpuyard.format"] == b"synthetic"
    assert "offered load 0.85" in week.notes[0]


def test_services_hold_their_share_of_the_load_over_the_window_and_more_of_it_by_day(week):
    mine = chosen(week, "job_class", "realtime")
    submit, gpus = week.floats("submit_time")[mine], week.gpus[mine]
    end = submit + week.floats("runtime")[mine]
    assert work(week)[mine].sum() / (20_000 * 7 * DAY) == pytest.approx(0.15 * 0.85, rel=0.001)
    night, evening = (gpus[(submit <= moment) & (moment < end)].sum() for moment in (1.2 * DAY, 1.75 * DAY))
    assert evening > 1.8 * night
    assert end.max() == 7 * DAY
    assert set(gpus.tolist()) == {1, 2, 4, 8, 16}


def test_services_keep_public_holidays():
    monday, wednesday = datetime.fromisoformat("2027-01-04T09:00:00+09:00"), date(2027, 1, 6)
    days = {"largest": 200, "span": 7 * DAY, "origin": monday, "seed": 0, "redraw": 0}
    book, _ = make_services(
        [ServiceKind(name="a", weekend=0.1, peak=1.0, spare=0)], 200.0, holidays={wednesday}, **days
    )
    wanted = book.wanted(book.edges(300.0)).sum(axis=0)
    noons = [int(wanted[(day * 24 + 3) * 12]) for day in range(7)]  # from 9 h on
    assert max(noons[2], noons[5], noons[6]) < 0.2 * min(noons[0], noons[1], noons[3], noons[4])


def test_a_replica_is_named_after_its_service_and_belongs_to_the_services_tenant(week):
    mine = week.table.filter(pa.array(chosen(week, "job_name", "chat-01")))
    assert mine["job_id"][0].as_py() == "realtime-chat-01-0000001"
    assert set(mine["gpus"].to_pylist()) == {8}
    assert len(mine["user"].unique()) == 1
    book = Book.loads(week.table.schema.metadata[SERVICES])
    assert book.kinds[next(each.kind for each in book.services if each.name == "chat-01")].gpus == 8


def test_services_go_before_everything_and_evaluation_after(week):
    priority = week.integers("priority", 0)
    assert set(priority[chosen(week, "job_class", "realtime")]) == {100}
    assert set(priority[chosen(week, "job_name", "pretrain")]) == {50}
    assert priority.min() == 20
    assert np.array_equal(priority == 20, chosen(week, "job_name", "evaluation"))


def test_end_states_have_the_published_shares_of_jobs_and_come_near_those_of_gpu_time():
    # Acme data, cluster_summary.csv, Seren: jobs 49.7 / 7.5 / 42.9 %, GPU time 21.2 / 66.4 / 12.4 %
    workload = synthesise(only("seren", days=30), gpus=4_000, seed=0)
    jobs = {name: chosen(workload, "state", name) for name in ("completed", "cancelled", "failed")}
    total = work(workload).sum()
    assert [jobs[name].mean() for name in jobs] == pytest.approx([0.497, 0.075, 0.429], abs=0.01)
    assert [work(workload)[jobs[name]].sum() / total for name in jobs] == pytest.approx([0.212, 0.664, 0.124], abs=0.08)


def only(source: str, **keys: object) -> SynthesisSpec:
    return SynthesisSpec(
        classes=(ClassShare(name="training", share=1.0, source={source: 1.0}),),
        tenants=(Tenant(name="lab", weights={"training": 1.0}),),
        **keys,
    )


def test_a_class_may_mix_published_clusters():
    spec = replace(
        only("philly", days=30), classes=(ClassShare(name="training", share=1.0, source={"philly": 1, "helios": 3}),)
    )
    workload = synthesise(spec, gpus=2_000, seed=0)
    part = work(workload)[chosen(workload, "job_name", "philly-like")].sum() / work(workload).sum()
    assert part == pytest.approx(0.25, rel=0.01)


def test_philly_jobs_keep_their_published_quantiles_in_a_long_enough_window():
    workload = synthesise(only("philly", days=60), gpus=2_000, seed=0)
    assert np.quantile(workload.floats("runtime"), (0.25, 0.5, 0.75, 0.9)) == pytest.approx(
        [108, 853, 3_186, 15_800], rel=0.05
    )


@pytest.mark.parametrize(("jobs", "gpus"), [(300, 8), (3_000, 2_000), (4_000, 20_000), (50_000, 2_000)])
def test_an_exact_number_of_jobs_sets_the_length_of_the_window(jobs, gpus):
    workload = synthesise(SynthesisSpec(jobs=jobs), gpus=gpus, seed=0)
    assert len(workload) == jobs
    assert work(workload).sum() / (gpus * span(workload)) == pytest.approx(0.85, rel=0.01)


def test_too_few_jobs_for_the_load_are_refused_with_the_least_number():
    with pytest.raises(ConfigError, match=r"10 jobs cannot offer a load of 0\.85 to 20,000 GPUs: it takes \d+ at once"):
        synthesise(SynthesisSpec(jobs=10), gpus=20_000, seed=0)


def bytes_of(workload: Workload) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, workload.table.schema) as writer:
        writer.write_table(workload.table)
    return sink.getvalue().to_pybytes()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    spec = SynthesisSpec(days=1)
    first, again, other = (bytes_of(synthesise(spec, gpus=1_152, seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_drawing_one_class_anew_leaves_the_others_as_they_are():
    spec = SynthesisSpec(days=2)
    anew = replace(spec, classes=tuple(replace(c, redraw=1) if c.name == "battery" else c for c in spec.classes))
    before, after = (synthesise(one, gpus=4_000, seed=0) for one in (spec, anew))
    assert not rows(before, "battery").equals(rows(after, "battery"))
    for name in ("realtime", "training", "drug-discovery", "manufacturing"):
        assert rows(before, name).equals(rows(after, name))


def test_leaving_a_class_out_leaves_the_others_as_they_are():
    spec = SynthesisSpec(days=2, load=0.8)
    kept = tuple(replace(c, share=c.share / 0.9) for c in spec.classes if c.name != "drug-discovery")
    before = synthesise(spec, gpus=4_000, seed=0)
    after = synthesise(replace(spec, classes=kept, load=0.72), gpus=4_000, seed=0)
    assert not chosen(after, "job_class", "drug-discovery").any()
    for name in ("realtime", "training", "battery", "manufacturing"):
        assert rows(before, name).equals(rows(after, name))


def test_another_tenant_changes_who_submits_and_nothing_else():
    spec = SynthesisSpec(days=1)
    more = replace(spec, tenants=(*spec.tenants, Tenant(name="guest", weights={"training": 0.5})))
    before, after = (synthesise(one, gpus=2_000, seed=0) for one in (spec, more))
    strangers = ["tenant", "user"]
    assert before.table.drop_columns(strangers).equals(after.table.drop_columns(strangers))
    assert "guest" in after.table["tenant"].unique().to_pylist()


def test_a_longer_window_keeps_each_jobs_size_and_run_time():
    short, long = (synthesise(SynthesisSpec(days=days), gpus=1_000, seed=0) for days in (3, 6))
    sizes = dict(zip(long.table["job_id"].to_pylist(), long.table["gpus"].to_pylist(), strict=True))
    shared = [(row["gpus"], sizes.get(row["job_id"])) for row in short.table.select(["job_id", "gpus"]).to_pylist()
              if row["job_id"].startswith("training-finetune")]  # fmt: skip
    same = [one == other for one, other in shared]
    assert len(same) > 300
    assert np.mean(same) > 0.99


def test_no_job_is_larger_than_the_limit_and_the_load_is_still_met():
    workload = synthesise(SynthesisSpec(days=7), gpus=20_000, seed=0, max_gpus_per_job=256)
    assert workload.gpus.max() == 256
    assert work(workload).sum() / (20_000 * 7 * DAY) == pytest.approx(0.85, rel=0.01)


def test_a_limit_below_every_job_of_a_kind_is_refused():
    with pytest.raises(
        ConfigError, match=r"jobs of training-pretrain: no job is as small as 16 GPUs; the smallest has 256"
    ):
        synthesise(SynthesisSpec(), gpus=20_000, seed=0, max_gpus_per_job=16)
    with pytest.raises(ConfigError, match="a job takes 1 to gpus=100 GPUs, got max_gpus_per_job=200"):
        synthesise(SynthesisSpec(), gpus=100, seed=0, max_gpus_per_job=200)


def test_larger_sites_have_larger_campaigns():
    largest = [int(synthesise(SynthesisSpec(days=7), gpus=gpus, seed=0).gpus.max()) for gpus in (1_152, 20_000, 60_000)]
    assert largest == [256, 2_048, 4_096]


def test_time_limits_exceed_the_run_time_by_the_asked_factors():
    workload = synthesise(SynthesisSpec(days=1, limit_factor=(2.0, 10.0)), gpus=2_000, seed=0)
    batch = pc.is_null(workload.table["preemptible"]).to_numpy(zero_copy_only=False)  # no replicas of services
    limit, runtime = workload.floats("time_limit")[batch], workload.floats("runtime")[batch]
    assert np.all(limit >= 2 * runtime)
    assert np.all(limit <= 10 * runtime + 60)
    assert np.all(limit % 60 == 0)
    long = runtime > 3600
    assert np.median(limit[long] / runtime[long]) == pytest.approx(np.sqrt(20), rel=0.05)
    assert np.isnan(workload.floats("time_limit")[~batch]).all()


def test_time_limits_change_nothing_else():
    plain, limited = (synthesise(SynthesisSpec(days=1, limit_factor=f), gpus=1_000, seed=0) for f in (None, (1.0, 4.0)))
    assert plain.table.drop_columns("time_limit").equals(limited.table.drop_columns("time_limit"))


def test_progress_goes_from_0_to_1():
    seen: list[float] = []
    synthesise(SynthesisSpec(days=1), gpus=100, seed=0, progress=seen.append)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


def test_a_load_that_cannot_be_met_is_an_error_with_a_remedy():
    with pytest.raises(ConfigError, match=r"the jobs offer a load of .* too large for 1 GPU .* ask for more days"):
        synthesise(SynthesisSpec(days=0.01), gpus=1, seed=0)


def test_a_mapping_gives_the_spec_and_back():
    spec = SynthesisSpec.from_mapping({
        "days": 3,
        "load": 0.5,
        "limit_factor": [2, 5],
        "classes": {"training": {"share": 0.8, "source": {"philly": 1, "built-in": 2}, "redraw": 3}, "realtime": 0.2},
        "tenants": {"a": {"users": 9, "training": 1.0}, "b": {"realtime": 1.0}},
    })  # fmt: skip
    assert spec.days == 3
    assert spec.classes[0] == ClassShare(name="training", share=0.8, source={"philly": 1, "built-in": 2}, redraw=3)
    assert spec.classes[1].share == 0.2
    assert spec.tenants[0] == Tenant(name="a", users=9, weights={"training": 1.0})
    assert SynthesisSpec.from_mapping(spec.to_mapping()) == spec
    assert SynthesisSpec.from_mapping({}) == SynthesisSpec()
    assert SynthesisSpec.from_mapping(SynthesisSpec().to_mapping()) == SynthesisSpec()


def test_a_timestamp_of_toml_is_a_start():
    from tomllib import loads

    spec = SynthesisSpec.from_mapping(loads("start = 2027-07-05T00:00:00+09:00"))
    assert spec.start == "2027-07-05T00:00:00+09:00"


@pytest.mark.parametrize(
    ("mapping", "complaint"),
    [
        ({"laod": 0.5}, r"unknown workload key 'laod'; did you mean 'load'\?"),
        ({"classes": {"trainning": 1.0}}, r"unknown workload class 'trainning'; did you mean 'training'\?"),
        ({"classes": {"training": {"share": 1, "sorce": "philly"}}}, "class 'training' 'sorce'; did you mean 'source'"),
        ({"classes": {"training": {"share": 1, "source": "phily"}}}, "'training' 'phily'; did you mean 'philly'"),
        ({"classes": {"training": {"source": "philly"}}}, "class 'training' needs a share"),
        ({"classes": {"training": {"share": 1, "source": {"philly": 0}}}}, "no source with a weight above 0"),
        ({"classes": {"realtime": {"share": 1, "source": "philly"}}}, "class 'realtime' has no published source"),
        ({"classes": {"training": 0.5, "realtime": 0.2}}, r"must sum to 1, they sum to 0\.7"),
        ({"classes": {"training": 1.5}}, "above 0 and at most 1"),
        ({"classes": {}}, "at least one class"),
        ({"classes": 3}, "classes must be a table, got 3"),
        ({"tenants": {"a": {"trainin": 1}}}, r"did you mean 'training'\?"),
        ({"tenants": {"a": {"training": -1}}}, "it must be 0 or more"),
        ({"tenants": {"a": {"users": 0}}}, "at least 1 user"),
        ({"tenants": {"a//b": {"training": 1}}}, "a path of names with / between them, got 'a//b'"),
        ({"tenants": {"a": 1}}, "tenant 'a' must be a table"),
        ({"load": 0}, "load must be a positive number, got 0"),
        ({"load": "high"}, "load must be a number, got 'high'"),
        ({"load": True}, "load must be a number"),
        ({"days": float("nan")}, "days must be a positive number"),
        ({"jobs": 2.5}, "jobs must be a whole number"),
        ({"jobs": 0}, "jobs must be 1 or more"),
        ({"start": "2027-01-04"}, "with its offset"),
        ({"start": 4}, "start must be a timestamp"),
        ({"start": "tomorrow"}, "start must be like"),
        ({"hourly": [1, 2]}, "hourly needs 24 numbers"),
        ({"weekly": [0] * 7}, "one above 0"),
        ({"weekly": 1}, "weekly must be a list of numbers"),
        ({"limit_factor": [0.5, 2]}, "1 <= low <= high"),
        ({"zipf_exponent": -1}, "zipf_exponent must be 0 or more"),
    ],
)  # fmt: skip
def test_a_mapping_that_is_wrong_says_what_and_names_the_nearest(mapping, complaint):
    with pytest.raises(ConfigError, match=complaint):
        SynthesisSpec.from_mapping(mapping)


def test_tenants_and_sources_built_in_code_are_checked_too():
    with pytest.raises(ConfigError, match=r"unknown class of tenant 'a' 'trainin'; did you mean 'training'\?"):
        Tenant(name="a", weights={"trainin": 1.0})
    with pytest.raises(ConfigError, match="source 'philly' of 'training' has weight -1; it must be 0 or more"):
        ClassShare(name="training", share=1.0, source={"philly": -1})


def test_names_are_given_once():
    with pytest.raises(ConfigError, match="class 'training' is given twice"):
        SynthesisSpec(classes=(ClassShare(name="training", share=0.5), ClassShare(name="training", share=0.5)))


def test_a_number_of_jobs_needs_a_class_of_jobs():
    spec = SynthesisSpec(jobs=100, classes=(ClassShare(name="realtime", share=1.0),))
    with pytest.raises(ConfigError, match="needs a kind that is no service"):
        synthesise(spec, gpus=64, seed=0)


def test_a_workload_may_be_services_alone():
    workload = synthesise(SynthesisSpec(days=2, classes=(ClassShare(name="realtime", share=1.0),)), gpus=1_000, seed=0)
    assert work(workload).sum() / (1_000 * 2 * DAY) == pytest.approx(0.85, rel=0.001)


def test_every_figure_has_a_standing_and_a_source():
    figures = describe(SynthesisSpec())
    assert {one.standing for one in figures} == {"read", "computed", "assumption"}
    assert all(one.figure and one.value and one.source for one in figures)
    assert len({one.figure for one in figures}) == len(figures)


def test_the_users_own_figures_are_not_passed_off_as_published():
    spec = SynthesisSpec(weekly=(1, 1, 1, 1, 1, 0, 0), jobs=9_000, limit_factor=(2, 4))
    standing = {one.figure: (one.standing, one.source) for one in describe(spec)}
    assert standing["submissions by day, Monday to Sunday"] == ("assumption", "given by the user")
    assert standing["jobs"] == ("assumption", "given by the user")


def test_ends_are_told_by_jobs_and_by_gpu_time():
    # Acme data, cluster_summary.csv: Kalos' jobs 54.1 / 6.2 / 39.7 %, GPU time 31.3 / 60.7 / 8.0 %
    rows = {one.figure: one for one in describe(SynthesisSpec())}
    assert rows["training, pretrain: completed / cancelled / failed"].value == "54.1% / 6.2% / 39.7%"
    assert rows["training, pretrain: the same, by GPU time"].value == "31.3% / 60.7% / 8.0%"
    assert rows["training, pretrain: ends of segments"].standing == "assumption"


@pytest.mark.parametrize(
    ("given", "standing"),
    [({}, "computed"), ({"zipf_exponent": 0.0}, "assumption"), ({"user_sigma": 1.8}, "computed"),
     ({"user_sigma": 3.0}, "assumption")],
)  # fmt: skip
def test_a_skew_of_users_that_nobody_published_is_the_users_own(given, standing):
    figures = {one.figure: one.standing for one in describe(SynthesisSpec(**given))}
    assert next(value for name, value in figures.items() if "of a tenant's users" in name) == standing


def test_a_published_cluster_is_described_as_computed_from_its_data():
    rows = {one.figure: one for one in describe(only("helios"))}
    assert rows["training, helios-like: run time"].value == "p50 / p90 / p99 = 201 / 6,925 / 147,123 s"
    assert rows["training, helios-like: run time"].standing == "computed"
    assert rows["training, helios-like: activity"].standing == "computed"


def test_the_documentation_states_every_default_with_its_standing_and_source():
    text = re.sub(r"\s+", " ", " ".join(page.read_text(encoding="utf-8") for page in PAGES))
    missing = [one.figure for one in describe(SynthesisSpec()) if f"| {' | '.join(one)} |" not in text]
    assert missing == []
