"""How evenly tenants fared, for a report: a row for each, and what they fell short of over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from gpuyard.report.charts import Area, Chart, time_chart
from gpuyard.report.measures import lookup, number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.series import read_timeline
from gpuyard.report.wording import clean, format_value, unbroken
from gpuyard.result import Result
from gpuyard.units import counted

__all__ = ["deficit_figure", "fairness_grid", "fairness_lead"]

_LINES: Final = 7
"""Tenants in the chart."""
_MOST: Final = 40
"""Tenants with a row in the table."""

_COLUMNS: Final = (
    ("due_share", "Due", "share", "weight of the tenant over that of all"),
    ("share", "Got", "share", "share of all GPU-hours held"),
    (
        "shortfall_gpu_hours",
        "Shortfall",
        "gpu_hours",
        "due by weight of what was held, and not held, while jobs waited",
    ),
    ("surplus_gpu_hours", "Surplus", "gpu_hours", "held above what was due, while jobs waited"),
    ("rho.mean", "Mean rho", "number", "time to the end over that alone on the tenant's share of the cluster"),
    ("rho.p95", "95 % had at most", "number", "the same"),
    ("alone_slowdown_total", "Slowed down", "number", "time to the end over that with no other tenant's jobs there"),
)

Block = Mapping[str, object]


def _blocks(result: Result) -> dict[str, Block]:
    """Return the block of each tenant, those that fell short the most first."""
    found = lookup(result.numbers, "fairness.by_tenant")
    if not isinstance(found, Mapping):
        return {}
    blocks = {
        str(name): {**block, "share": lookup(result.numbers.get("by_tenant", {}).get(name, {}), "gpu.share")}  # type: ignore[attr-defined]
        for name, block in found.items()
        if isinstance(block, Mapping)
    }
    return dict(sorted(blocks.items(), key=lambda item: (-(number_at(item[1], "shortfall_gpu_hours") or 0.0), item[0])))


def fairness_lead(result: Result) -> str:
    """Return a few sentences on how evenly tenants fared, or nothing where there are not several."""
    blocks = _blocks(result)
    if not blocks:
        return ""
    time, waits = (
        format_value(lookup(result.numbers, f"fairness.{key}"), "ratio") for key in ("jain_gpu_hours", "jain_wait")
    )
    said = [
        f"Of {counted(len(blocks), 'tenant')}, the Jain index of GPU time over weight is {time}, that of mean waits "
        f"{waits}; 1 is even."
    ]
    first = next(iter(blocks))
    if number_at(blocks[first], "shortfall_gpu_hours"):
        hours = format_value(blocks[first]["shortfall_gpu_hours"], "gpu_hours")
        said.append(f"{clean(first, 40)} fell short the most of what was due to it while its jobs waited, by {hours}.")
    return unbroken(" ".join(said))


def fairness_grid(result: Result) -> Grid | None:
    """Return the table of tenants, those that fell short the most first; ``None`` where there are not several."""
    blocks = _blocks(result)
    if not blocks:
        return None
    shown = [each for each in _COLUMNS if any(number_at(block, each[0]) is not None for block in blocks.values())]
    rows = tuple(
        (clean(name), *(format_value(lookup(block, key), form) for key, _, form, _ in shown))
        for name, block in list(blocks.items())[:_MOST]
    )
    columns = (
        Column(label="Tenant", numeric=False),
        *(Column(label=label, meaning=meaning) for _, label, _, meaning in shown),
    )
    hidden = len(blocks) - len(rows)
    note = f"{hidden:,} more, which fell short less, are in summary.json." if hidden else ""
    return Grid(caption="What tenants were due and got", columns=columns, rows=rows, note=note)


def deficit_figure(result: Result) -> Chart | None:
    """Return the deficits over time of those that fell short the most; ``None`` where nobody did."""
    timeline, blocks = read_timeline(result), _blocks(result)
    if timeline is None:
        return None
    short = [name for name, block in blocks.items() if number_at(block, "shortfall_gpu_hours")]
    named = [name for name in short if timeline.known(f"deficit.{name}")][:_LINES]
    if not named:
        return None
    areas = [
        Area(name=clean(name, 32), slot=f"c{place}", values=np.maximum(timeline.values[f"deficit.{name}"], 0.0))
        for place, name in enumerate(named)
    ]
    return time_chart(
        "deficits",
        "GPUs short of what was due, while jobs waited",
        timeline.edges,
        areas,
        y_label="GPUs",
        note="",
        means=[timeline.mean(area.values) for area in areas],
        origin=timeline.origin,
        window=timeline.window,
    )
