"""Which charts a report holds: a result's timelines and distributions, given names, colours and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.report.charts import Area, Chart, Curve, distribution_chart, time_chart
from gpuyard.report.series import OTHER, Timeline, classes, column, distribution, of_class, read_timeline
from gpuyard.report.wording import clean, format_value
from gpuyard.result import Result
from gpuyard.units import power_unit

__all__ = [
    "distribution_figures",
    "overlaid_distributions",
    "overlaid_timelines",
    "recorded_figure",
    "step_note",
    "time_figures",
]

SLOTS: Final = 7
"""Colours for classes; the classes that hold least share the last one."""

_QUEUES: Final = (
    ("queued_jobs", "Jobs waiting", "jobs"),
    ("queued_gpus", "GPUs asked for by waiting jobs", "GPUs"),
)


def _slots(names: Sequence[str]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (label, colour slot, classes) for each class, the smallest ones together where there are too many."""
    if len(names) <= SLOTS:
        return [(clean(name, 32), f"c{place}", (name,)) for place, name in enumerate(names)]
    alone, together = names[: SLOTS - 1], tuple(names[SLOTS - 1 :])
    return [*_slots(alone), (f"{len(together)} more classes", f"c{SLOTS - 1}", together)]


def step_note(result: Result) -> str:
    """Return how long the steps of the charts over time are, for a note under them."""
    timeline = read_timeline(result)
    if timeline is None:
        return ""
    length = format_value(float(np.diff(timeline.edges).max()), "seconds")
    exact = "the headline numbers are exact; means are over the time measured"
    return f"Each step of a line is the mean of up to {length}; shorter peaks are averaged out, {exact}."


def time_figures(result: Result) -> list[Chart]:
    """Return the charts over time that this result has data for: GPUs, queues, power."""
    timeline = read_timeline(result)
    if timeline is None:
        return []
    charts = [_gpu_chart(result, timeline)] if timeline.known("gpus_held") else []
    charts += [
        _line_chart(timeline, key, [Area(name="waiting", slot="accent", values=timeline.values[key])], title, unit)
        for key, title, unit in _QUEUES
        if timeline.known(key)
    ]
    if timeline.known("facility_power_w", "it_power_w"):
        charts.append(_power_chart(timeline))
    return charts


def _gpu_chart(result: Result, timeline: Timeline) -> Chart:
    areas = []
    for label, slot, names in _slots(classes(result)):
        parts = [timeline.values[f"held.{name}"] for name in names if f"held.{name}" in timeline.values]
        if parts:
            held = "held" if names == (OTHER,) else f"held: {label}"
            areas.append(Area(name=held, slot=slot, values=np.sum(parts, axis=0), stacked=True))
    if not areas:
        areas.append(Area(name="held", slot="c0", values=timeline.values["gpus_held"], stacked=True))
    if timeline.known("gpus_busy"):
        areas.append(Area(name="busy", slot="ink", values=timeline.values["gpus_busy"], dashed=True))
    if timeline.known("gpus_up"):
        areas.append(Area(name="up", slot="ink", values=timeline.values["gpus_up"]))
    return _line_chart(timeline, "gpus", areas, "GPUs held by class, GPUs busy and GPUs up", "GPUs")


def _line_chart(timeline: Timeline, name: str, areas: Sequence[Area], title: str, unit: str) -> Chart:
    means = [timeline.mean(area.values) for area in areas]
    return time_chart(
        name,
        title,
        timeline.edges,
        areas,
        y_label=unit,
        note="",
        means=means,
        origin=timeline.origin,
        window=timeline.window,
    )


def _power_chart(timeline: Timeline) -> Chart:
    facility, it = timeline.values["facility_power_w"], timeline.values["it_power_w"]
    size, unit = power_unit(float(np.nanmax(facility)))
    areas = [
        Area(name="IT: nodes and network", slot="c0", values=it / size),
        Area(name="facility: IT, cooling and losses", slot="ink", values=facility / size),
    ]
    return _line_chart(timeline, "power", areas, "Power of the site", unit)


def distribution_figures(result: Result) -> list[Chart]:
    """Return the distributions of wait and completion time, for all jobs and by class."""
    figures = (
        ("wait", "How long jobs waited", "wait_time", "wait until the first start, logarithmic"),
        ("jct", "How long jobs took from submission to end", "jct", "completion time, logarithmic"),
    )
    charts = []
    for name, title, key, x_label in figures:
        values = column(result.jobs, key)
        curves = _curves(result, values)
        if curves:
            charts.append(distribution_chart(name, title, curves, note="", x_label=x_label))
    return charts


def _curves(result: Result, values: NDArray[np.float64]) -> list[Curve]:
    names = classes(result)
    curves = []
    if len(names) > 1:
        for label, slot, members in _slots(names):
            chosen = np.logical_or.reduce([of_class(result, member) for member in members])
            points = distribution(values[chosen])
            if points is not None:
                curves.append(Curve(name=label, slot=slot, points=points))
    everything = distribution(values)
    if everything is None:
        return curves
    together = Curve(name="all jobs", slot="ink" if curves else "accent", points=everything, dashed=bool(curves))
    return [*curves, together]


def recorded_figure(result: Result) -> Chart | None:
    """Return recorded and simulated waits since submission over each other, over the jobs that have both."""
    recorded = column(result.jobs, "recorded_start_time") - column(result.jobs, "submit_time")
    simulated = column(result.jobs, "start_time") - column(result.jobs, "submit_time")
    both = np.isfinite(recorded) & np.isfinite(simulated)
    was, now = distribution(recorded[both]), distribution(simulated[both])
    if was is None or now is None:
        return None
    curves = [
        Curve(name="recorded", slot="ink", points=was, dashed=True),
        Curve(name="simulated", slot="c0", points=now),
    ]
    note = "Waits count from submission, because the record does not say when a job could have started."
    return distribution_chart(
        "recorded", "Recorded and simulated waits", curves, note=note, x_label="wait since submission, logarithmic"
    )


_OVERLAID: Final = (
    ("gpus_held", "GPUs held", "GPUs"),
    ("gpus_busy", "GPUs busy", "GPUs"),
    ("queued_jobs", "Jobs waiting", "jobs"),
    ("queued_gpus", "GPUs asked for by waiting jobs", "GPUs"),
    ("facility_power_w", "Facility power", "W"),
)


def overlaid_timelines(results: Sequence[Result], names: Sequence[str]) -> list[Chart]:
    """Return each quantity over time with one line a result, on a common axis of time."""
    timelines = [read_timeline(result) for result in results]
    if any(timeline is None for timeline in timelines):
        return []
    known = [timeline for timeline in timelines if timeline is not None]
    edges = _common_edges(known)
    charts = []
    for key, title, unit in _OVERLAID:
        if all(timeline.known(key) for timeline in known):
            charts.append(_overlaid(known, names, edges, key, title, unit))
    return charts


def _common_edges(timelines: Sequence[Timeline]) -> NDArray[np.float64]:
    """Return even steps over the union of the spans, as fine as the coarsest timeline."""
    start = min(float(timeline.edges[0]) for timeline in timelines)
    end = max(float(timeline.edges[-1]) for timeline in timelines)
    steps = min(timeline.edges.size - 1 for timeline in timelines)
    return np.linspace(start, end, max(2, steps + 1))


def _resampled(timeline: Timeline, values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of a stepwise quantity over each new step; NaN where the timeline does not reach it."""
    lengths = np.diff(timeline.edges)
    known = np.isfinite(values)
    area = np.append(0.0, np.cumsum(np.where(known, values, 0.0) * lengths))
    cover = np.append(0.0, np.cumsum(np.where(known, lengths, 0.0)))
    gained = np.diff(np.interp(edges, timeline.edges, area))
    covered = np.diff(np.interp(edges, timeline.edges, cover))
    mean: NDArray[np.float64] = np.divide(
        gained, covered, out=np.full(covered.size, np.nan), where=covered > 1e-9 * np.diff(edges)
    )
    return mean


def _overlaid(
    timelines: Sequence[Timeline], names: Sequence[str], edges: NDArray[np.float64], key: str, title: str, unit: str
) -> Chart:
    largest = max(float(np.nanmax(timeline.values[key])) for timeline in timelines)
    size, unit = power_unit(largest) if unit == "W" else (1.0, unit)
    areas = [
        Area(
            name=name,
            slot=f"r{place}",
            values=_resampled(timeline, timeline.values[key], edges) / size,
            dashed=place > 0,
        )
        for place, (timeline, name) in enumerate(zip(timelines, names, strict=True))
    ]
    means = [timeline.mean(timeline.values[key]) / size for timeline in timelines]
    origins = {timeline.origin for timeline in timelines}
    origin = origins.pop() if len(origins) == 1 else ""
    windows = {timeline.window for timeline in timelines}
    window = windows.pop() if len(windows) == 1 else (-np.inf, np.inf)
    return time_chart(key, title, edges, areas, y_label=unit, note="", means=means, origin=origin, window=window)


def overlaid_distributions(results: Sequence[Result], names: Sequence[str]) -> list[Chart]:
    """Return the distributions of wait and completion time with one line a result."""
    charts = []
    for key, title, x_label in (
        ("wait_time", "How long jobs waited", "wait until the first start, logarithmic"),
        ("jct", "How long jobs took from submission to end", "completion time, logarithmic"),
    ):
        points = [distribution(column(result.jobs, key)) for result in results]
        curves = [
            Curve(name=name, slot=f"r{place}", points=each, dashed=place > 0)
            for place, (each, name) in enumerate(zip(points, names, strict=True))
            if each is not None
        ]
        if curves:
            charts.append(distribution_chart(key, title, curves, note="", x_label=x_label))
    return charts
