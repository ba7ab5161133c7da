"""Columns in which no row has a value: a trace states few of the columns that a job table may have."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

__all__ = ["Absent"]


class Absent:
    """Columns of so many nulls, all in one piece of memory."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._zeros = pa.py_buffer(np.zeros(rows + 1, np.int64))

    def column(self, kind: pa.DataType) -> pa.Array:
        """Return as many nulls of a type; the marks that there is no value, values and offsets are the same zeros."""
        if pa.types.is_primitive(kind):
            return pa.Array.from_buffers(kind, self._rows, [self._zeros, self._zeros], null_count=self._rows)
        if pa.types.is_string(kind):
            return pa.Array.from_buffers(
                kind, self._rows, [self._zeros, self._zeros, pa.py_buffer(b"")], null_count=self._rows
            )
        return pa.nulls(self._rows, kind)
