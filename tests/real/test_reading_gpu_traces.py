"""Public GPU traces as read, against what their README says of them (counted there by other software)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gpuyard import traces
from gpuyard.traces import ReadOptions
from gpuyard.traces.trace import Trace
from gpuyard.workload import Workload

TRACES = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).parents[2] / "../shared/traces"))

pytestmark = pytest.mark.real


def read(name: str, options: ReadOptions | None = None) -> Trace:
    path = TRACES / name
    if not path.exists():
        pytest.skip(f"needs {name} in GPUYARD_TRACES")
    trace = traces.read(path, options=options)
    assert trace.rows_in == trace.table.num_rows + len(trace.rejected)
    assert len(Workload.from_trace(trace)) == trace.table.num_rows
    return trace


def test_philly_has_its_82247_jobs_sizes_and_gpu_hours() -> None:
    trace = read("microsoft_philly_2017/philly.csv")
    assert (trace.format, trace.rows_in, trace.rejected) == ("philly", 82_247, ())
    gpus, runtime = trace.table["gpus"].to_numpy(), trace.table["runtime"].to_numpy()
    expected = {1: 76627, 2: 1818, 4: 1870, 8: 1643, 12: 7, 16: 199, 24: 7, 32: 67, 64: 6, 128: 3}
    assert Counter(gpus.tolist()) == expected
    assert round(float((gpus * runtime).sum()) / 3600) == 978_078
    assert (runtime.min(), runtime.max()) == (1.0, 4_628_226.0)
    assert Counter(trace.table["tenant"].to_pylist())["6214e9"] == 41_226
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2017-09-04T10:30:41"
    span = trace.table["submit_time"].to_numpy()
    assert (span.min(), span.max()) == (0.0, 9_408_690.0)  # 2017-12-22 08:02:11, 108 days 21:31:30 later
    assert "65 rows like an earlier row in every column" in " ".join(trace.notes)


def test_philly_is_read_in_its_own_zone() -> None:
    trace = read("microsoft_philly_2017/philly.csv", ReadOptions(zone="America/Los_Angeles"))
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2017-09-04T10:30:41-07:00"
    assert trace.table["submit_time"].to_numpy().max() == 9_408_690.0 + 3600  # winter time began on the way


def test_openb_has_its_pods_phases_and_recorded_delays() -> None:
    trace = read("alibaba_openb_2023/openb_pod_list_default.csv")
    assert (trace.format, trace.rows_in, trace.rejected) == ("openb", 8_152, ())
    table = trace.table
    assert Counter(table["gpus"].to_pylist()) == {1: 6989, 0: 1088, 8: 44, 2: 16, 4: 15}
    assert table.num_rows - table["gpu_milli"].null_count == 3_078
    assert Counter(table["qos"].to_pylist()) == {"LS": 4647, "BE": 3398, "Burstable": 100, "Guaranteed": 7}
    states = {"running": 5193, "failed": 1870, "pending": 897, "completed": 192}
    assert Counter(table["state"].to_pylist()) == states
    assert table["runtime"].null_count == 897
    started = table.filter(table["start_time"].is_valid())
    delay = started["start_time"].to_numpy() - started["submit_time"].to_numpy()
    assert (len(delay), round(delay.mean()), float(np.median(delay)), delay.max()) == (7255, 61, 2.0, 14330.0)


def test_openb_names_accepted_gpu_types() -> None:
    trace = read("alibaba_openb_2023/openb_pod_list_gpuspec33.csv")
    types = trace.table["gpu_type"]
    assert trace.table.num_rows - types.null_count == 2_388
    assert any("|" in name for name in types.to_pylist() if name)


def test_tiresias_has_its_60_jobs() -> None:
    trace = read("tiresias_testbed_2019/60_job.csv")
    assert (trace.format, trace.rows_in, trace.rejected) == ("tiresias", 60, ())
    assert Counter(trace.table["gpus"].to_pylist()) == {1: 30, 2: 10, 4: 10, 8: 10}
    assert trace.table["submit_time"].to_numpy().max() == 1_779.0


def test_curie_replays_to_its_1152_processors_and_144_nodes() -> None:
    trace = read("cea_curie_hybrid_2012/curie_hybrid_partition.csv", ReadOptions(gpu_rule="node:1:8"))
    table = trace.table
    assert (trace.format, trace.rows_in, trace.rejected) == ("curie", 14_260, ())
    assert Counter(table["state"].to_pylist()) == {"completed": 12881, "cancelled": 770, "failed": 609}
    assert len(set(table["user"].to_pylist())) == 86
    ran = table.filter(table["runtime"].is_valid())
    assert ran.num_rows == 13_408
    assert (peak(ran, "cpus"), peak(ran, "gpus")) == (1152, 144)
    over = ran["runtime"].to_numpy() > ran["time_limit"].fill_null(np.inf).to_numpy()
    assert int(over.sum()) == 243


def peak(table: pa.Table, column: str) -> int:
    """Return the most of a column held at one instant; what ends frees before what starts takes."""
    start, end, held = (table[name].to_numpy() for name in ("start_time", "end_time", column))
    times = np.concatenate([start, end])
    changes = np.concatenate([held, -held])
    return int(np.cumsum(changes[np.lexsort((changes, times))]).max())
