"""Writers: what comes back is what went in, or the writer said what it could not hold."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuyard.errors import ConfigError, InputError
from gpuyard.traces import read
from gpuyard.traces.schema import ORIGIN, SOURCE_FORMAT, STATES, ZONE, job_schema
from gpuyard.traces.write import write_table, write_tables

FACTS = {ORIGIN: b"2024-03-31T01:30:00.250000+09:00", SOURCE_FORMAT: b"philly", ZONE: b"Asia/Seoul"}


def table(*jobs: dict[str, Any], facts: dict[bytes, bytes] | None = None) -> pa.Table:
    rows = [{"submit_time": 0.0, "gpus": 1, **job} for job in jobs]
    return pa.Table.from_pylist(rows, schema=job_schema(FACTS if facts is None else facts))


def written(folder: Path, jobs: pa.Table, name: str) -> pa.Table:
    write_table(jobs, folder / name)
    trace = read(folder / name)
    assert trace.rejected == ()
    return trace.table


TEXTS = st.one_of(
    st.sampled_from(['say "hi"', "a,b", "=cmd()", "@sum(A1)", "-1", "#x", " ", "null", "NA", "é漢字🙂"]),
    st.sampled_from(["\u2028", "\x85", "\x00", "\ufeff", '"', "\t"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=12),
)  # fmt: skip
TIMES = st.floats(-1e9, 1e9).map(lambda value: value + 0.0)
SPANS = st.floats(0, 1e9)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def tables(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> pa.Table:
    """Tables that use every column, with every kind of text and null."""
    ids = draw(st.lists(texts.filter(lambda text: ";" not in text), min_size=1, max_size=6, unique=True))
    jobs = []
    for at, name in enumerate(ids):
        share = draw(maybe(st.integers(1, 999)))
        start = draw(maybe(TIMES))
        array = draw(maybe(texts))
        parents = draw(st.lists(st.sampled_from(ids[:at]), min_size=1, max_size=3, unique=True)) if at else None
        jobs.append({
            "job_id": name, "submit_time": draw(TIMES), "start_time": start,
            "end_time": None if start is None else start + draw(SPANS), "runtime": draw(maybe(SPANS)),
            "time_limit": draw(maybe(SPANS)), "gpus": 1 if share else draw(st.integers(0, 9999)), "gpu_milli": share,
            "gpu_type": draw(maybe(texts)), "cpus": draw(maybe(SPANS)), "memory_gib": draw(maybe(SPANS)),
            "nodes": draw(maybe(st.integers(1, 9))), "spread": draw(maybe(st.booleans())),
            "priority": draw(maybe(st.integers(-(2**31), 2**31 - 1))), "not_before": draw(maybe(TIMES)),
            "depends_on": draw(maybe(st.just(parents))), "think_time": draw(maybe(SPANS)),
            "nice": draw(maybe(st.integers(-(2**31), 2**31 - 1))), "deadline": draw(maybe(TIMES)),
            "segment": draw(maybe(st.integers(1, 9))), "array": array,
            "checkpoint_interval": draw(maybe(st.sampled_from([0.0, 0.5, 900.0]))),
            "array_limit": draw(maybe(st.integers(1, 9))) if array else None,
            "job_class": draw(maybe(texts)), "tenant": draw(maybe(texts)), "user": draw(maybe(texts)),
            "partition": draw(maybe(texts)), "qos": draw(maybe(texts)), "job_name": draw(maybe(texts)),
            "state": draw(maybe(st.sampled_from(STATES))), "activity": draw(maybe(st.floats(0, 1))),
        })  # fmt: skip
    return table(*jobs)


slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(jobs=tables(st.one_of(TEXTS, st.just("line\nbreak"), st.just("a\r\nb"))))
def test_parquet_gives_back_any_table(tmp_path_factory: pytest.TempPathFactory, jobs: pa.Table) -> None:
    back = written(tmp_path_factory.mktemp("parquet"), jobs, "jobs.parquet")
    assert back.equals(jobs, check_metadata=True)


@slow
@given(jobs=tables(TEXTS))
def test_csv_gives_back_any_table_whose_texts_have_no_line_break(
    tmp_path_factory: pytest.TempPathFactory, jobs: pa.Table
) -> None:
    back = written(tmp_path_factory.mktemp("csv"), jobs, "jobs.csv")
    assert back.equals(jobs, check_metadata=True)


def test_the_csv_is_the_data_as_it_stands(tmp_path: Path) -> None:
    jobs = table({"job_id": "a", "user": "=cmd()", "runtime": 0.1, "spread": True, "depends_on": []})
    write_table(jobs.select(["job_id", "submit_time", "gpus", "user", "runtime", "spread"]), tmp_path / "jobs.csv")
    first, header, line = (tmp_path / "jobs.csv").read_text().splitlines()
    assert first == "# gpuyard trace; origin=2024-03-31T01:30:00.250000+09:00; zone=Asia/Seoul; format=philly"
    assert header.startswith("job_id,submit_time,start_time,end_time,runtime,time_limit,gpus,")
    assert line == '"a",0,,,0.1,,1,,,,,,,true,,,,,,,,,,,,,,"=cmd()",,,,,'


@pytest.mark.parametrize(
    ("job", "column"),
    [
        ({"job_id": "a", "user": "two\nlines"}, "user"),
        ({"job_id": "a", "tenant": "a\rb"}, "tenant"),
        ({"job_id": "a", "job_name": ""}, "job_name"),
        ({"job_id": "b", "depends_on": ["a;c"]}, "depends_on"),
        ({"job_id": "b", "job_name": "x" * (1 << 20)}, "job_id"),
    ],
)
def test_csv_refuses_what_it_would_change(tmp_path: Path, job: dict[str, Any], column: str) -> None:
    with pytest.raises(InputError, match="Parquet") as caught:
        write_table(table({"job_id": "first"}, job), tmp_path / "jobs.csv")
    assert (caught.value.column, caught.value.row) == (column, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["jobs.csv", "jobs.swf"])
def test_a_packed_file_holds_the_same_text(tmp_path: Path, name: str) -> None:
    jobs = table({"job_id": "1", "runtime": 5.0})
    write_table(jobs, tmp_path / name)
    write_table(jobs, tmp_path / f"{name}.gz")
    assert gzip.decompress((tmp_path / f"{name}.gz").read_bytes()) == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", ["jobs.parquet", "jobs.csv", "jobs.csv.gz", "jobs.swf"])
def test_the_same_table_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    jobs = table({"job_id": "1", "runtime": 5.0, "user": "ann"}, {"job_id": "2", "runtime": 0.1})
    write_table(jobs, tmp_path / name)
    before = (tmp_path / name).read_bytes()
    write_table(jobs, tmp_path / name)
    assert (tmp_path / name).read_bytes() == before


# -- SWF ------------------------------------------------------------------------------------------


def test_an_swf_line_has_eighteen_fields_in_their_places(tmp_path: Path) -> None:
    jobs = table(
        {"job_id": "7", "submit_time": 10.0, "start_time": 12.5, "end_time": 72.5, "runtime": 60.0, "time_limit": 90.0,
         "gpus": 8, "memory_gib": 8.0, "state": "completed", "user": "ann", "tenant": "4", "partition": "gpu"},
        {"job_id": "9", "submit_time": 11.0, "gpus": 2, "depends_on": ["7"], "think_time": 30.0, "user": "bob"},
    )  # fmt: skip
    assert write_table(jobs, tmp_path / "jobs.swf") == ()
    assert (tmp_path / "jobs.swf").read_text().splitlines() == [
        "; Version: 2.2",
        "; Conversion: gpuyard",
        "; MaxJobs: 2",
        "; MaxRecords: 2",
        "; UnixStartTime: 1711816200.25",  # date -u -d 2024-03-30T16:30:00 +%s
        "; TraceOrigin: 2024-03-31T01:30:00.250000+09:00 Asia/Seoul",
        "; TimeZoneString: Asia/Seoul",
        "; Note: a processor is a GPU",
        '; UserName: 1 "ann"',
        '; UserName: 2 "bob"',
        '; PartitionName: 1 "gpu"',
        "7 10 2.5 60 8 -1 -1 8 90 1048576 1 1 4 -1 -1 1 -1 -1",
        "9 11 -1 -1 2 -1 -1 2 -1 -1 -1 2 -1 -1 -1 -1 7 30",
    ]


MICROSECONDS = st.integers(0, 10**14).map(lambda ticks: ticks / 1e6)
NAMES = maybe(st.one_of(st.sampled_from(["1", "2", "-1", "007", "a b", "two\nlines", 'q"', ""]), st.text(max_size=6)))


@st.composite
def swf_tables(draw: st.DrawFn) -> pa.Table:
    """Tables of what SWF can hold, to the microsecond."""
    numbers = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True))
    jobs: list[dict[str, Any]] = []
    for at, number in enumerate(numbers):
        submit, wait, run = (draw(st.integers(0, 10**14)) for _ in range(3))
        has_run = draw(st.booleans())
        starts = has_run and draw(st.booleans())
        waits_for = draw(st.none() | st.sampled_from(numbers[:at])) if at else None
        jobs.append({
            "job_id": str(number), "submit_time": submit / 1e6, "runtime": run / 1e6 if has_run else None,
            "start_time": (submit + wait) / 1e6 if starts else None,
            "end_time": (submit + wait + run) / 1e6 if starts else None, "time_limit": draw(maybe(MICROSECONDS)),
            "gpus": draw(st.integers(0, 4096)),
            "state": draw(st.sampled_from([None, "completed", "failed", "cancelled", "running"])),
            **{name: draw(NAMES) for name in ("user", "tenant", "qos", "partition", "job_name")},
            "depends_on": None if waits_for is None else [str(waits_for)],
            "think_time": None if waits_for is None else draw(maybe(MICROSECONDS)),
        })  # fmt: skip
    return table(*jobs, facts={**FACTS, SOURCE_FORMAT: b"swf"})


@slow
@given(jobs=swf_tables())
def test_swf_gives_back_all_that_it_can_hold(tmp_path_factory: pytest.TempPathFactory, jobs: pa.Table) -> None:
    path = tmp_path_factory.mktemp("swf") / "jobs.swf"
    assert write_table(jobs, path) == ()
    assert read(path).table.equals(jobs, check_metadata=True)


def test_what_swf_cannot_hold_is_said_in_the_file_and_to_the_caller(tmp_path: Path) -> None:
    jobs = table(
        {"job_id": "one", "gpu_milli": 500, "gpu_type": "A100", "state": "timed_out", "memory_gib": 0.3},
        {"job_id": "two", "submit_time": 5.0, "start_time": 4.0, "runtime": 3.0, "end_time": 9.0, "think_time": 1.0},
        {"job_id": "three", "start_time": 4.0, "depends_on": ["one", "two"], "gpus": 0, "memory_gib": 1.0},
    )
    notes = write_table(jobs, tmp_path / "jobs.swf")
    assert sorted(notes) == [
        "1 job: a state that SWF does not have is written as failed or unknown: "
        "timed_out, node_failed, preempted, pending",
        "1 job: depends_on is left out where it is not one job on an earlier line",
        "1 job: end_time has no field and is not start_time + runtime",
        "1 job: gpu_milli has no field and is left out",
        "1 job: gpu_type has no field and is left out",
        "1 job: memory_gib is rounded up to whole KiB a GPU",
        "1 job: memory_gib needs a GPU and is left out",
        "1 job: start_time before submit_time is left out",
        "1 job: start_time without runtime is left out",
        "1 job: think_time without such a job is left out",
        "3 jobs: job_id is not a whole number in all of them: they are numbered from 1",
    ]  # fmt: skip
    text = (tmp_path / "jobs.swf").read_text()
    assert all(f"; Note: {note}\n" in text for note in notes)


def test_swf_has_no_time_before_the_origin(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="before the origin") as caught:
        write_table(table({"job_id": "1"}, {"job_id": "2", "submit_time": -1.0}), tmp_path / "jobs.swf")
    assert caught.value.row == 2


# -- whole or not at all --------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_when_writing_breaks_off_the_old_file_stays_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    target = tmp_path / "jobs.parquet"
    target.write_bytes(b"old")

    def half(_: pa.Table, stream: Any, **__: Any) -> None:
        stream.write(b"half")
        raise problem

    monkeypatch.setattr("gpuyard.traces.write.pq.write_table", half)
    with pytest.raises(InputError if isinstance(problem, OSError) else type(problem)):
        write_table(table({"job_id": "1"}), target)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.parquet"]


def test_a_table_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("old")
    with pytest.raises(InputError, match="must be finite"):
        write_table(table({"job_id": "1", "runtime": float("inf")}), tmp_path / "jobs.csv")
    assert (tmp_path / "jobs.csv").read_text() == "old"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="create the folder first"):
        write_table(table({"job_id": "1"}), tmp_path / "none" / "jobs.csv")


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").mkdir()
    with pytest.raises(InputError, match="only a regular file"):
        write_table(table({"job_id": "1"}), tmp_path / "jobs.csv")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda path: write_table(table(), path / "jobs.txt"), r"end it in \.parquet, \.csv or \.swf"),
        (lambda path: write_table(table(), path / "jobs.csv", format="cvs"), "did you mean 'csv'"),
        (lambda path: write_table(table(), path / "jobs.parquet.gz"), "packed already"),
        (lambda path: write_table(pa.table({"job": [1]}), path / "jobs.csv"), "has no column"),
        (lambda path: write_table(pa.table({"gpus": ["many"]}), path / "jobs.csv"), "does not hold int32"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, act: Callable[[Path], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        act(tmp_path)


def test_the_format_can_be_named_against_the_suffix(tmp_path: Path) -> None:
    write_table(table({"job_id": "1"}), tmp_path / "jobs.txt", format="parquet")
    assert (tmp_path / "jobs.txt").read_bytes().startswith(b"PAR1")


def test_a_table_without_jobs_is_written_and_read(tmp_path: Path) -> None:
    assert written(tmp_path, table(), "jobs.parquet").num_rows == 0
    assert written(tmp_path, table(), "jobs.csv").num_rows == 0


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_tables_written_one_after_the_other_are_the_file_of_the_whole(tmp_path, monkeypatch, rows):
    monkeypatch.setattr("gpuyard.traces.write.ROW_GROUP", 4)
    whole = table(*({"job_id": f"j{n}"} for n in range(10)))
    write_table(whole, tmp_path / "whole.parquet")
    assert write_tables((whole.slice(first, rows) for first in range(0, 10, rows)), tmp_path / "parts.parquet") == 10
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_no_tables_are_an_empty_file(tmp_path):
    assert write_tables([], tmp_path / "none.parquet") == 0
    assert read(tmp_path / "none.parquet").table.num_rows == 0
