"""What a plan had to do with the wait of a job that would have found room: its own beginning, and whom it waits for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.evidence import Evidence

__all__ = ["nearest_promise", "planned_wait"]

Waits = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Tells which of some rows wait, or will, at the instant in question."""


def planned_wait(evidence: Evidence, row: int, now: int, waits: Waits) -> dict[str, object]:
    """Return why a job among those that are planned did not start: the reason, with whom it waited for.

    ``reason`` is ``plan``, ``interval`` or ``unknown``; with it what :func:`nearest_promise` returns and ``planned``.
    """
    promises, is_drafted = evidence.promises, evidence.policy.backfill == "slurm"
    if promises is None:
        return {"reason": "unknown"}
    entry = promises.last_of(row, now)
    if entry < 0:
        return {"reason": "interval" if is_drafted else "unknown"}
    planned = int(promises.begin[entry])
    if is_drafted and planned <= now:
        return {"reason": "interval", "planned": planned}
    return {"reason": "plan", "planned": planned, **nearest_promise(evidence, row, now, waits)}


def nearest_promise(evidence: Evidence, row: int, now: int, waits: Waits) -> dict[str, object]:
    """Return who else is promised to begin first, before this job would end, of those that wait."""
    promises = evidence.promises
    assert promises is not None  # asked for by its only caller
    upto = int(np.searchsorted(promises.time, now, "right"))
    rows, last = np.unique(promises.job[:upto][::-1], return_index=True)
    entries = upto - 1 - last
    begins = promises.begin[entries]
    candidates = (rows != row) & waits(rows) & (begins > now) & (begins < now + evidence.estimate[row])
    if not candidates.any():
        return {}
    nearest = int(np.flatnonzero(candidates)[np.argmin(begins[candidates])])
    return {"blocker": int(rows[nearest]), "entry": int(entries[nearest])}
