"""Jobs and attempts as Arrow tables: what happened, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.energy.account import EnergyAccount
from gpuyard.errors import ConfigError
from gpuyard.holdings import Holdings, hold
from gpuyard.metrics.attempts import lost_hours, preempt_reasons
from gpuyard.metrics.columns import ATTEMPTS, DECISIONS, JOBS, schema
from gpuyard.metrics.deadlines import lateness
from gpuyard.metrics.facts import STATES, JobTimes, job_times, seconds
from gpuyard.record import EndReason, Outcome, Record
from gpuyard.traces.schema import SERVICES
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["LOST", "NAMELESS", "attempts_table", "decisions_table", "jobs_table", "metadata"]

LOST: Final = b"gpuyard:decisions_lost"
"""Metadata of the decisions: how many later ones found no room."""
NAMELESS: Final = b"gpuyard:decisions_without_nodes"
"""Likewise: of how many the reserved nodes found no room."""


def metadata(record: Record) -> Mapping[bytes, bytes]:
    """Return the metadata of a run's tables: those of its workload but for its services, which stand with the jobs."""
    known = dict(record.workload.held.schema.metadata or {})
    known.pop(SERVICES, None)
    return known


def jobs_table(record: Record, account: EnergyAccount, times: JobTimes | None = None) -> pa.Table:
    """Return one row a job, in the order of the workload; columns as in :data:`gpuyard.metrics.columns.JOBS`.

    ``times``: as :func:`gpuyard.metrics.job_times` returns them; worked out if not given.
    """
    times, given = job_times(record) if times is None else times, record.workload.held
    lengths = seconds(record.attempt_end - record.attempt_start)
    gpu_time = np.bincount(
        record.attempt_job, weights=account.holdings.attempt_milli / 1000 * lengths, minlength=len(record.workload)
    )
    waiting, left = ~times.started, ~times.done
    recorded, due = record.workload.floats("start_time"), record.workload.floats("deadline")
    late, is_late = lateness(record, times)
    columns = {
        "job_id": given["job_id"],
        "submit_time": _numbers(seconds(record.workload.submit)),
        "eligible_time": _times(record.eligible),
        "start_time": _times(record.start),
        "end_time": _numbers(seconds(record.end), ~times.ended),
        "wait_time": _numbers(seconds(times.wait), waiting),
        "submit_wait_time": _numbers(seconds(times.submit_wait), waiting),
        "jct": _numbers(seconds(times.jct), left),
        "runtime": _numbers(seconds(times.runtime), left),
        "gpus": given["gpus"],
        "gpu_milli": given["gpu_milli"],
        "job_class": given["job_class"],
        "tenant": given["tenant"],
        "user": given["user"],
        "partition": given["partition"],
        "qos": given["qos"],
        "priority": given["priority"],
        "virtual_cluster": _virtual_clusters(record),
        "state": _names(record.outcome, STATES),
        "reject_reason": _reasons(record),
        "slowdown": _numbers(times.slowdown, left | np.isnan(times.slowdown)),
        "bounded_slowdown": _numbers(times.bounded_slowdown, left),
        "gpu_time": _numbers(gpu_time.astype(np.float64)),
        "energy_kwh": _numbers(account.job_kwh + account.job_idle_kwh),
        "deadline": _numbers(due, ~np.isfinite(due)),
        "lateness": _numbers(seconds(late), ~is_late),
        "recorded_start_time": _numbers(recorded, ~np.isfinite(recorded)),
    }
    kept = dict(record.workload.held.schema.metadata or {})
    return pa.table([columns[column.name] for column in JOBS], schema=schema(JOBS, kept))


def _virtual_clusters(record: Record) -> pa.Array:
    if record.division is None:
        return pa.nulls(len(record.workload), pa.string())
    member = record.division.member
    return pa.array([*record.division.names, ""]).take(
        pa.array(member % (len(record.division.names) + 1), mask=member < 0)
    )


def attempts_table(record: Record, holdings: Holdings | None = None) -> pa.Table:
    """Return one row an attempt, in the order they started; columns as in :data:`gpuyard.metrics.columns.ATTEMPTS`.

    ``holdings``: as :func:`gpuyard.holdings.hold` returns them; worked out if not given.
    """
    job = record.attempt_job
    offsets = pa.array(record.slot_offset.astype(np.int32))
    held = np.concatenate([[0], np.cumsum(record.slot_gpus, dtype=np.int64)])
    gpus = held[record.slot_offset[1:]] - held[record.slot_offset[:-1]]
    columns = {
        "job_id": record.workload.held["job_id"].take(pa.array(job)),
        "attempt": pa.array(_ordinal(job)),
        "start_time": _numbers(seconds(record.attempt_start)),
        "end_time": _numbers(seconds(record.attempt_end)),
        "end_reason": _names(record.attempt_reason, tuple(reason.name.lower() for reason in EndReason)),
        "useful_time": _numbers(seconds(record.useful)),
        "preempted_by": _causes(record),
        "preemption_reason": preempt_reasons(record),
        "lost_gpu_hours": _numbers(lost_hours(record, (holdings or hold(record)).gpu_hours)),
        "lent": pa.nulls(job.size, pa.bool_()) if record.attempt_guest is None else pa.array(record.attempt_guest),
        "speed": _numbers(np.ones(job.size)),
        "gpus": pa.array(gpus.astype(np.int32)),
        "nodes": pa.ListArray.from_arrays(offsets, pa.array(record.slot_node)),
        "gpus_on_node": pa.ListArray.from_arrays(offsets, pa.array(record.slot_gpus)),
        "first_gpu": pa.ListArray.from_arrays(offsets, pa.array(record.slot_gpu)),
    }
    return pa.table([columns[column.name] for column in ATTEMPTS], schema=schema(ATTEMPTS, metadata(record)))


def _causes(record: Record) -> pa.Array:
    """Return the names of the jobs that attempts made room for, null where there is none."""
    if record.attempt_cause is None:
        return pa.nulls(record.attempt_job.size, pa.string())
    cause = pa.array(record.attempt_cause, mask=record.attempt_cause < 0)
    return record.workload.held["job_id"].take(cause).combine_chunks()


def decisions_table(record: Record) -> pa.Table:
    """Return one row a decision, in the order of time; columns as in :data:`gpuyard.metrics.columns.DECISIONS`.

    Its metadata say how many decisions did not fit (:data:`LOST`), and how many reserved nodes of others.
    """
    decided = record.decisions
    if decided is None:
        raise ConfigError("the run kept no decisions; run it with decisions=True")
    entry = decided.entry
    nameless = entry["first"] < 0
    held = np.where(nameless, 0, entry["nodes"])
    offsets = np.concatenate([[0], np.cumsum(held)]).astype(np.int32)
    columns = {
        "time": _numbers(seconds(entry["time"])),
        "job_id": record.workload.held["job_id"].take(pa.array(entry["job"])),
        "begin_time": _times(entry["begin"]),
        "extra_gpus": _numbers(entry["extra"] / 1000, entry["extra"] < 0),
        "reserved_nodes": pa.array(entry["nodes"]),
        "nodes": pa.ListArray.from_arrays(pa.array(offsets), pa.array(decided.node), mask=pa.array(nameless)),
    }
    kept = {**metadata(record), LOST: b"%d" % decided.lost, NAMELESS: b"%d" % decided.nameless}
    return pa.table([columns[column.name] for column in DECISIONS], schema=schema(DECISIONS, kept))


def _numbers(values: NDArray[np.float64], null: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(values, mask=null)


def _times(ticks: NDArray[np.int64]) -> pa.Array:
    return pa.array(ticks / MICROSECOND, mask=ticks == NEVER)


def _names(codes: NDArray[np.int8], names: tuple[str, ...]) -> pa.Array:
    """Return the name of each code."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)).cast(pa.string())


def _reasons(record: Record) -> pa.Array:
    """Return why each rejected job was rejected."""
    names = pa.array(record.reject_reasons or ("",), pa.string())
    codes = pa.array(record.reject_reason, mask=record.outcome != Outcome.REJECTED)
    return names.take(codes)


def _ordinal(job: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the number of each attempt among those of its job, from 1, in the order given."""
    ordinal = np.ones(job.size, dtype=np.int32)
    several = np.flatnonzero(np.bincount(job)[job] > 1)
    order = several[np.argsort(job[several], kind="stable")]
    ranked, place = job[order], np.arange(order.size)
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]])[: order.size]
    ordinal[order] = place - np.maximum.accumulate(np.where(first, place, 0)) + 1
    return ordinal
