"""The page of two workloads: their numbers, distances, sizes, profiles and distributions over each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpuyard.portrait import Portrait
from gpuyard.portrait.calendar import DAY, HOUR
from gpuyard.report.charts import Area, Bars, Chart, Curve, category_chart, distribution_chart, time_chart
from gpuyard.report.html import render, write_page
from gpuyard.report.likeness import Likeness
from gpuyard.report.series import MAX_STEPS, distribution
from gpuyard.report.wording import clean, format_value, unbroken

__all__ = ["likeness_html", "write_likeness"]


def write_likeness(likeness: Likeness, path: str | Path, *, title: str | None = None) -> Path:
    """Write the page that puts two workloads side by side as one file that opens without a network; return its path.

    The same workloads give the same bytes.  The file appears whole or not at all.
    """
    return write_page(likeness_html(likeness, title=title), path)


def likeness_html(likeness: Likeness, *, title: str | None = None) -> str:
    """Return the page that :func:`write_likeness` writes."""
    names = likeness.names
    numbers, apart, sizes, states = likeness.grids()
    return render(
        "likeness.html.j2",
        title=clean(title, 120) if title else f"{names[0]} and {names[1]} side by side",
        lead=_lead(likeness),
        numbers=numbers,
        apart=apart,
        sizes=sizes,
        states=states,
        size_figures=_size_figures(likeness),
        distributions=_distributions(likeness),
        profiles=_profiles(likeness),
    )


def _lead(likeness: Likeness) -> list[str]:
    said = []
    for each, name in zip((likeness.first, likeness.second), likeness.names, strict=True):
        median = format_value(each.quantiles("runtime_s")["p50"], "seconds")
        said.append(
            f"{name}: {each.jobs:,} jobs over {format_value(each.span, 'seconds')}, "
            f"{format_value(each.gpu_hours, 'gpu_hours')}, median run time {median}."
        )
    return [unbroken(sentence) for sentence in said]


def _size_figures(likeness: Likeness) -> list[Chart]:
    rows = likeness.sizes()
    figures = (("sizes-jobs", "Sizes by jobs", "jobs", 1), ("sizes-time", "Sizes by GPU time", "GPU time", 3))
    return [
        category_chart(
            name,
            title,
            [row[0] for row in rows],
            [
                Bars(name=each, slot=f"r{place}", values=np.array([100 * row[at + place] for row in rows]))
                for place, each in enumerate(likeness.names)
            ],
            x_label="GPUs of a job",
            y_label=f"share of {what}, %",
        )
        for name, title, what, at in figures
    ]


def _distributions(likeness: Likeness) -> list[Chart]:
    charts = []
    for quantity, title, x_label in (
        ("runtime_s", "How long jobs run", "run time, logarithmic"),
        ("gap_s", "How long until the next submission", "time between submissions, logarithmic"),
        ("time_limit_s", "How long jobs may run", "time limit, logarithmic"),
    ):
        points = [distribution(each.samples[quantity]) for each in (likeness.first, likeness.second)]
        curves = [
            Curve(name=name, slot=f"r{place}", points=each, dashed=place > 0)
            for place, (each, name) in enumerate(zip(points, likeness.names, strict=True))
            if each is not None
        ]
        if curves:
            charts.append(distribution_chart(quantity, title, curves, note="", x_label=x_label))
    return charts


def _profiles(likeness: Likeness) -> list[Chart]:
    both = (likeness.first, likeness.second)
    dated = all(each.dated for each in both)
    note = "" if dated else "A workload that states no date counts hours and days from its second 0."
    midnight, monday = ("midnight", "Monday 0:00") if dated else ("second 0 of the day", "second 0 of the week")
    mean = "rate over its mean"
    hours = _areas(likeness, [np.array(each.hourly) for each in both])
    days = _areas(likeness, [np.array(each.weekly) for each in both])
    rates = _areas(likeness, [_rate(each, _rate_edges(likeness)) for each in both])
    return [
        _lines("rate", "Submissions", _rate_edges(likeness), rates, y_label="jobs a day", origin="the first one"),
        _lines(
            "hourly", "Submissions by hour", np.arange(25.0) * HOUR, hours, y_label=mean, origin=midnight, note=note
        ),
        _lines("weekly", "Submissions by day", np.arange(8.0) * DAY, days, y_label=mean, origin=monday, note=note),
    ]


def _areas(likeness: Likeness, values: Sequence[NDArray[np.float64]]) -> list[Area]:
    return [
        Area(name=name, slot=f"r{place}", values=each, dashed=place > 0)
        for place, (name, each) in enumerate(zip(likeness.names, values, strict=True))
    ]


def _lines(
    name: str,
    title: str,
    edges: NDArray[np.float64],
    areas: list[Area],
    *,
    y_label: str,
    origin: str,
    note: str = "",
) -> Chart:
    means = [float(np.nanmean(each.values)) for each in areas]
    return time_chart(name, title, edges, areas, y_label=y_label, note=note, means=means, origin=origin)


def _rate_edges(likeness: Likeness) -> NDArray[np.float64]:
    """Return steps of whole days over the longer span, or of a fiftieth of it where that is short."""
    span = max(likeness.first.span, likeness.second.span, 1.0)
    step = DAY * max(1, -(-span // DAY // MAX_STEPS)) if span >= 10 * DAY else span / 50
    return np.asarray(np.arange(int(np.ceil(span / step)) + 1) * step, dtype=np.float64)


def _rate(each: Portrait, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return submissions a day in each step since the first one; not a number in steps that the span does not reach."""
    since = np.concatenate(([0.0], np.cumsum(each.samples["gap_s"])))
    counts = np.histogram(np.minimum(since, edges[-1]), edges)[0]
    return np.where(edges[:-1] <= each.span, counts * DAY / np.diff(edges), np.nan)
