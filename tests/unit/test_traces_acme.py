"""Acme: Seren and Kalos, whose columns have the same names and not always the same meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard import traces
from gpuyard.traces import ReadOptions

SAMPLES = Path(__file__).parents[2] / "traces" / "samples"


def test_seren_reads_as_the_table_says() -> None:
    trace = traces.read(SAMPLES / "acme_seren.csv")
    columns = ["job_id", "submit_time", "start_time", "runtime", "gpus", "nodes", "job_class", "state"]
    assert [tuple(job.values()) for job in trace.table.select(columns).to_pylist()] == [
        ("7000001", 0.0, 32.0, 117.0, 8, 1, None, "failed"),
        ("7000002", 2498.0, 2508.0, 86400.0, 256, 32, "training", "cancelled"),
        ("7000003", 4298.0, 4298.0, 120.0, 1, 1, "evaluation", "completed"),
        ("7000004", 6098.0, 6698.0, 10800.0, 16, 2, "finetuning", "completed"),
        ("7000005", 9698.0, 9698.0, 3600.0, 0, 1, "interactive", "timed_out"),
    ]
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2023-03-01T00:18:22+08:00"
    assert trace.notes == ()


def test_in_kalos_the_queueing_time_is_no_run_time() -> None:
    trace = traces.read(SAMPLES / "acme_kalos.csv")
    assert trace.table["runtime"].to_pylist() == [8.0, 3600.0, None]  # the file's duration says 18 for the first
    assert trace.notes == ("in 1 row 'duration' is not end - start; the run time is end - start",)
    assert trace.table["memory_gib"][0].as_py() == pytest.approx(8 * 1000e9 / 2**30)
    assert trace.table["state"].to_pylist() == ["failed", "completed", "cancelled"]


def test_another_zone_changes_how_the_origin_is_written_and_no_time() -> None:
    here = traces.read(SAMPLES / "acme_kalos.csv", options=ReadOptions(zone="UTC"))
    assert here.table.schema.metadata[b"gpuyard.origin"] == b"2023-05-17T11:00:00+00:00"
    assert here.table == traces.read(SAMPLES / "acme_kalos.csv").table
