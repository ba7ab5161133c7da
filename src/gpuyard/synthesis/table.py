"""From columns of numbers to the Arrow job table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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


def to_workload(batches: list[Batch], spec: SynthesisSpec, span: float, gpus: int, seed: int, load: float) -> Workload:
    """Return the jobs of all kinds, sorted by submit time, then in the order of kinds and numbers."""
    submit = np.concatenate([batch.submit for batch in batches])
    order = np.argsort(submit, kind="stable")
    metadata = {
        ORIGIN: spec.origin().isoformat().encode(),
        ZONE: b"",  # the origin states its offset, and an offset is no IANA name
        SOURCE_FORMAT: b"synthetic",
        SPAN: f"{span:.3f}".encode(),
    }
    columns = _columns(batches, spec, order) | {"submit_time": pa.array(submit[order])}
    note = f"synthetic: seed {seed}, window {span:g} s, offered load {load:.4f} of {counted(gpus, 'GPU')}"
    table = pa.table(columns).replace_schema_metadata(metadata)
    return Workload.from_table(table, name="synthetic", notes=(note,))


def _columns(batches: list[Batch], spec: SynthesisSpec, order: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return all columns but the submit time, in the given order of rows."""
    kinds = [batch.kind for batch in batches]
    kind = np.repeat(np.arange(len(batches)), [batch.submit.size for batch in batches])[order]
    tenant = np.concatenate([batch.tenant for batch in batches])[order]
    user = np.concatenate([batch.user for batch in batches])[order]
    number = np.concatenate([batch.number for batch in batches])[order]
    limit = np.concatenate([batch.time_limit for batch in batches])[order]
    names, first = _users(spec)
    digits = pc.utf8_lpad(pa.array(number + 1).cast(pa.string()), 7, "0")
    return {
        "job_id": pc.binary_join_element_wise(_texts(kind, [one.key for one in kinds]), digits, "-"),
        "runtime": pa.array(np.concatenate([batch.runtime for batch in batches])[order]),
        "time_limit": pa.array(limit, mask=np.isnan(limit)),
        "gpus": pa.array(np.concatenate([batch.gpus for batch in batches])[order].astype(np.int32)),
        "priority": pa.array(np.array([one.priority for one in kinds], dtype=np.int32)[kind]),
        "job_class": _texts(kind, [one.job_class for one in kinds]),
        "tenant": _texts(tenant, [one.name for one in spec.tenants]),
        "user": _texts(first[tenant] + user - 1, names),
        "job_name": _texts(kind, [one.name for one in kinds]),
        "state": _texts(np.concatenate([batch.state for batch in batches])[order], list(STATE_NAMES)),
        "activity": pa.array(np.array([one.activity for one in kinds])[kind]),
    }


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
