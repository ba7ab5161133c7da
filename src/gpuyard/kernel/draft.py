"""Reservations that are drafted anew every so often, and kept no longer than the pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import Timetable
from gpuyard.kernel.jit import inner, inner_inlined
from gpuyard.kernel.plans import Plan, Profile
from gpuyard.kernel.profile import change, copy_profile
from gpuyard.kernel.tables import Jobs
from gpuyard.kernel.timetable import look_begin, look_next

__all__ = ["begin_draft", "is_draft_due", "rounded"]


@inner_inlined
def rounded(instant: int, resolution: int) -> int:
    """Return an instant rounded up to a multiple of the resolution."""
    return NEVER if instant > NEVER - resolution else -(-instant // resolution) * resolution


@inner
def begin_draft(
    jobs: Jobs,
    thousandths: NDArray[np.int64],
    ends: Timetable,
    plan: Profile,
    draft: Profile,
    resolution: int,
    now: int,
) -> None:
    """Start a draft from the running jobs; those that should have ended are expected to end at the next instant."""
    copy_profile(plan, draft)
    late = 0
    look_begin(ends)
    entry = look_next(ends)
    while entry != NOBODY and ends.time[nth(entry)] <= now:
        late += thousandths[nth(jobs.claim[nth(ends.row[nth(entry)])]["demand"])]
        entry = look_next(ends)
    change(draft, now, rounded(now + 1, resolution), -late)


@inner_inlined
def is_draft_due(state: NDArray[np.int64], now: int, waiting: int) -> bool:
    """Return whether a draft is made in this pass; if it is too soon and somebody waits, let a pass be due."""
    if state[Plan.DUE] <= now:
        state[Plan.DUE] = NEVER
    if state[Plan.BEFORE] == 0 or now - state[Plan.LAST] >= state[Plan.INTERVAL]:
        state[Plan.BEFORE] = 1
        state[Plan.LAST] = now
        return True
    if waiting > 0 and state[Plan.DUE] == NEVER:
        state[Plan.DUE] = state[Plan.LAST] + state[Plan.INTERVAL]
    return False
