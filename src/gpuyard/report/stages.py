"""Stages and phases of a site that grows and calendar years, for a report: tables with a row for each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from gpuyard.report.measures import lookup, number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.series import origin_of
from gpuyard.report.wording import clean, format_value
from gpuyard.result import Result

__all__ = ["stage_grids"]

_TABLES: Final = (
    ("stages", "By stage of the site", "Stage", "From one commissioning of nodes to the next."),
    ("phases", "By phase of the site", "Phase", "A phase begins with the nodes that have its name."),
    ("years", "By calendar year", "Year", ""),
)
_COLUMNS: Final = (
    ("start_s", "From", "seconds", "a date, or since the origin where the calendar is not known"),
    ("gpus_up", "GPUs up", "count", "mean over time"),
    ("gpu.allocation_rate", "Allocation rate", "share", "held over up"),
    ("gpu.utilization", "Utilization", "share", "busy over up"),
    ("energy.facility_kwh", "Energy", "kwh", "at the meter"),
    ("energy.mean_mw", "Mean power", "mw", "at the meter"),
    ("energy.peak_mw", "Peak power", "mw", "at the meter"),
    ("services.time_attained", "Goals met", "share", "of the time, over all services"),
)
_MOST: Final = 6
"""Classes whose waits are told."""


def stage_grids(result: Result) -> list[Grid]:
    """Return a table of the stages, one of the phases and one of the years, where the numbers tell them apart."""
    return [grid for each in _TABLES if (grid := _grid(result, *each)) is not None]


def _grid(result: Result, key: str, caption: str, first: str, note: str) -> Grid | None:
    blocks = result.numbers.get(key)
    if not isinstance(blocks, Mapping) or not blocks:
        return None
    known = {str(name): block for name, block in blocks.items() if isinstance(block, Mapping)}
    told = [each for each in _COLUMNS if any(lookup(block, each[0]) is not None for block in known.values())]
    classes, origin = _classes(known), origin_of(result.timeline)
    rows = tuple(
        (
            clean(name),
            *(_shown(lookup(known[name], path), path, form, origin) for path, _, form, _ in told),
            *(format_value(lookup(known[name], f"by_class.{each}.wait_s.mean"), "seconds") for each in classes),
        )
        for name in sorted(known, key=lambda name: number_at(known[name], "start_s") or 0.0)
    )
    columns = (
        Column(label=first, numeric=False),
        *(Column(label=label, meaning=meaning) for _, label, _, meaning in told),
        *(Column(label=f"Wait, {clean(each, 40)}", meaning="mean over the jobs submitted in it") for each in classes),
    )
    return Grid(caption=caption, columns=columns, rows=rows, note=note)


def _shown(value: object, path: str, form: str, origin: str) -> str:
    """Return a number in its form, and when a stage begins as a date where the calendar is known."""
    if path == "start_s" and origin and isinstance(value, int | float):
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(origin) + timedelta(seconds=value)
            return f"{moment:%Y-%m-%d}" if not (moment.hour or moment.minute) else f"{moment:%Y-%m-%d %H:%M}"
    return format_value(value, form)


def _classes(blocks: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the classes, that with most GPU time first; without those that have no name for paths."""
    hours: dict[str, float] = {}
    for block in blocks.values():
        groups = block.get("by_class")
        for name, group in groups.items() if isinstance(groups, Mapping) else ():
            if "." not in str(name) and isinstance(group, Mapping):
                hours[str(name)] = hours.get(str(name), 0.0) + (number_at(group, "gpu.gpu_hours") or 0.0)
    return sorted(hours, key=lambda name: (-hours[name], name))[:_MOST]
