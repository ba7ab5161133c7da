"""How services fared, by the replicas that ran: worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from conftest import cluster, workload
from gpuyard.energy import account
from gpuyard.errors import InputError
from gpuyard.metrics import judge, services_table, summarise
from gpuyard.record import Record
from gpuyard.result import Result
from gpuyard.services.book import Book
from gpuyard.traces import read
from gpuyard.traces.schema import SERVICES
from gpuyard.traces.write import write_table
from gpuyard.workload import Workload
from records import record
from serving import ASKING, ran, services

STREAM = replace(ASKING, window=10.0, records=100.0)


def block(run: Record, window: tuple[float, float] | None = None) -> dict:
    return summarise(run, account(run), window=window)["services"]


def test_requests_are_lost_as_the_replicas_that_ran_lose_them():
    # One replica until the second is warm at 250 s: Erlang's B(1, 1/2) = 1/3.  Then two: B(2, 1/2) = 1/13.
    found = block(ran(services()))
    assert found["requests"] == pytest.approx(300)
    assert found["lost"] == pytest.approx(125 / 3 + 175 / 13)
    assert found["late"] == 0
    assert found["attainment"] == pytest.approx(1 - (125 / 3 + 175 / 13) / 300)
    assert found["time_attained"] == pytest.approx(350 / 600)
    assert found["by_service"]["chat-01"]["ready_replicas"] == pytest.approx((250 + 2 * 350) / 600)
    assert found["by_service"]["chat-01"]["wanted_replicas"] == 2


def test_requests_that_wait_too_long_are_late_and_miss_the_goal():
    # One replica and one place to wait, half a request a second, each taking a second: the weights of 0, 1, 2 requests
    # are 1, 1/2, 1/4.  Lost are those that find 2 (1/7), late those that find 1 (2/7) and wait over half a second.
    patient = replace(ASKING, queue_time=1.0, slo_wait=0.5, goal=0.85)
    found = block(record(services(patient), cluster(2), (0, 0, 600, [(0, 1)]), (1, 599, 600, [(0, 1)])))
    assert found["lost"] == pytest.approx(300 / 7)
    assert found["late"] == pytest.approx(300 * 2 / 7 * np.exp(-0.5))
    assert found["time_attained"] == 0.0


def test_the_table_has_a_row_for_each_control_interval():
    run = ran(services())
    rows = services_table(run, judge(run)[0]).to_pylist()
    assert [row["time"] for row in rows] == [0.0, 300.0]
    assert rows[0]["ready_replicas"] == pytest.approx((250 + 2 * 50) / 300)
    assert rows[0]["lost"] == pytest.approx(125 / 3 + 25 / 13)
    assert [row["attained_s"] for row in rows] == pytest.approx([50, 300])
    assert {row["service_kind"] for row in rows} == {"chat"}


def test_control_intervals_go_together_where_there_were_too_many_rows(monkeypatch):
    run = ran(services())
    monkeypatch.setattr("gpuyard.metrics.services.MOST_ROWS", 1)
    (row,) = services_table(run, judge(run)[0]).to_pylist()
    assert (row["time"], row["duration_s"], row["requests"]) == (0, 600, 300)
    assert row["ready_replicas"] == pytest.approx((250 + 2 * 350) / 600)
    assert row["attained_s"] == pytest.approx(350)


def test_only_the_time_measured_counts():
    found = block(ran(services()), window=(250, 400))
    assert found["requests"] == pytest.approx(75)
    assert found["lost"] == pytest.approx(75 / 13)
    assert found["time_attained"] == 1.0


def test_a_run_that_stops_is_judged_until_then():
    run = record(services(), cluster(2), (0, 0, 300, [(0, 1)]), (1, 0, 300, [(0, 1)]), stop=300)
    assert block(run)["requests"] == pytest.approx(150)


def test_a_replica_that_is_there_from_second_0_is_warm_and_one_that_starts_later_is_not():
    run = record(services(), cluster(2), (0, 0, 600, [(0, 1)]), (1, 550, 599, [(0, 1)]))
    assert block(run)["by_service"]["chat-01"]["ready_replicas"] == 1


def test_a_replica_that_had_to_leave_and_comes_back_is_cold_again():
    # The second replica is warm from second 0, away from 100 to 300 s, and ready once more 50 s later: not for 250 s.
    run = record(services(), cluster(2), (0, 0, 600, [(0, 1)]), (1, 0, 100, [(0, 1)]), (1, 300, 800, [(0, 1)]))
    found = block(run)["by_service"]["chat-01"]
    assert found["ready_replicas"] == pytest.approx((600 + 100 + 250) / 600)
    assert block(run)["lost"] == pytest.approx(0.5 * (250 / 3 + 350 / 13))


def test_windows_of_a_pipeline_are_late_until_the_backlog_is_gone():
    # 50 records a second, 100 a replica: nobody from 0 to 100 s leaves 5,000 behind, which one replica, warm at 150 s,
    # after 7,500 in all, works off at 50 a second in 150 s.  Windows of 500 records, of which 1,000 fit, are in time.
    run = record(services(STREAM), cluster(2), (0, 100, 600, [(0, 1)]), (1, 599, 600, [(0, 1)]))
    found = block(run)
    assert found["windows"] == 60
    assert found["windows_on_time"] == pytest.approx(30)
    assert (found["requests"], found["lost"], found["attainment"]) == (0, 0, None)
    assert found["by_service"]["chat-01"]["attainment"] == pytest.approx(0.5)


def test_a_service_that_lacks_a_replica_is_not_judged():
    jobs = services()
    few = jobs.where(np.array([True, False, True]), "chosen")
    found = block(record(few, cluster(2), (0, 0, 600, [(0, 1)])))
    assert (found["count"], found["not_judged"], found["by_service"]) == (0, 1, {})


def test_a_workload_without_services_has_no_block():
    run = record(workload((0, 10, 1)), cluster(1), (0, 0, 10, [(0, 1)]))
    assert block(run) is None
    assert judge(run) is None


def test_services_go_through_a_parquet_file_and_not_through_a_csv(tmp_path):
    jobs = services()
    for name, kept in (("a.parquet", True), ("a.csv", False)):
        write_table(jobs.table, tmp_path / name)
        back = Workload.from_trace(read(tmp_path / name))
        assert (SERVICES in back.table.schema.metadata) is kept


def test_a_service_whose_replicas_came_at_other_times_is_not_judged():
    fast = services().scaled(2.0)
    assert block(ran(fast))["count"] == 1  # all at second 0, which stays what it is
    rows = fast.table.set_column(
        fast.table.schema.get_field_index("runtime"), "runtime", pa.array([600.0, 599.0, 200.0])
    )
    assert block(ran(replace(fast, held=rows)))["not_judged"] == 1


def test_a_result_keeps_how_services_fared_and_what_it_follows_from(tmp_path):
    from gpuyard.experiment import result_of

    saved = Result.load(result_of(ran(services())).save(tmp_path / "run"))
    assert saved.services.num_rows == 2
    assert Book.loads(saved.jobs.schema.metadata[SERVICES]).services[0].name == "chat-01"
    assert SERVICES not in saved.attempts.schema.metadata


def test_services_that_cannot_be_read_are_refused():
    jobs = services()
    broken = replace(jobs, held=jobs.held.replace_schema_metadata({SERVICES: b"{}"}))
    with pytest.raises(InputError, match="cannot be read"):
        judge(ran(broken))
