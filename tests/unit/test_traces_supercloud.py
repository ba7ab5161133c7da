"""MIT SuperCloud rows, made by hand after the published column legend."""

from __future__ import annotations

from pathlib import Path

from gpuyard.traces import recognise
from gpuyard.traces.source import ReadOptions
from gpuyard.traces.supercloud import read
from gpuyard.traces.trace import Trace

HEADER = (
    "id_job,id_user,partition,priority,state,timelimit,time_submit,time_eligible,time_start,time_end,time_suspended,"
    "tres_alloc,tres_req"
)


def supercloud(folder: Path, *rows: str) -> Trace:
    path = folder / "slurm-log.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return read(path, ReadOptions())


def job(trace: Trace, row: int = 0) -> dict[str, object]:
    return {key: value for key, value in trace.table.to_pylist()[row].items() if value is not None}


GPU_ROW = (
    '2.5e13,4.2e13,normal,10239,3,1440,1609535912,1609535972,1609536000,1609536600,0,"1=40,2=170000,4=2,5=40,1002=4",'
    '"1=40,2=170000,4=2,1002=4"'
)


def test_a_gpu_job_has_its_resources_by_number(tmp_path: Path) -> None:
    trace = supercloud(tmp_path, GPU_ROW)
    assert job(trace) == {
        "job_id": "row-2", "submit_time": 0.0, "start_time": 88.0, "end_time": 688.0, "runtime": 600.0,
        "time_limit": 86_400.0, "gpus": 4, "cpus": 40.0, "memory_gib": 170000 / 1024, "nodes": 2, "priority": 10239,
        "not_before": 60.0, "user": "4.2e13", "partition": "normal", "state": "completed",
    }  # fmt: skip
    # date -u -d @1609535912
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2021-01-01T21:18:32+00:00"


def test_rounded_ids_that_repeat_do_not_reject_anybody(tmp_path: Path) -> None:
    trace = supercloud(tmp_path, GPU_ROW, GPU_ROW)
    assert trace.table["job_id"].to_pylist() == ["row-2", "row-3"]
    assert any("rounded" in note for note in trace.notes)


def test_tesla_and_volta_gpus_add_up_and_a_cpu_job_has_none(tmp_path: Path) -> None:
    both = GPU_ROW.replace("1002=4", "1001=1,1002=2")
    trace = supercloud(tmp_path, both, GPU_ROW.replace(",1002=4", ""))
    assert trace.table["gpus"].to_pylist() == [3, 0]


def test_unlimited_is_no_limit_and_zero_is_no_instant(tmp_path: Path) -> None:
    row = '1,1,normal,1,4,4294967295,1609535912,1609535912,0,1609536000,0,,"1=4,2=8000,4=1,1002=1"'
    assert job(supercloud(tmp_path, row)) == {
        "job_id": "row-2", "submit_time": 0.0, "gpus": 1, "cpus": 4.0, "memory_gib": 7.8125, "nodes": 1, "priority": 1,
        "user": "1", "partition": "normal", "state": "cancelled",
    }  # fmt: skip


def test_suspended_time_is_no_run_time(tmp_path: Path) -> None:
    assert supercloud(tmp_path, GPU_ROW.replace(",0,", ",100,", 1)).table["runtime"].to_pylist() == [500.0]


def test_a_job_that_ends_before_it_starts_is_rejected_with_its_line(tmp_path: Path) -> None:
    trace = supercloud(tmp_path, GPU_ROW, GPU_ROW.replace("1609536600", "1609535999"))
    assert [(item.row, item.column) for item in trace.rejected] == [(3, "time_end")]


def test_the_format_is_recognised(tmp_path: Path) -> None:
    supercloud(tmp_path, GPU_ROW)
    assert recognise(tmp_path / "slurm-log.csv") == "supercloud"
