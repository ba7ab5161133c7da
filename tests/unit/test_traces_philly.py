"""Philly: the JSON log with its attempts, and the reduced CSV."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuyard import traces
from gpuyard.errors import InputError
from gpuyard.traces import ReadOptions

SAMPLES = Path(__file__).parents[2] / "traces" / "samples"
JOB = {
    "status": "Pass",
    "vc": "aa01",
    "jobid": "good",
    "attempts": [],
    "submitted_time": "2017-10-07 01:00:00",
    "user": "u1",
}


def write(folder: Path, jobs: object) -> Path:
    path = folder / "cluster_job_log"
    path.write_text(jobs if isinstance(jobs, str) else json.dumps(jobs))
    return path


def test_the_reduced_csv_keeps_its_order_and_its_repeated_rows() -> None:
    trace = traces.read(SAMPLES / "philly.csv")
    assert trace.table["job_id"].to_pylist() == ["row-2", "row-3", "row-4", "row-5", "row-6", "row-7"]
    assert trace.table["submit_time"].to_pylist() == [3600.0, 0.0, 30.0, 3600.0, 64800.0, 64799.0]
    assert trace.table["runtime"].to_pylist() == [60.0, 3000.0, 120.0, 60.0, 86400.0, 5.0]
    assert trace.table["gpus"].to_pylist() == [1, 2, 8, 1, 16, 1]
    assert trace.table["tenant"].to_pylist() == ["aa01", "bb02", "aa01", "aa01", "cc03", "bb02"]
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2017-10-09T06:00:00"
    assert any("1 row like an earlier row" in note for note in trace.notes)
    assert any("no time zone" in note for note in trace.notes)


def test_a_zone_gives_the_origin_its_offset_and_ends_the_note() -> None:
    trace = traces.read(SAMPLES / "philly.csv", options=ReadOptions(zone="America/Los_Angeles"))
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2017-10-09T06:00:00-07:00"
    assert trace.table.schema.metadata[b"gpuyard.zone"] == b"America/Los_Angeles"
    assert not any("no time zone" in note for note in trace.notes)


def test_the_log_sums_attempts_and_keeps_first_start_and_last_end() -> None:
    trace = traces.read(SAMPLES / "philly_job_log.json")
    columns = ["submit_time", "start_time", "end_time", "runtime", "gpus", "nodes", "state", "tenant", "user"]
    assert [tuple(job.values()) for job in trace.table.select(columns).to_pylist()] == [
        (1800.0, 1830.0, 2430.0, 600.0, 16, 2, "completed", "aa01", "u1"),
        (5340.0, 5400.0, 7500.0, 60.0 + 1800.0, 1, 1, "cancelled", "bb02", "u2"),
        (0.0, None, None, None, 0, None, "failed", "aa01", "u1"),
        (81000.0, 84600.0, None, None, 2, 1, "completed", "aa01", "u3"),
    ]
    assert [(each.row, each.column, each.reason) for each in trace.rejected] == [
        (5, "submit_time", "the value is missing")
    ]
    assert any("1 job without an attempt" in note for note in trace.notes)
    assert any("1 job with an attempt without" in note for note in trace.notes)


def test_an_attempt_across_the_clock_change_lasts_as_long_as_it_did(tmp_path: Path) -> None:
    night = {"start_time": "2017-11-05 00:30:00", "end_time": "2017-11-05 02:30:00", "detail": []}
    path = write(tmp_path, [JOB | {"attempts": [night]}])
    runtimes = [
        traces.read(path, options=ReadOptions(zone=zone)).table["runtime"][0].as_py()
        for zone in (None, "America/Los_Angeles")
    ]
    assert runtimes == [7200.0, 10800.0]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"status": "Running"}, "status"),
        ({"status": ["Pass"]}, "status"),
        ({"jobid": 7}, "job_id"),
        ({"jobid": "\ud800"}, "job_id"),
        ({"submitted_time": "yesterday"}, "submitted_time"),
        ({"submitted_time": 1507338000}, "submitted_time"),
        ({"submitted_time": ["x"]}, "submitted_time"),
        ({"attempts": None}, "attempts"),
        ({"attempts": [3]}, "attempts"),
        ({"attempts": [{"start_time": None, "end_time": None, "detail": [{"ip": "m1"}]}]}, "detail"),
        (
            {"attempts": [{"start_time": "2017-10-07 01:00:01", "end_time": "2017-10-07 01:00:00", "detail": []}]},
            "end_time",
        ),
    ],
)
def test_a_bad_element_is_rejected_by_its_number(tmp_path: Path, change: dict[str, object], column: str) -> None:
    trace = traces.read(
        write(tmp_path, [JOB, JOB | {"jobid": "bad"} | change, JOB | {"jobid": "next"}]), format="philly"
    )
    assert trace.table["job_id"].to_pylist() == ["good", "next"]
    assert [(each.row, each.column) for each in trace.rejected] == [(2, column)]
    assert trace.rows_in == 3


def test_an_element_that_is_no_job_is_rejected(tmp_path: Path) -> None:
    trace = traces.read(write(tmp_path, [JOB, 7, "job", None, [JOB]]), format="philly")
    assert (trace.rows_in, trace.table.num_rows) == (5, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"jobid": "a", "attempts": [', "this is not JSON"),
        ('{"jobid": "a"}', "must hold a list"),
        ("[" * 100_000, "cannot be read"),
        ("[" + "9" * 10_000 + "]", "cannot be read"),
    ],
)
def test_what_is_no_list_of_jobs_is_an_input_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        traces.read(write(tmp_path, text), format="philly")


def test_bad_rows_of_the_csv_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "philly.csv"
    path.write_text(
        "timestamp,duration,num_gpus,gpu_time,cluster\n"
        "2017-10-09 07:00:00,60.0,1,60.0,a\n"
        "2017-02-29 07:00:00,60.0,1,60.0,a\n"
        "2017-10-09 07:00:00,-60.0,1,60.0,a\n"
        "2017-10-09 07:00:00,,1,60.0,a\n"
        "2017-10-09 07:00:00,60.0,,60.0,a\n"
    )
    trace = traces.read(path)
    assert [(each.row, each.column, each.value) for each in trace.rejected] == [
        (3, "timestamp", "2017-02-29 07:00:00"),
        (4, "duration", "-60.0"),
        (6, "num_gpus", ""),
    ]
    assert trace.table["runtime"].to_pylist() == [60.0, None]
