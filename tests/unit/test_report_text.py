"""The summary in a terminal is short, fits 80 columns, and lets no name steer the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from gpuyard.report import compare, comparison_table, group_tables, notice_texts, summary_rows, summary_table
from report_results import plausible_result


def shown(*parts, width=80):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    for part in parts:
        console.print(part)
    return console.file.getvalue()


def test_a_row_has_a_label_a_value_with_unit_and_what_belongs_to_it():
    rows = {label: (value, note) for label, value, note in summary_rows(plausible_result())}
    assert rows["Jobs"] == ("2,000", "1,980 completed, 20 rejected")
    assert rows["Allocation rate"] == ("71.3 %", "held over up")
    assert rows["Facility energy"] == ("893 MWh", "IT 780 MWh")
    assert rows["Peak power"] == ("1.53 MW", "mean 1.24 MW")
    assert rows["Digest"] == ("abababababab", "schedule, SHA-256")


def test_what_was_not_computed_is_left_out():
    labels = [row.label for row in summary_rows(plausible_result(energy=False))]
    assert "PUE" not in labels
    assert "Preemptions" not in labels  # none happened


def test_the_summary_fits_a_terminal():
    lines = shown(summary_table(plausible_result(), title="phase-1")).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_tables_by_group_fit_a_terminal():
    lines = shown(
        *group_tables(plausible_result(tenants=[f"a-rather-long-tenant-{n}" for n in range(30)]))
    ).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("and 10 more" in line for line in lines)  # of the 20 in the grid


def test_markup_and_escape_codes_in_names_are_shown_not_obeyed():
    text = shown(*group_tables(plausible_result(classes=("[red]loud[/red]", "a\x1b[2Jb"))))
    assert "[red]loud[/red]" in text
    assert "\x1b" not in text


def test_notices_are_marked():
    said = " ".join(shown(*notice_texts(plausible_result())).split())
    assert said == "! 20 jobs were rejected and never ran: needs 64 GPUs on one node, the largest has 8."


def test_a_comparison_fits_a_terminal_and_says_which_is_better():
    text = shown(
        comparison_table(compare(plausible_result(), plausible_result(wait_factor=0.5), names=("fifo", "easy")))
    )
    line = next(line for line in text.splitlines() if "Mean wait" in line)
    assert line.split() == ["Mean", "wait", "52m", "48s", "26m", "24s", "-26m", "24s", "-50.0", "%", "better"]
    assert max(map(len, text.splitlines())) <= 80
