"""Which event loop a policy needs, and the tables that only this loop has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.custom import OwnPolicy
from gpuyard.deciding import Session
from gpuyard.errors import ConfigError, EngineError, PolicyError
from gpuyard.kernel.beginning import charge_running, expect_running, plan_running, resume_running
from gpuyard.kernel.called import run_called
from gpuyard.kernel.cell_queue import Estate
from gpuyard.kernel.celled import run_celled
from gpuyard.kernel.cells import Kept
from gpuyard.kernel.codes import ABSENT, NOBODY
from gpuyard.kernel.contenders import Contenders, build_contenders
from gpuyard.kernel.easy import run_easy
from gpuyard.kernel.engine import run
from gpuyard.kernel.expectations import Expectations, build_expectations
from gpuyard.kernel.hunt import hunt_by_trial
from gpuyard.kernel.jit import is_kept
from gpuyard.kernel.joint import run_joint
from gpuyard.kernel.joint_planned import run_joint_slurm
from gpuyard.kernel.joint_room import Roomer, find_no_room, find_room
from gpuyard.kernel.latecomers import expect_latecomers
from gpuyard.kernel.launch import Pointer, is_ready
from gpuyard.kernel.partitions import Partitions, build_partitions
from gpuyard.kernel.planned import run_conservative, run_slurm
from gpuyard.kernel.plans import Plans, build_plans
from gpuyard.kernel.preempting import run_preempting
from gpuyard.kernel.reservation import (
    Reserver,
    reserve_counts,
    reserve_nothing,
    reserve_special,
    reserver_signature,
)
from gpuyard.kernel.scored_planned import run_scored_conservative, run_scored_slurm
from gpuyard.kernel.scored_queue import Passing, run_scored
from gpuyard.kernel.scored_windowed import run_scored_windowed
from gpuyard.kernel.scorers import Scorer, as_listed, scorer_signature
from gpuyard.kernel.stays import Stays
from gpuyard.kernel.tables import Events, Jobs, Log, Site
from gpuyard.kernel.tenancy import Share, Tenancy
from gpuyard.kernel.tenanted import run_tenanted
from gpuyard.kernel.windowed import run_windowed
from gpuyard.kernel.windows import Windows, build_windows
from gpuyard.lowering import Asked, rule_of
from gpuyard.ordering import is_scored, order_features, score_weights, scorer_of
from gpuyard.policy import Policy
from gpuyard.preempting import hunter_of
from gpuyard.sharing import lower_accounts
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.tenanting import regainer_of
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND, Workload

__all__ = [
    "JOINT_LOOPS",
    "check_cells",
    "check_scores",
    "check_windowed",
    "contenders_of",
    "is_loop_ready",
    "loop_of",
    "loop_tables",
    "lower_windows",
    "no_windows",
    "note_absent",
    "note_running",
    "open_session",
    "roomer_of",
    "scorer_in",
]

Loop = Callable[..., None]

_LOOPS: Final[Mapping[str, Loop]] = {
    "none": run,
    "fit": run,
    "easy": run_easy,
    "conservative": run_conservative,
    "slurm": run_slurm,
}
"""By backfill, for orders with a fixed key."""
_SCORED_PLANS: Final[Mapping[str, Loop]] = {"conservative": run_scored_conservative, "slurm": run_scored_slurm}
"""By backfill, for orders with a score, and for sites whose nodes close at times."""
_SCORED: Final = (run_scored, run_scored_windowed, *_SCORED_PLANS.values())
"""Loops that take a function that scores."""
JOINT_LOOPS: Final = (run_joint, run_joint_slurm)
"""Loops that have preemption, tenants, scores and windows together."""
_PASSING: Final = {"none": int(Passing.NOBODY), "fit": int(Passing.ALL), "easy": int(Passing.BESIDE)}


def loop_of(policy: Policy, *, windowed: bool = False, tenants: Tenants = NO_TENANTS) -> Loop:
    """Return the event loop that a policy needs; raise ConfigError if there is none.

    ``windowed``: nodes close at times; ``tenants`` share the cluster.
    """
    if windowed:
        check_windowed(policy)
    if tenants or policy.preemption:
        return _loop_with_attempts(policy, tenants, windowed=windowed)
    if policy.replay == "recorded":
        return run
    if policy.decide is not None:
        return run_called
    if policy.backfill in _SCORED_PLANS and (windowed or is_scored(policy)):
        return _SCORED_PLANS[policy.backfill]
    if windowed:
        return run_scored_windowed if is_scored(policy) else run_windowed
    return run_scored if is_scored(policy) else _LOOPS[policy.backfill]


def _loop_with_attempts(policy: Policy, tenants: Tenants, *, windowed: bool) -> Loop:
    """Return the event loop of a policy that preempts, or of a cluster that tenants share."""
    if policy.cells:
        return run_celled
    if policy.backfill == "slurm":
        return run_joint_slurm
    listed = bool(policy.preemption.preempts)
    if windowed or listed or policy.backfill == "easy" or is_scored(policy) or _are_all_tried(policy, tenants):
        return run_joint
    return run_tenanted if tenants else run_preempting


def _are_all_tried(policy: Policy, tenants: Tenants) -> bool:
    """Return whether tenants share in a way that every waiting job is tried for in every pass."""
    takes = tenants.reclaim == "cohorts" or tenants.borrows_within
    return bool(tenants) and (tenants.between == "cohorts" or (bool(policy.preemption) and takes))


def check_windowed(policy: Policy) -> None:
    """Raise for a policy that does not go with maintenance, reserved nodes and nodes that come later."""
    choices = {
        "cells, whose owners are promised cells anywhere, closed nodes or not": (
            bool(policy.cells),
            "leave out [policy.cells]",
        ),
        "replay recorded, where nobody asks which nodes are open": (
            policy.replay == "recorded",
            "choose replay schedule",
        ),
        "a policy of your own, where nobody asks which nodes are open": (
            policy.decide is not None,
            "choose an order and a backfill by name",
        ),
    }
    for choice, (chosen, remedy) in choices.items():
        if chosen:
            raise ConfigError(
                "maintenance, reserved nodes, partitions with nodes and nodes that come later do not go with "
                f"{choice}; {remedy}, or go without the windows"
            )


def is_loop_ready(
    policy: Policy, asked: Asked | None = None, *, windowed: bool = False, tenants: Tenants = NO_TENANTS
) -> bool:
    """Return whether all that a policy needs for some demands is compiled; without them, for any."""
    loop = loop_of(policy, windowed=windowed, tenants=tenants)
    needed: list[Callable[..., Any]] = []
    if loop is run_tenanted:
        needed.append(regainer_of(policy))
    elif loop in JOINT_LOOPS:
        needed += [roomer_of(policy), scorer_in(policy)]
    elif loop in _SCORED or loop is run_celled:
        needed.append(scorer_in(policy))
    elif loop is run_preempting:
        needed.append(hunt_by_trial if asked is None else hunter_of(asked.demands, policy))
    if loop in (run_easy, run_scored):
        needed.append(_reserver(policy, asked))
    if not all(is_kept(each) for each in needed):
        return False
    if asked is None:
        return is_ready(loop, rule_of(policy))
    return is_ready(loop, rule_of(policy), asked.demands, tracked=asked.quanta > 0)


def loop_tables(
    policy: Policy,
    *,
    workload: Workload,
    cluster: Cluster,
    asked: Asked,
    site: Site,
    estimate: NDArray[np.int64],
    running: int,
    windows: Windows | None = None,
    begin: int | None = None,
) -> tuple[Any, ...]:
    """Return what the policy's loop takes beyond what all loops take, in its order.

    Parameters
    ----------
    estimate
        int64 microseconds, shape (rows,): of the jobs and, after them, of what else runs.
    running
        How many jobs can run at once.
    windows
        Over the site's nodes, where there are any.
    begin
        The instant at which the simulation begins with a given state, if it does.
    """
    loop = loop_of(policy, windowed=windows is not None)
    if loop is run:
        return (int(policy.replay == "recorded"),)
    if policy.backfill in _SCORED_PLANS:
        plans = _plans(policy, asked, site, estimate, running, by_position=loop not in _SCORED)
        if loop not in _SCORED:
            return (plans,)
        closing = no_windows(workload, cluster) if windows is None else windows
        contenders = contenders_of(policy, workload, cluster, asked, estimate, begin)
        return plans, contenders, closing, Pointer(scorer_in(policy), lambda *_: scorer_signature())
    expected = build_expectations(
        estimate=estimate,
        demands=asked.demands,
        node=site.node,
        running=running,
        quanta=asked.quanta,
        counts=policy.reservation == "counts",
        positions=0 if loop in _SCORED else estimate.size,
    )
    reserver = Pointer(_reserver(policy, asked), reserver_signature)
    if loop is run_easy:
        return expected, reserver
    passing = _PASSING[policy.backfill]
    if loop is run_windowed:
        return expected, windows, passing
    contenders = contenders_of(policy, workload, cluster, asked, estimate, begin)
    own: Pointer | Windows = reserver if windows is None else windows
    return contenders, expected, own, passing, Pointer(scorer_in(policy), lambda *_: scorer_signature())


def _plans(
    policy: Policy, asked: Asked, site: Site, estimate: NDArray[np.int64], running: int, *, by_position: bool
) -> Plans:
    planning = policy.planning
    return build_plans(
        estimate=estimate,
        demands=asked.demands,
        node=site.node,
        running=running,
        quanta=asked.quanta,
        kept=policy.backfill == "conservative",
        by_position=by_position,
        depth=planning.depth,
        interval=planning.interval,
        window=planning.window,
        resolution=planning.resolution,
    )


def contenders_of(
    policy: Policy,
    workload: Workload,
    cluster: Cluster,
    asked: Asked,
    estimate: NDArray[np.int64],
    begin: int | None = None,
) -> Contenders:
    """Return the list of waiting jobs, empty, with what they are scored by; ``begin`` as for :func:`loop_tables`."""
    features = order_features(workload, policy, estimate[: len(workload)], cluster.gpus)
    accounts = lower_accounts(policy, workload, asked, cluster.gpus, begin)
    return build_contenders(features, asked.demands.size, score_weights(policy, cluster.gpus), accounts)


def scorer_in(policy: Policy) -> Scorer:
    """Return what scores the waiting jobs in a loop that scores."""
    return scorer_of(policy) if is_scored(policy) else as_listed


def roomer_of(policy: Policy) -> Roomer:
    """Return what makes room where all is together; nothing where nobody is preempted."""
    return find_room if policy.preemption else find_no_room


def _reserver(policy: Policy, asked: Asked | None = None) -> Reserver:
    """Return what reserves counts, or nodes for a job that is not plain; without demands, for any."""
    if policy.backfill == "easy" and policy.reservation == "counts":
        return reserve_counts
    plain = asked is not None and bool(np.all((asked.demands["plain"] > 0) | (asked.demands["alone"] == ABSENT)))
    return reserve_nothing if plain or policy.backfill != "easy" else reserve_special


def no_windows(workload: Workload, cluster: Cluster) -> Windows:
    """Return the windows of a site whose nodes are always open."""
    instants = np.empty(0, np.int64)
    return build_windows(instants, instants, [], np.empty((len(workload), 0), np.bool_), cluster.nodes)


def lower_windows(
    windows: Sequence[NodeWindow], workload: Workload, cluster: Cluster, policy: Policy
) -> Windows | None:
    """Return the kernel's form of windows over nodes, ``None`` where there is none."""
    if not windows:
        return None
    return build_windows(
        np.array([each.start_tick for each in windows], np.int64),
        np.array([each.end_tick for each in windows], np.int64),
        [each.node_numbers(cluster) for each in windows],
        np.stack([~each.invited(workload) for each in windows], axis=1),
        cluster.nodes,
        _lower_partitions([each for each in windows if each.is_partition], workload, cluster, policy),
    )


def _lower_partitions(
    partitions: Sequence[NodeWindow], workload: Workload, cluster: Cluster, policy: Policy
) -> Partitions:
    """Return the queues of partitions; that of the whole cluster alone where who waits is no affair of queues."""
    by_counts = policy.backfill == "easy" and policy.reservation == "counts"
    if by_counts or policy.backfill not in ("none", "easy"):
        partitions = []
    queue = np.zeros(len(workload), np.int64)
    for number, each in enumerate(partitions, 1):
        queue[each.members(workload)] = number
    others = [each.node_numbers(cluster) for each in partitions]
    return build_partitions(queue, [np.setdiff1d(np.arange(cluster.nodes), each) for each in others], cluster.nodes)


def note_running(
    tables: tuple[Any, ...],
    jobs: Jobs,
    site: Site,
    log: Log,
    events: Events,
    rows: NDArray[np.int64],
    *,
    begin: int | None = None,
) -> None:
    """Tell the loop that has these tables which jobs, int64, shape (running jobs,), run before its first instant.

    ``begin``: that instant, microseconds, if the simulation begins with a given state.
    """
    for table in tables:
        if isinstance(table, Stays) and begin is not None:
            resume_running(jobs, table, rows, begin)
        elif isinstance(table, Tenancy) and begin is not None:
            charge_running(jobs, site, log, table, rows)
        elif isinstance(table, Expectations):
            expect_running(jobs, site, log, events, table, rows)
        elif isinstance(table, Plans):
            plan_running(jobs, table, rows)


def note_absent(
    tables: tuple[Any, ...], jobs: Jobs, site: Site, log: Log, events: Events, rows: NDArray[np.int64]
) -> None:
    """Tell the loop that has these tables which rows, int64, shape (rows,), hold nodes until they come."""
    note_running(tables, jobs, site, log, events, rows)
    for table in tables:
        if isinstance(table, Stays):
            expect_latecomers(jobs, site, log, table, rows)
        elif isinstance(table, Tenancy):
            table.ledger.state[Share.FREE] -= int(tables[0].thousandths[jobs.claim["demand"][rows]].sum())


def open_session(
    policy: Policy,
    *,
    workload: Workload,
    cluster: Cluster,
    asked: Asked,
    estimate: NDArray[np.int64],
    tables: tuple[Jobs, Site, Log, Events],
) -> Session | None:
    """Return the session of a user's own policy, which has its loop's tables; None where gpuyard decides."""
    if not isinstance(policy.decide, OwnPolicy):
        return None
    return Session(
        policy.decide,
        workload=workload,
        cluster=cluster,
        asked=asked,
        contenders=contenders_of(policy, workload, cluster, asked, estimate),
        tables=tables,
        estimate=estimate,
    )


def check_cells(tables: tuple[Any, ...]) -> None:
    """Raise EngineError if the loop that had these tables found no physical cell for one that an owner had free."""
    for table in tables:
        if isinstance(table, Estate) and table.forests.state[Kept.BROKEN]:
            raise EngineError("the engine found no cell for one that its owner had free: this should never be")


def check_scores(policy: Policy, workload: Workload, tables: tuple[Any, ...]) -> None:
    """Raise PolicyError if the loop that had these tables met a score that is no number."""
    for table in tables:
        listed = table.contenders if isinstance(table, Estate) else table
        if isinstance(listed, Contenders) and listed.fault[0] != NOBODY:
            row, now = listed.fault.tolist()
            job = workload.held["job_id"][row]
            raise PolicyError(f"order {policy.order}: at {now / MICROSECOND:g} s the score of job '{job}' is no number")
