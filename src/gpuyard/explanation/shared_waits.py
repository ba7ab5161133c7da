"""Why a job waited among tenants, or where jobs preempt each other: a quota, a limit, room, another job of its queue.

What held it is worked out as the job saw it at its turn: after what ended at an instant, and after those starts that
came before its turn in the order of that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.closures import Closure, find_needed
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.heads import Test, exceeds_extra, find_reservation, find_withheld, is_patterned
from gpuyard.explanation.line import Line, Place
from gpuyard.explanation.plans import planned_wait
from gpuyard.explanation.rounds import Round
from gpuyard.explanation.seen import room_seen
from gpuyard.explanation.sharing import Sharing
from gpuyard.explanation.story import Blocker, Held, Rival, Shut, Stretch
from gpuyard.explanation.walking import Ticks, held_before, walk
from gpuyard.explanation.yard import Shortage, Yard, allowed_nodes, demand_of, find_shortage, held_milli
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["find_shared_stretches"]

_SHOWN = 6
"""Tenants whose shares are told."""


@dataclass(frozen=True, kw_only=True)
class _Moment:
    time: int
    reason: str
    free: float
    allowed: float
    shortage: Shortage | None = None
    held: Held | None = None
    blocker: int | None = None
    behind: str | None = None
    may_take: bool | None = None
    rival: Rival | None = None
    lent: tuple[tuple[str, float], ...] = ()
    shares: tuple[tuple[str, float], ...] = ()
    own: float | None = None
    entry: int = -1
    """the promise to the blocker"""
    planned: int = NEVER
    ahead: int | None = None
    """0: the first of its queue"""
    shut: tuple[Closure, ...] = ()
    """what closes nodes to the job, or to the first"""

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same all through a stretch."""
        held = None if self.held is None else (self.held.by, self.held.what, self.held.tenant, tuple(self.held.group))
        shut = tuple(each.key for each in self.shut)
        return self.reason, self.blocker, self.behind, held, self.may_take, shut


def find_shared_stretches(evidence: Evidence, row: int) -> tuple[Stretch, ...]:
    """Return why a job waited, in all its waits."""
    stretches: list[Stretch] = []
    line = Line(evidence)
    waits = line.waits(row)
    run: list[_Moment] = []
    for number, (since, until) in enumerate(waits):
        for moment in _moments(evidence, line, row, since, until):
            if run and moment.key != run[0].key:
                stretches.append(_stretch(evidence, row, run, moment.time))
                run = []
            run.append(moment)
        if number + 1 == len(waits) or waits[number + 1][0] != until:
            stretches.append(_stretch(evidence, row, run, until))
            run = []
    return tuple(stretches)


def _moments(evidence: Evidence, line: Line, row: int, since: int, until: int) -> Iterator[_Moment]:
    """Yield what held the job back after each instant of a wait at which something started, ended or came."""
    judge = _Judge(evidence, line, row, since, until)
    for attempt in held_before(evidence, since):
        judge.hold(attempt)
    turns = [line.instants(since, until), evidence.there_from, *judge.turns()]
    for now, started, left in walk(evidence, since, until, turns):
        yield judge.moment(now, started, left)


class _Judge:
    """Says what holds one job back, given what is free and what tenants hold."""

    def __init__(self, evidence: Evidence, line: Line, row: int, since: int, until: int) -> None:
        self.evidence, self.line, self.row = evidence, line, row
        self.yard, self.sharing = Yard(evidence), Sharing(evidence)
        between_cohorts = evidence.tenants.between == "cohorts"
        self.round = Round(evidence, line, self.sharing) if between_cohorts else None
        self.usable = allowed_nodes(self.yard, demand_of(evidence, row))
        self.strict = evidence.policy.backfill == "none"
        self.promises = evidence.promises if evidence.policy.backfill in ("easy", "slurm") else None
        self.plans = evidence.policy.backfill == "slurm"
        victims = evidence.attempt_by >= 0
        self.made_room_for = set(
            zip(evidence.attempt_by[victims].tolist(), evidence.attempt_end[victims].tolist(), strict=True)
        )
        cancelled = victims & (evidence.attempt_end == evidence.end[evidence.attempt_job])
        self.cancelled_at = set(evidence.attempt_end[cancelled].tolist())
        until = until if self.strict else since
        mine, queues = self.sharing.owner == self.sharing.owner[row], evidence.queues
        firsts = [
            line.firsts(row, np.flatnonzero(mine & (queues.of == number)), since, until)
            for number in range(len(queues.names))
        ]
        self.queue = firsts.pop(int(queues.of[row]))
        self.others = firsts

    def turns(self) -> Iterator[Ticks]:
        """Yield the instants at which others were promised something, or nodes opened."""
        yield np.array([each.end for each in self.evidence.windows], np.int64)
        if self.promises is not None:
            yield self.promises.time

    def hold(self, attempt: int) -> None:
        self.yard.hold(attempt)
        self.sharing.hold(attempt)

    def give_back(self, attempt: int) -> None:
        self.yard.give_back(attempt)
        self.sharing.give_back(attempt)

    def moment(self, now: int, started: Sequence[int], left: Sequence[int]) -> _Moment:
        """Return what held the job back at an instant at which these attempts started and these ended.

        Who made room for a job that was tried after this one was still there; among tenants all are tried again then.
        """
        lasting = [attempt for attempt in started if self.evidence.attempt_end[attempt] > now]
        ended = [attempt for attempt in left if self.evidence.attempt_since[attempt] < now]
        later: list[int] = []
        if not self.evidence.tenants:
            after = self.evidence.attempt_job[lasting[self._turn(lasting, now) :]]
            later = [attempt for attempt in ended if self.evidence.attempt_by[attempt] in after]
        for attempt in ended:
            if attempt not in later:
                self.give_back(attempt)
        self.yard.come_to(now)
        turn = self._turn(lasting, now)
        for attempt in lasting[:turn]:
            self.hold(attempt)
        found = self._seen(now)
        for attempt in later:
            self.give_back(attempt)
        for attempt in lasting[turn:]:
            self.hold(attempt)
        return found

    def _turn(self, started: Sequence[int], now: int) -> int:
        """Return before which of the starts of an instant, which are in their order, the job had its turn."""
        done = self._done(started, now)
        held = list(started[:done])
        for attempt in held:
            self.sharing.hold(attempt)
        turn = len(started)
        if self.round is not None:
            turn = done + self.round.starts_before(self.row, now, started[done:])
        else:
            for place in range(done, len(started)):
                if self._key(self.row, now) < self._key(int(self.evidence.attempt_job[started[place]]), now):
                    turn = place
                    break
                self.sharing.hold(started[place])
                held.append(started[place])
        for attempt in held:
            self.sharing.give_back(attempt)
        return turn

    def _done(self, started: Sequence[int], now: int) -> int:
        """Return how many of the starts of an instant were before the last time that the job was tried.

        Among tenants each start for which others made room begins the pass anew, so only those after the last count.
        Who becomes eligible because a job was cancelled has its turn in a further pass, after those who were there.
        """
        evidence, done = self.evidence, 0
        in_a_further_pass = self._is_told(self.row, now) or (self.round is not None and now in self.cancelled_at)
        for place, attempt in enumerate(started):
            made_room = (int(evidence.attempt_job[attempt]), int(evidence.attempt_start[attempt])) in self.made_room_for
            was_there = not self._is_told(int(evidence.attempt_job[attempt]), now)
            if (made_room and evidence.tenants) or (was_there and in_a_further_pass):
                done = place + 1
        return done

    def _is_told(self, row: int, now: int) -> bool:
        """Return whether a job submitted before becomes eligible at an instant at which some are cancelled."""
        submit = int(self.evidence.workload.submit[row])
        return now in self.cancelled_at and submit < now == int(self.evidence.eligible[row])

    def _key(self, row: int, now: int) -> tuple[float, Place]:
        """Return the place of a job in the order of this moment."""
        return self.sharing.share(int(self.sharing.owner[row])), self.line.place(row, now)

    def _seen(self, now: int) -> _Moment:
        row = self.row
        refusal, shortage = self._own_reasons(row, now)
        free, allowed = float(self.yard.milli.sum()) / 1000, float(self.yard.milli[self.usable].sum()) / 1000
        known = _Moment(
            time=now,
            reason="order",
            free=free,
            allowed=allowed if shortage is None else shortage.allowed,
            shortage=shortage,
            **self._may_take(row),
            lent=self._lent(row),
            **self._shares(),  # type: ignore[arg-type]
        )
        first = self.queue.first(now) if self.strict else None
        if first is not None:
            return replace(known, blocker=first, **self._why(first, now))
        if self.strict and self.evidence.queues.several and not self.evidence.tenants:
            known = replace(known, ahead=0)
        if refusal is not None and not (refusal.tenant == "" and refusal.by == "quota" and shortage is not None):
            return replace(known, reason=refusal.by, held=refusal)
        if shortage is not None:
            return replace(known, reason=shortage.reason, shut=self._shut(row, shortage, now), **self._own_promise(now))
        if self.plans and self._is_beyond_depth(now):
            return replace(known, reason="depth")
        if self.plans:
            return replace(known, **planned_wait(self.evidence, row, now, lambda rows: self._wait(rows, now)))  # type: ignore[arg-type]
        return replace(known, **(self._withheld(now) or self._beside_reservation(now)))

    def _withheld(self, now: int) -> dict[str, Any]:
        """Return for which first job of another queue nodes are withheld that the job needs, nothing if for none."""
        if not self.strict:
            return {}
        firsts = [first for first in (each.first(now) for each in self.others) if first is not None]
        keeper = find_withheld(self.evidence, firsts, self._is_kept_out(now))
        return {} if keeper is None else {"reason": "withheld", "blocker": keeper.job}

    def _shut(self, row: int, shortage: Shortage, now: int) -> tuple[Closure, ...]:
        """Return the windows without any of which there would have been nodes for a job that is short of open ones."""
        if shortage.reason != "closed":
            return ()
        refused = np.isin(self.yard.kind, list(self.sharing.refused_types(row)))
        if find_shortage(self.evidence, self.yard, row, refused) is not None:
            refused = np.zeros_like(refused)

        def has_room(closed: NDArray[np.bool_] | None) -> bool:
            shut = refused if closed is None else refused | closed
            return find_shortage(self.evidence, self.yard, row, shut) is None

        closures = self.evidence.closures(row, now, self.line.lasting(row, now))
        return find_needed(closures, has_room)

    def _is_kept_out(self, now: int) -> Test:
        """Return what tells whether the job finds no room where further nodes are closed to it."""
        shut = np.isin(self.yard.kind, list(self.sharing.refused_types(self.row)))
        closed = self._closed(self.row, now)
        shut = shut if closed is None else shut | closed

        def is_kept_out(nodes: NDArray[np.bool_]) -> bool:
            return find_shortage(self.evidence, self.yard, self.row, nodes | shut) is not None

        return is_kept_out

    def _goes_before(self, other: int, now: int) -> bool:
        """Return whether another job goes before this one; a head does, where cohorts share."""
        if self.round is not None:
            return True
        return self._key(other, now) < self._key(self.row, now)

    def _closed(self, row: int, now: int) -> NDArray[np.bool_] | None:
        """Return which nodes windows close to a job."""
        return self.evidence.closed_nodes(row, now, self.line.lasting(row, now))

    def _entry(self, now: int) -> int:
        """Return the promise to the head of its queue after the passes of an instant, or -1: not to one that runs."""
        own = int(self.evidence.queues.of[self.row])
        entry = -1 if self.promises is None else self.promises.last(now, own)
        if self.promises is None or entry < 0:
            return -1
        evidence, head = self.evidence, self.promises.job[entry]
        runs = (evidence.attempt_job == head) & (evidence.attempt_start <= now) & (evidence.attempt_end > now)
        return -1 if runs.any() else entry

    def _own_promise(self, now: int) -> dict[str, Any]:
        """Return what the job was itself promised: by a plan, or where it is the first."""
        if self.plans and self.promises is not None:
            entry = self.promises.last_of(self.row, now)
            begin = int(self.promises.begin[entry]) if entry >= 0 else NEVER
            return {"planned": begin} if now < begin < NEVER else {}
        entry = self._entry(now)
        if self.promises is None or entry < 0 or self.promises.job[entry] != self.row:
            return {}
        return {"planned": int(self.promises.begin[entry])}

    def _beside_reservation(self, now: int) -> dict[str, Any]:
        """Return why a job waits for which there was room that its quotas and limits admitted it to."""
        evidence, row = self.evidence, self.row
        if self.promises is None:
            return {"reason": "unknown" if evidence.policy.backfill == "easy" else "placement"}
        lasting, is_kept_out = self.line.lasting(row, now), self._is_kept_out(now)
        keeper = find_reservation(evidence, row, now, lasting, lambda head: self._goes_before(head, now), is_kept_out)
        if keeper is not None:
            return {"reason": "reservation", "blocker": keeper.job, "entry": keeper.entry}
        entry = self._entry(now)
        if is_patterned(evidence, row) and not exceeds_extra(evidence, row, entry):
            return {"reason": "placement"}
        if evidence.queues.several:
            return {"reason": "unknown"}
        if entry < 0 or self.promises.job[entry] == row:
            return {"reason": "placement"}
        return {"reason": "reservation", "blocker": int(self.promises.job[entry]), "entry": entry}

    def _wait(self, rows: Ticks, now: int) -> NDArray[np.bool_]:
        """Return which jobs neither run nor have ended, after the passes of an instant."""
        evidence = self.evidence
        runs = (evidence.attempt_start <= now) & (evidence.attempt_end > now)
        ended = (evidence.attempt_end <= now) & (evidence.attempt_by < 0)
        return ~np.isin(rows, evidence.attempt_job[runs | ended])

    def _is_beyond_depth(self, now: int) -> bool:
        """Return whether more jobs are ahead than are planned; False where tenants make that hard to tell."""
        evidence, depth = self.evidence, self.evidence.policy.planning.depth
        if depth >= len(evidence.workload) or evidence.tenants:
            return False
        return self.line.count_ahead(self.row, now) >= depth

    def _may_take(self, row: int) -> dict[str, Any]:
        """Return whether other tenants' GPUs might be taken back for a job, nothing where none ever are."""
        evidence = self.evidence
        if not evidence.policy.preemption or not evidence.tenants.has_quotas:
            return {}
        if evidence.tenants.reclaim in ("any", "lower"):
            return {"may_take": evidence.tenants.borrows_within or self.sharing.is_within_quota(row)}
        if evidence.tenants.reclaim in ("fair", "cohorts") and held_milli(evidence, row):
            rival = self.sharing.rival(row)
            return {} if rival is None else {"may_take": rival.share > rival.own_share, "rival": rival}
        return {}

    def _lent(self, row: int) -> tuple[tuple[str, float], ...]:
        """Return who uses more than its quota where a job's tenant would not, and nothing is ever taken back."""
        evidence = self.evidence
        keeps = not evidence.policy.preemption or evidence.tenants.reclaim == "never"
        if not (keeps and evidence.tenants.has_quotas and self.sharing.is_within_quota(row)):
            return ()
        return self.sharing.borrowed(int(self.sharing.owner[row]), _SHOWN)

    def _why(self, row: int, now: int) -> dict[str, Any]:
        """Return why a job that is first waits."""
        refusal, shortage = self._own_reasons(row, now)
        if refusal is not None or shortage is None:
            return {"behind": None if refusal is None else refusal.by}
        return {"behind": shortage.reason, "shut": self._shut(row, shortage, now)}

    def _own_reasons(self, row: int, now: int) -> tuple[Held | None, Shortage | None]:
        """Return the quota or limit that does not admit a job, and what else it lacks.

        Where only some types admit it, a quota holds it if it has no room on these and has on one of the others.
        """
        limit, refused = self.sharing.limit(row), self.sharing.refused_types(row)
        shut = self._closed(row, now)
        if limit is not None or not refused:
            return limit, find_shortage(self.evidence, self.yard, row, shut)
        held = next(iter(refused.values()))
        barred = np.isin(self.yard.kind, list(refused))
        if bool(barred[self._nodes_of(row)].all()):
            return held, find_shortage(self.evidence, self.yard, row, shut)
        shortage = find_shortage(self.evidence, self.yard, row, shut, barred)
        if shortage is None or shortage.reason == "closed":
            return None, shortage
        for kind, quota in refused.items():
            if find_shortage(self.evidence, self.yard, row, shut, self.yard.kind != kind) is None:
                return quota, None
        return None, shortage

    def _nodes_of(self, row: int) -> NDArray[np.bool_]:
        """Return which nodes have a type that a job accepts."""
        return allowed_nodes(self.yard, demand_of(self.evidence, row))

    def _shares(self) -> dict[str, object]:
        """Return the share of the job's tenant and the smallest of others that hold something, where they decide."""
        if self.evidence.tenants.between == "queue":
            return {}
        sharing = self.sharing
        own = int(sharing.owner[self.row])
        holding = [number for number in np.flatnonzero(sharing.held.any(axis=1)).tolist() if number != own]
        shares = sorted((sharing.share(number), sharing.given.paths[number]) for number in holding)
        return {"own": sharing.share(own), "shares": tuple((path, share) for share, path in shares[:_SHOWN])}


def _stretch(evidence: Evidence, row: int, run: Sequence[_Moment], until: int) -> Stretch:
    """Return the stretch of moments that have one reason."""
    first = run[0]
    own = [moment.own for moment in run if moment.own is not None]
    return Stretch(
        start=first.time / MICROSECOND,
        end=until / MICROSECOND,
        reason=first.reason,
        blocker=None if first.blocker is None else _blocker(evidence, row, run),
        held=_held([moment.held for moment in run if moment.held is not None]),
        ahead=first.ahead,
        partition=evidence.queues.name_of(row),
        may_take=first.may_take,
        rival=first.rival,
        lent=dict(first.lent),
        share=(min(own), max(own)) if own else None,
        shares=dict(first.shares),
        planned=None if run[-1].planned == NEVER else run[-1].planned / MICROSECOND,
        closed=_in_words(evidence, first) if first.reason == "closed" else (),
        **room_seen(run),
    )


def _held(run: Sequence[Held]) -> Held | None:
    """Return what held the job all through a stretch, with the least and the most that was used."""
    if not run:
        return None
    return replace(run[0], used=(min(each.used[0] for each in run), max(each.used[1] for each in run)))


def _in_words(evidence: Evidence, moment: _Moment) -> tuple[Shut, ...]:
    return tuple(each.in_words(evidence.cluster) for each in moment.shut)


def _blocker(evidence: Evidence, waiting: int, run: Sequence[_Moment]) -> Blocker:
    first, last = run[0], run[-1]
    row = int(first.blocker or 0)
    about = Blocker(
        job_id=evidence.names[row],
        gpus=held_milli(evidence, row) / 1000,
        partition=evidence.queues.name_of(row),
        reason=first.behind,
        free=first.free,
        closed=_in_words(evidence, first),
        **(evidence.compared(waiting, row, first.time) if first.reason == "order" else {}),
    )
    promises = evidence.promises if last.entry >= 0 else None
    if promises is None:
        return about
    begin, nodes = int(promises.begin[last.entry]), promises.nodes(last.entry)
    return replace(
        about,
        free=None,
        promised=None if begin == NEVER else begin / MICROSECOND,
        nodes=None if nodes is None else tuple(evidence.cluster.node_names[node] for node in nodes),
        extra_gpus=promises.extra(last.entry),
    )
