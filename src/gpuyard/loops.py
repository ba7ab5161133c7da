"""Which event loop a policy needs, and the tables that only this loop has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.custom import OwnPolicy
from gpuyard.deciding import Session
from gpuyard.errors import ConfigError, PolicyError
from gpuyard.kernel.beginning import expect_running, plan_running
from gpuyard.kernel.called import run_called
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.contenders import Contenders, build_contenders
from gpuyard.kernel.easy import run_easy
from gpuyard.kernel.engine import run
from gpuyard.kernel.expectations import Expectations, build_expectations
from gpuyard.kernel.jit import is_kept
from gpuyard.kernel.launch import Pointer, is_ready
from gpuyard.kernel.planned import run_conservative, run_slurm
from gpuyard.kernel.plans import Plans, build_plans
from gpuyard.kernel.scored_queue import Passing, run_scored
from gpuyard.kernel.scorers import scorer_signature
from gpuyard.kernel.tables import Events, Jobs, Log, Site
from gpuyard.kernel.windowed import run_windowed
from gpuyard.kernel.windows import Windows, build_windows
from gpuyard.lowering import Asked, rule_of
from gpuyard.ordering import is_scored, order_features, score_weights, scorer_of
from gpuyard.policy import Policy
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["check_scores", "is_loop_ready", "loop_of", "loop_tables", "lower_windows", "note_running", "open_session"]

Loop = Callable[..., None]

_LOOPS: Final[Mapping[str, Loop]] = {
    "none": run,
    "fit": run,
    "easy": run_easy,
    "conservative": run_conservative,
    "slurm": run_slurm,
}
"""By backfill, for orders with a fixed key."""
_PASSING: Final = {"none": int(Passing.NOBODY), "fit": int(Passing.ALL), "easy": int(Passing.BESIDE)}
"""Backfills for orders with a score."""


def loop_of(policy: Policy, *, windowed: bool = False) -> Loop:
    """Return the event loop that a policy needs, ``windowed`` where nodes close; raise ConfigError if there is none."""
    if windowed:
        _check_windowed(policy)
        return run_windowed
    if policy.replay == "recorded":
        return run
    if policy.decide is not None:
        return run_called
    if not is_scored(policy):
        return _LOOPS[policy.backfill]
    if policy.backfill not in _PASSING:
        raise ConfigError(
            f"backfill {policy.backfill} plans in an order that stays, and order {policy.order} is worked out anew in "
            f"every pass; choose backfill {', '.join(_PASSING)}, or an order with a fixed key"
        )
    return run_scored


def _check_windowed(policy: Policy) -> None:
    """Raise for a policy that does not go with maintenance and reserved nodes."""
    choices = {
        "replay recorded": policy.replay == "recorded",
        "a policy of your own": policy.decide is not None,
        f"order {policy.order}": is_scored(policy),
        f"backfill {policy.backfill}": policy.backfill not in _PASSING,
        "reservation counts": policy.backfill == "easy" and policy.reservation == "counts",
    }
    for choice, chosen in choices.items():
        if chosen:
            raise ConfigError(
                f"maintenance and reserved nodes do not go with {choice}; choose backfill {', '.join(_PASSING)} (easy "
                "on nodes), an order with a fixed key and replay schedule, or leave the windows out"
            )


def is_loop_ready(policy: Policy, asked: Asked | None = None, *, windowed: bool = False) -> bool:
    """Return whether all that a policy needs for some demands is compiled; without them, for any."""
    loop = loop_of(policy, windowed=windowed)
    if loop is run_scored and not is_kept(scorer_of(policy)):
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
) -> tuple[Any, ...]:
    """Return what the policy's loop takes beyond what all loops take, in its order.

    Parameters
    ----------
    estimate
        int64 microseconds, shape (jobs,).
    running
        How many jobs can run at once.
    windows
        Over the site's nodes, where there are any.
    """
    loop = loop_of(policy, windowed=windows is not None)
    if loop is run:
        return (int(policy.replay == "recorded"),)
    if loop in (run_conservative, run_slurm):
        planning = policy.planning
        plans = build_plans(
            estimate=estimate,
            demands=asked.demands,
            node=site.node,
            running=running,
            quanta=asked.quanta,
            kept=policy.backfill == "conservative",
            depth=planning.depth,
            interval=planning.interval,
            window=planning.window,
            resolution=planning.resolution,
        )
        return (plans,)
    expected = build_expectations(
        estimate=estimate,
        demands=asked.demands,
        node=site.node,
        running=running,
        quanta=asked.quanta,
        counts=policy.reservation == "counts",
        positions=0 if loop is run_scored else estimate.size,
    )
    if windows is not None:
        return expected, windows, _PASSING[policy.backfill]
    if loop is not run_scored:
        return (expected,)
    features = order_features(workload, policy, estimate, cluster.gpus)
    contenders = build_contenders(features, asked.demands.size, score_weights(policy))
    return contenders, expected, _PASSING[policy.backfill], Pointer(scorer_of(policy), scorer_signature())


def lower_windows(windows: Sequence[NodeWindow], workload: Workload, cluster: Cluster) -> Windows | None:
    """Return the kernel's form of windows over nodes, ``None`` where there is none."""
    if not windows:
        return None
    return build_windows(
        np.array([each.start_tick for each in windows], np.int64),
        np.array([each.end_tick for each in windows], np.int64),
        [each.node_numbers(cluster) for each in windows],
        np.stack([~each.invited(workload) for each in windows], axis=1),
        cluster.nodes,
    )


def note_running(
    tables: tuple[Any, ...], jobs: Jobs, site: Site, log: Log, events: Events, rows: NDArray[np.int64]
) -> None:
    """Tell the loop that has these tables which jobs, int64, shape (running jobs,), run before its first instant."""
    for table in tables:
        if isinstance(table, Expectations):
            expect_running(jobs, site, log, events, table, rows)
        elif isinstance(table, Plans):
            plan_running(jobs, table, rows)


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
    features = order_features(workload, policy, estimate, cluster.gpus)
    return Session(
        policy.decide,
        workload=workload,
        cluster=cluster,
        asked=asked,
        contenders=build_contenders(features, asked.demands.size, score_weights(policy)),
        tables=tables,
        estimate=estimate,
    )


def check_scores(policy: Policy, workload: Workload, tables: tuple[Any, ...]) -> None:
    """Raise PolicyError if the loop that had these tables met a score that is no number."""
    for table in tables:
        if isinstance(table, Contenders) and table.fault[0] != NOBODY:
            row, now = table.fault.tolist()
            job = workload.table["job_id"][row]
            raise PolicyError(f"order {policy.order}: at {now / MICROSECOND:g} s the score of job '{job}' is no number")
