"""What a trace holds and what looks wrong with it, before anybody simulates it.

Nothing is repaired here.  A finding counts the jobs concerned, names some lines of the file, and says
what gpuyard does with them and what the user can do.  D. Feitelson, D. Tsafrir and D. Krakov ("Experience
with using the Parallel Workloads Archive", JPDC 74(10), 2014) describe how often such things occur.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.quality.capacity import RecordedUse, findings_against, recorded_use
from gpuyard.quality.columns import Jobs
from gpuyard.quality.findings import findings_of, rejections_of
from gpuyard.quality.report import Finding, QualityReport
from gpuyard.traces.schema import ORIGIN, SOURCE_FORMAT, ZONE
from gpuyard.traces.trace import Rejection, Trace
from gpuyard.workload import Workload

__all__ = ["Finding", "QualityReport", "RecordedUse", "examine", "recorded_use"]

HOUR = 3600.0


def examine(trace: Trace | None, workload: Workload | None = None, cluster: Cluster | None = None) -> QualityReport:
    """Return what a trace holds and what looks wrong with it.

    Parameters
    ----------
    trace
        The trace as read; ``None`` for a workload that no file stands behind.
    workload
        The jobs selected from it: only they are held against the cluster.  All of the trace if left out.
    cluster
        Where the jobs are to run: finds those too large for it and records that oversubscribe it.

    Raises
    ------
    ConfigError
        With neither a trace nor a workload.
    """
    if trace is not None:
        jobs = Jobs.of(trace.table, np.asarray(trace.rows.to_numpy(zero_copy_only=False), dtype=np.int64))
        rejected, rows_in, name = trace.rejected, trace.rows_in, trace.path.name if trace.path else trace.format
        notes = trace.notes
    elif workload is not None:
        jobs = Jobs.of(workload.table, np.arange(1, len(workload) + 1))
        rejected, rows_in, name = workload.rejected, len(workload) + len(workload.rejected), workload.name
        notes = workload.notes
    else:
        raise ConfigError("there is nothing to examine; give a trace or a workload")
    if workload is not None:
        notes = (*notes, *(note for note in workload.notes if note not in notes))
    selected = jobs if workload is None else jobs.selected(workload)
    use = recorded_use(selected.start, selected.end, selected.thousandths, cluster.gpus if cluster else None)
    findings = [*rejections_of(rejected, rows_in), *findings_of(jobs, rejected)]
    if cluster is not None:
        findings += findings_against(selected, cluster, use)
    rank = {"lost": 0, "doubtful": 1, "note": 2}
    metadata = jobs.table.schema.metadata or {}
    gaps = _gaps(jobs)
    return QualityReport(
        name=name,
        format=metadata.get(SOURCE_FORMAT, b"").decode(),
        origin=metadata.get(ORIGIN, b"").decode(),
        zone=metadata.get(ZONE, b"").decode(),
        rows_in=rows_in,
        jobs=len(jobs),
        rejected=_reasons(rejected),
        selected_jobs=len(selected),
        first_submit_s=_least(jobs.submit),
        last_submit_s=_most(jobs.submit),
        last_end_s=_most(jobs.end),
        recorded_starts=int(np.isfinite(jobs.start).sum()),
        wait_s=_waits(jobs),
        gpu_hours=float(np.nansum(jobs.runtime * jobs.thousandths)) / 1000 / HOUR,
        sizes={int(size): int(count) for size, count in zip(*np.unique(jobs.gpus, return_counts=True), strict=True)},
        shared_gpu_jobs=len(jobs) - jobs.table["gpu_milli"].null_count,
        peak_gpus=use.peak_gpus if use else None,
        peak_time_s=use.peak_time if use else None,
        median_gap_s=float(np.median(gaps)) if len(gaps) else None,
        longest_gap_s=float(gaps.max()) if len(gaps) else None,
        notes=notes,
        findings=tuple(sorted(findings, key=lambda item: rank[item.severity])),
    )


def _least(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmin(values)) if np.isfinite(values).any() else None


def _most(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def _waits(jobs: Jobs) -> dict[str, float]:
    waits = (jobs.start - jobs.submit)[np.isfinite(jobs.start)]
    if not len(waits):
        return {}
    return {"mean": float(waits.mean()), "p50": float(np.median(waits)), "max": float(waits.max())}


def _gaps(jobs: Jobs) -> NDArray[np.float64]:
    """Return the times between successive submissions that are not at the same instant."""
    gaps = np.diff(np.sort(jobs.submit))
    return gaps[gaps > 0]


def _reasons(rejected: tuple[Rejection, ...]) -> dict[str, int]:
    """Return how many rows were rejected for each reason, most frequent first."""
    counts: dict[str, int] = {}
    for item in rejected:
        counts[item.reason] = counts.get(item.reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
