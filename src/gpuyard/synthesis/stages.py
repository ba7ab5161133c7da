"""Builds the jobs of units step by step, a barrier between steps; CPU steps where the cluster knows CPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.expansion import Draws, Jobs

__all__ = ["WIDEST", "Steps", "spread", "within"]

GOLDEN = (5**0.5 - 1) / 2

WIDEST = 1 << 12
"""Tasks of one step of a unit: each has a random number of its own."""


class Steps:
    """The units of some numbers, to which steps are added in the order in which they run.

    All tasks of a step wait for all tasks of the step before.  Where ``node_cpus`` is None, the cluster has nothing
    that a task without GPUs could hold: such a step delays what follows by its longest task.  No task runs longer than
    ``longest`` seconds.  ``item`` is where the random numbers of each unit begin, for units of the same number.
    """

    def __init__(
        self,
        draws: Draws,
        units: NDArray[np.int64],
        node_cpus: float | None,
        *,
        longest: float = np.inf,
        item: NDArray[np.int64] | None = None,
    ) -> None:
        self._draws, self._units, self._node_cpus, self._longest = draws, units, node_cpus, longest
        self._item = np.zeros(units.size, dtype=np.int64) if item is None else item
        self._steps: list[dict[str, NDArray[Any]]] = []
        self._number = 0
        self._jobs = np.zeros(units.size, dtype=np.int64)  # of each unit, so far
        self._before = np.zeros(units.size, dtype=np.int64)  # number in its unit of the first job of the step before
        self._width = np.zeros(units.size, dtype=np.int64)  # and how many jobs that step has
        self._ready = np.zeros(units.size)  # s since the unit began: when the step before is done
        self._late = np.zeros(units.size)  # s: delay by steps that are not made

    def step(
        self,
        stage: int,
        width: NDArray[np.int64] | int,
        runtimes: LogCdf | NDArray[np.float64],
        *,
        gpus: Sizes | NDArray[np.int64] | int = 0,
        cpus: float = 0.0,
        array: bool = False,
    ) -> None:
        """Add a step of ``width`` tasks in each unit, 0 for units that have none.

        Parameters
        ----------
        runtimes
            Of each task: drawn, or given for each unit.
        gpus
            Of each task: drawn for each, given for each unit, or the same for all.
        cpus
            Cores of each task; no more are asked for than the smallest node has.
        array
            The tasks are one array.
        """
        widths = np.broadcast_to(np.asarray(width, dtype=np.int64), self._units.shape)
        unit = np.repeat(np.arange(widths.size), widths)
        task = np.arange(unit.size) - np.repeat(np.cumsum(widths) - widths, widths)
        number, item = self._units[unit], self._item[unit] + self._number * WIDEST + task
        self._number += 1
        if isinstance(runtimes, LogCdf):
            runtime = runtimes.quantile(self._draws.uniform("runtime", number, item))
        else:
            runtime = runtimes[unit]
        runtime = np.minimum(np.maximum(np.round(runtime, 3), 0.001), self._longest)
        if isinstance(gpus, Sizes) and len(gpus.gpus) > 1:
            size = gpus.quantile(self._draws.uniform("size", number, item))
        else:
            each = gpus.gpus[0] if isinstance(gpus, Sizes) else gpus
            size = np.broadcast_to(np.asarray(each, dtype=np.int64), self._units.shape)[unit]
        if self._node_cpus is None and not size.any():
            np.maximum.at(longest := np.zeros(self._units.size), unit, runtime)
            self._late += longest
            return
        start = (self._ready + self._late)[unit]
        self._steps.append({
            "unit": unit, "item": self._jobs[unit] + task, "stage": np.full(unit.size, stage), "gpus": size,
            "cpus": np.full(unit.size, min(cpus, self._node_cpus or 0.0) or np.nan),
            "runtime": runtime, "start": start, "late": self._late[unit],
            "before": self._before[unit], "parents": self._width[unit],
            "array": np.full(unit.size, self._number - 1 if array else -1),
        })  # fmt: skip
        had = widths > 0
        np.maximum.at(end := np.zeros(self._units.size), unit, start + runtime)
        self._ready, self._late = np.where(had, end, self._ready), np.where(had, 0.0, self._late)
        self._before, self._width = np.where(had, self._jobs, self._before), np.where(had, widths, self._width)
        self._jobs = self._jobs + widths

    def jobs(self) -> Jobs:
        """Return the jobs of all steps, unit by unit."""
        columns = {name: np.concatenate([step[name] for step in self._steps]) for name in self._steps[0]}
        first = np.cumsum(self._jobs) - self._jobs
        order = np.empty(columns["unit"].size, dtype=np.int64)
        order[first[columns["unit"]] + columns["item"]] = np.arange(order.size)
        columns = {name: column[order] for name, column in columns.items()}
        late, child = np.where(columns["late"] > 0, columns["late"], np.nan), columns["parents"] > 0
        nothing = np.full(order.size, np.nan)
        return Jobs(
            unit=columns["unit"], stage=columns["stage"], gpus=columns["gpus"], cpus=columns["cpus"],
            runtime=columns["runtime"], start=columns["start"], submit=nothing,
            delay=np.where(child, np.nan, late), think_time=np.where(child, late, np.nan),
            first_parent=first[columns["unit"]] + columns["before"], parents=columns["parents"],
            array=columns["array"], deadline=nothing, state=np.full(order.size, -1),
        )  # fmt: skip


def spread(draws: Draws, units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each unit; the first few are spread evenly (multiples of the golden ratio)."""
    first = draws.uniform("begin", np.zeros(1, dtype=np.int64))
    return np.asarray((first + units * GOLDEN) % 1.0, dtype=np.float64)


def within(jobs: Jobs, begin: NDArray[np.float64], span: float) -> Jobs:
    """Return what is due in a window of ``span`` seconds of units that began at ``begin`` (s, maybe before it).

    A job that would have ended before the window, or would start after it, is left out, and of one that would run on
    either side only the part inside is left.  Planned starts are those at which nothing ever waits.
    """
    start = begin[jobs.unit] + jobs.start
    end = start + jobs.runtime
    keep = (np.round(end, 3) > 0) & (np.round(start, 3) < span)
    kept = jobs.where(keep)
    inside = np.round(np.minimum(end, span) - np.maximum(start, 0.0), 3)[keep]
    first = np.maximum(kept.start, -begin[kept.unit])
    return replace(kept, start=first, runtime=np.maximum(inside, 0.001))
