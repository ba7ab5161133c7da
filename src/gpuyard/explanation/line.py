"""The order of the queue at any instant of a run that preempts, or that tenants share, and what attempts are expected.

A job's place goes by its level then, and by the order: one that stays, or the scores of that instant.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gpuyard.checkpointing import common_interval, intervals_of
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.pieces import changes_of, pieces_of
from gpuyard.explanation.queue import FirstOf
from gpuyard.explanation.walking import Ticks
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.worth import LONGEST_ATTEMPT
from gpuyard.units import ticks

__all__ = ["Firsts", "Line", "Place"]

Place = tuple[float, float, int]
"""What the queue is sorted by: the level of a job, its place in the order or less its score, and its row."""


class Firsts(Protocol):
    """Those of some jobs that go before one job; asked at instants that do not go back."""

    begins: Ticks
    """when they began to wait, or came to another place"""

    def first(self, now: int) -> int | None:
        """Return the first of those who wait after the passes of an instant, or ``None`` if nobody does."""


class Line:
    """Who waits when, in which order."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence, self._pieces = evidence, pieces_of(evidence)
        self._from = np.searchsorted(self._pieces.row, np.arange(len(evidence.workload) + 1))
        self._changes = changes_of(evidence, self._pieces)
        self._interval = intervals_of(evidence.workload, evidence.policy.preemption)

    def waits(self, row: int) -> list[tuple[int, int]]:
        """Return from when to when a job had one place in an order that stays, all its waits that last at all.

        What was before the simulation began is left out.
        """
        origin = -NEVER if self._evidence.begin is None else self._evidence.begin
        part = slice(self._from[row], self._from[row + 1])
        both = zip(self._pieces.begin[part].tolist(), self._pieces.end[part].tolist(), strict=True)
        return [(max(begin, origin), end) for begin, end in both if max(begin, origin) < end]

    def instants(self, since: int, until: int) -> Ticks:
        """Return from an instant to before another when jobs are tried though nobody starts or ends."""
        evidence = self._evidence
        submit = evidence.workload.submit[~evidence.rejected]
        given = (self._pieces.begin, submit, self._changes, evidence.recalculations(since, until))
        return np.concatenate(given)

    def place(self, row: int, now: int) -> Place:
        """Return the place of a job that waits after the passes of an instant, or that started at it."""
        piece = self._piece(row, now)
        return int(self._pieces.level[piece]), float(self._ties(np.array([piece]), now)[0]), row

    def _piece(self, row: int, now: int) -> int:
        begins = self._pieces.begin[self._from[row] : self._from[row + 1]]
        return int(self._from[row]) + max(int(np.searchsorted(begins, now, "right")) - 1, 0)

    def _ties(self, pieces: NDArray[np.intp], now: int) -> NDArray[np.float64]:
        """Return what decides among jobs of one level at an instant, the least first."""
        if not self._evidence.scored:
            return self._pieces.place[pieces].astype(np.float64)
        return -self._evidence.scores(self._pieces.row[pieces], now)

    def lasting(self, row: int, now: int) -> int:
        """Return how long the attempt of a job is expected to last that begins at an instant, microseconds."""
        evidence, given = self._evidence, self._evidence.policy.preemption
        work = int(evidence.estimate[row])
        if not given:
            return work
        piece = self._piece(row, now)
        saved = int(self._pieces.saved[piece])
        while work <= saved:
            work *= 2
        interval = int(self._interval[row]) if self._interval.size else common_interval(given)
        written = 0 if interval in (0, NEVER) else (work - 1) // interval - saved // interval
        restart = ticks(given.restart_cost) if self._pieces.before[piece] else 0
        return min(restart + work - saved + written * ticks(given.checkpoint_cost), LONGEST_ATTEMPT)

    def waiting(self, now: int) -> list[Place]:
        """Return the places of all who wait after the passes of an instant."""
        chosen = np.flatnonzero((self._pieces.begin <= now) & (self._pieces.end > now))
        levels, ties, rows = self._pieces.level[chosen], self._ties(chosen, now), self._pieces.row[chosen]
        return list(zip(levels.tolist(), ties.tolist(), rows.tolist(), strict=True))

    def count_ahead(self, row: int, now: int) -> int:
        """Return how many that go before a job wait after the passes of an instant."""
        own = self.place(row, now)
        return sum(place < own for place in self.waiting(now))

    def firsts(self, row: int, among: Ticks, since: int, until: int) -> Firsts:
        """Return those of some jobs (rows) that go before one, which has one place from an instant to another."""
        pieces, level = self._pieces, self._pieces.level[self._piece(row, since)]
        mine = np.isin(pieces.row, among) & (pieces.row != row) & (pieces.end > since) & (pieces.begin < until)
        mine &= (pieces.level <= level) & (pieces.begin < pieces.end)
        chosen = np.flatnonzero(mine)
        chosen = chosen[np.argsort(pieces.begin[chosen], kind="stable")]
        if self._evidence.scored:
            return _FirstByScore(self, row, chosen)
        own = (int(level), int(pieces.place[self._piece(row, since)]))
        keys = list(zip(pieces.level[chosen].tolist(), pieces.place[chosen].tolist(), strict=True))
        before = np.array([key < own for key in keys], np.bool_)
        chosen, keys = chosen[before], [key for key in keys if key < own]
        return FirstOf(pieces.row[chosen], pieces.begin[chosen], pieces.end[chosen], keys)

    def first_of(self, chosen: NDArray[np.intp], row: int, now: int) -> int | None:
        """Return the row of the first before a job, of these pieces of waits that go on after an instant."""
        pieces, own = self._pieces, self.place(row, now)
        chosen = chosen[(pieces.begin[chosen] <= now) & (pieces.end[chosen] > now)]
        chosen = chosen[pieces.level[chosen] == pieces.level[chosen].min(initial=NEVER)]
        if chosen.size == 0:
            return None
        ties, rows = self._ties(chosen, now), pieces.row[chosen]
        best = int(np.lexsort((rows, ties))[0])
        return int(rows[best]) if (int(pieces.level[chosen[0]]), float(ties[best]), int(rows[best])) < own else None


class _FirstByScore:
    """Those of some pieces of waits that go before one job where scores change with time."""

    def __init__(self, line: Line, row: int, chosen: NDArray[np.intp]) -> None:
        self._line, self._row, self._chosen = line, row, chosen
        self.begins: Ticks = line._pieces.begin[chosen]

    def first(self, now: int) -> int | None:
        return self._line.first_of(self._chosen, self._row, now)
