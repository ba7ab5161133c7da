"""Geometry of the charts: scales, ticks and paths.  Templates draw them, so nothing here escapes or styles.

A chart is drawn into a box of 1000 x 1000 units that the page stretches to the width it has; text
stands outside the drawing and keeps its size.  That is why a chart reads on a phone and on paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.report.series import Distribution
from gpuyard.report.wording import format_number, format_value
from gpuyard.units import counted

__all__ = [
    "Area",
    "Bars",
    "Chart",
    "Curve",
    "Key",
    "Path",
    "Tick",
    "category_chart",
    "distribution_chart",
    "time_chart",
]

_SIZE: Final = 1000.0
_ZERO_STRIP: Final = 0.055
"""Width of the strip left of a logarithmic axis, where everything below its first value stands."""

_NARROWEST: Final = 0.1
"""Per cent of a chart's width below which a part of the time is not shaded."""

_DURATIONS: Final = (
    (1e-3, "1 ms"),
    (1e-2, "10 ms"),
    (0.1, "0.1 s"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3600.0, "1 h"),
    (18_000.0, "5 h"),
    (86_400.0, "1 d"),
    (864_000.0, "10 d"),
    (8_640_000.0, "100 d"),
    (86_400_000.0, "1000 d"),
)
_TIME_UNITS: Final = (
    (365.25 * 86_400, "years"),
    (86_400.0, "days"),
    (3600.0, "hours"),
    (60.0, "minutes"),
    (1.0, "seconds"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A mark on an axis: place in per cent of its length, label, and whether narrow screens may drop the label."""

    place: float
    label: str
    minor: bool = False

    @property
    def edge(self) -> bool:
        """Whether the mark stands so near the right end that its label must stay left of it."""
        return self.place > 97


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """One drawn path: its data, its colour slot (``c0`` and on, or a name), and whether it is filled or dashed."""

    data: str
    slot: str
    filled: bool = False
    dashed: bool = False
    cased: bool = False
    """drawn with a seam in the colour of the page, so that it stands out from areas"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One line of the legend; ``rest`` is what stands beside the name while nothing is pointed at."""

    name: str
    slot: str
    rest: str
    filled: bool = False
    dashed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Everything a template needs to draw one figure."""

    name: str
    """an identifier for the page"""
    title: str
    note: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    paths: tuple[Path, ...]
    keys: tuple[Key, ...]
    data: Mapping[str, object]
    """the drawn numbers, for the readout under the pointer"""
    strip: float = 0.0
    """width in per cent of the strip for values below a logarithmic axis; 0 without one"""
    alternative: str = ""
    """what a screen reader says"""
    outside: tuple[tuple[float, float], ...] = ()
    """(left, width) in per cent of the parts of the time that the numbers are not measured over; they are shaded"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """A quantity over time, shape (steps,): a line, or a layer of the stack."""

    name: str
    slot: str
    values: NDArray[np.float64]
    stacked: bool = False
    dashed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A distribution to be drawn."""

    name: str
    slot: str
    points: Distribution
    dashed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """A quantity by category, shape (categories,): a bar in each."""

    name: str
    slot: str
    values: NDArray[np.float64]


def nice_ticks(largest: float, most: int = 5) -> list[float]:
    """Return round, evenly spaced values from 0 to at least ``largest``, at most ``most`` steps apart."""
    if not largest > 0:
        return [0.0, 1.0]
    raw = largest / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return [step * number for number in range(math.ceil(largest / step - 1e-9) + 1)]


def time_unit(span: float) -> tuple[float, str]:
    """Return (seconds, name) of the unit in which a span of time is read off an axis."""
    return next(((size, name) for size, name in _TIME_UNITS if span >= 2 * size), _TIME_UNITS[-1])


def _time_ticks(start: float, end: float) -> tuple[list[Tick], str]:
    size, name = time_unit(end - start)
    steps = (
        (1, 2, 5, 7, 10, 14, 28, 50, 70, 100, 200, 500, 1000, 2000)
        if name == "days"
        else ((1, 2, 3, 6, 12, 24) if name == "hours" else (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30))
    )
    step = size * next((step for step in steps if (end - start) / size / step <= 9), steps[-1])
    first = math.ceil(start / step - 1e-9)
    count = math.floor(end / step + 1e-9) - first + 1
    ticks = [
        Tick(
            place=round(100 * (number * step - start) / (end - start), 3),
            label=_tick_label(round(number * step / size, 9)),
            minor=place % 2 == 1,
        )
        for place, number in enumerate(range(first, first + count))
    ]
    return ticks, name


def _tick_label(value: float) -> str:
    return format_number(value) if float(value).is_integer() else f"{value:g}"


def _y_ticks(values: Sequence[float]) -> tuple[Tick, ...]:
    top, step = values[-1], values[1]
    decimals = next((digits for digits in range(7) if abs(round(step, digits) - step) <= 1e-9 * step), 7)
    return tuple(Tick(place=round(100 * value / top, 3), label=f"{value:,.{decimals}f}") for value in values)


def _place(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _step_path(x: NDArray[np.float64], y: NDArray[np.float64], *, closed: bool) -> str:
    """Return a staircase: ``y[i]`` holds from ``x[i]`` to ``x[i + 1]``; NaN leaves a gap.  Units of the box."""
    pieces: list[str] = []
    drawn = None
    for step in range(y.size):
        if not math.isfinite(y[step]):
            if closed and drawn is not None:
                pieces.append(f"V{_place(_SIZE)}Z")
            drawn = None
            continue
        height = _place(y[step])
        if drawn is None:
            start = f"M{_place(x[step])} "
            pieces.append(f"{start}{_place(_SIZE)}V{height}" if closed else f"{start}{height}")
        elif height != drawn:
            pieces.append(f"V{height}")
        elif pieces and pieces[-1].startswith("H"):
            pieces.pop()
        pieces.append(f"H{_place(x[step + 1])}")
        drawn = height
    if closed and drawn is not None:
        pieces.append(f"V{_place(_SIZE)}Z")
    return "".join(pieces)


def time_chart(
    name: str,
    title: str,
    edges: NDArray[np.float64],
    areas: Sequence[Area],
    *,
    y_label: str,
    note: str,
    means: Sequence[float],
    origin: str = "",
    window: tuple[float, float] = (-math.inf, math.inf),
) -> Chart:
    """Return quantities over time as stairs; stacked ones are filled, first at the bottom.

    ``edges`` has shape (steps + 1,), s since the origin; ``means`` are the means shown at rest, one an
    area; ``origin`` is what the axis calls its zero; ``window`` is the time measured, and what lies outside is shaded.
    """
    start, end = float(edges[0]), float(edges[-1])
    span = end - start if end > start else 1.0
    heights = _stack(areas)
    largest = max((float(np.nanmax(height)) for height in heights if np.isfinite(height).any()), default=0.0)
    ticks = nice_ticks(largest)
    x = _SIZE * (edges - start) / span
    paths = [
        Path(
            data=_step_path(x, _SIZE * (1 - height / ticks[-1]), closed=area.stacked),
            slot=area.slot,
            filled=area.stacked,
            dashed=area.dashed,
            cased=not area.stacked and any(other.stacked for other in areas),
        )
        for area, height in zip(areas, heights, strict=True)
    ]
    filled = [path for path in paths if path.filled][::-1]
    x_ticks, unit = _time_ticks(start, start + span)
    size = time_unit(span)[0]
    keys = tuple(
        Key(
            name=area.name,
            slot=area.slot,
            rest=f"mean {format_value(mean, 'number')}",
            filled=area.stacked,
            dashed=area.dashed,
        )
        for area, mean in zip(areas, means, strict=True)
    )
    data = {
        "kind": "time",
        "unit": unit,
        "x": [_short(value / size) for value in edges],
        "series": [[_short(value) for value in area.values] for area in areas],
    }
    outside = _outside(start, start + span, window)
    shaded = " What is shaded lies outside the time measured." if outside else ""
    summary = "; ".join(f"{key.name} {key.rest}" for key in keys)
    return Chart(
        name=name,
        title=title,
        note=note,
        x_label=f"{unit} since {origin or 'the start of the trace'}",
        y_label=y_label,
        x_ticks=tuple(x_ticks),
        y_ticks=_y_ticks(ticks),
        paths=tuple(filled + [path for path in paths if not path.filled]),
        keys=keys,
        data=data,
        alternative=f"{title} over time, in {y_label}: {summary}.{shaded}",
        outside=outside,
    )


def _outside(start: float, end: float, window: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Return (left, width) in per cent of what is drawn before and after the window; nothing too narrow to be seen."""
    first, last = (min(max(100 * (edge - start) / (end - start), 0.0), 100.0) for edge in window)
    parts = ((0.0, round(first, 3)), (round(last, 3), round(100 - last, 3)))
    return tuple(part for part in parts if part[1] >= _NARROWEST)


def _stack(areas: Sequence[Area]) -> list[NDArray[np.float64]]:
    """Return the drawn height of each area: its own, or with all stacked ones before it."""
    below: NDArray[np.float64] | None = None
    heights: list[NDArray[np.float64]] = []
    for area in areas:
        if not area.stacked:
            heights.append(area.values)
            continue
        below = area.values if below is None else below + area.values
        heights.append(below)
    return heights


def _short(value: float) -> float | int | None:
    """Return a number with four significant digits for the page's data; whole ones as such, NaN as null."""
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.4g}") if abs(value) < 1e4 else float(round(value))
    return int(rounded) if rounded.is_integer() else rounded


def _log_span(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return (first, last) value of the logarithmic axis.

    It begins at 1 s (1 ms if nothing reaches 10 s), or later, where no more than half a per cent
    of any curve lies between.
    """
    last = max(float(curve.points.value[-1]) for curve in curves)
    floor = 1.0 if last >= 10 else 1e-3
    marks = [value for value, _ in _DURATIONS if floor <= value <= last / 100]
    empty = [mark for mark in marks if all(_share_between(curve.points, floor, mark) <= 0.005 for curve in curves)]
    first = max(empty, default=floor)
    return first, max(last, 10 * first)


def _share_between(points: Distribution, low: float, high: float) -> float:
    """Return the share of values from ``low`` to just below ``high``."""
    at_least = np.append(0.0, points.share)
    below_high = at_least[np.searchsorted(points.value, high, side="left")]
    return float(below_high - at_least[np.searchsorted(points.value, low, side="left")])


def distribution_chart(name: str, title: str, curves: Sequence[Curve], *, note: str, x_label: str) -> Chart:
    """Return the share of jobs (0 to 100 %) at or below each duration, on a logarithmic axis.

    What is below the first value of the axis, zeros above all, stands in a strip of its own at the left.
    """
    first, last = _log_span(curves)
    decades = math.log10(last / first)

    def across(value: float) -> float:
        if value < first:
            return _ZERO_STRIP / 2
        return _ZERO_STRIP + (1 - _ZERO_STRIP) * math.log10(value / first) / decades

    ticks = [Tick(place=round(100 * _ZERO_STRIP / 2, 3), label=f"under {dict(_DURATIONS)[first]}")]
    marks = [(value, label) for value, label in _DURATIONS if first < value <= last * 1.000001]
    ticks += [
        Tick(place=round(100 * across(value), 3), label=label, minor=place % 2 == 0)
        for place, (value, label) in enumerate(marks)
    ]
    keys = tuple(
        Key(name=curve.name, slot=curve.slot, dashed=curve.dashed, rest=_at_rest(curve.points)) for curve in curves
    )
    data = {
        "kind": "share",
        "first": first,
        "last": last,
        "strip": _ZERO_STRIP,
        "series": [
            {
                "x": [_short(v) for v in curve.points.value],
                "y": [round(100 * s, 2) for s in curve.points.share.tolist()],
            }
            for curve in curves
        ],
    }
    summary = "; ".join(f"{key.name}: {key.rest}" for key in keys)
    return Chart(
        name=name,
        title=title,
        note=note,
        x_label=x_label,
        y_label="share of jobs, %",
        x_ticks=tuple(ticks),
        y_ticks=tuple(Tick(place=float(share), label=str(share)) for share in (0, 25, 50, 75, 100)),
        paths=tuple(
            Path(data=_share_path(curve.points, across), slot=curve.slot, dashed=curve.dashed) for curve in curves
        ),
        keys=keys,
        data=data,
        strip=100 * _ZERO_STRIP,
        alternative=f"{title}. {summary}.",
    )


def _at_rest(points: Distribution) -> str:
    median = format_value(points.median, "seconds")
    zeros = f", {format_value(points.zeros, 'share')} at zero" if points.zeros else ""
    return f"{counted(points.count, 'job')}, median {median}{zeros}"


def _share_path(points: Distribution, across: Callable[[float], float]) -> str:
    """Return the staircase of a distribution, from the left edge at 0 % to the right edge at 100 %."""
    pieces = [f"M0 {_place(_SIZE)}"]
    last_x = "0"
    for value, share in zip(points.value.tolist(), points.share.tolist(), strict=True):
        x, y = _place(_SIZE * across(value)), _place(_SIZE * (1 - share))
        if x == last_x:
            pieces[-1] = f"V{y}" if pieces[-1].startswith("V") else f"{pieces[-1]}V{y}"
        else:
            pieces += [f"H{x}", f"V{y}"]
        last_x = x
    return "".join([*pieces, f"H{_place(_SIZE)}"])


def category_chart(
    name: str, title: str, labels: Sequence[str], bars: Sequence[Bars], *, x_label: str, y_label: str
) -> Chart:
    """Return quantities by category, their bars side by side; what is largest is told at rest."""
    ticks = nice_ticks(max(float(each.values.max()) for each in bars))
    wide = _SIZE / len(labels)
    thick = 0.8 * wide / len(bars)
    paths = []
    for place, each in enumerate(bars):
        lefts = wide * (np.arange(len(labels)) + 0.1) + thick * place
        heights = _SIZE * (1 - each.values / ticks[-1])
        drawn = zip(lefts.tolist(), heights.tolist(), strict=True)
        data = "".join(
            f"M{_place(x)} {_place(_SIZE)}V{_place(y)}H{_place(x + thick)}V{_place(_SIZE)}Z" for x, y in drawn
        )
        paths.append(Path(data=data, slot=each.slot, filled=True))
    keys = tuple(
        Key(
            name=each.name,
            slot=each.slot,
            rest=f"most: {labels[int(each.values.argmax())]}, {format_value(float(each.values.max()), 'number')}",
            filled=True,
        )
        for each in bars
    )
    return Chart(
        name=name,
        title=title,
        note="",
        x_label=x_label,
        y_label=y_label,
        x_ticks=tuple(
            Tick(
                place=round(100 * (place + 0.5) / len(labels), 3), label=label, minor=len(labels) > 6 and place % 2 == 1
            )
            for place, label in enumerate(labels)
        ),
        y_ticks=_y_ticks(ticks),
        paths=tuple(paths),
        keys=keys,
        data={
            "kind": "time",
            "labels": list(labels),
            "x": list(range(len(labels) + 1)),
            "series": [[_short(value) for value in each.values] for each in bars],
        },
        alternative=f"{title}, in {y_label}: " + "; ".join(f"{key.name} {key.rest}" for key in keys) + ".",
    )
