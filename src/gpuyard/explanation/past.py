"""The fair-share factors as they were at any instant of a finished run, worked out again from its attempts."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.fairshare import Accounts, decay_usage, work_out_factors

__all__ = ["FairPast"]


_KEPT: Final = 64 * 2**20
"""Bytes of factors that are kept, so that who asks again later, or further back, does not have them worked out anew."""


class FairPast:
    """Walks from recalculation to recalculation; instants are best asked for in order.

    Parameters
    ----------
    accounts
        As the engine was given them, before anything has run; changed by the walk.
    row, start, end
        Attempts: whose, and from when to when (int64 microseconds), shape (attempts,).
    thousandths
        Of GPUs, that each attempt asked for.
    """

    def __init__(
        self,
        accounts: Accounts,
        row: NDArray[np.int64],
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        thousandths: NDArray[np.int64],
    ) -> None:
        order = np.argsort(start, kind="stable")
        self._accounts = accounts
        self._start, self._end, self._milli = start[order], end[order], thousandths[order]
        self._account = accounts.leaf[row[order]]
        self._period = int(accounts.state[1])
        self._origin = int(accounts.state[0]) - self._period
        self._levels = _levels(accounts.parent)
        self._known: dict[int, NDArray[np.float64]] = {}
        self._forget()

    def factors(self, rows: NDArray[np.integer], now: int) -> NDArray[np.float64]:
        """Return the factors of the users of some jobs in a pass at an instant, shape (rows,)."""
        number = max((now - self._origin) // self._period, 0)
        known = self._known.get(number)
        if known is None:
            known = self._work_out(number)
            while len(self._known) * known.nbytes > _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[number] = known
        return known[self._accounts.leaf[rows]]

    def _work_out(self, number: int) -> NDArray[np.float64]:
        """Return the factors of all accounts after so many recalculations, shape (accounts,)."""
        if number < self._done:
            self._forget()
        if number > self._done:
            while self._done < number:
                self._recalculate()
            work_out_factors(self._accounts)
        return self._accounts.factor.copy()

    def recalculations(self, since: int, until: int) -> NDArray[np.int64]:
        """Return when factors are worked out anew, from an instant to before another."""
        first = -(-(since - self._origin) // self._period)
        return np.arange(self._origin + max(first, 1) * self._period, until, self._period, dtype=np.int64)

    def _forget(self) -> None:
        """Go back to where nobody has used anything."""
        self._accounts.usage[:] = 0.0
        self._accounts.factor[:] = 1.0
        self._done, self._seen = 0, 0
        self._running = np.empty(0, np.int64)

    def _recalculate(self) -> None:
        """Charge the accounts for the next period."""
        begin = self._origin + self._done * self._period
        end = begin + self._period
        seen = int(np.searchsorted(self._start, end))
        here = np.append(self._running, np.arange(self._seen, seen))
        time = np.minimum(self._end[here], end) - np.maximum(self._start[here], begin)
        held = self._accounts.held
        np.add.at(held, self._account[here], self._milli[here] * time)
        for level in self._levels:
            np.add.at(held, self._accounts.parent[level], held[level])
        decay_usage(self._accounts)
        self._running, self._seen = here[self._end[here] > end], seen
        self._done += 1


def _levels(parent: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Return the accounts that have a parent, level by level, the lowest first."""
    depth = np.zeros(parent.size, np.int64)
    for row in range(parent.size):
        depth[row] = 0 if parent[row] == NOBODY else depth[parent[row]] + 1
    return [np.flatnonzero(depth == level) for level in range(int(depth.max(initial=0)), 0, -1)]
