"""What is free from when to when, as a waiting job sees it that may take from those that run.

A plan is drafted from the expected ends of the running jobs.  A job's *prey*, those from whom it might take now, are
left out of the plan that it sees: they are taken out, and put in again, as one job after the other looks at it.
``docs/semantics.md``, *Scores, easy and windows beside preemption and tenants*, is the specification.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY, Promise
from gpuyard.kernel.cohort_prey import counts_for
from gpuyard.kernel.draft import rounded
from gpuyard.kernel.expectations import CHUNK_ROOM, Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_prey import bound_of, is_candidate, is_lent, may_take, takes_back
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.levels import level_of_waiting
from gpuyard.kernel.plans import Plan, Profile, build_profile
from gpuyard.kernel.profile import add_step, begin_profile, change
from gpuyard.kernel.quotas import resources_of
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Jobs, Log, Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Ledger, Reclaim, Share

__all__ = ["Outlook", "build_outlook", "draft_running", "look", "look_anew"]

_ASKER, _LEVEL = 0, 1
"""Places in what is known of the last job that looked."""


class Outlook(NamedTuple):
    """A plan that is drafted anew every so often, and whom the job that looks at it has left out."""

    draft: Profile
    absent: NDArray[np.int8]  # shape (rows,): 1 = runs, and is left out of the draft
    last: NDArray[np.int64]  # the asker and level of the job that looked last; NOBODY if another has to look anew
    state: NDArray[np.int64]  # by plans.Plan


def build_outlook(
    *, free: int, rows: int, running: int, depth: int, interval: int, window: int, resolution: int
) -> Outlook:
    """Return what is known before anything happens.

    ``free`` thousandths of GPUs are on the site.  ``rows`` may run, ``running`` of them at once, and at most ``depth``
    waiting jobs are planned.  ``interval``, ``window`` and ``resolution`` are microseconds.
    """
    planned = min(depth, rows)
    state = np.zeros(Plan.SIZE, np.int64)
    state[Plan.DUE] = NEVER
    state[Plan.DEPTH], state[Plan.INTERVAL] = planned, interval
    state[Plan.WINDOW], state[Plan.RESOLUTION] = window, resolution
    return Outlook(
        draft=build_profile(free, 2 * (running + planned) + 8),
        absent=np.zeros(rows, np.int8),
        last=np.full(2, NOBODY, np.int64),
        state=state,
    )


@inlined
def _expected_end(expected: Expectations, outlook: Outlook, time: int, now: int) -> int:
    """Return when the plan has somebody end who is expected to end at a time."""
    return rounded(max(time, now + 1), int(outlook.state[Plan.RESOLUTION]))


@kernel
def draft_running(jobs: Jobs, expected: Expectations, outlook: Outlook, now: int) -> None:
    """Draft a plan from the running jobs alone, all of them."""
    ends, draft = expected.ends, outlook.draft
    outlook.absent[:] = 0
    outlook.last[_ASKER] = NOBODY
    begin_profile(draft, now, int(expected.promise[Promise.FREE]))
    for place in range(ends.size[0]):
        chunk = int(ends.order[nth(place)])
        for at in range(chunk * CHUNK_ROOM, chunk * CHUNK_ROOM + ends.held[nth(chunk)]):
            gpus = int(expected.thousandths[nth(jobs.claim[nth(ends.row[nth(at)])]["demand"])])
            end = _expected_end(expected, outlook, int(ends.time[nth(at)]), now)
            if gpus > 0 and end < NEVER:
                add_step(draft, end, gpus)


@inlined
def look_anew(outlook: Outlook) -> None:
    """Let the next job look for its prey even if it is like the last: quotas are used otherwise now."""
    outlook.last[_ASKER] = NOBODY


@kernel
def look(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    joint: Joint,
    outlook: Outlook,
    row: int,
    now: int,
) -> None:
    """Let the draft be the plan that a waiting job sees: without its prey, with all others.

    Who was preempted since the draft was begun had been left out, and stays so.
    """
    number, level = int(ledger.asker_of[nth(row)]), level_of_waiting(stays, row)
    if joint.name_of.size == 0 and outlook.last[_ASKER] == number and outlook.last[_LEVEL] == level:
        return
    outlook.last[_ASKER], outlook.last[_LEVEL] = number, level
    joint.state[Party.TRY] += 1
    for at in range(joint.state[Party.LISTED]):
        if not is_candidate(stays, joint, at):
            continue
        other = int(joint.prey[nth(at)]["row"])
        absent = _is_prey(jobs, demand, site, log, stays, ledger, joint, at, row, level)
        if absent == (outlook.absent[nth(other)] > 0):
            continue
        outlook.absent[nth(other)] = absent
        gpus = int(expected.thousandths[nth(jobs.claim[nth(other)]["demand"])])
        time = int(stays.stay[nth(other)]["since"] + expected.estimate[nth(other)])
        end = _expected_end(expected, outlook, time, now)
        change(outlook.draft, now, end, gpus if absent else -gpus)


@inlined
def _is_prey(
    jobs: Jobs,
    demand: Records,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    at: int,
    row: int,
    level: int,
) -> bool:
    """Return whether a job of a level might take from one of the list, before it takes from anybody."""
    its, number = joint.prey[nth(at)], int(ledger.asker_of[nth(row)])
    other = int(ledger.asker[nth(ledger.asker_of[nth(its["row"])])]["tenant"])
    asker = ledger.asker[nth(number)]
    if other == asker["tenant"]:
        return bool(its["level"] > level and may_take(joint, row, int(its["row"])))
    resource = int(asker["resource"])
    if resource != ANY_TYPE:
        return _is_taken_back(jobs, site, log, stays, ledger, joint, at, number, resource, level)
    for kind in range(resources_of(ledger)):
        if demand[nth(asker["wish"])]["kinds"] >> kind & 1 and _is_taken_back(
            jobs, site, log, stays, ledger, joint, at, number, kind, level
        ):
            return True
    return False


@kernel
def _is_taken_back(
    jobs: Jobs,
    site: Site,
    log: Log,
    stays: Stays,
    ledger: Ledger,
    joint: Joint,
    at: int,
    number: int,
    resource: int,
    level: int,
) -> bool:
    """Return whether one of the list, of another tenant, might be taken back by a job that asks for a resource.

    Who borrows has a share above 0, so that under fair sharing nothing else is asked.
    """
    reclaim = ledger.state[Share.RECLAIM]
    if resource == NOBODY or reclaim == Reclaim.NEVER:
        return False
    tenant = int(ledger.asker[nth(number)]["tenant"])
    if reclaim == Reclaim.COHORTS:
        other = int(ledger.asker[nth(ledger.asker_of[nth(joint.prey[nth(at)]["row"])])]["tenant"])
        if not counts_for(ledger, other, tenant, resource):
            return False
    elif reclaim != Reclaim.FAIR:
        if not takes_back(ledger, number, resource):
            return False
        if joint.prey[nth(at)]["level"] <= bound_of(ledger, number, resource, level):
            return False
    return is_lent(jobs, site, log, stays, ledger, joint, at, tenant, resource)
