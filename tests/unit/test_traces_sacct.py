"""sacct output: what Slurm's fields mean, with any selection of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.errors import InputError
from gpuyard.traces import recognise
from gpuyard.traces.sacct import read
from gpuyard.traces.sacct_resources import amounts_of_gres, amounts_of_tres, gib
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.trace import Trace
from gpuyard.workload import Workload

FIELDS = "JobID|User|Account|Partition|State|Submit|Eligible|Start|End|ElapsedRaw|TimelimitRaw|AllocTRES|ReqTRES"
DONE = (
    "17|ann|physics|gpu|COMPLETED|2024-05-01T08:00:00|2024-05-01T08:00:00|2024-05-01T08:10:00|2024-05-01T09:10:00|3600|"
    "120|billing=16,cpu=16,gres/gpu:a100=4,gres/gpu=4,mem=128G,node=2|cpu=16,gres/gpu:a100=4,mem=128G,node=2"
)


def sacct(folder: Path, *lines: str, **options: str) -> Trace:
    path = folder / "jobs.txt"
    path.write_text("\n".join(lines) + "\n")
    return read(path, ReadOptions(**options))


def job(trace: Trace, row: int = 0) -> dict[str, object]:
    return {key: value for key, value in trace.table.to_pylist()[row].items() if value is not None}


def test_a_finished_job_has_its_times_and_what_it_held(tmp_path: Path) -> None:
    trace = sacct(tmp_path, FIELDS, DONE, zone="Asia/Seoul")
    assert job(trace) == {
        "job_id": "17", "submit_time": 0.0, "start_time": 600.0, "end_time": 4200.0, "runtime": 3600.0,
        "time_limit": 7200.0, "gpus": 4, "gpu_type": "a100", "cpus": 16.0, "memory_gib": 128.0, "nodes": 2,
        "tenant": "physics", "user": "ann", "partition": "gpu", "state": "completed",
    }  # fmt: skip
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2024-05-01T08:00:00+09:00"


def test_without_a_zone_the_trace_says_so(tmp_path: Path) -> None:
    trace = sacct(tmp_path, FIELDS, DONE)
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2024-05-01T08:00:00"
    assert any("no time zone" in note for note in trace.notes)


def between(submit: str, start: str, end: str, name: str = "1") -> str:
    """Return a line of times on 27 October 2024, when Berlin's clocks went from 03:00 back to 02:00 at 01:00 UTC."""
    times = "|".join(f"2024-10-27T{time}" for time in (submit, submit, start, end))
    return f"{name}|ann|physics|gpu|COMPLETED|{times}|1200|120|gres/gpu=4|gres/gpu=4"


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        (("01:00:00", "02:50:00", "02:10:00"), 110, 130),  # 02:50 summer time to 02:10 winter time: 20 minutes
        (("02:40:00", "02:10:00", "02:30:00"), 30, 50),  # both after the change
        (("02:40:00", "02:10:00", "04:00:00"), 30, 140),
        (("01:00:00", "02:10:00", "02:50:00"), 70, 110),  # in order: the first hour
        (("02:00:00", "02:00:00", "02:00:00"), 0, 0),
    ],
)
def test_a_repeated_hour_is_told_apart_by_the_order_of_a_jobs_times(
    times: tuple[str, str, str], start: float, end: float, tmp_path: Path
) -> None:
    trace = sacct(tmp_path, FIELDS, between(*times), zone="Europe/Berlin")
    assert (job(trace)["start_time"], job(trace)["end_time"]) == (start * 60, end * 60)
    moved = times[1] < times[0] or times[2] < times[1]
    assert any("an hour that the clock repeats" in note for note in trace.notes) is moved


def test_times_in_no_order_stay_rejected_and_stated_offsets_are_believed(tmp_path: Path) -> None:
    other_day = between("01:00:00", "02:50:00", "02:10:00").replace("-10-27", "-10-28")
    offsets = between("01:00:00+02:00", "02:50:00+02:00", "02:10:00+02:00", "2")
    long_before = between("00:00:00", "04:00:00", "02:10:00", "3")
    trace = sacct(tmp_path, FIELDS, other_day, offsets, long_before, zone="Europe/Berlin")
    assert [(item.row, item.column, item.reason) for item in trace.rejected] == [
        (row, "End", "the job ends before it starts") for row in (2, 3, 4)
    ]


def test_steps_are_no_jobs_and_array_tasks_are(tmp_path: Path) -> None:
    lines = [DONE.replace("17|", f"{name}|", 1) for name in ("17", "17.batch", "17.0", "18_3", "18_3.extern", "19+1")]
    trace = sacct(tmp_path, FIELDS, *lines)
    assert trace.table["job_id"].to_pylist() == ["17", "18_3", "19+1"]
    assert trace.reasons() == {"a step, not a job": 3}
    assert [item.row for item in trace.rejected] == [3, 4, 6]
    assert trace.rows_in == 6


def test_only_a_job_id_and_a_submission_are_needed(tmp_path: Path) -> None:
    trace = sacct(tmp_path, "Submit|JobID", "2024-05-01T08:00:00|1")
    assert job(trace) == {"job_id": "1", "submit_time": 0.0, "gpus": 0}
    assert "no field tells of GPUs: all jobs have none; print AllocTRES" in trace.notes


@pytest.mark.parametrize("header", ["JobID|State", "Submit|State"])
def test_a_header_without_them_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(InputError, match="a field is missing from the header"):
        sacct(tmp_path, header, "x|y")


def test_a_bar_at_the_end_of_each_line_is_no_cell(tmp_path: Path) -> None:
    assert sacct(tmp_path, FIELDS + "|", DONE + "|").table.equals(sacct(tmp_path, FIELDS, DONE).table)


def test_a_line_with_a_bar_too_many_is_rejected(tmp_path: Path) -> None:
    trace = sacct(tmp_path, FIELDS, DONE.replace("ann", "a|n"), DONE)
    assert [(item.row, item.reason) for item in trace.rejected] == [
        (2, "the line does not have as many cells as the header")
    ]


def test_quotes_in_a_name_are_letters_like_others(tmp_path: Path) -> None:
    trace = sacct(tmp_path, "JobID|Submit|JobName", '1|2024-05-01T08:00:00|say "hi', "2|2024-05-01T08:00:01|=cmd()")
    assert trace.table["job_name"].to_pylist() == ['say "hi', "=cmd()"]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("CANCELLED by 1000", "cancelled"), ("CANCELLED+", "cancelled"), ("COMPLETED", "completed"),
        ("TIMEOUT", "timed_out"), ("OUT_OF_MEMORY", "failed"), ("NODE_FAIL", "node_failed"), ("PREEMPTED", "preempted"),
        ("RUNNING", "running"), ("PENDING", "pending"),
    ],
)  # fmt: skip
def test_states_by_their_first_word(tmp_path: Path, word: str, state: str) -> None:
    trace = sacct(tmp_path, "JobID|Submit|State", f"1|2024-05-01T08:00:00|{word}")
    assert trace.table["state"].to_pylist() == [state]


def test_a_state_nobody_knows_is_rejected(tmp_path: Path) -> None:
    trace = sacct(tmp_path, "JobID|Submit|State", "1|2024-05-01T08:00:00|DREAMING")
    assert [(item.column, item.value) for item in trace.rejected] == [("State", "DREAMING")]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:01:30", 90.0), ("1-00:00:00", 86_400.0), ("2-12:30:05", 217_805.0), ("10:00", 600.0), ("UNLIMITED", None),
     ("Partition_Limit", None)],
)  # fmt: skip
def test_limits_in_slurms_clock(tmp_path: Path, text: str, seconds: float | None) -> None:
    trace = sacct(tmp_path, "JobID|Submit|Timelimit", f"1|2024-05-01T08:00:00|{text}")
    assert trace.table["time_limit"].to_pylist() == [seconds]


def test_a_limit_that_is_no_duration_is_rejected(tmp_path: Path) -> None:
    trace = sacct(tmp_path, "JobID|Submit|Timelimit", "1|2024-05-01T08:00:00|soon")
    assert trace.reasons() == {"this is no duration": 1}


def test_a_job_cancelled_in_the_queue_never_started(tmp_path: Path) -> None:
    lines = (
        "1|2024-05-01T08:00:00|None|2024-05-01T09:00:00|00:00:00|cpu=4,gres/gpu=2,node=1|",
        "2|2024-05-01T08:00:00|2024-05-01T09:00:00|2024-05-01T09:00:00|00:00:00|cpu=4,gres/gpu=2,node=1|",
        "3|2024-05-01T08:00:00|2024-05-01T09:00:00|2024-05-01T09:00:00|00:00:00|x|cpu=4,gres/gpu=2,node=1",
        "4|2024-05-01T08:00:00|Unknown|Unknown|00:00:00|cpu=4,gres/gpu=2,node=1|",
    )
    trace = sacct(tmp_path, "JobID|Submit|Start|End|Elapsed|ReqTRES|AllocTRES", *lines)
    assert trace.table["runtime"].to_pylist() == [None, None, 0.0, None]
    assert trace.table["start_time"].to_pylist() == [None, None, 3600.0, None]
    assert trace.table["gpus"].to_pylist() == [2, 2, 2, 2]
    assert "3 jobs never started: no run time" in trace.notes


def test_a_job_that_became_eligible_later_may_not_start_before(tmp_path: Path) -> None:
    trace = sacct(tmp_path, FIELDS, DONE.replace("08:00:00|2024-05-01T08:10", "08:05:00|2024-05-01T08:10"))
    assert trace.table["not_before"].to_pylist() == [300.0]


def test_an_allocation_without_gpus_outweighs_a_request_for_some(tmp_path: Path) -> None:
    trace = sacct(tmp_path, "JobID|Submit|AllocTRES|ReqTRES", "1|2024-05-01T08:00:00|cpu=4,node=1|cpu=4,gres/gpu=1")
    assert trace.table["gpus"].to_pylist() == [0]


def test_requested_gres_count_for_each_node(tmp_path: Path) -> None:
    trace = sacct(tmp_path, "JobID|Submit|NNodes|ReqGRES", "1|2024-05-01T08:00:00|3|gpu:v100:2,nvme:1")
    assert (trace.table["gpus"].to_pylist(), trace.table["gpu_type"].to_pylist()) == ([6], ["v100"])


@pytest.mark.parametrize(
    ("text", "memory"), [("64Gn", 128.0), ("4Gc", 32.0), ("64G", 64.0), ("2048M", 2.0), ("0n", None)]
)
def test_requested_memory_for_each_node_core_or_job(tmp_path: Path, text: str, memory: float | None) -> None:
    trace = sacct(tmp_path, "JobID|Submit|NNodes|AllocCPUS|ReqMem", f"1|2024-05-01T08:00:00|2|8|{text}")
    assert trace.table["memory_gib"].to_pylist() == [memory]


def test_a_priority_beyond_the_job_table_is_left_out_and_said(tmp_path: Path) -> None:
    trace = sacct(tmp_path, "JobID|Submit|Priority", "1|2024-05-01T08:00:00|4294967295", "2|2024-05-01T08:00:00|10")
    assert trace.table["priority"].to_pylist() == [None, 10]
    assert "1 priorities are above 2147483647 and left out" in trace.notes


def test_lists_of_resources() -> None:
    assert dict(amounts_of_tres("cpu=8,gres/gpu:a=1,gres/gpu:b=2,mem=500M")) == {
        "cpu": 8.0,
        "mem": 500 / 1024,
        "gpu": 3.0,
    }
    assert amounts_of_tres("gres/gpu:a=1,gres/gpu:b=2").types == ("a", "b")
    assert dict(amounts_of_tres("")) == {}
    assert dict(amounts_of_gres("gpu:2(IDX:0-1)")) == {"gpu": 2.0}
    assert dict(amounts_of_gres("gpu:kepler:4,gpu:tesla:1")) == {"gpu": 5.0}
    assert gib("1.5T") == 1536.0


def test_the_format_is_recognised(tmp_path: Path) -> None:
    sacct(tmp_path, FIELDS, DONE)
    assert recognise(tmp_path / "jobs.txt") == "sacct"


CELL = st.sampled_from(
    ["", "1", "17", "17.0", "18_2", "None", "Unknown", "2024-05-01T08:00:00", "2024-02-30T00:00:00", "1-00:00:00", "-5",
     "COMPLETED", "CANCELLED by 0", "gres/gpu=2,node=1", "gres/gpu=99999999999", "mem=1P", "4Gc", "1e400", '"', "é"]
)  # fmt: skip
NAMES = ("JobID", "Submit", "Start", "End", "Elapsed", "Timelimit", "State", "AllocTRES", "ReqMem", "Priority")


@settings(deadline=None, max_examples=150)
@given(lines=st.lists(st.lists(CELL, min_size=9, max_size=10), min_size=1, max_size=8))
def test_every_line_is_a_job_or_a_rejection(tmp_path_factory: pytest.TempPathFactory, lines: list[list[str]]) -> None:
    trace = sacct(tmp_path_factory.mktemp("sacct"), "|".join(NAMES), *("|".join(cells) for cells in lines))
    assert trace.rows_in == trace.table.num_rows + len(trace.rejected) == len(lines)
    Workload.from_trace(trace)
