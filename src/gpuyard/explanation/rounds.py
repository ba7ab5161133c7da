"""The last round of an instant where cohorts share, played again: who had a turn before whom.

Who waits after the instant was refused in that round, and who started at it was named before; in what order, their
tournaments tell (``docs/semantics.md``, Fair sharing level by level).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.line import Line, Place
from gpuyard.explanation.sharing import Sharing
from gpuyard.explanation.tournaments import Entrant, Tournament
from gpuyard.explanation.yard import held_milli

__all__ = ["Round"]


class Round:
    """Plays rounds; ``sharing`` has what is held at their beginning, and has it again when they are over."""

    def __init__(self, evidence: Evidence, line: Line, sharing: Sharing) -> None:
        self._evidence, self._line, self._sharing = evidence, line, sharing
        self._known: dict[int, Hashable] = {}

    def starts_before(self, row: int, now: int, started: Sequence[int]) -> int:
        """Return how many of these attempts had started when a job that waits, or one as good as it, was refused."""
        if not started:
            return 0
        sharing, own = self._sharing, self._alike(row)
        tournament = Tournament(sharing.given, self._entrants(now, started), lambda each: sharing.charged_on(each.row))
        tournament.hold(sharing.held)
        begun: list[int] = []
        while len(begun) < len(started) and (entrant := tournament.first()) is not None:
            if entrant.attempt < 0 and self._alike(entrant.row) == own:
                break
            tournament.drop(entrant)
            if entrant.attempt >= 0:
                sharing.hold(entrant.attempt)
                begun.append(entrant.attempt)
                tournament.hold(sharing.held)
        for attempt in begun:
            sharing.give_back(attempt)
        return len(begun)

    def _entrants(self, now: int, started: Sequence[int]) -> Iterator[Entrant]:
        """Yield who starts, and of those who wait the first of each that are passed over together."""
        found: dict[Hashable, Place] = {}
        for place in self._line.waiting(now):
            if not self._evidence.rejected[place[2]]:
                alike = self._alike(place[2])
                found[alike] = min(found.get(alike, place), place)
        for place in found.values():
            yield self._entrant(place, -1)
        for attempt in started:
            yield self._entrant(self._line.place(int(self._evidence.attempt_job[attempt]), now), attempt)

    def _entrant(self, place: Place, attempt: int) -> Entrant:
        row = place[2]
        return Entrant(place, row, int(self._sharing.owner[row]), held_milli(self._evidence, row), attempt)

    def _alike(self, row: int) -> Hashable:
        """Return what jobs have in common that are passed over once one of them has been refused."""
        if row not in self._known:
            self._known[row] = (int(self._sharing.owner[row]), *self._passed_over_by(row))
        return self._known[row]

    def _passed_over_by(self, row: int) -> tuple[Hashable, ...]:
        evidence = self._evidence
        if evidence.policy.backfill == "none":
            return (int(evidence.queues.of[row]),)
        if evidence.policy.backfill != "fit" or evidence.windows or evidence.policy.preemption.preempts:
            return ("one", row)
        return self._sharing.groups(row), int(evidence.asked.demand[row])
