"""The columns of a job table that findings look at, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.quality.report import Finding
from gpuyard.workload import MICROSECOND, Workload

__all__ = ["EXAMPLES", "Jobs", "floats", "ticks"]

EXAMPLES = 5
"""Lines of the file that a finding names."""


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Columns of shape (jobs,), in the order of the file; times float64 seconds, not-a-number for null."""

    table: pa.Table
    lines: NDArray[np.int64]
    submit: NDArray[np.float64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    runtime: NDArray[np.float64]
    time_limit: NDArray[np.float64]
    gpus: NDArray[np.int64]
    thousandths: NDArray[np.int64]

    @classmethod
    def of(cls, table: pa.Table, lines: NDArray[np.int64]) -> Jobs:
        """Return the columns of a job table."""
        gpus = table["gpus"].to_numpy().astype(np.int64)
        share = table["gpu_milli"].fill_null(1000).to_numpy().astype(np.int64)
        start, end, runtime = (floats(table, name) for name in ("start_time", "end_time", "runtime"))
        return cls(
            table=table, lines=lines, submit=floats(table, "submit_time"), start=start,
            end=np.where(np.isfinite(end), end, start + runtime),
            runtime=runtime, time_limit=floats(table, "time_limit"), gpus=gpus, thousandths=gpus * share,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.lines)

    def selected(self, workload: Workload) -> Jobs:
        """Return the workload's jobs with the lines they stand on."""
        place = pc.index_in(workload.table["job_id"], self.table["job_id"].combine_chunks()).fill_null(-1).to_numpy()
        return Jobs.of(workload.table, np.where(place >= 0, self.lines[place], 0) if len(self) else place)

    def finding(
        self, code: str, severity: str, concerned: NDArray[np.bool_], explanation: str, remedy: str
    ) -> list[Finding]:
        """Return the finding about the jobs marked, or nothing where none is."""
        count = int(concerned.sum())
        rows = tuple(int(line) for line in self.lines[concerned][:EXAMPLES])
        if not count:
            return []
        return [
            Finding(
                code=code, severity=severity, count=count, share=count / len(self), rows=rows,
                explanation=explanation, remedy=remedy,
            )
        ]  # fmt: skip


def floats(table: pa.Table, column: str) -> NDArray[np.float64]:
    """Return a column of times, not-a-number for null."""
    return np.asarray(table[column].fill_null(float("nan")).to_numpy(), dtype=np.float64)


def ticks(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return whole microseconds, as float64 so that not-a-number stays."""
    return np.rint(seconds * MICROSECOND)
