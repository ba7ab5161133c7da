"""Which jobs can never start because of the jobs they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["unmet"]

MISSING = "a job it depends on is not in the trace"
BELOW = "it depends, directly or not, on a job that was rejected"
CIRCLE = "dependencies go in a circle, here or in a job it depends on"


def unmet(
    ids: Sequence[str | None], parents: Sequence[Sequence[str] | None], good: NDArray[np.bool_]
) -> list[tuple[NDArray[np.bool_], str]]:
    """Return masks (bool, shape (jobs,)) of jobs whose dependencies can never be met, each with its reason.

    Parameters
    ----------
    ids, parents
        Each job's id and the ids it depends on.
    good
        bool, shape (jobs,): jobs that are in the trace; their ids are unique.

    Notes
    -----
    Circles are found by Kahn's algorithm (CACM 5(11), 1962): whoever is never ready is in one or below one.
    """
    rows = np.flatnonzero(good).tolist()
    row_of = {ids[row]: row for row in rows}
    missing = np.zeros(len(ids), dtype=bool)
    waiting: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for row in rows:
        names = parents[row] or ()
        waiting[row] = len(names)
        missing[row] = any(name not in row_of for name in names)
        for name in names:
            children.setdefault(row_of.get(name, -1), []).append(row)
    ready = [row for row, count in waiting.items() if count == 0]
    while ready:
        for child in children.get(ready.pop(), ()):
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(child)
    circle = np.zeros(len(ids), dtype=bool)
    circle[[row for row, count in waiting.items() if count]] = True
    return [(missing, MISSING), (_below(np.flatnonzero(missing).tolist(), children, len(ids)), BELOW), (circle, CIRCLE)]


def _below(roots: list[int], children: Mapping[int, list[int]], jobs: int) -> NDArray[np.bool_]:
    """Return which jobs depend, directly or not, on one of the roots."""
    reached = np.zeros(jobs, dtype=bool)
    open_rows = list(roots)
    while open_rows:
        for child in children.get(open_rows.pop(), ()):
            if not reached[child]:
                reached[child] = True
                open_rows.append(child)
    return reached
