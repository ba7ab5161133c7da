"""All waits of a run that preempts, and its instants one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.evidence import Evidence

__all__ = ["Ticks", "held_before", "waits_of", "walk"]

Ticks = NDArray[np.int64]
"""Instants, microseconds."""


def waits_of(evidence: Evidence) -> tuple[Ticks, Ticks, Ticks]:
    """Return all waits: whose, and from when to when; to the first start, and from each preemption to the next.

    int64, shape (waits,), in the order of the beginnings.  Who still waits does so to the stop.  What was before the
    simulation began is left out.
    """
    order = np.lexsort((evidence.attempt_start, evidence.attempt_job))
    job = evidence.attempt_job[order]
    follows = np.append(job[1:] == job[:-1], False)
    next_start = np.where(follows, np.append(evidence.attempt_start[order][1:], 0), evidence.stop)
    stays = follows | (evidence.end[job] != evidence.attempt_end[order])  # who was cancelled waits no more
    again = (evidence.attempt_by[order] >= 0) & stays
    rows = np.concatenate([np.arange(evidence.start.size), job[again]])
    first = evidence.eligible if evidence.begin is None else np.maximum(evidence.eligible, evidence.begin)
    begins = np.concatenate([first, evidence.attempt_end[order][again]])
    ends = np.concatenate([np.minimum(evidence.start, evidence.stop), next_start[again]])
    by_begin = np.argsort(begins, kind="stable")
    kept = by_begin[begins[by_begin] < ends[by_begin]]
    return rows[kept], begins[kept], ends[kept]


def held_before(evidence: Evidence, since: int) -> list[int]:
    """Return the attempts that ran just before an instant."""
    return np.flatnonzero((evidence.attempt_since < since) & (evidence.attempt_end >= since)).tolist()


def walk(
    evidence: Evidence, since: int, until: int, turns: Sequence[Ticks] = ()
) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield the instants from one to before another at which something started or ended, and others of ``turns``.

    With each come the attempts that started then, in their order, and those that ended then.
    """
    start, end = evidence.attempt_since, evidence.attempt_end
    low, high = (int(np.searchsorted(start, tick, "left")) for tick in (since, until))
    by_end = np.argsort(end, kind="stable")
    gone = int(np.searchsorted(end[by_end], since, "left"))
    changes = [np.array([since]), start[low:high], end[(end >= since) & (end < until)]]
    changes += [each[(each > since) & (each < until)] for each in turns]
    for now in np.unique(np.concatenate(changes)).tolist():
        started, left = [], []
        while low < high and start[low] == now:
            started.append(low)
            low += 1
        while gone < by_end.size and end[by_end[gone]] == now:
            left.append(int(by_end[gone]))
            gone += 1
        yield now, started, left
