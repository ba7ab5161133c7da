"""Units that stand, in order of submission: what begins is made, and held until its last job is submitted.

The window is taken in stretches of time.  In each, the units whose first job falls into it are made, and the jobs of
all units that have begun are given away as far as they are submitted before the stretch ends.  So no more is held than
the units that run at once, however long the window is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from gpuyard.synthesis.batch import Batch, cut, joined, part
from gpuyard.synthesis.calibration import BLOCK

__all__ = ["stretch_by_stretch", "stretches"]


def stretches(jobs: int, span: float) -> list[float]:
    """Return the ends of stretches of time, s, that have about BLOCK of the jobs each; the last has no end."""
    many = -(-jobs // BLOCK)
    return [*(span * np.arange(1, many) / many).tolist(), np.inf]


def stretch_by_stretch(
    opening: Callable[[tuple[float, float]], Iterable[Batch]], ends: Iterable[float]
) -> Iterator[Batch]:
    """Return the jobs of units stretch by stretch, those of one instant in the order of units and of jobs in them.

    ``opening`` returns the units that begin from one second on and before another.  However long the stretches are, one
    after the other they hold the same jobs.
    """
    held, since = list[Batch](), -np.inf
    for end in ends:
        held += [part(batch, _order(batch)) for batch in opening((since, end))]
        found, held = cut(held, end)
        if found:
            whole = joined(found)
            yield part(whole, _order(whole))
        since = end


def _order(batch: Batch) -> NDArray[np.int64]:
    """Return the order of jobs of units by submission, unit and number in the unit."""
    assert batch.jobs is not None
    return np.lexsort((batch.number, batch.jobs.unit, batch.submit))
