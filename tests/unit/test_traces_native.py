"""gpuyard's own trace files: what is written in CSV or Parquet is what is read, and bad rows say so."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpuyard import traces
from gpuyard.errors import InputError
from gpuyard.traces.schema import job_schema
from gpuyard.workload import Workload

SAMPLE = Path(__file__).parents[2] / "traces" / "samples" / "native.csv"
HEADER = "job_id,submit_time,runtime,gpus,depends_on,spread\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "jobs.csv"
    path.write_text(text)
    return path


def parquet(folder: Path, **columns: pa.Array) -> Path:
    path = folder / "jobs.parquet"
    pq.write_table(pa.table(columns), path)
    return path


IDS, ZEROS, ONES = pa.array(["a", "b"]), pa.array([0.0, 1.0]), pa.array([1, 1], pa.int32())


def test_the_sample_reads_as_it_is_written() -> None:
    trace = traces.read(SAMPLE)
    assert (trace.rows_in, trace.table.num_rows, trace.rejected) == (8, 8, ())
    jobs = {job["job_id"]: job for job in trace.table.to_pylist()}
    assert jobs["train-a"]["submit_time"] == 12.5
    assert jobs["train-a"]["think_time"] == 30.0
    assert jobs["train-b"]["gpu_type"] == "H100|H200"
    assert jobs["merge"]["depends_on"] == ["train-a", "train-b"]
    assert jobs["notebook-1"]["gpu_milli"] == 250
    assert [jobs[name]["spread"] for name in ("train-a", "sweep", "serve")] == [False, True, None]
    assert jobs["sweep"]["priority"] == -1
    assert jobs["serve"]["runtime"] is None
    assert trace.rows.to_pylist() == list(range(3, 11))
    assert trace.table.schema.metadata[b"gpuyard.origin"] == b"2026-03-02T09:00:00+09:00"
    assert trace.table.schema.metadata[b"gpuyard.zone"] == b"Asia/Seoul"
    assert len(Workload.from_trace(trace)) == 8


def test_parquet_keeps_every_column_and_the_origin(tmp_path: Path) -> None:
    table = traces.read(SAMPLE).table.replace_schema_metadata(
        {b"gpuyard.origin": b"2026-03-02T09:00:00+09:00", b"gpuyard.zone": b"Asia/Seoul", b"gpuyard.format": b"philly"}
    )
    path = tmp_path / "jobs"
    pq.write_table(table, path)
    again = traces.read(path)
    assert again.format == "native"
    assert again.table == table
    assert again.table.schema.equals(table.schema, check_metadata=True)
    assert again.rows.to_pylist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_parquet_in_gzip_is_read(tmp_path: Path) -> None:
    plain = parquet(tmp_path, job_id=IDS, submit_time=ZEROS, gpus=ONES)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert traces.read(packed).table == traces.read(plain).table


def test_parquet_takes_numbers_of_other_widths_and_coded_texts(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        job_id=IDS.dictionary_encode(),
        submit_time=pa.array([0, 1], pa.int64()),
        gpus=pa.array([1, 2], pa.uint8()),
        tenant=pa.array(["x", None], pa.large_string()),
        user=pa.nulls(2),
        runtime=pa.array([1.5, None], pa.float32()),
    )
    assert traces.read(path).table.select(["submit_time", "gpus", "tenant", "user", "runtime"]).to_pylist() == [
        {"submit_time": 0.0, "gpus": 1, "tenant": "x", "user": None, "runtime": 1.5},
        {"submit_time": 1.0, "gpus": 2, "tenant": None, "user": None, "runtime": None},
    ]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gpus", pa.array(["1", "2"])),
        ("job_id", pa.array([1, 2])),
        ("submit_time", pa.array([0, 1], pa.timestamp("us"))),
        ("spread", pa.array([1, 0])),
        ("depends_on", pa.array(["a", "b"])),
    ],
)
def test_parquet_of_a_wrong_type_names_column_and_type(tmp_path: Path, name: str, values: pa.Array) -> None:
    columns = {"job_id": IDS, "submit_time": ZEROS, "gpus": ONES} | {name: values}
    with pytest.raises(
        InputError, match=re.escape(f"column '{name}': the column has the wrong type (got '{values.type}')")
    ):
        traces.read(parquet(tmp_path, **columns))


def test_parquet_nulls_and_not_a_number_are_rejected_where_a_value_must_be(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        job_id=pa.array(["a", None, "c", "d", "e"]),
        submit_time=pa.array([0.0, 1.0, None, float("nan"), 4.0]),
        gpus=pa.array([1, 1, 1, 1, None], pa.int32()),
    )
    trace = traces.read(path)
    assert trace.table["job_id"].to_pylist() == ["a"]
    assert [(each.row, each.column, each.value, each.reason) for each in trace.rejected] == [
        (2, "job_id", "", "the value is missing"),
        (3, "submit_time", "", "the value is missing"),
        (4, "submit_time", "", "this is not a finite number"),
        (5, "gpus", "", "the value is missing"),
    ]


def test_a_broken_parquet_file_is_an_input_error(tmp_path: Path) -> None:
    path = parquet(tmp_path, job_id=IDS, submit_time=ZEROS, gpus=ONES)
    data = path.read_bytes()
    for broken in (data[:-20], b"PAR1", b"PAR1" + b"\xff" * 200 + b"PAR1"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="not a Parquet file that can be read"):
            traces.read(path)


def test_an_unknown_column_names_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "job_id,submit_time,gpus,submit_tim\na,0,1,0\n")
    with pytest.raises(InputError, match=r"column 'submit_tim'.*no such column; did you mean 'submit_time'"):
        traces.read(path, format="native")


def test_another_separator_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column 'job_id': a column is missing.*separated by ','"):
        traces.read(write(tmp_path, "job_id;submit_time;gpus\na;0;1\n"), format="native")


def test_every_kind_of_bad_row_is_counted_with_its_line(tmp_path: Path) -> None:
    text = HEADER + (
        "good,0,60,8,,\n"
        "nan,nan,60,8,,\n"
        "inf,inf,60,8,,\n"
        "negative,0,-1,8,,\n"
        "overflow,0,1e999,8,,\n"
        "huge,0,60,10000000,,\n"
        "part,0,60,1.5,,\n"
        "good,1,60,8,,\n"
        "short,0,60\n"
        "text,soon,60,8,,\n"
        "truth,0,60,8,,maybe\n"
        "loop-a,0,60,8,loop-b,\n"
        "loop-b,0,60,8,loop-a,\n"
        "self,0,60,8,self,\n"
        "orphan,0,60,8,good;nobody,\n"
        "last,2,60,8,good,true\n"
    )
    trace = traces.read(write(tmp_path, text))
    assert trace.table["job_id"].to_pylist() == ["good", "last"]
    assert trace.rows_in == 16
    assert [(each.row, each.column, each.value) for each in trace.rejected] == [
        (3, "submit_time", "nan"),
        (4, "submit_time", "inf"),
        (5, "runtime", "-1"),
        (6, "runtime", "1e999"),
        (7, "gpus", "10000000"),
        (8, "gpus", "1.5"),
        (9, "job_id", "good"),
        (10, "", "short,0,60"),
        (11, "submit_time", "soon"),
        (12, "spread", "maybe"),
        (13, "depends_on", "loop-b"),
        (14, "depends_on", "loop-a"),
        (15, "depends_on", "self"),
        (16, "depends_on", "good;nobody"),
    ]


def test_formulas_and_html_stay_text(tmp_path: Path) -> None:
    text = 'job_id,submit_time,gpus,user,job_name\n=cmd(),0,1,<script>,"a ""quoted"", name"\n'
    (job,) = traces.read(write(tmp_path, text)).table.to_pylist()
    assert (job["job_id"], job["user"], job["job_name"]) == ("=cmd()", "<script>", 'a "quoted", name')


def test_a_header_without_jobs_is_an_empty_trace(tmp_path: Path) -> None:
    trace = traces.read(write(tmp_path, HEADER))
    assert (trace.rows_in, trace.table.num_rows) == (0, 0)
    assert trace.table.schema.equals(job_schema())


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("origin=yesterday", "the origin is no ISO 8601 timestamp"),
        ("zone=Mars/Olympus", "unknown time zone 'Mars/Olympus'"),
    ],
)
def test_an_origin_or_zone_that_means_nothing_is_refused(tmp_path: Path, fact: str, message: str) -> None:
    path = write(tmp_path, f"# gpuyard trace; {fact}\njob_id,submit_time,gpus\na,0,1\n")
    with pytest.raises(InputError, match=message):
        traces.read(path)
