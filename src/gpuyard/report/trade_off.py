"""What rising load costs: real-time work on one side, training on the other, a row for each run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from gpuyard.report.charts import Bars, Chart, category_chart
from gpuyard.report.measures import number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.wording import UNKNOWN, format_value
from gpuyard.result import Result

__all__ = ["trade_off_charts", "trade_off_grid"]

HOUR: Final = 3600.0
_ENERGIES: Final = ((1e6, "GWh"), (1e3, "MWh"), (1.0, "kWh"))
"""kWh in each unit of energy, and its name."""


class _Measure(NamedTuple):
    """One column: heading, what it means, where its number stands, and how it is shown."""

    label: str
    meaning: str
    key: str
    shown: Callable[[float], str]


def _missed(share: float) -> float:
    return 100 * (1 - share)


_MEASURES: Final = (
    _Measure("GPUs held", "of all GPUs, over time", "gpu.allocation_rate", lambda it: f"{100 * it:.1f} %"),
    _Measure("Goals met", "share of the time in which a service met its goal", "services.time_attained",
             lambda it: f"{100 * it:.2f} %"),
    _Measure("Requests late or lost", "of all requests and records", "services.attainment",
             lambda it: f"{_missed(it):.4f} %"),
    _Measure("Replicas waited", "mean", "by_class.realtime.wait_s.mean", lambda it: format_value(it, "seconds")),
    _Measure("Training waited", "mean", "by_class.training.wait_s.mean", lambda it: format_value(it, "seconds")),
    _Measure("Training waited, p99", "99 of 100 jobs waited at most so long", "by_class.training.wait_s.p99",
             lambda it: format_value(it, "seconds")),
    _Measure("Training not started", "training jobs that still waited when the run stopped, and are in no wait",
             "by_class.training.jobs.not_started", lambda it: f"{it:,.0f}"),
    _Measure("Jobs rejected", "of all classes: they could never run on this cluster", "jobs.rejected",
             lambda it: f"{it:,.0f}"),
    _Measure("Training GPU-hours", "GPUs held by training, over time", "by_class.training.gpu.gpu_hours",
             lambda it: f"{it:,.0f}"),
    _Measure("Energy at the meter", "with cooling and losses", "energy.facility_kwh",
             lambda it: format_value(it, "kwh")),
)  # fmt: skip


_WHERE_SOME: Final = ("by_class.training.jobs.not_started", "jobs.rejected")
"""Columns that are there only where one run has any."""


def trade_off_grid(results: Sequence[Result]) -> Grid | None:
    """Return the table, in order of load; None unless runs of several loads have services and training."""
    runs = _by_load(results)
    if not runs:
        return None
    rows = []
    shown = [
        one
        for one in _MEASURES
        if one.key not in _WHERE_SOME or any(number_at(each.numbers, one.key) for _, each in runs)
    ]
    for load, each in runs:
        found = [(one, number_at(each.numbers, one.key)) for one in shown]
        rows.append((f"{load:g}", *(UNKNOWN if value is None else one.shown(value) for one, value in found)))
    return Grid(
        caption="By offered load",
        columns=(
            Column(label="Offered load", meaning="GPU time asked for over what there is", numeric=False),
            *(Column(label=one.label, meaning=one.meaning) for one in shown),
        ),
        rows=tuple(rows),
        note="Waits are those of jobs that had started when the run stopped: those that had not started wait longer.",
    )


def trade_off_charts(results: Sequence[Result]) -> list[Chart]:
    """Return what real-time work loses, how long training waits, and what training and the meter get, by load."""
    runs = _by_load(results)
    most = max((number_at(each.numbers, "energy.facility_kwh") or 0.0 for _, each in runs), default=0.0)
    kwh, watt_hours = next((each for each in _ENERGIES if most >= each[0]), _ENERGIES[-1])
    return [
        category_chart(name, title, [f"{load:g}" for load, _ in runs], bars, x_label="offered load", y_label=unit)
        for name, title, unit, bars in (
            ("real-time-by-load", "Real-time work: what is missed", "per cent", [
                _bars(runs, "time in which goals were missed", "c0", "services.time_attained", _missed),
                _bars(runs, "requests late or lost", "c1", "services.attainment", _missed),
            ]),
            ("training-by-load", "Training: how long its jobs wait", "hours", [
                _bars(runs, "mean", "c0", "by_class.training.wait_s.mean", lambda it: it / HOUR),
                _bars(runs, "99 of 100 at most", "c1", "by_class.training.wait_s.p99", lambda it: it / HOUR),
            ]),
            ("replicas-by-load", "Replicas of services: mean wait", "seconds", [
                _bars(runs, "mean wait", "c0", "by_class.realtime.wait_s.mean", lambda it: it),
            ]),
            ("hours-by-load", "GPU time of training", "thousand GPU-hours", [
                _bars(runs, "training", "c0", "by_class.training.gpu.gpu_hours", lambda it: it / 1e3),
            ]),
            ("energy-by-load", "Energy at the meter", watt_hours, [
                _bars(runs, "energy", "accent", "energy.facility_kwh", lambda it: it / kwh),
            ]),
        )
        if runs
    ]  # fmt: skip


def _bars(
    runs: Sequence[tuple[float, Result]], name: str, slot: str, key: str, scaled: Callable[[float], float]
) -> Bars:
    found = [number_at(each.numbers, key) for _, each in runs]
    return Bars(name=name, slot=slot, values=np.array([0.0 if it is None else scaled(it) for it in found]))


def _by_load(results: Sequence[Result]) -> list[tuple[float, Result]]:
    """Return the runs with their loads, ascending; none unless there are several, with services and training."""
    found = []
    for each in results:
        load = number_at(each.scenario, "workload.load")
        known = (number_at(each.numbers, key) for key in ("services.attainment", "by_class.training.wait_s.mean"))
        if load is None or None in known:
            return []
        found.append((load, each))
    return sorted(found, key=lambda run: run[0]) if len({load for load, _ in found}) > 1 else []
