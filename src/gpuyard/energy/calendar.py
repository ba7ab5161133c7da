"""Figures that change with the calendar month, turned into steps of simulated time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError

__all__ = ["Monthly", "Periods", "periods"]

Monthly = float | tuple[float, ...]
"""One value for all times, or twelve: January to December."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Periods:
    """Stretches of time in which PUE, carbon intensity and price are constant.

    ``edges``: int64 microseconds since the origin, shape (periods + 1,).  The others: float64, shape
    (periods,).  ``note`` says so where twelve monthly values had to be replaced by their mean.
    """

    edges: NDArray[np.int64]
    pue: NDArray[np.float64]
    carbon_kg_per_kwh: NDArray[np.float64]
    price_krw_per_kwh: NDArray[np.float64]
    note: str = ""

    def between(self, start: int, stop: int) -> Periods:
        """Return the periods that overlap [start, stop], cut to it; at least one."""
        inner = (self.edges > start) & (self.edges < stop)
        edges = np.concatenate([[start], self.edges[inner], [stop]])
        row = self.row(edges[:-1])
        return Periods(
            edges=edges,
            pue=self.pue[row],
            carbon_kg_per_kwh=self.carbon_kg_per_kwh[row],
            price_krw_per_kwh=self.price_krw_per_kwh[row],
            note=self.note,
        )

    def row(self, ticks: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the period each instant lies in, shape of ``ticks``; the outer ones reach on without end."""
        return np.searchsorted(self.edges[1:-1], ticks, side="right")


def periods(pue: Monthly, carbon: Monthly, price: Monthly, *, origin: str, zone: str, start: int, stop: int) -> Periods:
    """Return the steps of all three figures from ``start`` to ``stop`` (microseconds since the origin).

    Months begin at midnight in ``zone`` (an IANA name; empty: the offset of the origin itself).
    Without an origin nobody knows the month: the mean of the twelve values holds throughout.

    Raises
    ------
    ConfigError
        If a month is asked for of a time after the year 9999, or the zone does not exist.
    """
    curves = (pue, carbon, price)
    note = ""
    edges, months = np.array([start, stop], dtype=np.int64), None
    if any(isinstance(curve, tuple) for curve in curves):
        if origin:
            edges, months = _month_edges(origin, zone, start, stop)
        else:
            note = "the trace has no origin, so monthly values are replaced by the mean of the twelve"
    values = [_values(curve, months, edges.size - 1) for curve in curves]
    return Periods(edges=edges, pue=values[0], carbon_kg_per_kwh=values[1], price_krw_per_kwh=values[2], note=note)


def _values(curve: Monthly, months: NDArray[np.int64] | None, count: int) -> NDArray[np.float64]:
    if not isinstance(curve, tuple):
        return np.full(count, curve, dtype=np.float64)
    twelve = np.array(curve, dtype=np.float64)
    return np.full(count, twelve.mean()) if months is None else twelve[months]


def _month_edges(origin: str, zone: str, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ticks at which months begin in [start, stop] with both ends, and the month (0 to 11) after each."""
    try:
        moment = datetime.fromisoformat(origin)
        clock = ZoneInfo(zone) if zone and moment.tzinfo else moment.tzinfo
        zero = moment.astimezone(UTC) if moment.tzinfo else moment
        first = zero + start * _TICK
        local = first.astimezone(clock) if clock else first
        edges, months = [start], [local.month - 1]
        year, month = local.year, local.month
        while True:
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            midnight = datetime(year, month, 1, tzinfo=clock)
            tick = ((midnight.astimezone(UTC) if clock else midnight) - zero) // _TICK
            if tick >= stop:
                break
            edges.append(tick)
            months.append(month - 1)
    except (ZoneInfoNotFoundError, IsADirectoryError):
        raise ConfigError(f"unknown time zone '{zone}'; give an IANA name such as Asia/Seoul or UTC") from None
    except (OverflowError, ValueError) as problem:
        raise ConfigError(
            f"months cannot be told apart from the origin '{origin}' on ({problem}); "
            "give one PUE, carbon intensity and price for all times"
        ) from None
    return np.array([*edges, stop], dtype=np.int64), np.array(months, dtype=np.int64)
