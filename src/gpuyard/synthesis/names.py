"""The names of jobs: kind and number, or kind, number of the unit and number in the unit; and the part's ending."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.synthesis.batch import Batch

__all__ = ["digits", "job_names"]


def job_names(
    kind: NDArray[np.int64], batches: list[Batch], number: NDArray[np.int64], unit: NDArray[np.int64] | None
) -> pa.Array:
    """Return names of jobs of the kinds of these batches, by their position among them; ``unit`` is -1 for none."""
    own = digits(number, 7)
    if unit is not None and (in_unit := unit >= 0).any():
        inside = pc.binary_join_element_wise(digits(np.maximum(unit, 0), 7), digits(number, 5), "-")
        own = pc.if_else(pa.array(in_unit), inside, own)
    stems = pa.array([f"{batch.kind.key}-" for batch in batches], pa.string())
    if not any(batch.place.ending for batch in batches):
        return pc.binary_join_element_wise(stems.take(pa.array(kind)), own, "")
    endings = pa.array([batch.place.ending for batch in batches], pa.string())
    return pc.binary_join_element_wise(stems.take(pa.array(kind)), own, endings.take(pa.array(kind)), "")


def digits(number: NDArray[np.int64], width: int) -> pa.Array:
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
