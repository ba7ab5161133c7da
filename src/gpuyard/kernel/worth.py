"""What attempts cost and what is left of them: restarts, checkpoints, work that is lost."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.levels import gpu_time
from gpuyard.kernel.stays import Stays, Terms, Victims
from gpuyard.kernel.tables import Jobs

__all__ = ["LONGEST_ATTEMPT", "attempt_length", "expected_length", "price", "work_saved"]

LONGEST_ATTEMPT = 2**61
"""What an attempt is expected to last at most, microseconds."""


@inlined
def _interval_of(stays: Stays, row: int) -> int:
    """Return the work between two checkpoints of a job: 0 = nothing is lost, NEVER = there are none."""
    return int(stays.stay[nth(row)]["interval"])


@inlined
def _checkpoints(stays: Stays, row: int, work: int, saved: int) -> int:
    """Return how many checkpoints an attempt writes that begins with ``saved`` work and is not interrupted."""
    interval = _interval_of(stays, row)
    if interval in (0, NEVER) or work <= saved:
        return 0
    return int((work - 1) // interval - saved // interval)


@kernel
def attempt_length(jobs: Jobs, stays: Stays, row: int) -> int:
    """Return how long an attempt that begins now lasts if nothing interrupts it."""
    this, terms = stays.stay[nth(row)], stays.terms
    work, saved = int(jobs.job[nth(row)]["duration"]), int(this["saved"])
    length = work - saved + _checkpoints(stays, row, work, saved) * terms[Terms.COST]
    return int(length + terms[Terms.RESTART] if this["times"] > 0 else length)


@kernel
def expected_length(stays: Stays, row: int) -> int:
    """Return how long the scheduler expects an attempt that begins next to last.

    It believes in the estimate, twice that, four times that, and so on: the first that is more than what is saved.
    """
    this, terms = stays.stay[nth(row)], stays.terms
    work, saved = int(stays.estimate[nth(row)]), int(this["saved"])
    while work <= saved and work < 2 * LONGEST_ATTEMPT:
        work *= 2
    checkpoints = _checkpoints(stays, row, work, saved)
    if checkpoints * float(terms[Terms.COST]) >= LONGEST_ATTEMPT:
        return LONGEST_ATTEMPT
    length = work - saved + checkpoints * terms[Terms.COST]
    return int(min(length + terms[Terms.RESTART] if this["times"] > 0 else length, LONGEST_ATTEMPT))


@inlined
def _after_restart(stays: Stays, row: int, now: int) -> int:
    this = stays.stay[nth(row)]
    passed = int(now - this["since"])
    return max(passed - int(stays.terms[Terms.RESTART]), 0) if this["times"] > 0 else passed


@inlined
def _kept_checkpoints(jobs: Jobs, stays: Stays, row: int, passed: int) -> int:
    """Return how many checkpoints a running attempt has written, ``passed`` microseconds after its restart."""
    period = _interval_of(stays, row) + stays.terms[Terms.COST]
    most = _checkpoints(stays, row, int(jobs.job[nth(row)]["duration"]), int(stays.stay[nth(row)]["saved"]))
    return min(passed // int(period), most)


@kernel
def work_saved(jobs: Jobs, stays: Stays, row: int, now: int) -> int:
    """Return how much work of a running attempt would be kept if it ended now."""
    interval = _interval_of(stays, row)
    if interval == NEVER:
        return 0
    passed = _after_restart(stays, row, now)
    if interval == 0:
        return min(passed, int(jobs.job[nth(row)]["duration"] - stays.stay[nth(row)]["saved"]))
    return _kept_checkpoints(jobs, stays, row, passed) * int(interval)


@kernel
def price(jobs: Jobs, stays: Stays, row: int, wish: int, now: int) -> int:
    """Return what goes first among those who are equally urgent, the least: GPU time lost, or thousandths of GPUs."""
    thousandths = int(stays.thousandths[nth(wish)])
    if stays.terms[Terms.VICTIMS] == Victims.FEWEST_GPUS:
        return thousandths
    return gpu_time(_time_lost(jobs, stays, row, now), thousandths)


@inlined
def _time_lost(jobs: Jobs, stays: Stays, row: int, now: int) -> int:
    """Return how much time of a running attempt would have been for nothing if it ended now, but for its restart."""
    interval = _interval_of(stays, row)
    if interval == 0:
        return 0
    passed = _after_restart(stays, row, now)
    if interval == NEVER:
        return passed
    period = int(interval + stays.terms[Terms.COST])
    return passed - _kept_checkpoints(jobs, stays, row, passed) * period
