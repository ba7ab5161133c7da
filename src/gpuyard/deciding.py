"""What a user's own policy sees in a pass, and how what it says becomes the engine's orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.custom import OwnPolicy
from gpuyard.errors import GpuyardError, PolicyError
from gpuyard.kernel.callback import Callback
from gpuyard.kernel.called import Blame, Verdict, build_verdict
from gpuyard.kernel.codes import NOBODY, Count
from gpuyard.kernel.contenders import Contenders
from gpuyard.kernel.named import Fault
from gpuyard.kernel.tables import Events, Jobs, Log, Records, Site
from gpuyard.lowering import Asked
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Session", "State"]

_FAULTS = {
    Fault.NOT_WAITING: "is not waiting",
    Fault.TWICE: "is named twice",
    Fault.TOO_MANY_NODES: "is given more nodes than it has chunks",
    Fault.TOO_FEW_NODES: "is given too few nodes",
    Fault.NO_SUCH_NODE: "is given node {node}, which does not exist",
    Fault.NODE_TWICE: "is given node {node} twice",
    Fault.WRONG_TYPE: "is given node {node}, whose GPUs are not of its type",
    Fault.NO_ROOM: "is given node {node}, which has no room for it",
}


class State:
    """The site and its queue at one instant; read only, and true only until ``decide`` returns."""

    __slots__ = (
        "_estimate",
        "_events",
        "_jobs",
        "_log",
        "_waiting",
        "free_gpus",
        "node_gpus",
        "now",
        "size",
        "waiting",
    )

    now: float
    """s"""
    size: int
    """how many jobs wait"""
    waiting: Records
    """records of the waiting jobs in the order in which they became eligible; of their fields, which are those of
    ``gpuyard.kernel.contenders.FEATURES``, ``row`` names the job and ``wait`` is how long it has waited"""
    free_gpus: NDArray[np.int32]
    """shape (nodes,): wholly free GPUs of each node"""
    node_gpus: NDArray[np.int32]
    """shape (nodes,): all its GPUs"""

    def __init__(
        self, contenders: Contenders, jobs: Jobs, site: Site, log: Log, events: Events, estimate: NDArray[np.int64]
    ) -> None:
        self._waiting = _read_only(contenders.waiting)
        self._jobs, self._log, self._events = jobs, log, events
        self._estimate = estimate
        self.free_gpus = _read_only(site.node["free"])
        self.node_gpus = _read_only(site.node["size"])
        self.now, self.size, self.waiting = 0.0, 0, self._waiting[:0]

    def _at(self, now: int) -> None:
        self.now = now / MICROSECOND
        self.size = int(self._events.counter[Count.WAITING])
        self.waiting = self._waiting[: self.size]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows of the waiting jobs, in the order in which they became eligible."""
        rows: NDArray[np.int64] = self.waiting["row"]
        return rows

    @property
    def running(self) -> NDArray[np.int64]:
        """The rows of the running jobs, ascending."""
        rows = self._events.ends.row[: int(self._events.counter[Count.RUNNING])]
        return np.sort(rows).astype(np.int64)

    def expected_ends(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when running jobs are expected to end, s: their starts plus their estimates."""
        ends: NDArray[np.float64] = (self._jobs.job["start"][rows] + np.maximum(self._estimate[rows], 1)) / MICROSECOND
        return ends

    def nodes_of(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the nodes that a running job holds, and its GPUs on each."""
        claim = self._jobs.claim[row]
        slots = self._log.slots[int(claim["slot"]) : int(claim["slot"]) + int(claim["slots"])]
        return slots["node"].copy(), slots["gpus"].copy()


class Session:
    """One run of a user's own policy: asks it, and keeps what went wrong."""

    def __init__(
        self,
        policy: OwnPolicy,
        *,
        workload: Workload,
        cluster: Cluster,
        asked: Asked,
        contenders: Contenders,
        tables: tuple[Jobs, Site, Log, Events],
        estimate: NDArray[np.int64],
    ) -> None:
        jobs, site, log, events = tables
        self._policy, self._workload, self._cluster = policy, workload, cluster
        self._chunks = asked.chunks[asked.demand]
        self._state = State(contenders, jobs, site, log, events, estimate)
        self._failure: BaseException | None = None
        self.verdict: Verdict = build_verdict(len(workload), log.slots.size, cluster.nodes)
        self._callback = Callback(self._ask)
        self._contenders = contenders
        begin = getattr(policy.decider, "begin", None)
        if begin is not None:
            begin(cluster)

    def _ask(self, now: int) -> int:
        """Ask whom to start; return how many, or -1 where that failed."""
        try:
            self._state._at(now)
            return self._write(self._policy.decider.decide(self._state))
        except BaseException as problem:  # raised again when the engine has stopped
            self._failure = problem
            return NOBODY

    def _write(self, said: Any) -> int:
        """Write down what was decided."""
        verdict = self.verdict
        if said is None:
            return 0
        if isinstance(said, np.ndarray) and said.dtype.kind in "iu" and said.ndim == 1:
            if said.size > self._state.size:
                raise self._problem(f"names {said.size} rows of which only {self._state.size} are waiting")
            verdict.row[: said.size] = said
            verdict.first[: said.size + 1] = 0
            return int(said.size)
        if not isinstance(said, Iterable) or isinstance(said, str | bytes):
            raise self._problem(f"returns {said!r}; it must return rows, or pairs of a row and its nodes")
        number = at = 0
        for entry in said:
            if number == self._state.size:
                raise self._problem(f"names more than the {number} rows that are waiting")
            row, nodes = self._entry(entry)
            if at + len(nodes) > verdict.node.size:
                raise self._problem("is given nodes, and with those of the jobs before it more than can be held", row)
            verdict.row[number] = row
            verdict.node[at : at + len(nodes)] = nodes
            at += len(nodes)
            number += 1
            verdict.first[number] = at
        return number

    def _entry(self, entry: Any) -> tuple[int, Sequence[int]]:
        """Return the row and the nodes of one decision."""
        if isinstance(entry, int | np.integer) and not isinstance(entry, bool) and abs(int(entry)) < 2**62:
            return int(entry), ()
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise self._problem(f"returns {entry!r}; it must return rows, or pairs of a row and its nodes")
        row, nodes = entry
        if not isinstance(row, int | np.integer) or isinstance(row, bool) or abs(int(row)) >= 2**62:
            raise self._problem(f"names row {row!r}, which is no row")
        named = [nodes] if isinstance(nodes, int | np.integer) else list(nodes)
        if not all(isinstance(node, int | np.integer) and abs(int(node)) < 2**62 for node in named):
            raise self._problem(f"names nodes {nodes!r}, which are no whole numbers", int(row))
        if not named:
            raise self._problem("is given no nodes; name the row alone to leave them to the placement", int(row))
        if 0 <= row < self._chunks.size and len(named) > self._chunks[row]:
            raise self._problem(f"is given {len(named)} nodes, more than it has chunks", int(row))
        return int(row), [int(node) for node in named]

    def _problem(self, text: str, row: int | None = None) -> PolicyError:
        job = "" if row is None else f" job '{self._job(row)}' (row {row})"
        return PolicyError(f"{self._policy.source.name}: at {self._state.now:g} s{job} {text}")

    def _job(self, row: int) -> str:
        return str(self._workload.held["job_id"][row]) if 0 <= row < len(self._workload) else "none"

    def close(self) -> None:
        """Raise PolicyError for what the policy raised, which is its cause, or for a decision that cannot be."""
        self._callback.close()
        failure = self._failure
        if isinstance(failure, Exception) and not isinstance(failure, GpuyardError):
            raise self._problem(f"raises {type(failure).__name__}: {failure}") from failure
        if failure is not None:
            raise failure
        blame = self.verdict.blame
        if blame[Blame.FAULT] != Fault.NONE:
            text = _FAULTS[Fault(int(blame[Blame.FAULT]))].format(node=int(blame[Blame.NODE]))
            raise self._problem(text, int(blame[Blame.ROW]))

    @property
    def tables(self) -> tuple[Contenders, Verdict, int]:
        """What the event loop takes beyond what all loops take."""
        return self._contenders, self.verdict, self._callback.address

    def stalled(self, waiting: int) -> PolicyError:
        """Return the error for a policy that leaves jobs waiting although nothing will happen any more."""
        row = int(self._contenders.waiting["row"][0])
        return self._problem(f"still waits, as one of {waiting}, and nothing will happen any more", row)


def _read_only(table: NDArray[Any]) -> NDArray[Any]:
    view = table.view()
    view.flags.writeable = False
    return view
