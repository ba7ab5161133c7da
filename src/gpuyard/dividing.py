"""A run with virtual clusters: as many simulations as there are, put together in one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.bounds import Bounds, settled
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.kernel.codes import NOBODY
from gpuyard.lowering import Rejections, reject_behind
from gpuyard.parents import ranges
from gpuyard.participants import Participants, participants
from gpuyard.policy import Policy
from gpuyard.record import Decided, Outcome, Record
from gpuyard.simulation import check_times, schedule, schedule_participants
from gpuyard.stoppable import Progress
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.tenanting import check_tenants, with_bound
from gpuyard.unfit import NO_NODES
from gpuyard.virtual_clusters import Division, VirtualCluster, divide
from gpuyard.windows import NodeWindow, check_windows, partitions_of
from gpuyard.workload import MICROSECOND, NEVER, Workload, array_tasks

__all__ = ["chosen_runs", "cut_windows", "schedule_apart"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """The record of one virtual cluster.

    ``rows``: int64, shape (jobs,), of its jobs in the whole; ``nodes``: int64, shape (nodes,), likewise.
    """

    record: Record
    rows: NDArray[np.int64]
    nodes: NDArray[np.int64]


def schedule_apart(
    workload: Workload,
    cluster: Cluster,
    policy: Policy,
    *,
    virtual_clusters: Sequence[VirtualCluster] = (),
    seed: int = 0,
    until: float | None = None,
    begin: float | None = None,
    windows: Sequence[NodeWindow] = (),
    tenants: Tenants = NO_TENANTS,
    bounds: Sequence[Bounds] = (),
    division: Division | None = None,
    decisions: bool = False,
    progress: Progress | None = None,
) -> Record:
    """Schedule a workload on a cluster, each virtual cluster by itself; without any, as :func:`schedule` does.

    Parameters
    ----------
    virtual_clusters
        Their nodes, members, policies and tenants.
    tenants
        Who shares the cluster; with virtual clusters, each of those that have no tenants of their own.
    division
        Whose jobs and nodes are whose, where that is known: of some of the jobs of a run, as it is of all.
    seed, until, begin, windows, bounds, decisions, progress
        As for :func:`gpuyard.simulation.schedule`.

    Raises
    ------
    ConfigError
        For virtual clusters that cannot be, jobs that tie two of them together, and what one of them cannot simulate.
    """
    if not virtual_clusters:
        return schedule(
            workload,
            cluster,
            policy,
            seed=seed,
            until=until,
            begin=begin,
            windows=windows,
            tenants=tenants,
            bounds=bounds,
            decisions=decisions,
            progress=progress,
        )
    check_times(policy, begin, until, windows)
    check_windows(windows)
    bounds = settled(bounds, partitions_of(windows))
    if division is None:
        division = divide(workload, cluster, policy, virtual_clusters, tenants)
    division = _with_bounds(division, workload)
    jobs = participants(workload, policy, begin=begin, seed=seed, bounds=bounds)
    division = replace(division, member=division.member[jobs.rows])
    rejections = _reject_outsiders(jobs, division)
    parts: list[_Part] = []
    for number, name in enumerate(division.names):
        rows = np.flatnonzero(rejections.accepted & (division.member == number))
        if rows.size == 0:
            continue
        own, sharing = division.policies[number], division.tenants[number]
        nodes = np.flatnonzero(division.owner == number)
        try:
            check_times(own, begin, until, windows)
            check_tenants(own, sharing)
            asked = jobs if own == policy else participants(workload, own, begin=begin, seed=seed, bounds=bounds)
            record = schedule_participants(
                asked.only(rows, name),
                cluster.part(nodes, name),
                own,
                seed=seed,
                until=until,
                windows=cut_windows(windows, cluster, nodes),
                tenants=sharing,
                decisions=decisions,
                progress=_share_of(progress, len(parts), len(division.names)),
            )
        except ConfigError as problem:
            said = str(problem).replace("in [tenants]", "in its own [virtual_cluster.tenants]")
            raise virtual_clusters[number].refused(f"virtual cluster '{name}': {said}") from None
        parts.append(_Part(record=record, rows=rows, nodes=nodes))
    stops = [part.record.stop for part in parts if until is not None or part.record.attempt_job.size]
    return _together(
        parts,
        jobs,
        cluster,
        policy,
        division,
        rejections,
        seed=seed,
        stop=max(stops, default=round((until or 0.0) * MICROSECOND)),
        windows=tuple(windows),
    )


def _with_bounds(division: Division, workload: Workload) -> Division:
    """Return the virtual clusters with a bound on preemptions under the policies of those that need one."""
    shared = enumerate(zip(division.policies, division.tenants, strict=True))
    policies = [
        with_bound(policy, tenants, workload.where(division.member == number, division.names[number]))
        if tenants.has_quotas
        else policy
        for number, (policy, tenants) in shared
    ]
    return replace(division, policies=tuple(policies))


def _share_of(progress: Progress | None, done: int, parts: int) -> Progress | None:
    """Return what is told how much of one of several simulations is done."""
    if progress is None:
        return None
    return lambda share: progress((done + share) / parts)


def _reject_outsiders(jobs: Participants, division: Division) -> Rejections:
    """Return which jobs are in no virtual cluster, or depend on one; raise ConfigError for those that tie two.

    Jobs that run when the simulation begins wait for nobody.
    """
    workload = jobs.workload
    rejections = Rejections(len(workload))
    rejections.add(division.member < 0, "belongs to no virtual cluster")
    parent, child = workload.parents.edges()
    if jobs.middle is not None:
        waits = ~jobs.middle.running[child]
        parent, child = parent[waits], child[waits]
    reject_behind(parent, child, rejections)
    member = np.where(rejections.accepted, division.member, -1)
    ids = workload.table["job_id"]
    apart = np.flatnonzero((member[parent] >= 0) & (member[child] >= 0) & (member[parent] != member[child]))
    if apart.size:
        one, other = int(child[apart[0]]), int(parent[apart[0]])
        raise ConfigError(
            f"job '{ids[one]}' of virtual cluster '{division.names[member[one]]}' depends on '{ids[other]}' of "
            f"'{division.names[member[other]]}'; each is scheduled by itself, so put both into one, or drop the "
            "dependency"
        )
    array, limit = array_tasks(workload)
    tasks = np.flatnonzero((array >= 0) & (member >= 0))
    lowest, highest = np.full(limit.size, len(division.names)), np.full(limit.size, -1)
    np.minimum.at(lowest, array[tasks], member[tasks])
    np.maximum.at(highest, array[tasks], member[tasks])
    if np.any(lowest < highest):
        number = int(np.argmax(lowest < highest))
        task = int(tasks[np.argmax(array[tasks] == number)])
        raise ConfigError(
            f"the array '{workload.table['array'][task]}', which has a limit, has tasks in virtual clusters "
            f"'{division.names[lowest[number]]}' and '{division.names[highest[number]]}'; each is scheduled by itself, "
            "so put all tasks into one, or drop the limit"
        )
    return rejections


def cut_windows(windows: Sequence[NodeWindow], cluster: Cluster, nodes: NDArray[np.int64]) -> tuple[NodeWindow, ...]:
    """Return the windows over some of the nodes, by the numbers that these have among themselves.

    A partition stays also where it has none of them: its jobs have nowhere to run.
    """
    found = []
    for window in windows:
        if window.is_partition:
            own = np.setdiff1d(np.arange(cluster.nodes), window.node_numbers(cluster))
            found.append(replace(window, nodes=tuple(np.flatnonzero(np.isin(nodes, own)).tolist())))
            continue
        inside = np.flatnonzero(np.isin(nodes, window.node_numbers(cluster)))
        if inside.size:
            found.append(replace(window, nodes=tuple(inside.tolist())))
    return tuple(found)


def _together(
    parts: Sequence[_Part],
    jobs: Participants,
    cluster: Cluster,
    policy: Policy,
    division: Division,
    rejections: Rejections,
    *,
    seed: int,
    stop: int,
    windows: tuple[NodeWindow, ...],
) -> Record:
    """Return one record of what happened in all virtual clusters."""
    workload, records = jobs.workload, [part.record for part in parts]
    eligible, start, end = (np.full(len(workload), NEVER, np.int64) for _ in range(3))
    outcome = np.full(len(workload), Outcome.REJECTED, np.int8)
    for part in parts:
        eligible[part.rows], start[part.rows] = part.record.eligible, part.record.start
        end[part.rows], outcome[part.rows] = part.record.end, part.record.outcome
        _add_reasons(rejections, part)
    return Record(
        workload=workload,
        cluster=cluster,
        policy=policy,
        seed=seed,
        stop=stop,
        eligible=eligible,
        start=start,
        end=end,
        outcome=outcome,
        reject_reason=rejections.reason,
        reject_reasons=tuple(rejections.texts),
        **_attempts(parts),
        events=sum(each.events for each in records),
        passes=sum(each.passes for each in records),
        max_queue=max((each.max_queue for each in records), default=0),
        kernel_s=sum(each.kernel_s for each in records),
        begin=None if jobs.middle is None else jobs.middle.begin,
        windows=windows,
        bounds=jobs.bounds,
        decisions=_decided(parts),
        division=division,
    )


def _add_reasons(rejections: Rejections, part: _Part) -> None:
    """Reject what a virtual cluster has rejected, for its reasons."""
    for number, text in enumerate(part.record.reject_reasons):
        rejected = np.zeros(rejections.reason.size, np.bool_)
        rejected[part.rows[part.record.reject_reason == number]] = number > 0
        said = text.replace("the cluster", "its virtual cluster")
        rejections.add(rejected, f"{said} in its virtual cluster" if text == NO_NODES else said)


def _attempts(parts: Sequence[_Part]) -> dict[str, Any]:
    """Return the columns of attempts and slots, in the order of start, then of virtual clusters."""
    records = [part.record for part in parts]
    start = _joined([each.attempt_start for each in records], np.int64)
    order = np.argsort(start, kind="stable")
    sizes = _joined([np.diff(each.slot_offset) for each in records], np.int64)
    offset, slot = chosen_runs(np.append(0, np.cumsum(sizes)), order)
    columns: dict[str, Any] = {
        "attempt_start": start[order],
        "attempt_end": _joined([each.attempt_end for each in records], np.int64)[order],
        "attempt_reason": _joined([each.attempt_reason for each in records], np.int8)[order],
        "attempt_job": _joined([part.rows[part.record.attempt_job] for part in parts], np.int32)[order],
        "slot_offset": offset,
        "slot_node": _joined([part.nodes[part.record.slot_node] for part in parts], np.int32)[slot],
        "slot_gpus": _joined([each.slot_gpus for each in records], np.int32)[slot],
        "slot_gpu": _joined([each.slot_gpu for each in records], np.int32)[slot],
    }
    if any(each.attempt_cause is not None for each in records):
        columns["attempt_useful"] = _joined([each.useful for each in records], np.int64)[order]
        columns["attempt_cause"] = _joined([_causes(part) for part in parts], np.int32)[order]
    if any(each.attempt_guest is not None for each in records):
        columns["attempt_guest"] = _joined([_guests(each) for each in records], np.bool_)[order]
    return columns


def _causes(part: _Part) -> NDArray[np.int64]:
    """Return for whom each attempt made room, a row of the whole workload, or -1."""
    cause = part.record.attempt_cause
    if cause is None:
        return np.full(part.record.attempt_job.size, NOBODY)
    return np.where(cause == NOBODY, NOBODY, part.rows[np.maximum(cause, 0)])


def _guests(record: Record) -> NDArray[np.bool_]:
    """Return which attempts ran in cells that were lent; none where there are no cells."""
    return np.zeros(record.attempt_job.size, np.bool_) if record.attempt_guest is None else record.attempt_guest


def _decided(parts: Sequence[_Part]) -> Decided | None:
    """Return what was promised in all virtual clusters, in the order of time; None where nothing was noted."""
    logs = [(part, log) for part in parts if (log := part.record.decisions) is not None]
    if not logs:
        return None
    entries, sizes = [], []
    for part, log in logs:
        entry = log.entry.copy()
        entry["job"] = part.rows[entry["job"]]
        entries.append(entry)
        sizes.append(np.where(entry["first"] < 0, 0, entry["nodes"]))
    together, before = np.concatenate(entries), np.append(0, np.cumsum(np.concatenate(sizes)))
    order = np.argsort(together["time"], kind="stable")
    offset, named = chosen_runs(before, order)
    together = together[order]
    together["first"] = np.where(together["first"] < 0, -1, offset[:-1])
    return Decided(
        entry=together,
        node=np.concatenate([part.nodes[log.node] for part, log in logs])[named].astype(np.int32),
        lost=sum(log.lost for _, log in logs),
        nameless=sum(log.nameless for _, log in logs),
    )


def chosen_runs(offset: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return some of the runs of items that lie one after the other, in another order: their offsets, and the items.

    Parameters
    ----------
    offset
        int64, shape (runs + 1,): where each run begins, and the last ends.
    chosen
        int64: the numbers of the runs, in the order wanted.
    """
    sizes = np.diff(offset)[chosen]
    return np.append(0, np.cumsum(sizes)), ranges(offset[:-1][chosen], sizes)


def _joined(columns: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    """Return columns, one after the other."""
    return np.concatenate([np.empty(0, kind), *columns]).astype(kind)
