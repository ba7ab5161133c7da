"""What a report says of tenants."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc
import pytest

from conftest import cluster, workload
from gpuyard.experiment import simulate
from gpuyard.report.html import report_html
from gpuyard.report.tenants import tenant_figures, tenant_grid, tenant_lead
from gpuyard.report.text import group_tables
from gpuyard.result import Result

HOUR = 3600
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def result() -> Result:
    jobs = workload(
        (0, 2 * HOUR, 8, {"tenant": "steel"}),
        (0, 2 * HOUR, 8, {"tenant": "steel"}),
        (HOUR, HOUR, 4, {"tenant": "bio"}),
        (HOUR, 10, 1, {"tenant": SCRIPT}),
    )
    tenants = {"tenant": [{"name": "steel", "nominal": 8}, {"name": "bio", "nominal": 8}, {"name": "idle"}]}
    return simulate(jobs, cluster(8, 8), policy="fifo-fit", preemption="reclaim", tenants=tenants)


def test_a_table_has_a_row_for_each_tenant_who_held_the_most_first(result):
    grid = tenant_grid(result)
    heads = [column.label for column in grid.columns]
    rows = {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in grid.rows}
    assert list(rows) == ["steel", "bio", "idle"]
    assert rows["steel"]["Quota"] == "8"
    assert (rows["steel"]["Held"], rows["steel"]["Borrowed"]) == (
        "32 GPU-h",
        "8 GPU-h",
    )  # 8 above its quota in the first hour
    assert (rows["steel"]["Made room"], rows["bio"]["Took back"]) == ("1", "1")
    assert "May borrow" not in heads  # nobody's borrowing is limited


def test_a_few_sentences_say_how_tenants_fared(result):
    said = tenant_lead(result).replace("\N{NO-BREAK SPACE}", " ")
    assert said == (
        "3 tenants shared the cluster, with quotas of 16 GPUs. steel borrowed the most, 8 GPU-h; bio lent the most. "
        "Jobs made room for those of other tenants 1 time. No job belongs to idle. 1 job belongs to none of the "
        "tenants."
    )


def test_a_chart_for_each_tenant_that_held_something_shows_its_quota_and_what_it_borrowed(result):
    steel, bio = tenant_figures(result)
    assert steel.title == "GPUs of steel"
    assert [key.name for key in steel.keys] == ["within its quota", "borrowed", "nominal quota"]
    assert bio.data["series"][1] == [0] * len(bio.data["series"][1])
    assert max(steel.data["series"][0]) == 8


def test_the_page_and_the_terminal_have_tenants_where_there_are_some_and_names_are_escaped(result):
    named = {SCRIPT: result.numbers["tenants"]["by_tenant"]["steel"]}
    names = pc.replace_substring(result.tenants["tenant"], "steel", SCRIPT)
    table = result.tenants.set_column(2, "tenant", names)
    strange = replace(
        result, tenants=table, numbers={**result.numbers, "tenants": {**result.numbers["tenants"], "by_tenant": named}}
    )
    page = report_html(strange)
    assert 'id="tenants"' in page
    assert SCRIPT not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "By tenant, with those below it" in [table.title.plain for table in group_tables(result)]
    without = replace(result, tenants=None, numbers={**result.numbers, "tenants": None})
    assert 'id="tenants"' not in report_html(without)
    assert tenant_figures(without) == []


def test_a_result_with_tenants_is_saved_and_loaded(result, tmp_path):
    again = Result.load(result.save(tmp_path / "out"))
    assert again.tenants.equals(result.tenants)
    assert again.numbers["tenants"] == result.numbers["tenants"]
