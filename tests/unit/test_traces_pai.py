"""Alibaba PAI 2020: tasks of several instances that ask for percents of a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard import traces
from gpuyard.errors import InputError

SAMPLE = Path(__file__).parents[2] / "traces" / "samples" / "pai_task_table.csv"


def test_the_sample_reads_as_instances_times_percent() -> None:
    trace = traces.read(SAMPLE)
    columns = ["job_id", "submit_time", "runtime", "gpus", "gpu_milli", "gpu_type", "cpus", "memory_gib", "spread"]
    assert [tuple(job.values()) for job in trace.table.select(columns).to_pylist()] == [
        ("4f05aaaa.tensorflow", 1739162.0, 38.0, 1, 500, "MISC", 6.0, 29.296875, False),
        ("4f05bbbb.worker", 1739300.0, 3600.0, 1, None, "T4", 8.0, 16.0, True),
        ("4f05bbbb.ps", 1739300.0, 3600.0, 0, None, None, 6.0, 16.0, False),
        ("4f05cccc.worker", 1740000.0, 600.0, 2, None, "P100", 24.0, 96.0, True),
        ("4f05dddd.worker", 1741000.0, 10000.0, 16, None, "V100", 192.0, 1024.0, True),
        ("4f05eeee.worker", 1745000.0, None, 2, None, "V100M32", 6.0, 29.296875, False),
    ]
    assert trace.table["state"].to_pylist() == ["completed"] * 3 + ["failed", "completed", "running"]
    assert [(each.row, each.column) for each in trace.rejected] == [(7, "start_time")]
    assert "1 tasks of more than one GPU in all were rounded up to whole GPUs" in trace.notes


def test_a_header_line_is_taken_as_one(tmp_path: Path) -> None:
    path = tmp_path / "pai_task_table.csv"
    header = "job_name,task_name,inst_num,status,start_time,end_time,plan_cpu,plan_mem,plan_gpu,gpu_type\n"
    path.write_text(header + SAMPLE.read_text())
    trace = traces.read(path)
    assert trace.rows_in == 7
    assert trace.table == traces.read(SAMPLE).table
    assert trace.rows[0].as_py() == 2


@pytest.mark.parametrize(
    ("line", "table"),
    [
        ("4b3f,8cb3,5854,Terminated,4550879.0,4551416.0", "pai_job_table"),
        ("af72,worker,0d39,54db,e387,Terminated,2081336.0,2083889.0,471d", "pai_instance_table"),
    ],
)
def test_the_other_tables_are_told_apart(tmp_path: Path, line: str, table: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{line}\n")
    with pytest.raises(InputError, match=f"looks like {table}, which does not say.*read pai_task_table.csv"):
        traces.read(path, format="pai")


def test_bad_tasks_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "pai_task_table.csv"
    path.write_text(
        "a,worker,1.0,Terminated,10.0,20.0,600.0,8.0,100.0,T4\n"
        "b,worker,0.0,Terminated,10.0,20.0,600.0,8.0,100.0,T4\n"
        "c,worker,,Terminated,10.0,20.0,600.0,8.0,100.0,T4\n"
        "d,worker,1.0,Terminated,20.0,10.0,600.0,8.0,100.0,T4\n"
        "e,worker,1.0,Terminated,10.0,20.0,600.0,8.0,-50.0,T4\n"
        "f,worker,1.5,Terminated,10.0,20.0,600.0,8.0,100.0,T4\n"
        "a,worker,1.0,Terminated,10.0,20.0,600.0,8.0,100.0,T4\n"
        "g,worker,1000000.0,Terminated,10.0,20.0,600.0,8.0,800.0,T4\n"
    )
    trace = traces.read(path)
    assert trace.table["job_id"].to_pylist() == ["a.worker"]
    assert [(each.row, each.column) for each in trace.rejected] == [
        (2, "inst_num"),
        (3, "inst_num"),
        (4, "end_time"),
        (5, "plan_gpu"),
        (6, "inst_num"),
        (7, "job_name"),
        (8, "plan_gpu"),
    ]
