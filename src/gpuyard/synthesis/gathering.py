"""Columns that are put together part by part, in memory that is taken once: joined at the end, they take it twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.absent import Absent

__all__ = ["Gathered"]


class Gathered:
    """A column of at most ``most`` rows of one type, to which the arrays of one part after the other are added.

    Numbers and coded texts are copied at once, and what was added may be forgotten; names are kept until the end.  The
    names that codes mean may differ from part to part.
    """

    def __init__(self, kind: pa.DataType, most: int) -> None:
        self._kind, self._most, self._rows = kind, most, 0
        self._copied = pa.types.is_dictionary(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        self._values: NDArray[Any] | None = None  # zeros take no memory until they are written over
        self._is_null: NDArray[np.bool_] | None = None
        self._code_of: dict[str, int] = {}
        self._kept: list[pa.Array] = []

    def add(self, array: pa.Array | None, rows: int) -> None:
        """Add so many rows, null where there is no array."""
        begin, self._rows = self._rows, self._rows + rows
        if not self._copied:
            self._kept.append(pa.nulls(rows, self._kind) if array is None else array)
            return
        if array is None or array.null_count:
            if self._is_null is None:
                self._is_null = np.zeros(self._most, dtype=np.bool_)
            self._is_null[begin : self._rows] = True if array is None else array.is_null()
        if array is not None and array.null_count < rows:
            values = self._recoded(array) if pa.types.is_dictionary(self._kind) else _numbers(array)
            if self._values is None:
                self._values = np.zeros(self._most, dtype=values.dtype)
            self._values[begin : self._rows] = values

    def array(self) -> pa.Array:
        """Return all rows."""
        if not self._copied:
            return pa.concat_arrays(self._kept) if self._kept else pa.nulls(0, self._kind)
        if self._values is None:
            return Absent(self._rows).column(self._kind)
        mask = None if self._is_null is None else self._is_null[: self._rows]
        values = pa.array(self._values[: self._rows], mask=mask)
        if not pa.types.is_dictionary(self._kind):
            return values
        return pa.DictionaryArray.from_arrays(values, pa.array(self._code_of, pa.string()))

    def _recoded(self, array: pa.Array) -> NDArray[np.int32]:
        """Return the codes of an array by the names of all parts."""
        own = [self._code_of.setdefault(name, len(self._code_of)) for name in array.dictionary.to_pylist()]
        codes = _numbers(array.indices)
        return codes if own == list(range(len(own))) else np.array(own, dtype=np.int32)[codes]


def _numbers(array: pa.Array) -> NDArray[Any]:
    """Return the values, anything where they are null."""
    every = np.frombuffer(array.buffers()[1], dtype=pa.nulls(0, array.type).to_numpy().dtype)
    return every[array.offset : array.offset + len(array)]
