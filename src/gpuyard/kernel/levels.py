"""How urgent a job is, and when that changes by itself.  ``docs/semantics.md``, *Levels*, is the specification."""

from __future__ import annotations

import numpy as np

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.stays import LEVEL_SHIFT, Gain, Rule, Stays, Terms
from gpuyard.kernel.tables import Jobs

__all__ = [
    "gpu_time",
    "key_to_wait",
    "level_of_waiting",
    "next_tick",
    "pass_bins",
    "prey_key",
    "remaining",
    "running_level",
    "time_of_promotion",
]

_RANK_BITS = 32
_THOUSAND = 1000


@inlined
def gpu_time(time: int, thousandths: int) -> int:
    """Return a time times GPUs, rounded down, without a product that would not fit 64 bits before this one does."""
    return (time // _THOUSAND) * thousandths + (time % _THOUSAND) * thousandths // _THOUSAND


@kernel
def _needed(stays: Stays, wish: int, number: int) -> int:
    """Return the attained time at which a job reaches a threshold; NEVER after the last, and where it never does."""
    if number >= stays.threshold.size:
        return NEVER
    threshold = int(stays.threshold[nth(number)])
    if stays.terms[Terms.BY_SERVICE] == 0:
        return threshold
    thousandths = int(stays.thousandths[nth(wish)])
    if thousandths == 0 or threshold // thousandths >= NEVER // (2 * _THOUSAND):
        return NEVER
    return (threshold // thousandths) * _THOUSAND - -((threshold % thousandths) * _THOUSAND) // thousandths


@kernel
def pass_bins(stays: Stays, row: int, wish: int, attained: int) -> None:
    """Write down which thresholds a job has reached."""
    this = stays.stay[nth(row)]
    while attained >= _needed(stays, wish, int(this["bin"])):
        this["bin"] += 1


@kernel
def next_tick(stays: Stays, row: int, wish: int, now: int) -> int:
    """Return when the level of a running job changes by itself, or it may first be taken away; NEVER if not at all."""
    this, terms = stays.stay[nth(row)], stays.terms
    found = NEVER
    if terms[Terms.RULE] == Rule.BINS:
        needed = _needed(stays, wish, int(this["bin"]))
        if needed != NEVER:
            found = this["since"] + needed - this["attained"]
    elif terms[Terms.RULE] == Rule.SLICE and this["since"] + terms[Terms.SLICE] > now:
        found = this["since"] + terms[Terms.SLICE]
    if this["min_run"] > 0 and this["fixed"] <= 0 and this["since"] + this["min_run"] > now:
        found = min(found, this["since"] + this["min_run"])
    return int(found)


@kernel
def running_level(stays: Stays, row: int, wish: int, now: int) -> int:
    """Return the level of a running job."""
    this, rule = stays.stay[nth(row)], stays.terms[Terms.RULE]
    if rule == Rule.PRIORITY:
        return int(stays.urgency[nth(row)])
    if rule == Rule.BINS:
        return int(stays.bin_level[nth(this["bin"])])
    if rule == Rule.SLICE:
        return int(now - this["since"] >= stays.terms[Terms.SLICE])
    left = max(int(this["expected"]) - now, 1)
    return left if rule == Rule.REMAINING else gpu_time(left, int(stays.thousandths[nth(wish)]))


@kernel
def prey_key(stays: Stays, row: int, level: int, origin: int) -> int:
    """Return the key under which a running job stands among those that may be taken away: smallest first.

    By level, highest first, then by the start of its attempt, latest first.  Where the level is a remaining time, the
    job that is expected to end last goes first.
    """
    this, rule = stays.stay[nth(row)], stays.terms[Terms.RULE]
    if rule in (Rule.REMAINING, Rule.REMAINING_SERVICE):
        return -int(this["expected"])
    return -((level << LEVEL_SHIFT) + int(this["since"]) - origin)


@kernel
def key_to_wait(jobs: Jobs, stays: Stays, row: int, wish: int) -> int:
    """Return the key by which a job that joins the queue now waits."""
    this, rule = stays.stay[nth(row)], stays.terms[Terms.RULE]
    if rule == Rule.PRIORITY:
        return int(jobs.place[nth(row)]["rank"])
    if rule == Rule.BINS:
        return (int(stays.bin_level[nth(this["bin"])]) << _RANK_BITS) + int(jobs.place[nth(row)]["rank"])
    if rule == Rule.SLICE:
        stays.state[Gain.TICKETS] += 1
        return int(stays.state[Gain.TICKETS])
    left = remaining(stays, row)
    return left if rule == Rule.REMAINING else gpu_time(left, int(stays.thousandths[nth(wish)]))


@inlined
def remaining(stays: Stays, row: int) -> int:
    """Return how long a waiting job is expected to take from a start on."""
    this = stays.stay[nth(row)]
    left = max(int(stays.estimate[nth(row)] - this["saved"]), 1)
    return left + int(stays.terms[Terms.RESTART]) if this["times"] > 0 else left


@kernel
def level_of_waiting(stays: Stays, row: int) -> int:
    """Return the level of a waiting job."""
    this, rule = stays.stay[nth(row)], stays.terms[Terms.RULE]
    if rule == Rule.PRIORITY:
        return int(stays.urgency[nth(row)])
    if rule == Rule.BINS:
        return int(stays.bin_level[nth(this["bin"])])
    return 0 if rule == Rule.SLICE else int(this["key"])


@kernel
def time_of_promotion(stays: Stays, row: int) -> int:
    """Return when a job that waits since its preemption is promoted, or NEVER."""
    this = stays.stay[nth(row)]
    if stays.promote.size == 0 or this["attained"] == 0:
        return NEVER
    patience = np.rint(stays.promote[0] * this["attained"])
    return int(this["since"]) + max(int(patience), 1) if patience < NEVER // 4 else NEVER
