"""Readers and damaged files: an InputError or a trace whose counts add up, whatever the bytes."""

from __future__ import annotations

import gzip
import importlib.util
import io
import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuyard import traces
from gpuyard.errors import InputError
from gpuyard.traces.schema import STATES, job_schema
from gpuyard.traces.trace import Trace
from gpuyard.workload import Workload

SAMPLES = Path(__file__).parents[2] / "traces" / "samples"
PRESENT = [name for name in tuple(traces.FORMATS) if importlib.util.find_spec(f"gpuyard.traces.{name}") is not None]
NASTY = [
    b"nan",
    b"inf",
    b"-1",
    b"-",
    b"",
    b"1e999",
    b"1e-999",
    b"99999999999999999999",
    b"10000000",
    b"0.1",
    b"=cmd()",
    b"<script>alert(1)</script>",
    b'"',
    b'""',
    b",",
    b";",
    b"|",
    b"\n",
    b"\r",
    b"\0",
    b"\t",
    b" ",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "é".encode(),
    b"None",
    b"null",
    b"[]",
    b"{}",
    b"2017-02-30 00:00:00",
    b"9999-12-31 23:59:59",
    b"0001-01-01 00:00:00",
    b"-62135596801",
    b"253402300800",
    b"\\ud800",
    b"]" * 200,
    b"[" * 5000,
]


def samples() -> list[tuple[str, bytes]]:
    """Return (format, bytes) of every sample, and the native one as Parquet."""
    found = []
    for path in sorted(SAMPLES.iterdir()):
        if path.suffix != ".md":
            name = next((name for name in PRESENT if traces.FORMATS[name].recognises(path.read_bytes(), path)), None)
            if name is not None:
                found.append((name, path.read_bytes()))
    sink = io.BytesIO()
    pq.write_table(traces.read(SAMPLES / "native.csv", format="native").table, sink)
    return [*found, ("native", sink.getvalue())]


FILES = samples()
CASES = [pytest.param(name, data, id=f"{name}-{number}") for number, (name, data) in enumerate(FILES)]

edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["insert", "replace", "delete", "swap", "cut", "repeat"]),
        st.sampled_from(NASTY) | st.binary(max_size=6),
        st.integers(0, 60),
    ),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, changes: list[tuple[float, str, bytes, int]]) -> bytes:
    """Return the bytes with each change made at its place, a share of the length."""
    for share, kind, piece, length in changes:
        at = int(share * len(data))
        if kind == "insert":
            data = data[:at] + piece + data[at:]
        elif kind == "replace":
            end = at + next((n for n, byte in enumerate(data[at:]) if byte in b',\n"'), length)
            data = data[:at] + piece + data[end:]
        elif kind == "delete":
            data = data[:at] + data[at + length :]
        elif kind == "swap":
            data = data[at:] + data[:at]
        elif kind == "cut":
            data = data[:at]
        else:
            data = data[:at] + data[max(0, at - 100) : at] * 2 + data[at:]
    return data


def check(trace: Trace) -> None:
    """Assert what every trace promises, whatever the file was."""
    jobs = trace.table
    assert trace.rows_in == jobs.num_rows + len(trace.rejected)
    assert len(trace.rows) == jobs.num_rows
    assert jobs.schema.equals(job_schema())
    jobs.validate(full=True)
    assert len(set(jobs["job_id"].to_pylist())) == jobs.num_rows
    lines = trace.rows.to_pylist() + [each.row for each in trace.rejected]
    assert len(set(lines)) == len(lines)
    assert all(line >= 1 for line in lines)
    for each in trace.rejected:
        assert each.reason
        assert len(each.value) <= 80
    for job in jobs.to_pylist():
        assert 0 <= job["gpus"] <= 1_000_000
        assert job["gpu_milli"] is None or (1 <= job["gpu_milli"] <= 999 and job["gpus"] == 1)
        assert job["state"] is None or job["state"] in STATES
        assert job["runtime"] is None or 0 <= job["runtime"] <= 1e12
        for column in ("submit_time", "start_time", "end_time", "time_limit"):
            assert job[column] is None or (math.isfinite(job[column]) and abs(job[column]) <= 1e12)
    Workload.from_trace(trace)


def reads_or_refuses(path: Path, read: Callable[[], Trace]) -> None:
    """Assert that reading gives a trace that holds its promises, or an InputError that names the file."""
    try:
        trace = read()
    except InputError as problem:
        refusal = str(problem)
    else:
        check(trace)
        return
    assert str(path) in refusal


relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def test_every_reader_has_a_sample() -> None:
    assert {name for name, _ in FILES} == set(PRESENT)


@pytest.mark.parametrize(("name", "data"), CASES)
@relaxed
@given(changes=edits)
def test_a_changed_sample(tmp_path: Path, name: str, data: bytes, changes: list[tuple[float, str, bytes, int]]) -> None:
    path = tmp_path / "trace"
    path.write_bytes(mutated(data, changes))
    reads_or_refuses(path, lambda: traces.read(path, format=name))


@pytest.mark.parametrize(("name", "data"), CASES)
def test_a_sample_cut_anywhere(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / "trace"
    for length in range(0, len(data), max(1, len(data) // 200)):
        path.write_bytes(data[:length])
        reads_or_refuses(path, lambda: traces.read(path, format=name))


@pytest.mark.parametrize("name", PRESENT)
@relaxed
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / "trace"
    path.write_bytes(data)
    reads_or_refuses(path, lambda: traces.read(path, format=name))


@pytest.mark.parametrize("name", PRESENT)
def test_every_reader_refuses_or_counts_the_samples_of_the_others(tmp_path: Path, name: str) -> None:
    path = tmp_path / "trace"
    for _, data in FILES:
        path.write_bytes(data)
        reads_or_refuses(path, lambda: traces.read(path, format=name))


@pytest.mark.parametrize(("name", "data"), CASES)
@relaxed
@given(changes=edits)
def test_a_changed_packed_sample(
    tmp_path: Path, name: str, data: bytes, changes: list[tuple[float, str, bytes, int]]
) -> None:
    path = tmp_path / "trace.gz"
    path.write_bytes(mutated(gzip.compress(data, mtime=0), changes))
    reads_or_refuses(path, lambda: traces.read(path, format=name))


@pytest.mark.parametrize(("name", "data"), CASES)
def test_the_same_file_gives_the_same_trace(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / "trace"
    path.write_bytes(data)
    first, second = (traces.read(path, format=name) for _ in range(2))
    assert first.table.equals(second.table, check_metadata=True)
    assert first.rejected == second.rejected


def test_a_parquet_column_of_every_type_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    others = [
        pa.array([None, None]),
        pa.array([1, None], pa.int8()),
        pa.array([2**64 - 1, 0], pa.uint64()),
        pa.array([1.5, float("inf")], pa.float16()),
        pa.array([b"a", b"\xff"]),
        pa.array(["a", None]).dictionary_encode(),
        pa.array([["a"], None]),
        pa.array([[1], [2]]),
        pa.array([True, None]),
        pa.array([0, 1], pa.timestamp("ns")),
        pa.array([{"x": 1}, None]),
        pa.array(["1.5", "2"]),
        pa.array([1, 2], pa.decimal128(5, 1)),
    ]
    for item in job_schema():
        for values in others:
            columns = {"job_id": pa.array(["a", "b"]), "submit_time": pa.array([0.0, 1.0]), "gpus": pa.array([1, 1])}
            pq.write_table(pa.table(columns | {item.name: values}), path)
            reads_or_refuses(path, lambda: traces.read(path))
