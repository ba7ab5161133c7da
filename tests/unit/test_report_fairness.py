"""What a report says of the fairness among tenants."""

from __future__ import annotations

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.report import group_tables, summary_rows
from gpuyard.report.fairness import deficit_figure, fairness_grid, fairness_lead
from gpuyard.report.html import report_html
from gpuyard.result import Result


def shared(**options: object) -> Result:
    """On 4 GPUs b waits for a's first job from 10 to 60, and is then due 2 GPUs more than it has."""
    jobs = workload(
        (0, 60, 4, {"tenant": "a"}),
        (10, 40, 3, {"tenant": "b"}),
        (20, 30, 2, {"tenant": "a"}),
        (90, 3600, 4, {"tenant": "a"}),
    )
    return gy.simulate(jobs, cluster(4), policy="fifo", **options)


def test_the_table_has_a_row_for_each_tenant_and_those_that_fell_short_the_most_first():
    grid = fairness_grid(shared(alone=True))
    assert grid is not None
    assert [column.label for column in grid.columns] == [
        "Tenant",
        "Due",
        "Got",
        "Shortfall",
        "Surplus",
        "Mean rho",
        "95 % had at most",
        "Slowed down",
    ]
    assert [row[0] for row in grid.rows] == ["b", "a"]
    assert grid.rows[0][1] == "50.0 %"
    assert grid.rows[0][-1] == "2.25"  # 90 s for 40 alone


def test_without_runs_alone_there_is_no_such_column():
    grid = fairness_grid(shared())
    assert grid is not None
    assert "Slowed down" not in [column.label for column in grid.columns]


def test_the_lead_says_how_even_it_was_and_who_fell_short():
    lead = fairness_lead(shared()).replace("\N{NO-BREAK SPACE}", " ")
    assert lead.startswith("Of 2 tenants, the Jain index of GPU time over weight is 0.5")
    assert "b fell short the most of what was due to it while its jobs waited, by 0.02" in lead


def test_the_chart_shows_those_that_fell_short():
    chart = deficit_figure(shared())
    assert chart is not None
    assert [key.name for key in chart.keys] == ["b", "a"]


def test_page_and_terminal_tell_it():
    result = shared()
    page = report_html(result)
    assert "Fairness among tenants" in page
    assert '<a href="#fairness">' in page
    assert all(len(row.note) <= 68 for row in summary_rows(result) if row.label == "Fairness"), "one line of 100"
    assert "Fairness" in [row.label for row in summary_rows(result)]
    assert any("What tenants were due and got" in str(table.title) for table in group_tables(result))


def test_nothing_is_said_of_one_tenant():
    result = gy.simulate(workload((0, 60, 4, {"tenant": "a"})), cluster(4), policy="fifo")
    assert (fairness_grid(result), deficit_figure(result), fairness_lead(result)) == (None, None, "")
    assert "Fairness among tenants" not in report_html(result)
    assert "#fairness" not in report_html(result)
