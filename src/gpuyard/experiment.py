"""One experiment: schedule, then the energy account, the numbers and the tables, in one call."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from numbers import Real

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard import __version__
from gpuyard.apart import check_apart, times_alone
from gpuyard.beginning import begin_at
from gpuyard.beside import beside
from gpuyard.bounds import Bounds, bound_tables, settled, with_time_limits
from gpuyard.cluster import Cluster
from gpuyard.custom import Decider, OwnOrder, OwnPlacement
from gpuyard.dividing import schedule_apart
from gpuyard.energy import EnergyModel, account
from gpuyard.errors import ConfigError
from gpuyard.metrics import (
    attempts_table,
    bin_edges,
    cluster_digest,
    decisions_table,
    deficits_of,
    fragmentation,
    job_times,
    jobs_table,
    judge,
    measured,
    schedule_digest,
    services_table,
    summarise,
    tenants_table,
    timeline_table,
    workload_digest,
)
from gpuyard.policy import Policy, named_policy
from gpuyard.record import Record
from gpuyard.result import Result
from gpuyard.tenancy import Tenants
from gpuyard.traces.trace import Trace
from gpuyard.virtual_clusters import VirtualCluster, virtual_cluster_tables
from gpuyard.windows import NodeWindow, partitions_of, window_tables
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["Progress", "result_of", "simulate"]

Progress = Callable[[str, float | None], None]
"""Told which stage of the work is on, and which share of it is done, ``None`` where that is not known."""


def simulate(
    workload: Workload | Trace,
    cluster: Cluster,
    *,
    policy: str | Policy | Decider | OwnOrder | OwnPlacement = "fifo",
    placement: str | None = None,
    seed: int = 0,
    until: float | None = None,
    begin: float | None = None,
    windows: Sequence[NodeWindow] = (),
    virtual_clusters: Sequence[VirtualCluster] = (),
    tenants: Tenants | Mapping[str, object] | None = None,
    bounds: Sequence[Bounds] = (),
    energy: EnergyModel | Mapping[str, object] | None = None,
    window: tuple[float, float] | None = None,
    warmup: float = 0.0,
    bin_width: float | None = None,
    decisions: bool = False,
    tenant_weights: Mapping[str, float] | None = None,
    alone: bool = False,
    scenario: Mapping[str, object] | None = None,
    progress: Progress | None = None,
    **policy_changes: object,
) -> Result:
    """Run a workload on a cluster under a policy and return everything there is to know.

    Parameters
    ----------
    workload, cluster
        The jobs and the site.
    policy, placement, policy_changes
        A policy's name or object, and fields of it to change (``on_limit="ignore"``); or an object of your own with
        a method ``decide``, or what ``@gpuyard.order`` or ``@gpuyard.placement`` made.
    seed
        Of all random choices: same input and seed, same bytes.
    until
        Stop at this second since the origin; by default, run until all jobs have ended.
    begin
        Begin at this second since the origin, with the jobs that ran or waited then according to the record; those
        that had ended are left out, and measures begin here.  By default, begin with the first submission on an
        empty cluster.
    windows
        Maintenance, for which nodes are drained, and reservations, which keep nodes for some jobs.
    virtual_clusters
        Sets of nodes with queues of their own, each for its own jobs, with tenants of its own if it says so.
    tenants
        Who shares the cluster, with quotas and limits: an object, or a table as ``[tenants]`` of a scenario is.
        With virtual clusters, each of those without ``sharing`` of their own; without quotas and limits then.
    bounds
        What a single job of a partition or QOS may ask for: what is beyond is rejected.
    energy
        The site's power, cooling, carbon and price: a model, or the keys of one.
    window, warmup
        What :func:`gpuyard.metrics.summarise` measures, s.
    bin_width
        Width of the timeline's bins, s; by default a round one that gives at most 2000 bins.
    decisions
        Also keep what the scheduler promised to whom, for :func:`gpuyard.explain`; everything else is the same.
    tenant_weights
        What tenants are due of the cluster, by name, 1 for those not named, for the numbers on the fairness among them;
        by default as the ``tenants`` have it, else the ``shares`` of the policy.
    alone
        Also simulate each tenant's jobs alone, and tell how much slower they were together.
    scenario
        Sections for ``scenario.toml`` that say where workload and cluster came from; they go
        before what is said here.  Without them, the result's folder cannot be run again.
    progress
        Called with the name of each stage when it begins (schedule, energy, metrics) and, several times a
        second while jobs are scheduled, with the share of them that has been submitted.

    Raises
    ------
    ConfigError, InputError
        For what cannot be simulated; the message says which value and what to do.

    Examples
    --------
    >>> import pyarrow as pa
    >>> import gpuyard as gy
    >>> jobs = gy.Workload.from_table(pa.table({"job_id": ["a"], "submit_time": [0.0], "runtime": [60.0], "gpus": [2]}))
    >>> result = gy.simulate(jobs, gy.Cluster.uniform(nodes=1, gpus_per_node=8))
    >>> result.summary()["makespan_s"]
    60.0
    """
    jobs = Workload.from_trace(workload) if isinstance(workload, Trace) else workload
    if not isinstance(jobs, Workload) or not isinstance(cluster, Cluster):
        got = type(jobs if not isinstance(jobs, Workload) else cluster).__name__
        raise ConfigError(f"simulate takes a Workload and a Cluster, got {got}; build one with its classmethods")
    for name, value in (("until", until), ("begin", begin), ("bin_width", bin_width)):
        _check_seconds(name, value)
    tell = progress if progress is not None else _say_nothing
    changes = policy_changes if placement is None else {"placement": placement, **policy_changes}
    model = energy if isinstance(energy, EnergyModel) else EnergyModel.from_mapping(energy or {})
    chosen = named_policy(policy, **changes)
    if alone:
        check_apart(chosen)
    sharing = Tenants.of(tenants)
    bounds = settled(bounds, partitions_of(windows))
    tell("schedule", 0.0)
    jobs.parents  # noqa: B018  # worked out once for both that look at it now
    stated, jobs = jobs, with_time_limits(jobs, bounds)
    limited = jobs is not stated
    if limited and begin is not None:
        stated = begin_at(stated, round(begin * MICROSECOND)).workload
    digested = beside(lambda: workload_digest(stated))
    record = schedule_apart(
        jobs,
        cluster,
        chosen,
        virtual_clusters=virtual_clusters,
        seed=seed,
        until=until,
        begin=begin,
        windows=windows,
        tenants=sharing,
        bounds=bounds,
        decisions=decisions,
        progress=lambda share: tell("schedule", share),
    )
    digested()
    tell("schedule", 1.0)
    run: dict[str, object] = {
        "seed": seed,
        "until": until,
        "window": window,
        "warmup": warmup,
        "bin_width": bin_width,
    }
    if begin is not None:
        run["begin"] = begin
    if decisions:
        run["decisions"] = True
    if tenant_weights is not None:
        run["tenant_weights"] = dict(tenant_weights)
    apart = None
    if alone:
        run["alone"] = True
        tell("alone", None)
        apart = times_alone(
            record,
            jobs,
            virtual_clusters=virtual_clusters,
            windows=windows,
            tenants=sharing,
            bounds=bounds,
            until=until,
            begin=begin,
        )
    shared = {"tenants": sharing.to_mapping()} if sharing else {}
    tell("energy", None)
    return result_of(
        record,
        model,
        window=window,
        warmup=warmup,
        until=until,
        bin_width=bin_width,
        tenant_weights=tenant_weights,
        alone=apart,
        stated=stated if limited else None,
        scenario={
            "run": run,
            **(nodes := window_tables(windows)),
            **bound_tables(bounds, nodes),
            **virtual_cluster_tables(virtual_clusters),
            **shared,
            **(scenario or {}),
        },
        progress=progress,
    )


def result_of(
    record: Record,
    energy: EnergyModel | None = None,
    *,
    window: tuple[float, float] | None = None,
    warmup: float = 0.0,
    until: float | None = None,
    bin_width: float | None = None,
    tenant_weights: Mapping[str, float] | None = None,
    alone: NDArray[np.float64] | None = None,
    stated: Workload | None = None,
    scenario: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Return the result of a record: account, numbers, tables and the echo of the scenario.

    What does not depend on each other is worked out side by side.  ``stated``: the jobs of the record with the time
    limits that they state themselves, where bounds gave them others.
    """
    judging, digesting = beside(lambda: judge(record)), beside(lambda: schedule_digest(record))
    drawn = account(record, energy)
    if progress is not None:
        progress("metrics", None)
    fragments = fragmentation(record, drawn.holdings, drawn.start, drawn.stop)
    edges = bin_edges(drawn.start, drawn.stop, bin_width)
    deficits = deficits_of(record, drawn.holdings, tenant_weights, np.union1d(edges, measured(drawn, window, warmup)))
    times, judged = job_times(record), judging()

    def tables() -> dict[str, pa.Table | None]:
        timeline = timeline_table(
            record, drawn, bin_width=bin_width, fragments=fragments, tenant_weights=tenant_weights, deficits=deficits
        )
        return {
            "timeline": timeline,
            "jobs": jobs_table(record, drawn, times),
            "attempts": attempts_table(record, drawn.holdings),
            "decisions": None if record.decisions is None else decisions_table(record),
            "services": None if judged is None else services_table(record, judged[0]),
            "tenants": tenants_table(record, drawn.start, drawn.stop, bin_width=bin_width),
        }

    tabled = beside(tables)
    numbers = summarise(
        record,
        drawn,
        window=window,
        warmup=warmup,
        until=until,
        fragments=fragments,
        judged=judged,
        tenant_weights=tenant_weights,
        deficits=deficits,
        alone=alone,
        times=times,
        digest=digesting(),
    )
    return Result(numbers=numbers, scenario=_echo(record, stated, drawn.model, scenario or {}), **tabled())


def _check_seconds(name: str, value: object) -> None:
    """Raise for what is neither left out nor a finite number of seconds."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not abs(float(value)) < float("inf"):
        raise ConfigError(f"{name} must be a finite number of seconds, got {value!r}")


def _say_nothing(_: str, __: float | None) -> None:
    return None


def _echo(
    record: Record, stated: Workload | None, model: EnergyModel, given: Mapping[str, object]
) -> dict[str, object]:
    """Return the scenario: the sections that were given, policy and energy resolved, and where all came from."""
    cluster, workload = record.cluster, record.workload
    earlier, own = given.get("provenance"), record.policy.own_sources
    sections: dict[str, object] = {
        "workload": {"name": workload.name},
        "cluster": {"name": cluster.name},
        "policy": record.policy.to_mapping(),
        "energy": model.to_mapping(),
        **given,
    }
    sections["provenance"] = {
        **(earlier if isinstance(earlier, Mapping) else {}),
        "versions": _versions(),
        "runs_again": {"workload", "cluster"} <= given.keys() and all(source.importable for source in own),
        "workload": workload.name,
        "workload_jobs": len(workload),
        "workload_rejected_rows": len(workload.rejected),
        "workload_jobs_not_over": _not_over(workload),
        "workload_notes": list(workload.notes),
        "workload_sha256": workload_digest(workload if stated is None else stated),
        "cluster": cluster.name,
        "cluster_nodes": cluster.nodes,
        "cluster_gpus": cluster.gpus,
        "cluster_sha256": cluster_digest(cluster),
        "seed": record.seed,
        **({"own_code_sha256": {source.name: source.sha256 for source in own}} if own else {}),
    }
    return sections


def _not_over(workload: Workload) -> int:
    """Return how many jobs were still running or pending when their record ended."""
    left = pc.is_in(workload.held["state"], pa.array(["running", "pending"]))
    return int(pc.sum(left).as_py() or 0)


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("numba", "pyarrow")}
    return {"gpuyard": __version__, "numpy": np.__version__, **packages, "python": platform.python_version()}
