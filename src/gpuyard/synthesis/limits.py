"""Time limits that users ask for: longer than the job runs, and of few values.

What is known of them comes from logs of parallel machines.  The part of its limit that a job uses is spread nearly
evenly from none to all (Mu'alem and Feitelson 2001), and nine in ten jobs ask for one of some twenty round values, of
which one is what the site suggests (Tsafrir, Etsion and Feitelson 2005).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIMIT_MODELS", "SUGGESTED", "SUGGESTED_SHARE", "VALUES", "factor_limits", "modal_limits"]

LIMIT_MODELS = ("modal",)
HOUR, DAY = 3600.0, 86_400.0
VALUES = (
    *(minutes * 60.0 for minutes in (5, 10, 15, 20, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 4, 5, 6, 8, 10, 12, 18)),
    *(days * DAY for days in (1, 2, 3, 5, 7)),
)
"""The limits that users ask for, s; longer jobs ask for whole days."""
SUGGESTED, SUGGESTED_SHARE = DAY, 0.2
"""The limit that the site suggests, s, and the share of jobs that keep it where it is long enough."""


def factor_limits(
    runtime: NDArray[np.float64], chance: NDArray[np.float64], low: float, high: float
) -> NDArray[np.float64]:
    """Return limits that exceed the run time by a log-uniform factor, in whole minutes; shape of both arguments."""
    return np.asarray(np.ceil(runtime * low * (high / low) ** chance / 60) * 60, dtype=np.float64)


def modal_limits(runtime: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the limits that users would ask for, s, shape of both arguments; none is shorter than the run time.

    Some jobs keep the suggested limit.  For the others the user expects the run time over an even part of it, up to the
    longest value, and asks for the next value; what runs longer than all values asks for whole days.
    """
    part = 1.0 - np.maximum(chance - SUGGESTED_SHARE, 0.0) / (1.0 - SUGGESTED_SHARE)
    expected = np.maximum(np.minimum(runtime / part, VALUES[-1]), runtime)
    at = np.searchsorted(VALUES, expected)
    asked = np.where(
        at < len(VALUES), np.asarray(VALUES)[np.minimum(at, len(VALUES) - 1)], np.ceil(expected / DAY) * DAY
    )
    return np.where((chance < SUGGESTED_SHARE) & (runtime <= SUGGESTED), SUGGESTED, asked)
