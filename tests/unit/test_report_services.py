"""What a report says of services."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuyard.experiment import result_of
from gpuyard.report.html import report_html
from gpuyard.report.services import service_figures, service_grid, service_lead
from gpuyard.report.text import group_tables, summary_rows
from gpuyard.result import Result
from serving import ran, services


@pytest.fixture(scope="module")
def result() -> Result:
    return result_of(ran(services()))


def test_a_table_has_a_row_for_each_service(result):
    # lost: 125/3 + 175/13 of 300, worked out in test_services_metrics.py
    grid = service_grid(result)
    assert [column.label for column in grid.columns][:6] == ["Service", "Kind", "Class", "GPUs", "Wanted", "Ready"]
    assert grid.rows == (
        ("chat-01", "chat", "realtime", "1", "2", "1.58", "300", "81.6 %", "0", "55", "90.0 %", "58.3 %"),
    )


def test_the_service_that_fell_shortest_of_its_goal_comes_first(result):
    block = result.numbers["services"]["by_service"]["chat-01"]
    several = {"good": block | {"time_attained": 1.0}, "bad": block | {"time_attained": 0.2}}
    more = replace(result, numbers={**result.numbers, "services": {"by_service": several}})
    assert [row[0] for row in service_grid(more).rows] == ["bad", "good"]


def test_the_charts_show_replicas_requests_and_goals_over_time(result):
    gpus, missed, goals = service_figures(result)
    assert [key.rest for key in gpus.keys] == ["mean 1.58", "mean 2"]  # ready and wanted
    assert [key.name for key in missed.keys] == ["chat"]
    first, second = (100 * lost / 150 for lost in (125 / 3 + 25 / 13, 150 / 13))
    assert missed.data["series"] == [pytest.approx([first, second], rel=1e-3)]
    assert goals.data["series"] == [pytest.approx([100 * 50 / 300, 100], rel=1e-3)]


def test_one_sentence_says_how_services_fared(result):
    said = service_lead(result).replace("\N{NO-BREAK SPACE}", " ")
    assert said == ("1 service fell short of its goal in 41.7 % of the time. Of 300 requests, 0 were late and 55 lost.")


def test_services_that_were_not_judged_are_counted(result):
    block = {**result.numbers["services"], "not_judged": 2}
    said = service_lead(replace(result, numbers={**result.numbers, "services": block}))
    assert said.endswith("Not judged: 2 services of which the workload has other replicas than those wanted.")


def test_the_page_and_the_terminal_have_services_where_the_workload_has_some(result):
    assert 'id="services"' in report_html(result)
    assert "Services" in [row.label for row in summary_rows(result)]
    assert [table.title.plain for table in group_tables(result)][-1] == "By service"
    without = replace(result, services=None, numbers={**result.numbers, "services": None})
    assert 'id="services"' not in report_html(without)
    assert "Services" not in [row.label for row in summary_rows(without)]
    assert service_figures(without) == []
    assert service_lead(without) == ""
