"""One scenario at several loads: the command, its page and its table, against single runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpuyard.cli import main
from gpuyard.report.several import several_grids, several_html
from gpuyard.report.trade_off import trade_off_charts, trade_off_grid
from gpuyard.report.wording import UNKNOWN
from gpuyard.result import Result
from report_results import plausible_result

SMALL = ("--cluster", "40x8", "--set", "workload.days=0.5", "--no-progress")


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """Three runs, out of order."""
    made = []
    for load, attained, late in ((1.1, 0.9, 0.02), (0.6, 1.0, 0.0), (0.8, 0.99, 0.000_004)):
        each = plausible_result(jobs=300, wait_factor=load)
        classes = {**each.numbers["by_class"]}
        jobs = {**classes["training"]["jobs"], "not_started": round(10 * (load - 0.6))}
        classes["training"] = {
            **classes["training"],
            "jobs": jobs,
            "wait_s": {"mean": 3600 * load, "p99": 36_000 * load},
        }
        numbers = {**each.numbers, "by_class": classes}
        numbers["services"] = {"time_attained": attained, "attainment": 1 - late}
        scenario = {**each.scenario, "workload": {**each.scenario["workload"], "load": load}}
        made.append(replace(each, scenario=scenario, numbers=numbers))
    return made


def test_the_table_has_a_row_for_each_load_in_their_order(results: list[Result]) -> None:
    grid = trade_off_grid(results)
    assert grid is not None
    labels = [column.label for column in grid.columns]
    rows = [dict(zip(labels, row, strict=True)) for row in grid.rows]
    assert [row["Offered load"] for row in rows] == ["0.6", "0.8", "1.1"]
    assert [row["Goals met"] for row in rows] == ["100.00 %", "99.00 %", "90.00 %"]
    assert [row["Requests late or lost"] for row in rows] == ["0.0000 %", "0.0004 %", "2.0000 %"]
    assert [row["Training waited"] for row in rows] == ["36m", "48m", "1h 6m"]
    assert [row["Training waited, p99"] for row in rows] == ["6h", "8h", "11h"]
    assert [row["Training not started"] for row in rows] == ["0", "2", "5"]
    assert several_grids(results, "abc")[0] == grid


@pytest.mark.parametrize(("key", "label"), [("rejected", "Jobs rejected"), ("not_started", "Jobs not started")])
def test_jobs_that_ran_in_no_wait_are_counted_beside_the_waits_where_there_are_some(
    results: list[Result], key: str, label: str
) -> None:
    for count in (0, 3):
        changed = [replace(each, numbers={**each.numbers, "jobs": {"submitted": 9, key: count}}) for each in results]
        by_load, together = several_grids(changed, "abc")[:2]
        assert (label in [row[0] for row in together.rows]) is bool(count)
        if key == "rejected":
            assert (label in [column.label for column in by_load.columns]) is bool(count)


def test_the_charts_show_both_sides_by_load(results: list[Result]) -> None:
    charts = {chart.name: chart for chart in trade_off_charts(results)}
    assert charts["real-time-by-load"].data["labels"] == ["0.6", "0.8", "1.1"]
    assert charts["real-time-by-load"].data["series"] == [[0, 1, 10], [0, pytest.approx(0.0004), 2]]
    assert charts["training-by-load"].data["series"] == [[0.6, 0.8, 1.1], [6, 8, 11]]
    page = several_html(results, names=("a", "b", "c"))
    assert 'id="trade-off"' in page
    assert "Training: how long its jobs wait" in page


@pytest.mark.parametrize("lacking", ["load", "services", "training", "another load"])
def test_without_loads_services_or_training_there_is_no_such_table(results: list[Result], lacking: str) -> None:
    changed = []
    for each in results:
        workload = {**each.scenario["workload"]}
        numbers = {**each.numbers, "by_class": {**each.numbers["by_class"]}}
        if lacking == "load":
            del workload["load"]
        if lacking == "services":
            numbers["services"] = None
        if lacking == "training":
            del numbers["by_class"]["training"]
        if lacking == "another load":
            workload["load"] = 0.85
        changed.append(replace(each, scenario={**each.scenario, "workload": workload}, numbers=numbers))
    assert trade_off_grid(changed) is None
    assert trade_off_charts(changed) == []
    assert 'id="trade-off"' not in several_html(changed, names=("a", "b", "c"))


def test_what_a_run_does_not_know_is_a_dash(results: list[Result]) -> None:
    numbers = {key: item for key, item in results[0].numbers.items() if key != "energy"}
    grid = trade_off_grid([replace(results[0], numbers=numbers), *results[1:]])
    assert grid is not None
    assert grid.rows[-1][-1] == UNKNOWN


def test_each_load_of_a_sweep_is_the_run_that_run_makes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "loads"
    assert main(["sweep", "phase-1", *SMALL, "--loads", "1.1,0.6", "-o", str(out), "--json"]) == 0
    swept = json.loads(capsys.readouterr().out)
    assert [each["load"] for each in swept] == [0.6, 1.1]
    alone = ["run", "phase-1", *SMALL, "--set", "workload.load=1.1", "--set", "run.until=0.5d", "--json"]
    assert main(alone) == 0
    single = json.loads(capsys.readouterr().out)
    assert swept[1]["engine"]["digest"] == single["engine"]["digest"]
    assert Result.load(out / "load-1.1").digest == single["engine"]["digest"]
    assert (out / "load-0.6" / "report.html").is_file()
    page = (out / "loads.html").read_text(encoding="utf-8")
    assert "One scenario at several loads" in page
    assert 'id="trade-off"' in page


def test_a_sweep_without_a_folder_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "phase-1", *SMALL, "--loads", "0.5,0.7", "--set", "run.until=1h"]) == 0
    said = capsys.readouterr()
    assert "By offered load" in said.out
    assert "load 0.5: " in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["phase-1", "--loads", "high"], "--loads are numbers with commas between, such as 0.6,0.85,1.1, got 'high'"),
        (["phase-1", "--loads", "0.6"], "--loads needs two loads or more, such as 0.6,1.1, got '0.6'"),
        (["phase-1", "--loads", "0,1"], "load: must be greater than 0 (got 0.0)"),
        (["phase-1", "--set", "workload.trace=jobs.csv"], "'load' of a synthetic workload has no meaning"),
    ],
)
def test_what_cannot_be_swept_is_said(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "load-1.1").mkdir()
    (tmp_path / "load-1.1" / "mine.txt").write_text("mine")
    assert main(["sweep", *SMALL, "-o", str(tmp_path)]) == 2
    assert "is not replaced" in capsys.readouterr().err
    assert not (tmp_path / "load-0.6").exists()
