"""How run time goes with size: jobs of each size run longer or shorter, and all together keep their run times.

Each size g has a shift a_g.  A job of that size draws a normal number z, and its run time is the quantile of the curve
at H(a_g + z), where H is the distribution of a + z over all jobs.  H(a + z) is even on [0, 1] whatever the shifts (the
probability integral transform), so the run times of all jobs are those of the curve; the shifts are free to give each
size its share of the GPU time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gpuyard.synthesis.distributions import LogCdf, Sizes

__all__ = ["Coupling", "coupled"]

REACH, NODES = 12.0, 4_097
FARTHEST = 4.0
"""The largest shift."""
ROUNDS, STEP = 200, 0.4
CLOSE = 0.002
"""Mean relative miss of the mean run times, by GPU time, at which shifts are left as they are."""


@dataclass(frozen=True, slots=True)
class Coupling:
    """Sizes with the shift of each; hashable, so that its table is made once."""

    sizes: Sizes
    shifts: tuple[float, ...]

    def chances(self, gpus: NDArray[np.int64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, for jobs of these sizes and uniform numbers, where on the curve their run times are; same shape."""
        from scipy.special import ndtri

        at = np.minimum(np.searchsorted(self.sizes.gpus, gpus), len(self.shifts) - 1)
        grid, below = _table(self)
        score = np.asarray(self.shifts)[at] + ndtri(np.maximum(chance, 2.0**-54))
        return np.asarray(np.interp(score, grid, below), dtype=np.float64)


@cache
def _table(coupling: Coupling) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores and the share of jobs at or below each."""
    grid = np.linspace(-REACH, REACH, NODES)
    return grid, _below(grid, np.asarray(coupling.sizes.chance), np.asarray(coupling.shifts))


def _below(
    scores: NDArray[np.float64], chance: NDArray[np.float64], shifts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distribution of shift + normal number over all jobs at these scores."""
    from scipy.special import ndtr

    return np.asarray(ndtr(scores[:, None] - shifts) @ chance, dtype=np.float64)


@cache
def coupled(sizes: Sizes, gpu_time: tuple[float, ...], runtimes: LogCdf, one: float = 1.0) -> Coupling:
    """Return the coupling in which the sizes hold the given shares (above 0) of the GPU time, as nearly as they can.

    ``one`` is what jobs of one GPU ask for on average, less than 1 where some ask for a part of it.  The mean run time
    of each size follows from its shares of jobs and GPU time.  Each shift is moved by a part of what the logarithm of
    its mean misses, until the means agree.
    """
    chance, held = np.asarray(sizes.chance), np.asarray(gpu_time) / sum(gpu_time)
    asked = np.where(np.asarray(sizes.gpus) == 1, one, sizes.gpus)
    each = held / chance / asked
    wanted = np.log(each / float(chance @ each) * runtimes.mean())
    scores, grid = np.linspace(-6.0, 6.0, 301), np.linspace(-REACH, REACH, 1_025)
    weight = np.exp(-(scores**2) / 2)
    weight /= weight.sum()
    shifts = np.zeros(chance.size)
    for _ in range(ROUNDS):
        places = np.interp(scores[:, None] + shifts, grid, _below(grid, chance, shifts))
        miss = wanted - np.log(weight @ runtimes.quantile(places))
        if float(np.abs(miss) @ held) < CLOSE:
            break
        shifts = np.clip(shifts + STEP * miss, -FARTHEST, FARTHEST)
        shifts -= chance @ shifts
    return Coupling(sizes, tuple(np.round(shifts, 3).tolist()))
