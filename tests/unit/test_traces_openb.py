"""Alibaba OpenB: pods that share GPUs."""

from __future__ import annotations

from pathlib import Path

from gpuyard import traces

SAMPLE = Path(__file__).parents[2] / "traces" / "samples" / "openb_pod_list.csv"


def test_the_sample_reads_as_the_table_says() -> None:
    trace = traces.read(SAMPLE)
    columns = ["job_id", "submit_time", "start_time", "end_time", "runtime", "gpus", "gpu_milli", "gpu_type"]
    assert [tuple(job.values()) for job in trace.table.select(columns).to_pylist()] == [
        ("pod-01", 0.0, 0.0, 5000.0, 5000.0, 1, None, None),
        ("pod-02", 100.0, 160.0, 700.0, 540.0, 1, 460, None),
        ("pod-03", 200.0, 205.0, 260.0, 55.0, 1, 250, "T4|P100"),
        ("pod-04", 300.0, 300.0, 4000.0, 3700.0, 8, None, "V100M32"),
        ("pod-05", 400.0, 400.0, 500.0, 100.0, 0, None, None),
        ("pod-06", 450.0, None, None, None, 2, None, None),
    ]
    assert trace.table["job_class"].to_pylist() == ["realtime", "realtime", "batch", "batch", "batch", "batch"]
    assert trace.table["qos"].to_pylist() == ["LS", "LS", "BE", "Guaranteed", "Burstable", "BE"]
    assert trace.table["cpus"].to_pylist() == [12.0, 6.0, 4.0, 96.0, 2.0, 8.0]
    assert trace.table["memory_gib"].to_pylist() == [16.0, 12.0, 4.0, 768.0, 2.0, 8.0]
    assert trace.table["state"].to_pylist() == ["running", "completed", "failed", "completed", "completed", "pending"]
    assert trace.notes == ("1 pods were running when the trace ended: their run times are cut there",)
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b""


def test_bad_pods_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "pods.csv"
    path.write_text(
        SAMPLE.read_text().splitlines()[0] + "\n"
        "a,1000,1024,2,500,,LS,Succeeded,0,10,0\n"
        "b,1000,1024,1,0,,LS,Succeeded,0,10,0\n"
        "c,1000,1024,1,500,,LS,Succeeded,0,10,20\n"
        "d,1000,1024,1,500,,LS,Sleeping,0,10,0\n"
        "e,1000,1024,1,500,,,Succeeded,0,10,0\n"
        "f,-1,1024,1,500,,LS,Succeeded,0,10,0\n"
    )
    trace = traces.read(path)
    assert trace.table.select(["job_id", "job_class"]).to_pylist() == [{"job_id": "e", "job_class": None}]
    assert [(each.row, each.column, each.value) for each in trace.rejected] == [
        (2, "gpu_milli", "500"),
        (3, "gpu_milli", "0"),
        (4, "deletion_time", "10"),
        (5, "pod_phase", "Sleeping"),
        (7, "cpu_milli", "-1"),
    ]
