"""Several runs side by side, a column each: their numbers, each class's waits, and what services attained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from gpuyard.report.background import scheduled_by
from gpuyard.report.charts import Bars, Chart, category_chart
from gpuyard.report.compare import compare_all
from gpuyard.report.html import render, write_page
from gpuyard.report.measures import MEASURES, lookup, number_at
from gpuyard.report.sections import Column, Grid, notices
from gpuyard.report.trade_off import trade_off_charts, trade_off_grid
from gpuyard.report.wording import UNKNOWN, clean, format_value
from gpuyard.result import Result

__all__ = ["loads_html", "several_grids", "several_html", "write_several"]

_SLOTS: Final = 7
"""Colours of runs; from the eighth on they come again."""
_ALIKE: Final = 3
"""So many notices of one wording become one."""
_NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")
_NUMBERS: Final = (
    "gpu.count", "jobs.submitted", "jobs.rejected", "jobs.not_started", "gpu.allocation_rate", "gpu.utilization",
    "wait_s.mean", "wait_s.p95", "services.time_attained", "services.attainment", "preemptions", "lost_gpu_hours",
    "energy.facility_kwh", "energy.peak_mw", "energy.cost_krw",
)  # fmt: skip
_OF_CLASSES: Final = (
    ("wait_s.mean", "mean wait", "seconds"),
    ("wait_s.p95", "95 % waited at most", "seconds"),
    ("gpu.gpu_hours", "GPU-hours", "number"),
    ("gpu.utilization", "utilization", "share"),
    ("energy.it_kwh", "IT energy", "kwh"),
)


def several_grids(results: Sequence[Result], names: Sequence[str]) -> list[Grid]:
    """Return two tables with a column for each run: the numbers of the whole, and those of each class.

    Of runs at several loads, a table with a row for each load comes before.
    """
    labels = {measure.key: measure for measure in MEASURES}
    rows = [
        (labels[key].label, *(format_value(lookup(each.numbers, key), labels[key].form) for each in results))
        for key in _NUMBERS
        if any(number_at(each.numbers, key) for each in results)
    ]
    rows = [*_varied(results), *rows]
    classes = [
        (f"{clean(name, 40)}, {label}", *(format_value(lookup(_block(each, name), key), form) for each in results))
        for name in _classes(results)
        for key, label, form in _OF_CLASSES
    ]
    columns = (Column(label="", numeric=False), *(Column(label=clean(name, 24)) for name in names))
    by_load = trade_off_grid(results)
    return ([] if by_load is None else [by_load]) + [
        Grid(caption=caption, columns=columns, rows=tuple(rows))
        for caption, rows in (("Runs side by side", rows), ("Each class", classes))
        if rows
    ]


def _varied(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return the rows of the offered load and the policy, where the scenarios have different ones."""
    rows: list[tuple[str, list[object]]] = [
        ("Offered load", [lookup(each.scenario, "workload.load") for each in results]),
        ("Order", [scheduled_by(each, "order") for each in results]),
        ("Backfill", [scheduled_by(each, "backfill") for each in results]),
    ]
    return [
        (label, *(UNKNOWN if value is None else clean(value, 80) for value in given))
        for label, given in rows
        if len({str(value) for value in given}) > 1
    ]


def _block(result: Result, name: str) -> Mapping[str, object]:
    classes = result.numbers.get("by_class")
    block = classes.get(name) if isinstance(classes, Mapping) else None
    return block if isinstance(block, Mapping) else {}


def _classes(results: Sequence[Result]) -> list[str]:
    """Return the classes of all runs, that with most GPU time first; none where all jobs are of one."""
    hours: dict[str, float] = {}
    for each in results:
        classes = each.numbers.get("by_class")
        for name in classes if isinstance(classes, Mapping) else ():
            hours[str(name)] = hours.get(str(name), 0.0) + (number_at(_block(each, name), "gpu.gpu_hours") or 0.0)
    return sorted(hours, key=lambda name: (-hours[name], name)) if len(hours) > 1 else []


def write_several(
    results: Sequence[Result], path: str | Path, *, names: Sequence[str], title: str | None = None
) -> Path:
    """Write the page of several runs as one file that opens without a network; return its path.

    The same results give the same bytes.  The file appears whole or not at all.
    """
    return write_page(several_html(results, names=names, title=title), path)


def several_html(results: Sequence[Result], *, names: Sequence[str], title: str | None = None) -> str:
    """Return the page that :func:`write_several` writes."""
    shown = [clean(name, 40) for name in names]
    said = [warning for each in compare_all(results, shown) for warning in each.warnings]
    own = [f"{name}: {text}" for name, each in zip(shown, results, strict=True) for text in notices(each)]
    return _page(results, shown, [*said, *own], clean(title, 120) if title else f"{len(results)} runs side by side")


def loads_html(results: Sequence[Result], names: Sequence[str], notices: Sequence[str]) -> str:
    """Return the page of one scenario at several loads; only numbers and scenarios of the results are used."""
    title = f"{clean(results[0].scenario.get('name', 'One scenario'), 80)} at several loads"
    return _page(results, [clean(name, 40) for name in names], notices, title)


def _page(results: Sequence[Result], names: Sequence[str], notices: Sequence[str], title: str) -> str:
    by_load = trade_off_grid(results)
    grids = several_grids(results, names)
    return render(
        "several.html.j2",
        title=title,
        notices=_gathered(names, notices),
        trade_off=by_load,
        trade_off_charts=trade_off_charts(results),
        grids=grids if by_load is None else grids[1:],
        charts=_charts(results, names),
    )


def _gathered(names: Sequence[str], notices: Sequence[str]) -> list[str]:
    """Return the notices; of those that differ in a run and a number only, three or more are one with their range."""
    groups: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for notice in dict.fromkeys(notices):
        name, _, text = notice.partition(": ")
        found = _NUMBER.search(text) if name in names else None
        alike = (text[: found.start()], text[found.end() :]) if found else (notice, "")
        groups.setdefault(alike, []).append((name, found[0] if found else "", notice))
    told: list[str] = []
    for (before, after), group in groups.items():
        if len(group) < _ALIKE:
            told += [notice for _, _, notice in group]
            continue
        ordered = sorted((number for _, number, _ in group), key=lambda number: float(number.replace(",", "")))
        span = ordered[0] if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"
        whose = "all runs" if len(group) == len(names) else ", ".join(name for name, _, _ in group)
        told.append(f"{whose}: {before}{span}{after}")
    return told


def _charts(results: Sequence[Result], names: Sequence[str]) -> list[Chart]:
    """Return the charts: each class's mean wait and GPU time in each run, and how services missed their goals."""
    classes, charts = _classes(results), list[Chart]()
    for name, title, key, unit, per in (
        ("class-waits", "Mean wait of each class", "wait_s.mean", "minutes", 60.0),
        ("class-hours", "GPU time of each class", "gpu.gpu_hours", "GPU-hours", 1.0),
    ):
        bars = [
            Bars(
                name=run,
                slot=f"c{place % _SLOTS}",
                values=np.array([(number_at(_block(each, one), key) or 0.0) / per for one in classes]),
            )
            for place, (run, each) in enumerate(zip(names, results, strict=True))
        ]
        if classes:
            charts.append(category_chart(name, title, classes, bars, x_label="class", y_label=unit))
    attained = [number_at(each.numbers, "services.time_attained") for each in results]
    if any(value is not None for value in attained):
        missed = np.array([0.0 if value is None else 100 * (1 - value) for value in attained])
        bars = [Bars(name="goals missed", slot="accent", values=missed)]
        title = "Time in which services missed their goals"
        charts.append(category_chart("goals", title, list(names), bars, x_label="run", y_label="per cent"))
    return charts
