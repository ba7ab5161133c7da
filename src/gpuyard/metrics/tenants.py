"""How tenants fared by their quotas: what each held, borrowed, lent, and what others took back from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.holdings import asked_milli
from gpuyard.intervals import Spans
from gpuyard.metrics.among import ELSEWHERE, Among, among
from gpuyard.metrics.columns import schema
from gpuyard.metrics.facts import seconds
from gpuyard.metrics.queueing import waiting
from gpuyard.metrics.tables import metadata
from gpuyard.metrics.tenant_columns import SHARED
from gpuyard.metrics.timeline import bin_edges
from gpuyard.metrics.usage import Usage, usage
from gpuyard.record import EndReason, Record
from gpuyard.workload import MICROSECOND, NEVER

__all__ = ["tenants_block", "tenants_blocks", "tenants_table"]

MOST_ROWS = 500_000
"""Rows of the table; bins are joined where there would be more."""

Numbers = dict[str, object]


def tenants_blocks(
    record: Record,
    start: int,
    stop: int,
    chosen: NDArray[np.bool_],
    held: NDArray[np.float64],
    lost: NDArray[np.float64],
) -> dict[str | None, Numbers]:
    """Return the blocks ``tenants``: that of the cluster, under ``None``, or that of each virtual cluster with some.

    Parameters
    ----------
    start, stop
        The window, microseconds.
    chosen
        Which jobs count, shape (jobs,).
    held, lost
        GPU-hours that each attempt held in the window, and those of them that were not useful, shape (attempts,).
    """
    return {
        each.virtual_cluster: _block(record, each, start, stop, chosen=chosen, held=held, lost=lost)
        for each in among(record)
    }


def _block(
    record: Record,
    sharing: Among,
    start: int,
    stop: int,
    *,
    chosen: NDArray[np.bool_],
    held: NDArray[np.float64],
    lost: NDArray[np.float64],
) -> Numbers:
    known = usage(record, start, stop, sharing)
    edges = np.array([start, stop])
    taken = _taken(record, known, start, stop, held=held, lost=lost)
    given = known.given
    here = known.owner != ELSEWHERE
    own_jobs = np.bincount(known.owner[chosen & here], minlength=len(given.paths))
    block: Numbers = {
        "nominal_gpus": _gpus(known.due[0]) if given.has_quotas else None,
        "common_gpus": _gpus(given.own[0]) if given.has_quotas else None,
        "common_lent_gpu_hours": float(known.lent_in_common(edges)[0]) if given.has_quotas else None,
        "reclaims": int(taken.owner.size),
        "spared_jobs": _spared(record, sharing, stop),
        "jobs_of_nobody": int(own_jobs[0]),
    }
    jobs = known.members @ own_jobs
    by_tenant = {
        path: {"jobs": int(jobs[number])} | _tenant(known, number, edges, taken)
        for number, path in enumerate(given.paths)
        if number
    }
    return block | {"by_tenant": by_tenant}


class _Taken(NamedTuple):
    """Attempts that made room in the window for a job of another tenant, shape (attempts,).

    ``owner``: whose job each was, ``taker``: whose it made room for, int64.  ``held``, ``lost``: GPU-hours, float64.
    """

    owner: NDArray[np.int64]
    taker: NDArray[np.int64]
    held: NDArray[np.float64]
    lost: NDArray[np.float64]


def _taken(
    record: Record, known: Usage, start: int, stop: int, *, held: NDArray[np.float64], lost: NDArray[np.float64]
) -> _Taken:
    if record.attempt_cause is None:
        nothing = np.empty(0, np.int64)
        return _Taken(nothing, nothing, np.empty(0), np.empty(0))
    ended = (record.attempt_end >= start) & (record.attempt_end <= stop)
    rows = np.flatnonzero(ended & (record.attempt_reason == EndReason.PREEMPTED))
    rows = rows[known.owner[record.attempt_job[rows]] != known.owner[record.attempt_cause[rows]]]
    owner, taker = known.owner[record.attempt_job[rows]], known.owner[record.attempt_cause[rows]]
    return _Taken(owner, taker, held[rows], lost[rows])


def _spared(record: Record, sharing: Among, stop: int) -> int | None:
    """Return how many jobs had been preempted as often as they may be at an instant; ``None`` without such a bound."""
    most = sharing.policy.preemption.max_preemptions
    if most is None:
        return None
    made_room = (record.attempt_reason == EndReason.PREEMPTED) & (record.attempt_end <= stop)
    made_room &= sharing.owner[record.attempt_job] != ELSEWHERE
    return int((np.bincount(record.attempt_job[made_room]) >= most).sum())


def _tenant(known: Usage, number: int, edges: NDArray[np.int64], taken: _Taken) -> Numbers:
    """Return the numbers of a tenant with those below it, but for its jobs."""
    given, inside = known.given, known.members[number]
    length = int(edges[1] - edges[0])
    hours = float(known.held(number, edges)[0])
    of_mine, by_mine = inside[taken.owner], inside[taken.taker]
    from_it = of_mine & ~by_mine
    numbers: Numbers = {
        "weight": float(given.weight[number]),
        "held_gpu_hours": hours,
        "reclaimed": {
            "preemptions": int(from_it.sum()),
            "gpu_hours": float(taken.held[from_it].sum()),
            "lost_gpu_hours": float(taken.lost[from_it].sum()),
        },
        "reclaims": {"preemptions": int((by_mine & ~of_mine).sum())},
    }
    if not given.has_quotas:
        return numbers
    due, borrow = _gpus(known.due[number]), given.borrow[number]
    borrowed = float(known.borrowed(number, edges)[0])
    at_quota = float(known.seconds_at_quota(number, edges)[0])
    whole = due * length / MICROSECOND / 3600
    return numbers | {
        "nominal_gpus": due,
        "borrow_gpus": None if (borrow == NEVER).any() else _gpus(borrow),
        "within_quota_gpu_hours": hours - borrowed,
        "borrowed_gpu_hours": borrowed,
        "lent_gpu_hours": float(known.lent(number, edges)[0]),
        "quota_used": (hours - borrowed) / whole if whole > 0 else None,
        "at_quota_s": at_quota,
        "at_quota_share": at_quota * MICROSECOND / length if length else None,
    }


def _gpus(milli: NDArray[np.int64]) -> float:
    return int(milli.sum()) / 1000


_OF_QUOTAS: Final = ("nominal_gpus", "within_quota_gpu_hours", "borrowed_gpu_hours", "lent_gpu_hours")
_SUMS: Final = ("nominal_gpus", "common_gpus", "common_lent_gpu_hours", "reclaims", "spared_jobs", "jobs_of_nobody")


def tenants_block(blocks: Mapping[str | None, Numbers], hours: float) -> Numbers | None:
    """Return the block ``tenants`` of a run, ``None`` where no tenants were given.

    Parameters
    ----------
    blocks
        As :func:`tenants_blocks` returns them.  Tenants of the same path in several virtual clusters are added up; what
        is no sum is null then unless it is the same in all.
    hours
        Length of the window.
    """
    parts = list(blocks.values())
    if len(parts) < 2:
        return parts[0] if parts else None
    joined = {key: _sum([part[key] for part in parts]) for key in _SUMS}
    by_path: dict[str, list[Numbers]] = {}
    for part in parts:
        for path, numbers in cast("Mapping[str, Numbers]", part["by_tenant"]).items():
            by_path.setdefault(path, []).append(numbers)
    return joined | {"by_tenant": {path: _tenant_of_several(by_path[path], hours) for path in sorted(by_path)}}


def _tenant_of_several(parts: Sequence[Numbers], hours: float) -> Numbers:
    """Return the numbers of a tenant out of those that it has in some virtual clusters."""
    if len(parts) == 1:
        return parts[0]
    joined: Numbers = {"jobs": _sum([part["jobs"] for part in parts]), "weight": _same(parts, "weight")}
    joined["held_gpu_hours"] = _sum([part["held_gpu_hours"] for part in parts])
    for block in ("reclaimed", "reclaims"):
        inner = [cast("Numbers", part[block]) for part in parts]
        joined[block] = {key: _sum([each[key] for each in inner]) for key in inner[0]}
    limited = [part for part in parts if "nominal_gpus" in part]
    if not limited:
        return joined
    amounts = {key: _sum([part[key] for part in limited]) for key in _OF_QUOTAS}
    whole = cast("float", amounts["nominal_gpus"]) * hours
    unlimited = any(part["borrow_gpus"] is None for part in limited)
    return joined | {
        **amounts,
        "borrow_gpus": None if unlimited else _sum([part["borrow_gpus"] for part in limited]),
        "quota_used": cast("float", amounts["within_quota_gpu_hours"]) / whole if whole > 0 else None,
        "at_quota_s": _same(limited, "at_quota_s"),
        "at_quota_share": _same(limited, "at_quota_share"),
    }


def _sum(values: Sequence[object]) -> object:
    """Return the sum of the numbers that are there; ``None`` where none is."""
    known = [cast("float", value) for value in values if value is not None]
    return sum(known) if known else None


def _same(parts: Sequence[Numbers], key: str) -> object:
    """Return what is the same in all; ``None`` where it is not."""
    return parts[0][key] if all(part[key] == parts[0][key] for part in parts) else None


def tenants_table(record: Record, start: int, stop: int, *, bin_width: float | None = None) -> pa.Table | None:
    """Return one row a bin and tenant over the whole run; columns as in :data:`gpuyard.metrics.columns.SHARED`.

    ``None`` where no tenants were given.

    Parameters
    ----------
    start, stop
        The run, microseconds.
    bin_width
        As in :func:`gpuyard.metrics.timeline_table`; wider where the table would have more than 500,000 rows.
    """
    if not record.is_shared:
        return None
    shared = [(each, usage(record, start, stop, each)) for each in among(record)]
    tenants = [(each, known, number) for each, known in shared for number in range(1, len(known.given.paths))]
    edges = bin_edges(start, stop, bin_width)
    joined = -(-max(edges.size - 1, 1) * len(tenants) // MOST_ROWS) or 1
    edges = np.append(edges[:-1:joined], edges[-1])
    queue = waiting(record)
    parts = [
        _rows(record, known, number, edges, queue)
        | {"virtual_cluster": np.full(edges.size - 1, each.virtual_cluster, dtype=object)}
        for each, known, number in tenants
    ]
    fields = schema(SHARED, metadata(record))
    if not parts:
        return fields.empty_table()
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return pa.table([pa.array(columns[each.name], from_pandas=True) for each in SHARED], schema=fields)


def _rows(
    record: Record, known: Usage, number: int, edges: NDArray[np.int64], queue: tuple[NDArray[np.intp], Spans]
) -> dict[str, NDArray[np.generic]]:
    """Return the columns of one tenant, means over bins; ``queue``: who waited, and from when to when."""
    given, hours = known.given, np.diff(edges) / (3600 * MICROSECOND)
    jobs, spans = queue
    mine = (known.owner[jobs] != ELSEWHERE) & known.members[number][known.owner[jobs]]
    queued = spans.subset(mine).integrals(asked_milli(record.workload)[jobs[mine]], edges)
    unknown = np.full(hours.size, np.nan)
    quotas = given.has_quotas
    return {
        "time": seconds(edges[:-1]),
        "duration_s": seconds(np.diff(edges)),
        "tenant": np.full(hours.size, given.paths[number], dtype=object),
        "nominal_gpus": np.full(hours.size, _gpus(known.due[number])) if quotas else unknown,
        "held_gpus": known.held(number, edges) / hours,
        "borrowed_gpus": known.borrowed(number, edges) / hours if quotas else unknown,
        "lent_gpus": known.lent(number, edges) / hours if quotas else unknown,
        "queued_gpus": np.array([whole / 1000 for whole in queued]) / np.diff(edges),
    }
