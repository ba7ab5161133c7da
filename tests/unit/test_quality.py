"""The data-quality report: each finding on a trace made to have it, and on one made not to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.errors import ConfigError
from gpuyard.policy import named_policy
from gpuyard.quality import QualityReport, examine, recorded_use
from gpuyard.traces.schema import ORIGIN, SOURCE_FORMAT, ZONE, job_schema
from gpuyard.traces.trace import Rejection, Trace
from reference import Room, Rule, place
from reference import read as read_jobs
from strategies import clusters, workloads

FACTS = {ORIGIN: b"2024-01-01T00:00:00+09:00", SOURCE_FORMAT: b"swf", ZONE: b"Asia/Seoul"}


def trace(
    *jobs: dict[str, Any], facts: dict[bytes, bytes] | None = None, rejected: tuple[Rejection, ...] = ()
) -> Trace:
    """Return a trace whose first job stands on line 2; jobs have 1 GPU, 60 s and a limit unless they say otherwise."""
    rows = [
        {"job_id": str(at), "submit_time": float(at), "gpus": 1, "runtime": 60.0, "time_limit": 99.0, **job}
        for at, job in enumerate(jobs)
    ]
    return Trace(
        table=pa.Table.from_pylist(rows, schema=job_schema({**FACTS, **(facts or {})})),
        rows=pa.array(np.arange(2, len(rows) + 2)), rejected=rejected, rows_in=len(rows) + len(rejected), format="swf",
    )  # fmt: skip


def found(report: QualityReport) -> dict[str, tuple[int, tuple[int, ...]]]:
    return {item.code: (item.count, item.rows) for item in report.findings}


def test_a_sound_trace_has_facts_and_no_findings() -> None:
    jobs = trace(
        {"start_time": 10.0, "end_time": 70.0, "gpus": 4},
        {"start_time": 1.0, "end_time": 61.0, "gpus": 8, "runtime": 60.0},
        {"submit_time": 100.0, "gpu_milli": 500, "start_time": 130.0, "end_time": 190.0},
    )
    report = examine(jobs)
    assert report.findings == ()
    assert (report.rows_in, report.jobs, report.selected_jobs) == (3, 3, 3)
    assert (report.first_submit_s, report.last_submit_s, report.last_end_s) == (0.0, 100.0, 190.0)
    assert (report.origin, report.zone, report.format) == ("2024-01-01T00:00:00+09:00", "Asia/Seoul", "swf")
    assert report.gpu_hours == pytest.approx((4 * 60 + 8 * 60 + 0.5 * 60) / 3600)
    assert report.sizes == {1: 1, 4: 1, 8: 1}
    assert report.shared_gpu_jobs == 1
    assert report.wait_s == {"mean": 40 / 3, "p50": 10.0, "max": 30.0}
    assert (report.peak_gpus, report.peak_time_s) == (12.0, 10.0)
    assert (report.median_gap_s, report.longest_gap_s) == (50.0, 99.0)


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ({"runtime": None}, "no_runtime"),
        ({"runtime": 0.0}, "zero_runtime"),
        ({"runtime": 99.000001}, "past_limit"),
        ({"start_time": 0.5}, "start_before_submit"),
        ({"start_time": 5.0, "end_time": 66.0}, "times_disagree"),
        ({"time_limit": None}, "no_limit"),
        ({"gpus": 0}, "nothing_held"),
        ({"state": "running"}, "truncated_tail"),
    ],
)
def test_one_odd_job_is_counted_and_its_line_named(job: dict[str, Any], code: str) -> None:
    assert found(examine(trace({}, job, {"submit_time": 7.0}))) == {code: (1, (3,))}


def test_a_run_exactly_to_its_limit_is_sound() -> None:
    assert examine(trace({"runtime": 99.0})).findings == ()


def test_a_cpu_job_holds_something() -> None:
    assert examine(trace({"gpus": 0, "cpus": 4.0})).findings == ()


def test_rows_that_repeat_an_earlier_one_are_counted_without_it() -> None:
    same = {"submit_time": 5.0, "user": "ann"}
    report = examine(trace(same, {"submit_time": 5.0}, same, {"submit_time": 5.0, "user": "bob"}, same))
    assert found(report) == {"repeated_rows": (2, (4, 6))}


def test_lists_and_nulls_count_when_rows_are_compared() -> None:
    same = {"submit_time": 5.0, "depends_on": ["0", "1"]}
    report = examine(trace({}, {}, same, {"submit_time": 5.0, "depends_on": ["01"]}, same, {"submit_time": 5.0}))
    assert found(report)["repeated_rows"] == (1, (6,))


def test_rows_out_of_order_are_those_below_a_later_one() -> None:
    assert found(examine(trace({"submit_time": 9.0}, {"submit_time": 3.0}, {"submit_time": 5.0}))) == {
        "unsorted": (1, (3,))
    }


def test_a_gap_needs_a_day_and_a_hundred_times_the_usual_pause() -> None:
    every_hour = [{"submit_time": 3600.0 * at} for at in range(30)]
    after = {"submit_time": 3600.0 * 29 + 3600 * 101}
    assert found(examine(trace(*every_hour, after))) == {"submission_gap": (1, (32,))}
    sooner = {"submit_time": 3600.0 * 29 + 3600 * 99}
    assert found(examine(trace(*every_hour, sooner))) == {}
    seconds = [{"submit_time": float(at)} for at in range(30)]
    assert found(examine(trace(*seconds, {"submit_time": 29 + 86_400.0}))) == {}
    assert found(examine(trace(*seconds, {"submit_time": 30 + 86_400.0}))) == {"submission_gap": (1, (32,))}


@pytest.mark.parametrize(
    ("origin", "codes"),
    [
        (b"", ["no_origin"]),
        (b"yesterday", ["no_origin"]),
        (b"2024-01-01T00:00:00", ["zone_unknown"]),
        (b"2024-01-01T00:00:00+00:00", []),
    ],
)
def test_what_is_not_known_of_the_clock(origin: bytes, codes: list[str]) -> None:
    assert list(found(examine(trace({}, facts={ORIGIN: origin})))) == codes


def test_many_ends_in_the_last_instant_are_a_cut() -> None:
    cut = [{"submit_time": 0.0, "start_time": 0.0, "end_time": 60.0 + at, "runtime": 60.0 + at} for at in range(3)]
    last = [
        {"submit_time": float(at), "start_time": 5.0 + at, "end_time": 90.0, "runtime": 85.0 - at} for at in range(10)
    ]
    assert found(examine(trace(*cut, *last))) == {"truncated_tail": (10, (5, 6, 7, 8, 9))}
    assert found(examine(trace(*cut, *last[1:]))) == {}


def test_rejections_are_grouped_by_column_and_reason() -> None:
    rejected = (
        Rejection(9, "submit", "-1", "the value is missing"), Rejection(11, "submit", "-1", "the value is missing"),
        Rejection(12, "", "1 2", "the line does not have 18 fields"),
    )  # fmt: skip
    report = examine(trace({}, rejected=rejected))
    assert report.rejected == {"the value is missing": 2, "the line does not have 18 fields": 1}
    first, second, third = report.findings
    assert (first.count, first.share, first.rows, first.severity) == (2, 0.5, (9, 11), "lost")
    assert first.explanation == "submit: the value is missing"
    assert second.rows == (12,)
    assert (third.code, third.rows) == ("unreadable_end", (9, 11, 12))


def test_lost_comes_before_doubtful_before_notes() -> None:
    report = examine(trace({"submit_time": 5.0}, {"runtime": None}, {"runtime": 0.0}))
    assert [item.severity for item in report.findings] == ["lost", "doubtful", "note"]


def test_ends_make_room_for_starts_of_the_same_instant() -> None:
    start, end = np.array([0.0, 10.0, 10.0]), np.array([10.0, 20.0, 15.0])
    use = recorded_use(start, end, np.array([8000, 4000, 4500]), 8)
    assert use is not None
    assert (use.peak_gpus, use.peak_time) == (8.5, 10.0)
    assert (use.first_over, use.over_s) == (10.0, 5.0)
    assert use.over_gpu_hours == pytest.approx(0.5 * 5 / 3600)


def test_without_recorded_starts_there_is_no_use() -> None:
    assert recorded_use(np.array([np.nan]), np.array([5.0]), np.array([1000])) is None
    assert examine(trace({})).peak_gpus is None


def test_a_record_that_needs_more_gpus_than_there_are_is_found() -> None:
    jobs = trace(
        {"start_time": 0.0, "end_time": 60.0, "gpus": 6}, {"start_time": 30.0, "end_time": 90.0, "gpus": 4},
        {"start_time": 70.0, "end_time": 130.0, "gpus": 4},
    )  # fmt: skip
    report = examine(jobs, cluster=cluster(8))
    assert found(report) == {"oversubscribed": (2, (2, 3))}
    finding = report.finding("oversubscribed")
    assert finding is not None
    assert "up to 10 GPUs of 8 (at 30 s), more than there are for 30 s in all, 0.02 GPU-hours" in finding.explanation
    assert examine(jobs, cluster=cluster(10)).findings == ()


def test_jobs_the_empty_cluster_cannot_hold_are_found() -> None:
    site = cluster(("a", 4), ("a", 4), ("b", 2))
    jobs = trace(
        {"gpus": 8}, {"gpus": 9}, {"gpus": 4, "gpu_type": "b"}, {"gpus": 2, "gpu_type": "c|b"},
        {"gpus": 1, "gpu_type": "c"}, {"gpus": 10, "spread": True}, {"gpus": 11, "spread": True},
        {"gpus": 8, "nodes": 3}, {"gpus": 2, "nodes": 3},
    )  # fmt: skip
    assert found(examine(jobs, cluster=site))["larger_than_cluster"] == (6, (3, 4, 6, 8, 9))


def test_a_share_of_a_gpu_on_two_nodes_does_not_fit_whatever_spread_says() -> None:
    jobs = trace({"gpu_milli": 500, "nodes": 2, "spread": True})
    assert found(examine(jobs, cluster=cluster(8, 8)))["larger_than_cluster"] == (1, (2,))


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_what_does_not_fit_is_what_the_reference_simulator_cannot_place(data: st.DataObject) -> None:
    site = data.draw(clusters())
    jobs = data.draw(workloads(site))
    wanted = {
        job.row
        for job in read_jobs(jobs, named_policy("fifo"))
        # CPUs, memory and nodes to oneself are another question; so is a job without GPUs.
        if job.gpus and place(_gpus_only(site), _gpus_only_job(job), Rule(placement="first-fit", seed=0)) is None
    }
    finding = examine(None, jobs, site).finding("larger_than_cluster")
    assert (finding.count if finding else 0) == len(wanted)
    assert (finding.rows if finding else ()) == tuple(row + 1 for row in sorted(wanted)[:5])


def _gpus_only(site: Any) -> Room:
    room = Room(site, [])
    room.cpus = room.memory = None
    return room


def _gpus_only_job(job: Any) -> Any:
    from dataclasses import replace

    return replace(job, cpus=None, memory=None, exclusive=False, segment=None)


def test_only_the_selected_jobs_are_held_against_the_cluster() -> None:
    jobs = trace({"gpus": 99}, {"gpus": 1}, {"gpus": 99})
    from gpuyard.workload import Workload

    selected = Workload.from_trace(jobs).window(1, 9)
    report = examine(jobs, selected, cluster(8))
    assert found(report) == {"larger_than_cluster": (1, (4,))}
    assert (report.jobs, report.selected_jobs) == (3, 2)
    assert report.notes == ("window 1 s to 9 s: 1 of 3 jobs left out",)


def test_a_workload_without_a_file_is_examined_by_its_rows() -> None:
    report = examine(None, workload((0, 60, 1), (1, None, 1)))
    assert report.finding("no_runtime").rows == (2,)
    assert report.name == "workload"


def test_nothing_to_examine_is_an_error() -> None:
    with pytest.raises(ConfigError, match="give a trace or a workload"):
        examine(None)


def test_a_trace_of_rejections_only_is_reported() -> None:
    report = examine(trace(rejected=(Rejection(2, "", "x", "the line does not have 18 fields"),)), cluster=cluster(8))
    assert (report.jobs, report.first_submit_s, report.longest_gap_s, report.gpu_hours) == (0, None, None, 0.0)
    assert ("submissions", "none") in report.rows()


def test_the_report_goes_to_json_and_to_a_table() -> None:
    report = examine(trace({"gpus": 8}, {"runtime": 0.0, "gpus": 8}, {"gpus": 99}), cluster=cluster(8))
    facts = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert facts["sizes"] == {"8": 2, "99": 1}
    assert facts["findings"][0]["code"] == "larger_than_cluster"
    table = dict(report.rows())
    assert table["jobs by GPUs"] == "8: 2, 99: 1"
    assert "selected" not in table
    assert report.finding("zero_runtime").lines() == [
        "doubtful: zero_runtime, 1 (33.33 %): the run time is 0",
        "line 3",
        "they wait for GPUs and leave at once; leave them out if they never ran",
    ]
    assert report.verdict().startswith("3 of 3 rows are jobs; findings: 1 lost, 1 doubtful, ")
    assert not report.is_clean()
    assert examine(trace({"gpus": 8})).is_clean()
