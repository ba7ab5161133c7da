"""Several runs side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuyard.report.several import several_grids, several_html, write_several
from gpuyard.report.text import several_tables
from gpuyard.report.wording import UNKNOWN
from gpuyard.result import Result
from report_results import plausible_result

NAMES = ("low", "middle", "high")


@pytest.fixture(scope="module")
def results() -> list[Result]:
    made = []
    for load, attained in ((0.6, 1.0), (0.8, 0.99), (1.1, 0.9)):
        each = plausible_result(jobs=300, wait_factor=load)
        scenario = {**each.scenario, "workload": {**each.scenario["workload"], "load": load}}
        made.append(replace(each, scenario=scenario, numbers={**each.numbers, "services": {"time_attained": attained}}))
    return made


def test_a_run_has_a_column_and_a_number_a_row(results: list[Result]) -> None:
    numbers, classes = several_grids(results, NAMES)
    assert [column.label for column in numbers.columns] == ["", *NAMES]
    rows = {row[0]: row[1:] for row in numbers.rows}
    assert rows["Offered load"] == ("0.6", "0.8", "1.1")
    assert rows["Services' goals met"] == ("100.0 %", "99.0 %", "90.0 %")
    assert "Order" not in rows  # the same in all
    waits = {row[0]: row[1:] for row in classes.rows}["training, mean wait"]
    assert len(set(waits)) == 3
    assert {row[0].partition(",")[0] for row in classes.rows} == set(results[0].numbers["by_class"])


def test_a_class_that_one_run_lacks_is_a_dash_there(results: list[Result]) -> None:
    fewer = {name: block for name, block in results[0].numbers["by_class"].items() if name != "training"}
    without = replace(results[0], numbers={**results[0].numbers, "by_class": fewer})
    grid = several_grids([without, *results[1:]], NAMES)[1]
    assert next(row for row in grid.rows if row[0] == "training, mean wait")[1] == UNKNOWN


def test_runs_of_one_class_have_no_table_of_classes(results: list[Result]) -> None:
    alone = [
        replace(each, numbers={**each.numbers, "by_class": {"training": each.numbers["by_class"]["training"]}})
        for each in results
    ]
    assert [grid.caption for grid in several_grids(alone, NAMES)] == ["Runs side by side"]


def test_the_page_and_the_terminal_show_the_same_tables(results: list[Result], tmp_path) -> None:
    page = several_html(results, names=NAMES)
    for text in ("3 runs side by side", "Mean wait of each class", "Time in which services missed their goals"):
        assert text in page
    assert [str(table.title) for table in several_tables(results, NAMES)] == ["Runs side by side", "Each class"]
    path = write_several(results, tmp_path / "page.html", names=NAMES, title="<load>")
    assert "&lt;load&gt;" in path.read_text(encoding="utf-8")
    assert several_html(results, names=NAMES) == page
