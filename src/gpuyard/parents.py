"""Who waits for whom, in a job table: by the names of jobs, or *coded* by their rows, which takes no text.

The column ``depends_on`` is a list of names.  Coded, it is a list of numbers of rows with the names of all jobs beside
them (Arrow's dictionary), and keeps these through sorting and choosing rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["COLUMN", "Parents", "coded", "coded_table", "named", "ranges", "without_dangling"]

COLUMN = "depends_on"
NAMES = pa.list_(pa.string())
ABSENT = -1
"""The row of a parent that is not in the table."""


class Parents:
    """The parents of each job of a table: ``count``, shape (jobs,), and one after the other their ``rows``.

    ``rows``: int32, shape (sum of counts,), ABSENT for a name that no job has.
    """

    def __init__(self, count: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
        self.count, self.rows = count, rows

    @classmethod
    def of(cls, table: pa.Table) -> Parents:
        """Return who the jobs of a table wait for."""
        jobs = table.num_rows
        if table[COLUMN].null_count == jobs:
            return cls(np.zeros(jobs, np.int64), np.empty(0, np.int32))
        lists, ids = _one(table[COLUMN]), _one(table["job_id"])
        count = pc.list_value_length(lists).fill_null(0).to_numpy().astype(np.int64)
        flat = _flat(lists)
        if not pa.types.is_dictionary(flat.type):
            return cls(count, _rows(flat, ids))
        rows = flat.indices.to_numpy()
        return cls(count, rows if flat.dictionary.equals(ids) else _rows(flat.dictionary, ids)[rows])

    def edges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return all pairs of (parent, child), rows, each once, by parent and then by child."""
        pairs = self.rows.astype(np.int64)
        pairs <<= 32
        pairs |= np.repeat(np.arange(self.count.size), self.count)
        pairs.sort()  # np.unique takes several times as long
        if pairs.size and (repeated := pairs[1:] == pairs[:-1]).any():
            pairs = pairs[np.concatenate(([True], ~repeated))]
        return pairs >> 32, pairs & 0xFFFFFFFF


def coded(count: NDArray[np.integer[Any]], rows: NDArray[np.int32], ids: pa.Array) -> pa.Array:
    """Return the column of jobs of which each has so many parents, with these rows of ``ids``; null where none."""
    return _lists(count, rows, ids, count == 0)


def coded_table(table: pa.Table) -> pa.Table:
    """Return the table, whose parents are all in it, with these coded by its own rows."""
    if table[COLUMN].null_count == table.num_rows:
        return table
    parents, none = Parents.of(table), table[COLUMN].is_null().to_numpy()
    return _with(table, _lists(parents.count, parents.rows, _one(table["job_id"]), none))


def named(table: pa.Table) -> pa.Table:
    """Return the table with the names of parents and with all texts, as the schema of jobs says."""
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(at, pa.field(field.name, pa.string()), table.column(at).cast(pa.string()))
    return _with(table, table[COLUMN].cast(NAMES)) if _is_coded(table) else table


def ranges(first: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the whole numbers from each first, so many of each, one range after the other."""
    ends = np.cumsum(lengths)
    return np.repeat(first - ends + lengths, lengths) + np.arange(int(ends[-1]) if ends.size else 0)


def without_dangling(table: pa.Table) -> tuple[pa.Table, int]:
    """Return the table without dependencies on jobs that are not in it, and how many jobs lost one.

    A job that has lost all of them also loses the think time after them.
    """
    parents = Parents.of(table)
    kept = parents.rows != ABSENT
    if kept.all():
        return table, 0
    child = np.repeat(np.arange(parents.count.size), parents.count)
    count = np.bincount(child[kept], minlength=parents.count.size)
    less = count < parents.count
    column = coded(count, parents.rows[kept], _one(table["job_id"]))
    table = _with(table, column if _is_coded(table) else column.cast(NAMES))
    at = table.schema.get_field_index("think_time")
    think_time = pc.if_else(pa.array(less & (count == 0)), pa.scalar(None, pa.float64()), table["think_time"])
    return table.set_column(at, table.schema.field(at), think_time), int(less.sum())


def _rows(names: pa.Array, ids: pa.Array) -> NDArray[np.int32]:
    return np.asarray(pc.index_in(names, value_set=ids).fill_null(ABSENT).to_numpy(), dtype=np.int32)


def _lists(
    count: NDArray[np.integer[Any]], rows: NDArray[np.int32], ids: pa.Array, none: NDArray[np.bool_]
) -> pa.Array:
    offsets = np.concatenate(([0], np.cumsum(count))).astype(np.int32)
    flat = pa.DictionaryArray.from_arrays(pa.array(rows), ids)
    return pa.ListArray.from_arrays(pa.array(offsets, mask=np.concatenate((none, [False]))), flat)


def _flat(lists: pa.Array) -> pa.Array:
    """Return all items: at once where nothing lies between the offsets of nulls, since leaving it out takes long."""
    offsets = lists.offsets.to_numpy()
    if np.diff(offsets)[lists.is_null().to_numpy(zero_copy_only=False)].any():
        return lists.flatten()
    return lists.values[int(offsets[0]) : int(offsets[-1])]


def _is_coded(table: pa.Table) -> bool:
    return pa.types.is_dictionary(table.schema.field(COLUMN).type.value_type)


def _with(table: pa.Table, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(COLUMN), pa.field(COLUMN, column.type), column)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
