"""Tiresias: the small synthetic job lists of its simulator."""

from __future__ import annotations

from pathlib import Path

from gpuyard import traces

SAMPLE = Path(__file__).parents[2] / "traces" / "samples" / "tiresias.csv"


def test_the_sample_reads_as_the_table_says() -> None:
    trace = traces.read(SAMPLE)
    columns = ["job_id", "submit_time", "runtime", "gpus", "job_name"]
    assert [tuple(job.values()) for job in trace.table.select(columns).to_pylist()] == [
        ("0", 0.0, 160.0, 1, "vgg19"),
        ("1", 30.0, 150.0, 8, "vgg11"),
        ("2", 50.0, 125.0, 2, "inception4"),
        ("3", 75.0, 300.0, 4, "resnet152"),
    ]
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b""


def test_the_last_line_needs_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(SAMPLE.read_text().rstrip("\n"))
    assert traces.read(path).table == traces.read(SAMPLE).table


def test_a_job_without_gpus_column_value_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(SAMPLE.read_text() + "4,,100,10,vgg19,60,25\n0,1,110,10,vgg19,60,10\n")
    trace = traces.read(path)
    assert trace.table.num_rows == 4
    assert [(each.row, each.column) for each in trace.rejected] == [(6, "num_gpu"), (7, "job_id")]
