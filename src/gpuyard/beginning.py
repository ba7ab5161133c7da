"""Beginning in the middle: what the record says of an instant becomes the state that a simulation begins with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.tables import Dependencies, Jobs
from gpuyard.workload import MICROSECOND, NEVER, Workload, array_tasks, to_ticks

__all__ = ["Beginning", "begin_at", "set_beginning", "with_stated_limits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Beginning:
    """The jobs that had not ended when a simulation begins.

    ``begin``: int64 microseconds.  ``kept``: bool, shape (all jobs,), which jobs those are.  ``running``: bool, shape
    (jobs,), which of them run by then; ``start`` and ``end``: int64 microseconds, shape (jobs,), from when to when by
    the record, NEVER for the others.
    """

    workload: Workload
    begin: int
    kept: NDArray[np.bool_]
    running: NDArray[np.bool_]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


def begin_at(workload: Workload, begin: int) -> Beginning:
    """Return what is left of a workload at an instant, microseconds: jobs that had ended by the record are left out.

    A dependency on a job that is left out is met: it becomes a bound of ``not_before``.
    """
    start = to_ticks(workload.floats("start_time"))
    start = np.where(start == NEVER, NEVER, np.maximum(start, workload.submit))
    end = to_ticks(workload.floats("end_time"))
    known = (end == NEVER) & (start != NEVER) & (workload.runtime != NEVER)
    end[known] = start[known] + workload.runtime[known]
    kept = end > begin
    left = with_stated_limits(_bound(workload, end, kept), kept).where(
        kept, f"ended by {begin / MICROSECOND:g} s, when the simulation begins"
    )
    start, end = start[kept], end[kept]
    running = (start < begin) & (end != NEVER)
    return Beginning(
        workload=left,
        begin=begin,
        kept=kept,
        running=running,
        start=np.where(running, start, NEVER),
        end=np.where(running, end, NEVER),
    )


def with_stated_limits(workload: Workload, kept: NDArray[np.bool_]) -> Workload:
    """Return the workload in which every task states the limit of its array: who stated it may be left out.

    ``kept``: bool, shape (jobs,), the jobs that are not.
    """
    if kept.all() or not workload.has("array_limit"):
        return workload
    code, limit = array_tasks(workload)
    column = pa.array(np.append(limit, 0)[code].astype(np.int32), mask=code < 0)
    at = workload.held.schema.get_field_index("array_limit")
    table = workload.held.set_column(at, workload.held.schema.field(at), column)
    return Workload(held=table, name=workload.name, rejected=workload.rejected, notes=workload.notes)


def _bound(workload: Workload, end: NDArray[np.int64], kept: NDArray[np.bool_]) -> Workload:
    """Return the workload in which jobs wait until think time after the ends of those they need not wait for."""
    if kept.all() or not workload.has("depends_on"):
        return workload
    think = to_ticks(workload.floats("think_time"))
    bound = to_ticks(workload.floats("not_before"))
    bound[bound == NEVER] = -NEVER
    parent, child = workload.parents.edges()
    met = ~kept[parent]
    delay = np.where(think == NEVER, 0, think)[child[met]]
    np.maximum.at(bound, child[met], end[parent[met]] + delay)
    at = workload.held.schema.get_field_index("not_before")
    column = pa.array(bound / MICROSECOND, mask=bound == -NEVER)
    table = workload.held.set_column(at, workload.held.schema.field(at), column)
    return Workload(held=table, name=workload.name, rejected=workload.rejected, notes=workload.notes)


def set_beginning(
    jobs: Jobs, middle: Beginning, dependencies: Dependencies, accepted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Write what is known of jobs that were there before the first instant; return the rows of those that run.

    The tables may have rows after those of the jobs.
    Whoever becomes eligible at once when the simulation begins has been since it was ready.
    """
    submit, begin = middle.workload.submit, middle.begin
    hold = dependencies.hold[: submit.size]
    rows = np.flatnonzero(middle.running & accepted)
    jobs.job["submit"][: submit.size] = np.maximum(submit, begin)
    jobs.job["start"][rows] = middle.start[rows]
    jobs.job["eligible"][rows] = submit[rows]
    ready, at_once = submit, accepted & ~middle.running
    if hold.size:
        ready = np.maximum(submit, hold["bound"])
        at_once &= (hold["unmet"] == 0) & (ready <= begin)
        tasks = np.flatnonzero(at_once & (hold["array"] != NOBODY))
        tasks = tasks[np.argsort(hold["array"][tasks], kind="stable")]
        array = hold["array"][tasks]
        place = np.arange(tasks.size) - np.searchsorted(array, array)
        at_once[tasks[place >= dependencies.array["free"][array]]] = False
    since = np.flatnonzero(at_once & (ready < begin))
    jobs.job["eligible"][since] = ready[since]
    return rows
