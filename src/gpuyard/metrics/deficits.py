"""What tenants were due of the GPUs held and did not get, over time: the section *Fairness* of ``docs/metrics.md``.

Between two events everything stays as it is.  A tenant's deficit is worked out only for stretches in which it waits,
many at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.holdings import Holdings, asked_milli
from gpuyard.metrics.queueing import waiting
from gpuyard.record import Record

__all__ = ["MOST_PAIRS", "Deficits", "share_deficits"]

MOST_PAIRS: Final = 10**9
"""Stretches between two events x tenants that wait in them: more would take long."""
_AT_ONCE: Final = 2**21


@dataclass(frozen=True, kw_only=True, slots=True)
class Deficits:
    """Integrals between two ``edges`` (int64 microseconds, shape (cells + 1,)).

    ``shortfall`` and ``surplus``: float64, shape (tenants, cells), thousandths of GPUs x microseconds.
    """

    edges: NDArray[np.int64]
    shortfall: NDArray[np.float64]
    surplus: NDArray[np.float64]

    def between(self, edges: NDArray[np.int64]) -> Deficits:
        """Return the integrals between edges that are among these."""
        place = np.searchsorted(self.edges, edges)
        sums = [
            np.diff(np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0)))[:, place], axis=1)
            for each in (self.shortfall, self.surplus)
        ]
        return Deficits(edges=edges, shortfall=sums[0], surplus=sums[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stretches:
    """For how long which tenant held and asked for so much; shape (stretches,); times are places in ``grid``.

    ``held`` and ``queued``: thousandths of GPUs, from the event ``first`` to the event ``last`` of the grid (int64
    microseconds), at which GPUs ``total`` are held in all.
    """

    grid: NDArray[np.int64]
    total: NDArray[np.int64]
    tenant: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    held: NDArray[np.int64]
    queued: NDArray[np.int64]


def share_deficits(
    record: Record, holdings: Holdings, weights: NDArray[np.float64], edges: NDArray[np.int64]
) -> Deficits | None:
    """Return the deficits of all tenants; ``None`` where they would take long.

    Parameters
    ----------
    weights
        float64, shape (tenants,), 0 or more; in the order of ``record.workload.labels("tenant")``.
    edges
        int64 microseconds, ascending, shape (cells + 1,).
    """
    cells = max(edges.size - 1, 0)
    shape = (weights.size, cells)
    found = Deficits(edges=edges, shortfall=np.zeros(shape), surplus=np.zeros(shape))
    if not cells or not weights.size:
        return found
    known = _stretches(record, holdings, edges)
    there = _weight_there(known, weights)
    chosen = np.flatnonzero(known.queued > 0)
    sizes = known.last[chosen] - known.first[chosen]
    if int(sizes.sum()) > MOST_PAIRS:
        return None
    cell = np.searchsorted(edges, known.grid[:-1], side="right") - 1
    bounds = np.cumsum(sizes)
    cuts = np.searchsorted(bounds, np.arange(_AT_ONCE, int(sizes.sum()) + _AT_ONCE, _AT_ONCE), side="left") + 1
    for part in np.split(chosen, np.unique(cuts[cuts < chosen.size])):
        _add(found, known, there, weights, part, cell)
    return found


def _stretches(record: Record, holdings: Holdings, edges: NDArray[np.int64]) -> _Stretches:
    """Return what each tenant held and asked for from each of its events to its next."""
    code, _ = record.workload.labels("tenant")
    jobs, queue = waiting(record)
    begins = np.concatenate([record.attempt_start, queue.start])
    ends = np.concatenate([record.attempt_end, queue.end])
    tenants = np.concatenate([code[record.attempt_job], code[jobs]])
    size = np.concatenate([holdings.attempt_milli, asked_milli(record.workload)[jobs]])
    is_queued = np.arange(size.size) >= record.attempt_job.size
    begins, ends = np.clip(begins, edges[0], edges[-1]), np.clip(ends, edges[0], edges[-1])
    lasting = (ends > begins) & (size > 0)
    times = np.concatenate([begins[lasting], ends[lasting]])
    change = np.concatenate([size[lasting], -size[lasting]])
    tenant, is_queued = np.tile(tenants[lasting], 2), np.tile(is_queued[lasting], 2)
    grid = np.unique(np.concatenate([times, edges]))
    place = np.searchsorted(grid, times)
    total = np.zeros(grid.size, np.int64)
    np.add.at(total, place[~is_queued], change[~is_queued])
    order = np.lexsort((place, tenant))
    tenant, place, change, is_queued = tenant[order], place[order], change[order], is_queued[order]
    final = np.ones(order.size, np.bool_)  # the last change of a tenant at an event
    final[:-1] = (tenant[1:] != tenant[:-1]) | (place[1:] != place[:-1])
    held = np.cumsum(np.where(is_queued, 0, change))[final]  # of each tenant from 0 to 0
    queued = np.cumsum(np.where(is_queued, change, 0))[final]
    first = place[final]
    return _Stretches(
        grid=grid,
        total=np.cumsum(total),
        tenant=tenant[final],
        first=first,
        last=np.append(first[1:], 0)[: first.size],  # what a tenant's last event begins is nothing
        held=held,
        queued=queued,
    )


def _weight_there(known: _Stretches, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of all tenants that hold or wait, from each event on."""
    is_there = known.held + known.queued > 0
    was_there = np.append(False, is_there[:-1])[: is_there.size]
    change = (is_there.astype(np.int64) - was_there) * weights[known.tenant]
    steps = np.zeros(known.grid.size)
    np.add.at(steps, known.first, change)
    return np.cumsum(steps)


def _add(
    found: Deficits,
    known: _Stretches,
    there: NDArray[np.float64],
    weights: NDArray[np.float64],
    part: NDArray[np.intp],
    cell: NDArray[np.intp],
) -> None:
    """Add the deficits of some stretches, event by event."""
    sizes = known.last[part] - known.first[part]
    begun = np.cumsum(sizes) - sizes
    place = np.arange(int(sizes.sum())) + np.repeat(known.first[part] - begun, sizes)
    tenant, held, queued = (np.repeat(each[part], sizes) for each in (known.tenant, known.held, known.queued))
    weight = weights[tenant]
    share = np.divide(known.total[place] * weight, there[place], out=np.zeros(place.size), where=weight > 0)
    deficit = (np.minimum(share, held + queued) - held) * np.diff(known.grid)[place]
    where = tenant * found.shortfall.shape[1] + cell[place]
    for target, amount in ((found.shortfall, np.maximum(deficit, 0.0)), (found.surplus, np.maximum(-deficit, 0.0))):
        target[:] += np.bincount(where, weights=amount, minlength=target.size).reshape(target.shape)
