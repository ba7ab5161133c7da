"""Columns that orders and arrays go by: deadline, nice, array, array_limit, segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import workload
from gpuyard.errors import InputError
from gpuyard.traces import read
from gpuyard.traces.builder import JobTableBuilder
from gpuyard.workload import MICROSECOND, NEVER, Workload

COLUMNS = ("deadline", "nice", "array", "array_limit", "segment")


def test_a_deadline_is_an_instant_and_moves_with_the_submission() -> None:
    jobs = workload((1000, 10, 1, {"deadline": 1500.0}), (2000, 10, 1))
    assert jobs.deadline.tolist() == [1500 * MICROSECOND, NEVER]
    faster = jobs.scaled(2)
    assert faster.table["deadline"].to_pylist() == [1000.0, None]  # 500 s after its submission, as before
    assert faster.notes == ("arrivals 2 times as fast: deadline moved with the submission of each job",)


def test_a_deadline_on_the_calendar_is_counted_from_the_origin() -> None:
    builder = JobTableBuilder(format="test", path=None, rows=np.array([1, 2]), rows_in=2)
    builder.put_row_ids()
    builder.put("submit_time", np.array([1e9, 1e9 + 60]))
    builder.put("gpus", np.array([1.0, 1.0]))
    builder.put("deadline", np.array([np.nan, 1e9 + 3600]))
    assert builder.finish(absolute=True).table["deadline"].to_pylist() == [None, 3600.0]


def test_the_columns_are_read_from_our_own_csv(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(
        "job_id,submit_time,gpus,runtime,deadline,nice,array,array_limit,segment\n"
        "a,0,16,5,90,-3,sweep,2,4\n"
        "b,1,1,5,,,,,\n"
        "c,2,1,5,,,,2,\n"
        "d,3,1,5,,,sweep,0,\n"
        "e,4,1,5,,,,,0\n",
        encoding="utf-8",
    )
    trace = read(path)
    table = Workload.from_trace(trace).table
    assert {name: table[name].to_pylist() for name in COLUMNS} == {
        "deadline": [90.0, None],
        "nice": [-3, None],
        "array": ["sweep", None],
        "array_limit": [2, None],
        "segment": [4, None],
    }
    assert [(each.row, each.column, each.reason) for each in trace.rejected] == [
        (4, "array_limit", "the limit of an array needs an array"),
        (5, "array_limit", "the limit of an array must be 1 or more"),
        (6, "segment", "nodes of a segment must be between 1 and 1000000"),
    ]


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"array_limit": 3}, "row 1, column 'array_limit': the limit of an array needs an array"),
        ({"array": "a", "array_limit": 0}, "row 1, column 'array_limit': at least 1 job of an array may run"),
        ({"segment": 0}, "row 1, column 'segment': a segment has at least 1 node"),
        ({"deadline": float("inf")}, "row 1, column 'deadline': a time must be a finite number of seconds"),
    ],
)
def test_what_no_scheduler_could_make_sense_of_is_refused(job: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        workload((0, 1, 1, job))
