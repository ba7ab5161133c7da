"""How many jobs of a kind offer a given GPU time: their number is chosen, their sizes and run times are left alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.streams import Stream
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.expansion import Draws, Expansion, Jobs, Site, joined
from gpuyard.synthesis.kinds import Kind
from gpuyard.units import counted

__all__ = ["TOLERANCE", "Supply", "UnitSupply"]

TOLERANCE = 1e-3
"""Relative difference from its wanted GPU time at which a kind is left as it is."""
RESERVE = 4096
EXCHANGES = 16
SAMPLE = 64
"""Units that are looked at for the GPU time that a job may be expected to take."""
MOST_EMPTY = 1 << 16
"""Units without GPU time in the window after which there is none to be expected."""


class Supply:
    """The endless series of jobs of one kind: job k has the same size and run time however many are taken."""

    def __init__(self, kind: Kind, sizes: Sizes, seed: int, redraw: int) -> None:
        self.kind, self.sizes = kind, sizes
        self.stem = f"synthesis:{kind.key}:{redraw}"
        self._size_stream = Stream(seed, f"{self.stem}:size")
        self._runtime_stream = Stream(seed, f"{self.stem}:runtime")
        self._gpus = np.empty(0, dtype=np.int64)
        self._runtime = np.empty(0, dtype=np.float64)

    def first(self, jobs: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return GPUs and uncut run times (s, whole milliseconds) of the first ``jobs`` jobs."""
        missing = jobs - self._gpus.size
        if missing > 0:
            size, runtime = self._size_stream.uniform(missing), self._runtime_stream.uniform(missing)
            if self.kind.rank_correlation:
                runtime = _correlated(size, runtime, self.kind.rank_correlation)
            drawn = np.maximum(np.round(self.kind.runtimes.quantile(runtime), 3), 0.001)
            self._gpus = np.concatenate((self._gpus, self.sizes.quantile(size)))
            self._runtime = np.concatenate((self._runtime, drawn))
        return self._gpus[:jobs], self._runtime[:jobs]

    def expected_gpu_time(self, span: float) -> float:
        """Return the mean GPU time of a job, run times cut at ``span``, as if independent of sizes."""
        return self.sizes.mean() * self.kind.runtimes.mean(span)

    def offering(self, wanted: float, span: float) -> NDArray[np.int64]:
        """Return the numbers of the jobs that together offer ``wanted`` GPU seconds, ascending from 0.

        They are the first jobs of the series, as many as come nearest.  Where that misses by more than TOLERANCE,
        single jobs are exchanged for later ones of the series.
        """
        work = self._work_until(wanted, span)
        held = np.cumsum(work)
        count = int(np.searchsorted(held, wanted))
        if count and wanted - held[count - 1] < held[count] - wanted:
            count -= 1
        return self.exactly(count + 1, wanted, span)

    def exactly(self, count: int, wanted: float, span: float) -> NDArray[np.int64]:
        """Return the numbers of ``count`` jobs that offer ``wanted`` GPU seconds, by exchanges among the series."""
        return _exchanged(self._work(count + RESERVE, span), count, wanted)

    def gpu_time(self, numbers: NDArray[np.int64], span: float) -> float:
        """Return the GPU seconds that the jobs of the given numbers offer."""
        return float(self._work(int(numbers[-1]) + 1, span)[numbers].sum()) if numbers.size else 0.0

    def _work(self, jobs: int, span: float) -> NDArray[np.float64]:
        gpus, runtime = self.first(jobs)
        return gpus.astype(np.float64) * np.minimum(runtime, span)

    def _work_until(self, wanted: float, span: float) -> NDArray[np.float64]:
        """Return GPU seconds of the first jobs, as many as exceed the wanted sum."""
        jobs = int(wanted / self.expected_gpu_time(span) * 1.05) + 64
        work = self._work(jobs, span)
        while work.sum() <= wanted:
            jobs += jobs // 4 + 64
            work = self._work(jobs, span)
        return work


class UnitSupply:
    """The endless series of units of one kind, and of their jobs, unit by unit; nothing of a unit is exchanged.

    What offers a GPU time is the beginning of the series of jobs: whole units, and of the last one the jobs up to where
    the GPU time is met.  Parents come before children, so that what is left out is only what would have followed.
    """

    def __init__(self, kind: Kind, expansion: Expansion, site: Site, seed: int, redraw: int) -> None:
        self.kind, self.stem = kind, f"synthesis:{kind.key}:{redraw}"
        self._expansion, self._site = expansion, site
        self._sizes = kind.sizes_on(site.gpus, site.largest, site.growth)
        self._draws = Draws(seed, self.stem)
        self._blocks: list[Jobs] = []
        self._units: list[int] = []  # of each block
        self._span = 0.0

    def jobs(self, count: int, span: float) -> Jobs:
        """Return the first ``count`` jobs of the series in a window of ``span`` seconds."""
        return self._first(span, jobs=count).first(count)

    def offering(self, wanted: float, span: float) -> NDArray[np.int64]:
        """Return the numbers of the jobs that come nearest to offering ``wanted`` GPU seconds, ascending from 0."""
        held = np.cumsum(self._first(span, work=wanted).gpu_time())
        count = int(np.searchsorted(held, wanted))
        if count and wanted - held[count - 1] < held[count] - wanted:
            count -= 1
        return np.arange(count + 1)

    def gpu_time(self, numbers: NDArray[np.int64], span: float) -> float:
        """Return the GPU seconds that the jobs of the given numbers offer."""
        return float(self.jobs(int(numbers[-1]) + 1, span).gpu_time()[numbers].sum()) if numbers.size else 0.0

    def chances(self, purpose: str, jobs: Jobs) -> NDArray[np.float64]:
        """Return a uniform number for each job of the series."""
        return self._draws.uniform(purpose, jobs.unit, jobs.item())

    def expected_gpu_time(self, span: float) -> float:
        """Return about the mean GPU time of a job, from the first units."""
        work = self._expand(0, SAMPLE, span).gpu_time()
        return float(work.mean()) if work.any() else self.kind.sizes.mean() * self.kind.runtimes.mean(span)

    def _expand(self, first: int, units: int, span: float) -> Jobs:
        numbers = np.arange(first, first + units)
        return self._expansion.jobs(self._draws, numbers, self._sizes, self._site, span)

    def _first(self, span: float, *, work: float = 0.0, jobs: int = 0) -> Jobs:
        """Return the jobs of the first units, as many as exceed the GPU time and reach the number of jobs."""
        if span != self._span:
            self._blocks, self._units, self._span = [], [], span
        while (
            sum(one.unit.size for one in self._blocks) < max(jobs, 1)
            or sum(float(one.gpu_time().sum()) for one in self._blocks) <= work
        ):
            made = sum(self._units)
            if made >= MOST_EMPTY and not any(one.gpus.any() for one in self._blocks):
                raise ConfigError(f"no job of {self.kind.key} falls into {counted(span, 'second')}; ask for more days")
            self._units.append(max(made, 8))
            self._blocks.append(self._expand(made, self._units[-1], span))
        if len(self._blocks) > 1:
            self._blocks, self._units = [joined(self._blocks, self._units)], [sum(self._units)]
        return self._blocks[0]


def _exchanged(work: NDArray[np.float64], count: int, wanted: float) -> NDArray[np.int64]:
    """Return job numbers near the wanted sum: the first ``count``, with as few exchanges for later ones as it takes."""
    chosen, spare = np.arange(count), np.arange(count, work.size)
    for _ in range(EXCHANGES):
        excess = float(work[chosen].sum()) - wanted
        if abs(excess) <= TOLERANCE * wanted:
            break
        spare = spare[np.argsort(work[spare], kind="stable")]
        right = np.clip(np.searchsorted(work[spare], work[chosen] - excess), 1, spare.size - 1)
        miss = np.stack([np.abs(excess - work[chosen] + work[spare[right - side]]) for side in (0, 1)])
        side, leaving = np.unravel_index(int(np.argmin(miss)), miss.shape)
        if miss[side, leaving] >= abs(excess):
            break
        coming = right[leaving] - side
        chosen[leaving], spare[coming] = spare[coming], chosen[leaving]
    return np.sort(chosen)


def _correlated(size: NDArray[np.float64], runtime: NDArray[np.float64], rank: float) -> NDArray[np.float64]:
    """Return uniform numbers tied to those of the size by a normal copula (Nelsen 2006, section 2.3)."""
    from scipy.special import ndtr, ndtri

    least = 2.0**-54
    first, second = ndtri(np.maximum(size, least)), ndtri(np.maximum(runtime, least))
    return np.asarray(ndtr(rank * first + np.sqrt(1 - rank * rank) * second), dtype=np.float64)
