"""Who was waiting at an instant, and who of them was first, worked out from who started when."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.heads import first_of
from gpuyard.explanation.walking import Ticks, waits_of

__all__ = ["Ahead", "FirstByScore", "FirstOf"]


class Ahead:
    """The jobs of its queue that go before one job in an order that stays; asked at instants that do not go back."""

    def __init__(self, evidence: Evidence, row: int, since: int, until: int) -> None:
        self._rank, self._start = evidence.rank, evidence.start
        eligible = evidence.eligible
        before = (evidence.rank < evidence.rank[row]) & (evidence.queues.of == evidence.queues.of[row])
        rows = np.flatnonzero(before & (eligible < until) & (evidence.start > since))
        self._rows = rows[np.argsort(eligible[rows], kind="stable")]
        self.eligible: NDArray[np.int64] = eligible[self._rows]
        """int64 ticks, ascending: when each of them became eligible"""
        self._starts: NDArray[np.int64] = np.sort(self._start[self._rows])
        self._next = 0
        self._heap: list[tuple[int, int]] = []

    def first(self, now: int) -> int | None:
        """Return the first of those who wait after the passes of an instant, or ``None`` if nobody does."""
        while self._next < self._rows.size and self.eligible[self._next] <= now:
            row = int(self._rows[self._next])
            heappush(self._heap, (int(self._rank[row]), row))
            self._next += 1
        while self._heap and self._start[self._heap[0][1]] <= now:
            heappop(self._heap)
        return self._heap[0][1] if self._heap else None

    def count(self, now: int) -> int:
        """Return how many of them wait after the passes of an instant."""
        came = int(np.searchsorted(self.eligible, now, "right"))
        return came - int(np.searchsorted(self._starts, now, "right"))


class FirstOf:
    """The first of those who wait; asked at instants that do not go back.

    Parameters
    ----------
    rows, begins, ends
        Of each wait: whose, and from when to when (int64 microseconds), in the order of the beginnings.
    places
        What the queue is sorted by, of each wait.
    """

    def __init__(self, rows: Ticks, begins: Ticks, ends: Ticks, places: Sequence[tuple[int, ...]]) -> None:
        self._rows, self.begins, self._ends, self._places = rows, begins, ends, places
        self._next = 0
        self._heap: list[tuple[tuple[int, ...], int, int]] = []

    @classmethod
    def in_cells(
        cls, evidence: Evidence, row: int, among: Ticks, since: int, until: int, *, elsewhere: Ticks | None = None
    ) -> FirstOf:
        """Return those of some jobs (rows) that go before one, from an instant to another, in an order that stays.

        ``elsewhere``: attempts, int64, that began in another queue, after their jobs had had their turn in this one.
        """
        rows, begins, ends = _waits_with(evidence, elsewhere)
        before = evidence.rank < evidence.rank[row]
        before &= np.isin(np.arange(before.size), among)
        mine = before[rows] & (ends > since) & (begins < until)
        places = [(rank,) for rank in evidence.rank[rows[mine]].tolist()]
        return cls(rows[mine], begins[mine], ends[mine], places)

    def first(self, now: int) -> int | None:
        """Return the first of those who wait after the passes of an instant, or ``None`` if nobody does."""
        while self._next < self.begins.size and self.begins[self._next] <= now:
            at = self._next
            heappush(self._heap, (self._places[at], int(self._rows[at]), int(self._ends[at])))
            self._next += 1
        while self._heap and self._heap[0][2] <= now:
            heappop(self._heap)
        return self._heap[0][1] if self._heap else None


class FirstByScore:
    """As :class:`FirstOf`, where the order is worked out anew in every pass."""

    def __init__(
        self, evidence: Evidence, row: int, among: Ticks, since: int, until: int, *, elsewhere: Ticks | None = None
    ) -> None:
        rows, begins, ends = _waits_with(evidence, elsewhere)
        mine = np.isin(rows, among) & (rows != row) & (ends > since) & (begins < until)
        self._evidence, self._row = evidence, row
        self._rows, self.begins, self._ends = rows[mine], begins[mine], ends[mine]

    def first(self, now: int) -> int | None:
        """Return the first of those who wait after the passes of an instant, or ``None`` if the job itself is it."""
        waiting = np.append(self._rows[(self.begins <= now) & (self._ends > now)], self._row)
        first = first_of(self._evidence, waiting, now)
        return None if first == self._row else first


def _waits_with(evidence: Evidence, elsewhere: Ticks | None) -> tuple[Ticks, Ticks, Ticks]:
    """Return the waits, by when they begin, and those that lasted until an attempt began elsewhere."""
    rows, begins, ends = waits_of(evidence)
    if elsewhere is None:
        return rows, begins, ends
    instants = evidence.attempt_since[elsewhere]
    begins, ends = np.append(begins, instants), np.append(ends, instants + 1)
    by_begin = np.argsort(begins, kind="stable")
    rows = np.append(rows, evidence.attempt_job[elsewhere])[by_begin]
    return rows, begins[by_begin], ends[by_begin]
