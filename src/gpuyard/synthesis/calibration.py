"""How many jobs of a kind offer a given GPU time: their number is chosen, their sizes and run times are left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.streams import Stream
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.kinds import Kind

__all__ = ["BLOCK", "MILLI", "TOLERANCE", "Chosen", "Supply", "draws_of", "first_jobs"]

TOLERANCE = 1e-3
"""Relative difference from its wanted GPU time at which a kind is left as it is."""
BLOCK = 16_384
"""Jobs that are drawn together."""
KEPT_BLOCKS = 64
"""Blocks at the start of a series that are kept once drawn; later ones are drawn again."""
RESERVE = 4096
EXCHANGES = 16
MILLI = 1000


@dataclass(frozen=True, slots=True)
class Chosen:
    """Numbers of jobs of a series, ascending: 0 to ``whole`` - 1, then those of ``rest``, int64 of shape (jobs,).

    ``last`` is the run time (ms) at which the last job is cut, None where it is not.
    """

    whole: int
    rest: NDArray[np.int64]
    last: int | None = None

    @property
    def jobs(self) -> int:
        """How many jobs are chosen."""
        return self.whole + self.rest.size

    def resized(self, jobs: int) -> Chosen:
        """Return so many jobs: without the last of these, or with the ones that follow in the series."""
        if jobs <= self.jobs:
            return Chosen(min(jobs, self.whole), self.rest[: max(jobs - self.whole, 0)])
        first = int(self.rest[-1]) + 1 if self.rest.size else self.whole
        return Chosen(self.whole, np.concatenate((self.rest, np.arange(first, first + jobs - self.jobs))))

    def numbers(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the numbers of the chosen jobs ``first`` up to ``last`` - 1, int64, shape (last - first,)."""
        begun = np.arange(min(first, self.whole), min(last, self.whole), dtype=np.int64)
        return np.concatenate((begun, self.rest[max(first - self.whole, 0) : max(last - self.whole, 0)]))


def first_jobs(jobs: int) -> Chosen:
    """Return the first jobs of a series."""
    return Chosen(jobs, np.empty(0, dtype=np.int64))


def draws_of(stream: Stream, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the stream's uniform numbers at these places, which ascend, same shape."""
    if not numbers.size:
        return np.empty(0)
    first = int(numbers[0])
    return stream.at(first, int(numbers[-1]) + 1 - first)[numbers - first]


class Supply:
    """The endless series of jobs of one kind: job k has the same size and run time however many are taken.

    Run times are whole milliseconds, so that sums of GPU time are exact, in whatever parts they are added.
    """

    def __init__(self, kind: Kind, sizes: Sizes, seed: int, redraw: int) -> None:
        self.kind, self.sizes = kind, sizes
        self.stem = f"synthesis:{kind.key}:{redraw}"
        self._streams = Stream(seed, f"{self.stem}:size"), Stream(seed, f"{self.stem}:runtime")
        self._fraction = Stream(seed, f"{self.stem}:fraction")
        self._kept: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._cut = 0
        self._held = [0]

    def of(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return GPUs and uncut run times (ms) of the jobs of these numbers, which ascend; same shape."""
        if not numbers.size:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        first = int(numbers[0]) // BLOCK
        parts = [self._block(at) for at in range(first, int(numbers[-1]) // BLOCK + 1)]
        places = numbers - first * BLOCK
        gpus, runtime = parts[0] if len(parts) == 1 else (np.concatenate(column) for column in zip(*parts, strict=True))
        return gpus[places], runtime[places]

    def first(self, jobs: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return GPUs and uncut run times (s) of the first ``jobs`` jobs."""
        gpus, runtime = self.of(np.arange(jobs, dtype=np.int64))
        return gpus, runtime / MILLI

    def milli(self, numbers: NDArray[np.int64], gpus: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the thousandths of each GPU that jobs of these numbers and GPUs ask for; None where all are whole."""
        if not self.kind.fractions.milli:
            return None
        return np.where(gpus == 1, self.kind.fractions.quantile(draws_of(self._fraction, numbers)), MILLI)

    def _block(self, at: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return GPUs and run times (ms) of the jobs of one block."""
        if at < len(self._kept):
            return self._kept[at]
        size, runtime = (stream.at(at * BLOCK, BLOCK) for stream in self._streams)
        gpus = self.sizes.quantile(size)
        if self.kind.coupling is not None:
            runtime = self.kind.coupling.chances(gpus, runtime)
        elif self.kind.rank_correlation:
            runtime = _correlated(size, runtime, self.kind.rank_correlation)
        milliseconds = np.maximum(np.round(self.kind.runtimes.quantile(runtime) * MILLI), 1.0).astype(np.int64)
        drawn = gpus, milliseconds
        if at == len(self._kept) < KEPT_BLOCKS:
            self._kept.append(drawn)
        return drawn

    def expected_gpu_time(self, span: float) -> float:
        """Return the mean GPU time of a job, run times cut at ``span``, as if independent of sizes."""
        ones = sum(chance for gpus, chance in zip(self.sizes.gpus, self.sizes.chance, strict=True) if gpus == 1)
        return (self.sizes.mean() - ones * (1 - self.kind.fractions.mean())) * self.kind.runtimes.mean(span)

    def submissions(self, jobs: int, span: float) -> int:
        """Return how many submissions the first jobs are: as many in any window."""
        return jobs

    def mean_gpu_time(self, span: float) -> float:
        """Return the mean GPU seconds of the jobs of the first block, run times cut at ``span``."""
        return self._held_by(1, span) / BLOCK / MILLI

    def offering(self, wanted: float, span: float) -> Chosen:
        """Return the jobs that together offer ``wanted`` GPU seconds.

        They are the first jobs of the series, as many as come nearest.  Where that misses by more than TOLERANCE,
        single jobs are exchanged for later ones of the series.
        """
        block, aim = 0, wanted * MILLI
        while self._held_by(block + 1, span) <= aim:
            block += 1
        held = self._held_by(block, span)
        sums = held + np.cumsum(self._work(_numbers_of(block), span))
        at = int(np.searchsorted(sums, aim))
        lower = held if at == 0 else int(sums[at - 1])
        fewer = block * BLOCK + at
        return self.exactly(fewer if fewer and aim - lower < int(sums[at]) - aim else fewer + 1, wanted, span)

    def exactly(self, count: int, wanted: float, span: float) -> Chosen:
        """Return ``count`` jobs that offer ``wanted`` GPU seconds, by exchanges of the last ones for later ones."""
        whole = max(0, (count - 1) // BLOCK * BLOCK)
        held = self._held_by(whole // BLOCK, span)
        work = self._work(np.arange(whole, count + RESERVE, dtype=np.int64), span)
        rest = _exchanged(work, count - whole, wanted * MILLI - held, TOLERANCE * wanted * MILLI)
        return Chosen(whole, whole + rest)

    def gpu_time(self, chosen: Chosen, span: float) -> float:
        """Return the GPU seconds that the chosen jobs offer."""
        blocks, more = divmod(chosen.whole, BLOCK)
        alone = np.concatenate((np.arange(chosen.whole - more, chosen.whole), chosen.rest))
        return (self._held_by(blocks, span) + int(self._work(alone, span).sum())) / MILLI

    def _held_by(self, blocks: int, span: float) -> int:
        """Return the GPU milliseconds of the first jobs of the series, so many blocks of them."""
        cut = round(span * MILLI)
        if cut != self._cut:
            self._cut, self._held = cut, [0]
        while len(self._held) <= blocks:
            work = self._work(_numbers_of(len(self._held) - 1), span)
            self._held.append(self._held[-1] + int(work.sum()))
        return self._held[blocks]

    def _work(self, numbers: NDArray[np.int64], span: float) -> NDArray[np.int64]:
        """Return GPU milliseconds of the jobs of these numbers, run times cut at ``span`` seconds."""
        gpus, runtime = self.of(numbers)
        work, milli = gpus * np.minimum(runtime, round(span * MILLI)), self.milli(numbers, gpus)
        return work if milli is None else np.where(milli < MILLI, work * milli // MILLI, work)


def _numbers_of(block: int) -> NDArray[np.int64]:
    return np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.int64)


def _exchanged(work: NDArray[np.int64], count: int, wanted: float, tolerance: float) -> NDArray[np.int64]:
    """Return job numbers near the wanted sum: the first ``count``, with as few exchanges for later ones as it takes."""
    chosen, spare = np.arange(count), np.arange(count, work.size)
    for _ in range(EXCHANGES):
        excess = float(work[chosen].sum()) - wanted
        if abs(excess) <= tolerance:
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
