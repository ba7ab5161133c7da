"""The log of decisions, as an explanation reads it: what the scheduler promised to whom, and where that is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.dividing import schedule_apart
from gpuyard.explanation.sections import bounds_of, section_of, ticks_of, virtual_clusters_of, windows_of
from gpuyard.metrics import decisions_table, schedule_digest
from gpuyard.metrics.tables import LOST
from gpuyard.ordering import is_scored
from gpuyard.policy import Policy
from gpuyard.result import Result
from gpuyard.tenancy import Tenants
from gpuyard.workload import Workload

__all__ = ["NOT_NEEDED", "Promises", "needs_log", "promises_of"]

NOT_NEEDED: Final = "not needed"
LONGEST_AGAIN: Final = 120.0
"""s of engine time: a run that took longer is not made again for the sake of an explanation."""


@dataclass(frozen=True, kw_only=True)
class Promises:
    """The log of decisions, by row of the job.  Times are ticks, NEVER for none; shape (entries,)."""

    time: NDArray[np.int64]
    job: NDArray[np.int64]
    begin: NDArray[np.int64]
    table: pa.Table
    lost: int
    """later entries that found no room"""
    place: NDArray[np.int64] | None = None
    """of each node of the log, its number here; ``None``: the same"""
    queue: NDArray[np.int64] | None = None
    """of each entry, the queue of its job; ``None``: all are of queue 0"""

    def last(self, now: int, queue: int) -> int:
        """Return the last entry about a queue up to an instant, or -1; -1 too where the log has ended by then."""
        upto = int(np.searchsorted(self.time, now, "right"))
        if self.lost and upto == self.time.size:
            return -1
        entries = self._of_queue.get(queue, np.empty(0, np.int64))
        place = int(np.searchsorted(entries, upto, "left")) - 1
        return -1 if place < 0 else int(entries[place])

    def last_of(self, row: int, now: int) -> int:
        """Return the last entry of one job up to an instant, or -1."""
        entries = self._of_job.get(row, np.empty(0, np.int64))
        place = int(np.searchsorted(self.time[entries], now, "right")) - 1
        return -1 if place < 0 else int(entries[place])

    @cached_property
    def _of_job(self) -> Mapping[int, NDArray[np.int64]]:
        return _places(self.job)

    @cached_property
    def _of_queue(self) -> Mapping[int, NDArray[np.int64]]:
        return _places(np.zeros_like(self.job) if self.queue is None else self.queue)

    def nodes(self, entry: int) -> list[int] | None:
        """Return the nodes reserved by an entry; ``None`` where their numbers found no room."""
        nodes = self.table["nodes"][entry].as_py()
        return nodes if nodes is None or self.place is None else self.place[nodes].tolist()

    def extra(self, entry: int) -> float | None:
        """Return the GPUs that others may take beside an entry; ``None`` where GPUs are not counted."""
        return self.table["extra_gpus"][entry].as_py()


def _places(column: NDArray[np.int64]) -> Mapping[int, NDArray[np.int64]]:
    """Return where each value of a column is, ascending."""
    order = np.argsort(column, kind="stable")
    values, first = np.unique(column[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, first[1:]), strict=True)) if order.size else {}


def needs_log(policy: Policy) -> bool:
    """Return whether explanations under a policy need its log of decisions."""
    if policy.replay == "recorded" or policy.decide is not None:
        return False
    return policy.backfill != "fit" and (policy.backfill != "none" or is_scored(policy))


def promises_of(
    result: Result, workload: Workload, cluster: Cluster, policy: Policy, note: Callable[[str], None]
) -> tuple[Promises | None, str]:
    """Return the log of decisions where explanations need one, and where it is from.

    ``workload``: with the jobs that had ended when the simulation began, where they are known.
    """
    parts = virtual_clusters_of(result)
    if not any(needs_log(own) for own in ([each.own_policy or policy for each in parts] or [policy])):
        return None, NOT_NEEDED
    if result.decisions is not None:
        return _lower(result.decisions, result.jobs), "saved"
    engine, run = result.numbers.get("engine"), section_of(result, "run")
    took = float(engine.get("wall_s", 0.0)) if isinstance(engine, Mapping) else 0.0
    if took > LONGEST_AGAIN:
        return None, f"the run took {took:.0f} s, too long to make it again here"
    note("making the run again, to see what was promised to whom")
    record = schedule_apart(
        workload,
        cluster,
        policy,
        virtual_clusters=parts,
        seed=int(run.get("seed", 0)),
        until=run.get("until"),
        begin=run.get("begin"),
        windows=windows_of(result, workload),
        tenants=Tenants.of(section_of(result, "tenants")),
        bounds=bounds_of(result),
        decisions=True,
    )
    if schedule_digest(record) != result.digest:
        return None, "the run, made again with this version, has another schedule than the one that was saved"
    return _lower(decisions_table(record), result.jobs), "made again"


def _lower(table: pa.Table, jobs: pa.Table) -> Promises:
    """Return the log by rows of the jobs and ticks."""
    row_of = {name: row for row, name in enumerate(jobs["job_id"].to_pylist())}
    return Promises(
        time=ticks_of(table["time"]),
        job=np.array([row_of[name] for name in table["job_id"].to_pylist()], np.int64),
        begin=ticks_of(table["begin_time"]),
        table=table,
        lost=int((table.schema.metadata or {}).get(LOST, b"0")),
    )
