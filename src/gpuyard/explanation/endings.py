"""Which rule of its partition or QOS ended a job: a time limit that it was given, or that it is cancelled."""

from __future__ import annotations

import numpy as np

from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.sections import bounds_of
from gpuyard.explanation.story import Rule
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["find_rule"]


def find_rule(evidence: Evidence, row: int) -> Rule | None:
    """Return the rule that ended a job; ``None`` where it was none of its partition or QOS."""
    mine = np.flatnonzero(evidence.attempt_job == row)
    if not mine.size or evidence.end[row] == NEVER:
        return None
    reason = evidence.attempt_reason[int(mine[-1])]
    if reason == "preempted":
        column = evidence.policy.preemption.rule
        return Rule(key="modes", column=column, name=evidence.workload.held[column][row].as_py())
    if reason == "time_limit" and evidence.stated_limit[row] == NEVER:
        return _given_limit(evidence, row)
    return None


def _given_limit(evidence: Evidence, row: int) -> Rule | None:
    """Return whose time limit a job has that states none, the first of several that give it the same."""
    limit = int(evidence.workload.time_limit[row])
    for each in bounds_of(evidence.result):
        given = each.limit_of_others
        if given is not None and round(given * MICROSECOND) == limit and each.members(evidence.workload)[row]:
            key = "max_time" if each.default_time is None else "default_time"
            return Rule(key=key, column=each.column, name=each.name)
    return None
