"""Which limit did not admit a job to cells when its turn came: among the guaranteed jobs, and among the others."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.sharing import Sharing
from gpuyard.explanation.story import Held
from gpuyard.explanation.walking import held_before

__all__ = ["LimitsInCells"]


class LimitsInCells:
    """What groups with a limit held at the turns of jobs; asked at instants that do not go back."""

    def __init__(self, evidence: Evidence, since: int) -> None:
        self._evidence, self._sharing = evidence, Sharing(evidence)
        for attempt in held_before(evidence, since):
            self._sharing.hold(attempt)

    def at_turns(
        self, row: int, now: int, started: Sequence[int], left: Sequence[int]
    ) -> tuple[Held | None, Held | None]:
        """Return the limit that did not admit a job among the guaranteed ones at an instant, and among the others.

        ``started``, ``left``: the attempts that started and ended then.
        """
        evidence = self._evidence
        first = [each for each in started if not evidence.attempt_lent[each]]
        lent = [each for each in started if evidence.attempt_lent[each]]
        before = [each for each in first if not self._comes_later(row, each, now)]
        takers = evidence.attempt_job[before]
        ended = [each for each in left if evidence.attempt_since[each] < now]
        gone = [each for each in ended if evidence.attempt_by[each] < 0 or evidence.attempt_by[each] in takers]
        own = self._limit(row, before, gone)
        ahead = [each for each in lent if not self._comes_later(row, each, now)]
        return own, self._limit(row, first + ahead, ended)

    def come_to(self, now: int, started: Sequence[int], left: Sequence[int]) -> None:
        """Note what started and ended at an instant."""
        for attempt in left:
            if self._evidence.attempt_since[attempt] < now:
                self._sharing.give_back(attempt)
        for attempt in started:
            if self._evidence.attempt_end[attempt] > now:
                self._sharing.hold(attempt)

    def _comes_later(self, row: int, attempt: int, now: int) -> bool:
        evidence = self._evidence
        return bool(evidence.goes_later(row, evidence.attempt_job[[attempt]], now)[0])

    def _limit(self, row: int, more: Sequence[int], less: Sequence[int]) -> Held | None:
        """Return the limit that would not admit a job with some attempts held and others given back."""
        for attempt in more:
            self._sharing.hold(attempt)
        for attempt in less:
            self._sharing.give_back(attempt)
        found = self._sharing.limit(row)
        for attempt in less:
            self._sharing.hold(attempt)
        for attempt in more:
            self._sharing.give_back(attempt)
        return found
