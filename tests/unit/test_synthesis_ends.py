"""How jobs end: the shares that sources report, by jobs and by GPU time, kind by kind."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from gpuyard.synthesis.class_shares import DEFAULT_CLASSES
from gpuyard.synthesis.published import ASSUMPTION, States
from gpuyard.synthesis.series import Ends

ROOT = Path(__file__).parents[2]
TABLE = runpy.run_path(str(ROOT / "benchmarks" / "ends_of_jobs.py"))
KINDS = [kind for one in DEFAULT_CLASSES for kind in one.kinds() if kind.service is None]


@pytest.fixture(scope="module")
def month():
    return TABLE["ends"](20_000, 30, 7)


def rows_of_the_page() -> dict[str, list[str]]:
    page = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    own = page.partition("python benchmarks/ends_of_jobs.py")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in own.splitlines() if line.startswith("| ")
    ]
    return {row[0]: row[1:] for row in cells[1:]}


def shown(shares) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in shares)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_jobs_of_a_month_end_as_their_source_says_within_the_tolerance_of_the_page(kind, month):
    jobs, made = month[kind.key]
    row = rows_of_the_page()[kind.key]
    assert row[0] == kind.states.evidence.standing
    assert (row[2], row[4]) == (shown(kind.states.jobs), shown(kind.states.gpu_time))
    allowed = TABLE["within"](kind, jobs)
    assert row[6] == ("few jobs" if allowed is None else f"{allowed[0]:g}, {allowed[1]:g}")
    if allowed is not None:
        assert np.abs(100 * (made[0] - kind.states.jobs)).max() <= allowed[0]
        assert np.abs(100 * (made[1] - kind.states.gpu_time)).max() <= allowed[1]


@pytest.mark.parametrize("one", [one for one in DEFAULT_CLASSES if one.name != "realtime"], ids=lambda one: one.name)
def test_jobs_of_a_class_end_as_its_kinds_do_together(one, month):
    jobs, made = month[f"{one.name}-*"]
    kinds = [kind for kind in one.kinds() if kind.service is None]
    weight = np.array([kind.share for kind in kinds]) / sum(kind.share for kind in kinds)
    served = 1 - sum(kind.share for kind in kinds)  # replicas are completed
    expected = (1 - served) * weight @ np.array([kind.states.gpu_time for kind in kinds]) + [served, 0.0, 0.0]
    assert jobs > 10_000
    assert np.abs(made[1] - expected).max() < 0.12


def test_the_table_of_the_page_has_every_kind_and_its_means_are_near_the_sources():
    rows = rows_of_the_page()
    assert list(rows) == [kind.key for kind in KINDS]
    for kind in KINDS:
        made = [float(each) / 100 for each in rows[kind.key][5].split("/")]
        assert np.abs(np.array(made) - kind.states.gpu_time).max() <= 0.09, kind.key


def test_ends_that_are_known_are_made_up_for_by_those_that_are_drawn():
    # by hand: of 8 jobs of 1 and 2 of 6 GPU seconds, one of 6 is known to be completed.  All jobs: 50 / 30 / 20 %, so
    # that the 9 drawn ones have 4, 3 and 2 of them; GPU time, of 20: 50 / 40 / 10 %, so that they have 4, 8 and 2 of 14
    states = States(jobs=(0.5, 0.3, 0.2), gpu_time=(0.5, 0.4, 0.1), evidence=ASSUMPTION)
    work, known = np.array([1.0] * 8 + [6.0] * 2), np.array([-1] * 9 + [0])
    ends = Ends.of(states, work, known)
    assert ends.least == 6.0
    drawn = np.array([8 / 9, 1 / 9])  # jobs: the small ones and the large one
    time = np.array([8 / 14, 6 / 14])
    assert drawn @ [ends.small, ends.large] == pytest.approx([4 / 9, 3 / 9, 2 / 9])
    assert time @ [ends.small, ends.large] == pytest.approx([4 / 14, 8 / 14, 2 / 14])


def test_without_known_ends_both_shares_come_out_as_they_are():
    states = States(jobs=(0.5, 0.3, 0.2), gpu_time=(0.4, 0.45, 0.15), evidence=ASSUMPTION)
    work = np.array([1.0] * 19 + [30.0])
    ends = Ends.of(states, work, np.full(20, -1))
    assert np.array([19 / 20, 1 / 20]) @ [ends.small, ends.large] == pytest.approx(states.jobs)
    assert np.array([19 / 49, 30 / 49]) @ [ends.small, ends.large] == pytest.approx(states.gpu_time)
