"""The waits of all jobs of a run that preempts, cut where a job is promoted, with the level that each has in them.

A job's first wait begins when it is eligible, and each later one when it is preempted; at its end an attempt begins,
or the simulation stops.  A wait may last for no time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.beginning import begin_at
from gpuyard.checkpointing import common_interval, intervals_of, min_runs_of, saved_by
from gpuyard.explanation.evidence import Evidence
from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.expectations import thousandths_asked
from gpuyard.lowering import Rejections, lower_durations
from gpuyard.preempting import levels_of_bins, rank_of_jobs, service_of
from gpuyard.units import ticks

__all__ = ["Pieces", "changes_of", "pieces_of"]

Ticks = NDArray[np.int64]
_RANKED = ("priority", "partition", "qos")
_BINS = ("las", "2d-las", "gittins")


class Pieces(NamedTuple):
    """Parts of waits, by row and then by time; int64, shape (pieces,), times in microseconds."""

    row: Ticks
    begin: Ticks
    end: Ticks
    level: Ticks
    """of the job all through it: the lower, the more urgent"""
    place: Ticks
    """in the order that stays, or under ``time-slice`` in the line of those who joined the queue"""
    saved: Ticks
    """work that the job need not repeat"""
    before: Ticks
    """how many attempts it has had"""
    attained: Ticks
    """how long it ran since its last promotion"""


class _Waits(NamedTuple):
    """Whole waits, by row and then by time; ``last``: the attempt before, or -1; ``attained``: since a promotion."""

    row: Ticks
    begin: Ticks
    end: Ticks
    last: Ticks
    saved: Ticks
    attained: Ticks
    before: Ticks


def pieces_of(evidence: Evidence) -> Pieces:
    """Return all waits, cut where a job is promoted."""
    waits = _waits(evidence)
    level, place = _levels(evidence, waits, waits.attained), _places(evidence, waits)
    given = (waits.row, waits.begin, waits.end, level, place, waits.saved, waits.before, waits.attained)
    promoted = waits.begin + _patience(evidence, waits.attained)
    cut = np.flatnonzero(promoted <= waits.end)
    if cut.size == 0:
        return Pieces(*given)
    anew = [column[cut].copy() for column in given]
    anew[1], anew[3] = promoted[cut], _levels(evidence, waits, np.zeros_like(waits.attained))[cut]
    anew[7] = np.zeros_like(cut)
    given[2][cut] = promoted[cut]
    columns = [np.concatenate([column, more]) for column, more in zip(given, anew, strict=True)]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    return Pieces(*(column[order] for column in columns))


def changes_of(evidence: Evidence, pieces: Pieces) -> Ticks:
    """Return when running on changes how a job stands, which is a pass: another bin, a slice or a least run is over."""
    given, order = evidence.policy.preemption, np.lexsort((evidence.attempt_start, evidence.attempt_job))
    if not given:
        return np.empty(0, np.int64)
    row, start, end = evidence.attempt_job[order], evidence.attempt_start[order], evidence.attempt_end[order]
    least = min_runs_of(evidence.workload, given)[row]
    begins = [np.where(least > 0, start + least, NEVER)[:, None]] if least.any() else []
    if given.rule == "time-slice":
        begins.append(start[:, None] + ticks(given.final_slice))
    if given.rule in _BINS:
        attained = pieces.attained[_ended_by(pieces, row, start)]
        begins.append(start[:, None] + _needed(evidence, row) - attained[:, None])
    if not begins:
        return np.empty(0, np.int64)
    found = np.concatenate(begins, axis=1)
    return found[(found > start[:, None]) & (found < end[:, None])]


def _waits(evidence: Evidence) -> _Waits:
    order = np.lexsort((evidence.attempt_start, evidence.attempt_job))
    job, end = evidence.attempt_job[order], evidence.attempt_end[order]
    first = np.append(True, job[1:] != job[:-1])[: job.size]
    start = np.where(first, evidence.start[job], evidence.attempt_start[order])  # maybe before the simulation began
    useful = evidence.attempt_useful[order].copy()
    for place in np.flatnonzero(start < evidence.attempt_start[order]).tolist():
        passed = int(evidence.attempt_start[order][place] - start[place])
        useful[place] += saved_by(evidence.workload, evidence.policy.preemption, int(job[place]), passed)
    begins = np.flatnonzero(first)
    number = np.arange(job.size) - np.repeat(begins, np.diff(np.append(begins, job.size)))
    follows = np.append(~first[1:], False)[: job.size]
    resumed = np.where(follows, np.append(start[1:], 0)[: job.size], evidence.stop)
    again = (evidence.attempt_by[order] >= 0) & (follows | (evidence.end[job] != end))  # but who was cancelled
    came = np.flatnonzero(evidence.eligible != NEVER)
    nothing = np.zeros(came.size, np.int64)
    saved, attained = _sums(useful, first), _attained(evidence, end - start, first, resumed - end)
    columns = (
        np.concatenate([came, job[again]]),
        np.concatenate([evidence.eligible[came], end[again]]),
        np.concatenate([np.minimum(evidence.start[came], evidence.stop), resumed[again]]),
        np.concatenate([nothing - 1, order[again]]),
        np.concatenate([nothing, saved[again]]),
        np.concatenate([nothing, attained[again]]),
        np.concatenate([nothing, number[again] + 1]),
    )
    by_row = np.lexsort((columns[6], columns[0]))
    return _Waits(*(column[by_row] for column in columns))


def _sums(values: Ticks, first: NDArray[np.bool_]) -> Ticks:
    """Return the running sums of values, which begin anew where ``first``."""
    total = np.cumsum(values)
    before = (total - values)[first]
    return np.asarray(total - np.repeat(before, np.diff(np.append(np.flatnonzero(first), values.size))))


def _patience(evidence: Evidence, attained: Ticks) -> Ticks:
    """Return how long a job waits that has attained so much until it is promoted; NEVER / 2 where it never is."""
    promote = evidence.policy.preemption.promote
    if promote is None:
        return np.full_like(attained, NEVER // 2)
    waits = np.maximum(np.rint(promote * attained).astype(np.int64), 1)
    return np.where(attained > 0, waits, NEVER // 2)


def _attained(evidence: Evidence, length: Ticks, first: NDArray[np.bool_], waited: Ticks) -> Ticks:
    """Return the time held since the last promotion, after each attempt; ``waited``: how long until the next."""
    if evidence.policy.preemption.promote is None:
        return _sums(length, first)
    attained, held = np.empty_like(length), 0
    patience = 0
    for place in range(length.size):
        if first[place] or waited[place - 1] >= patience:
            held = 0
        held += int(length[place])
        attained[place] = held
        patience = int(_patience(evidence, attained[place : place + 1])[0])
    return attained


def _milli(evidence: Evidence) -> Ticks:
    """Return the thousandths of GPUs that each job asks for."""
    asked = evidence.asked
    return np.asarray(thousandths_asked(asked.demands, asked.quanta)[asked.demand], np.int64)


def _levels(evidence: Evidence, waits: _Waits, attained: Ticks) -> Ticks:
    """Return the level of the job in each wait, given the time that it has attained."""
    given, row = evidence.policy.preemption, waits.row
    if given.rule in _RANKED:
        return -rank_of_jobs(evidence.workload, given).astype(np.int64)[row]
    if given.rule in ("srtf", "srsf"):
        left = np.maximum(evidence.estimate[row] - waits.saved, 1)
        left += np.where(waits.before > 0, ticks(given.restart_cost), 0)
        return left if given.rule == "srtf" else service_of(left, _milli(evidence)[row])
    if given.rule in _BINS:
        reached = (attained[:, None] >= _needed(evidence, row)).sum(axis=1)
        return levels_of_bins(given, _work(evidence), np.where(evidence.rejected, 0, _milli(evidence)))[reached]
    return np.zeros(row.size, np.int64)


def _needed(evidence: Evidence, row: Ticks) -> Ticks:
    """Return with how much attained time each threshold is reached, shape (rows, thresholds); NEVER / 2 for never."""
    given = evidence.policy.preemption
    cut = np.array([ticks(each) for each in given.final_thresholds], np.int64)
    if given.rule == "las":
        return np.broadcast_to(cut, (row.size, cut.size))
    asked = _milli(evidence)[row][:, None]
    return np.where(asked > 0, -(-cut * 1000 // np.maximum(asked, 1)), NEVER // 2)


def _ended_by(pieces: Pieces, row: Ticks, start: Ticks) -> NDArray[np.intp]:
    """Return the piece of a wait at whose end each of some attempts began."""
    first, last = np.searchsorted(pieces.row, row), np.searchsorted(pieces.row, row, "right")
    found = [
        low + int(np.searchsorted(pieces.begin[low:high], at, "right")) - 1
        for low, high, at in zip(first.tolist(), last.tolist(), start.tolist(), strict=True)
    ]
    return np.maximum(np.array(found, np.intp), 0)


def _work(evidence: Evidence) -> Ticks:
    """Return how long each job runs without interruption."""
    jobs = evidence.workload
    work = lower_durations(jobs, evidence.policy, Rejections(len(jobs)))
    if evidence.begin is None:
        return work
    middle = begin_at(jobs, evidence.begin)
    return np.where(middle.running, middle.end - np.where(middle.running, middle.start, 0), work)


def _places(evidence: Evidence, waits: _Waits) -> Ticks:
    """Return the place of each wait in an order that stays: among jobs, or in the line of those who joined."""
    if evidence.policy.preemption.rule != "time-slice":
        return evidence.rank[waits.row].astype(np.int64)
    again = waits.last >= 0
    last = np.maximum(waits.last, 0)
    starts = {
        (row, start): attempt
        for attempt, (row, start) in enumerate(
            zip(evidence.attempt_job.tolist(), evidence.attempt_start.tolist(), strict=True)
        )
    }
    taker = np.array(
        [
            starts.get((int(evidence.attempt_by[attempt]), int(evidence.attempt_end[attempt])), -1) if is_again else -1
            for attempt, is_again in zip(last.tolist(), again.tolist(), strict=True)
        ],
        np.int64,
    )
    came_then = evidence.workload.submit[waits.row] == waits.begin
    order = np.lexsort(
        (
            waits.row,
            np.where(again, _by_victims(evidence, waits, last), 0),
            np.where(again, taker, came_then),
            again,
            waits.begin,
        )
    )
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    return place


def _by_victims(evidence: Evidence, waits: _Waits, last: Ticks) -> Ticks:
    """Return by what those are listed who made room together: the latest start, the least that is lost, or GPUs."""
    given = evidence.policy.preemption
    if last.size == 0 or evidence.attempt_start.size == 0:
        return np.zeros_like(last)
    if given.victims == "latest-start":
        return -evidence.attempt_start[last]
    if given.victims == "fewest-gpus":
        return _milli(evidence)[waits.row]
    own = intervals_of(evidence.workload, given)
    interval = own[waits.row] if own.size else np.full(last.size, common_interval(given))
    after = evidence.attempt_end[last] - evidence.attempt_start[last]
    after = np.maximum(after - np.where(waits.before > 1, ticks(given.restart_cost), 0), 0)
    written = evidence.attempt_useful[last] // np.maximum(interval, 1)
    lost = np.where(interval == NEVER, after, after - written * (interval + ticks(given.checkpoint_cost)))
    return service_of(np.where(interval == 0, 0, lost), _milli(evidence)[waits.row])
