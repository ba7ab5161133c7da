"""Nodes that are commissioned during a run: the spans of time in which they are not there yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuyard.intervals import Spans
from gpuyard.record import Record
from gpuyard.windows import there_from

__all__ = ["Absence", "absence"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Absence:
    """Nodes before they are there.

    ``spans``: from the beginning of the run to each instant at which nodes are commissioned, cut to the run.
    ``group``: the span of each node, int64, shape (nodes,), -1 for a node that is there from the beginning.
    """

    spans: Spans
    group: NDArray[np.int64]

    def weigh(self, of_node: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum of a quantity over the nodes of each span, int64, shape (spans,)."""
        total = np.zeros(self.spans.start.size, np.int64)
        np.add.at(total, self.group[self.group >= 0], of_node[self.group >= 0])
        return total


def absence(record: Record, start: int, stop: int) -> Absence | None:
    """Return what is not there yet between two instants, microseconds; None where all nodes are there throughout."""
    begins = np.clip(there_from(record.windows, record.cluster), start, stop)
    later = begins > start
    if not later.any():
        return None
    ends, group = np.unique(begins[later], return_inverse=True)
    of_node = np.full(record.cluster.nodes, -1, np.int64)
    of_node[later] = group
    return Absence(spans=Spans(np.full(ends.size, start, np.int64), ends), group=of_node)
