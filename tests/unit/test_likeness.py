"""Two workloads side by side: tables, page, command and what JSON holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from conftest import workload
from gpuyard.cli import main
from gpuyard.portrait import portray
from gpuyard.report import compare_workloads, write_likeness
from gpuyard.report.charts import Bars, category_chart
from gpuyard.report.likeness_page import likeness_html
from gpuyard.report.wording import UNKNOWN
from gpuyard.workload import Workload

DAY = 86_400.0


def small() -> Workload:
    return workload(*((DAY * k, 60.0, 1, {"user": "a", "state": "completed"}) for k in range(15)))


def large() -> Workload:
    return workload(*((DAY * k / 2, 120.0, 1 + 7 * (k % 2), {"state": "failed"}) for k in range(31)))


def sides(first: Workload, second: Workload):
    return compare_workloads(portray(first, name="one"), portray(second, name="two"))


def test_a_line_has_both_values_and_second_minus_first() -> None:
    cells = {line.cells()[0]: line.cells()[1:] for line in sides(small(), large()).lines()}
    assert cells["Jobs"] == ("15", "31", "+16")
    assert cells["Jobs a day"] == ("1", "2", "+1")
    assert cells["Run time, median"] == ("1m", "2m", "+1m")
    assert cells["GPU time"] == ("0.250 GPU-h", "4.53 GPU-h", "+4.28 GPU-h")
    assert cells["Users"] == ("1", UNKNOWN, UNKNOWN)
    assert not [label for label in cells if label.startswith(("Time limit", "Tenants"))]  # neither has any


def test_sizes_are_put_side_by_side_smallest_first() -> None:
    assert sides(large(), small()).sizes() == [
        ("1", pytest.approx(16 / 31), 1.0, pytest.approx(16 / 136), 1.0),
        ("5-8", pytest.approx(15 / 31), 0.0, pytest.approx(120 / 136), 0.0),
    ]


def test_a_state_that_one_side_lacks_has_a_share_of_nothing_there() -> None:
    states = sides(small(), large()).grids()[3]
    assert [row[:3] for row in states.rows] == [("completed", "100.0 %", "0.0 %"), ("failed", "0.0 %", "100.0 %")]


def test_a_bar_is_as_high_as_its_share_of_the_axis() -> None:
    bars = [
        Bars(name=name, slot="r0", values=np.array(values)) for name, values in (("a", [50.0, 100]), ("b", [0, 25.0]))
    ]
    chart = category_chart("x", "X", ["1", "2"], bars, x_label="GPUs", y_label="%")
    assert chart.paths[0].data == "M50 1000V500H250V1000ZM550 1000V0H750V1000Z"
    assert chart.paths[1].data == "M250 1000V1000H450V1000ZM750 1000V750H950V1000Z"
    assert chart.keys[0].rest == "most: 2, 100"
    assert [tick.place for tick in chart.x_ticks] == [25, 75]


def test_the_page_is_whole_and_the_same_every_time(tmp_path: Path) -> None:
    likeness = sides(small(), large())
    page = likeness_html(likeness)
    assert page == likeness_html(likeness)
    assert re.findall(r'id="figure-([^"]+)"', page) == [
        "sizes-jobs", "sizes-time", "runtime_s", "gap_s", "rate", "hourly", "weekly"
    ]  # fmt: skip
    assert "http" not in page.replace("http-equiv", "")
    assert write_likeness(likeness, tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_names_out_of_a_trace_are_escaped_on_the_page() -> None:
    evil = portray(small(), name="<script>alert(1)</script>")
    assert "<script>alert" not in likeness_html(compare_workloads(evil, evil))


def test_workloads_of_a_few_jobs_at_one_instant_are_compared_too() -> None:
    alone = workload((0, None, 0))
    page = likeness_html(sides(alone, small()))
    assert "Submissions by hour" in page


def csv(folder: Path, name: str, *rows: str) -> str:
    (folder / name).write_text("\n".join(["job_id,submit_time,runtime,gpus", *rows]) + "\n")
    return str(folder / name)


def test_the_command_prints_tables_json_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = csv(tmp_path, "first.csv", "a,0,10,1", "b,60,20,1")
    second = csv(tmp_path, "second.csv", "a,0,10,1", "b,60,40,8")
    page = tmp_path / "page.html"
    assert main(["compare-workloads", first, second, "-o", str(page)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^Run time, mean +15 s +25 s +\+10 s$", printed, re.MULTILINE)
    assert re.search(rf"^Run time +0\.5000 +10 s +{UNKNOWN}$", printed, re.MULTILINE)
    assert page.is_file()
    assert main(["compare-workloads", first, second, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["distances"]["runtime_s"] == {"label": "Run time", "ks": 0.5, "wasserstein": 10.0}
    assert told["second"]["gpus"]["mean"] == 4.5


def test_a_scenario_and_a_trace_can_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = csv(tmp_path, "jobs.csv", "a,0,10,1", "b,60,20,1")
    scenario = tmp_path / "half.toml"
    scenario.write_text('[workload]\ntrace = "jobs.csv"\nwindow = "..30s"\n[cluster]\nnodes = 1\ngpus_per_node = 8\n')
    assert main(["compare-workloads", str(scenario), trace]) == 0
    assert re.search(r"^Jobs +1 +2 +\+1$", capsys.readouterr().out, re.MULTILINE)
    assert main(["compare-workloads", trace, str(tmp_path / "none.csv")]) == 2
