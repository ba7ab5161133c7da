"""Scores where jobs are preempted: of all who wait at the beginning of a pass, and of those who wait again in it."""

from __future__ import annotations

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import Count
from gpuyard.kernel.contenders import MICROSECONDS, Contenders
from gpuyard.kernel.fair_attempts import bring_up_to_date
from gpuyard.kernel.fairshare import write_factors
from gpuyard.kernel.jit import inner, kernel
from gpuyard.kernel.scorers import Scorer, Weight
from gpuyard.kernel.stays import Gain, Stays
from gpuyard.kernel.tables import Events, Jobs

__all__ = ["score_all_places", "score_place"]


@inner
def score_all_places(
    contenders: Contenders, jobs: Jobs, events: Events, stays: Stays, scorer: Scorer, now: int
) -> bool:
    """Score the waiting jobs at the beginning of a pass; return whether all scores are numbers."""
    bring_up_to_date(contenders.accounts, jobs, stays, now)
    waiting = int(events.counter[Count.WAITING])
    contenders.weights[Weight.PRESENT] = stays.state[Gain.ACTIVE]
    return _score(contenders, events, scorer, 0, waiting, now)


@inner
def score_place(contenders: Contenders, events: Events, scorer: Scorer, place: int, now: int) -> bool:
    """Score a job that waits again, in the pass in which it was preempted; return whether that is a number."""
    return _score(contenders, events, scorer, place, place + 1, now)


@kernel
def _score(contenders: Contenders, events: Events, scorer: Scorer, first: int, last: int, now: int) -> bool:
    if contenders.accounts.parent.size > 0:
        write_factors(contenders.accounts, contenders.waiting, first, last)
    for place in range(first, last):
        contenders.waiting[nth(place)]["wait"] = (now - contenders.eligible[nth(place)]) / MICROSECONDS
    scorer(now / MICROSECONDS, contenders.waiting[first:last], contenders.score[first:last], contenders.weights)
    for place in range(first, last):
        score = contenders.score[nth(place)]
        if score != score:  # noqa: PLR0124  # which is how one knows that it is no number
            contenders.fault[0] = contenders.waiting[nth(place)]["row"]
            contenders.fault[1] = now
            events.counter[Count.CANCEL] = 1
            return False
    return True
