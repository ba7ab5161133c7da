"""Which jobs of a workload take part in a simulation, and what is believed of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.beginning import Beginning, begin_at, with_stated_limits
from gpuyard.bounds import Bounds, with_time_limits
from gpuyard.errors import ConfigError
from gpuyard.ordering import estimate_run_times, static_rank
from gpuyard.parents import coded_table, without_dangling
from gpuyard.policy import Policy
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Participants", "participants"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Participants:
    """The jobs that take part, sorted by submit time.

    ``everybody``: the workload that they are of.  ``rows``: int64, shape (jobs,), their rows in it.  ``number``: int64,
    shape (jobs,), the rows that random numbers are drawn by; empty where those are their own.  ``middle``: the state
    that the simulation begins with, None for an empty cluster.  ``estimate``: int64 microseconds, shape (jobs,);
    ``rank``: int32, shape (jobs,), a permutation: their places in an order that stays.  ``bounds``: what a single
    job of a partition or QOS may ask for.
    """

    workload: Workload
    everybody: Workload
    rows: NDArray[np.int64]
    number: NDArray[np.int64]
    middle: Beginning | None
    estimate: NDArray[np.int64]
    rank: NDArray[np.int32]
    bounds: tuple[Bounds, ...] = ()

    def only(self, rows: NDArray[np.int64], name: str) -> Participants:
        """Return some of them (their rows, ascending), as jobs of a workload of that name.

        What is believed of them stays, and so do their random numbers.  None of them may wait for one left out; what
        those depended on that run already is of no account.
        """
        kept = np.zeros(len(self.workload), np.bool_)
        kept[rows] = True
        stated = with_stated_limits(self.workload, kept)
        held, _ = without_dangling(stated.held.take(pa.array(rows)))
        workload = Workload(held=coded_table(held), name=name)
        rank = np.empty(rows.size, np.int32)
        rank[np.argsort(self.rank[rows], kind="stable")] = np.arange(rows.size)
        middle = None
        if self.middle is not None:
            middle = Beginning(
                workload=workload,
                begin=self.middle.begin,
                running=self.middle.running[rows],
                start=self.middle.start[rows],
                end=self.middle.end[rows],
                kept=np.isin(np.arange(len(self.everybody)), self.rows[rows]),
            )
        return Participants(
            workload=workload,
            everybody=self.everybody,
            rows=self.rows[rows],
            number=self.number[rows] if self.number.size else rows,
            middle=middle,
            estimate=self.estimate[rows],
            rank=rank,
            bounds=self.bounds,
        )


def participants(
    workload: Workload, policy: Policy, *, begin: float | None, seed: int, bounds: Sequence[Bounds] = ()
) -> Participants:
    """Return those of a workload that have not ended when a simulation begins; without ``begin`` (s), all.

    The history behind estimates is that of all jobs.  Jobs without a time limit have that of their partition or QOS.

    Raises
    ------
    ConfigError
        For bounds beside recorded replay.
    """
    if bounds and policy.replay == "recorded":
        raise ConfigError(
            "replay recorded starts every job that the record started, whatever the bounds of partitions and QOS; "
            "leave them out, or choose replay = schedule"
        )
    workload = with_time_limits(workload, bounds)
    middle = None if begin is None else begin_at(workload, round(begin * MICROSECOND))
    jobs = workload if middle is None else middle.workload
    if middle is None or policy.estimate != "history":
        estimate = estimate_run_times(jobs, policy, seed)
    else:
        estimate = estimate_run_times(workload, policy, seed)[middle.kept]
    return Participants(
        workload=jobs,
        everybody=workload,
        rows=np.arange(len(workload)) if middle is None else np.flatnonzero(middle.kept),
        number=np.empty(0, np.int64),
        middle=middle,
        estimate=estimate,
        rank=static_rank(jobs, policy, estimate, seed),
        bounds=tuple(bounds),
    )
