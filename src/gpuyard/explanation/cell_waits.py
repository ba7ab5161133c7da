"""Why a job waited where the cluster is handed out in cells: too few that it may use, or another job of its queue.

What was free is what the job saw at its turn: a guaranteed job after what ended at an instant and after the guaranteed
jobs of its owner that come before it; others after all guaranteed jobs, and those before them in the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpuyard.celling import claims_of, owned_cells
from gpuyard.explanation.cell_limits import LimitsInCells
from gpuyard.explanation.cells import in_own_cells
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.forest import Forest
from gpuyard.explanation.queue import FirstByScore, FirstOf
from gpuyard.explanation.story import Blocker, FreeCells, Held, Stretch
from gpuyard.explanation.walking import held_before, waits_of, walk
from gpuyard.explanation.yard import held_milli
from gpuyard.kernel.cells import OWNERS
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.tables import Records
from gpuyard.workload import MICROSECOND

__all__ = ["find_cell_stretches"]

_END, _START, _END_AT_ONCE = range(3)
"""What happens to virtual cells at one instant, in this order."""


@dataclass(frozen=True, kw_only=True)
class _Moment:
    time: int
    own: tuple[int, int] | None
    """free cells of its owner that would do, and GPUs in cells of its owner of which nothing is taken"""
    idle: tuple[int, int] | None
    """likewise of the site, where it may run in lent cells"""
    needed: int
    first: tuple[int | None, int | None]
    """who goes before it, in the queue of its owner and in that for lent cells"""
    limits: tuple[Held | None, Held | None] = (None, None)
    """which did not admit it, in these queues"""
    behind: str = "cells"
    """why the job waits that goes before it"""
    reserves: bool = False
    """whether jobs behind the first may start beside its reservation"""

    @property
    def fits(self) -> bool:
        """Whether there were cells for it, had nobody gone before it."""
        return any(each is not None and each[0] >= self.needed for each in (self.own, self.idle))

    @property
    def reason(self) -> str:
        """Why it waited."""
        if self.held is not None and (self.reserves or self.blocker is None):
            return "limit"
        if self.reserves:
            return "reservation" if self.fits else "cells"
        return "cells" if self.blocker is None else "order"

    @property
    def blocker(self) -> int | None:
        """Who went before it where there were cells for it, or in the first queue that it waits in."""
        own, idle = self.first
        if self.reserves and (not self.fits or self.behind == "limit"):
            return None
        if self.own is None or (self.own[0] < self.needed and self.fits):
            return idle
        return own

    @property
    def held(self) -> Held | None:
        """The limit that held it back: where there were cells for it, or in all queues that it waits in."""
        both = [each for each in zip((self.own, self.idle), self.limits, strict=True) if each[0] is not None]
        for room, limit in both:
            if limit is not None and room is not None and room[0] >= self.needed:
                return limit
        return both[0][1] if all(limit is not None for _, limit in both) else None

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same all through a stretch."""
        held = None if self.reason != "limit" or self.held is None else (self.held.what, *self.held.group.items())
        return self.reason, self.blocker, self.behind, self.fits, held


class _Judge:
    """Says what holds one job back in a wait."""

    def __init__(self, evidence: Evidence, row: int, since: int, until: int) -> None:
        self.evidence, self.row = evidence, row
        levels, self.claims = claims_of(evidence.workload, evidence.cluster, evidence.policy)
        self.size, self.node = levels.size.tolist(), int(levels.size[levels.node])
        self.level, self.needed = int(self.claims["level"][row]), int(self.claims["count"][row])
        self.owner, self.may_borrow = int(self.claims["forest"][row]), bool(self.claims["guest"][row])
        self.held = np.zeros(evidence.cluster.gpus, np.bool_)
        """GPUs in cells that jobs hold"""
        for attempt in held_before(evidence, since):
            self._mark(attempt, True)
        self.own = None if self.owner == NOBODY else _Owned(evidence, row, self.claims, _taker(evidence, row, since))
        own, guests = np.flatnonzero(self.claims["forest"] == self.owner), np.flatnonzero(self.claims["guest"] > 0)
        lent = np.flatnonzero(evidence.attempt_lent)
        queue = FirstByScore if evidence.scored else FirstOf.in_cells
        self.queues = (
            queue(evidence, row, own, since, until, elsewhere=lent),
            queue(evidence, row, guests, since, until),
        )
        self.reserves = evidence.policy.backfill == "easy"
        self.asks_first = self.reserves or evidence.policy.backfill == "none"
        self.limits = LimitsInCells(evidence, since) if evidence.tenants else None

    def _mark(self, attempt: int, held: bool) -> None:
        """Note that an attempt holds its cells, or does not any more."""
        evidence = self.evidence
        size = self.size[self.claims["level"][evidence.attempt_job[attempt]]]
        slots = slice(evidence.slot_offset[attempt], evidence.slot_offset[attempt + 1])
        for gpu in (evidence.slot_node[slots] * self.node + evidence.slot_gpu[slots]).tolist():
            self.held[gpu : gpu + size] = held

    def moment(self, now: int, started: Sequence[int], left: Sequence[int]) -> _Moment:
        """Return what held the job back at an instant at which these attempts started and these ended."""
        evidence = self.evidence
        for attempt in left:
            if evidence.attempt_since[attempt] < now:
                self._mark(attempt, False)
        later = []
        for attempt in started:
            if evidence.attempt_lent[attempt] and _goes_later(evidence, self.row, attempt, now):
                later.append(attempt)
            elif evidence.attempt_end[attempt] > now:
                self._mark(attempt, True)
        found = _Moment(
            time=now,
            own=None if self.own is None else self.own.room(now, self.level),
            idle=self._idle() if self.may_borrow else None,
            needed=self.needed,
            first=(self.queues[0].first(now), self.queues[1].first(now)) if self.asks_first else (None, None),
            reserves=self.reserves,
        )
        for attempt in later:
            if evidence.attempt_end[attempt] > now:
                self._mark(attempt, True)
        return found if self.limits is None else self._limited(self.limits, found, started, left)

    def _limited(self, limits: LimitsInCells, found: _Moment, started: Sequence[int], left: Sequence[int]) -> _Moment:
        """Return a moment with the limits that did not admit the job, or the one before it."""
        lasting = [attempt for attempt in started if self.evidence.attempt_end[attempt] > found.time]
        found = replace(found, limits=limits.at_turns(self.row, found.time, lasting, left))
        if found.blocker is not None:
            its = limits.at_turns(found.blocker, found.time, lasting, left)[found.blocker != found.first[0]]
            found = replace(found, behind="cells" if its is None else "limit")
        limits.come_to(found.time, started, left)
        return found

    def _idle(self) -> tuple[int, int]:
        cells = self.held.reshape(-1, self.size[self.level])
        return int(np.count_nonzero(~cells.any(axis=1))), int(np.count_nonzero(~self.held))


class _Owned:
    """The virtual cells of a job's owner, as the job saw them at its turn; asked at instants that do not go back."""

    def __init__(self, evidence: Evidence, row: int, claims: Records, after: int) -> None:
        """``after``: the attempt for which the job made room last; its turn came after that, and it joined then."""
        self._after = after
        self._evidence, self._row, self._claims = evidence, row, claims
        owner = int(claims["forest"][row])
        size = claims_of(evidence.workload, evidence.cluster, evidence.policy)[0].size
        self._forest = Forest(size, owned_cells(evidence.cluster, evidence.policy)[owner - OWNERS])
        theirs = in_own_cells(evidence) & (claims["forest"][evidence.attempt_job] == owner)
        theirs = np.flatnonzero(theirs)
        starts, ends = evidence.attempt_since[theirs], evidence.attempt_end[theirs]
        kinds = np.concatenate([np.full(theirs.size, _START), np.where(starts == ends, _END_AT_ONCE, _END)])
        attempts, times = np.concatenate([theirs, theirs]), np.concatenate([starts, ends])
        order = np.lexsort((attempts, kinds, times))
        order = order[(kinds[order] == _START) | (evidence.attempt_by[attempts[order]] < 0)]
        self._events = list(zip(times[order].tolist(), kinds[order].tolist(), attempts[order].tolist(), strict=True))
        self._next = 0
        self._taken: dict[int, list[int]] = {}

    def room(self, now: int, level: int) -> tuple[int, int]:
        """Return the free cells of a level, and the GPUs of which nothing is taken."""
        while self._next < len(self._events) and not self._is_later(now, *self._events[self._next]):
            _, kind, attempt = self._events[self._next]
            self._change(kind, attempt)
            self._next += 1
        return int(np.count_nonzero(self._forest.free(level))), self._forest.gpus

    def _is_later(self, now: int, time: int, kind: int, attempt: int) -> bool:
        """Return whether something comes after the turn of the job at an instant."""
        if time != now or kind != _START:
            return time > now or (time == now and kind == _END_AT_ONCE)
        return attempt > self._after and _goes_later(self._evidence, self._row, attempt, now)

    def _change(self, kind: int, attempt: int) -> None:
        claim = self._claims[self._evidence.attempt_job[attempt]]
        level, count = int(claim["level"]), int(claim["count"])
        if kind != _START:
            self._forest.give(level, self._taken.pop(attempt))
            return
        self._take_back(attempt)
        chosen = self._forest.take(level, count)
        if chosen is None:  # an instant has several passes where jobs run for no time
            self._let_end_at_once()
            chosen = self._forest.take(level, count)
        self._taken[attempt] = chosen or []

    def _take_back(self, attempt: int) -> None:
        """Free the cells of those of the same owner whom an attempt preempted when it began."""
        evidence = self._evidence
        job, now = evidence.attempt_job[attempt], evidence.attempt_start[attempt]
        for other in list(self._taken):
            if evidence.attempt_by[other] == job and evidence.attempt_end[other] == now:
                level = int(self._claims["level"][evidence.attempt_job[other]])
                self._forest.give(level, self._taken.pop(other))

    def _let_end_at_once(self) -> None:
        """Free the cells of those who run for no time."""
        evidence = self._evidence
        for attempt, chosen in self._taken.items():
            if evidence.attempt_since[attempt] == evidence.attempt_end[attempt]:
                claim = self._claims[evidence.attempt_job[attempt]]
                self._forest.give(int(claim["level"]), chosen)
                self._taken[attempt] = []


def _goes_later(evidence: Evidence, row: int, attempt: int, now: int) -> bool:
    """Return whether the job of an attempt comes after another in the order of an instant."""
    return bool(evidence.goes_later(row, evidence.attempt_job[[attempt]], now)[0])


def _taker(evidence: Evidence, row: int, now: int) -> int:
    """Return the attempt for which a job made room at an instant, or -1."""
    made = (evidence.attempt_job == row) & (evidence.attempt_end == now) & (evidence.attempt_by >= 0)
    if not made.any():
        return -1
    by = evidence.attempt_by[np.flatnonzero(made)[-1]]
    return int(np.flatnonzero((evidence.attempt_job == by) & (evidence.attempt_start == now))[0])


def find_cell_stretches(evidence: Evidence, row: int) -> tuple[Stretch, ...]:
    """Return why a job waited, in all its waits."""
    stretches: list[Stretch] = []
    rows, begins, ends = waits_of(evidence)
    for since, until in zip(begins[rows == row].tolist(), ends[rows == row].tolist(), strict=True):
        judge = _Judge(evidence, row, since, until)
        turns = [queue.begins for queue in judge.queues]
        run: list[_Moment] = []
        for instant in walk(evidence, since, until, turns):
            moment = judge.moment(*instant)
            if run and moment.key != run[0].key:
                stretches.append(_stretch(evidence, run, moment.time))
                run = []
            run.append(moment)
        stretches.append(_stretch(evidence, run, until))
    return tuple(stretches)


def _stretch(evidence: Evidence, run: Sequence[_Moment], until: int) -> Stretch:
    """Return the stretch of moments that have one reason."""
    first = run[0]
    own = [moment.own for moment in run if moment.own is not None]
    idle = [moment.idle for moment in run if moment.idle is not None]
    cells = FreeCells(
        own=_span([each[0] for each in own]),
        own_gpus=_span([each[1] for each in own]),
        idle=_span([each[0] for each in idle]),
        idle_gpus=_span([each[1] for each in idle]),
    )
    low, high = cells.own_gpus or cells.idle_gpus or (0, 0)
    return Stretch(
        start=first.time / MICROSECOND,
        end=until / MICROSECOND,
        reason=first.reason,
        blocker=None
        if first.reason == "limit" or first.blocker is None
        else _blocker(evidence, first.blocker, first.behind),
        fits=first.fits,
        free=(float(low), float(high)),
        allowed=(float(low), float(high)),
        cells=cells,
        held=_all_through(run) if first.reason == "limit" else None,
    )


def _all_through(run: Sequence[_Moment]) -> Held:
    """Return the limit of a stretch with the least and the most that was used."""
    limits = [moment.held for moment in run if moment.held is not None]
    return replace(limits[0], used=(min(each.used[0] for each in limits), max(each.used[1] for each in limits)))


def _blocker(evidence: Evidence, row: int, reason: str) -> Blocker:
    return Blocker(job_id=evidence.names[row], gpus=held_milli(evidence, row) / 1000, reason=reason)


def _span(values: Sequence[int]) -> tuple[int, int] | None:
    return (min(values), max(values)) if values else None
