"""Bursts: how short and long gaps between submissions keep together.

The order of the gaps is that of a normal process of the same ranks: a sum of first-order autoregressive processes, one
for each number of jobs over which gaps keep together (a NORTA process: Cario and Nelson, "Modeling and generating
random vectors with arbitrary marginal distributions and correlation matrix", 1997).  The weights are fitted in two
steps: so that sums of the normal scores over blocks of jobs vary as they do, and then corrected until the counts of
submissions of the model vary as those of the trace, which the scores alone do not tell (the method of simulated
moments: McFadden, Econometrica 57(5), 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpuyard.fitting.order import ranks

__all__ = ["fit_persistence", "growth"]

SCALES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)
"""Numbers of jobs over which gaps may keep together."""
BLOCKS = 40
"""Blocks of jobs that a trace must have for their variance to be taken for a fact."""
ROUNDS, TRIALS, MOST = 10, 4, 100_000
"""Corrections, simulations for each of them, and the most gaps of a simulation."""
STEPS = 1_000
"""Most steps of the least squares for each weight."""
HALF = 0.5
"""Part of a difference, in the logarithm, that one correction makes up for."""

Weights = list[tuple[float, float]]


def fit_persistence(gaps: NDArray[np.float64]) -> Weights:
    """Return the scales and weights of the order of these gaps, each above 0, scales ascending."""
    lengths = [2**power for power in range(1, 32) if 2**power * BLOCKS <= gaps.size]
    if not lengths:
        return []
    wanted = _counts_vary(gaps, lengths)
    target = _scores_vary(_scores(gaps), lengths)
    tried: list[tuple[float, Weights]] = []
    for _ in range(ROUNDS):
        weights = _weights(target, lengths)
        made = np.mean([_counts_vary(_reordered(gaps, weights, seed), lengths) for seed in range(TRIALS)], axis=0)
        missing = np.log(wanted / made)
        tried.append((float(np.sum(missing**2)), weights))
        target = np.maximum(target * np.exp(HALF * missing), 1.0)
    return min(tried, key=lambda each: each[0])[1]


def _counts_vary(gaps: NDArray[np.float64], lengths: Sequence[int]) -> NDArray[np.float64]:
    """Return variance over mean of the counts in windows of so many mean gaps, shape (lengths,)."""
    at = np.cumsum(gaps) / gaps.mean()
    found = []
    for length in lengths:
        whole = int(at[-1] // length)
        counts = np.bincount((at // length).astype(np.int64), minlength=whole)[:whole]
        found.append(max(float(counts.var() / counts.mean()), 1e-3))
    return np.array(found)


def _reordered(gaps: NDArray[np.float64], weights: Weights, seed: int) -> NDArray[np.float64]:
    """Return gaps of the same distribution in an order of the model."""
    size = min(gaps.size, MOST)
    level = (ranks(weights, size, seed) + 0.5) / size
    return np.asarray(np.sort(gaps)[(level * gaps.size).astype(np.int64)], dtype=np.float64)


def _scores(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal quantiles of the ranks, of mean 0 and variance 1; equal gaps have equal ranks."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores = ndtri((rankdata(gaps) - 0.5) / gaps.size)
    spread = float(scores.std())
    return np.asarray((scores - scores.mean()) / spread if spread > 0 else scores, dtype=np.float64)


def _scores_vary(scores: NDArray[np.float64], lengths: Sequence[int]) -> NDArray[np.float64]:
    """Return variance over length of the sums over blocks, shape (lengths,)."""
    total = np.concatenate(([0.0], np.cumsum(scores)))
    return np.array([max(float(np.mean((total[k:] - total[:-k]) ** 2)) / k, 1e-3) for k in lengths])


def _weights(target: NDArray[np.float64], lengths: Sequence[int]) -> Weights:
    """Return the weights by which sums over blocks vary most nearly as wanted: relative non-negative least squares."""
    from scipy.optimize import nnls

    scales = [scale for scale in SCALES if scale <= 2 * lengths[-1]]
    columns = [np.array([growth(scale, k) - 1.0 for k in lengths]) for scale in scales]
    # it ends by itself, now and then after more than the 3 steps a weight that are its limit otherwise
    steps = STEPS * len(scales)
    weights, _ = nnls(np.stack(columns, axis=1) / target[:, None], (target - 1.0) / target, maxiter=steps)
    weights = weights / max(1.0, float(weights.sum()))
    return [(scale, round(float(weight), 4)) for scale, weight in zip(scales, weights, strict=True) if weight >= 5e-4]


def growth(scale: float, block: int) -> float:
    """Return variance over length of the sum of a block of an autoregressive process of variance 1."""
    keep = math.exp(-1 / scale)
    return (1 + keep) / (1 - keep) - 2 * keep * (1 - keep**block) / (block * (1 - keep) ** 2)
