"""Kinds of which one submission is several jobs: chains, arrays and graphs.

A *unit* is what somebody submits once: a free-energy edge, an active-learning loop, a pre-training campaign.  Units
of a kind are numbered; an :class:`Expansion` says which jobs the units of given numbers consist of.  Whatever it draws,
it draws by purpose, number of the unit and item, so that the jobs of unit 17 are the same however many units are made,
in whatever pieces, and beside whatever other kinds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gpuyard.streams import stream_key, uniform_at
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.published import Evidence

__all__ = ["ITEMS", "Draws", "Expansion", "Jobs", "Lasting", "Main", "Site", "Stage", "joined"]

ITEMS = 1 << 24
"""Items of one unit that have a random number of their own for one purpose."""


class Site(NamedTuple):
    """What units are made for, but for the length of the window."""

    gpus: int
    largest: int  # GPUs of the largest job that it takes
    growth: float  # exponent of campaigns beyond the cluster they were published for
    node_cpus: float | None  # CPU cores of its smallest node; None where it states none: CPU stages are then delays
    start: datetime  # second 0 of the window
    part: tuple[float, float] = (0.0, 0.0)  # of a longer workload: seconds that lie before the window, and of all


class Stage(NamedTuple):
    """What the jobs of one stage have in common."""

    name: str  # the job_name
    priority: int
    activity: float
    array_limit: int | None = None  # tasks of one array that may be eligible or running at once
    preemptible: bool = True
    domain: int = 1  # GPUs, from the first on, that share a domain of fast links
    checkpoint_interval: float | None = None  # s of work between two, 0: nothing is lost; None: not stated


class Main(NamedTuple):
    """What a kind says of itself, and some of its stages repeat."""

    priority: int
    activity: float
    preemptible: bool
    runtimes: LogCdf
    checkpoint_interval: float | None = None  # as of Stage

    def changed(self, stage: Stage, after: Main) -> Stage:
        """Return a stage with what it repeats as it is ``after`` a change."""
        priority = after.priority if stage.priority == self.priority else stage.priority
        activity = after.activity if stage.activity == self.activity else stage.activity
        preemptible = after.preemptible if stage.preemptible == self.preemptible else stage.preemptible
        own = stage.checkpoint_interval
        return stage._replace(
            priority=priority,
            activity=activity,
            preemptible=preemptible,
            checkpoint_interval=after.checkpoint_interval if own == self.checkpoint_interval else own,
        )


class Draws:
    """Random numbers of one kind of one seed, by purpose, unit and item."""

    def __init__(self, seed: int, stem: str) -> None:
        self._seed, self._stem = seed, stem
        self._keys: dict[str, int] = {}

    def uniform(self, purpose: str, unit: NDArray[np.int64], item: NDArray[np.int64] | int = 0) -> NDArray[np.float64]:
        """Return a number in [0, 1) for each unit and its item (below ITEMS), of the shape of both."""
        return self.at(purpose, np.asarray(unit * ITEMS + item, dtype=np.int64))

    def at(self, purpose: str, counter: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the numbers of units and items that are given as one: the unit times ITEMS, plus the item."""
        if purpose not in self._keys:
            self._keys[purpose] = stream_key(self._seed, f"{self._stem}:{purpose}")
        return uniform_at(self._keys[purpose], counter)


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """Jobs of some units, unit by unit, in each unit parents before children; every column has shape (jobs,).

    The parents of a job are neighbours: all tasks of the stage before, or one job of it.
    """

    unit: NDArray[np.int64]  # position among the units asked for, ascending
    stage: NDArray[np.int64]  # position among the stages of the kind
    gpus: NDArray[np.int64]
    cpus: NDArray[np.float64]  # cores of the whole job, not-a-number where it holds none
    runtime: NDArray[np.float64]  # s
    start: NDArray[np.float64]  # s since its unit began, if nothing ever waits: the critical path up to the job
    submit: NDArray[np.float64]  # s since the start of the window, not-a-number: together with its unit
    delay: NDArray[np.float64]  # s from submission until it may start, not-a-number for none
    think_time: NDArray[np.float64]  # s after its parents, not-a-number for none
    first_parent: NDArray[np.int64]  # row of the first parent
    parents: NDArray[np.int64]  # how many
    array: NDArray[np.int64]  # number of its array in the unit, -1 for none
    deadline: NDArray[np.float64]  # s since the start of the window, not-a-number for none
    state: NDArray[np.int64]  # as in STATE_NAMES of the table, -1 where the shares of the kind decide

    def gpu_time(self) -> NDArray[np.float64]:
        """Return the GPU seconds of each job."""
        return self.gpus * self.runtime

    def item(self) -> NDArray[np.int64]:
        """Return the number of each job in its unit, from 0."""
        rows = np.arange(self.unit.size)
        begins = np.r_[True, self.unit[1:] != self.unit[:-1]] if self.unit.size else np.empty(0, dtype=np.bool_)
        return np.asarray(rows - np.maximum.accumulate(np.where(begins, rows, 0)), dtype=np.int64)

    def first(self, jobs: int) -> Jobs:
        """Return the first rows; parents come first, so that none is lost."""
        return self.rows(0, jobs)

    def rows(self, begin: int, end: int) -> Jobs:
        """Return the rows from one on to another, which is not included; the first is the first of its unit."""
        columns = {one.name: getattr(self, one.name)[begin:end] for one in fields(self)}
        columns["first_parent"] = columns["first_parent"] - begin
        return Jobs(**columns)

    def where(self, keep: NDArray[np.bool_]) -> Jobs:
        """Return the rows that ``keep`` marks; a job whose parents all go depends on nothing."""
        before = np.concatenate(([0], np.cumsum(keep)))
        first, last = before[self.first_parent], before[self.first_parent + self.parents]
        kept = Jobs(**{one.name: getattr(self, one.name)[keep] for one in fields(self)})
        parents = (last - first)[keep]
        think_time = np.where(parents > 0, kept.think_time, np.nan)
        return replace(kept, first_parent=first[keep], parents=parents, think_time=think_time)


def joined(blocks: list[Jobs], units: list[int]) -> Jobs:
    """Return the jobs of blocks of units as one; ``units`` says how many units each block is of."""
    rows = np.cumsum([0, *(one.unit.size for one in blocks)])
    firsts = np.cumsum([0, *units])
    columns = {one.name: np.concatenate([getattr(block, one.name) for block in blocks]) for one in fields(Jobs)}
    columns["unit"] += np.repeat(firsts[:-1], np.diff(rows))
    columns["first_parent"] += np.repeat(rows[:-1], np.diff(rows))
    return Jobs(**columns)


class Expansion(Protocol):
    """From numbers of units to their jobs."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that jobs name by position."""
        ...

    @property
    def standing(self) -> bool:
        """Whether units may begin before the window, and their jobs have submit times of their own."""
        ...

    @property
    def most_at_once(self) -> int:
        """How many units may be made at once: few where one takes long to make, or there are few."""
        ...

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return what shapes a unit besides the sizes and run times of its kind: figure, value, evidence."""
        ...

    def changed(self, given: Changes, before: Main, after: Main) -> Expansion:
        """Return the expansion with what a user changed of it, and of its kind.

        Raises
        ------
        ConfigError
            For a value of the wrong type or range, and for a change of the kind that has no meaning here.
        """
        ...

    def jobs(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes, site: Site, span: float) -> Jobs:
        """Return the jobs of the units of these numbers (ascending) that a window of ``span`` seconds sees.

        ``sizes`` are those of the kind on the site.  All that the window may do to a unit that does not stand is to cut
        jobs that would run for longer than all of it.  Standing units are spread over the window by the expansion; the
        others are submitted when the kind's rhythm says.
        """
        ...


@runtime_checkable
class Lasting(Expansion, Protocol):
    """Standing units that last as long as the window: their jobs can be made part by part of it."""

    def due(
        self,
        draws: Draws,
        units: NDArray[np.int64],
        sizes: Sizes,
        site: Site,
        span: float,
        part: tuple[float, float],
    ) -> Jobs:
        """Return those of :meth:`jobs` that are submitted in a part of the window: from one second on, before another.

        The jobs of each unit are in order of submission, and a job and its parents are submitted at one instant.
        """
        ...
