"""The facts of one simulation: who ran where, from when to when.  Everything else is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gpuyard.bounds import Bounds
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.virtual_clusters import Division
from gpuyard.windows import NodeWindow
from gpuyard.workload import NEVER, Workload

__all__ = ["Decided", "EndReason", "Outcome", "Record"]


class Outcome(IntEnum):
    """How a job fared in the simulation."""

    COMPLETED = 0
    FAILED = 1
    """as in the record: it ran its recorded run time and failed"""
    CANCELLED = 2
    """as in the record: it ran its recorded run time and was cancelled; or a preemption cancelled it"""
    TIMED_OUT = 3
    """killed at its time limit by the simulation"""
    REJECTED = 4
    """could never run on this cluster, or had no run time; see ``Record.reject_reason``"""
    UNFINISHED = 5
    """still waiting, or still running, when the simulation stopped"""


class EndReason(IntEnum):
    """Why an attempt ended."""

    FINISHED = 0
    TIME_LIMIT = 1
    STOPPED = 2
    """the simulation stopped while it ran: its end is the stop"""
    PREEMPTED = 3
    """it made room for a more urgent job"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """What only the engine knew: its promises, and who was first; see :mod:`gpuyard.kernel.decisions`.

    Per entry, shape (entries,): ``entry``, records of :data:`gpuyard.kernel.tables.DECISION` in the order of time.
    ``node`` has the reserved nodes, entry after entry.  ``lost`` later entries found no room, and ``nameless`` entries
    none for their nodes.
    """

    entry: NDArray[np.void]
    node: NDArray[np.int32]
    lost: int
    nameless: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Facts of one run.  Times are int64 microseconds since the origin; NEVER means no time.

    Per job, shape (jobs,), in the row order of ``workload``: ``eligible`` (when it might first have
    started), ``start`` (first start), ``end`` (of the last attempt; NEVER while unfinished),
    ``outcome`` (:class:`Outcome`), ``reject_reason`` (index into ``reject_reasons``, 0 = none).

    Per attempt, shape (attempts,), in the order they started: ``attempt_job``, ``attempt_start``,
    ``attempt_end`` (the stop for an attempt that was still running), ``attempt_reason``
    (:class:`EndReason`).  Attempt ``a`` held the slots ``slot_offset[a]`` up to ``slot_offset[a + 1]``
    (``slot_offset`` has shape (attempts + 1,)).

    Per slot, shape (slots,): ``slot_node``, ``slot_gpus`` (GPUs held there; 1 for a fraction) and
    ``slot_gpu`` (lowest GPU number on that node where the run tracked GPU numbers, else -1).
    A slot holds ``gpu_milli`` of its GPU if the job asks for a fraction, else whole GPUs; that of an exclusive job
    (:attr:`exclusive`) holds all GPUs of its node.  An attempt without
    slots ran although the cluster had no room: this happens only under ``replay = "recorded"``.

    ``stop`` is the instant the simulation stopped: the last end, or the ``until`` that was asked for.  ``begin`` is
    the instant it began with a given state, or None: a job that ran by then has an earlier ``start``, and an attempt
    that starts at ``begin``.  ``windows``: maintenance and reservations of nodes.  ``bounds``: what a single job of a
    partition or QOS may ask for.
    ``tenants``: who shares the cluster, with quotas and limits; those of virtual clusters are in their ``division``.
    ``decisions`` is what the engine
    promised, where that was asked for.

    ``division``: the virtual clusters of the run, None where all jobs have one queue; then ``policy`` is that of those
    without one of their own, and ``max_queue`` that of the longest queue.

    Where jobs can be preempted, per attempt: ``attempt_useful`` (microseconds of work that need not be done again) and
    ``attempt_cause`` (the row of the job that it made room for, or -1); else None.  Under a policy with cells also
    ``attempt_guest``: whether it ran as an opportunistic job, in cells that were lent.
    """

    workload: Workload
    cluster: Cluster
    policy: Policy
    seed: int
    stop: int
    eligible: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    outcome: NDArray[np.int8]
    reject_reason: NDArray[np.int16]
    reject_reasons: tuple[str, ...]
    attempt_job: NDArray[np.int32]
    attempt_start: NDArray[np.int64]
    attempt_end: NDArray[np.int64]
    attempt_reason: NDArray[np.int8]
    slot_offset: NDArray[np.int64]
    slot_node: NDArray[np.int32]
    slot_gpus: NDArray[np.int32]
    slot_gpu: NDArray[np.int32]
    events: int
    passes: int
    max_queue: int
    kernel_s: float
    begin: int | None = None
    windows: tuple[NodeWindow, ...] = ()
    bounds: tuple[Bounds, ...] = ()
    tenants: Tenants = NO_TENANTS
    decisions: Decided | None = None
    attempt_useful: NDArray[np.int64] | None = None
    attempt_cause: NDArray[np.int32] | None = None
    division: Division | None = None
    attempt_guest: NDArray[np.bool_] | None = None

    @property
    def is_shared(self) -> bool:
        """Whether tenants share the cluster, or a virtual cluster."""
        return any(self.division.tenants) if self.division is not None else bool(self.tenants)

    @property
    def useful(self) -> NDArray[np.int64]:
        """Time of each attempt that counted: without restarts, checkpoints and what was lost; shape (attempts,)."""
        return self.attempt_end - self.attempt_start if self.attempt_useful is None else self.attempt_useful

    @property
    def cancelled(self) -> NDArray[np.bool_]:
        """Which jobs a preemption cancelled: they ended with an attempt that made room for another; shape (jobs,)."""
        last = np.full(self.end.size, EndReason.FINISHED, np.int8)
        last[self.attempt_job] = self.attempt_reason  # of several attempts the last is written
        return np.asarray((last == EndReason.PREEMPTED) & (self.end != NEVER), dtype=np.bool_)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policy of each virtual cluster, and after them that of the run."""
        return (self.policy,) if self.division is None else (*self.division.policies, self.policy)

    @property
    def policy_of(self) -> NDArray[np.int64]:
        """Which of :attr:`policies` each job is under, int64, shape (jobs,)."""
        if self.division is None:
            return np.zeros(len(self.workload), np.int64)
        return self.division.member.astype(np.int64) % len(self.policies)

    def by_policy(self, test: Callable[[Policy], bool]) -> NDArray[np.bool_]:
        """Return of which jobs the policy passes a test, bool, shape (jobs,)."""
        return np.array([test(policy) for policy in self.policies])[self.policy_of]

    @property
    def exclusive(self) -> NDArray[np.bool_]:
        """Which jobs have their nodes to themselves, bool, shape (jobs,)."""
        return (self.workload.integers("exclusive", 0) > 0) | self.by_policy(lambda policy: policy.exclusive)

    @property
    def held_share(self) -> NDArray[np.int64]:
        """Thousandths of its one GPU that each job holds, int64, shape (jobs,); 0 for a job that holds whole GPUs."""
        return np.where(self.exclusive, 0, self.workload.integers("gpu_milli", 0))
