"""From columns of numbers to the Arrow job table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.absent import Absent
from gpuyard.parents import coded, ranges
from gpuyard.services.book import Book
from gpuyard.synthesis.distributions import WHOLE
from gpuyard.synthesis.expansion import ITEMS, Jobs, Stage
from gpuyard.synthesis.kinds import Kind
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.tenants import Tenant
from gpuyard.traces.schema import ORIGIN, SERVICES, SOURCE_FORMAT, ZONE, job_schema
from gpuyard.workload import Workload

__all__ = ["SPAN", "STATE_NAMES", "Batch", "Link", "Tables", "cut", "in_order", "joined", "part", "span_of"]

SPAN = b"gpuyard.span"
"""Metadata key: length in seconds of the window in which the jobs are submitted."""
MOST_UNITS = 1 << 32
"""More units than a kind has in a table."""
STATE_NAMES = ("completed", "cancelled", "failed")


class Link(NamedTuple):
    """What jobs wait for after others of their kind; both of shape (jobs,)."""

    after: NDArray[np.int64]  # number of a job in the series, -1 for none
    think_time: NDArray[np.float64]  # s after its end, not-a-number for none


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Jobs of one kind, in order of submission; every column has shape (jobs,)."""

    kind: Kind
    number: NDArray[np.int64]  # position in the endless series of the kind, or in its unit, from 0
    submit: NDArray[np.float64]  # s since the start of the window
    runtime: NDArray[np.float64]  # s
    gpus: NDArray[np.int64]
    tenant: NDArray[np.int64]  # position among the spec's tenants
    user: NDArray[np.int64]  # number within the tenant, from 1
    state: NDArray[np.int64]  # position in STATE_NAMES
    time_limit: NDArray[np.float64]  # s, not-a-number for none
    jobs: Jobs | None = None  # of jobs of units: what else is known; their first_parent is its number in the unit
    link: Link | None = None  # of other jobs in a closed loop
    milli: NDArray[np.int64] | None = None  # thousandths of each GPU, None where all are whole

    def stage(self) -> NDArray[np.int64]:
        """Return each job's position among the stages of the kind."""
        return np.zeros(self.submit.size, dtype=np.int64) if self.jobs is None else self.jobs.stage


_COLUMNS = tuple(one.name for one in fields(Batch) if one.name not in ("kind", "jobs", "link", "milli"))


def part(batch: Batch, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Batch:
    """Return these rows."""
    columns: dict[str, Any] = {name: getattr(batch, name)[rows] for name in _COLUMNS}
    if batch.jobs is not None:
        columns["jobs"] = Jobs(**{one.name: getattr(batch.jobs, one.name)[rows] for one in fields(Jobs)})
    if batch.link is not None:
        columns["link"] = Link(batch.link.after[rows], batch.link.think_time[rows])
    if batch.milli is not None:
        columns["milli"] = batch.milli[rows]
    return replace(batch, **columns)


def joined(batches: list[Batch]) -> Batch:
    """Return the jobs of batches of one kind as one batch."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _COLUMNS}
    units = [batch.jobs for batch in batches if batch.jobs is not None]
    if units:
        parts = {one.name: np.concatenate([getattr(unit, one.name) for unit in units]) for one in fields(Jobs)}
        columns["jobs"] = Jobs(**parts)
    shared = [batch.milli for batch in batches if batch.milli is not None]
    if shared:
        columns["milli"] = np.concatenate(shared)
    return replace(batches[0], **columns)


def cut(batches: Iterable[Batch], end: float) -> tuple[list[Batch], list[Batch]]:
    """Return the jobs submitted before the end, and those that are left, of batches in order of submission."""
    found, rest = list[Batch](), list[Batch]()
    for batch in batches:
        at = int(np.searchsorted(batch.submit, end))
        found += [part(batch, slice(at))] if at else []
        rest += [part(batch, slice(at, None))] if at < batch.submit.size else []
    return found, rest


def in_order(series: Sequence[Iterator[Batch]], ends: Sequence[float]) -> Iterator[list[Batch]]:
    """Return the jobs of all series submitted before each end, in turn, and then all that are left.

    Each series is in order of submission, in batches of 1 job or more; no more of it is held than reaches past the end.
    """
    waiting: list[list[Batch]] = [[] for _ in series]
    for end in (*ends, np.inf):
        found: list[Batch] = []
        for held, more in zip(waiting, series, strict=True):
            while not held or held[-1].submit[-1] < end:
                batch = next(more, None)
                if batch is None:
                    break
                held.append(batch)
            submitted, held[:] = cut(held, end)
            found += submitted
        yield found


class Tables:
    """Makes job tables of one workload; each has every column of the schema.

    The services of ``book`` go into the tables' metadata.  ``node_gpus``: how many GPUs the nodes have, where known.
    """

    def __init__(self, spec: SynthesisSpec, span: float, book: Book | None, node_gpus: tuple[int, ...] = ()) -> None:
        self._node_gpus = node_gpus
        self._priorities = np.array([tenant.priority for tenant in spec.tenants], dtype=np.int32)
        self._tenants = pa.array([tenant.name for tenant in spec.tenants], pa.string())
        self._users = pa.concat_arrays([_users(tenant) for tenant in spec.tenants])
        self._first_user = np.cumsum([0, *(tenant.users for tenant in spec.tenants[:-1])])
        metadata = {
            ORIGIN: spec.origin().isoformat().encode(),
            ZONE: b"",  # the origin states its offset, and an offset is no IANA name
            SOURCE_FORMAT: b"synthetic",
            SPAN: f"{span:.3f}".encode(),
        }
        if book is not None and book.services:
            metadata[SERVICES] = book.dumps()
        self.schema = job_schema(metadata)

    def table(self, batches: list[Batch], *, whole: bool = False) -> pa.Table:
        """Return the jobs sorted by submit time, then in the order of batches and of jobs in a batch.

        Where they are the ``whole`` workload their parents are coded (:mod:`gpuyard.parents`), else named.
        """
        if not batches:
            return self.schema.empty_table()
        jobs = sum(batch.submit.size for batch in batches)
        order = np.argsort(np.concatenate([batch.submit for batch in batches]), kind="stable")
        columns = self._columns(batches, order)
        arrays, nothing = [columns.get(field.name) for field in self.schema], Absent(jobs)
        filled = [
            nothing.column(field.type) if array is None else array
            for field, array in zip(self.schema, arrays, strict=True)
        ]
        table = pa.Table.from_arrays(filled, schema=self.schema)
        if all(batch.jobs is None and batch.link is None for batch in batches):
            return table
        column = _coded(batches, order, table["job_id"].chunk(0)) if whole else _named(batches, order)
        return table.set_column(table.schema.get_field_index("depends_on"), pa.field("depends_on", column.type), column)

    def _columns(self, batches: list[Batch], order: NDArray[np.int64]) -> dict[str, pa.Array]:
        """Return the columns that are not null, in the given order of rows."""
        kinds = [batch.kind for batch in batches]
        kind = np.repeat(np.arange(len(batches)), [batch.submit.size for batch in batches])[order]

        def of(name: str) -> NDArray[Any]:
            return np.asarray(np.concatenate([getattr(one, name) for one in batches])[order])

        stages = [stage for one in kinds for stage in one.stages]
        first_stage = np.cumsum([0, *(len(one.stages) for one in kinds)])[:-1]
        stage = np.concatenate([batch.stage() for batch in batches])[order] + first_stage[kind]
        tenant, limit, gpus = of("tenant"), of("time_limit"), of("gpus")
        domain = np.array([one.domain for one in stages])[stage]
        return _of_units(batches, order) | {
            "gpu_milli": _fractions(batches, order),
            "segment": _segments(domain, gpus, self._node_gpus),
            "job_id": _ids(batches, of("number"), order),
            "submit_time": pa.array(of("submit")),
            "runtime": pa.array(of("runtime")),
            "time_limit": pa.array(limit, mask=np.isnan(limit)),
            "gpus": pa.array(gpus.astype(np.int32)),
            "priority": pa.array(
                np.array([one.priority for one in stages], dtype=np.int32)[stage] + self._priorities[tenant]
            ),
            "job_class": _texts(kind, [one.job_class for one in kinds]),
            "tenant": _taken(tenant, self._tenants),
            "user": _taken(self._first_user[tenant] + of("user") - 1, self._users),
            "job_name": _texts(stage, [one.name for one in stages]),
            "state": _texts(of("state"), list(STATE_NAMES)),
            "activity": pa.array(np.array([one.activity for one in stages])[stage]),
            "preemptible": _preemptible(np.array([not one.preemptible for one in stages])[stage]),
            "checkpoint_interval": _checkpoints(stages, stage),
        }


def _fractions(batches: list[Batch], order: NDArray[np.int64]) -> pa.Array | None:
    """Return the thousandths of a GPU, null for whole ones; None where all are whole."""
    if all(batch.milli is None for batch in batches):
        return None
    milli = np.concatenate(
        [np.full(batch.submit.size, WHOLE) if batch.milli is None else batch.milli for batch in batches]
    )[order]
    return pa.array(milli.astype(np.int32), mask=milli == WHOLE)


def _segments(domain: NDArray[np.int64], gpus: NDArray[np.int64], node_gpus: tuple[int, ...]) -> pa.Array | None:
    """Return in segments of how many nodes jobs come of which so many GPUs share a domain.

    Null where the smallest node has as many, and where segments do not divide the job's nodes, be they the smallest or
    the largest; None where no job has any.
    """
    if not node_gpus or domain.max(initial=1) <= min(node_gpus):
        return None
    nodes = -(-domain // min(node_gpus))
    stated = (nodes > 1) & (gpus % (nodes * min(node_gpus)) == 0) & (gpus % (nodes * max(node_gpus)) == 0)
    return pa.array(nodes.astype(np.int32), mask=~stated)


def _preemptible(kept: NDArray[np.bool_]) -> pa.Array:
    """Return false for jobs that are kept, such as replicas of services, and null for the others."""
    return pa.array(np.zeros(kept.size, dtype=np.bool_), mask=~kept)


def _checkpoints(stages: list[Stage], stage: NDArray[np.int64]) -> pa.Array | None:
    """Return the seconds of work between two checkpoints, null where a job states none; None where no stage does."""
    if all(one.checkpoint_interval is None for one in stages):
        return None
    stated = [np.nan if one.checkpoint_interval is None else one.checkpoint_interval for one in stages]
    seconds = np.array(stated, dtype=np.float64)[stage]
    return pa.array(seconds, mask=np.isnan(seconds))


def _users(tenant: Tenant) -> pa.Array:
    """Return the names of the users of a tenant."""
    digits = _digits(np.arange(tenant.users), max(2, len(str(tenant.users))))
    return pc.binary_join_element_wise(pa.scalar(f"{tenant.name}/u"), digits, "")


def _ids(batches: list[Batch], number: NDArray[np.int64], order: NDArray[np.int64]) -> pa.Array:
    """Return the names of the jobs."""
    kind = np.repeat(np.arange(len(batches)), [batch.submit.size for batch in batches])[order]
    unit = None if all(batch.jobs is None for batch in batches) else _column(batches, "unit", -1)[order]
    return _names(kind, batches, number, unit)


def _names(
    kind: NDArray[np.int64], batches: list[Batch], number: NDArray[np.int64], unit: NDArray[np.int64] | None
) -> pa.Array:
    """Return names of jobs: kind and number, or kind, number of the unit (0 or more) and number in the unit."""
    own = _digits(number, 7)
    if unit is not None and (in_unit := unit >= 0).any():
        inside = pc.binary_join_element_wise(_digits(np.maximum(unit, 0), 7), _digits(number, 5), "-")
        own = pc.if_else(pa.array(in_unit), inside, own)
    return pc.binary_join_element_wise(_texts(kind, [f"{batch.kind.key}-" for batch in batches]), own, "")


def _digits(number: NDArray[np.int64], width: int) -> pa.Array:
    """Return numbers from 1 as texts, with zeros before them."""
    if number.size and number.max() >= 10**width - 1:
        return pc.utf8_lpad(pa.array(number + 1).cast(pa.string()), width, "0")
    rest = (number + 1).astype(np.uint32)
    texts = np.empty((rest.size, width), dtype=np.uint8)
    for place in range(width - 1, -1, -1):
        tens = rest // np.uint32(10)
        texts[:, place] = rest - tens * np.uint32(10)
        rest = tens
    texts += ord("0")
    offsets = np.arange(0, (number.size + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(number.size, pa.py_buffer(offsets), pa.py_buffer(texts))


def _of_units(batches: list[Batch], order: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return the columns that only jobs of units have, in the given order of rows."""
    if all(batch.jobs is None and batch.link is None for batch in batches):
        return {}
    submit = np.concatenate([batch.submit for batch in batches])
    columns = {name: _column(batches, name, np.nan) for name in ("cpus", "think_time", "deadline")}
    columns["not_before"] = np.round(submit + _column(batches, "delay", np.nan), 3)
    made = {name: pa.array(column[order], mask=np.isnan(column[order])) for name, column in columns.items()}
    arrays, limits = zip(*[_arrays(batch) for batch in batches], strict=True)
    made["array"] = pa.concat_arrays(arrays).take(pa.array(order))
    made["array_limit"] = pa.concat_arrays(limits).take(pa.array(order))
    return made


def _column(batches: list[Batch], name: str, missing: float) -> NDArray[Any]:
    """Return a column of the jobs of units, with a value for the other jobs; those of a closed loop have one parent."""
    columns = []
    for batch in batches:
        own: dict[str, NDArray[Any]] = {}
        if batch.link is not None:
            after, think_time = batch.link
            own = {
                "parents": (after >= 0).astype(np.int64),
                "first_parent": np.maximum(after, 0),
                "think_time": think_time,
            }
        if batch.jobs is not None:
            columns.append(getattr(batch.jobs, name))
        else:
            columns.append(own.get(name, np.full(batch.submit.size, missing)))
    whole = np.concatenate(columns)
    return np.asarray(whole.astype(np.int64) if isinstance(missing, int) else whole)


def _coded(batches: list[Batch], order: NDArray[np.int64], ids: pa.Array) -> pa.Array:
    """Return for each job its parents, which are all in the table, as rows of ``ids``.

    In the order of units and of jobs in them, the parents of a job are neighbours.
    """
    parents, first = _column(batches, "parents", 0), _column(batches, "first_parent", 0)
    number = np.concatenate([batch.number for batch in batches])
    unit = _units(batches)
    by_unit = np.argsort(unit + number, kind="stable")
    place, row = np.empty((2, order.size), dtype=np.int64)
    place[by_unit] = row[order] = np.arange(order.size)
    key = (unit + number)[by_unit]
    wanted = unit + first
    begins = np.maximum(place - number + first, 0)  # where no job of the unit is left out
    elsewhere = np.flatnonzero((parents > 0) & (key[begins] != wanted))
    begins[elsewhere] = np.searchsorted(key, wanted[elsewhere])
    rows = row[by_unit].astype(np.int32)[ranges(begins[order], parents[order])]
    return coded(parents[order], rows, ids)


def _units(batches: list[Batch]) -> NDArray[np.int64]:
    """Return a number for each job's unit, or series, times ITEMS."""
    waiting = [batch.kind.key for batch in batches if batch.jobs is not None or batch.link is not None]
    keys = {key: number for number, key in enumerate(dict.fromkeys(waiting))}
    kind = np.repeat([keys.get(batch.kind.key, -1) for batch in batches], [batch.submit.size for batch in batches])
    return np.asarray((kind * MOST_UNITS + _column(batches, "unit", -1) + 1) * ITEMS)


def _named(batches: list[Batch], order: NDArray[np.int64]) -> pa.Array:
    """Return for each job the names of its parents, null where it has none.

    Parents are neighbours in their unit, and many jobs have the same: names are made once for each group of parents.
    """
    parents, first, unit = (
        _column(batches, name, missing)[order] for name, missing in (("parents", 0), ("first_parent", 0), ("unit", -1))
    )
    kind = np.repeat(np.arange(len(batches)), [batch.submit.size for batch in batches])[order]
    child = np.flatnonzero(parents)
    group = _units(batches)[order][child] + first[child]
    _, chosen, same = np.unique(group, return_index=True, return_inverse=True)
    chosen = child[chosen]
    widest = np.zeros(chosen.size, dtype=np.int64)
    np.maximum.at(widest, same, parents[child])
    begins = np.cumsum(widest) - widest
    number = ranges(first[chosen], widest)
    names = _names(np.repeat(kind[chosen], widest), batches, number, np.repeat(unit[chosen], widest))
    ends = np.cumsum(parents)
    rows = ranges(begins[same], parents[child])
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    none = np.concatenate((parents == 0, [False]))
    return pa.ListArray.from_arrays(pa.array(offsets, mask=none), names.take(pa.array(rows)))


def _arrays(batch: Batch) -> tuple[pa.Array, pa.Array]:
    """Return the name of each job's array and its limit, null where there is none."""
    if batch.jobs is None or not (batch.jobs.array >= 0).any():
        return pa.nulls(batch.submit.size, pa.string()), pa.nulls(batch.submit.size, pa.int32())
    none = pa.array(batch.jobs.array < 0)
    digits = pc.utf8_lpad(pa.array(batch.jobs.unit + 1).cast(pa.string()), 7, "0")
    number = pa.array(batch.jobs.array + 1).cast(pa.string())
    names = pc.binary_join_element_wise(pa.scalar(batch.kind.key), digits, number, "-")
    limits = np.array([stage.array_limit or 0 for stage in batch.kind.stages], dtype=np.int32)[batch.jobs.stage]
    free = (batch.jobs.array < 0) | (limits == 0)
    return pc.if_else(none, pa.scalar(None, pa.string()), names), pa.array(limits, mask=free)


def _texts(codes: NDArray[np.int64], names: list[str]) -> pa.Array:
    return _taken(codes, pa.array(names, pa.string()))


def _taken(codes: NDArray[np.int64], names: pa.Array) -> pa.Array:
    return names.take(pa.array(codes))


def span_of(workload: Workload) -> float | None:
    """Return the seconds that a synthetic workload was made for, or None for another."""
    span = (workload.held.schema.metadata or {}).get(SPAN)
    return None if span is None else float(span)
