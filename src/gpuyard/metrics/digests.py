"""Digests: one number for a schedule, one for a workload, one for a cluster, the same on every machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.record import Record
from gpuyard.traces.schema import job_schema
from gpuyard.workload import Workload

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["cluster_digest", "schedule_digest", "workload_digest"]


def schedule_digest(record: Record) -> str:
    """Return the SHA-256 (hexadecimal) of who ran where, from when to when.

    The hash runs over whole numbers, little-endian: the number of jobs; the length of each job id in UTF-8
    bytes, int64, and then the ids; start and end of each job, int64 microseconds; row, start and
    end of each attempt; the slot offsets; node and GPUs of each slot.  All are int64.
    """
    digest = hashlib.sha256(b"gpuyard schedule 1\n")
    _add_texts(digest, record.workload.held["job_id"].combine_chunks())
    for column in (
        record.start,
        record.end,
        record.attempt_job,
        record.attempt_start,
        record.attempt_end,
        record.slot_offset,
        record.slot_node,
        record.slot_gpus,
    ):
        _add_integers(digest, column)
    return digest.hexdigest()


_AT_ONCE = 1 << 20
"""Names of parents that are looked up at once."""


def workload_digest(workload: Workload) -> str:
    """Return the SHA-256 (hexadecimal) of all columns and the metadata of a workload's job table, worked out once."""
    if "digest" not in workload.worked_out:
        workload.worked_out["digest"] = _workload_digest(workload)
    return str(workload.worked_out["digest"])


def _workload_digest(workload: Workload) -> str:
    digest = hashlib.sha256(b"gpuyard workload 1\n")
    for key, value in sorted((workload.held.schema.metadata or {}).items()):
        digest.update(b"%d:%b=%d:%b\n" % (len(key), key, len(value), value))
    digest.update(b"%d jobs\n" % len(workload))
    for field, column in zip(job_schema(), workload.held.columns, strict=True):
        digest.update(f"{field.name} {field.type}\n".encode())
        if column.null_count == len(column):
            digest.update(b"null\n")
        elif pa.types.is_list(field.type):
            _add_parents(digest, workload, column)
        else:
            _add_column(digest, _one(column).cast(field.type))
    return digest.hexdigest()


def cluster_digest(cluster: Cluster) -> str:
    """Return the SHA-256 (hexadecimal) of what a cluster is made of: all that a simulation can see of it.

    The hash runs over node names, GPUs, kind, CPUs and memory of each node; the figures of each kind; name and domains
    of each level; and the draw of switches, storage and management.  The cluster's own name and its sources
    do not count.
    """
    digest = hashlib.sha256(b"gpuyard cluster 1\n")
    _add_texts(digest, pa.array(cluster.node_names, pa.string()))
    _add_integers(digest, cluster.node_gpus)
    _add_integers(digest, cluster.node_kind)
    for figure in (cluster.node_cpus, cluster.node_memory_gib):
        digest.update(b"unknown\n" if figure is None else np.ascontiguousarray(figure, dtype="<f8").data)
    kinds = [{key: item for key, item in asdict(kind).items() if key != "source"} for kind in cluster.kinds]
    facts = {key: cluster.facts.get(key) for key in ("switches", "switch_w", "other_it_w")}
    digest.update(json.dumps([kinds, facts], sort_keys=True).encode())
    for name, domain in zip(cluster.levels.names, cluster.levels.domains, strict=True):
        digest.update(f"\n{name}\n".encode())
        _add_integers(digest, domain)
    return digest.hexdigest()


def _add_integers(digest: _Hash, values: NDArray[np.integer[Any]]) -> None:
    digest.update(np.ascontiguousarray(values, dtype="<i8").data)


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)


def _add_texts(digest: _Hash, column: pa.Array | pa.ChunkedArray) -> None:
    """Hash the count, the byte length of each text, and the texts."""
    texts = pa.array([], pa.large_binary()) if len(column) == 0 else _one(column).cast(pa.large_binary())
    ends = np.zeros(1, np.int64)
    data: bytes | memoryview = b""
    if len(texts):
        _, offsets, values = texts.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
        data = memoryview(values)[int(ends[0]) : int(ends[-1])] if values is not None else b""
    _add_integers(digest, np.array([len(texts)]))
    _add_integers(digest, np.diff(ends))
    digest.update(data)


def _nulls_are_empty(array: pa.Array) -> bool:
    """Return whether nothing lies between the offsets of nulls, as writers leave it: filling them takes long."""
    if array.null_count == 0:
        return True
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    return not np.diff(offsets)[array.is_null().to_numpy(zero_copy_only=False)].any()


def _add_parents(digest: _Hash, workload: Workload, column: pa.ChunkedArray) -> None:
    """Hash which jobs wait for nobody, how many each waits for, and the names of these as texts."""
    parents, ids = workload.parents, _one(workload.held["job_id"])
    digest.update(np.packbits(column.is_null().to_numpy()).data)
    _add_integers(digest, parents.count)
    _add_integers(digest, np.array([parents.rows.size]))
    _add_integers(digest, pc.binary_length(ids).to_numpy()[parents.rows])
    for first in range(0, parents.rows.size, _AT_ONCE):
        _, offsets, values = ids.take(pa.array(parents.rows[first : first + _AT_ONCE])).buffers()
        digest.update(memoryview(values)[: int(np.frombuffer(offsets, dtype=np.int32)[-1])])


def _add_column(digest: _Hash, column: pa.Array | pa.ChunkedArray) -> None:
    """Hash which values are null, and the values, nulls as zero or empty."""
    array = _one(column)
    digest.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).data)
    if pa.types.is_string(array.type):
        _add_texts(digest, array if _nulls_are_empty(array) else array.fill_null(""))
    elif pa.types.is_boolean(array.type):
        digest.update(np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False)).data)
    elif pa.types.is_floating(array.type):
        digest.update(np.ascontiguousarray(array.fill_null(0.0).to_numpy(), dtype="<f8").data)
    else:
        _add_integers(digest, array.fill_null(0).to_numpy())
