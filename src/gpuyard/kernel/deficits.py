"""What tenants that wait are due of the GPUs held, and do not hold: one walk from event to event.

``docs/metrics.md``, *Fairness among tenants*, is the specification.  A step costs as much as there are tenants that
wait in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.jit import inlined, kernel

__all__ = ["Present", "Stretches", "add_deficits", "nobody_present"]


class Stretches(NamedTuple):
    """From when to when tenants held or asked for GPUs; shape (stretches,)."""

    tenant: NDArray[np.int64]
    milli: NDArray[np.int64]  # thousandths of GPUs
    start: NDArray[np.int64]  # microseconds
    end: NDArray[np.int64]
    by_start: NDArray[np.int64]  # rows in the order of starts
    by_end: NDArray[np.int64]


class Present(NamedTuple):
    """What is at an instant; shape (tenants,) where nothing else is said."""

    held: NDArray[np.int64]
    queued: NDArray[np.int64]
    waiting: NDArray[np.int64]  # tenants that wait, the first so many
    place: NDArray[np.int64]  # of each of these in that list
    totals: NDArray[np.int64]  # shape (2,): tenants that wait, thousandths of GPUs held by all
    there: NDArray[np.float64]  # shape (1,): weight of all tenants that hold or wait


def nobody_present(tenants: int) -> Present:
    """Return an instant at which nobody holds or asks for anything."""
    held, queued, waiting, place = (np.zeros(tenants, np.int64) for _ in range(4))
    return Present(held, queued, waiting, place, totals=np.zeros(2, np.int64), there=np.zeros(1))


@kernel
def add_deficits(
    holds: Stretches,
    waits: Stretches,
    present: Present,
    weights: NDArray[np.float64],
    edges: NDArray[np.int64],
    most: int,
    shortfall: NDArray[np.float64],
    surplus: NDArray[np.float64],
) -> bool:
    """Add up deficits between edges, shape (tenants x cells,); return whether that took at most so many steps."""
    cells = edges.size - 1
    cell, steps = 0, 0
    now = int(edges[0])
    held_starts, held_ends, wait_starts, wait_ends = 0, 0, 0, 0
    while True:
        held_starts = _begin(present, holds, weights, held_starts, now, 1, 0)
        wait_starts = _begin(present, waits, weights, wait_starts, now, 0, 1)
        held_ends = _finish(present, holds, weights, held_ends, now, 1, 0)
        wait_ends = _finish(present, waits, weights, wait_ends, now, 0, 1)
        while cell < cells and edges[nth(cell + 1)] <= now:
            cell += 1
        if cell == cells:
            return True
        then = min(_next(holds.start, holds.by_start, held_starts), _next(waits.start, waits.by_start, wait_starts))
        then = min(then, _next(holds.end, holds.by_end, held_ends), _next(waits.end, waits.by_end, wait_ends))
        then = min(then, int(edges[nth(cell + 1)]))
        steps += present.totals[0]
        if steps > most:
            return False
        _add(present, weights, cells, cell, then - now, shortfall, surplus)
        now = then


@inlined
def _next(times: NDArray[np.int64], order: NDArray[np.int64], number: int) -> int:
    return int(times[nth(order[nth(number)])]) if number < order.size else NEVER


@kernel
def _begin(
    present: Present, these: Stretches, weights: NDArray[np.float64], number: int, now: int, held: int, queued: int
) -> int:
    """Begin what has begun by now; return how many stretches have."""
    while _next(these.start, these.by_start, number) <= now:
        row = these.by_start[nth(number)]
        milli = these.milli[nth(row)]
        _change(present, weights, int(these.tenant[nth(row)]), held * milli, queued * milli)
        number += 1
    return number


@kernel
def _finish(
    present: Present, these: Stretches, weights: NDArray[np.float64], number: int, now: int, held: int, queued: int
) -> int:
    """End what has ended by now; return how many stretches have."""
    while _next(these.end, these.by_end, number) <= now:
        row = these.by_end[nth(number)]
        milli = these.milli[nth(row)]
        _change(present, weights, int(these.tenant[nth(row)]), -held * milli, -queued * milli)
        number += 1
    return number


@kernel
def _change(present: Present, weights: NDArray[np.float64], tenant: int, held: int, queued: int) -> None:
    """Let a tenant hold and ask for so much more."""
    held_before, queued_before = present.held[nth(tenant)], present.queued[nth(tenant)]
    held_now, queued_now = held_before + held, queued_before + queued
    present.held[nth(tenant)] = held_now
    present.queued[nth(tenant)] = queued_now
    present.totals[1] += held
    if (held_before + queued_before > 0) != (held_now + queued_now > 0):
        present.there[0] += weights[nth(tenant)] if held_now + queued_now > 0 else -weights[nth(tenant)]
    if queued_before == 0 and queued_now > 0:
        present.waiting[nth(present.totals[0])] = tenant
        present.place[nth(tenant)] = present.totals[0]
        present.totals[0] += 1
    elif queued_before > 0 and queued_now == 0:
        present.totals[0] -= 1
        last, place = present.waiting[nth(present.totals[0])], present.place[nth(tenant)]
        present.waiting[nth(place)] = last
        present.place[nth(last)] = place


@kernel
def _add(
    present: Present,
    weights: NDArray[np.float64],
    cells: int,
    cell: int,
    time: int,
    shortfall: NDArray[np.float64],
    surplus: NDArray[np.float64],
) -> None:
    """Add the deficits of all that wait, over so many microseconds."""
    for number in range(present.totals[0]):
        tenant = int(present.waiting[nth(number)])
        held, weight = present.held[nth(tenant)], weights[nth(tenant)]
        due = present.totals[1] * weight / present.there[0] if weight > 0 else 0.0
        deficit = (min(due, float(held + present.queued[nth(tenant)])) - held) * time
        if deficit > 0:
            shortfall[nth(tenant * cells + cell)] += deficit
        else:
            surplus[nth(tenant * cells + cell)] -= deficit
