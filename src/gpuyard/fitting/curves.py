"""From a sample to the knots of its curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.fitting.model import Curve

__all__ = ["curve_of"]

_MIDDLE = (0.01, 0.02, 0.05, *(step / 40 for step in range(3, 38)), 0.95, 0.96, 0.97, 0.98)
_TAIL = tuple(1 - step * 10.0**-power for power in range(2, 7) for step in (1, 0.5, 0.2))


def curve_of(values: NDArray[np.float64]) -> Curve:
    """Return the curve of a sample of values of 0 or more, shape (n,): quantiles, finer in the upper tail.

    What is exactly 0 stays a step of its own.  A tail beyond what the sample shows has no knots.
    """
    zeros = float(np.count_nonzero(values == 0)) / values.size
    above = values[values > 0]
    share, value = ([0.0, zeros], [0.0, 0.0]) if zeros else ([], [])
    if above.size:
        levels = np.array([0.0, *(each for each in (0.001, 0.005) if each * above.size >= 1), *_MIDDLE])
        tail = np.array([each for each in _TAIL if (1 - each) * above.size >= 1])
        levels = np.concatenate((levels, tail, [1.0]))
        quantiles = np.quantile(above, levels)
        share += (zeros + (1 - zeros) * levels).tolist()
        value += quantiles.tolist()
    share[-1] = 1.0
    rounded = np.maximum.accumulate([float(f"{each:.5g}") for each in value])
    return Curve(share=[round(each, 8) for each in share], value=rounded.tolist())
