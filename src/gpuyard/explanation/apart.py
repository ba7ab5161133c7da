"""The evidence of one virtual cluster: it is told like a run of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.dividing import chosen_runs
from gpuyard.explanation.closures import Closure
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.promises import NOT_NEEDED, Promises, needs_log
from gpuyard.participants import participants
from gpuyard.virtual_clusters import Division
from gpuyard.workload import MICROSECOND

__all__ = ["alone"]


def alone(evidence: Evidence, row: int) -> tuple[Evidence, int]:
    """Return the evidence of the virtual cluster of a job, and the job's row in it; of a rejected job, all there is."""
    division, ran = evidence.division, ~evidence.rejected
    if division is None or not ran[row]:
        return evidence, row
    number = int(division.member[row])
    rows = np.flatnonzero((division.member == number) & ran)
    return _part(evidence, division, number, rows), int(np.searchsorted(rows, row))


def _part(evidence: Evidence, division: Division, number: int, rows: NDArray[np.int64]) -> Evidence:
    """Return the evidence of one virtual cluster, ``rows`` being those of its jobs that were not rejected."""
    name, policy = division.names[number], division.policies[number]
    nodes = np.flatnonzero(division.owner == number)
    begin = None if evidence.begin is None else evidence.begin / MICROSECOND
    jobs = participants(evidence.everybody, policy, begin=begin, seed=evidence.seed).only(rows, name)
    attempts = np.flatnonzero(division.member[evidence.attempt_job] == number)
    offset, slots = chosen_runs(evidence.slot_offset, attempts)
    cause = evidence.attempt_by[attempts]
    return replace(
        evidence,
        workload=jobs.workload,
        cluster=evidence.cluster.part(nodes, name),
        policy=policy,
        tenants=division.tenants[number],
        eligible=evidence.eligible[rows],
        start=evidence.start[rows],
        end=evidence.end[rows],
        rejected=evidence.rejected[rows],
        attempt_job=np.searchsorted(rows, evidence.attempt_job[attempts]),
        attempt_start=evidence.attempt_start[attempts],
        attempt_end=evidence.attempt_end[attempts],
        attempt_useful=evidence.attempt_useful[attempts],
        attempt_reason=[evidence.attempt_reason[attempt] for attempt in attempts.tolist()],
        attempt_by=np.where(cause < 0, -1, np.searchsorted(rows, np.maximum(cause, 0))),
        attempt_lent=evidence.attempt_lent[attempts],
        slot_offset=offset,
        slot_node=np.searchsorted(nodes, evidence.slot_node[slots]),
        slot_gpus=evidence.slot_gpus[slots],
        slot_gpu=evidence.slot_gpu[slots],
        read_promises=lambda: _own_promises(evidence, policy_needs=needs_log(policy), rows=rows, nodes=nodes),
        read_windows=lambda: _own_windows(evidence, rows, nodes),
        read_partitions=lambda: [
            each._replace(nodes=each.nodes[nodes], members=each.members[rows]) for each in evidence.read_partitions()
        ],
        there_from=evidence.there_from[nodes],
        read_beliefs=lambda: (jobs.estimate, jobs.rank),
        numbers=nodes,
        stated_limit=evidence.stated_limit[rows],
        division=None,
    )


def _own_windows(evidence: Evidence, rows: NDArray[np.int64], nodes: NDArray[np.int64]) -> list[Closure]:
    return [
        each._replace(nodes=each.nodes[nodes], invited=each.invited[rows])
        for each in evidence.windows
        if each.nodes[nodes].any()
    ]


def _own_promises(
    evidence: Evidence, *, policy_needs: bool, rows: NDArray[np.int64], nodes: NDArray[np.int64]
) -> tuple[Promises | None, str]:
    """Return what was promised to these jobs, and where that is from."""
    if not policy_needs:
        return None, NOT_NEEDED
    promises = evidence.promises
    if promises is None:
        return None, evidence.log
    mine = np.isin(promises.job, rows)
    place = np.full(evidence.cluster.nodes, -1)
    place[nodes] = np.arange(nodes.size)
    own = Promises(
        time=promises.time[mine],
        job=np.searchsorted(rows, promises.job[mine]),
        begin=promises.begin[mine],
        table=promises.table.filter(pa.array(mine)),
        lost=promises.lost,
        place=place,
    )
    return own, evidence.log
