"""Where a job ran, and among which nodes the placement chose."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.heads import standing_heads
from gpuyard.explanation.story import Placed
from gpuyard.explanation.yard import Yard, allowed_nodes, demand_of, fitting_nodes, share_of
from gpuyard.kernel.tables import Records
from gpuyard.policy import PLACEMENTS

__all__ = ["find_placed"]

_WHOLE: Final = 1000


def find_placed(evidence: Evidence, row: int) -> Placed | None:
    """Return where a job first ran; ``None`` if it never did, or held nothing."""
    attempts = np.flatnonzero(evidence.attempt_job == row)
    if attempts.size == 0:
        return None
    attempt = int(attempts[0])
    first, end = evidence.slot_offset[attempt], evidence.slot_offset[attempt + 1]
    if first == end:
        return None
    nodes, gpus = evidence.slot_node[first:end], evidence.slot_gpus[first:end]
    yard, exact = _yard_before(evidence, attempt)
    exact &= not evidence.policy.preemption  # others may have run at its turn that made room later at that instant
    want = demand_of(evidence, row)
    closed = evidence.closed_nodes(row, int(evidence.attempt_start[attempt]))
    is_cut = bool(int(want["cut"]) >> int(yard.kind[nodes[0]]) & 1)
    fits = _candidates(evidence, yard, want, _chunk(want, gpus, is_cut=is_cut), closed)
    promised = _reserved_for_another(evidence, attempt)
    open_to_it = fits & ~promised
    if is_cut and want["gpus"] > 0:
        open_to_it &= yard.kind == yard.kind[nodes[0]]
    candidates = np.flatnonzero(open_to_it)
    decides = exact and evidence.policy.decide is None and evidence.policy.replay == "schedule"
    level, domain = _common(evidence.site, evidence.numbers[nodes])
    names = evidence.cluster.node_names
    return Placed(
        nodes=tuple(names[node] for node in nodes.tolist()),
        gpus=tuple(gpus.tolist()),
        placement=str(evidence.policy.placement),
        meaning=PLACEMENTS[str(evidence.policy.placement)].meaning,
        candidates=int(candidates.size) if decides else None,
        reserved=int((fits & promised).sum()),
        before=tuple(yard.free[nodes].tolist()) if exact else (),
        most=int(yard.free[candidates].max()) if decides and candidates.size else None,
        fewest=int(yard.free[candidates].min()) if decides and candidates.size else None,
        level=level,
        domain=domain,
    )


def _chunk(want: Records, held: NDArray[np.int64], *, is_cut: bool) -> int:
    """Return the GPUs of the largest chunk that a job asked for; one that is exclusive holds more."""
    if not want["alone"]:
        return int(held.max())
    if not is_cut:
        return int(want["gpus"])
    return -(-int(want["gpus"]) // int(want["nodes"])) if want["nodes"] else int(held.max())


def _yard_before(evidence: Evidence, attempt: int) -> tuple[Yard, bool]:
    """Return what was free when it was an attempt's turn, and whether that is certain.

    Where a job that ran for no time started just before, it cannot be said whether it was over.
    """
    now = evidence.attempt_start[attempt]
    earlier = np.arange(evidence.attempt_job.size) < attempt
    yard = Yard(evidence)
    yard.come_to(int(now))
    for other in np.flatnonzero(earlier & (evidence.attempt_end > now)).tolist():
        yard.hold(other)
    brief = earlier & (evidence.attempt_start == now) & (evidence.attempt_end == now)
    return yard, not bool(brief.any())


def _candidates(
    evidence: Evidence, yard: Yard, want: Records, gpus: int, closed: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Return which nodes fit the largest chunk, bool, shape (nodes,)."""
    usable = allowed_nodes(yard, want)
    if closed is not None:
        usable &= ~closed
    share = share_of(evidence, want)
    if not share:
        return fitting_nodes(yard, want, 1 if want["spread"] else gpus, usable)
    some = yard.free > 0
    for (node, _), used in yard.shared.items():
        some[node] |= _WHOLE - used >= share
    return fitting_nodes(yard, want, 0, usable) & some


def _reserved_for_another(evidence: Evidence, attempt: int) -> NDArray[np.bool_]:
    """Return which nodes did not exist for an attempt, bool, shape (nodes,): it might still have run when promised."""
    closed = np.zeros(evidence.cluster.nodes, np.bool_)
    row, now = int(evidence.attempt_job[attempt]), int(evidence.attempt_start[attempt])
    waited = np.any((evidence.eligible <= now) & (evidence.start > now))
    promises = evidence.promises if waited and evidence.policy.backfill == "easy" else None
    if promises is None:
        return closed
    for head in standing_heads(evidence, now):
        short = now + int(evidence.estimate[row]) <= int(promises.begin[head.entry])
        if not short and not evidence.goes_later(row, np.array([head.job]), now)[0]:
            closed |= head.nodes
    return closed


def _common(cluster: Cluster, nodes: NDArray[np.int64]) -> tuple[str | None, int | None]:
    """Return the lowest level on which nodes lie in one domain, and which it is."""
    if nodes.size > 1:
        for name, domain in zip(cluster.levels.names, cluster.levels.domains, strict=True):
            if np.all(domain[nodes] == domain[nodes[0]]):
                return name, int(domain[nodes[0]])
    return None, None
