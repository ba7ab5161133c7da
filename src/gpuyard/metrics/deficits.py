"""What tenants were due of the GPUs held and did not get, over time: the section *Fairness* of ``docs/metrics.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.holdings import Holdings, asked_milli
from gpuyard.intervals import Spans
from gpuyard.metrics.queueing import waiting
from gpuyard.record import Record

__all__ = ["MOST_PAIRS", "Deficits", "share_deficits"]

MOST_PAIRS: Final = 3 * 10**8
"""Stretches between two events x tenants that wait in them: more would take long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deficits:
    """Integrals between two ``edges`` (int64 microseconds, shape (cells + 1,)).

    ``shortfall`` and ``surplus``: float64, shape (tenants, cells), thousandths of GPUs x microseconds; not a number
    where it would take long to tell.
    """

    edges: NDArray[np.int64]
    shortfall: NDArray[np.float64]
    surplus: NDArray[np.float64]

    @property
    def is_known(self) -> bool:
        """Whether they were worked out."""
        return not np.isnan(self.shortfall).any()

    def between(self, edges: NDArray[np.int64]) -> Deficits:
        """Return the integrals between edges that are among these."""
        place = np.searchsorted(self.edges, edges)
        sums = [
            np.diff(np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0)))[:, place], axis=1)
            for each in (self.shortfall, self.surplus)
        ]
        return Deficits(edges=edges, shortfall=sums[0], surplus=sums[1])


def share_deficits(
    record: Record, holdings: Holdings, weights: NDArray[np.float64], edges: NDArray[np.int64]
) -> Deficits:
    """Return the deficits of all tenants.

    Parameters
    ----------
    weights
        float64, shape (tenants,), 0 or more; in the order of ``record.workload.labels("tenant")``.
    edges
        int64 microseconds, ascending, shape (cells + 1,).
    """
    from gpuyard.kernel.deficits import Stretches, add_deficits, nobody_present

    cells = max(edges.size - 1, 0)
    shape = (weights.size, cells)
    shortfall, surplus = np.zeros(shape), np.zeros(shape)
    found = Deficits(edges=edges, shortfall=shortfall, surplus=surplus)
    jobs, queue = waiting(record)
    asked = asked_milli(record.workload)[jobs]
    wanting = asked > 0
    if not cells or not wanting.any():
        return found
    code, _ = record.workload.labels("tenant")

    def stretches(spans: Spans, milli: NDArray[np.int64], of: NDArray[np.int64]) -> Stretches:
        by_start = np.arange(milli.size) if spans.by_start is None else spans.by_start
        return Stretches(of, milli, spans.start, spans.end, by_start.astype(np.int64), spans.by_end.astype(np.int64))

    holds = stretches(holdings.spans, holdings.attempt_milli, code[record.attempt_job])
    waits = stretches(queue.subset(wanting), asked[wanting], code[jobs[wanting]])
    present = nobody_present(weights.size)
    done = add_deficits(holds, waits, present, weights, edges, MOST_PAIRS, shortfall.reshape(-1), surplus.reshape(-1))
    if not done:
        shortfall[:], surplus[:] = np.nan, np.nan
    return found
