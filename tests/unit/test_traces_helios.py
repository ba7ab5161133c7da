"""Helios: Slurm accounting of one cluster as CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard import traces
from gpuyard.errors import InputError
from gpuyard.traces import ReadOptions

SAMPLE = Path(__file__).parents[2] / "traces" / "samples" / "helios_cluster_log.csv"


def test_the_sample_reads_as_the_table_says() -> None:
    trace = traces.read(SAMPLE, options=ReadOptions(zone="Asia/Shanghai"))
    columns = ["job_id", "submit_time", "start_time", "end_time", "runtime", "gpus", "cpus", "nodes", "tenant", "state"]
    assert [tuple(job.values()) for job in trace.table.select(columns).to_pylist()] == [
        ("900001", 61.0, 91.0, 3691.0, 3600.0, 1, 4.0, 1, "vcAAA", "completed"),
        ("900002", 0.0, 0.0, 249.0, 249.0, 16, 64.0, 2, "vcBBB", "failed"),
        ("900003", 300.0, 300.0, 86700.0, 86400.0, 0, 1.0, 1, "vcAAA", "cancelled"),
        ("900004", 4800.0, 5400.0, 91800.0, 86400.0, 8, 32.0, 1, "vcBBB", "timed_out"),
        ("900005", 19200.0, 19201.0, 19261.0, 60.0, 4, 16.0, 1, "vcCCC", "node_failed"),
    ]
    assert trace.table["user"].to_pylist() == ["uAAAA", "uBBBB", "uAAAA", "uCCCC", "uCCCC"]
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2020-06-09T18:40:00+08:00"
    assert trace.notes == ()


def test_a_job_that_never_started_has_no_start_and_an_unknown_state_is_rejected(tmp_path: Path) -> None:
    header = SAMPLE.read_text().splitlines()[0]
    path = tmp_path / "cluster_log.csv"
    path.write_text(
        f"{header}\n"
        "1,u,vc,1,1,0,CANCELLED,2020-06-09 18:00:00,None,2020-06-09 18:10:00,,\n"
        "2,u,vc,1,1,1,LOST,2020-06-09 18:00:00,2020-06-09 18:00:00,2020-06-09 18:10:00,600,0\n"
        "1,u,vc,1,1,1,COMPLETED,2020-06-09 18:00:00,2020-06-09 18:00:00,2020-06-09 18:10:00,600,0\n"
        "4,u,vc,1,1,1,COMPLETED,2020-06-09 18:00:00,2020-06-09 18:10:00,2020-06-09 18:00:00,600,0\n"
    )
    trace = traces.read(path)
    (job,) = trace.table.to_pylist()
    assert (job["start_time"], job["runtime"], job["nodes"]) == (None, None, None)
    assert [(each.row, each.column, each.value) for each in trace.rejected] == [
        (3, "state", "LOST"),
        (4, "job_id", "1"),
        (5, "end_time", "2020-06-09 18:00:00"),
    ]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cluster_log.csv"
    path.write_text("job_id,user,vc\n1,u,vc\n")
    with pytest.raises(InputError, match="column 'gpu_num': a column is missing"):
        traces.read(path, format="helios")
