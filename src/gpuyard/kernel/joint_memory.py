"""What is remembered of jobs that found no room: who need not be tried before something is given back.

A job that finds no room, whoever makes room for it, finds none either while jobs only start: what is free, and what
those hold who may be taken away, only becomes less.  Nor does another of its *kin* that is no more urgent and, where
windows begin later, would stay no shorter; nor, where it is told by counts of what all tenants hold, another of its
*breed*, whatever its tenant.  ``Party.GIVEN`` counts the slots that are given back or may be taken away from now on;
each lets one more node hold what it could not.  A job that no quota or limit admits, though all were taken away that
may be, waits until something is given back that was charged to the tenant or group that holds it.

A job that may *claim* what other tenants borrowed is not told by that alone.  When somebody starts who borrows, those
who started before may be taken for it: ``Party.MOVED`` counts that.  Who may not claim is not concerned, but at an
instant of several rounds or passes, when those of its tenant who started at it cannot be taken yet.
"""

from __future__ import annotations

from typing import Any

from gpuyard.kernel.bits import nth
from gpuyard.kernel.codes import NEVER, NOBODY
from gpuyard.kernel.expectations import Expectations
from gpuyard.kernel.jit import inlined, kernel
from gpuyard.kernel.joint_tables import Joint, Party
from gpuyard.kernel.partitions import Partitions, heads_that_hold, made_of, partition_of
from gpuyard.kernel.quotas import is_within_quota, resources_of
from gpuyard.kernel.stays import Stays, Terms
from gpuyard.kernel.tables import Jobs, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Ledger, Reclaim, Share

__all__ = [
    "holds_now",
    "is_counted",
    "is_held",
    "is_known",
    "is_known_beside",
    "is_told",
    "is_vain",
    "may_claim",
    "may_lend",
    "note_given",
    "note_held",
    "note_pass",
    "note_start",
    "note_vain",
    "note_vain_by_counts",
]


@inlined
def may_claim(ledger: Ledger, row: int) -> bool:
    """Return whether a job may take from other tenants as they are now; True where that goes by type or by share."""
    number = ledger.asker_of[nth(row)]
    resource = ledger.asker[nth(number)]["resource"]
    if ledger.state[Share.RECLAIM] == Reclaim.NEVER or resource == NOBODY:
        return False
    if ledger.state[Share.RECLAIM] in (Reclaim.FAIR, Reclaim.COHORTS) or resource == ANY_TYPE:
        return True
    return bool(ledger.state[Share.BORROWS] > 0 or is_within_quota(ledger, number, resource))


@inlined
def is_counted(ledger: Ledger, claims: bool) -> bool:
    """Return whether none but less urgent jobs are taken for one that may claim, or may not: those are counted."""
    return bool(not claims or ledger.state[Share.RECLAIM] == Reclaim.LOWER)


@inlined
def is_vain(
    partitions: Partitions,
    ledger: Ledger,
    expected: Expectations,
    joint: Joint,
    row: int,
    level: int,
    short: bool,
    made: int,
) -> bool:
    """Return whether a job is known to find no room; one that is not ``short`` may not have the reserved nodes.

    ``made``: when the only reservation was, of :func:`gpuyard.kernel.partitions.made_for_all`.
    """
    kin = int(joint.lane[nth(joint.lane_of[nth(row)])]["kin"])
    breed = int(joint.vain[nth(kin)]["breed"])
    claims = ledger.state[Share.RECLAIM] != Reclaim.NEVER and may_claim(ledger, row)
    if is_counted(ledger, claims) and _tells(partitions, expected, joint, breed, row, level, short, made):
        return True
    return kin != breed and _tells(partitions, expected, joint, kin, row, level, short, made)


@inlined
def is_told(known: int, exact: int, level: int) -> bool:
    """Return whether what is known of a job of one level tells of one of another: that it is no more urgent.

    What is known by a trial where cohorts share tells ``exact``ly of its own level: who makes room for an urgent job
    of its own tenant may change from whom others it takes.
    """
    return bool(known <= level and (exact == 0 or known == level))


@inlined
def _tells(
    partitions: Partitions,
    expected: Expectations,
    joint: Joint,
    at: int,
    row: int,
    level: int,
    short: bool,
    made: int,
) -> bool:
    """Return whether what is known at a place of a kin or breed tells that a job finds no room."""
    this, length = joint.vain[nth(at)], expected.estimate[nth(row)]
    longest = NEVER if joint.state[Party.OPENS] > 0 else length
    if is_told(this["level"], this["exact"], level) and is_known(joint, this, longest):
        return True
    if short or not is_told(this["beside_level"], this["beside_exact"], level):
        return False
    if not is_known_beside(partitions, joint, this, made):
        return False
    return bool(this["beside_length"] <= (longest if partitions.own.size == 1 else length))


@inlined
def is_known(joint: Joint, this: Any, longest: int) -> bool:
    """Return whether one of a kin or breed that stays no longer than some time is still known to find no room."""
    return bool(
        this["until"] > joint.state[Party.GIVEN] + this["moves"] * joint.state[Party.MOVED]
        and this["length"] <= longest
    )


@inlined
def is_known_beside(partitions: Partitions, joint: Joint, this: Any, made: int) -> bool:
    """Return whether one of a kin or breed is still known to find no room beside the reservations there are."""
    if this["beside_until"] <= joint.state[Party.GIVEN] + this["beside_moves"] * joint.state[Party.MOVED]:
        return False
    if partitions.own.size == 1:
        return bool(this["beside_terms"] == made)
    return bool(made_of(partitions, int(this["beside_heads"])) == this["beside_terms"])


@inlined
def _may_move(stays: Stays, ledger: Ledger, joint: Joint, row: int, now: int) -> bool:
    """Return whether one that finds no room now may find some though nothing is given back: when others may be taken.

    It may claim what others borrow; or less urgent jobs of its tenant started in an earlier round or pass of this
    instant, and may be taken at the next.
    """
    tenant = ledger.asker[nth(ledger.asker_of[nth(row)])]["tenant"]
    again = joint.state[Party.AGAIN] > 0 and stays.terms[Terms.MIN_RUN] == 0
    return bool((again and joint.queue[nth(tenant)]["started"] == now) or may_claim(ledger, row))


@inlined
def note_vain(
    partitions: Partitions,
    stays: Stays,
    ledger: Ledger,
    expected: Expectations,
    joint: Joint,
    row: int,
    level: int,
    short: bool,
    now: int,
) -> None:
    """Remember that a job found no room when it was tried; without preemption nor would another tenant's."""
    at = int(joint.lane[nth(joint.lane_of[nth(row)])]["kin"])
    if joint.state[Party.PREEMPTS] == 0 and ledger.asker[nth(ledger.asker_of[nth(row)])]["resource"] != ANY_TYPE:
        at = int(joint.vain[nth(at)]["breed"])
    moves = joint.state[Party.PREEMPTS] > 0 and _may_move(stays, ledger, joint, row, now)
    exact = joint.state[Party.EXACT] > 0 and joint.state[Party.TRIED] > 0
    _note(partitions, expected, joint, at, row, level, short, moves, exact, 1, now)


@inlined
def note_vain_by_counts(
    partitions: Partitions,
    expected: Expectations,
    joint: Joint,
    row: int,
    level: int,
    short: bool,
    lacking: int,
    now: int,
) -> None:
    """Remember that a job would find no room; ``lacking``: how many more nodes would have to hold a part of it."""
    at = int(joint.vain[nth(joint.lane[nth(joint.lane_of[nth(row)])]["kin"])]["breed"])
    _note(partitions, expected, joint, at, row, level, short, False, False, lacking, now)


@inlined
def _note(
    partitions: Partitions,
    expected: Expectations,
    joint: Joint,
    at: int,
    row: int,
    level: int,
    short: bool,
    moves: bool,
    exact: bool,
    lacking: int,
    now: int,
) -> None:
    until = joint.state[Party.GIVEN] + lacking + (joint.state[Party.MOVED] if moves else 0)
    this, length = joint.vain[nth(at)], expected.estimate[nth(row)]
    if short:
        this["until"], this["level"], this["length"], this["moves"] = until, level, length, moves
        this["exact"] = exact
    else:
        heads = heads_that_hold(partitions, partition_of(partitions, row), int(length), now)
        this["beside_until"], this["beside_level"], this["beside_length"] = until, level, length
        this["beside_moves"], this["beside_heads"], this["beside_exact"] = moves, heads, exact
        this["beside_terms"] = made_of(partitions, heads)


@inlined
def is_held(ledger: Ledger, joint: Joint, row: int, level: int) -> bool:
    """Return whether a job is known not to be admitted, whoever is taken away."""
    this = joint.held[nth(ledger.asker_of[nth(row)])]
    return bool(is_told(this["level"], joint.state[Party.EXACT], level) and holds_now(ledger, joint, row))


@inlined
def holds_now(ledger: Ledger, joint: Joint, row: int) -> bool:
    """Return whether the asker of a job is still known to be held, at the level at which it was or a higher one."""
    this = joint.held[nth(ledger.asker_of[nth(row)])]
    if this["stirred"] != joint.stirred[nth(this["node"])]:
        return False
    if this["until"] <= joint.state[Party.GIVEN] + this["moves"] * joint.state[Party.MOVED]:
        return False
    return bool(this["moves"] > 0 or not may_claim(ledger, row))


@inlined
def note_held(stays: Stays, ledger: Ledger, joint: Joint, row: int, level: int, node: int, now: int) -> None:
    """Remember that a tenant or group holds a job."""
    this = joint.held[nth(ledger.asker_of[nth(row)])]
    moves = joint.state[Party.PREEMPTS] > 0 and _may_move(stays, ledger, joint, row, now)
    this["node"], this["level"], this["stirred"], this["moves"] = node, level, joint.stirred[nth(node)], moves
    this["until"] = NEVER
    if moves or joint.state[Party.SHIFTS] > 0:
        this["until"] = joint.state[Party.GIVEN] + 1 + (joint.state[Party.MOVED] if moves else 0)
    joint.state[Party.HOLDS] = 1


@kernel
def note_given(jobs: Jobs, ledger: Ledger, joint: Joint, row: int) -> None:
    """Note that a job gives back what it holds, or may be taken away from now on."""
    joint.state[Party.GIVEN] += max(int(jobs.claim[nth(row)]["slots"]), 1)
    asker = ledger.asker[nth(ledger.asker_of[nth(row)])]
    for at in range(asker["first_link"], asker["first_link"] + asker["links"]):
        joint.stirred[nth(ledger.link[nth(at)]["node"])] += 1


@kernel
def may_lend(ledger: Ledger, joint: Joint, row: int) -> bool:
    """Return whether others may take more from somebody when a job starts: it is charged above a nominal quota."""
    if joint.state[Party.LENDS] == 0:
        return bool(joint.state[Party.SHIFTS] > 0)
    asker = ledger.asker[nth(ledger.asker_of[nth(row)])]
    resource, gpus = int(asker["resource"]), int(asker["gpus"])
    if resource < 0:
        return resource == ANY_TYPE
    resources = resources_of(ledger)
    own = ledger.quota[nth(asker["tenant"] * resources + resource)]
    above = own["own_used"] + gpus > own["own_nominal"]
    node = int(asker["tenant"])
    while ledger.tenant[nth(node)]["parent"] != NOBODY:
        quota = ledger.quota[nth(node * resources + resource)]
        above = above or quota["used"] + gpus > quota["nominal"]
        node = int(ledger.tenant[nth(node)]["parent"])
    return bool(above)


@inlined
def note_start(site: Site, ledger: Ledger, joint: Joint, row: int, now: int) -> None:
    """Note that a job starts, before it is charged."""
    joint.queue[nth(ledger.asker[nth(ledger.asker_of[nth(row)])]["tenant"])]["started"] = now
    if joint.state[Party.SHIFTS] > 0:
        joint.state[Party.GIVEN] += site.node.size + 1
    elif joint.state[Party.LENDS] > 0:
        joint.state[Party.MOVED] += may_lend(ledger, joint, row)
    joint.state[Party.SHIFTED] = 1


@inlined
def note_pass(site: Site, stays: Stays, ledger: Ledger, joint: Joint, now: int) -> None:
    """Forget at the beginning of a pass what who started before this instant may have changed: they may go now.

    So may others be taken first, where whom first changes with time, and that decides what else may be.  (One who may
    not go before it has run for long is noted when it has.)  Who started in an earlier pass of this instant may not go
    yet, nor is that forgotten.
    """
    state, listed, soon = joint.state, ledger.state[Share.LISTED] > 0, stays.terms[Terms.MIN_RUN] == 0
    further = state[Party.PASSED] == now
    state[Party.PASSED] = now
    if state[Party.SHIFTS] > 0 and (state[Party.SHIFTED] > 0 or listed):
        state[Party.GIVEN] += site.node.size + 1
    lends = state[Party.LENDS] > 0 and (listed or (soon and state[Party.SHIFTED] > 0))
    state[Party.MOVED] += lends or (soon and state[Party.AGAIN] > 0)
    state[Party.SHIFTED] *= further
    state[Party.AGAIN] = further
