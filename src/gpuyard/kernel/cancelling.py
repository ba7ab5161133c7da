"""Jobs that are gone when they are preempted: they have ended, in a further round of changes of the same instant.

What such a job held is given back like that of any victim.  Until its END it stands among the ends without an attempt,
as nodes do that come later, and nobody takes it for a running job.
"""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.instants import tell_others
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.stays import Gain, Stays, Tenure
from gpuyard.kernel.tables import Dependencies, Events, Jobs
from gpuyard.kernel.timetable import enter, strike

__all__ = ["cancel", "end_cancelled", "is_cancelled", "is_expendable"]


@inlined
def is_expendable(stays: Stays, row: int) -> bool:
    """Return whether a job is gone if it is preempted."""
    return bool(stays.stay[nth(row)]["fixed"] == Tenure.EXPENDABLE)


@inlined
def is_cancelled(stays: Stays, row: int) -> bool:
    """Return whether a row among the ends is that of a job that was preempted and is gone."""
    return bool(stays.stay[nth(row)]["fixed"] == Tenure.CANCELLED)


@kernel
def cancel(stays: Stays, row: int, now: int) -> None:
    """Let a job end in the next round of changes whose attempt was ended by another job."""
    stays.stay[nth(row)]["fixed"] = Tenure.CANCELLED
    enter(stays.ends, now, row)


@kernel
def end_cancelled(jobs: Jobs, dependencies: Dependencies, events: Events, stays: Stays, row: int, now: int) -> None:
    """END of a job that was cancelled: whoever waits for it is told, and its array has a place more."""
    strike(stays.ends, row)
    tell_others(dependencies, events, row, now)
    stays.state[Gain.ACTIVE] -= 1
    stays.state[Gain.CHUNKS] -= stays.chunks[nth(jobs.claim[nth(row)]["demand"])]
