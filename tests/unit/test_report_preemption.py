"""What a report says of preemptions: a row for each reason, in the window that all its numbers are of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conftest import cluster, workload
from gpuyard.experiment import simulate
from gpuyard.policy import Policy
from gpuyard.report.html import report_html
from gpuyard.report.preemption import preemption_counts, preemption_grid
from gpuyard.report.text import group_tables, summary_rows
from gpuyard.result import Result

HOUR = 3600
RED, BLUE = {"tenant": "red"}, {"tenant": "blue"}
JOBS = (
    (0, 4 * HOUR, 1, RED),
    (0, 4 * HOUR, 1, RED),
    (HOUR, 60, 1, BLUE),
    (2 * HOUR, 60, 1, {"priority": 1, **RED}),
    (3 * HOUR, 60, 1, {"priority": 2, **RED}),
)
"""At 1 h blue takes back the GPU that the second red job borrows; at 2 h and 3 h red's own urgent jobs take one."""


def shared(**given: object) -> Result:
    quotas = {"tenant": [{"name": "red", "nominal": 1}, {"name": "blue", "nominal": 1}]}
    preemption = {"rule": "priority", "checkpoint_interval": "none", "restart_cost": 60}
    policy = Policy(backfill="fit", preemption=preemption)
    return simulate(workload(*JOBS), cluster(2), policy=policy, tenants=quotas, **given)


@pytest.fixture(scope="module")
def result() -> Result:
    return shared()


def test_a_summary_counts_preemptions_by_reason(result):
    """The job that blue sends away has run for 1 h; then the urgent ones take the later start, 59 minutes each time."""
    assert result.numbers["by_preemption_reason"] == {
        "priority": {
            "preemptions": 2,
            "jobs": 1,
            "gpu_hours": pytest.approx(2 * 59 / 60),
            "lost_gpu_hours": pytest.approx(2 * 59 / 60),
        },
        "reclaim": {"preemptions": 1, "jobs": 1, "gpu_hours": 1.0, "lost_gpu_hours": 1.0},
    }
    assert result.numbers["preemptions"] == 3


def test_a_table_has_a_row_for_each_reason_the_commonest_first(result):
    grid = preemption_grid(result)
    assert [row[0] for row in grid.rows] == ["priority", "reclaim"]
    assert grid.rows[1][1:-1] == ("1", "1", "1 GPU-h", "1 GPU-h", "1 GPU-h")
    assert grid.rows[0][1:3] == ("2", "1")
    assert grid.rows[0][-1] == "a higher priority takes GPUs from lower ones"
    assert grid.note == "Other attempts lost 0.0167 GPU-h, such as by restarts and checkpoints."


def test_what_made_room_outside_the_window_is_named_and_not_counted():
    part = shared(window=(1.5 * HOUR, 2.5 * HOUR))
    assert part.numbers["preemptions"] == 1
    assert [row[:2] for row in preemption_grid(part).rows] == [("priority", "1")]
    assert preemption_grid(part).note.endswith(
        "checkpoints. 2 more preemptions outside the window measured are in attempts.parquet alone."
    )
    assert preemption_counts(part) == "1 priority"


def test_the_page_and_the_terminal_tell_the_same(result):
    assert 'id="preemptions"' in report_html(result)
    assert "Preemptions by reason" in [table.title.plain for table in group_tables(result)]
    rows = {row.label: (row.value, row.note) for row in summary_rows(result)}
    assert rows["Preemptions"] == ("3", "2 priority, 1 reclaim")


def test_nothing_is_told_where_nobody_made_room(result):
    none = simulate(workload((0, 60, 1)), cluster(2), policy="fifo")
    assert none.numbers["by_preemption_reason"] is None
    assert preemption_grid(none) is None
    assert preemption_counts(none) == ""
    older = replace(result, numbers={k: v for k, v in result.numbers.items() if k != "by_preemption_reason"})
    assert preemption_grid(older) is None
    assert 'id="preemptions"' not in report_html(older)
