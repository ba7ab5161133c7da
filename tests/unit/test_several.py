"""Several runs side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

import gpuyard as gy
from conftest import workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.report.compare import compare
from gpuyard.report.several import _gathered, several_grids, several_html, write_several
from gpuyard.report.text import several_tables
from gpuyard.report.versus import comparison_html
from gpuyard.report.wording import UNKNOWN
from gpuyard.result import Result
from gpuyard.virtual_clusters import VirtualCluster
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


PARTS = [VirtualCluster(name=name, nodes=(str(number),)) for number, name in enumerate("abcde")]
OF_PARTS = {
    "all have that of the run": ([None] * 3, "none", "fifo"),
    "one has its own": (["easy", None, None], "none (2), easy (1)", "fifo"),
    "all have their own, alike": (["easy", "easy"], "easy", "fifo"),
    "all have their own": (["easy", "sjf-easy", "conservative"], "easy (2), conservative (1)", "fifo (2), sjf (1)"),
    "many": (["easy", "fit", "conservative", "slurm", None], "conservative (1), easy (1), fit (1), others (2)", "fifo"),
}


@pytest.mark.parametrize(("policies", "backfill", "order"), OF_PARTS.values(), ids=list(OF_PARTS))
def test_what_virtual_clusters_have_is_told_in_place_of_the_runs(tmp_path, policies, backfill, order) -> None:
    site = Cluster.uniform(nodes=5, gpus_per_node=4)
    jobs = workload(*((0.0, 10.0, 4, {"tenant": name}) for name in "abcde"))
    own = [replace(each, policy=_policy(name)) for each, name in zip(PARTS, policies, strict=False)]
    runs = [gy.simulate(jobs, site, policy="fifo-fit")] * 2
    runs.insert(0, gy.simulate(jobs, site, policy="fifo", virtual_clusters=own))
    runs[0].save(tmp_path / "run")
    runs[0] = Result.load(tmp_path / "run")
    rows = {row[0]: row[1:] for row in several_grids(runs, NAMES)[0].rows}
    assert rows["Backfill"] == (backfill, "fit", "fit")
    assert rows.get("Order", (order,))[0] == order
    settings = compare(*runs[:2]).to_dict()["settings"]
    assert {"key": "policy.backfill", "first": backfill, "second": "fit"} in settings
    assert backfill in several_html(runs, names=NAMES)
    assert backfill in comparison_html(*runs[:2])


def _policy(name: str | None) -> Policy | None:
    if name is None:
        return None
    order, _, backfill = name.rpartition("-")
    return Policy(order=order or "fifo", backfill=backfill)


def test_the_page_and_the_terminal_show_the_same_tables(results: list[Result], tmp_path) -> None:
    page = several_html(results, names=NAMES)
    for text in ("3 runs side by side", "Mean wait of each class", "Time in which services missed their goals"):
        assert text in page
    assert [str(table.title) for table in several_tables(results, NAMES)] == ["Runs side by side", "Each class"]
    path = write_several(results, tmp_path / "page.html", names=NAMES, title="<load>")
    assert "&lt;load&gt;" in path.read_text(encoding="utf-8")
    assert several_html(results, names=NAMES) == page


def test_notices_that_differ_in_a_number_only_are_one_with_their_range():
    names = ("load 0.6", "load 0.7", "load 0.8")
    alike = [f"{name}: {jobs} jobs had not finished" for name, jobs in zip(names, ("43", "1,050", "64"), strict=True)]
    assert _gathered(names, [*alike, "load 0.7: The cluster was saturated"]) == [
        "all runs: 43 to 1,050 jobs had not finished",
        "load 0.7: The cluster was saturated",
    ]
    assert _gathered((*names, "load 0.9"), alike) == ["load 0.6, load 0.7, load 0.8: 43 to 1,050 jobs had not finished"]
    assert _gathered(names, alike[:2]) == alike[:2]
    assert _gathered(names, ["other: 5 jobs"] * 2) == ["other: 5 jobs"]
