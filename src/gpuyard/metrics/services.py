"""How services fared: the replicas that really ran, put into the model of each service, interval by interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.metrics.columns import SERVED, schema
from gpuyard.metrics.tables import metadata
from gpuyard.record import Record
from gpuyard.services.book import Book, Service, jobs_of
from gpuyard.services.kinds import ServiceKind
from gpuyard.services.queueing import shares
from gpuyard.services.streaming import backlog_times, in_time
from gpuyard.traces.schema import SERVICES
from gpuyard.workload import MICROSECOND, NEVER, to_ticks

__all__ = ["Judged", "judge", "services_block", "services_table"]

MOST_ROWS = 2000
"""Rows of a service in the table."""

Floats = NDArray[np.float64]
Numbers = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One service, in stretches of time in which neither its demand nor its ready replicas change.

    Shape (stretches,): ``begin`` and ``length`` in seconds, ``interval`` (number of the control interval), ``demand``
    (in replicas at full use), ``wanted`` and ``ready`` (replicas), ``requests`` (or windows) in the stretch, and the
    shares of them that were ``late`` and ``lost``.
    """

    service: Service
    kind: ServiceKind
    begin: Floats
    length: Floats
    interval: NDArray[np.int64]
    demand: Floats
    wanted: Floats
    ready: Floats
    requests: Floats
    late: Floats
    lost: Floats

    @property
    def attained(self) -> NDArray[np.bool_]:
        """Whether at least the goal of the requests is on time, bool, shape (stretches,)."""
        return 1 - self.late - self.lost >= self.kind.goal

    def sums(self, weight: Floats) -> dict[str, float]:
        """Return the numbers of the service over its stretches, each counted by ``weight``, 0 to 1."""
        requests, length = self.requests * weight, self.length * weight
        return {
            "seconds": float(length.sum()),
            "attained_s": float(length[self.attained].sum()),
            "requests": float(requests.sum()),
            "late": float(requests @ self.late),
            "lost": float(requests @ self.lost),
            "wanted": float(length @ self.wanted),
            "ready": float(length @ self.ready),
        }


class Asked(NamedTuple):
    """What is asked of a service in each stretch: the control interval, its demand and the wanted replicas."""

    interval: NDArray[np.int64]
    demand: Floats
    wanted: Floats


def judge(record: Record) -> tuple[list[Judged], int] | None:
    """Return how each service fared, and how many lack replicas and are not judged; None for a workload without any."""
    text = (record.workload.held.schema.metadata or {}).get(SERVICES)
    if text is None:
        return None
    book = Book.loads(text)
    first = 0.0 if record.begin is None else record.begin / MICROSECOND
    last = min(book.span, record.stop / MICROSECOND)
    names = {each.name: number for number, each in enumerate(book.services)}
    service_of = _services_of(record, book)
    jobs, attempts = _grouped(service_of, len(names)), _grouped(service_of[record.attempt_job], len(names))
    judged, skipped = [], 0
    for interval in book.intervals():
        part, edges = book.of_interval(interval), book.edges(interval)
        rows = zip(part.services, part.demand(edges), part.wanted(edges), strict=True)
        for service, demand, wanted in rows:
            number = names[service.name]
            if not first < last or not _has_all(record, jobs[number], *jobs_of(wanted, edges)):
                skipped += 1
                continue
            there = book.begin(service, edges)
            stop = math.inf if service.stop is None else service.stop
            begin, end = max(there, first), min(float(edges[np.searchsorted(edges[:-1], stop)]), last)
            if begin >= end:
                continue
            warm = there if service.continued else 0.0
            up, down = _ready(record, attempts[number], book.kinds[service.kind].cold_start, warm)
            cuts = np.unique(np.clip(np.concatenate((edges, up, down)), begin, end))
            interval_of = np.clip(np.searchsorted(edges, cuts[:-1], side="right") - 1, 0, edges.size - 2)
            began, ended = (np.searchsorted(np.sort(each), cuts[:-1], side="right") for each in (up, down))
            asked = Asked(interval_of, demand[interval_of], wanted[interval_of].astype(np.float64))
            judged.append(_judged(service, book.kinds[service.kind], cuts, asked, (began - ended).astype(np.float64)))
    return sorted(judged, key=lambda each: names[each.service.name]), skipped


def _services_of(record: Record, book: Book) -> NDArray[np.int64]:
    """Return the number of each job's service, -1 for none, shape (jobs,)."""
    table = record.workload.held
    found = pc.index_in(table["job_name"], pa.array([each.name for each in book.services], pa.string()))
    classes = pa.array([each.job_class for each in book.services], pa.string()).take(found.combine_chunks())
    mine = pc.fill_null(pc.equal(table["job_class"].combine_chunks(), classes), False)
    found = found.combine_chunks().fill_null(-1)
    return np.asarray(pc.if_else(mine, found, -1).to_numpy(), dtype=np.int64)


def _grouped(service_of: NDArray[np.int64], services: int) -> list[NDArray[np.intp]]:
    """Return the positions at which each service stands, ascending."""
    narrow = service_of.astype(np.int16) if services < 2**15 else service_of  # NumPy sorts narrow numbers by radix
    order = np.argsort(narrow, kind="stable")
    bounds = np.searchsorted(service_of[order], np.arange(services + 1))
    return [order[bounds[number] : bounds[number + 1]] for number in range(services)]


def _has_all(record: Record, jobs: NDArray[np.intp], submit: Floats, runtime: Floats) -> bool:
    """Return whether these jobs are the replicas that the service wants, no more, no fewer, at no other times."""
    mine = record.workload.submit[jobs], record.workload.runtime[jobs]
    wanted = to_ticks(submit), to_ticks(runtime)
    if mine[0].size != wanted[0].size:
        return False
    in_order = [np.lexsort(times[::-1]) for times in (mine, wanted)]
    return all(np.array_equal(a[in_order[0]], b[in_order[1]]) for a, b in zip(mine, wanted, strict=True))


def _ready(record: Record, attempts: NDArray[np.intp], cold_start: float, warm: float) -> tuple[Floats, Floats]:
    """Return when replicas become ready and when they end, s; one that never becomes ready is left out.

    A replica that is submitted at second ``warm`` and starts then was there before, so it is ready at once.
    """
    start, end = record.attempt_start[attempts], record.attempt_end[attempts]
    was = to_ticks(np.array([round(warm, 3)]))
    was_there = (start == was) & (record.workload.submit[record.attempt_job[attempts]] == was) & (start != NEVER)
    up = start / MICROSECOND + np.where(was_there, 0.0, cold_start)
    down = end / MICROSECOND
    return up[up < down], down[up < down]


def _judged(service: Service, kind: ServiceKind, cuts: Floats, asked: Asked, ready: Floats) -> Judged:
    begin, length = cuts[:-1], np.diff(cuts)
    requests, late, lost = _fate(kind, asked.demand, ready, length)
    return Judged(
        service=service, kind=kind, begin=begin, length=length, interval=asked.interval, demand=asked.demand,
        wanted=asked.wanted, ready=ready, requests=requests, late=late, lost=lost,
    )  # fmt: skip


def _fate(kind: ServiceKind, demand: Floats, ready: Floats, length: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the requests (or windows) of each stretch, and the shares that are late and lost."""
    if kind.window is None:
        servers = ready * kind.concurrency
        room = np.floor(kind.queue_time * servers / kind.service_time)
        fate = shares(servers, demand * kind.concurrency, 1 / kind.service_time, wait=kind.slo_wait, room=room)
        return demand * kind.capacity * length, fate.late, fate.lost
    rate, capacity = demand * kind.capacity, ready * kind.capacity
    behind = backlog_times(rate, capacity, length) / length
    return length / kind.window, 1 - (1 - behind) * in_time(rate, capacity, kind.window), np.zeros_like(length)


def services_table(record: Record, judged: Sequence[Judged]) -> pa.Table:
    """Return one row a service and control interval; columns as in :data:`gpuyard.metrics.columns.SERVED`.

    Of a service with more than MOST_ROWS control intervals, so many are taken together that there are no more.
    """
    rows = [_rows(each) for each in judged]
    columns = {
        name: pa.concat_arrays([row[name] for row in rows]) if rows else pa.array([], column.dtype)
        for name, column in ((each.name, each) for each in SERVED)
    }
    return pa.table([columns[each.name] for each in SERVED], schema=schema(SERVED, metadata(record)))


def _rows(one: Judged) -> dict[str, pa.Array]:
    merged = -(-int(one.interval[-1] + 1) // MOST_ROWS)
    first = np.flatnonzero(np.diff(one.interval // merged, prepend=-1))
    length = np.add.reduceat(one.length, first)

    def total(values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, first), dtype=np.float64)

    requests, late, lost = total(one.requests), total(one.requests * one.late), total(one.requests * one.lost)
    return {
        "service": pa.array([one.service.name] * first.size),
        "service_kind": pa.array([one.kind.name] * first.size),
        "job_class": pa.array([one.service.job_class] * first.size),
        "time": pa.array(one.begin[first]),
        "duration_s": pa.array(length),
        "demand_replicas": pa.array(total(one.demand * one.length) / length),
        "wanted_replicas": pa.array(total(one.wanted * one.length) / length),
        "ready_replicas": pa.array(total(one.ready * one.length) / length),
        "requests": pa.array(requests),
        "on_time": pa.array(np.maximum(requests - late - lost, 0.0)),
        "late": pa.array(late),
        "lost": pa.array(lost),
        "attained_s": pa.array(total(one.length * one.attained)),
    }


def services_block(judged: tuple[list[Judged], int] | None, start: int, stop: int) -> Numbers | None:
    """Return the block ``services`` of ``summary.json`` over [start, stop) microseconds, or None without services."""
    if judged is None:
        return None
    found: dict[str, tuple[Judged, dict[str, float]]] = {}
    for one in judged[0]:
        inside = np.minimum(one.begin + one.length, stop / MICROSECOND) - np.maximum(one.begin, start / MICROSECOND)
        found[one.service.name] = one, one.sums(np.maximum(inside, 0.0) / one.length)
    asked = [sums for one, sums in found.values() if one.kind.window is None]
    streams = [sums for one, sums in found.values() if one.kind.window is not None]
    everything = [sums for _, sums in found.values()]
    requests, windows = _added(asked), _added(streams)
    return {
        "count": len(found),
        "not_judged": judged[1],
        **_shown(requests),
        "windows": windows["requests"],
        "windows_on_time": windows["requests"] - windows["late"],
        "time_attained": _ratio(_added(everything)["attained_s"], _added(everything)["seconds"]),
        "by_class": _by_class(list(found.values())),
        "by_service": {
            name: {
                "kind": one.kind.name,
                "job_class": one.service.job_class,
                "gpus": one.kind.gpus,
                "goal": one.kind.goal,
            }
            | _shown(sums)
            | {
                "time_attained": _ratio(sums["attained_s"], sums["seconds"]),
                "wanted_replicas": _ratio(sums["wanted"], sums["seconds"]),
                "ready_replicas": _ratio(sums["ready"], sums["seconds"]),
            }
            for name, (one, sums) in found.items()
        },
    }


def _by_class(found: list[tuple[Judged, dict[str, float]]]) -> Numbers:
    """Return how the services of each class fared, classes in the order of their services."""
    blocks: Numbers = {}
    for name in dict.fromkeys(one.service.job_class for one, _ in found):
        mine = [(one, sums) for one, sums in found if one.service.job_class == name]
        everything = _added([sums for _, sums in mine])
        asked = _added([sums for one, sums in mine if one.kind.window is None])
        attained = _ratio(everything["attained_s"], everything["seconds"])
        blocks[name] = {"count": len(mine), **_shown(asked), "time_attained": attained}
    return blocks


def _added(rows: list[dict[str, float]]) -> dict[str, float]:
    names = ("seconds", "attained_s", "requests", "late", "lost", "wanted", "ready")
    return {name: float(sum(row[name] for row in rows)) for name in names}


def _shown(sums: dict[str, float]) -> Numbers:
    on_time = max(sums["requests"] - sums["late"] - sums["lost"], 0.0)
    return {
        "requests": sums["requests"],
        "on_time": on_time,
        "late": sums["late"],
        "lost": sums["lost"],
        "attainment": _ratio(on_time, sums["requests"]),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
