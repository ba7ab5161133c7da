"""Energy of attempts: what each drew, its exact integrals, and the power of a site from event to event.

Milliwatts times microseconds are nanojoules, which need not fit 64 bits.  Where energy is added up, ``low`` has the sum
modulo 2**64 and ``estimate`` the same sum in floating point; :mod:`gpuyard.intervals` makes one whole number of both.
With the JIT off such sums wrap only under ``numpy.errstate(over="ignore")``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.tables import Records

__all__ = [
    "NODE_POWER",
    "Attempts",
    "Changes",
    "Drawn",
    "Integrals",
    "Loads",
    "draw_power",
    "integrate",
    "meter",
    "order_ends",
]

NODE_POWER = np.dtype(
    [
        ("milli", np.int64),  # thousandths of a GPU it has
        ("idle_mw", np.int64),
        ("gpu_w", np.float64),  # dynamic range of one GPU
        ("cpu_w", np.float64),  # dynamic range of all its CPUs
        ("cpu_milli", np.float64),  # thousandths of a core it has; 0 or not a number = not known
    ]
)
"""What a node has and draws."""

MOVES = 16
"""Steps an end may be from its place, on average over all, before :func:`order_ends` gives up."""
_NANOJOULES_PER_KWH = 3.6e15
_NEVER = np.iinfo(np.int64).max


class Attempts(NamedTuple):
    """Who ran where, from when to when: the columns of a record of the same names."""

    job: NDArray[np.int32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    slot_offset: NDArray[np.int64]
    slot_node: NDArray[np.int32]
    slot_gpus: NDArray[np.int32]


class Loads(NamedTuple):
    """What jobs do to the GPUs and cores they hold.  ``share``, ``gpus``, ``piece``: no rows where nobody needs them.

    ``load``: shape (jobs,).  ``share``: thousandths of the GPU that a job has a share of, else 0, shape (jobs,).
    ``gpus`` and ``piece``: GPUs of a job, and the thousandths of a core it holds for each of them
    (of a job without GPUs: on each of its nodes), not a number where not known; shape (jobs,).
    """

    load: NDArray[np.float64]
    share: NDArray[np.int64]
    gpus: NDArray[np.int64]
    piece: NDArray[np.float64]


class Drawn(NamedTuple):
    """Written: int64 mW, shape (attempts,), and kWh, shape (jobs,); ``idle``: the idle draw of the GPUs held."""

    attempt_mw: NDArray[np.int64]
    attempt_idle_mw: NDArray[np.int64]
    job_kwh: NDArray[np.float64]
    job_idle_kwh: NDArray[np.float64]


class Changes(NamedTuple):
    """When power comes and goes, each of shape (spans,).

    ``arriving`` (int64 mW) is added at each ``start`` (int64 microseconds, ascending); ``leaving`` is taken away at
    each ``end``, and ``order`` has the rows of both by end.
    """

    start: NDArray[np.int64]
    arriving: NDArray[np.int64]
    end: NDArray[np.int64]
    leaving: NDArray[np.int64]
    order: NDArray[np.int64]


class Integrals(NamedTuple):
    """Written: energy in the periods between ``edges`` (int64 microseconds, ascending), shape (periods,)."""

    edges: NDArray[np.int64]
    low: NDArray[np.int64]
    estimate: NDArray[np.float64]


@kernel
def draw_power(attempts: Attempts, loads: Loads, node: Records, drawn: Drawn) -> None:
    """Write what each attempt draws and what each job drew; ``node``: :data:`NODE_POWER`, shape (nodes,).

    Each slot is rounded once: its GPUs, and its CPUs, to the nearest milliwatt (half to even); its part of the
    idle draw down, so that the parts never exceed the whole.
    """
    for attempt in range(attempts.job.size):
        job = attempts.job[nth(attempt)]
        load = loads.load[nth(job)]
        share = loads.share[nth(job)] if loads.share.size else 0
        above = 0
        idle = 0
        for slot in range(attempts.slot_offset[nth(attempt)], attempts.slot_offset[nth(attempt + 1)]):
            place = node[nth(attempts.slot_node[nth(slot)])]
            gpus = int(attempts.slot_gpus[nth(slot)])
            milli = share if share > 0 else gpus * 1000
            gpu_share = milli / place["milli"] if place["milli"] > 0 else 0.0
            cpu_share = gpu_share * load
            if loads.piece.size:
                held = loads.piece[nth(job)] * (gpus if loads.gpus[nth(job)] > 0 else 1)
                if place["cpu_milli"] > 0 and np.isfinite(held / place["cpu_milli"]):
                    cpu_share = min(held / place["cpu_milli"], 1.0)
            above += round(milli * load * place["gpu_w"]) + round(cpu_share * place["cpu_w"] * 1000)
            idle += int(gpu_share * place["idle_mw"])
        drawn.attempt_mw[nth(attempt)] = above
        drawn.attempt_idle_mw[nth(attempt)] = idle
        length = float(attempts.end[nth(attempt)] - attempts.start[nth(attempt)])
        drawn.job_kwh[nth(job)] += float(above) * length / _NANOJOULES_PER_KWH
        drawn.job_idle_kwh[nth(job)] += float(idle) * length / _NANOJOULES_PER_KWH


@kernel
def integrate(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    power: NDArray[np.int64],
    whole: NDArray[np.int64],
    into: Integrals,
) -> None:
    """Add the energy of spans [start, end) of ``power`` (int64 mW) to the periods they overlap: shape (spans,).

    Only the periods in which a span begins and ends are looked at; of those between it is said where they begin and
    end, so that the length of spans does not count.  ``edges`` has 2 or more; ``whole``: room, shape (periods + 1,),
    zeros.
    """
    edges = into.edges
    periods = edges.size - 1
    each = periods / max(float(edges[nth(periods)] - edges[0]), 1.0)
    for span in range(start.size):
        begin = max(start[nth(span)], edges[0])
        stop = min(end[nth(span)], edges[nth(periods)])
        if begin >= stop:
            continue
        flow = power[nth(span)]
        first = _period_of(edges, begin, each)
        last = first if stop <= edges[nth(first + 1)] else _period_of(edges, stop - 1, each)
        if last == first:
            into.low[nth(first)] += flow * (stop - begin)
            into.estimate[nth(first)] += float(flow) * float(stop - begin)
            continue
        until, since = edges[nth(first + 1)] - begin, stop - edges[nth(last)]
        into.low[nth(first)] += flow * until
        into.estimate[nth(first)] += float(flow) * float(until)
        into.low[nth(last)] += flow * since
        into.estimate[nth(last)] += float(flow) * float(since)
        whole[nth(first + 1)] += flow
        whole[nth(last)] -= flow
    flow = 0
    for period in range(periods):
        flow += whole[nth(period)]
        length = edges[nth(period + 1)] - edges[nth(period)]
        into.low[nth(period)] += flow * length
        into.estimate[nth(period)] += float(flow) * float(length)


@inlined
def _period_of(edges: NDArray[np.int64], time: int, each: float) -> int:
    """Return the period that holds a time inside the edges, which are about evenly ``1 / each`` apart."""
    period = min(int(float(time - edges[0]) * each), edges.size - 2)
    while edges[nth(period)] > time:
        period -= 1
    while edges[nth(period + 1)] <= time:
        period += 1
    return period


@kernel
def order_ends(
    end: NDArray[np.int64], low: int, shift: int, bucket: NDArray[np.int64], order: NDArray[np.int64]
) -> bool:
    """Write the rows of ``end`` in its order, ties by row; give up with False where that would take long.

    Rows are put into buckets of 2**shift ticks from ``low`` (the least end) on, then moved to their places one by one:
    fast where ends lie about evenly in time.  ``bucket``: int64, one more than there are buckets, all 0.
    ``order``: int64, shape (ends,).
    """
    for row in range(end.size):
        bucket[nth(((end[nth(row)] - low) >> shift) + 1)] += 1
    for number in range(1, bucket.size):
        bucket[nth(number)] += bucket[nth(number - 1)]
    for row in range(end.size):
        number = (end[nth(row)] - low) >> shift
        order[nth(bucket[nth(number)])] = row
        bucket[nth(number)] += 1
    left = MOVES * end.size
    for place in range(1, end.size):
        row = order[nth(place)]
        time = end[nth(row)]
        at = place
        while at > 0 and end[nth(order[nth(at - 1)])] > time:
            order[nth(at)] = order[nth(at - 1)]
            at -= 1
        order[nth(at)] = row
        left -= place - at
        if left < 0:
            return False
    return True


@kernel
def meter(changes: Changes, base: int, into: Integrals, peak: NDArray[np.int64]) -> None:
    """Follow the power of a site from event to event: write its energy in each period, and the most that lasts there.

    ``base``: milliwatts that flow at all times.  ``peak``: written, int64 mW, shape (periods,); in a period of no
    length the power after all events of that instant.  What lasts no time is no peak elsewhere.
    """
    start, end, order, count = changes.start, changes.end, changes.order, changes.start.size
    next_start = start[0] if count else _NEVER
    next_end = end[nth(order[0])] if count else _NEVER
    begun = ended = 0
    power = base
    at = into.edges[0]
    for edge in range(into.edges.size):
        until = into.edges[nth(edge)]
        most = power
        area = 0
        estimate = 0.0
        while at < until or min(next_start, next_end) <= until:
            now = min(next_start, next_end, until)
            if now > at:
                most = max(most, power)
                area += power * (now - at)
                estimate += float(power) * float(now - at)
                at = now
            if next_end <= now:
                power -= changes.leaving[nth(order[nth(ended)])]
                ended += 1
                next_end = end[nth(order[nth(ended)])] if ended < count else _NEVER
            elif next_start <= now:
                power += changes.arriving[nth(begun)]
                begun += 1
                next_start = start[nth(begun)] if begun < count else _NEVER
        if edge > 0:
            into.low[nth(edge - 1)] = area
            into.estimate[nth(edge - 1)] = estimate
            peak[nth(edge - 1)] = most
