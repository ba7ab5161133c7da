"""Why a job waited, stretch by stretch, and who started instead.

Nothing is decided between two instants at which a job starts or ends, so the reason that holds after the passes of one
holds up to the next.  What was free *to the job* at its turn is what is free after the instant, and what jobs later in
the order took at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.closures import Closure, find_needed
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.heads import Test, exceeds_extra, find_reservation, find_withheld, first_of, is_patterned
from gpuyard.explanation.plans import planned_wait
from gpuyard.explanation.queue import Ahead
from gpuyard.explanation.seen import room_seen
from gpuyard.explanation.story import Blocker, Passed, Shut, Stretch
from gpuyard.explanation.yard import Shortage, Yard, allowed_nodes, demand_of, find_shortage, held_milli
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["before_begin", "find_passed", "find_stretches"]

_SHOWN = 5
"""Jobs that are named out of many."""


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """What is known of one instant of the wait."""

    time: int
    reason: str
    shortage: Shortage | None
    free: float
    allowed: float
    ahead: int | None
    blocker: int | None = None
    behind: Shortage | None = None
    entry: int = -1
    """the promise to the blocker"""
    planned: int = NEVER
    shut: tuple[Closure, ...] = ()
    """what closes nodes to the job, or to the first"""

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same all through a stretch."""
        shut = tuple(each.key for each in self.shut)
        return self.reason, self.blocker, self.shortage is None, self.behind and self.behind.reason, shut


def before_begin(evidence: Evidence, row: int) -> tuple[Stretch, ...]:
    """Return how long a job had waited when the simulation began, of which nothing is known."""
    since, until = int(evidence.eligible[row]), int(min(evidence.start[row], evidence.stop))
    if evidence.begin is None or since >= min(until, evidence.begin):
        return ()
    return (
        Stretch(
            start=since / MICROSECOND,
            end=min(until, evidence.begin) / MICROSECOND,
            reason="before_begin",
            blocker=None,
            fits=False,
            free=(0.0, 0.0),
            allowed=(0.0, 0.0),
        ),
    )


def find_stretches(evidence: Evidence, row: int) -> tuple[Stretch, ...]:
    """Return why a job waited, from when it was eligible and the simulation had begun to its start, or to the stop."""
    since, until = int(evidence.eligible[row]), int(min(evidence.start[row], evidence.stop))
    since = since if evidence.begin is None else max(since, evidence.begin)
    if since >= until or evidence.policy.replay == "recorded":
        return ()
    stretches = []
    run: list[_Moment] = []
    for moment in _moments(evidence, row, since, until):
        if run and moment.key != run[0].key:
            stretches.append(_stretch(evidence, row, run, moment.time))
            run = []
        run.append(moment)
    if run:
        stretches.append(_stretch(evidence, row, run, until))
    return tuple(stretches)


def find_passed(evidence: Evidence, row: int) -> Passed | None:
    """Return who started while a job waited although it comes later in the order, or ``None`` if nobody did."""
    since, until = int(evidence.eligible[row]), int(min(evidence.start[row], evidence.stop))
    if since >= until or evidence.policy.replay == "recorded" or evidence.policy.decide is not None:
        return None
    low, high = (int(np.searchsorted(evidence.attempt_start, tick, "left")) for tick in (since, until))
    times, jobs = evidence.attempt_start[low:high], evidence.attempt_job[low:high]
    ran_before = evidence.start[jobs] < times
    times, jobs = times[~ran_before], jobs[~ran_before]
    later = np.zeros(jobs.size, np.bool_)
    if evidence.scored:
        for first, end in _groups(times):
            later[first:end] = evidence.goes_later(row, jobs[first:end], int(times[first]))
    else:
        later = evidence.goes_later(row, jobs, since)
    jobs = jobs[later]
    if jobs.size == 0:
        return None
    gpus = sum(held_milli(evidence, int(job)) for job in jobs) / 1000
    return Passed(count=int(jobs.size), gpus=gpus, first=tuple(evidence.names[job] for job in jobs[:_SHOWN]))


def _groups(times: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield where each run of equal times begins and ends."""
    edges = np.flatnonzero(np.diff(times)) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), times.size], strict=True) if times.size else ()


def _moments(evidence: Evidence, row: int, since: int, until: int) -> Iterator[_Moment]:
    """Yield what held the job back after each instant of its wait at which something started or ended."""
    start, end = evidence.attempt_start, evidence.attempt_end
    yard = Yard(evidence)
    for attempt in np.flatnonzero((start < since) & (end >= since)).tolist():
        yard.hold(attempt)
    low, high = (int(np.searchsorted(start, tick, "left")) for tick in (since, until))
    by_end = np.argsort(end, kind="stable")
    gone = int(np.searchsorted(end[by_end], since, "left"))
    judge = _Judge(evidence, row, since, until, yard)
    changes = [np.array([since]), start[low:high], end[(end >= since) & (end < until)], *judge.turns(since, until)]
    for now in np.unique(np.concatenate(changes)).tolist():
        started = []
        while low < high and start[low] == now:
            yard.hold(low)
            started.append(low)
            low += 1
        while gone < by_end.size and end[by_end[gone]] == now:
            yard.give_back(int(by_end[gone]))
            gone += 1
        yield judge.moment(now, started)


def _next_passes(evidence: Evidence, since: int, until: int) -> NDArray[np.int64]:
    """Return when jobs come next after starts: the job sees then what those took who came after it in the order."""
    start = evidence.attempt_start
    starts = start[np.searchsorted(start, since, "left") : np.searchsorted(start, until, "left")]
    came = np.unique(np.concatenate([evidence.eligible, evidence.workload.submit]))
    places = np.searchsorted(came, starts, "right")
    following = came[places[places < came.size]]
    return following[following < until]


class _Judge:
    """Says what holds one job back, given what is free."""

    def __init__(self, evidence: Evidence, row: int, since: int, until: int, yard: Yard) -> None:
        self.evidence, self.row, self.yard = evidence, row, yard
        self.ahead = None if evidence.scored else Ahead(evidence, row, since, until)
        self.usable = allowed_nodes(yard, demand_of(evidence, row))

    def turns(self, since: int, until: int) -> Iterator[NDArray[np.int64]]:
        """Yield the instants at which others came to the front, or were promised something, int64."""
        if self.ahead is not None:
            came = self.ahead.eligible
            yield came[(came > since) & (came < until)]
        if self.evidence.queues.several and self.evidence.policy.backfill == "none":
            came = self.evidence.eligible
            yield came[(came > since) & (came < until)]
        if self.evidence.policy.backfill != "none":
            yield _next_passes(self.evidence, since, until)
        promises = self.evidence.promises if self.evidence.policy.backfill != "fit" else None
        if promises is not None:
            first, end = np.searchsorted(promises.time, [since, until]).tolist()
            yield promises.time[first:end]
        ends = np.array([each.end for each in self.evidence.windows], np.int64)
        for instants in (ends, np.unique(self.evidence.there_from)):
            yield instants[(instants > since) & (instants < until)]

    def moment(self, now: int, started: list[int]) -> _Moment:
        """Return what held the job back after the passes of an instant, at which these attempts started."""
        evidence, yard = self.evidence, self.yard
        yard.come_to(now)
        taken = self._taken_later(now, started)  # given back until it is said what held the job
        for attempt in taken:
            yard.give_back(attempt)
        shortage = find_shortage(evidence, yard, self.row, evidence.closed_nodes(self.row, now))
        free, allowed = float(yard.milli.sum()) / 1000, float(yard.milli[self.usable].sum()) / 1000
        if shortage is not None:
            allowed = shortage.allowed
        why = self._reason(now, shortage)
        if why["reason"] == "closed":
            why["shut"] = self._shut(self.row, now)
        for attempt in taken:
            yard.hold(attempt)
        known = {
            "time": now,
            "shortage": shortage,
            "free": free,
            "allowed": allowed,
            "ahead": None if self.ahead is None else self.ahead.count(now),
        }
        return _Moment(**(known | why))  # type: ignore[arg-type]

    def _taken_later(self, now: int, started: list[int]) -> list[int]:
        """Return the attempts of later jobs that started at this instant: the job saw what they took as free.

        Where a job ran for no time, an instant has several passes, and what was free at each is not known.
        """
        evidence = self.evidence
        if not started or evidence.policy.backfill == "none" or evidence.policy.decide is not None:
            return []
        if any(evidence.attempt_end[attempt] <= now for attempt in started):
            return []
        jobs = evidence.attempt_job[started]
        later = evidence.goes_later(self.row, jobs, now) & (evidence.start[jobs] == now)
        return [attempt for attempt, is_later in zip(started, later.tolist(), strict=True) if is_later]

    def _reason(self, now: int, shortage: Shortage | None) -> dict[str, object]:
        policy = self.evidence.policy
        own = "placement" if shortage is None else shortage.reason
        if policy.decide is not None:
            return {"reason": "decider" if shortage is None else own}
        if policy.backfill == "none":
            return self._behind_first(now, own)
        if policy.backfill == "easy" and shortage is None:
            return self._beside_reservation(now)
        if policy.backfill in ("conservative", "slurm") and shortage is None:
            return self._planned(now)
        return {"reason": own, **self._own_promise(now)}

    def _own_promise(self, now: int) -> dict[str, object]:
        """Return what the job was itself promised."""
        promises = self.evidence.promises
        if promises is None:
            return {}
        easy = self.evidence.policy.backfill == "easy"
        own = int(self.evidence.queues.of[self.row])
        entry = promises.last(now, own) if easy else promises.last_of(self.row, now)
        if entry < 0 or promises.job[entry] != self.row or promises.begin[entry] <= now:
            return {}
        return {"planned": int(promises.begin[entry])}

    def _first(self, now: int) -> tuple[int | None, bool]:
        """Return the first job in the queue, and whether that is known."""
        if self.ahead is not None:
            first = self.ahead.first(now)
            return (self.row if first is None else first), True
        if self.evidence.queues.several:
            own = self._waiting(now)
            return first_of(self.evidence, own[self._are_together(own)], now), True
        promises = self.evidence.promises
        entry = -1 if promises is None else promises.last(now, 0)
        return (None, False) if promises is None or entry < 0 else (int(promises.job[entry]), True)

    def _behind_first(self, now: int, own: str) -> dict[str, object]:
        first, known = self._first(now)
        if not known or first is None:
            return {"reason": "unknown"}
        if first == self.row:
            if not self.evidence.queues.several:
                return {"reason": own}
            return {"ahead": 0} | (self._withheld(now) if own == "placement" else {"reason": own})
        behind = self._short(first, now)
        shut = self._shut(first, now) if behind is not None and behind.reason == "closed" else ()
        return {"reason": "order", "blocker": first, "behind": behind, "shut": shut}

    def _waiting(self, now: int) -> NDArray[np.int64]:
        """Return the jobs that wait after the passes of an instant, int64."""
        return np.flatnonzero((self.evidence.eligible <= now) & (self.evidence.start > now))

    def _are_together(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which jobs wait in the queue of this one."""
        return np.asarray(self.evidence.queues.of[rows] == self.evidence.queues.of[self.row])

    def _withheld(self, now: int) -> dict[str, object]:
        """Return for which first job of another queue nodes are withheld from a job that is the first of its own."""
        evidence, rows = self.evidence, self._waiting(now)
        rows = rows[~self._are_together(rows)]
        rows = rows[~evidence.goes_later(self.row, rows, now)]
        queue = evidence.queues.of[rows]
        firsts = [first_of(evidence, rows[queue == number], now) for number in np.unique(queue)]
        keeper = find_withheld(evidence, [each for each in firsts if each is not None], self._is_kept_out(now))
        return {"reason": "placement"} if keeper is None else {"reason": "withheld", "blocker": keeper.job}

    def _is_kept_out(self, now: int) -> Test:
        """Return what tells whether the job finds no room where further nodes are closed to it."""
        evidence, shut = self.evidence, self.evidence.closed_nodes(self.row, now)

        def is_kept_out(nodes: NDArray[np.bool_]) -> bool:
            return find_shortage(evidence, self.yard, self.row, nodes if shut is None else nodes | shut) is not None

        return is_kept_out

    def _shut(self, row: int, now: int) -> tuple[Closure, ...]:
        """Return the windows without any of which there would have been nodes for a job that is short of open ones."""

        def has_room(closed: NDArray[np.bool_] | None) -> bool:
            return find_shortage(self.evidence, self.yard, row, closed) is None

        return find_needed(self.evidence.closures(row, now), has_room)

    def _short(self, row: int, now: int) -> Shortage | None:
        return find_shortage(self.evidence, self.yard, row, self.evidence.closed_nodes(row, now))

    def _beside_reservation(self, now: int) -> dict[str, object]:
        if self.evidence.queues.several:
            return self._beside_reservations(now)
        first, known = self._first(now)
        if first == self.row:
            return {"reason": "placement"}
        promises = self.evidence.promises
        entry = -1 if promises is None else promises.last(now, 0)
        if not known or promises is None or entry < 0 or promises.job[entry] != first:
            return {"reason": "reservation" if known else "unknown", "blocker": first}
        if is_patterned(self.evidence, self.row) and not exceeds_extra(self.evidence, self.row, entry):
            return self._beside_reservations(now)
        return {"reason": "reservation", "blocker": first, "entry": entry}

    def _beside_reservations(self, now: int) -> dict[str, object]:
        """Return which head, of whatever queue, has a reservation that kept the job from its nodes."""
        evidence, row = self.evidence, self.row
        if evidence.promises is None:
            return {"reason": "unknown"}

        def goes_before(head: int) -> bool:
            return not evidence.goes_later(row, np.array([head]), now)[0]

        lasting = int(evidence.estimate[row])
        keeper = find_reservation(evidence, row, now, lasting, goes_before, self._is_kept_out(now))
        if keeper is None:  # no pattern, or what stood at its turn is not what stands after the pass
            return {"reason": "placement" if is_patterned(evidence, row) else "unknown"}
        return {"reason": "reservation", "blocker": keeper.job, "entry": keeper.entry}

    def _planned(self, now: int) -> dict[str, object]:
        evidence = self.evidence
        depth = evidence.policy.planning.depth
        if depth < len(evidence.workload) and self._count_ahead(now) >= depth:
            return {"reason": "depth"}
        return planned_wait(evidence, self.row, now, lambda rows: evidence.start[rows] > now)

    def _count_ahead(self, now: int) -> int:
        """Return how many that go before the job wait after the passes of an instant."""
        if self.ahead is not None:
            return self.ahead.count(now)
        others = np.flatnonzero((self.evidence.eligible <= now) & (self.evidence.start > now))
        others = others[others != self.row]
        return int(np.count_nonzero(~self.evidence.goes_later(self.row, others, now)))


def _stretch(evidence: Evidence, row: int, run: list[_Moment], until: int) -> Stretch:
    """Return the stretch of moments that have one reason."""
    first = run[0]
    return Stretch(
        start=first.time / MICROSECOND,
        end=until / MICROSECOND,
        reason=first.reason,
        blocker=None if first.blocker is None else _blocker(evidence, row, run),
        ahead=first.ahead,
        partition=evidence.queues.name_of(row),
        planned=_seconds(run[-1].planned),
        closed=_in_words(evidence, first) if first.reason == "closed" else (),
        **room_seen(run),
    )


def _in_words(evidence: Evidence, moment: _Moment) -> tuple[Shut, ...]:
    return tuple(each.in_words(evidence.cluster) for each in moment.shut)


def _blocker(evidence: Evidence, waiting: int, run: list[_Moment]) -> Blocker:
    first, last = run[0], run[-1]
    row = int(first.blocker or 0)
    promises = evidence.promises
    given: dict[str, object] = {}
    if promises is not None and last.entry >= 0:
        nodes = promises.nodes(last.entry)
        names = None if nodes is None else tuple(evidence.cluster.node_names[node] for node in nodes)
        earlier = _seconds(int(promises.begin[first.entry])) if first.entry >= 0 else None
        promised = _seconds(int(promises.begin[last.entry]))
        given = {
            "promised": promised,
            "first_promised": None if earlier == promised else earlier,
            "nodes": names,
            "extra_gpus": promises.extra(last.entry),
        }
    behind = first.behind
    if first.reason == "order":
        given |= evidence.compared(waiting, row, first.time)
    return Blocker(
        job_id=evidence.names[row],
        gpus=held_milli(evidence, row) / 1000,
        partition=evidence.queues.name_of(row),
        reason=None if behind is None else behind.reason,
        free=None if behind is None else behind.free,
        closed=_in_words(evidence, first),
        **given,  # type: ignore[arg-type]
    )


def _seconds(tick: int) -> float | None:
    return None if tick == NEVER else tick / MICROSECOND
