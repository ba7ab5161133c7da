"""The page of two runs side by side: numbers, jobs, settings, and their lines in the same charts."""

from __future__ import annotations

from pathlib import Path

from gpuyard.report import figures
from gpuyard.report.background import definitions
from gpuyard.report.compare import Comparison, Paired, compare
from gpuyard.report.html import render, write_page
from gpuyard.report.measures import MEASURES
from gpuyard.report.sections import Column, Grid, Tile, notices
from gpuyard.report.wording import clean, format_change, format_value, unbroken
from gpuyard.result import Result
from gpuyard.units import counted

__all__ = ["comparison_html", "write_comparison"]

_HEADLINES = ("wait_s.mean", "wait_s.p95", "gpu.allocation_rate", "energy.facility_kwh", "energy.peak_mw")


def write_comparison(
    first: Result,
    second: Result,
    path: str | Path,
    *,
    names: tuple[str, str] = ("first", "second"),
    title: str | None = None,
) -> Path:
    """Write the page that compares two runs as one file that opens without a network; return its path.

    The same results give the same bytes.  The file appears whole or not at all.
    """
    return write_page(comparison_html(first, second, names=names, title=title), path)


def comparison_html(
    first: Result, second: Result, *, names: tuple[str, str] = ("first", "second"), title: str | None = None
) -> str:
    """Return the page that :func:`write_comparison` writes."""
    comparison = compare(first, second, names=names)
    shown = (clean(names[0], 40), clean(names[1], 40))
    results = (first, second)
    return render(
        "comparison.html.j2",
        title=clean(title, 120) if title else f"{shown[0]} and {shown[1]} compared",
        names=shown,
        lead=_lead(comparison, shown),
        tiles=_tiles(comparison, shown),
        notices=[
            *comparison.warnings,
            *(f"{name}: {text}" for name, each in zip(shown, results, strict=True) for text in notices(each)),
        ],
        same_workload=comparison.same_workload,
        numbers=_numbers_grid(comparison, shown),
        paired=_paired_grid(comparison.paired),
        settings=_settings_grid(comparison, shown),
        times=figures.overlaid_timelines(results, shown),
        distributions=figures.overlaid_distributions(results, shown),
        definitions=definitions(*results),
    )


def _lead(comparison: Comparison, names: tuple[str, str]) -> list[str]:
    said = ["The schedules are identical."] if comparison.identical else []
    known = {each.key: each for each in comparison.differences}
    for key, word in (
        ("wait_s.mean", "Mean wait"),
        ("gpu.allocation_rate", "Allocation rate"),
        ("energy.facility_kwh", "Facility energy"),
    ):
        each = known.get(key)
        form = next(measure.form for measure in MEASURES if measure.key == key)
        if each is not None and each.absolute is not None:
            change = format_change(each.absolute, form)
            said.append(
                f"{word}: {format_value(each.first, form)} in {names[0]}, "
                f"{format_value(each.second, form)} in {names[1]} ({change})."
            )
    return [unbroken(sentence) for sentence in said]


def _tiles(comparison: Comparison, names: tuple[str, str]) -> list[Tile]:
    known = {each.key: each for each in comparison.differences}
    tiles = []
    for measure in (measure for key in _HEADLINES for measure in MEASURES if measure.key == key):
        each = known.get(measure.key)
        if each is None or each.absolute is None:
            continue
        judged = comparison.verdict(each)
        verdict = f" ({judged})" if judged else ""
        below = f"{format_value(each.first, measure.form)} to {format_value(each.second, measure.form)}{verdict}"
        number, _, unit = _change_parts(format_change(each.absolute, measure.form))
        tiles.append(Tile(measure=measure, number=number, unit=unit, below=below))
    return tiles


def _change_parts(text: str) -> tuple[str, str, str]:
    """Split the unit off a change, but keep durations such as ``+3m 20s`` and words together."""
    number, space, unit = text.rpartition(" ")
    return (number, space, unit) if number and unit.isalpha() and number[-1].isdigit() else (text, "", "")


def _numbers_grid(comparison: Comparison, names: tuple[str, str]) -> Grid:
    columns = (
        Column(label="Number", numeric=False),
        Column(label=names[0]),
        Column(label=names[1]),
        Column(label="Difference", meaning=f"{names[1]} minus {names[0]}"),
        Column(label="Relative", meaning=f"difference over {names[0]}"),
        Column(label="", numeric=False),
    )
    rows = tuple((row.label, row.first, row.second, row.change, row.relative, row.verdict) for row in comparison.rows())
    note = (
        "Better and worse are said of the second run, for numbers where one way is plainly better."
        if comparison.same_workload
        else "The workloads differ, so neither run is called better or worse."
    )
    return Grid(caption="Numbers side by side", columns=columns, rows=rows, note=note)


def _paired_grid(paired: Paired | None) -> Grid | None:
    if paired is None:
        return None
    started = max(paired.earlier + paired.later + paired.same, 1)
    counts = (
        ("Started earlier in the second run", paired.earlier),
        ("Started later in the second run", paired.later),
        ("Started at the same instant", paired.same),
    )
    rows = [(label, f"{count:,}", format_value(count / started, "share")) for label, count in counts]
    rows += [
        (label, f"{count:,}", "")
        for label, count in (
            ("Started in the first run alone", paired.only_first),
            ("Started in the second run alone", paired.only_second),
        )
        if count
    ]
    rows.append(("Mean difference in wait", format_change(paired.wait_mean, "seconds"), ""))
    rows += [
        (f"{name[1:]} % of the differences in wait are at most", format_change(value, "seconds"), "")
        for name, value in paired.wait_quantiles.items()
    ]
    rows.append(("Mean difference in completion time", format_change(paired.jct_mean, "seconds"), ""))
    columns = (Column(label="What", numeric=False), Column(label="Jobs or time"), Column(label="Share"))
    note = f"Over {counted(paired.jobs, 'job')} that both runs have; differences are second minus first."
    return Grid(caption="Job by job", columns=columns, rows=tuple(rows), note=note)


def _settings_grid(comparison: Comparison, names: tuple[str, str]) -> Grid | None:
    if not comparison.settings:
        return None
    columns = (Column(label="Setting", numeric=False), *(Column(label=name, numeric=False) for name in names))
    rows = tuple((clean(key, 80), left, right) for key, left, right in comparison.settings)
    return Grid(caption="Settings that differ", columns=columns, rows=rows)
