"""The tables of a run: every column as documented, every value as recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conftest import cluster, workload
from gpuyard.energy import EnergyModel, account
from gpuyard.errors import ConfigError
from gpuyard.metrics import attempts_table, jobs_table, schedule_digest, timeline_table, workload_digest
from gpuyard.metrics.columns import ATTEMPTS, JOBS, TIMELINE, reference
from gpuyard.metrics.timeline import bin_edges
from gpuyard.record import Outcome
from gpuyard.traces.schema import ORIGIN
from gpuyard.workload import Workload
from records import record

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def facts():
    """Return three jobs: one waits 5 s, one takes two nodes, one is rejected."""
    jobs = workload(
        (0, 10, 2, {"tenant": "a"}),
        (5, 20.000001, 6, {"job_class": "md", "start_time": 7.0}),
        (6, 3, 99, {"user": "u"}),
    )
    runs = ((0, 0, 10, [(0, 2)]), (1, 10, 30.000001, [(0, 4), (1, 2)]))
    return record(jobs, cluster(4, 4), *runs, outcomes={2: Outcome.REJECTED})


def test_a_row_a_job():
    table = jobs_table(facts(), account(facts()))
    assert table.column_names == [column.name for column in JOBS]
    assert table["job_id"].to_pylist() == ["0", "1", "2"]
    assert table["start_time"].to_pylist() == [0.0, 10.0, None]
    assert table["end_time"].to_pylist() == [10.0, 30.000001, None]
    assert table["wait_time"].to_pylist() == [0.0, 5.0, None]
    assert table["jct"].to_pylist() == [10.0, 25.000001, None]
    assert table["runtime"].to_pylist() == [10.0, 20.000001, None]
    assert table["state"].to_pylist() == ["completed", "completed", "rejected"]
    assert table["reject_reason"].to_pylist() == [None, None, "too many GPUs"]
    assert table["slowdown"].to_pylist() == [1.0, pytest.approx(1.25), None]
    assert table["gpu_time"].to_pylist() == [20.0, pytest.approx(120.000006), 0.0]
    assert table["recorded_start_time"].to_pylist() == [None, 7.0, None]
    assert table["tenant"].to_pylist() == ["a", None, None]


def test_a_jobs_energy_has_its_share_of_the_idle_draw():
    drawn = account(facts(), EnergyModel(default_load=1.0))
    energy = jobs_table(facts(), drawn)["energy_kwh"].to_pylist()
    assert energy[0] == pytest.approx(10 * (2 * 400 + 100 + 50) / 3.6e6)  # half of the node, all of its dynamic range
    assert energy[2] == 0.0


def test_a_row_an_attempt_with_its_nodes():
    table = attempts_table(facts())
    assert table.column_names == [column.name for column in ATTEMPTS]
    assert table.to_pylist()[1] == {
        "job_id": "1",
        "attempt": 1,
        "start_time": 10.0,
        "end_time": 30.000001,
        "end_reason": "finished",
        "useful_time": 20.000001,
        "preempted_by": None,
        "preemption_reason": None,
        "lost_gpu_hours": 0.0,
        "lent": None,
        "speed": 1.0,
        "gpus": 6,
        "nodes": [0, 1],
        "gpus_on_node": [4, 2],
        "first_gpu": [-1, -1],
    }


def test_attempts_of_one_job_are_numbered_in_the_order_they_started():
    jobs = workload((0, 10, 1), (0, 10, 1))
    runs = ((0, 0, 1, [(0, 1)]), (1, 2, 3, [(0, 1)]), (0, 4, 5, [(0, 1)]), (0, 6, 7, [(0, 1)]))
    table = attempts_table(record(jobs, cluster(1), *runs))
    assert list(zip(table["job_id"].to_pylist(), table["attempt"].to_pylist(), strict=True)) == [
        ("0", 1),
        ("1", 1),
        ("0", 2),
        ("0", 3),
    ]


def test_a_job_still_running_at_the_stop_has_no_end():
    left = record(workload((0, 99, 1)), cluster(1), (0, 0, 5, [(0, 1)]), stop=5)
    assert jobs_table(left, account(left))["end_time"].to_pylist() == [None]
    row = attempts_table(left).to_pylist()[0]
    assert (row["end_time"], row["end_reason"]) == (5.0, "stopped")


def test_empty_tables_keep_their_columns():
    nothing = record(workload(), cluster(1))
    drawn = account(nothing)
    assert jobs_table(nothing, drawn).schema.names == [column.name for column in JOBS]
    assert attempts_table(nothing).num_rows == 0
    assert timeline_table(nothing, drawn).schema.names == [column.name for column in TIMELINE]


def test_the_timeline_holds_the_exact_mean_of_each_bin():
    drawn = account(facts(), EnergyModel(default_load=0.5, pue=2.0))
    table = timeline_table(facts(), drawn, bin_width=20.0)
    assert table["time"].to_pylist() == [0.0, 20.0]
    assert table["duration_s"].to_pylist() == [20.0, pytest.approx(10.000001)]
    assert table["gpus_up"].to_pylist() == [8.0, 8.0]
    assert table["gpus_held"].to_pylist() == [(2 * 10 + 6 * 10) / 20, 6.0]
    assert table["gpus_busy"].to_pylist() == [pytest.approx((2 * 10 * 0.5 + 6 * 10 * 0.65) / 20), pytest.approx(3.9)]
    assert table["queued_jobs"].to_pylist() == [5 / 20, 0.0]
    assert table["queued_gpus"].to_pylist() == [30 / 20, 0.0]
    assert table["running_jobs"].to_pylist() == [1.0, 1.0]
    assert table["pue"].to_pylist() == [2.0, 2.0]
    assert table["held.md"].to_pylist() == [3.0, 6.0]
    assert table["held.other"].to_pylist() == [1.0, 0.0]
    power = table["it_power_w"].to_pylist()
    assert power[1] == pytest.approx(200 + 6 * 400 * 0.65 + (1 + 0.5) * 200 * 0.65)
    assert table["facility_power_w"].to_pylist()[1] == pytest.approx(2 * power[1])


def test_a_bin_in_which_a_month_begins_weighs_its_figures_by_energy():
    table = workload((0, 7200, 4)).table.replace_schema_metadata({ORIGIN: b"2026-01-31T23:00:00"})
    dated = record(Workload.from_table(table), cluster(4), (0, 0, 7200, [(0, 4)]))
    months = {"pue": (1.2, 1.4) + (1.0,) * 10, "price_krw_per_kwh": (100.0, 200.0) + (0.0,) * 10}
    row = timeline_table(dated, account(dated, EnergyModel(**months)), bin_width=7200).to_pylist()[0]
    assert row["pue"] == pytest.approx(1.3)
    assert row["price_krw_per_kwh"] == pytest.approx((1.2 * 100 + 1.4 * 200) / 2.6)
    assert row["carbon_kg_per_kwh"] == 0.4173


def test_bins_are_round_and_no_more_than_two_thousand():
    second, day = 10**6, 86_400 * 10**6
    assert np.diff(bin_edges(0, 3600 * second)).max() == 60 * second
    assert np.diff(bin_edges(0, 5 * day)).max() == 300 * second
    assert np.diff(bin_edges(0, 80 * day)).max() == 3600 * second
    assert np.diff(bin_edges(0, 2000 * day)).max() == day
    assert np.diff(bin_edges(0, 9000 * day)).max() == 5 * day
    for days in (1, 7, 83, 84, 500, 501, 5000, 40_000):
        assert bin_edges(123, days * day).size - 1 <= 2000


def test_inner_edges_are_multiples_of_the_width_and_outer_bins_may_be_short():
    assert bin_edges(30_000_000, 130_000_000, 60).tolist() == [30_000_000, 60_000_000, 120_000_000, 130_000_000]
    assert bin_edges(-90_000_000, 0, 60).tolist() == [-90_000_000, -60_000_000, 0]
    assert bin_edges(5, 5).tolist() == [5]


@pytest.mark.parametrize("width", [0.0, -60.0, 1e-6])
def test_bins_that_cannot_be_are_refused(width):
    with pytest.raises(ConfigError, match="do not suit a run of 100 s"):
        bin_edges(0, 10**8, width)


def test_the_origin_goes_with_the_tables():
    table = facts().workload.table.replace_schema_metadata({ORIGIN: b"2026-01-01T00:00:00+09:00"})
    dated = replace(facts(), workload=Workload.from_table(table))
    drawn = account(dated)
    for result in (jobs_table(dated, drawn), attempts_table(dated), timeline_table(dated, drawn)):
        assert result.schema.metadata[ORIGIN] == b"2026-01-01T00:00:00+09:00"


def test_every_column_has_a_unit_and_a_meaning():
    for column in (*JOBS, *ATTEMPTS, *TIMELINE):
        assert column.unit, column.name
        assert column.meaning, column.name
        assert column.null, column.name


def test_the_document_has_the_tables_of_the_code():
    assert reference() in DOCUMENT.read_text(encoding="utf-8"), "docs/metrics.md: put reference() in again"


def test_a_schedules_digest_changes_with_any_time_node_or_name():
    base = schedule_digest(facts())
    assert base == schedule_digest(facts())
    other = facts()
    changed = [
        replace(other, start=other.start + np.array([0, 1, 0])),
        replace(other, end=other.end - np.array([0, 1, 0])),
        replace(other, slot_node=np.array([0, 1, 0], np.int32)),
        replace(other, slot_gpus=np.array([2, 3, 3], np.int32)),
        replace(other, workload=renamed(other.workload)),
    ]
    digests = {schedule_digest(each) for each in changed}
    assert len(digests | {base}) == 6


def renamed(jobs: Workload) -> Workload:
    ids = pa.array(["01", "", "2"])
    return replace(jobs, held=jobs.table.set_column(0, "job_id", ids))


def test_a_schedules_digest_does_not_depend_on_how_arrow_stores_the_names():
    jobs = facts().workload
    sliced = pa.concat_tables([jobs.table.slice(0, 1), jobs.table.slice(1)])
    assert schedule_digest(replace(facts(), workload=replace(jobs, held=sliced))) == schedule_digest(facts())
    assert workload_digest(replace(jobs, held=sliced)) == workload_digest(jobs)
    longer = pa.concat_tables([jobs.table, jobs.table])
    assert workload_digest(replace(jobs, held=longer.slice(3, 3))) == workload_digest(jobs)


def test_the_digest_of_a_known_schedule_is_written_down():
    """Worked out by hand: SHA-256 over the bytes that the docstring lists."""
    import hashlib
    import struct

    one = record(workload((0, 1, 2)), cluster(2), (0, 0, 1, [(0, 2)]))
    body = struct.pack("<qq", 1, 1) + b"0"
    body += struct.pack("<qq", 0, 1_000_000) + struct.pack("<qqq", 0, 0, 1_000_000)
    body += struct.pack("<qq", 0, 1) + struct.pack("<qq", 0, 2)
    assert schedule_digest(one) == hashlib.sha256(b"gpuyard schedule 1\n" + body).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"gpus": pa.array([2, 6, 98], pa.int32())},
        {"tenant": pa.array(["a", "", None])},
        {"spread": pa.array([None, False, None])},
        {"depends_on": pa.array([None, ["0"], None], pa.list_(pa.string()))},
        {"depends_on": pa.array([None, [], None], pa.list_(pa.string()))},
        {"runtime": pa.array([10.0, 20.000001, 3.5])},
    ],
)
def test_a_workloads_digest_changes_with_any_value(change):
    jobs = facts().workload
    table = jobs.table
    for name, values in change.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    assert workload_digest(replace(jobs, held=table)) != workload_digest(jobs)
