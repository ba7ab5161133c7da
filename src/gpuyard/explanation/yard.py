"""What is free on each node at an instant, worked out from who ran where; and whether a job would fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.evidence import Evidence
from gpuyard.kernel.tables import Records
from gpuyard.workload import NEVER

__all__ = [
    "Shortage",
    "Yard",
    "allowed_nodes",
    "demand_of",
    "find_shortage",
    "fitting_nodes",
    "held_milli",
    "share_of",
]

_WHOLE = 1000


class Yard:
    """Free GPUs, CPUs and memory of each node; :meth:`hold` and :meth:`give_back` move an attempt's.

    Nodes that come later are held until :meth:`come_to` their date.

    Attributes, shape (nodes,): ``free`` (wholly free GPUs), ``milli`` (free thousandths of GPUs), ``cpu`` (thousandths
    of a core), ``memory`` (MiB).  ``shared`` has the thousandths in use of each GPU that is held in fractions.
    """

    def __init__(self, evidence: Evidence) -> None:
        site = evidence.cluster
        self._evidence = evidence
        self.kind = site.node_type.astype(np.int64)
        self.free = site.node_gpus.astype(np.int64)
        self.milli = self.free * _WHOLE
        self.cpu = _whole(site.node_cpus, _WHOLE, site.nodes)
        self.memory = _whole(site.node_memory_gib, 1024, site.nodes)
        self.largest = np.zeros(len(site.gpu_types), np.int64)
        np.maximum.at(self.largest, self.kind, self.free)
        self.size, self.cores, self.room = self.free.copy(), self.cpu.copy(), self.memory.copy()
        self.shared: dict[tuple[int, int], int] = {}
        self._absent = np.flatnonzero(evidence.there_from > -NEVER)
        self._change_alone(self._absent, -1)

    def come_to(self, now: int) -> None:
        """Free the nodes that have come by an instant; those that come later are held until then."""
        here = self._evidence.there_from[self._absent] <= now
        self._change_alone(self._absent[here], 1)
        self._absent = self._absent[~here]

    def hold(self, attempt: int) -> None:
        """Take what an attempt holds."""
        self._change(attempt, -1)

    def give_back(self, attempt: int) -> None:
        """Free what an attempt holds."""
        self._change(attempt, 1)

    def _change(self, attempt: int, sign: int) -> None:
        evidence = self._evidence
        first, end = evidence.slot_offset[attempt], evidence.slot_offset[attempt + 1]
        if first == end:
            return
        nodes, gpus = evidence.slot_node[first:end], evidence.slot_gpus[first:end]
        want = demand_of(evidence, int(evidence.attempt_job[attempt]))
        if want["alone"]:
            self._change_alone(nodes, sign)
            return
        pieces = np.maximum(gpus, 1)
        self.cpu[nodes] += sign * int(want["cpu"]) * pieces
        self.memory[nodes] += sign * int(want["memory"]) * pieces
        share = share_of(evidence, want)
        if share == 0:
            self.free[nodes] += sign * gpus
            self.milli[nodes] += sign * gpus * _WHOLE
            return
        node = int(nodes[0])
        key = (node, int(evidence.slot_gpu[first]))
        before = self.shared.get(key, 0)
        after = before - sign * share
        self.milli[node] += sign * share
        self.free[node] += int(after == 0) - int(before == 0)
        if after:
            self.shared[key] = after
        else:
            self.shared.pop(key)

    def _change_alone(self, nodes: NDArray[np.int64], sign: int) -> None:
        """Take or give back all that nodes have."""
        self.free[nodes] += sign * self.size[nodes]
        self.milli[nodes] += sign * self.size[nodes] * _WHOLE
        self.cpu[nodes] += sign * self.cores[nodes]
        self.memory[nodes] += sign * self.room[nodes]


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """Why a job could not be placed at an instant, whoever else waited.

    ``reason`` is ``gpus``, ``gpu_type``, ``closed``, ``exclusive``, ``cpus``, ``memory`` or ``fragmentation``.
    GPUs count fractions as such; ``allowed`` are those of the types that the job accepts (the most of one type, if it
    has to be one).
    """

    reason: str
    needed: float
    free: float
    allowed: float
    largest: float
    """GPUs of the largest job of this shape that would have fitted"""
    chunk: int = 0
    """GPUs it needs on each of several nodes; 0 for a job that is never cut"""
    chunks: int = 0
    fitting: int = 0
    """nodes that fit such a chunk"""
    one_node: bool = True
    """whether it would fit a single node, if that were empty"""


def demand_of(evidence: Evidence, row: int) -> Records:
    """Return what a job asks for, as the engine sees it."""
    return evidence.asked.demands[evidence.asked.demand[row]]


def share_of(evidence: Evidence, want: Records) -> int:
    """Return the thousandths of a GPU that a demand asks for; 0 for whole GPUs."""
    return int(want["share"]) * (_WHOLE // max(evidence.asked.quanta, 1))


def held_milli(evidence: Evidence, row: int) -> int:
    """Return the thousandths of GPUs that a job asks for."""
    want = demand_of(evidence, row)
    return share_of(evidence, want) or int(want["gpus"]) * _WHOLE


def find_shortage(
    evidence: Evidence,
    yard: Yard,
    row: int,
    closed: NDArray[np.bool_] | None = None,
    refused: NDArray[np.bool_] | None = None,
) -> Shortage | None:
    """Return why a job could not be placed on a yard, or ``None`` if there are nodes for it.

    Parameters
    ----------
    closed
        bool, shape (nodes,): nodes that it may not use now.
    refused
        likewise: nodes of GPU types that it may not use.
    """
    want = demand_of(evidence, row)
    of_type = allowed_nodes(yard, want)
    if refused is not None:
        of_type = of_type & ~refused
    usable = of_type
    if closed is not None:
        usable = of_type & ~closed
    needed = held_milli(evidence, row)
    if placed(evidence, yard, want, usable):
        return None
    free, allowed = int(yard.milli.sum()), _allowed(yard, want, of_type)
    largest = _largest(evidence, yard, want, usable)
    chunk, chunks, fitting = _chunks(yard, want, usable)

    if free < needed:
        reason = "gpus"
    elif allowed < needed:
        reason = "gpu_type"
    elif closed is not None and placed(evidence, yard, want, of_type):
        reason = "closed"
    else:
        reason = _shape_reason(evidence, yard, want, usable)
    return Shortage(
        reason=reason,
        needed=needed / _WHOLE,
        free=free / _WHOLE,
        allowed=allowed / _WHOLE,
        largest=largest / _WHOLE,
        chunk=chunk,
        chunks=chunks,
        fitting=fitting,
        one_node=bool(want["whole"]),
    )


def _shape_reason(evidence: Evidence, yard: Yard, want: Records, usable: NDArray[np.bool_]) -> str:
    """Return what else than the number of GPUs was missing."""
    if not placed(evidence, yard, want, usable, cpu=False, memory=False, alone=False):
        return "fragmentation"
    if not placed(evidence, yard, want, usable, cpu=False, memory=False):
        return "exclusive"
    return "memory" if placed(evidence, yard, want, usable, memory=False) else "cpus"


def allowed_nodes(yard: Yard, want: Records) -> NDArray[np.bool_]:
    """Return which nodes have a GPU type that a demand accepts, bool, shape (nodes,)."""
    return np.asarray((int(want["kinds"]) >> yard.kind) & 1 > 0)


def fitting_nodes(
    yard: Yard,
    want: Records,
    gpus: int,
    usable: NDArray[np.bool_],
    *,
    cpu: bool = True,
    memory: bool = True,
    alone: bool = True,
) -> NDArray[np.bool_]:
    """Return which nodes fit a chunk of so many whole GPUs, bool, shape (nodes,)."""
    pieces = max(gpus, 1)
    fits = usable & (yard.free >= gpus)
    if alone and want["alone"]:
        fits &= (yard.free == yard.size) & (yard.cpu == yard.cores)
    if cpu and want["cpu"] > 0:
        fits &= yard.cpu >= int(want["cpu"]) * pieces
    if memory and want["memory"] > 0:
        fits &= yard.memory >= int(want["memory"]) * pieces
    return fits


def placed(
    evidence: Evidence,
    yard: Yard,
    want: Records,
    usable: NDArray[np.bool_],
    *,
    cpu: bool = True,
    memory: bool = True,
    alone: bool = True,
) -> bool:
    """Return whether there are nodes for a demand."""
    fitting = partial(fitting_nodes, yard, want, cpu=cpu, memory=memory, alone=alone)
    share = share_of(evidence, want)
    if share:
        fits = fitting(0, usable)
        if bool(np.any(fits & (yard.free > 0))):
            return True
        return any(fits[node] and _WHOLE - used >= share for (node, _), used in yard.shared.items())
    if want["spread"]:
        return int(_most_spread(yard, want, usable, cpu=cpu, memory=memory).sum()) >= int(want["gpus"])
    if want["whole"] and fitting(int(want["gpus"]), usable).any():
        return True
    for within in _pools(yard, want, usable):
        large, many, rest, chunks = _shape(yard, want, within)
        fits_large = fitting(large, within)
        fits_rest = fitting(rest, within) if chunks > many else fits_large
        if fits_large.sum() >= many and fits_rest.sum() >= chunks:
            return True
    return False


def _most_spread(yard: Yard, want: Records, usable: NDArray[np.bool_], *, cpu: bool, memory: bool) -> NDArray[np.int64]:
    most = np.where(usable, yard.free, 0)
    if cpu and want["cpu"] > 0:
        most = np.minimum(most, yard.cpu // int(want["cpu"]))
    if memory and want["memory"] > 0:
        most = np.minimum(most, yard.memory // int(want["memory"]))
    return np.maximum(most, 0)


def _pools(yard: Yard, want: Records, usable: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the sets of nodes of which a job in several chunks uses one: those of a GPU type on which it is cut."""
    if want["gpus"] == 0:
        return [usable] if want["cut"] else []
    kinds = [kind for kind in range(yard.largest.size) if int(want["cut"]) >> kind & 1]
    return [usable & (yard.kind == kind) for kind in kinds]


def _shape(yard: Yard, want: Records, within: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the GPUs of a large chunk, how many there are, the GPUs of the others, and how many chunks in all."""
    gpus, nodes = int(want["gpus"]), int(want["nodes"])
    if nodes:
        small, more = divmod(gpus, nodes)
        return (small + 1, more, small, nodes) if more else (small, nodes, small, nodes)
    kinds = yard.kind[within]
    large = int(yard.largest[kinds[0]]) if kinds.size else max(int(yard.largest.max()), 1)
    many, rest = divmod(gpus, large)
    return large, many, rest, many + (rest > 0)


def _allowed(yard: Yard, want: Records, usable: NDArray[np.bool_]) -> int:
    """Return the free thousandths of GPUs of the types that a demand accepts."""
    if not want["whole"]:
        return max((int(yard.milli[within].sum()) for within in _pools(yard, want, usable)), default=0)
    return int(yard.milli[usable].sum())


def _chunks(yard: Yard, want: Records, usable: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return the GPUs of a large chunk, how many there are, and how many nodes fit one; zeros if it is never cut."""
    best = (0, 0, 0)
    for within in _pools(yard, want, usable):
        large, many, _, _ = _shape(yard, want, within)
        fitting = int(fitting_nodes(yard, want, large, within).sum())
        if best[1] == 0 or fitting > best[2]:
            best = (large, many, fitting)
    return best


def _largest(evidence: Evidence, yard: Yard, want: Records, usable: NDArray[np.bool_]) -> int:
    """Return the thousandths of GPUs of the largest job of this shape that there were nodes for, CPUs left aside."""
    if share_of(evidence, want):
        if np.any(usable & (yard.free > 0)):
            return _WHOLE
        return max((_WHOLE - used for (node, _), used in yard.shared.items() if usable[node]), default=0)
    if want["spread"]:
        return _WHOLE * int(yard.free[usable].sum())
    sizes = [_largest_of_several(yard, want, within) for within in _pools(yard, want, usable)]
    if want["whole"]:
        sizes.append(int(yard.free[usable].max(initial=0)))
    return _WHOLE * max(sizes, default=0)


def _largest_of_several(yard: Yard, want: Records, within: NDArray[np.bool_]) -> int:
    free = np.sort(yard.free[within])[::-1]
    nodes = int(want["nodes"])
    if nodes:
        if free.size < nodes or free[nodes - 1] == 0:
            return 0
        small = int(free[nodes - 1])
        return small * nodes + min(int((free > small).sum()), nodes - 1)
    large = _shape(yard, want, within)[0]
    whole = int((free >= large).sum())
    rest = free[free < large]
    return whole * large + int(rest.max(initial=0)) if whole else int(free.max(initial=0))


def _whole(amount: NDArray[np.float64] | None, unit: int, nodes: int) -> NDArray[np.int64]:
    return np.zeros(nodes, np.int64) if amount is None else np.rint(amount * unit).astype(np.int64)
