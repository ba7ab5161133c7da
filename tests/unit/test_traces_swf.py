"""SWF: each field as the format's definition has it, and every line accounted for."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.errors import InputError
from gpuyard.traces import recognise
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.swf import read
from gpuyard.traces.trace import Trace
from gpuyard.workload import Workload

HEADER = """; Version: 2.2
; Computer: Toy
; UnixStartTime: 843480031
; TimeZoneString: Europe/Stockholm
; MaxProcs: 100
; Note: THIS IS A CLEANED LOG
;       user=2 (3 jobs removed)
;
; Queue: 1 normal
"""
JOB = "1 10 5 60 8 -1 -1 8 120 1048576 1 7 3 4 1 2 -1 -1\n"


def swf(folder: Path, text: str, **options: str) -> Trace:
    path = folder / "log.swf"
    path.write_text(text)
    return read(path, ReadOptions(**options))


def job(trace: Trace, row: int = 0) -> dict[str, object]:
    return {key: value for key, value in trace.table.to_pylist()[row].items() if value is not None}


def test_every_field_goes_where_the_definition_says(tmp_path: Path) -> None:
    trace = swf(tmp_path, HEADER + JOB)
    assert job(trace) == {
        "job_id": "1", "submit_time": 10.0, "start_time": 15.0, "end_time": 75.0, "runtime": 60.0, "time_limit": 120.0,
        "gpus": 8, "memory_gib": 8.0, "tenant": "3", "user": "7", "partition": "2", "qos": "1", "job_name": "4",
        "state": "completed",
    }  # fmt: skip
    assert trace.rows.to_pylist() == [10]
    assert trace.rows_in == 1


def test_the_header_gives_origin_zone_and_notes(tmp_path: Path) -> None:
    trace = swf(tmp_path, HEADER + JOB)
    # The KTH log's own header translates this second: Mon Sep 23 14:00:31 CEST 1996.
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"1996-09-23T14:00:31+02:00"
    assert trace.table.schema.metadata[b"gpuyard.zone"] == b"Europe/Stockholm"
    assert "header: Computer Toy; MaxProcs 100" in trace.notes
    assert "header: queues are 1 normal" in trace.notes
    assert "header: THIS IS A CLEANED LOG user=2 (3 jobs removed)" in trace.notes


def test_a_zone_that_is_none_is_not_believed(tmp_path: Path) -> None:
    trace = swf(tmp_path, HEADER.replace("Europe/Stockholm", "Atlantis/North") + JOB)
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"1996-09-23T12:00:31+00:00"
    assert trace.table.schema.metadata[b"gpuyard.zone"] == b""


def test_minus_one_is_null_and_nothing_else_is(tmp_path: Path) -> None:
    trace = swf(tmp_path, "1 0 -1 50 4 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1\n")
    assert job(trace) == {"job_id": "1", "submit_time": 0.0, "runtime": 50.0, "gpus": 4}


def test_a_job_that_never_ran_has_no_run_time(tmp_path: Path) -> None:
    lines = (
        "1 0 900 0 -1 -1 -1 128 60 -1 5 1 1 -1 -1 -1 -1 -1\n"  # cancelled in the queue: run 0, no allocation
        "2 0 9 -1 16 -1 -1 16 60 -1 5 1 1 -1 -1 -1 -1 -1\n"  # no run time at all
        "3 0 9 0 16 -1 -1 16 60 -1 0 1 1 -1 -1 -1 -1 -1\n"  # ran for 0 s
    )
    trace = swf(tmp_path, lines)
    assert trace.table["runtime"].to_pylist() == [None, None, 0.0]
    assert trace.table["start_time"].to_pylist() == [None, None, 9.0]
    assert trace.table["gpus"].to_pylist() == [128, 16, 16]
    assert "2 jobs never ran: no run time" in trace.notes
    assert "1 job without allocated processors: those requested are taken" in trace.notes


def test_status_numbers_become_states(tmp_path: Path) -> None:
    lines = "".join(
        f"{at} 0 0 9 1 -1 -1 1 9 -1 {status} 1 1 1 1 1 -1 -1\n" for at, status in enumerate((0, 1, 5, 2, -1))
    )
    states = swf(tmp_path, lines).table["state"].to_pylist()
    assert states == ["failed", "completed", "cancelled", "running", None]


def test_parts_of_a_job_that_has_its_own_line_are_not_jobs(tmp_path: Path) -> None:
    lines = (
        "1 0 0 90 4 -1 -1 4 99 -1 1 1 1 1 1 1 -1 -1\n"
        "1 0 0 40 4 -1 -1 4 99 -1 2 1 1 1 1 1 -1 -1\n"
        "1 0 9 50 4 -1 -1 4 99 -1 3 1 1 1 1 1 -1 -1\n"
        "2 5 0 10 4 -1 -1 4 99 -1 2 1 1 1 1 1 -1 -1\n"
    )
    trace = swf(tmp_path, lines)
    assert trace.table["job_id"].to_pylist() == ["1", "2"]
    assert trace.table["runtime"].to_pylist() == [90.0, 10.0]
    assert [(item.row, item.reason) for item in trace.rejected] == [
        (2, "one part of a job that has a line of its own"),
        (3, "one part of a job that has a line of its own"),
    ]


def test_a_preceding_job_on_an_earlier_line_is_a_dependency(tmp_path: Path) -> None:
    lines = (
        "1 0 0 90 4 -1 -1 4 99 -1 1 1 1 1 1 1 2 30\n"  # waits for a later line
        "2 5 0 90 4 -1 -1 4 99 -1 1 1 1 1 1 1 1 45\n"
        "3 6 0 90 4 -1 -1 4 99 -1 1 1 1 1 1 1 77 9\n"  # waits for a job that is not there
    )
    trace = swf(tmp_path, lines)
    assert trace.table["depends_on"].to_pylist() == [None, ["1"], None]
    assert trace.table["think_time"].to_pylist() == [None, 45.0, None]
    assert "2 jobs with a preceding job that is on no earlier line: taken as independent" in trace.notes


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("2 10 5 60 8 -1 -1 8 120\n", "", "the line does not have 18 fields"),
        ("2 10 5 60 8 -1 -1 8 120 -1 1 7 3 4 1 2 -1 -1 9\n", "", "the line does not have 18 fields"),
        ("2 ten 5 60 8 -1 -1 8 120 -1 1 7 3 4 1 2 -1 -1\n", "submit", "this is not a finite number"),
        ("2 10 5 1e999 8 -1 -1 8 120 -1 1 7 3 4 1 2 -1 -1\n", "run", "this is not a finite number"),
        ("2 10 -7 60 8 -1 -1 8 120 -1 1 7 3 4 1 2 -1 -1\n", "wait", "a wait must not be negative"),
        ("2 10 5 -60 8 -1 -1 8 120 -1 1 7 3 4 1 2 -1 -1\n", "run", "a duration must be between 0 and 1e12 s"),
        ("2 -1 5 60 8 -1 -1 8 120 -1 1 7 3 4 1 2 -1 -1\n", "submit", "the value is missing"),
        ("2 10 5 60 -1 -1 -1 -1 120 -1 1 7 3 4 1 2 -1 -1\n", "allocated",
         "neither allocated nor requested processors are known"),
        ("1 10 5 60 8 -1 -1 8 120 -1 1 7 3 4 1 2 -1 -1\n", "job", "another job has this job_id"),
        ("2 10 5 60 8 -1 -1 8 120 -1 9 7 3 4 1 2 -1 -1\n", "status", "the state is none of 0, 1, 2, 3, 4, 5"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_job_is_named_with_its_reason(tmp_path: Path, line: str, column: str, reason: str) -> None:
    trace = swf(tmp_path, HEADER + JOB + "\n;a comment in between\n" + line + JOB.replace("1 10", "3 11", 1))
    assert trace.table["job_id"].to_pylist() == ["1", "3"]
    assert [(item.row, item.column, item.reason) for item in trace.rejected] == [(13, column, reason)]
    assert trace.rows_in == 3
    assert trace.rows.to_pylist() == [10, 14]


def test_tabs_carriage_returns_and_indents_do_not_matter(tmp_path: Path) -> None:
    odd = "  " + JOB.strip().replace(" ", "\t ") + "\r\n"
    assert swf(tmp_path, odd).table.equals(swf(tmp_path, JOB).table)


def test_a_packed_log_reads_the_same_and_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "log.swf.gz"
    path.write_bytes(gzip.compress((HEADER + JOB).encode()))
    assert recognise(path) == "swf"
    assert read(path, ReadOptions()).table.equals(swf(tmp_path, HEADER + JOB).table)


def test_text_that_is_no_swf_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("1 2 3\n")
    with pytest.raises(InputError, match="no known trace format"):
        recognise(path)


def test_a_header_in_another_encoding_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "log.swf"
    path.write_bytes("; Acknowledge: Åke\n".encode("latin-1") + JOB.encode() + JOB.replace("1 10", "é 11", 1).encode())
    trace = read(path, ReadOptions())
    assert trace.table.num_rows == 1
    assert trace.reasons() == {"the line is not plain text": 1}


def test_a_log_without_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a header and no jobs"):
        swf(tmp_path, HEADER)


def test_processors_are_cpu_cores_where_they_are_not_gpus(tmp_path: Path) -> None:
    trace = swf(tmp_path, JOB, gpu_rule="node:2:4")
    assert (trace.table["gpus"].to_pylist(), trace.table["cpus"].to_pylist()) == ([4], [8.0])
    assert swf(tmp_path, JOB).table["cpus"].to_pylist() == [None]


def test_times_with_decimals_are_exact_to_the_microsecond(tmp_path: Path) -> None:
    trace = swf(tmp_path, "1 0.1 0.2 0.000001 1 -1 -1 1 -1 -1 1 -1 -1 -1 -1 -1 -1 -1\n")
    assert job(trace) == {
        "job_id": "1", "submit_time": 0.1, "start_time": 0.3, "end_time": 0.300001, "runtime": 1e-6, "gpus": 1,
        "state": "completed",
    }  # fmt: skip


@pytest.mark.parametrize("label", ["TraceOrigin: yesterday", "TraceOrigin: 2024-01-01T00:00:00 Atlantis/North"])
def test_an_origin_that_is_none_is_not_believed(tmp_path: Path, label: str) -> None:
    trace = swf(tmp_path, f"; {label}\n" + HEADER + JOB)
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"1996-09-23T14:00:31+02:00"


FIELD = st.sampled_from(
    ["-1", "0", "1", "2", "7", "-3", "0.5", "1e400", "nan", "99999999999999999999", "x", '"', "é", "\0"]
)
LINE = st.lists(FIELD, min_size=18, max_size=18) | st.lists(FIELD, max_size=20)


@settings(deadline=None, max_examples=150)
@given(lines=st.lists(LINE, min_size=1, max_size=8))
def test_every_line_is_a_job_or_a_rejection(tmp_path_factory: pytest.TempPathFactory, lines: list[list[str]]) -> None:
    text = HEADER + "".join(" ".join(fields) + "\n" for fields in lines)
    records = sum(bool(fields) for fields in lines)
    if not records:
        return
    trace = swf(tmp_path_factory.mktemp("swf"), text)
    assert trace.rows_in == trace.table.num_rows + len(trace.rejected) == records
    assert len({*trace.rows.to_pylist(), *(item.row for item in trace.rejected)}) == records
    Workload.from_trace(trace)
