"""Workloads: sorted, checked at the door, and cut without losing count."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from conftest import cluster, starts, workload
from gpuyard.errors import ConfigError, InputError
from gpuyard.metrics.digests import workload_digest
from gpuyard.workload import NEVER, Workload, to_ticks


def test_jobs_are_sorted_by_submission_then_row() -> None:
    jobs = workload((5, 1, 1), (0, 1, 2), (5, 1, 3), (-2.5, 1, 4))
    assert jobs.gpus.tolist() == [4, 2, 1, 3]
    assert jobs.submit.tolist() == [-2_500_000, 0, 5_000_000, 5_000_000]


def test_seconds_become_ticks_half_to_even() -> None:
    ticks = to_ticks(pa.array([0.5e-6, 1.5e-6, 2.5e-6, float("nan")]).to_numpy())
    assert ticks.tolist() == [0, 2, 2, NEVER]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("submit_time", float("nan"), "a time must be a finite number of seconds"),
        ("submit_time", float("inf"), "a time must be a finite number of seconds"),
        ("runtime", -1.0, "a duration must be a finite number of seconds, and not negative"),
        ("time_limit", -0.5, "and not negative (got -0.5); correct or drop the row"),
        ("gpus", -8, "GPUs cannot be negative (got -8); write 0 for a job without GPUs"),
        ("gpu_milli", 0, "a share of a GPU is 1 to 999 thousandths (got 0); leave it null for whole GPUs"),
        ("gpu_milli", 1000, "1 to 999 thousandths (got 1000)"),
        ("nodes", 0, "a job runs on at least 1 node (got 0); leave it null"),
        ("nodes", -1, "at least 1 node (got -1)"),
        ("cpus", -2.0, "CPU cores must be between 0 and 1e9 (got -2.0)"),
        ("cpus", float("inf"), "CPU cores must be between 0 and 1e9 (got inf)"),
        ("cpus", 1e20, "CPU cores must be between 0 and 1e9 (got 1e+20)"),
        ("memory_gib", -1.0, "memory must be between 0 and 1e12 GiB (got -1.0)"),
        ("memory_gib", 2e12, "memory must be between 0 and 1e12 GiB (got 2000000000000.0)"),
        ("activity", 41.0, "an activity is a share from 0 to 1 (got 41.0); divide percentages by 100"),
        ("activity", -0.1, "a share from 0 to 1"),
        ("state", "done", "nobody knows this state (got 'done'); write one of completed, failed"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_place_and_a_remedy(column: str, value: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        workload((0, 10, 1), (0, 10, 1, {column: value}))
    assert f"workload, row 2, column '{column}': " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("gpus", [0, 2])
def test_a_share_of_a_gpu_needs_one_gpu(gpus: int) -> None:
    with pytest.raises(InputError, match=r"row 1, column 'gpu_milli': a share of a GPU needs a job of 1 GPU \(got 500"):
        workload((0, 10, gpus, {"gpu_milli": 500}))


def test_a_job_that_ends_before_it_starts_is_refused() -> None:
    message = r"row 2, column 'end_time': the job ends before it starts \(got 50.0\); correct or drop the row"
    with pytest.raises(InputError, match=message):
        workload((0, 10, 1), (0, 10, 1, {"start_time": 100.0, "end_time": 50.0}))
    edges = ({"start_time": 5.0, "end_time": 5.0}, {"start_time": 5.0}, {"end_time": 5.0})
    assert len(workload(*((0, 10, 1, times) for times in edges))) == 3


def test_the_edges_of_every_range_are_taken() -> None:
    edges = {"gpu_milli": 999, "nodes": 1, "cpus": 0.0, "memory_gib": 0.0, "activity": 1.0, "state": "node_failed"}
    assert len(workload((0, 0, 1, edges), (0, 0, 1, {"gpu_milli": 1, "activity": 0.0}), (-1e9, 1e9, 0))) == 3


def test_a_missing_value_a_twin_and_a_circle_are_refused() -> None:
    with pytest.raises(InputError, match=r"row 2, column 'submit_time': a value is missing"):
        workload((0, 10, 1), (None, 10, 1))
    with pytest.raises(InputError, match=r"two jobs share one job_id \(got 'x'\)"):
        workload((0, 10, 1, {"job_id": "x"}), (0, 10, 1, {"job_id": "x"}))
    with pytest.raises(InputError, match=r"row 1, .*a job that is not in the table \(got '7'\)"):
        workload((0, 10, 1, {"depends_on": ["7"]}))
    with pytest.raises(InputError, match="dependencies go in a circle"):
        workload((0, 10, 1, {"depends_on": ["1"]}), (0, 10, 1, {"depends_on": ["0"]}))


def test_a_column_nobody_knows_and_one_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no column \['gpu'\]"):
        Workload.from_table(pa.table({"job_id": ["a"], "submit_time": [0.0], "gpus": [1], "gpu": [1]}))
    with pytest.raises(ConfigError, match="column 'gpus' does not hold int32"):
        Workload.from_table(pa.table({"job_id": ["a"], "submit_time": [0.0], "gpus": ["many"]}))


def test_a_column_that_is_there_twice_or_holds_something_else_is_refused() -> None:
    names, zeros = pa.array(["a"]), pa.array([0.0])
    twice = pa.Table.from_arrays([names, zeros, zeros, zeros], ["job_id", "submit_time", "gpus", "gpus"])
    with pytest.raises(ConfigError, match=r"has \['gpus'\] more than once"):
        Workload.from_table(twice)
    lists = pa.table({"job_id": names, "submit_time": zeros, "gpus": pa.array([[1]])})
    with pytest.raises(ConfigError, match="column 'gpus' does not hold"):
        Workload.from_table(lists)


def test_what_is_left_out_is_counted() -> None:
    jobs = workload((0, 1, 1), (10, 1, 1), (20, 1, 1), (30, 1, 1))
    some = jobs.window(10, 30)
    assert some.submit.tolist() == [10_000_000, 20_000_000]
    assert some.notes == ("window 10 s to 30 s: 2 of 4 jobs left out",)
    assert jobs.head(3).notes == ("first 3 jobs: 1 of 4 jobs left out",)
    assert jobs.head(9).notes == ()


def test_dependencies_on_jobs_left_out_are_dropped_and_counted() -> None:
    jobs = workload(
        (0, 1, 1, {"job_id": "a"}),
        (50, 1, 1, {"job_id": "b"}),
        (60, 1, 1, {"job_id": "c", "depends_on": ["a"], "think_time": 5.0}),
        (70, 1, 1, {"job_id": "d", "depends_on": ["a", "b"], "think_time": 7.0}),
        (80, 1, 1, {"job_id": "e", "depends_on": ["d"], "think_time": 9.0}),
    )
    late = jobs.window(50, 100)
    assert late.table["depends_on"].to_pylist() == [None, None, ["b"], ["d"]]
    assert late.table["think_time"].to_pylist() == [None, None, 7.0, 9.0]
    assert late.notes == (
        "window 50 s to 100 s: 1 of 5 jobs left out",
        "window 50 s to 100 s: dependencies on jobs left out dropped from 2 jobs",
    )
    assert starts(late, cluster(8)) == [50.0, 60.0, 70.0, 80.0]
    assert Workload.from_table(late.table).table.equals(late.table)
    assert jobs.head(5).table["depends_on"].to_pylist()[2] == ["a"]


def test_arrivals_can_be_made_denser() -> None:
    assert workload((0, 1, 1), (10, 1, 1)).scaled(4).submit.tolist() == [0, 2_500_000]
    with pytest.raises(ConfigError, match="a positive factor, got 0"):
        workload((0, 1, 1)).scaled(0)


def test_denser_arrivals_keep_recorded_waits_lengths_and_delays() -> None:
    jobs = workload(
        (1000, 10, 1, {"start_time": 1001.0, "end_time": 1011.0}),
        (2000, 10, 1, {"start_time": 2001.0, "end_time": 2013.0, "not_before": 2000.5}),
        (3000, 10, 1),
    ).scaled(2)
    assert jobs.table["submit_time"].to_pylist() == [500.0, 1000.0, 1500.0]
    assert jobs.table["start_time"].to_pylist() == [501.0, 1001.0, None]
    assert jobs.table["end_time"].to_pylist() == [511.0, 1013.0, None]
    assert jobs.table["not_before"].to_pylist() == [None, 1000.5, None]
    (note,) = jobs.notes
    assert note == ("arrivals 2 times as fast: not_before, start_time, end_time moved with the submission of each job")


def test_two_workloads_are_merged_at_their_own_times() -> None:
    first, second = workload((5, 1, 1, {"job_id": "a"})), workload((0, 1, 2, {"job_id": "b"}))
    both = first.merged(second)
    assert both.table["job_id"].to_pylist() == ["b", "a"]
    with pytest.raises(InputError, match="two jobs share one job_id"):
        first.merged(first)


def test_parents_are_coded_as_rows_whatever_is_sorted_left_out_or_repeated() -> None:
    rows = [
        {"job_id": "c", "submit_time": 2.0, "depends_on": ["a", "b", "a"], "think_time": 5.0},
        {"job_id": "b", "submit_time": 1.0, "depends_on": ["a"], "think_time": 7.0},
        {"job_id": "a", "submit_time": 0.0, "depends_on": []},
        {"job_id": "d", "submit_time": 3.0},
    ]
    jobs = Workload.from_table(pa.table({
        name: pa.array([row.get(name) for row in rows], kind)
        for name, kind in (("job_id", pa.string()), ("submit_time", pa.float64()),
                           ("depends_on", pa.list_(pa.string())), ("think_time", pa.float64()))
    }).append_column("gpus", pa.array([1] * 4)))  # fmt: skip
    assert jobs.table["depends_on"].to_pylist() == [[], ["a"], ["a", "b", "a"], None]
    assert jobs.table.schema.field("depends_on").type == pa.list_(pa.string())
    assert [pairs.tolist() for pairs in jobs.parents.edges()] == [[0, 0, 1], [1, 2, 2]]
    fewer = jobs.where(np.array([False, True, True, True]), "without the first")
    assert fewer.table["depends_on"].to_pylist() == [None, ["b"], None]
    assert fewer.table["think_time"].to_pylist() == [None, 5.0, None]
    assert [pairs.tolist() for pairs in fewer.parents.edges()] == [[0], [1]]
    assert "dependencies on jobs left out dropped from 2 jobs" in fewer.notes[-1]


def test_dependencies_that_go_back_in_the_table_are_no_circle() -> None:
    table = pa.table({"job_id": ["a", "b", "c"], "submit_time": [0.0, 0.0, 0.0], "gpus": [1, 1, 1]})
    chain = table.append_column("depends_on", pa.array([["b"], ["c"], None], pa.list_(pa.string())))
    assert [pairs.tolist() for pairs in Workload.from_table(chain).parents.edges()] == [[1, 2], [0, 1]]
    circle = table.append_column("depends_on", pa.array([["b"], ["c", "b"], None], pa.list_(pa.string())))
    with pytest.raises(InputError, match=r"row 1.*circle"):
        Workload.from_table(circle)


def test_coded_texts_are_texts_to_all_who_ask() -> None:
    plain = workload((0, 1, 1), (1, 1, 2), (2, 1, 3), (3, 1, 1))
    names = pa.array(["nobody", "lab", "shop", "nobody else"])
    at = plain.held.schema.get_field_index("tenant")
    codes, texts = pa.array([2, 1, None, 2], pa.int32()), pa.array(["shop", "lab", None, "shop"])
    coded = Workload(held=plain.held.set_column(at, "tenant", pa.DictionaryArray.from_arrays(codes, names)))
    told = Workload(held=plain.held.set_column(at, "tenant", texts))
    assert coded.table.equals(told.table)
    assert coded.labels("tenant")[1] == told.labels("tenant")[1] == ("lab", "other", "shop")
    assert coded.labels("tenant")[0].tolist() == told.labels("tenant")[0].tolist() == [2, 0, 1, 2]
    assert workload_digest(coded) == workload_digest(told)
    late = coded.where(np.array([False, True, True, False]), "early")
    assert late.labels("tenant")[1] == ("lab", "other")
