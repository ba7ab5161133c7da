"""What every reader returns: the jobs it could use, and each row it could not, with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

__all__ = ["Rejection", "Trace"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row of the source that did not become a job."""

    row: int
    """1-based line of the file (for JSON: 1-based element of the list)."""
    column: str
    value: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A trace as read: ``rows_in == table.num_rows + len(rejected)``, always.

    ``table`` has the schema of :mod:`gpuyard.traces.schema`, in the order of the file.  ``rows`` is
    the source line of each table row (int64, shape (jobs,)), for messages.
    """

    table: pa.Table
    rows: pa.Array
    rejected: tuple[Rejection, ...]
    rows_in: int
    format: str
    path: Path | None = None
    notes: tuple[str, ...] = field(default=())

    def reasons(self) -> dict[str, int]:
        """Return how many rows were rejected for each reason, most frequent first."""
        return dict(Counter(r.reason for r in self.rejected).most_common())
