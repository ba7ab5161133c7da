"""How services fared, for a report: their replicas and requests over time, and a table with a row a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.report.charts import Area, Chart, time_chart
from gpuyard.report.measures import lookup, number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.series import MAX_STEPS, Timeline, column, read_timeline
from gpuyard.report.wording import clean, format_value, unbroken
from gpuyard.result import Result
from gpuyard.units import counted

__all__ = ["service_figures", "service_grid", "service_lead"]

_KINDS: Final = 6
"""Kinds of services with a line of their own; those with fewer replicas share the last."""
_MOST: Final = 20

Floats = NDArray[np.float64]


def service_lead(result: Result) -> str:
    """Return one sentence that says how the services fared, or nothing where there are none."""
    count = number_at(result.numbers, "services.count")
    if not count:
        return ""
    short = format_value(_complement(number_at(result.numbers, "services.time_attained")), "share")
    goals = "its goal" if count == 1 else "their goals"
    said = [f"{counted(count, 'service')} fell short of {goals} in {short} of the time."]
    if number_at(result.numbers, "services.requests"):
        asked, late, lost = (
            format_value(lookup(result.numbers, f"services.{name}"), "count") for name in ("requests", "late", "lost")
        )
        said.append(f"Of {asked} requests, {late} were late and {lost} lost.")
    if number_at(result.numbers, "services.windows"):
        done, windows = (
            format_value(lookup(result.numbers, f"services.{name}"), "count") for name in ("windows_on_time", "windows")
        )
        said.append(f"Of {windows} windows of streams, {done} were processed in time.")
    if left := number_at(result.numbers, "services.not_judged"):
        said.append(
            f"Not judged: {counted(left, 'service')} of which the workload has other replicas than those wanted."
        )
    return unbroken(" ".join(said))


def _complement(share: float | None) -> float | None:
    return None if share is None else 1 - share


def service_figures(result: Result) -> list[Chart]:
    """Return the charts over time: GPUs wanted and ready, requests not on time by kind, goals met."""
    table, timeline = result.services, read_timeline(result)
    if table is None or not table.num_rows or timeline is None:
        return []
    steps = _Steps(table, timeline)
    gpus = _gpus(result, table)
    ready, wanted = column(table, "ready_replicas") * gpus, column(table, "wanted_replicas") * gpus
    seconds = column(table, "duration_s")
    held = [
        Area(name="ready", slot="c0", values=steps.per_second(ready * seconds), stacked=True),
        Area(name="wanted", slot="ink", values=steps.per_second(wanted * seconds)),
    ]
    met = Area(name="met", slot="accent", values=100 * steps.ratio(column(table, "attained_s"), seconds))
    return [
        steps.chart("service-gpus", "GPUs that services wanted, and GPUs of replicas that were ready", held, "GPUs"),
        steps.chart("service-missed", "Requests and windows that were late or lost", steps.missed(table), "per cent"),
        steps.chart("service-goals", "Services that met their goal", [met], "per cent"),
    ]


def _gpus(result: Result, table: pa.Table) -> Floats:
    """Return the GPUs of a replica of each row's service."""
    found = table["service"].combine_chunks().dictionary_encode()
    names = found.dictionary.to_pylist()
    each = [number_at(result.numbers, f"services.by_service.{name}.gpus") or 0.0 for name in names]
    return np.asarray(each, dtype=np.float64)[found.indices.to_numpy()]


class _Steps:
    """Steps of time that whole control intervals fall into, at most MAX_STEPS of them."""

    def __init__(self, table: pa.Table, timeline: Timeline) -> None:
        begin, length = column(table, "time"), column(table, "duration_s")
        first, last, widest = float(begin.min()), float((begin + length).max()), float(length.max())
        width = widest * max(1, int(np.ceil((last - first) / widest / MAX_STEPS)))
        self.edges = np.append(np.arange(first, last - width * 1e-9, width), last)
        self.step = np.clip(np.searchsorted(self.edges, begin + length / 2) - 1, 0, self.edges.size - 2)
        self.timeline = timeline

    def sums(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.step, weights=values, minlength=self.edges.size - 1), dtype=np.float64)

    def per_second(self, values: Floats) -> Floats:
        return np.asarray(self.sums(values) / np.diff(self.edges), dtype=np.float64)

    def ratio(self, part: Floats, whole: Floats) -> Floats:
        below = self.sums(whole)
        unknown = np.full(below.size, np.nan)
        return np.divide(self.sums(part), below, out=unknown, where=below > 0)

    def missed(self, table: pa.Table) -> list[Area]:
        """Return the share of requests that were not on time, in per cent, a line a kind."""
        kinds = table["service_kind"].combine_chunks().dictionary_encode()
        names, code = kinds.dictionary.to_pylist(), kinds.indices.to_numpy()
        weight = np.bincount(code, weights=column(table, "ready_replicas"), minlength=len(names))
        order = [int(each) for each in np.argsort(-weight, kind="stable")]
        alone = order if len(order) <= _KINDS else order[: _KINDS - 1]
        groups = [(clean(names[each], 24), [each]) for each in alone]
        if len(alone) < len(order):
            groups.append((f"{len(order) - len(alone)} more kinds", order[len(alone) :]))
        requests, missed = column(table, "requests"), column(table, "late") + column(table, "lost")
        return [
            Area(name=name, slot=f"c{place}", values=np.round(100 * self.ratio(missed * mine, requests * mine), 4))
            for place, (name, members) in enumerate(groups)
            for mine in (np.isin(code, members).astype(np.float64),)
        ]

    def chart(self, name: str, title: str, areas: list[Area], unit: str) -> Chart:
        own = Timeline(edges=self.edges, values={}, merged=1, origin=self.timeline.origin, window=self.timeline.window)
        means = [own.mean(area.values) for area in areas]
        return time_chart(
            name, title, self.edges, areas, y_label=unit, note="", means=means, origin=own.origin, window=own.window
        )


_COLUMNS: Final = (
    ("kind", "Kind", "", ""),
    ("job_class", "Class", "", ""),
    ("gpus", "GPUs", "count", "of one replica"),
    ("wanted_replicas", "Wanted", "number", "replicas that the autoscaler asked for, mean over time"),
    ("ready_replicas", "Ready", "number", "replicas that were started and warm, mean over time"),
    ("requests", "Requests", "count", "expected requests; of a streaming pipeline, windows"),
    ("attainment", "On time", "share", "share of them that were on time"),
    ("late", "Late", "count", ""),
    ("lost", "Lost", "count", "turned away, because the queue was full or no replica ready"),
    ("goal", "Goal", "share", "share that the service wants to have on time"),
    ("time_attained", "Goal met", "share", "share of the time in which the goal was met"),
)


def service_grid(result: Result) -> Grid | None:
    """Return the table of services, those first that met their goal for the smallest part of the time."""
    blocks = lookup(result.numbers, "services.by_service")
    if not isinstance(blocks, Mapping) or not blocks:
        return None
    worst = sorted(blocks, key=lambda name: (_met(blocks[name]), str(name)))
    rows = tuple(
        (clean(name), *(_cell(lookup(blocks[name], key), form) for key, _, form, _ in _COLUMNS))
        for name in worst[:_MOST]
    )
    columns = (
        Column(label="Service", numeric=False),
        *(Column(label=label, meaning=meaning, numeric=form != "") for _, label, form, meaning in _COLUMNS),
    )
    hidden = len(worst) - len(rows)
    note = f"{hidden:,} more, which met their goals for longer, are in summary.json." if hidden else ""
    return Grid(caption="By service", columns=columns, rows=rows, note=note)


def _met(block: Mapping[str, object]) -> tuple[float, float]:
    """Return how much of the time and of the requests a service made, to sort by; what is not known goes last."""
    time, requests = number_at(block, "time_attained"), number_at(block, "attainment")
    return 1.0 if time is None else time, 1.0 if requests is None else requests


def _cell(value: object, form: str) -> str:
    return format_value(value, form) if form else clean(value, 24)
