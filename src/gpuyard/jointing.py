"""What the loops are given that preempt, share a cluster out, or do both beside scores, reservations and windows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.celling import celled_tables
from gpuyard.cluster import Cluster
from gpuyard.kernel.cell_heads import build_heads
from gpuyard.kernel.cell_queue import Estate, build_crowd
from gpuyard.kernel.codes import NEVER, NOBODY, Promise
from gpuyard.kernel.expectations import Expectations, build_expectations
from gpuyard.kernel.joint_room import roomer_signature
from gpuyard.kernel.joint_tables import LANE, Party, build_joint
from gpuyard.kernel.launch import Pointer
from gpuyard.kernel.outlook import Outlook, build_outlook
from gpuyard.kernel.partitions import MOST_TOLD
from gpuyard.kernel.scored_queue import Passing
from gpuyard.kernel.scorers import scorer_signature
from gpuyard.kernel.stays import Stays, Terms
from gpuyard.kernel.tables import Records, Site
from gpuyard.kernel.tenancy import ANY_TYPE, Between, Ledger, Reclaim, Share
from gpuyard.kernel.windows import Windows
from gpuyard.kernel.worth import LONGEST_ATTEMPT
from gpuyard.loops import JOINT_LOOPS, contenders_of, loop_of, no_windows, roomer_of, scorer_in
from gpuyard.lowering import Asked
from gpuyard.ordering import is_scored
from gpuyard.policy import Policy
from gpuyard.preempting import lists_of, preempting_tables, spared_level
from gpuyard.tenancy import NO_TENANTS
from gpuyard.tenanting import Shared, limited_alike, lower_tenancy, one_tenant, preemption_policy, tenant_tables
from gpuyard.unfit import Fits
from gpuyard.wishes import distinct
from gpuyard.workload import Workload

__all__ = ["attempt_tables"]

_PASSING: Final = {"none": Passing.NOBODY, "fit": Passing.ALL, "easy": Passing.BESIDE, "slurm": Passing.BESIDE}


def attempt_tables(
    policy: Policy,
    accepted: NDArray[np.bool_],
    duration: NDArray[np.int64],
    *,
    workload: Workload,
    cluster: Cluster,
    asked: Asked,
    site: Site,
    estimate: NDArray[np.int64],
    running: int,
    shared: Shared | None,
    windows: Windows | None,
    fits: Fits,
    begin: int | None,
) -> tuple[Any, ...]:
    """Return what a loop takes beyond what all loops take, in its order, that preempts or shares a cluster out.

    Parameters
    ----------
    accepted
        bool, shape (jobs,): jobs that take part.
    duration, estimate
        int64 microseconds: how long jobs run, shape (jobs,), and what is believed of it, shape (rows,).
    running
        How many jobs can run at once.
    shared
        Tenants, where there are any.
    windows
        Over the site's nodes, where there are any.
    fits
        What the empty site can hold.
    begin
        The instant at which the simulation begins with a given state, if it does.

    Raises
    ------
    ConfigError
        As :func:`gpuyard.preempting.preempting_tables`.
    """
    given = (workload, preemption_policy(policy), asked, accepted, (duration, estimate))
    own = preempting_tables(*given, node=site.node, running=running)
    tenants = NO_TENANTS if shared is None else shared.tenants
    loop = loop_of(policy, windowed=windows is not None, tenants=tenants)
    scorer = Pointer(scorer_in(policy), lambda *_: scorer_signature())
    expected = build_expectations(
        estimate=np.append(_first_attempts(own[0], estimate[: len(workload)]), estimate[len(workload) :]),
        demands=asked.demands,
        node=site.node,
        running=running,
        quanta=asked.quanta,
        counts=policy.backfill == "easy" and policy.reservation == "counts",
        positions=0,
    )
    if policy.cells:
        about: dict[str, Any] = {"estimate": estimate, "expected": expected, "shared": shared, "begin": begin}
        return own[0], _estate_of(policy, workload, cluster, asked, **about), scorer
    if loop not in JOINT_LOOPS:
        return tenant_tables(own, shared, cluster, policy, accepted)
    tenancy = lower_tenancy(one_tenant(asked) if shared is None else shared, cluster, policy)
    state = np.zeros(Party.SIZE, np.int64)
    state[Party.PASSING] = _PASSING[policy.backfill]
    listed = bool(policy.preemption.preempts)
    state[Party.SKIPS] = policy.backfill == "fit" and windows is None and not listed
    state[Party.SHARED] = shared is not None
    state[Party.PREEMPTS] = bool(policy.preemption)
    state[Party.SCORED] = is_scored(policy)
    closing = no_windows(workload, cluster) if windows is None else windows
    partitions = closing.partitions.own.size
    told = partitions == 1 or (partitions <= MOST_TOLD and policy.backfill != "none")
    state[Party.RECALLS] = policy.placement != "topology-block" and told and not listed
    ledger = tenancy.ledger
    by_share = ledger.state[Share.BETWEEN] != Between.QUEUE
    reclaim = ledger.state[Share.RECLAIM] if ledger.quota.size > 0 else Reclaim.NEVER
    by_cohorts = reclaim == Reclaim.COHORTS and bool(policy.preemption)
    state[Party.EXACT] = by_cohorts
    state[Party.SHIFTS] = bool(policy.preemption) and (reclaim == Reclaim.FAIR or by_cohorts or by_share)
    state[Party.LENDS] = bool(policy.preemption) and not state[Party.SHIFTS] and reclaim != Reclaim.NEVER
    named = ledger.state[Share.BETWEEN] == Between.COHORTS  # who is left off would not name the next of its queue
    leaves = state[Party.RECALLS] and policy.backfill != "none" and not named
    state[Party.LEAVES] = leaves and not (state[Party.SHIFTS] and by_share)
    ledger.state[Share.SPARED] = spared_level(workload, policy.preemption, accepted, tenants.borrow_threshold)
    state[Party.ORIGIN] = state[Party.PASSED] = own[2]
    kin, breed = _kin_of(ledger, asked, closing, fits, shared=shared is not None)
    lane_of, lane = _lanes_of(ledger, kin)
    joint = build_joint(
        tenants=ledger.tenant.size,
        groups=ledger.group.size,
        askers=ledger.asker.size,
        partitions=partitions,
        running=running,
        lane_of=lane_of,
        lane=lane,
        breed=breed,
        shut=_shut_for_good(closing),
        place=fits.place,
        fits=fits.fits,
        demands=asked.demands.size,
        lists=lists_of(workload, policy.preemption),
        state=state,
    )
    return (
        own[0],
        contenders_of(policy, workload, cluster, asked, estimate, begin),
        expected,
        *_outlook(policy, expected, running),
        tenancy,
        closing,
        joint,
        Pointer(roomer_of(policy), roomer_signature),
        scorer,
    )


def _outlook(policy: Policy, expected: Expectations, running: int) -> tuple[Outlook, ...]:
    """Return what is planned with, if anything is."""
    if policy.backfill != "slurm":
        return ()
    planning = policy.planning
    return (
        build_outlook(
            free=int(expected.promise[Promise.FREE]),
            rows=expected.estimate.size,
            running=running,
            depth=planning.depth,
            interval=planning.interval,
            window=planning.window,
            resolution=planning.resolution,
        ),
    )


def _kin_of(
    ledger: Ledger, asked: Asked, windows: Windows, fits: Fits, *, shared: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the kin of each job, int32, shape (jobs,): who finds no room where another of them found none.

    Where types are tried one by one, which are admitted depends on the asker as well.  Return also the place of each
    kin's breed, int64, shape (kins,), which is its own where there are no tenants.
    """
    by = ledger.asker[ledger.asker_of]
    one = np.where(by["resource"] == ANY_TYPE, ledger.asker_of, NOBODY)
    jobs = windows.standing.size
    alike = [
        each[:jobs].astype(np.int64) for each in (asked.demand, fits.place, windows.standing, windows.partitions.of)
    ]
    kin, first = distinct([*(each[:jobs].astype(np.int64) for each in (by["tenant"], one)), *alike])
    breed = distinct(alike)[0][first] + first.size if shared else np.arange(first.size)
    return kin.astype(np.int32), breed.astype(np.int64)


def _estate_of(
    policy: Policy,
    workload: Workload,
    cluster: Cluster,
    asked: Asked,
    *,
    estimate: NDArray[np.int64],
    expected: Expectations,
    shared: Shared | None,
    begin: int | None,
) -> Estate:
    """Return the cells of a cluster, of which nothing is taken, and a queue for them in which nobody waits."""
    forests, cells, claims = celled_tables(workload, cluster, asked, policy, asker=limited_alike(shared, len(workload)))
    scored = is_scored(policy)
    listed = workload if scored else workload.head(0)
    contenders = contenders_of(policy, listed, cluster, asked, estimate[: len(listed)], begin)
    crowd = build_crowd(
        len(workload),
        claims.claim,
        contenders,
        strict=policy.backfill == "none",
        reserves=policy.backfill == "easy",
        limited=shared is not None,
        scored=scored,
        within=policy.cells.within == "priority",
    )
    ledger = lower_tenancy(one_tenant(asked) if shared is None else shared, cluster, policy).ledger
    return Estate(
        forests=forests,
        cells=cells,
        claims=claims,
        heads=build_heads(forests, claims),
        ledger=ledger,
        contenders=contenders,
        expected=expected,
        crowd=crowd,
    )


def _lanes_of(ledger: Ledger, kin: NDArray[np.int32]) -> tuple[NDArray[np.int32], Records]:
    """Return the lane of each job, int32, shape (jobs,), and the lanes."""
    lane_of, first = distinct([kin.astype(np.int64), ledger.asker_of[: kin.size].astype(np.int64)])
    lane = np.zeros(first.size, LANE)
    lane["row"], lane["kin"] = first, kin[first]
    lane["first"] = NOBODY
    return lane_of, lane


def _shut_for_good(windows: Windows) -> NDArray[np.int8]:
    """Return the nodes that are always closed to each standing: int8, shape (standings * nodes,)."""
    nodes, many = windows.hidden.size, windows.window.size
    standings = windows.keeps_out.size // many if many else 1  # of everybody: those who take part may be fewer
    shut = np.zeros((standings, nodes), np.int8)
    for number, window in enumerate(windows.window):
        if window["end"] == NEVER:  # it is a partition's, which never began either
            kept_out = windows.keeps_out[number::many] > 0
            shut[np.ix_(kept_out, windows.node[window["first"] : window["last"]])] = 1
    return shut.ravel()


def _first_attempts(stays: Stays, estimate: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how long the scheduler expects each job's first attempt to last, with the checkpoints that it writes."""
    length, cost = np.maximum(estimate, 1), int(stays.terms[Terms.COST])
    if cost == 0:
        return length
    own = stays.stay["interval"][: length.size]
    interval = np.where(own == 0, NEVER, own)
    checkpoints = np.minimum((length - 1) // interval, LONGEST_ATTEMPT // cost)
    return np.minimum(length + checkpoints * cost, LONGEST_ATTEMPT)
