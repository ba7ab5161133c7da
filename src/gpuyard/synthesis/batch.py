"""Jobs of one kind as columns of numbers, and such columns taken apart, put together and taken in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.synthesis.expansion import Jobs
from gpuyard.synthesis.kinds import Kind
from gpuyard.workload import MICROSECOND, NEVER, to_ticks

__all__ = [
    "STATE_NAMES",
    "Batch",
    "Link",
    "Place",
    "cut",
    "in_order",
    "joined",
    "later",
    "part",
    "placed",
    "unit_column",
]

STATE_NAMES = ("completed", "cancelled", "failed")


class Link(NamedTuple):
    """What jobs wait for after others of their kind; both of shape (jobs,)."""

    after: NDArray[np.int64]  # number of a job in the series, -1 for none
    think_time: NDArray[np.float64]  # s after its end, not-a-number for none


class Place(NamedTuple):
    """Where jobs are made, and which part of the workload that is: all of it, or a stage of a site that grows."""

    node_gpus: tuple[int, ...] = ()
    """The different numbers of GPUs of the nodes that are there, where known."""
    ticks: int = 0
    """Microseconds of the workload that lie before the part; a job's times have them in, its delay is of the part."""
    ending: str = ""
    """What stands behind the names of jobs and arrays of the part."""


WHOLE_WORKLOAD = Place()


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Jobs of one kind, in order of submission; every column has shape (jobs,)."""

    kind: Kind
    number: NDArray[np.int64]  # position in the endless series of the kind, or in its unit, from 0
    submit: NDArray[np.float64]  # s since the start of the window
    runtime: NDArray[np.float64]  # s
    gpus: NDArray[np.int64]
    tenant: NDArray[np.int64]  # position among the spec's tenants
    user: NDArray[np.int64]  # number within the tenant, from 1
    state: NDArray[np.int64]  # position in STATE_NAMES
    time_limit: NDArray[np.float64]  # s, not-a-number for none
    jobs: Jobs | None = None  # of jobs of units: what else is known; their first_parent is its number in the unit
    link: Link | None = None  # of other jobs in a closed loop
    milli: NDArray[np.int64] | None = None  # thousandths of each GPU, None where all are whole
    place: Place = WHOLE_WORKLOAD

    @property
    def series(self) -> tuple[str, str]:
        """What tells the series of the jobs from that of others: its kind, and the part of the workload."""
        return self.kind.key, self.place.ending

    def stage(self) -> NDArray[np.int64]:
        """Return each job's position among the stages of the kind."""
        return np.zeros(self.submit.size, dtype=np.int64) if self.jobs is None else self.jobs.stage


_COLUMNS = tuple(one.name for one in fields(Batch) if one.name not in ("kind", "jobs", "link", "milli", "place"))


def part(batch: Batch, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Batch:
    """Return these rows."""
    columns: dict[str, Any] = {name: getattr(batch, name)[rows] for name in _COLUMNS}
    if batch.jobs is not None:
        columns["jobs"] = Jobs(**{one.name: getattr(batch.jobs, one.name)[rows] for one in fields(Jobs)})
    if batch.link is not None:
        columns["link"] = Link(batch.link.after[rows], batch.link.think_time[rows])
    if batch.milli is not None:
        columns["milli"] = batch.milli[rows]
    return replace(batch, **columns)


def joined(batches: list[Batch]) -> Batch:
    """Return the jobs of batches of one kind as one batch."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _COLUMNS}
    units = [batch.jobs for batch in batches if batch.jobs is not None]
    if units:
        parts = {one.name: np.concatenate([getattr(unit, one.name) for unit in units]) for one in fields(Jobs)}
        columns["jobs"] = Jobs(**parts)
    shared = [batch.milli for batch in batches if batch.milli is not None]
    if shared:
        columns["milli"] = np.concatenate(shared)
    return replace(batches[0], **columns)


def placed(batch: Batch, place: Place) -> Batch:
    """Return the jobs, whose times are of a part of a workload, where that part is in it."""
    jobs = batch.jobs
    if jobs is not None and place.ticks:
        jobs = replace(jobs, deadline=later(jobs.deadline, place.ticks))
    return replace(batch, place=place, submit=later(batch.submit, place.ticks), jobs=jobs)


def later(seconds: NDArray[np.float64], ticks: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Return instants so many microseconds later, exactly; what is not a number stays so."""
    if not np.any(ticks):
        return seconds
    at = to_ticks(seconds)
    known = at != NEVER
    return np.where(known, (at + np.where(known, ticks, 0)) / MICROSECOND, np.nan)


def cut(batches: Iterable[Batch], end: float) -> tuple[list[Batch], list[Batch]]:
    """Return the jobs submitted before the end, and those that are left, of batches in order of submission."""
    found, rest = list[Batch](), list[Batch]()
    for batch in batches:
        at = int(np.searchsorted(batch.submit, end))
        found += [part(batch, slice(at))] if at else []
        rest += [part(batch, slice(at, None))] if at < batch.submit.size else []
    return found, rest


def in_order(
    series: Sequence[Iterator[Batch]], ends: Sequence[float], begins: Sequence[float] | None = None
) -> Iterator[list[Batch]]:
    """Return the jobs of all series submitted before each end, in turn, and then all that are left.

    Each series is in order of submission, in batches of 1 job or more; no more of it is held than reaches past the end,
    and nothing of one that begins at the end or later (``begins``, s; no job of it is submitted before).
    """
    waiting: list[list[Batch]] = [[] for _ in series]
    for end in (*ends, np.inf):
        found: list[Batch] = []
        for held, more, begin in zip(waiting, series, begins or [-np.inf] * len(series), strict=True):
            while begin < end and (not held or held[-1].submit[-1] < end):
                batch = next(more, None)
                if batch is None:
                    break
                held.append(batch)
            submitted, held[:] = cut(held, end)
            found += submitted
        yield found


def unit_column(batches: list[Batch], name: str, missing: float) -> NDArray[Any]:
    """Return a column of the jobs of units, with a value for the other jobs; those of a closed loop have one parent."""
    columns = []
    for batch in batches:
        own: dict[str, NDArray[Any]] = {}
        if batch.link is not None:
            after, think_time = batch.link
            own = {
                "parents": (after >= 0).astype(np.int64),
                "first_parent": np.maximum(after, 0),
                "think_time": think_time,
            }
        if batch.jobs is not None:
            columns.append(getattr(batch.jobs, name))
        else:
            columns.append(own.get(name, np.full(batch.submit.size, missing)))
    whole = np.concatenate(columns)
    return np.asarray(whole.astype(np.int64) if isinstance(missing, int) else whole)
