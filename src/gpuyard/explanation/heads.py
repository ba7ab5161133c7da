"""Which first job of a queue kept another job from its nodes: by a reservation, or because they are withheld for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.yard import demand_of, held_milli

__all__ = [
    "Keeper",
    "exceeds_extra",
    "find_reservation",
    "find_withheld",
    "first_of",
    "is_patterned",
    "standing_heads",
]

_PATTERNS: Final = ("rail-aligned", "topology-block")

Flags = NDArray[np.bool_]
Test = Callable[[Flags], bool]
"""Tells whether a job finds no room where these nodes too are closed to it; bool, shape (nodes,)."""


class Keeper(NamedTuple):
    """A job for whom nodes are kept: bool, shape (nodes,); ``entry`` is its promise, or -1."""

    job: int
    nodes: Flags
    entry: int = -1


def first_of(evidence: Evidence, rows: NDArray[np.int64], now: int) -> int | None:
    """Return the first of some jobs in the order of an instant; ``None`` if there are none."""
    if rows.size == 0:
        return None
    if not evidence.scored:
        return int(rows[np.argmin(evidence.rank[rows])])
    first = int(rows[0])
    while (before := rows[~evidence.goes_later(first, rows, now) & (rows != first)]).size:
        first, rows = int(before[before.size // 2]), before
    return first


def standing_heads(evidence: Evidence, now: int) -> list[Keeper]:
    """Return the jobs that have a reservation on nodes after the passes of an instant, one of each queue at most."""
    promises = evidence.promises
    if promises is None:
        return []
    found = []
    for number in range(len(evidence.queues.names)):
        entry = promises.last(now, number)
        if entry < 0 or not _waits(evidence, int(promises.job[entry]), now):
            continue
        nodes = np.zeros(evidence.cluster.nodes, np.bool_)
        nodes[promises.nodes(entry) or []] = True
        found.append(Keeper(int(promises.job[entry]), nodes, entry))
    return found


def _waits(evidence: Evidence, row: int, now: int) -> bool:
    """Return whether a job neither runs nor has ended, after the passes of an instant."""
    runs = (evidence.attempt_job == row) & (evidence.attempt_start <= now) & (evidence.attempt_end > now)
    return bool(evidence.end[row] > now) and not bool(runs.any())


def find_reservation(
    evidence: Evidence, row: int, now: int, lasting: int, goes_before: Callable[[int], bool], is_kept_out: Test
) -> Keeper | None:
    """Return whose reservation kept a job from its nodes, that of its own queue rather than others'; or ``None``.

    A reservation binds who comes later in the order and might still run at its shadow time; ``lasting``: how long the
    job was expected to stay, microseconds.
    """
    promises = evidence.promises
    if promises is None:
        return None
    end, own = now + lasting, evidence.queues.of[row]
    heads = [
        each
        for each in standing_heads(evidence, now)
        if each.job != row and end > promises.begin[each.entry] and goes_before(each.job)
    ]
    return _culprit(sorted(heads, key=lambda each: bool(evidence.queues.of[each.job] != own)), is_kept_out)


def is_patterned(evidence: Evidence, row: int) -> bool:
    """Return whether the placement asks for more than room for each part of a job: a pattern that is not told here."""
    return str(evidence.policy.placement) in _PATTERNS and bool(demand_of(evidence, row)["cut"])


def exceeds_extra(evidence: Evidence, row: int, entry: int) -> bool:
    """Return whether a job has more GPUs than are left over beside a promise that counts them."""
    promises = evidence.promises
    extra = None if promises is None or entry < 0 else promises.extra(entry)
    return extra is not None and held_milli(evidence, row) > round(extra * 1000)


def find_withheld(evidence: Evidence, firsts: Iterable[int], is_kept_out: Test) -> Keeper | None:
    """Return for which of the first jobs of other queues, all before a job, nodes are withheld that it needs."""
    queues = evidence.queues
    return _culprit([Keeper(job, queues.nodes[queues.of[job]]) for job in firsts], is_kept_out)


def _culprit(keepers: Sequence[Keeper], is_kept_out: Test) -> Keeper | None:
    """Return the first of those without whom the job would have found room; ``None`` if it would with all of them."""
    needed = list(keepers)
    if not needed or not is_kept_out(_union(needed)):
        return None
    for each in reversed(keepers):
        rest = [other for other in needed if other is not each]
        if rest and is_kept_out(_union(rest)):
            needed = rest
    return needed[0]


def _union(keepers: Sequence[Keeper]) -> Flags:
    return np.asarray(np.logical_or.reduce([each.nodes for each in keepers]))
