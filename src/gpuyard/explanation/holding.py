"""What kept a submitted job from being eligible: dependencies, an earliest start, the limit of its array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.story import Hold
from gpuyard.workload import MICROSECOND, NEVER, array_tasks, to_ticks

__all__ = ["find_holds"]

_SHOWN = 5
"""Jobs that are named out of many."""


def find_holds(evidence: Evidence, row: int) -> tuple[Hold, ...]:
    """Return what held a job back after its submission; the last to end decided when it became eligible."""
    if evidence.policy.replay == "recorded":
        return ()
    jobs = evidence.workload
    submit = int(jobs.submit[row])
    holds = []
    ready = submit
    not_before = int(to_ticks(jobs.floats("not_before"))[row])
    if submit < not_before != NEVER:
        holds.append(Hold(kind="not_before", start=submit / MICROSECOND, end=not_before / MICROSECOND))
        ready = not_before
    parents = _parents(evidence, row)
    if parents.size:
        depends = _dependency(evidence, row, parents, submit)
        if depends is not None:
            holds.append(depends)
            ready = NEVER if depends.end is None else max(ready, round(depends.end * MICROSECOND))
    eligible = int(evidence.eligible[row])
    if ready < eligible and ready < evidence.stop and jobs.has("array_limit"):
        array = _array(evidence, row, ready, eligible)
        if array is not None:
            holds.append(array)
    return tuple(holds)


def _parents(evidence: Evidence, row: int) -> NDArray[np.int64]:
    names = evidence.workload.table["depends_on"][row].as_py() or ()
    return np.array([evidence.names.index(name) for name in dict.fromkeys(names)], np.int64)


def _dependency(evidence: Evidence, row: int, parents: NDArray[np.int64], submit: int) -> Hold | None:
    """Return the hold of the parents that ended last, or have not ended."""
    think = int(to_ticks(evidence.workload.floats("think_time"))[row])
    think = 0 if think == NEVER else think
    ends = evidence.end[parents]
    last = int(ends.max())
    if last != NEVER and last + think <= submit:
        return None
    late = parents[ends == last]
    return Hold(
        kind="dependency",
        start=submit / MICROSECOND,
        end=None if last == NEVER else (last + think) / MICROSECOND,
        jobs=tuple(evidence.names[parent] for parent in late[:_SHOWN]),
        count=int(late.size),
        think_time=think / MICROSECOND,
    )


def _array(evidence: Evidence, row: int, ready: int, eligible: int) -> Hold | None:
    """Return the hold of a job that was ready while its array had no free place."""
    code, limits = array_tasks(evidence.workload)
    if code[row] < 0:
        return None
    tasks = np.flatnonzero(code == code[row])
    holding = tasks[(evidence.eligible[tasks] <= ready) & (evidence.end[tasks] > ready)]
    return Hold(
        kind="array_limit",
        start=ready / MICROSECOND,
        end=None if eligible == NEVER else eligible / MICROSECOND,
        jobs=tuple(evidence.names[task] for task in holding[:_SHOWN]),
        count=int(holding.size),
        limit=int(limits[code[row]]),
    )
