"""Graphs that go on for longer than the window: which of their steps fall into it is known before their jobs are made.

A step ends with its longest job.  A run time grows with the random number it is drawn with, so that of a step outside
of the window only the greatest number is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.parents import ranges
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.expansion import ITEMS, Draws, Jobs
from gpuyard.synthesis.stages import WIDEST, spread, within

__all__ = ["Step", "standing_jobs"]

BESIDE = 1.0
"""Seconds beside the window in which a step is looked at job by job."""


class Step(NamedTuple):
    """What the jobs of one step have in common in all units."""

    stage: int
    runtimes: LogCdf
    gpus: Sizes | NDArray[np.int64] | int  # drawn for each job, given for each unit, or the same for all
    cores: float | None  # of each job, None where it holds none
    array: bool
    only_delays: bool  # its jobs hold nothing and are not made


class _Times(NamedTuple):
    """When steps run, seconds since their unit began, as nothing ever waits; all of shape (units, steps)."""

    start: NDArray[np.float64]
    longest: NDArray[np.float64]  # run time
    late: NDArray[np.float64]  # of the start, the part that is delay by steps that are not made
    number: NDArray[np.int64]  # of the unit's steps that are made, this one's, -1 for none

    def ends(self) -> NDArray[np.float64]:
        """Return when each unit ends, shape (units,)."""
        return np.asarray(np.where(self.number >= 0, self.start + self.longest, 0.0).max(axis=1))


def standing_jobs(
    draws: Draws, units: NDArray[np.int64], steps: Sequence[Step], width: NDArray[np.int64], span: float
) -> Jobs:
    """Return the jobs of units that fall into a window of ``span`` seconds, each submitted when it is due.

    ``width``, shape (units, steps), is how many jobs each unit has in each step.  All jobs of a step wait for all of
    the step before.  They draw what :class:`gpuyard.synthesis.stages.Steps` does.
    """
    counter = ranges((units[:, np.newaxis] * ITEMS + np.arange(len(steps)) * WIDEST).ravel(), width.ravel())
    chance = draws.at("runtime", counter)
    times = _times(steps, width, chance)
    whole = times.ends()
    begin = spread(draws, units) * (whole + span) - whole
    first = begin[:, np.newaxis] + times.start
    near = (times.number >= 0) & (first + times.longest > -BESIDE) & (first < span + BESIDE)
    inside = within(_jobs(draws, steps, width, times, chosen=near, counter=counter, chance=chance), begin, span)
    submit = np.round(np.maximum(begin[inside.unit] + inside.start, 0.0), 3)
    return replace(inside, submit=np.asarray(submit, dtype=np.float64))


def _times(steps: Sequence[Step], width: NDArray[np.int64], chance: NDArray[np.float64]) -> _Times:
    """Return when the steps of each unit run, given the chances of all jobs, unit by unit and step by step."""
    there = width > 0
    greatest, longest, start, lateness = np.zeros((4, *width.shape))
    ends = np.cumsum(width.ravel())
    greatest[there] = np.maximum.reduceat(chance, (ends - width.ravel())[there.ravel()])
    for place, step in _alike(steps):
        longest[:, place] = _run_times(step.runtimes, greatest[:, place].ravel()).reshape(-1, place.size)
    longest[~there] = 0.0
    ready, late = np.zeros((2, len(width)))
    for number, step in enumerate(steps):
        if step.only_delays:
            late = late + longest[:, number]
            continue
        start[:, number], lateness[:, number] = ready + late, late
        ready = np.where(there[:, number], start[:, number] + longest[:, number], ready)
        late = np.where(there[:, number], 0.0, late)
    there &= ~np.array([step.only_delays for step in steps])
    return _Times(start, longest, lateness, np.where(there, np.cumsum(there, axis=1) - 1, -1))


def _alike(steps: Sequence[Step]) -> list[tuple[NDArray[np.int64], Step]]:
    """Return the steps with the places at which each occurs: rounds repeat them."""
    places: dict[int, list[int]] = {}
    for place, step in enumerate(steps):
        places.setdefault(step.stage, []).append(place)
    return [(np.array(found), steps[found[0]]) for found in places.values()]


def _run_times(runtimes: LogCdf, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(np.round(runtimes.quantile(chance), 3), 0.001)


def _jobs(
    draws: Draws,
    steps: Sequence[Step],
    width: NDArray[np.int64],
    times: _Times,
    *,
    chosen: NDArray[np.bool_],
    counter: NDArray[np.int64],
    chance: NDArray[np.float64],
) -> Jobs:
    """Return all jobs of the chosen steps; those of a step whose step before is not chosen wait for nobody."""
    unit_of, step_of = np.nonzero(chosen)
    widths = width[chosen]
    jobs, begins = int(widths.sum()), np.cumsum(widths) - widths
    follows = np.zeros(unit_of.size, dtype=np.bool_)
    number = times.number[chosen]
    follows[1:] = (unit_of[1:] == unit_of[:-1]) & (number[1:] == number[:-1] + 1)
    before = np.where(follows, np.roll(begins, 1), begins), np.where(follows, np.roll(widths, 1), 0)
    late = np.where(times.late[chosen] > 0, times.late[chosen], np.nan)
    from_all = ranges((np.cumsum(width.ravel()) - width.ravel())[chosen.ravel()], widths)
    chance, counter = chance[from_all], counter[from_all]
    unit, step = np.repeat(unit_of, widths), np.repeat(step_of, widths)
    runtime, gpus = np.empty(jobs), np.empty(jobs, dtype=np.int64)
    stage_of = np.array([one.stage for one in steps])[step]
    for _, one in _alike(steps):
        mine = np.flatnonzero(stage_of == one.stage)
        runtime[mine] = _run_times(one.runtimes, chance[mine])
        if isinstance(one.gpus, Sizes):
            several = len(one.gpus.gpus) > 1
            gpus[mine] = one.gpus.quantile(draws.at("size", counter[mine])) if several else one.gpus.gpus[0]
        else:
            gpus[mine] = one.gpus[unit[mine]] if isinstance(one.gpus, np.ndarray) else one.gpus
    cores = np.array([np.nan if one.cores is None else one.cores for one in steps])
    is_first, nothing = number == 0, np.full(jobs, np.nan)
    return Jobs(
        unit=unit, stage=stage_of, gpus=gpus, cpus=cores[step], runtime=runtime,
        start=np.repeat(times.start[chosen], widths), submit=nothing,
        delay=np.repeat(np.where(is_first, late, np.nan), widths),
        think_time=np.repeat(np.where(follows, late, np.nan), widths),
        first_parent=np.repeat(before[0], widths), parents=np.repeat(before[1], widths),
        array=np.where(np.array([one.array for one in steps])[step], step, -1),
        deadline=nothing, state=np.full(jobs, -1),
    )  # fmt: skip
