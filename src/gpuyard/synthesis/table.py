"""From columns of numbers to the Arrow job table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.services.book import SERVICES, Book
from gpuyard.synthesis.expansion import Jobs
from gpuyard.synthesis.kinds import Kind
from gpuyard.synthesis.spec import SynthesisSpec
from gpuyard.traces.schema import ORIGIN, SOURCE_FORMAT, ZONE
from gpuyard.units import counted
from gpuyard.workload import Workload

__all__ = ["SPAN", "STATE_NAMES", "Batch", "span_of", "to_workload"]

SPAN = b"gpuyard.span"
"""Metadata key: length in seconds of the window in which the jobs are submitted."""
STATE_NAMES = ("completed", "cancelled", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """All jobs of one kind; every column has shape (jobs,)."""

    kind: Kind
    number: NDArray[np.int64]  # position in the endless series of the kind, from 0
    submit: NDArray[np.float64]  # s since the start of the window
    runtime: NDArray[np.float64]  # s
    gpus: NDArray[np.int64]
    tenant: NDArray[np.int64]  # position among the spec's tenants
    user: NDArray[np.int64]  # number within the tenant, from 1
    state: NDArray[np.int64]  # position in STATE_NAMES
    time_limit: NDArray[np.float64]  # s, not-a-number for none
    jobs: Jobs | None = None  # the rest of what is known of jobs of units, which are numbered from 0

    def stage(self) -> NDArray[np.int64]:
        """Return each job's position among the stages of the kind."""
        return np.zeros(self.submit.size, dtype=np.int64) if self.jobs is None else self.jobs.stage


def to_workload(
    batches: list[Batch],
    spec: SynthesisSpec,
    *,
    span: float,
    gpus: int,
    seed: int,
    load: float,
    book: Book | None,
    notes: tuple[str, ...],
) -> Workload:
    """Return the jobs of all kinds, sorted by submit time, then in the order of kinds and numbers.

    The services of ``book`` go into the table's metadata.
    """
    submit = np.concatenate([batch.submit for batch in batches])
    order = np.argsort(submit, kind="stable")
    metadata = {
        ORIGIN: spec.origin().isoformat().encode(),
        ZONE: b"",  # the origin states its offset, and an offset is no IANA name
        SOURCE_FORMAT: b"synthetic",
        SPAN: f"{span:.3f}".encode(),
    }
    if book is not None and book.services:
        metadata[SERVICES] = book.dumps()
    columns = _columns(batches, spec, order) | {"submit_time": pa.array(submit[order])}
    note = f"synthetic: seed {seed}, window {span:g} s, offered load {load:.4f} of {counted(gpus, 'GPU')}"
    table = pa.table(columns).replace_schema_metadata(metadata)
    return Workload.from_table(table, name="synthetic", notes=(note, *notes))


def _columns(batches: list[Batch], spec: SynthesisSpec, order: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return all columns but the submit time, in the given order of rows."""
    kinds = [batch.kind for batch in batches]
    kind = np.repeat(np.arange(len(batches)), [batch.submit.size for batch in batches])[order]
    stages = [stage for one in kinds for stage in one.stages]
    first_stage = np.cumsum([0, *(len(one.stages) for one in kinds)])[:-1]
    stage = np.concatenate([batch.stage() for batch in batches])[order] + first_stage[kind]
    tenant = np.concatenate([batch.tenant for batch in batches])[order]
    user = np.concatenate([batch.user for batch in batches])[order]
    limit = np.concatenate([batch.time_limit for batch in batches])[order]
    names, first = _users(spec)
    ids = pa.concat_arrays([_ids(batch) for batch in batches])
    return _of_units(batches, ids, order) | {
        "job_id": ids.take(pa.array(order)),
        "runtime": pa.array(np.concatenate([batch.runtime for batch in batches])[order]),
        "time_limit": pa.array(limit, mask=np.isnan(limit)),
        "gpus": pa.array(np.concatenate([batch.gpus for batch in batches])[order].astype(np.int32)),
        "priority": pa.array(np.array([one.priority for one in stages], dtype=np.int32)[stage]),
        "job_class": _texts(kind, [one.job_class for one in kinds]),
        "tenant": _texts(tenant, [one.name for one in spec.tenants]),
        "user": _texts(first[tenant] + user - 1, names),
        "job_name": _texts(stage, [one.name for one in stages]),
        "state": _texts(np.concatenate([batch.state for batch in batches])[order], list(STATE_NAMES)),
        "activity": pa.array(np.array([one.activity for one in stages])[stage]),
    }


def _ids(batch: Batch) -> pa.Array:
    """Return the names of the jobs: kind and number, or kind, number of the unit and number in the unit."""
    parts = [(batch.number, 7)] if batch.jobs is None else [(batch.jobs.unit, 7), (batch.jobs.item(), 5)]
    digits = [pc.utf8_lpad(pa.array(number + 1).cast(pa.string()), width, "0") for number, width in parts]
    return pc.binary_join_element_wise(pa.scalar(batch.kind.key), *digits, "-")


def _of_units(batches: list[Batch], ids: pa.Array, order: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return the columns that only jobs of units have, in the given order of rows."""
    if all(batch.jobs is None for batch in batches):
        return {}
    rows = np.cumsum([0, *(batch.submit.size for batch in batches)])
    parents = [_column(batch, "parents", 0) for batch in batches]
    first = [_column(batch, "first_parent", 0) + row for batch, row in zip(batches, rows, strict=False)]
    not_before = [np.round(batch.submit + _column(batch, "delay", np.nan), 3) for batch in batches]
    columns = {
        "cpus": np.concatenate([_column(batch, "cpus", np.nan) for batch in batches]),
        "think_time": np.concatenate([_column(batch, "think_time", np.nan) for batch in batches]),
        "deadline": np.concatenate([_column(batch, "deadline", np.nan) for batch in batches]),
        "not_before": np.concatenate(not_before),
    }
    made = {name: pa.array(column[order], mask=np.isnan(column[order])) for name, column in columns.items()}
    arrays, limits = zip(*[_arrays(batch) for batch in batches], strict=True)
    made["array"] = pa.concat_arrays(arrays).take(pa.array(order))
    made["array_limit"] = pa.concat_arrays(limits).take(pa.array(order))
    made["depends_on"] = _depends_on(np.concatenate(parents)[order], np.concatenate(first)[order], ids)
    return made


def _column(batch: Batch, name: str, missing: float) -> NDArray[Any]:
    values = np.full(batch.submit.size, missing) if batch.jobs is None else getattr(batch.jobs, name)
    return np.asarray(values)


def _depends_on(parents: NDArray[np.int64], first: NDArray[np.int64], ids: pa.Array) -> pa.Array:
    """Return for each job the names of its parents, null where it has none; the parents of a job are neighbours."""
    ends = np.cumsum(parents)
    row = np.repeat(first - ends + parents, parents) + np.arange(int(ends[-1]) if ends.size else 0)
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    none = np.concatenate((parents == 0, [False]))
    return pa.ListArray.from_arrays(pa.array(offsets, mask=none), ids.take(pa.array(row)))


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


def _users(spec: SynthesisSpec) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of all users, tenant by tenant, and where each tenant's begin."""
    names = [
        f"{tenant.name}/u{user:0{max(2, len(str(tenant.users)))}d}"
        for tenant in spec.tenants
        for user in range(1, tenant.users + 1)
    ]
    counts = [tenant.users for tenant in spec.tenants]
    return names, np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)


def _texts(codes: NDArray[np.int64], names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names)).cast(pa.string())


def span_of(workload: Workload) -> float | None:
    """Return the seconds that a synthetic workload was made for, or None for another."""
    span = (workload.table.schema.metadata or {}).get(SPAN)
    return None if span is None else float(span)
