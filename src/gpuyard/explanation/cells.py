"""Which cells a job asked for, and whose jobs held its owner's cells while it waited."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.celling import claims_of
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.story import InCells
from gpuyard.kernel.cells import OWNERS
from gpuyard.kernel.codes import NEVER, NOBODY

__all__ = ["find_cells", "held_meanwhile", "in_own_cells", "owners_of"]


def find_cells(evidence: Evidence, row: int) -> InCells | None:
    """Return which cells a job asked for; ``None`` where there are none, and for a job that was rejected."""
    if not evidence.policy.cells or evidence.rejected[row] or evidence.eligible[row] == NEVER:
        return None
    levels, claims = claims_of(evidence.workload, evidence.cluster, evidence.policy)
    claim = claims[row]
    guaranteed = claim["forest"] != NOBODY
    owner = list(evidence.policy.cells.owners)[claim["forest"] - OWNERS] if guaranteed else None
    return InCells(
        owner=owner,
        owns={} if owner is None else dict(evidence.policy.cells.owners[owner]),
        guaranteed=bool(guaranteed),
        level=levels.names[claim["level"]],
        count=int(claim["count"]),
        takes=bool(guaranteed) and evidence.policy.cells.within == "priority",
    )


def owners_of(evidence: Evidence) -> NDArray[np.int64]:
    """Return a number for the owner in whose cells each job is tried, shape (jobs,); NOBODY where there is none."""
    if not evidence.policy.cells:
        return np.full(len(evidence.workload), NOBODY, np.int64)
    return claims_of(evidence.workload, evidence.cluster, evidence.policy)[1]["forest"]


def in_own_cells(evidence: Evidence) -> NDArray[np.bool_]:
    """Return which attempts ran in cells of their owner, shape (attempts,): neither in lent ones nor in none."""
    return ~evidence.attempt_lent & (np.diff(evidence.slot_offset) > 0)


def held_meanwhile(evidence: Evidence, owner: NDArray[np.int64], row: int, begin: int, end: int) -> tuple[str, ...]:
    """Return the jobs that held cells of a guaranteed job's owner at any time from ``begin`` to before ``end``.

    ``owner``: as :func:`owners_of` returned it.
    """
    if begin == end or owner[row] == NOBODY:
        return ()
    theirs = in_own_cells(evidence) & (owner[evidence.attempt_job] == owner[row])
    during = (evidence.attempt_start < end) & (evidence.attempt_end > begin)
    return tuple(evidence.names[job] for job in np.unique(evidence.attempt_job[theirs & during]).tolist())
