"""Stages of a site and calendar years: their numbers, and what reports show of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conftest import cluster, workload
from gpuyard.errors import ConfigError
from gpuyard.experiment import result_of
from gpuyard.metrics.stages import phases_of, years_of
from gpuyard.report.html import report_html
from gpuyard.report.sections import lead
from gpuyard.report.stages import stage_grids
from gpuyard.report.text import group_tables
from gpuyard.result import Result
from gpuyard.traces.schema import ORIGIN, ZONE
from gpuyard.windows import NodeWindow, check_windows
from records import record

HOUR = 3_600
SECOND = 1_000_000


def ran(origin: str, zone: str = "", windows: tuple[NodeWindow, ...] = ()):
    """Return two GPUs, of which one is held for 4 hours and the other from the third hour on for 1 hour."""
    mine = {"job_class": "training"}
    jobs = workload((0, 4 * HOUR, 1, mine), (2 * HOUR, HOUR, 1, mine))
    jobs = replace(jobs, held=jobs.held.replace_schema_metadata({ORIGIN: origin.encode(), ZONE: zone.encode()}))
    return replace(
        record(jobs, cluster(1, 1), (0, 0, 4 * HOUR, [(0, 1)]), (1, 2 * HOUR, 3 * HOUR, [(1, 1)])), windows=windows
    )


@pytest.fixture(scope="module")
def result() -> Result:
    return result_of(ran("2027-12-31T22:00:00+09:00", windows=(NodeWindow.commissioned(("1",), 2.0 * HOUR),)))


def test_years_begin_at_the_midnight_of_the_workload() -> None:
    def year(origin: str, zone: str = "") -> dict[str, tuple[int, int]] | None:
        return years_of(ran(origin, zone), 0, 4 * HOUR * SECOND)

    assert year("2027-12-31T22:00:00+09:00") == {
        "2027": (0, 2 * HOUR * SECOND), "2028": (2 * HOUR * SECOND, 4 * HOUR * SECOND)
    }  # fmt: skip
    assert year("2027-12-31T14:00:00+00:00", "Asia/Seoul")["2028"][0] == HOUR * SECOND
    assert year("2027-12-31T14:00:00+00:00") is None
    assert year("2027-12-31T20:00:00+09:00") is None  # it ends with the year
    assert year("") is None


def test_numbers_of_a_year_are_those_of_its_hours(result: Result) -> None:
    first, second = (result.numbers["years"][year] for year in ("2027", "2028"))
    assert (first["gpus_up"], second["gpus_up"]) == (1.0, 2.0)
    assert (first["gpu"]["gpu_hours"], second["gpu"]["gpu_hours"]) == (2.0, 3.0)
    assert (first["gpu"]["allocation_rate"], second["gpu"]["allocation_rate"]) == (1.0, 0.75)
    assert [each["by_class"]["training"]["jobs"]["submitted"] for each in (first, second)] == [1, 1]
    assert first["energy"]["facility_kwh"] + second["energy"]["facility_kwh"] == pytest.approx(
        result.numbers["energy"]["facility_kwh"]
    )
    assert first["services"] is None
    assert result.numbers["stages"]["2"]["gpu"] == second["gpu"]


def test_a_report_has_a_table_of_the_stages_and_one_of_the_years(result: Result) -> None:
    stages, years = stage_grids(result)
    assert (stages.caption, years.caption) == ("By stage of the site", "By calendar year")
    labels = [column.label for column in years.columns]
    assert labels[:6] == ["Year", "From", "GPUs up", "Allocation rate", "Utilization", "Energy"]
    assert labels[-1] == "Wait, training"
    assert [row[:4] for row in years.rows] == [
        ("2027", "2027-12-31 22:00", "1", "100.0 %"), ("2028", "2028-01-01", "2", "75.0 %")
    ]  # fmt: skip
    assert "on 1 to 2 GPUs over 4h" in lead(result)[0]
    page = report_html(result)
    assert 'href="#stages"' in page
    assert "By calendar year" in page
    assert {str(table.title) for table in group_tables(result)} >= {"By stage of the site", "By calendar year"}


def named(*phases: tuple[str, float, str]) -> tuple[NodeWindow, ...]:
    return tuple(NodeWindow.commissioned((node,), hours * HOUR, phase) for node, hours, phase in phases)


def test_a_phase_lasts_from_its_name_to_the_next_over_all_stages_between() -> None:
    def phases(*given: tuple[str, float, str]) -> dict[str, tuple[float, float]] | None:
        jobs = workload((0, 6 * HOUR, 1))
        made = replace(record(jobs, cluster(1, 1, 1, 1), (0, 0, 6 * HOUR, [(0, 1)])), windows=named(*given))
        found = phases_of(made, 0, 6 * HOUR * SECOND)
        return found and {name: (each[0] / HOUR / SECOND, each[1] / HOUR / SECOND) for name, each in found.items()}

    assert phases(("1", 2, "p2"), ("2", 3, ""), ("3", 5, "p3")) == {"before p2": (0, 2), "p2": (2, 5), "p3": (5, 6)}
    assert phases(("0", 0, "p1"), ("1", 2, "p2"), ("2", 4, "p2")) == {"p1": (0, 2), "p2": (2, 6)}
    assert phases(("1", 2, "p2"), ("2", 9, "p3")) == {"before p2": (0, 2), "p2": (2, 6)}
    assert phases(("1", 2, "")) is None


def test_numbers_and_tables_of_a_phase_are_those_of_its_stages() -> None:
    windows = named(("1", 2, "<b>p2</b>"))
    result = result_of(ran("2027-05-01T00:00:00+09:00", windows=windows))
    phases, stages = result.numbers["phases"], result.numbers["stages"]
    assert list(phases) == ["before <b>p2</b>", "<b>p2</b>"]
    assert list(phases.values()) == list(stages.values())
    _, grid = stage_grids(result)
    assert (grid.caption, [row[2] for row in grid.rows]) == ("By phase of the site", ["1", "2"])
    page = report_html(result)
    assert "&lt;b&gt;p2&lt;/b&gt;" in page
    assert "<b>p2</b>" not in page


@pytest.mark.parametrize(
    ("phases", "complaint"),
    [
        ((("0", 2, "p1"), ("1", 2, "p2")), "the phases 'p1' and 'p2' begin at one instant, 7200 s"),
        ((("0", 0, "p1"), ("1", 2, "p2"), ("2", 4, "p1")), "the phase 'p1' begins again after 'p2'"),
    ],
)
def test_phases_that_contradict_each_other_are_refused(phases: tuple, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        check_windows(named(*phases))


def test_a_run_within_one_year_and_without_stages_has_neither() -> None:
    alone = result_of(ran("2027-05-01T22:00:00+09:00"))
    assert alone.numbers["years"] is None
    assert stage_grids(alone) == []
    assert 'href="#stages"' not in report_html(alone)
