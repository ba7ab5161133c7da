"""How many units of a kind, and of the jobs that they are, offer a given GPU time; and units made anew."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.synthesis.calibration import BLOCK, MILLI, Chosen, first_jobs
from gpuyard.synthesis.expansion import Draws, Expansion, Jobs, Lasting, Site, joined
from gpuyard.synthesis.kinds import Kind
from gpuyard.units import counted

__all__ = ["UnitSupply"]

SAMPLE = 16
"""Units that are looked at for the GPU time and the jobs that may be expected of one."""
MOST_EMPTY = 1 << 16
"""Units without GPU time in the window after which there is none to be expected."""
KEPT = 8
"""Blocks of units at the start of a series that are kept once made: those of a million jobs of all kinds."""


class UnitSupply:
    """The endless series of units of one kind, and of their jobs, unit by unit; nothing of a unit is exchanged.

    What offers a GPU time is the beginning of the series of jobs: whole units, and of the last one the jobs up to
    where the GPU time is met, the last of which is cut short there.  Parents come before children, so that what is left
    out is only what would have followed.
    """

    def __init__(self, kind: Kind, expansion: Expansion, site: Site, seed: int, redraw: int) -> None:
        self.kind, self.stem = kind, f"synthesis:{kind.key}:{redraw}"
        self._expansion, self._site = expansion, site
        self._sizes = kind.sizes_on(site.gpus, site.largest, site.growth)
        self._draws = Draws(seed, self.stem)
        self._span = 0.0
        self.standing = expansion.standing
        self._sample: tuple[NDArray[np.float64], NDArray[np.int64]] | None = None
        self._expected: dict[float, float] = {}
        self._ends = [(0, 0)]
        self._begins: list[NDArray[np.float64]] = []
        self._kept: list[Jobs] = []
        self._latest = 0.0  # s after its unit began: the planned end of the last job of all units made

    def sample(self, span: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return GPU seconds and ends (-1: not known) of the jobs of the first units in a window of ``span`` seconds.

        Both have the shape (jobs,).
        """
        self._begin(span)
        if self._sample is None:
            made = self._made(0, SAMPLE, span)
            self._sample = made.gpu_time(), made.state
        return self._sample

    def units(self, first: int, last: int, span: float) -> Jobs:
        """Return the jobs of the units ``first`` to ``last`` - 1, each with the number of its unit."""
        return self._of(np.arange(first, last), span)

    def _of(self, units: NDArray[np.int64], span: float) -> Jobs:
        """Return the jobs of the units of these numbers, which ascend, each with the number of its unit."""
        jobs = self._expansion.jobs(self._draws, units, self._sizes, self._site, span)
        return replace(jobs, unit=units[jobs.unit])

    def again(self, first: int, last: int, span: float) -> Jobs:
        """Return the same as :meth:`units`, of what is kept where all of it is."""
        at_once = self.units_at_once(span)
        if last > len(self._kept) * at_once:
            return self.units(first, last, span)
        found = []
        for block in self._kept[first // at_once : -(-last // at_once)]:
            begin, end = np.searchsorted(block.unit, (first, last)).tolist()
            found.append(block.rows(begin, end))
        return joined(found, [0] * len(found))

    def opening(self, units: int, part: tuple[float, float], span: float) -> list[Jobs]:
        """Return what begins from one second of the window on and before another, among the first standing units.

        Those are all jobs of the units whose first job is submitted in that part; of units that last as long as the
        window, the jobs that are submitted in it.
        """
        if isinstance(self._expansion, Lasting):
            numbers = np.arange(units)
            return [self._expansion.due(self._draws, numbers, self._sizes, self._site, span, part)]
        begins = np.concatenate(self._begins)[:units]
        opened = np.flatnonzero((begins >= part[0]) & (begins < part[1]))
        is_kept = opened < len(self._kept) * self.units_at_once(span)
        found = [self.again(unit, unit + 1, span) for unit in opened[is_kept].tolist()]
        return [*found, self._of(opened[~is_kept], span)] if not is_kept.all() else found

    def forget(self) -> None:
        """Forget the units that are kept: they are made again when they are asked for."""
        self._kept = []

    def units_at_once(self, span: float) -> int:
        """Return how many units are made together."""
        return max(1, min(self._expansion.most_at_once, BLOCK * SAMPLE // max(self.sample(span)[0].size, 1)))

    def submissions(self, jobs: int, span: float) -> int:
        """Return how many units the first ``jobs`` jobs are of, the last maybe in part."""
        return self.last(jobs, span)[0]

    def last(self, jobs: int, span: float) -> tuple[int, int]:
        """Return how many units the first ``jobs`` jobs are of, and how many of the jobs the last of them has."""
        if not jobs:
            return 0, 0
        at = 0
        while self._end(at + 1, span)[0] < jobs:
            at += 1
        units, row = self._block(at, span).unit, jobs - self._end(at, span)[0] - 1
        return int(units[row]) + 1, row + 1 - int(np.searchsorted(units, units[row]))

    def offering(self, wanted: float, span: float) -> Chosen:
        """Return the jobs that offer ``wanted`` GPU seconds, the first of the series."""
        at, aim = 0, wanted * MILLI
        while self._end(at + 1, span)[1] <= aim:
            at += 1
        jobs, held = self._end(at, span)
        block = self._block(at, span)
        sums = held + np.cumsum(_gpu_milliseconds(block))
        more = int(np.searchsorted(sums, aim))
        rest = aim - (held if more == 0 else int(sums[more - 1]))
        last = max(round(rest / int(block.gpus[more]) / MILLI), 1) * MILLI  # whole seconds
        return replace(first_jobs(jobs + more + 1), last=last)

    def gpu_time(self, chosen: Chosen, span: float) -> float:
        """Return the GPU seconds that the chosen jobs, the first of the series, offer."""
        at = 0
        while self._end(at + 1, span)[0] < chosen.jobs:
            at += 1
        if not chosen.jobs:
            return 0.0
        jobs, held = self._end(at, span)
        block = self._block(at, span)
        rest = _gpu_milliseconds(block)[: chosen.jobs - jobs]
        if chosen.last is not None:
            rest[-1] = int(block.gpus[rest.size - 1]) * chosen.last
        return (held + int(rest.sum())) / MILLI

    def chances(self, purpose: str, unit: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return a uniform number for each job, given by its unit and its number in it."""
        return self._draws.uniform(purpose, unit, item)

    def expected_gpu_time(self, span: float) -> float:
        """Return about the mean GPU time of a job, from the first units in a window of about this length."""
        about = 2.0 ** round(math.log2(span))
        if about not in self._expected:
            work = self.units(0, SAMPLE, about).gpu_time()
            mean = float(work.mean()) if work.any() else self.kind.sizes.mean() * self.kind.runtimes.mean(span)
            self._expected[about] = mean
        return self._expected[about]

    mean_gpu_time = expected_gpu_time

    def _begin(self, span: float) -> None:
        """Forget what was made for a window of another length, where that made a difference."""
        if span == self._span:
            return
        if self.standing or self._latest >= min(span, self._span):
            self._sample, self._ends, self._begins, self._kept, self._latest = None, [(0, 0)], [], [], 0.0
        self._span = span

    def _made(self, first: int, last: int, span: float) -> Jobs:
        """Return what :meth:`units` does, and remember when the last job would end."""
        jobs = self.units(first, last, span)
        self._latest = max(self._latest, float((jobs.start + jobs.runtime).max(initial=0.0)))
        return jobs

    def _block(self, at: int, span: float) -> Jobs:
        """Return the jobs of one block of units."""
        self._begin(span)
        if at < len(self._kept):
            return self._kept[at]
        units = self.units_at_once(span)
        made = self._made(at * units, (at + 1) * units, span)
        if at == len(self._kept) < KEPT:
            self._kept.append(made)
        return made

    def _end(self, blocks: int, span: float) -> tuple[int, int]:
        """Return the jobs and the GPU milliseconds of the first blocks."""
        self._begin(span)
        while len(self._ends) <= blocks:
            made = self._block(len(self._ends) - 1, span)
            jobs, held = self._ends[-1]
            self._ends.append((jobs + made.unit.size, held + int(_gpu_milliseconds(made).sum())))
            if self.standing:
                units = self.units_at_once(span)
                begins = np.full(units, np.inf)
                np.minimum.at(begins, made.unit - len(self._begins) * units, made.submit)
                self._begins.append(begins)
            if self._ends[-1][1] == 0 and len(self._ends) * self.units_at_once(span) > MOST_EMPTY:
                raise ConfigError(f"no job of {self.kind.key} falls into {counted(span, 'second')}; ask for more days")
        return self._ends[blocks]


def _gpu_milliseconds(jobs: Jobs) -> NDArray[np.int64]:
    return jobs.gpus * np.round(jobs.runtime * MILLI).astype(np.int64)
