"""The job table's own rules: each bad row is a rejection with line, column, value and reason, and nothing is lost."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from gpuyard.errors import ConfigError
from gpuyard.traces import cells
from gpuyard.traces.builder import JobRows
from gpuyard.traces.cells import as_instant, as_instants, as_numbers
from gpuyard.traces.processors import gpus_of_processors
from gpuyard.traces.trace import Trace
from gpuyard.workload import Workload

SEOUL_NOON = 1_772_420_400.0  # 2026-03-02 12:00 in Seoul


def read(*jobs: dict[str, object], absolute: bool = False, zone: str = "") -> Trace:
    """Return the trace of jobs on lines 1, 2, ...; id, submit time and GPUs are filled in where not given."""
    rows = JobRows(format="test", path=None)
    for number, job in enumerate(jobs, start=1):
        rows.add(number, **({"job_id": f"j{number}", "submit_time": 0.0, "gpus": 1} | job))
    trace = rows.finish(absolute=absolute, zone=zone)
    assert trace.rows_in == len(jobs) == trace.table.num_rows + len(trace.rejected)
    return trace


@pytest.mark.parametrize(
    ("job", "column", "value", "reason"),
    [
        ({"submit_time": None}, "submit_time", "", "missing"),
        ({"submit_time": float("nan")}, "submit_time", "nan", "not a finite number"),
        ({"submit_time": float("inf")}, "submit_time", "inf", "not a finite number"),
        ({"submit_time": 1.1e12}, "submit_time", "1100000000000.0", "beyond 1e12"),
        ({"runtime": -1}, "runtime", "-1.0", "between 0 and 1e12"),
        ({"runtime": 10**400}, "runtime", "1" + "0" * 79, "not a finite number"),
        ({"time_limit": -0.5}, "time_limit", "-0.5", "between 0 and 1e12"),
        ({"gpus": None}, "gpus", "", "missing"),
        ({"gpus": -1}, "gpus", "-1.0", "between 0 and 1000000"),
        ({"gpus": 10_000_000}, "gpus", "10000000.0", "between 0 and 1000000"),
        ({"gpus": 1.5}, "gpus", "1.5", "whole number"),
        ({"gpus": True}, "gpus", "True", "not a finite number"),
        ({"gpus": "8"}, "gpus", "8", "not a finite number"),
        ({"gpu_milli": 0}, "gpu_milli", "0.0", "between 1 and 1000"),
        ({"gpu_milli": 1001}, "gpu_milli", "1001.0", "between 1 and 1000"),
        ({"gpu_milli": 500, "gpus": 2}, "gpu_milli", "500.0", "needs a job of 1 GPU"),
        ({"nodes": 0}, "nodes", "0.0", "between 1 and"),
        ({"priority": 2**31}, "priority", "2147483648.0", "32 bits"),
        ({"activity": 1.01}, "activity", "1.01", "between 0 and 1"),
        ({"state": "COMPLETED"}, "state", "COMPLETED", "none of completed"),
        ({"start_time": 5.0, "end_time": 4.0}, "end_time", "4.0", "ends before it starts"),
        ({"job_id": ""}, "job_id", "", "missing"),
        ({"job_id": 7}, "job_id", "7", "not text"),
        ({"user": "\ud800"}, "user", "'\\ud800'", "not Unicode"),
        ({"spread": "yes"}, "spread", "yes", "not yes or no"),
        ({"depends_on": ["nobody"]}, "depends_on", "nobody", "not in the trace"),
        ({"depends_on": ["bad"]}, "depends_on", "bad", "circle"),
    ],
)
def test_a_bad_job_is_rejected_and_its_neighbours_are_kept(
    job: dict[str, object], column: str, value: str, reason: str
) -> None:
    trace = read({}, {"job_id": "bad"} | job, {})
    assert trace.table["job_id"].to_pylist() == ["j1", "j3"]
    assert trace.rows.to_pylist() == [1, 3]
    (rejection,) = trace.rejected
    assert (rejection.row, rejection.column, rejection.value) == (2, column, value)
    assert reason in rejection.reason
    assert len(Workload.from_trace(trace)) == 2


def test_a_share_of_1000_thousandths_is_a_whole_gpu() -> None:
    trace = read({"gpu_milli": 1000}, {"gpu_milli": 999}, {"gpu_milli": 1000, "gpus": 4})
    assert trace.table["gpu_milli"].to_pylist() == [None, 999, None]


def test_the_second_job_of_one_id_is_rejected_unless_the_first_was() -> None:
    trace = read({"job_id": "a"}, {"job_id": "a"}, {"job_id": "b", "gpus": -1}, {"job_id": "b"}, {"job_id": "a"})
    assert trace.table["job_id"].to_pylist() == ["a", "b"]
    assert [(each.row, each.reason) for each in trace.rejected] == [
        (2, "another job has this job_id"),
        (3, "GPUs must be between 0 and 1000000"),
        (5, "another job has this job_id"),
    ]


def test_a_circle_takes_down_what_waits_for_it_and_nothing_else() -> None:
    trace = read(
        {"job_id": "a", "depends_on": ["c"]},
        {"job_id": "b", "depends_on": ["a"]},
        {"job_id": "c", "depends_on": ["b"]},
        {"job_id": "d", "depends_on": ["c", "e"]},
        {"job_id": "e"},
        {"job_id": "f", "depends_on": ["e", "e"]},
    )
    assert trace.table["job_id"].to_pylist() == ["e", "f"]
    assert {each.reason for each in trace.rejected} == {"dependencies go in a circle, here or in a job it depends on"}


def test_jobs_below_a_rejected_job_are_rejected_with_it() -> None:
    trace = read(
        {"job_id": "a", "runtime": -1.0},
        {"job_id": "b", "depends_on": ["a"]},
        {"job_id": "c", "depends_on": ["b"]},
        {"job_id": "d"},
    )
    assert trace.table["job_id"].to_pylist() == ["d"]
    assert [each.reason for each in trace.rejected] == [
        "a duration must be between 0 and 1e12 s",
        "a job it depends on is not in the trace",
        "it depends, directly or not, on a job that was rejected",
    ]


def test_the_earliest_accepted_submission_is_the_origin() -> None:
    trace = read(
        {"submit_time": SEOUL_NOON + 60.25, "start_time": SEOUL_NOON + 61.5, "end_time": SEOUL_NOON + 61.500001},
        {"submit_time": SEOUL_NOON - 3600, "gpus": -1},
        {"submit_time": SEOUL_NOON},
        absolute=True,
        zone="Asia/Seoul",
    )
    assert trace.table["submit_time"].to_pylist() == [60.25, 0.0]
    assert trace.table["end_time"].to_pylist() == [61.500001, None]
    metadata = trace.table.schema.metadata
    assert metadata[b"gpuyard.origin"] == b"2026-03-02T12:00:00+09:00"
    assert metadata[b"gpuyard.zone"] == b"Asia/Seoul"
    assert metadata[b"gpuyard.format"] == b"test"


def test_an_instant_before_the_year_1_is_rejected() -> None:
    trace = read({"submit_time": -7e10}, {"submit_time": 0.0}, absolute=True)
    assert [each.reason for each in trace.rejected] == ["the time is outside the years 1 to 9999"]
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"1970-01-01T00:00:00"


def test_the_file_order_stays_and_the_workload_sorts() -> None:
    trace = read({"submit_time": 9.0}, {"submit_time": 3.0})
    assert trace.table["job_id"].to_pylist() == ["j1", "j2"]
    assert Workload.from_trace(trace).table["job_id"].to_pylist() == ["j2", "j1"]


def test_a_long_value_is_cut_to_80_characters() -> None:
    (rejection,) = read({"state": "=cmd()" * 100}).rejected
    assert rejection.value == ("=cmd()" * 100)[:80]


@pytest.mark.parametrize(
    ("text", "number"),
    [("8", 8.0), (" 8 ", 8.0), ("+1.5e3", 1500.0), (".5", 0.5), ("5.", 5.0), ("-0", -0.0)],
)
def test_numbers_are_decimal(text: str, number: float) -> None:
    values, wrong = as_numbers(pa.chunked_array([[text, "no"]]))
    assert values[0] == number
    assert wrong.tolist() == [False, True]


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "0x10", "1_000", "1,5", "٣", "1 2", "--1", ""])
def test_other_things_are_no_numbers(text: str) -> None:
    for column in ([text], [text, "no"]):
        values, wrong = as_numbers(pa.chunked_array([column]))
        assert np.isnan(values[0])
        assert wrong[0]


def test_only_odd_cells_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr(cells, "_number", lambda text: looked_at.append(text) or float("nan"))
    column = ["1", "", "-2.5", "3e2", " 4", "+5", ".5", "many", ""]
    values, wrong = as_numbers(pa.chunked_array([column]))
    assert looked_at == [" 4", "+5", ".5", "many"]
    assert np.nan_to_num(values, nan=-1).tolist() == [1, -1, -2.5, 300, -1, -1, -1, -1, -1]
    looked_at.clear()
    assert as_numbers(pa.chunked_array([["1", "", "2"]]))[1].tolist() == [False, True, False]
    assert looked_at == []
    assert wrong.tolist() == [False, True, False, False, *[True] * 5]


def test_one_odd_timestamp_does_not_change_how_the_others_are_read() -> None:
    good = ["2017-10-09 07:00:00", "2017-10-09T07:00:00.250000", "2017-10-09"]
    alone = as_instants(pa.chunked_array([good]))[0]
    mixed, wrong, is_naive = as_instants(pa.chunked_array([[*good, "2017-02-30 00:00:00"]]))
    assert mixed[:3].tolist() == alone.tolist() == [1507532400.0, 1507532400.25, 1507507200.0]
    assert wrong.tolist() == [False, False, False, True]
    assert is_naive


def test_a_zone_moves_naive_times_and_leaves_stated_offsets() -> None:
    texts = pa.chunked_array([["2017-10-09 07:00:00", "2017-10-09 07:00:00+02:00", "2017-10-09 07:00:00Z"]])
    seconds, wrong, is_naive = as_instants(texts, "America/Los_Angeles")
    assert (seconds - 1507532400.0).tolist() == [7 * 3600, -2 * 3600, 0]
    assert not wrong.any()
    assert not is_naive


def test_in_the_hour_that_comes_twice_the_earlier_instant_is_meant() -> None:
    texts = ["2017-11-05 01:30:00", "2017-11-05 02:30:00.5"]
    seconds, *_ = as_instants(pa.chunked_array([texts]), "America/Los_Angeles")
    assert seconds.tolist() == [1509870600.0, 1509877800.5]  # 08:30 UTC in summer time, 10:30 UTC in winter time
    alone = [as_instant(text, ZoneInfo("America/Los_Angeles")) for text in texts]
    assert alone == seconds.tolist()


def test_an_unknown_zone_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="unknown time zone 'Mars/Olympus'; give an IANA name"):
        as_instants(pa.chunked_array([["2017-10-09"]]), "Mars/Olympus")


@pytest.mark.parametrize("text", ["", "None", "0000-01-01", "2017-13-01", "2017-1-1", "20171009", "2017-W01-1", "now"])
def test_other_things_are_no_timestamps(text: str) -> None:
    assert as_instant(text, None) is None


@pytest.mark.parametrize(
    ("rule", "processors", "gpus"),
    [
        ("processor:1", [0, 1, 8], [0, 1, 8]),
        ("processor:0.25", [1, 4, 5], [1, 1, 2]),
        ("processor:1/8", [8, 9, 64], [1, 2, 8]),
        ("node:2:8", [0, 1, 8, 9, 1152], [0, 2, 2, 4, 288]),
    ],
)
def test_gpus_follow_from_processors_by_the_rule(rule: str, processors: list[float], gpus: list[float]) -> None:
    assert gpus_of_processors(np.array(processors, dtype=float), rule).tolist() == gpus


def test_unknown_processors_stay_unknown() -> None:
    assert np.isnan(gpus_of_processors(np.array([np.nan, -1.0]), "processor:1")).all()


@pytest.mark.parametrize(
    "rule", ["", "processor", "processor:0", "node:2", "node:2:0", "processor:1:8", "gpu:1", "processor:-1"]
)
def test_a_rule_of_another_form_is_a_config_error(rule: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used; write processor:K"):
        gpus_of_processors(np.array([1.0]), rule)
