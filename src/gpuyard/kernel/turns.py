"""Whose turn it is in an order worked out in every pass: scores, and a heap of places, as far as it is needed."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import Count
from gpuyard.kernel.contenders import MICROSECONDS, Contenders
from gpuyard.kernel.fairshare import note_factors
from gpuyard.kernel.jit import inlined, inner, inner_inlined
from gpuyard.kernel.scorers import Scorer, Weight
from gpuyard.kernel.tables import Events, Jobs, Log

__all__ = ["heapify", "push_turn", "score_all", "take_first"]


@inner_inlined
def score_all(
    contenders: Contenders, jobs: Jobs, log: Log, events: Events, waiting: int, scorer: Scorer, now: int
) -> bool:
    """Score the waiting jobs; return whether all scores are numbers.  If not, the simulation stops."""
    note_factors(contenders.accounts, jobs, log, events, contenders.waiting, waiting, now)
    present = waiting + events.counter[Count.RUNNING]
    if jobs.job.size > contenders.feature.size:
        for place in range(events.counter[Count.RUNNING]):
            present -= events.ends.row[nth(place)] >= contenders.feature.size  # holds nodes until they come: no job
    contenders.weights[Weight.PRESENT] = present
    scorer(now / MICROSECONDS, contenders.waiting[:waiting], contenders.score[:waiting], contenders.weights)
    for place in range(waiting):
        score = contenders.score[nth(place)]
        if score != score:  # noqa: PLR0124  # which is how one knows that it is no number
            contenders.fault[0] = contenders.waiting[nth(place)]["row"]
            contenders.fault[1] = now
            events.counter[Count.CANCEL] = 1
            return False
    return True


@inner_inlined
def take_first(contenders: Contenders, size: int) -> int:
    """Take the place whose turn it is off a heap of ``size``; it is one smaller then."""
    place = int(contenders.turn[0])
    _settle(contenders, size - 1, 0, int(contenders.turn[nth(size - 1)]))
    return place


@inlined
def _before(contenders: Contenders, one: int, other: int) -> bool:
    """Return whether the job at a place goes before that at another: by score, then by row."""
    left, right = contenders.score[nth(one)], contenders.score[nth(other)]
    if left != right:
        return bool(left > right)
    return bool(contenders.waiting[nth(one)]["row"] < contenders.waiting[nth(other)]["row"])


@inlined
def _settle(contenders: Contenders, size: int, at: int, place: int) -> None:
    """Put a place on a heap of ``size``, at ``at`` or below it."""
    turn = contenders.turn
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and _before(contenders, int(turn[nth(child + 1)]), int(turn[nth(child)])):
            child += 1
        if _before(contenders, place, int(turn[nth(child)])):
            break
        turn[nth(at)] = turn[nth(child)]
        at = child
        child = 2 * at + 1
    turn[nth(at)] = place


@inner
def heapify(contenders: Contenders, size: int) -> None:
    """Make the first ``size`` places of ``turn`` a heap."""
    for at in range(size // 2 - 1, -1, -1):
        _settle(contenders, size, at, int(contenders.turn[nth(at)]))


@inner
def push_turn(contenders: Contenders, size: int, place: int) -> None:
    """Put a place on a heap of ``size``; it is one larger then."""
    turn, at = contenders.turn, size
    while at > 0:
        above = int(turn[nth((at - 1) >> 1)])
        if _before(contenders, above, place):
            break
        turn[nth(at)] = above
        at = (at - 1) >> 1
    turn[nth(at)] = place
