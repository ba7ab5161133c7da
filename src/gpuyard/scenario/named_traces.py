"""Traces that a scenario names: read as its keys say, and held against the checksum that it was written with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from gpuyard.errors import InputError
from gpuyard.workload import Workload

if TYPE_CHECKING:
    from gpuyard.experiment import Progress
    from gpuyard.scenario.sections import WorkloadSection
    from gpuyard.scenario.what_if import MergedTrace
    from gpuyard.traces.trace import Trace

__all__ = ["checked_trace", "read_trace", "sha256_of", "verify"]


def read_trace(
    path: str | Path, format: str | None = None, *, gpu_rule: str | None = None, zone: str | None = None
) -> Workload:
    """Return the jobs of a trace file, plain or gzip.

    Parameters
    ----------
    format
        One of :data:`gpuyard.traces.FORMATS`; recognised from the content when not given.
    gpu_rule, zone
        As in :class:`gpuyard.traces.ReadOptions`.

    Raises
    ------
    ConfigError
        For a format nobody knows or an option that cannot be used.
    InputError
        For a file that cannot be used.  Rows that cannot be used are in ``Workload.rejected``.
    """
    return Workload.from_trace(_read(path, format, gpu_rule, zone))


def _read(path: str | Path, format: str | None, gpu_rule: str | None, zone: str | None) -> Trace:
    from gpuyard.traces import ReadOptions, read

    given = {key: item for key, item in (("gpu_rule", gpu_rule), ("zone", zone)) if item is not None}
    return read(path, format=format, options=ReadOptions(**given))


def checked_trace(path: Path, wanted: WorkloadSection | MergedTrace, tell: Progress) -> Trace:
    """Return the trace in a file, read as a section says; raise if it has another digest, or no job."""
    tell(f"reading {path}", None)
    verify(path, wanted.sha256)
    trace = _read(path, wanted.format, wanted.gpu_rule, wanted.zone)
    if trace.table.num_rows == 0:
        raise _no_jobs(trace)
    return trace


def _no_jobs(trace: Trace) -> InputError:
    first = trace.rejected[0] if trace.rejected else None
    return InputError(
        f"none of the {trace.rows_in} rows could be read as a job in the format '{trace.format}'"
        + (f"; the first: {first.reason}" if first else ""),
        path=trace.path, row=first.row if first else None, column=first.column or None if first else None,
        value=first.value or None if first else None,
        remedy="name the right format with --format, or see 'gpuyard show formats'",
    )  # fmt: skip


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(path: Path, expected: str | None) -> None:
    """Raise if the file is not the one the scenario was written for."""
    if expected is not None and path.is_file() and (found := sha256_of(path)) != expected:
        raise InputError(
            "the file is not the one this scenario was written for",
            path=path,
            column="sha256",
            value=found,
            remedy=f"use the file with SHA-256 {expected}, or remove that line from the scenario",
        )
