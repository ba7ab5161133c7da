"""The run over time: exact means over bins of a round width."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.commissioning import absence
from gpuyard.energy.account import ACTIVITY_PARTS, NANOJOULES_PER_KWH, EnergyAccount
from gpuyard.errors import ConfigError
from gpuyard.holdings import asked_milli
from gpuyard.intervals import Spans
from gpuyard.metrics.columns import DEFICIT, HELD, TIMELINE, UNWEIGHED, schema
from gpuyard.metrics.deficits import Deficits
from gpuyard.metrics.facts import seconds
from gpuyard.metrics.fairness import deficits_of
from gpuyard.metrics.fragmentation import Fragmentation, fragmentation
from gpuyard.metrics.queueing import waiting
from gpuyard.metrics.tables import metadata
from gpuyard.record import Record
from gpuyard.windows import closed_gpus
from gpuyard.workload import MICROSECOND

__all__ = ["MOST_BINS", "MOST_TENANTS", "WIDTHS", "bin_edges", "timeline_table"]

WIDTHS = (60, 300, 600, 3_600, 21_600, 86_400)
"""Widths of bins to choose from, s; above the last, whole numbers of days."""
MOST_BINS = 2000
"""The default is the narrowest width that needs no more bins than this."""

MOST_TENANTS = 100
"""Deficits of more are not told bin by bin."""


def bin_edges(start: int, stop: int, bin_width: float | None = None) -> NDArray[np.int64]:
    """Return the edges of the bins from ``start`` to ``stop``, microseconds, shape (bins + 1,).

    Inner edges are whole multiples of the width since the origin, so the outer bins may be shorter.

    Parameters
    ----------
    start, stop
        Microseconds since the origin.
    bin_width
        Seconds; ``None``: the narrowest of :data:`WIDTHS` that needs at most 2000 bins.

    Raises
    ------
    ConfigError
        For a width that is not positive, or that needs more than a million bins.
    """
    if stop <= start:
        return np.array([start], dtype=np.int64)
    width = _default_width(start, stop) if bin_width is None else _ticks(bin_width)
    if width <= 0 or (stop - start) // width > 1_000_000:
        length = (stop - start) / MICROSECOND
        raise ConfigError(f"bins of {bin_width} s do not suit a run of {length:g} s; choose others")
    inner = np.arange(start // width + 1, -(-stop // width), dtype=np.int64) * width
    return np.concatenate([[start], inner, [stop]]).astype(np.int64)


def _ticks(bin_width: float) -> int:
    """Return a width in microseconds, 0 for one that is not finite."""
    return round(bin_width * MICROSECOND) if np.isfinite(bin_width) else 0


def _default_width(start: int, stop: int) -> int:
    for width in WIDTHS:
        if -(-stop // (width * MICROSECOND)) - start // (width * MICROSECOND) <= MOST_BINS:
            return width * MICROSECOND
    day = WIDTHS[-1] * MICROSECOND
    return -(-(stop - start) // (day * (MOST_BINS - 1))) * day


def timeline_table(
    record: Record,
    account: EnergyAccount,
    *,
    bin_width: float | None = None,
    fragments: Fragmentation | None = None,
    tenant_weights: Mapping[str, float] | None = None,
    deficits: Deficits | None = None,
) -> pa.Table:
    """Return one row a bin over the whole run; columns as in :data:`gpuyard.metrics.columns.TIMELINE`.

    Each value is the exact mean over its bin, rounded once to float64.  ``held.<class>`` columns
    follow, in alphabetical order of the classes; they add up to ``gpus_held``.  Then come
    ``deficit.<tenant>`` columns, for 2 to 100 tenants with these weights (``None``: by the shares of the policy).
    ``fragments``: as :func:`gpuyard.metrics.fragmentation` returns it for the account's holdings and times;
    ``deficits``: as :func:`gpuyard.metrics.deficits_of` returns them, with the edges of the bins among theirs; both are
    worked out if not given.
    """
    edges = bin_edges(account.start, account.stop, bin_width)
    lengths = np.diff(edges)
    jobs, queue = waiting(record)
    spans, holdings = account.holdings.spans, account.holdings
    columns = {
        "time": seconds(edges[:-1]),
        "duration_s": seconds(lengths),
        "gpus_up": _up(record, edges),
        "gpus_closed": _closed(record, edges),
        "gpus_held": _mean(spans, holdings.attempt_milli, edges, 1000),
        "gpus_busy": _mean(spans, account.busy_parts, edges, 1000 * ACTIVITY_PARTS),
        **_fragmented(record, account, fragments, edges),
        "queued_jobs": _mean(queue, np.ones(jobs.size, np.int64), edges),
        "queued_gpus": _mean(queue, asked_milli(record.workload)[jobs], edges, 1000),
        "running_jobs": _mean(spans, np.ones(record.attempt_job.size, np.int64), edges),
        **_power(account, edges),
    }
    fields = list(schema(TIMELINE, {}))
    arrays = [pa.array(columns[column.name], from_pandas=column.null == UNWEIGHED) for column in TIMELINE]
    for name, held in _held_by_class(record, account, edges):
        fields.append(pa.field(f"{HELD}{name}", pa.float64()))
        arrays.append(pa.array(held))
    known = deficits or deficits_of(record, holdings, tenant_weights, edges)
    for name, missing in _deficits(record, known, edges):
        fields.append(pa.field(f"{DEFICIT}{name}", pa.float64()))
        arrays.append(pa.array(missing))
    return pa.table(arrays, schema=pa.schema(fields, metadata=dict(metadata(record))))


def _mean(spans: Spans, weight: NDArray[np.int64], edges: NDArray[np.int64], unit: int = 1) -> NDArray[np.float64]:
    """Return the mean over each bin of the weights under way, divided by ``unit``."""
    return _over(spans.integrals(weight, edges), np.diff(edges), unit)


def _over(integrals: list[int], lengths: NDArray[np.int64], unit: int) -> NDArray[np.float64]:
    pairs = zip(integrals, lengths.tolist(), strict=True)
    return np.array([whole / (length * unit) for whole, length in pairs], dtype=np.float64)


def _up(record: Record, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean GPUs of each bin on nodes that are there."""
    everything = np.full(edges.size - 1, float(record.cluster.gpus))
    gone = absence(record, int(edges[0]), int(edges[-1]))
    if gone is None:
        return everything
    return everything - _mean(gone.spans, gone.weigh(record.cluster.node_gpus.astype(np.int64)), edges)


def _closed(record: Record, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean GPUs of each bin on nodes under maintenance."""
    instants, gpus = closed_gpus(record.windows, record.cluster)
    if instants.size < 2:
        return np.zeros(edges.size - 1)
    return _mean(Spans(instants[:-1], instants[1:]), gpus[:-1], edges)


def _fragmented(
    record: Record, account: EnergyAccount, fragments: Fragmentation | None, edges: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return the mean fragmented and stranded GPUs of each bin; not a number where they are not known."""
    known = fragments or fragmentation(record, account.holdings, account.start, account.stop)
    lengths = np.diff(edges)
    if known is None:
        nothing = np.full(lengths.size, np.nan)
        return {"gpus_fragmented": nothing, "gpus_stranded": nothing}
    return {
        "gpus_fragmented": _over(known.fragments.integrals(edges), lengths, 1000 * known.jobs),
        "gpus_stranded": _over(known.stranded.integrals(edges), lengths, 1000),
    }


def _held_by_class(
    record: Record, account: EnergyAccount, edges: NDArray[np.int64]
) -> list[tuple[str, NDArray[np.float64]]]:
    codes, names = record.workload.labels("job_class")
    code = codes[record.attempt_job]
    spans, milli = account.holdings.spans, account.holdings.attempt_milli
    if len(names) == 1:
        return [(names[0], _mean(spans, milli, edges, 1000))]
    held = []
    for number, name in enumerate(names):
        of_class = code == number
        held.append((name, _mean(spans.subset(of_class), milli[of_class], edges, 1000)))
    return held


def _deficits(
    record: Record, deficits: Deficits | None, edges: NDArray[np.int64]
) -> list[tuple[str, NDArray[np.float64]]]:
    """Return by how many GPUs each tenant got less than it was due in each bin, while it waited."""
    _, names = record.workload.labels("tenant")
    if deficits is None or not deficits.is_known or len(names) > MOST_TENANTS:
        return []
    binned = deficits.between(edges)
    means = (binned.shortfall - binned.surplus) / (np.diff(edges) * 1000.0)
    return list(zip(names, means, strict=True))


def _power(account: EnergyAccount, edges: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return power, PUE, carbon intensity and price of each bin; bins are cut where a month begins, then joined."""
    if edges.size < 2:
        names = ("it_power_w", "facility_power_w", "pue", "carbon_kg_per_kwh", "price_krw_per_kwh")
        return {name: np.empty(0) for name in names}
    now = account.periods
    cells = np.union1d(edges, now.edges[(now.edges > edges[0]) & (now.edges < edges[-1])])
    first = np.searchsorted(cells, edges[:-1])
    row = now.row(cells[:-1])
    it_kwh = np.array([energy / NANOJOULES_PER_KWH for energy in account.it_nanojoules(cells)])
    facility_kwh = it_kwh * now.pue[row]
    hours = np.diff(edges) / (3600 * MICROSECOND)
    it, facility = np.add.reduceat(it_kwh, first), np.add.reduceat(facility_kwh, first)
    return {
        "it_power_w": it / hours * 1000,
        "facility_power_w": facility / hours * 1000,
        "pue": _weighted(now.pue[row], it_kwh, first),
        "carbon_kg_per_kwh": _weighted(now.carbon_kg_per_kwh[row], facility_kwh, first),
        "price_krw_per_kwh": _weighted(now.price_krw_per_kwh[row], facility_kwh, first),
    }


def _weighted(
    values: NDArray[np.float64], weights: NDArray[np.float64], first: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the weighted mean of each bin's cells: the first cell's value, exactly, where all agree or none weighs."""
    cells = np.diff(np.append(first, values.size))
    base = values[first]
    total = np.add.reduceat(weights, first)
    moved = np.add.reduceat((values - np.repeat(base, cells)) * weights, first)
    return base + np.divide(moved, total, out=np.zeros(base.size), where=total > 0)
