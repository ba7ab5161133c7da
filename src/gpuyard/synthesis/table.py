"""From columns of numbers to the Arrow job table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.absent import Absent
from gpuyard.services.book import Book
from gpuyard.synthesis.batch import STATE_NAMES, Batch, later, unit_column
from gpuyard.synthesis.dependencies import Dependencies, named_parents
from gpuyard.synthesis.distributions import WHOLE
from gpuyard.synthesis.expansion import Stage
from gpuyard.synthesis.gathering import Gathered
from gpuyard.synthesis.names import digits, job_names
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.synthesis.tenants import Tenant
from gpuyard.traces.schema import ORIGIN, SERVICES, SOURCE_FORMAT, ZONE, job_schema
from gpuyard.workload import Workload

__all__ = ["SPAN", "Tables", "span_of"]

SPAN = b"gpuyard.span"
"""Metadata key: length in seconds of the window in which the jobs are submitted."""


_HELD = dict.fromkeys(("job_class", "tenant", "user", "job_name", "state"), pa.dictionary(pa.int32(), pa.string()))
"""Columns of a whole table that are coded: many jobs share a text."""


class Tables:
    """Makes job tables of one workload; each has every column of the schema.

    The services of ``book`` go into the tables' metadata.
    """

    def __init__(self, spec: SynthesisSpec, span: float, book: Book | None) -> None:
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

    def table(self, batches: list[Batch]) -> pa.Table:
        """Return the jobs sorted by submit time, then in the order of batches and of jobs in a batch."""
        if not batches:
            return self.schema.empty_table()
        order = _order(batches)
        columns, nothing = self._columns(batches, order), Absent(order.size)
        if _may_wait(batches):
            columns["depends_on"] = named_parents(batches, order)
        arrays = [columns.get(field.name) for field in self.schema]
        filled = [
            nothing.column(field.type) if array is None else _plain(array)
            for field, array in zip(self.schema, arrays, strict=True)
        ]
        return pa.Table.from_arrays(filled, schema=self.schema)

    def each(self, parts: Iterable[list[Batch]]) -> Iterator[pa.Table]:
        """Return the jobs of each part that has any, and a table without rows where none has."""
        empty = True
        for batches in parts:
            if batches:
                empty = False
                yield self.table(batches)
        if empty:
            yield self.schema.empty_table()

    def whole(self, parts: Iterable[list[Batch]], most: int) -> pa.Table:
        """Return the jobs of all parts, which come one after the other, as :meth:`table` does those of each.

        There are at most ``most``.  The table is as :class:`gpuyard.workload.Workload` holds it: parents and texts are
        coded.
        """
        found = {field.name: Gathered(_HELD.get(field.name, field.type), most) for field in self.schema}
        dependencies = Dependencies()
        for batches in parts:
            if not batches:
                continue
            order = _order(batches)
            columns = self._columns(batches, order)
            for name, gathered in found.items():
                gathered.add(columns.pop(name, None), order.size)
            dependencies.add(batches, order)
        held = {name: found.pop(name).array() for name in tuple(found)}
        if dependencies:
            held["depends_on"] = dependencies.column(held["job_id"])
        fields = [pa.field(name, column.type) for name, column in held.items()]
        return pa.Table.from_arrays(list(held.values()), schema=pa.schema(fields, self.schema.metadata))

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
            "segment": _segments(domain, gpus, [batch.place.node_gpus for batch in batches], kind),
            "job_id": job_names(kind, batches, of("number"), _units_of(batches, order)),
            "submit_time": pa.array(of("submit")),
            "runtime": pa.array(of("runtime")),
            "time_limit": pa.array(limit, mask=np.isnan(limit)),
            "gpus": pa.array(gpus.astype(np.int32)),
            "priority": pa.array(
                np.array([one.priority for one in stages], dtype=np.int32)[stage] + self._priorities[tenant]
            ),
            "job_class": _texts(kind, [one.job_class for one in kinds]),
            "tenant": _coded(tenant, self._tenants),
            "user": _coded(self._first_user[tenant] + of("user") - 1, self._users),
            "job_name": _texts(stage, [one.name for one in stages]),
            "state": _texts(of("state"), list(STATE_NAMES)),
            "activity": pa.array(np.array([one.activity for one in stages])[stage]),
            "preemptible": _preemptible(np.array([not one.preemptible for one in stages])[stage]),
            "checkpoint_interval": _checkpoints(stages, stage),
        }


def _order(batches: list[Batch]) -> NDArray[np.int64]:
    """Return the order of the jobs by submission, those of one instant as they stand."""
    return np.argsort(np.concatenate([batch.submit for batch in batches]), kind="stable")


def _may_wait(batches: list[Batch]) -> bool:
    """Return whether there are jobs that may depend on others."""
    return any(batch.jobs is not None or batch.link is not None for batch in batches)


def _units_of(batches: list[Batch], order: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the number of each job's unit, -1 where it is of none; None where none is of one."""
    return None if all(batch.jobs is None for batch in batches) else unit_column(batches, "unit", -1)[order]


def _fractions(batches: list[Batch], order: NDArray[np.int64]) -> pa.Array | None:
    """Return the thousandths of a GPU, null for whole ones; None where all are whole."""
    if all(batch.milli is None for batch in batches):
        return None
    milli = np.concatenate(
        [np.full(batch.submit.size, WHOLE) if batch.milli is None else batch.milli for batch in batches]
    )[order]
    return pa.array(milli.astype(np.int32), mask=milli == WHOLE)


def _segments(
    domain: NDArray[np.int64], gpus: NDArray[np.int64], node_gpus: list[tuple[int, ...]], at: NDArray[np.int64]
) -> pa.Array | None:
    """Return in segments of how many nodes jobs come of which so many GPUs share a domain.

    The nodes are those of ``node_gpus`` ``at`` these positions.  Null where the smallest node has as many or nothing
    is known of nodes, and where segments do not divide the job's nodes, be they the smallest or the largest; None where
    no job has any.
    """
    widest = int(domain.max(initial=1))
    smallest = np.array([min(each, default=widest) for each in node_gpus])
    if (smallest >= widest).all():
        return None
    largest = np.array([max(each, default=widest) for each in node_gpus])[at]
    nodes = -(-domain // smallest[at])
    stated = (nodes > 1) & (gpus % (nodes * smallest[at]) == 0) & (gpus % (nodes * largest) == 0)
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
    number = digits(np.arange(tenant.users), max(2, len(str(tenant.users))))
    return pc.binary_join_element_wise(pa.scalar(f"{tenant.name}/u"), number, "")


def _of_units(batches: list[Batch], order: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return the columns that only jobs of units have, in the given order of rows."""
    if all(batch.jobs is None and batch.link is None for batch in batches):
        return {}
    submit = np.concatenate([batch.submit for batch in batches])
    columns = {name: unit_column(batches, name, np.nan) for name in ("cpus", "think_time", "deadline")}
    before = np.repeat([batch.place.ticks for batch in batches], [batch.submit.size for batch in batches])
    due = np.round(later(submit, -before) + unit_column(batches, "delay", np.nan), 3)
    columns["not_before"] = later(due, before)
    made = {name: pa.array(column[order], mask=np.isnan(column[order])) for name, column in columns.items()}
    arrays, limits = zip(*[_arrays(batch) for batch in batches], strict=True)
    made["array"] = pa.concat_arrays(arrays).take(pa.array(order))
    made["array_limit"] = pa.concat_arrays(limits).take(pa.array(order))
    return made


def _arrays(batch: Batch) -> tuple[pa.Array, pa.Array]:
    """Return the name of each job's array and its limit, null where there is none."""
    if batch.jobs is None or not (batch.jobs.array >= 0).any():
        return pa.nulls(batch.submit.size, pa.string()), pa.nulls(batch.submit.size, pa.int32())
    none = pa.array(batch.jobs.array < 0)
    digits = pc.utf8_lpad(pa.array(batch.jobs.unit + 1).cast(pa.string()), 7, "0")
    number = pa.array(batch.jobs.array + 1).cast(pa.string())
    if batch.place.ending:
        number = pc.binary_join_element_wise(number, pa.scalar(batch.place.ending), "")
    names = pc.binary_join_element_wise(pa.scalar(batch.kind.key), digits, number, "-")
    limits = np.array([stage.array_limit or 0 for stage in batch.kind.stages], dtype=np.int32)[batch.jobs.stage]
    free = (batch.jobs.array < 0) | (limits == 0)
    return pc.if_else(none, pa.scalar(None, pa.string()), names), pa.array(limits, mask=free)


def _texts(codes: NDArray[np.int64], names: list[str]) -> pa.Array:
    """Return the names of these positions, some of which may be equal, as codes."""
    code_of = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return _coded(np.array([code_of[name] for name in names], dtype=np.int32)[codes], pa.array(code_of, pa.string()))


def _coded(codes: NDArray[Any], names: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32, copy=False)), names)


def _plain(array: pa.Array) -> pa.Array:
    """Return a column with its texts as they are."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def span_of(workload: Workload) -> float | None:
    """Return the seconds that a synthetic workload was made for, or None for another."""
    span = (workload.held.schema.metadata or {}).get(SPAN)
    return None if span is None else float(span)
