"""What a report draws, taken out of a result: reduced timelines, distributions, classes in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.report.wording import clean
from gpuyard.result import Result
from gpuyard.traces.schema import ORIGIN

__all__ = [
    "MAX_STEPS",
    "OTHER",
    "Distribution",
    "Timeline",
    "classes",
    "column",
    "distribution",
    "origin_of",
    "read_timeline",
]

MAX_STEPS: Final = 480
"""Steps of a drawn timeline; more would be narrower than the lines."""

OTHER: Final = "other"
"""What jobs without a class or tenant are counted as."""

_HELD: Final = "held."
_LEVELS: Final = (0.98, 400, 90)  # where the tail begins; points over the whole, points in the tail


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Steps of time with the mean of each quantity over the step.

    ``edges`` are s since the origin, shape (steps + 1,); ``values`` have shape (steps,), NaN where
    nothing is known.  ``merged`` is how many bins of the result one step takes together at most.
    """

    edges: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]
    merged: int
    origin: str
    """the instant of second 0, ISO 8601, or empty where the trace states none"""
    window: tuple[float, float] = (-np.inf, np.inf)
    """what the headline numbers are measured over, s since the origin"""

    def known(self, *names: str) -> bool:
        """Return whether all of these quantities are there, with at least one number in each."""
        return all(name in self.values and bool(np.isfinite(self.values[name]).any()) for name in names)

    def mean(self, values: NDArray[np.float64]) -> float:
        """Return the mean of a quantity over the time measured, NaN steps left out."""
        measured = np.diff(np.clip(self.edges, *self.window))
        lengths = np.where(np.isfinite(values), measured, 0.0)
        total = float(lengths.sum())
        return float((np.nan_to_num(values) * lengths).sum() / total) if total > 0 else float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """Shares of values that are no larger: ``share[i]`` of them are at most ``value[i]``; both ascend.

    ``count`` values went in; ``zeros`` is the share of them that is exactly zero, ``median`` the
    middle one (the lower of two).
    """

    value: NDArray[np.float64]
    share: NDArray[np.float64]
    count: int
    zeros: float
    median: float


def column(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a numeric column as float64 with NaN for nulls, shape (rows,); all NaN where there is no such column."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(pc.cast(table.column(name), pa.float64()).to_numpy(), dtype=np.float64)


def read_timeline(result: Result, steps: int = MAX_STEPS) -> Timeline | None:
    """Return the timeline in at most ``steps`` steps, each the mean of whole bins; ``None`` without one."""
    table = result.timeline
    if table.num_rows == 0 or "time" not in table.column_names:
        return None
    starts, lengths = column(table, "time"), column(table, "duration_s")
    if np.isnan(lengths).all():
        lengths = np.diff(np.append(starts, starts[-1]))
    merged = -(-table.num_rows // steps)
    first = np.arange(0, table.num_rows, merged)
    edges = np.append(starts[first], starts[-1] + lengths[-1])
    names = [name for name in table.column_names if name not in ("time", "duration_s") and _is_number(table, name)]
    values = {name: _time_weighted(column(table, name), lengths, first) for name in names}
    return Timeline(edges=edges, values=values, merged=merged, origin=origin_of(table), window=_window(result))


def _window(result: Result) -> tuple[float, float]:
    """Return the time that the numbers are measured over, all of it where they do not say."""
    window = result.numbers.get("window")
    if not isinstance(window, Mapping) or window.get("start_s") is None or window.get("end_s") is None:
        return -np.inf, np.inf
    return float(window["start_s"]) + float(window.get("warmup_s") or 0.0), float(window["end_s"])


def origin_of(table: pa.Table) -> str:
    """Return second 0 of a timeline as a timestamp, or nothing where its calendar is not known."""
    return clean((table.schema.metadata or {}).get(ORIGIN, b"").decode("utf-8", "replace"), 40)


def _is_number(table: pa.Table, name: str) -> bool:
    kind = table.schema.field(name).type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _time_weighted(
    values: NDArray[np.float64], lengths: NDArray[np.float64], first: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the mean of each run of bins that begins at ``first``, weighted by their lengths."""
    weights = np.where(np.isfinite(values), lengths, 0.0)
    total = np.add.reduceat(weights, first)
    area = np.add.reduceat(np.nan_to_num(values) * weights, first)
    mean: NDArray[np.float64] = np.divide(area, total, out=np.full(first.size, np.nan), where=total > 0)
    return mean


def classes(result: Result) -> tuple[str, ...]:
    """Return the job classes, most GPU time first (then by name), jobs without a class as ``other``."""
    weights: dict[str, float] = {name.removeprefix(_HELD): 0.0 for name in _held_columns(result)}
    for name, weight in _gpu_time_of(result, "job_class").items():
        weights[name] = weights.get(name, 0.0) + weight
    return tuple(sorted(weights, key=lambda name: (-weights[name], name)))


def _held_columns(result: Result) -> list[str]:
    return [name for name in result.timeline.column_names if name.startswith(_HELD)]


def _gpu_time_of(result: Result, group: str) -> dict[str, float]:
    if group not in result.jobs.column_names:
        return {}
    names = pc.fill_null(pc.cast(result.jobs.column(group), pa.string()), OTHER)
    weights = np.nan_to_num(column(result.jobs, "gpu_time"))
    codes = pc.dictionary_encode(names).combine_chunks()
    if isinstance(codes, pa.ChunkedArray):
        codes = pa.concat_arrays(codes.chunks)
    total = np.bincount(np.asarray(codes.indices), weights=weights, minlength=len(codes.dictionary))
    return dict(zip(codes.dictionary.to_pylist(), total.tolist(), strict=True))


def gpu_hours_of(result: Result, group: str) -> dict[str, float]:
    """Return the GPU-hours held by the jobs of each group (a column of names); nulls count as ``other``."""
    return {name: seconds / 3600 for name, seconds in _gpu_time_of(result, group).items()}


def of_class(result: Result, name: str) -> NDArray[np.bool_]:
    """Return which jobs belong to a class, shape (jobs,)."""
    if "job_class" not in result.jobs.column_names:
        return np.full(result.jobs.num_rows, name == OTHER)
    names = pc.fill_null(pc.cast(result.jobs.column("job_class"), pa.string()), OTHER)
    return np.asarray(pc.equal(names, name).to_numpy(zero_copy_only=False), dtype=np.bool_)


def distribution(values: NDArray[np.float64]) -> Distribution | None:
    """Return the empirical distribution in at most 490 points, exact at each; ``None`` without finite values.

    The points are order statistics, none is interpolated: ``value[i]`` is the smallest value that
    at least ``share[i]`` of all are no larger than.  The last two per cent get points of their own.
    """
    known = np.sort(values[np.isfinite(values)])
    if known.size == 0:
        return None
    tail, whole, extra = _LEVELS
    levels = np.union1d(np.linspace(0, 1, whole + 1)[1:], np.linspace(tail, 1, extra))
    rank = np.unique(np.clip(np.ceil(levels * known.size - 1e-9).astype(np.int64), 1, known.size))
    picked = known[rank - 1]
    value = np.unique(picked)
    share = np.searchsorted(known, value, side="right") / known.size
    zeros = float(np.count_nonzero(known == 0)) / known.size
    median = float(known[(known.size - 1) // 2])
    return Distribution(value=value, share=share, count=int(known.size), zeros=zeros, median=median)
