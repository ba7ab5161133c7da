"""Which jobs made room for one with which its tenant would borrow, where tenants let jobs take to borrow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.metrics.among import ELSEWHERE, among
from gpuyard.metrics.usage import Usage, usage
from gpuyard.record import Record

__all__ = ["made_room_to_borrow"]

_REMOVED, _STARTED = 1, 2
"""What happens when a job starts for which others make room, in this order; first its tenant's usage is looked at."""


def made_room_to_borrow(record: Record) -> NDArray[np.bool_]:
    """Return which attempts made room for another tenant's job that went above its own quota, shape (attempts,).

    That is asked as the job asked it: before anybody was taken off.
    """
    found = np.zeros(record.attempt_job.size, np.bool_)
    if record.attempt_cause is None:
        return found
    victims = np.flatnonzero(record.attempt_cause >= 0)
    cause = record.attempt_cause[victims].astype(np.int64)
    for each in among(record):
        if each.tenants.borrows_within:
            loser, winner = each.owner[record.attempt_job[victims]], each.owner[cause]
            others = (winner != ELSEWHERE) & (loser != winner)
            above = _goes_above(record, usage(record, 0, 0, each), victims, _takers(record, victims, cause))
            found[victims] |= others & above
    return found


def _takers(record: Record, victims: NDArray[np.int64], cause: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the attempt for which each of some made room: that of its ``cause`` that starts when it ends."""
    start, end = record.attempt_start, record.attempt_end[victims]
    times, at = np.unique(np.concatenate([start, end]), return_inverse=True)
    code = record.attempt_job.astype(np.int64) * times.size + at[: start.size]
    order = np.argsort(code)
    wanted = cause * times.size + at[start.size :]
    return order[np.searchsorted(code, wanted, sorter=order)]


def _goes_above(
    record: Record, known: Usage, victims: NDArray[np.int64], takers: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return of each victim whether the job of its taker goes above its tenant's nominal quota."""
    attempts = np.arange(record.attempt_job.size)
    group = known.owner[record.attempt_job] * len(known.given.resources) + np.maximum(known.resource, 0)
    milli = np.where(known.resource < 0, 0, known.milli)
    ended = np.full(attempts.size, -1)
    ended[victims] = 3 * takers + _REMOVED
    asked, place = np.unique(takers, return_inverse=True)
    of = np.concatenate([group, group, group[asked]])
    time = np.concatenate([record.attempt_start, record.attempt_end, record.attempt_start[asked]])
    turn = np.concatenate([3 * attempts + _STARTED, ended, 3 * asked])
    change = np.concatenate([milli, -milli, np.zeros(asked.size, np.int64)])
    order = np.lexsort((turn, time, of))
    held = np.empty(order.size, np.int64)
    held[order] = np.cumsum(change[order])  # a group gives back all that it held, so that the next begins at 0
    nominal = known.given.own.ravel()[np.maximum(group[asked], 0)]
    above = held[2 * attempts.size :] + milli[asked] > nominal
    return np.asarray(above[place], dtype=np.bool_)
