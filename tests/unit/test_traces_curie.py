"""Curie's hybrid partition: processors become GPUs by a rule the user gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard import traces
from gpuyard.errors import ConfigError
from gpuyard.traces import ReadOptions

SAMPLE = Path(__file__).parents[2] / "traces" / "samples" / "curie.csv"


def test_the_sample_reads_as_the_table_says() -> None:
    trace = traces.read(SAMPLE, options=ReadOptions(gpu_rule="node:2:8"))
    columns = ["job_id", "submit_time", "start_time", "end_time", "runtime", "time_limit", "gpus", "cpus", "state"]
    assert [tuple(job.values()) for job in trace.table.select(columns).to_pylist()] == [
        ("101", 1000.0, 1000.0, 4600.0, 3600.0, 7200.0, 2, 8.0, "completed"),
        ("102", 1060.0, 1180.0, 1780.0, 600.0, 7200.0, 6, 20.0, "failed"),
        ("103", 1100.0, None, None, None, 3600.0, 4, 16.0, "cancelled"),
        ("104", 1500.0, 1530.0, 6530.0, 5000.0, None, 16, 64.0, "completed"),
        ("105", 1600.0, None, None, None, 3600.0, 2, 8.0, "completed"),
    ]
    assert trace.table["user"].to_pylist() == ["7", "8", "8", "9", "9"]
    assert trace.table["tenant"].to_pylist() == ["20", "20", "21", "21", "21"]
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2011-02-01T14:38:44+00:00"
    assert trace.notes == (
        "GPUs follow from processors by the rule node:2:8",
        "2 jobs never ran: no run time",
    )


def test_without_a_rule_each_processor_is_one_gpu() -> None:
    assert traces.read(SAMPLE).table["gpus"].to_pylist() == [8, 20, 16, 64, 8]


def test_a_rule_that_cannot_be_read_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="the GPU rule 'gpus:2' cannot be used"):
        traces.read(SAMPLE, options=ReadOptions(gpu_rule="gpus:2"))
