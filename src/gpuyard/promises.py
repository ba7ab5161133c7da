"""What a schedule must keep where tenants share the cluster: for the conformance kit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gpuyard.metrics.usage import Usage, usage
from gpuyard.record import EndReason, Record
from gpuyard.tenancy import Limit
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["limits_hold", "nobody_within_quota_loses", "quotas_hold"]

Ticks = NDArray[np.int64]


def _known(record: Record) -> Usage:
    return usage(record, 0, int(record.attempt_end.max(initial=1)))


def quotas_hold(record: Record) -> Iterator[str]:
    """Yield tenants that use more than their nominal quota and what they may borrow."""
    if not record.tenants.has_quotas:
        return
    known = _known(record)
    given = known.given
    for now in np.unique(record.attempt_start).tolist():
        running = (record.attempt_start <= now) & (record.attempt_end > now)
        used = given.usage(_own(known, record, running))
        most = np.where(given.borrow == NEVER, NEVER, given.nominal + np.where(given.borrow == NEVER, 0, given.borrow))
        for tenant, resource in np.argwhere(used > most).tolist():
            amounts = f"{used[tenant, resource] / 1000:g} of {most[tenant, resource] / 1000:g}"
            yield f"at {now / MICROSECOND:g} s tenant '{given.paths[tenant]}' uses {amounts} GPUs"


def limits_hold(record: Record) -> Iterator[str]:
    """Yield groups that have more running than a limit lets them."""
    known = _known(record)
    names = [known.given.paths[owner] for owner in known.owner.tolist()]
    table = record.workload.table
    columns = {name: names if name == "tenant" else table[name].to_pylist() for name in _columns(record)}
    for now in np.unique(record.attempt_start).tolist():
        running = np.flatnonzero((record.attempt_start <= now) & (record.attempt_end > now))
        for limit in record.tenants.limits:
            groups: dict[tuple[str | None, ...], list[int]] = {}
            for attempt in running.tolist():
                row = int(record.attempt_job[attempt])
                if all(columns[column][row] == value for column, value in limit.where.items()):
                    group = groups.setdefault(tuple(columns[column][row] for column in limit.each), [0, 0])
                    group[0] += 1
                    group[1] += int(known.milli[attempt])
            for group_name, (jobs, gpus) in groups.items():
                if _is_over(limit, jobs, gpus):
                    yield f"at {now / MICROSECOND:g} s the group {group_name} has {jobs} jobs with {gpus / 1000:g} GPUs"


def _columns(record: Record) -> set[str]:
    return {name for limit in record.tenants.limits for name in (*limit.each, *limit.where)}


def _is_over(limit: Limit, jobs: int, gpus: int) -> bool:
    return (limit.jobs is not None and jobs > limit.jobs) or (
        limit.gpus is not None and gpus > round(limit.gpus * 1000)
    )


def nobody_within_quota_loses(record: Record) -> Iterator[str]:
    """Yield jobs that made room for another tenant though their own held no more than its nominal quota."""
    if record.attempt_cause is None or not record.tenants:
        return
    known = _known(record)
    for attempt in np.flatnonzero(record.attempt_reason == EndReason.PREEMPTED).tolist():
        row, cause = int(record.attempt_job[attempt]), int(record.attempt_cause[attempt])
        now, tenant = int(record.attempt_end[attempt]), int(known.owner[row])
        if known.owner[cause] == tenant:
            continue
        taken = (record.attempt_end == now) & (record.attempt_reason == EndReason.PREEMPTED)
        most = (record.attempt_start <= now) & ((record.attempt_end > now) | taken)
        if not (_own(known, record, most)[tenant] > known.given.own[tenant]).any():
            name = record.workload.table["job_id"][row]
            yield f"job '{name}' makes room for another tenant at {now / MICROSECOND:g} s, and its own is within quota"


def _own(known: Usage, record: Record, running: NDArray[np.bool_]) -> Ticks:
    """Return what each tenant's own jobs hold of these attempts, int64 thousandths, shape (tenants, resources)."""
    held = np.zeros(known.given.own.shape, np.int64)
    chosen = running & (known.resource >= 0)
    np.add.at(held, (known.owner[record.attempt_job[chosen]], known.resource[chosen]), known.milli[chosen])
    return held
