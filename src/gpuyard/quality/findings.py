"""What a trace shows without knowing the cluster: each finding is one vectorised test."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.quality.columns import EXAMPLES, Jobs, ticks
from gpuyard.quality.report import Finding
from gpuyard.traces.schema import ORIGIN
from gpuyard.traces.trace import Rejection

__all__ = ["GAP_FACTOR", "LONG_GAP", "SHARED_END", "findings_of", "rejections_of"]

LONG_GAP = 86_400.0
"""Seconds: no gap between submissions shorter than a day is called unusual."""
GAP_FACTOR = 100.0
"""Nor one shorter than this many times the median gap."""
SHARED_END = 10
"""That many jobs ending in the very last instant of a record were cut off rather than done."""
HOUR = 3600.0


def rejections_of(rejected: tuple[Rejection, ...], rows_in: int) -> list[Finding]:
    """Return one finding for each column and reason."""
    groups: dict[tuple[str, str], list[int]] = {}
    for item in rejected:
        groups.setdefault((item.column, item.reason), []).append(item.row)
    return [
        Finding(
            code="rejected", severity="lost", count=len(rows), share=len(rows) / rows_in,
            rows=tuple(rows[:EXAMPLES]), explanation=f"{column}: {reason}" if column else reason,
            remedy="these rows are left out; correct them in the file if they matter",
        )
        for (column, reason), rows in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    ]  # fmt: skip


def findings_of(jobs: Jobs, rejected: tuple[Rejection, ...]) -> list[Finding]:
    """Return what the jobs show without knowing the cluster."""
    recorded = np.isfinite(jobs.runtime)
    disagree = np.abs(ticks(jobs.end) - ticks(jobs.start) - ticks(jobs.runtime)) > 0
    idle = (jobs.gpus == 0) & jobs.table["cpus"].is_null().to_numpy()
    return [
        *jobs.finding("no_runtime", "lost", ~recorded, "no run time is recorded",
                      "these jobs are counted but cannot be simulated"),
        *jobs.finding("nothing_held", "lost", idle, "the job has neither GPUs nor CPU cores",
                      "these jobs are counted but cannot be simulated"),
        *jobs.finding("zero_runtime", "doubtful", jobs.runtime == 0, "the run time is 0",
                      "they wait for GPUs and leave at once; leave them out if they never ran"),
        *jobs.finding("past_limit", "doubtful", ticks(jobs.runtime) > ticks(jobs.time_limit),
                      "the job ran longer than its time limit",
                      "killed at the limit under on_limit = \"kill\"; \"ignore\" keeps what was recorded"),
        *jobs.finding("start_before_submit", "doubtful", ticks(jobs.start) < ticks(jobs.submit),
                      "the record starts the job before its submission",
                      "a recorded replay starts them at submission; check the clocks of the source"),
        *jobs.finding("times_disagree", "note", disagree, "end - start is not the run time",
                      "a simulation uses the run time, a recorded replay end - start"),
        *jobs.finding("repeated_rows", "note", _repeats(jobs.table),
                      "the row equals an earlier one in all but the job's id",
                      "they are kept: array tasks look like this, and so do rows recorded twice"),
        *jobs.finding("unsorted", "note", np.diff(jobs.submit, prepend=-np.inf) < 0,
                      "the row was submitted before the row above it", "nothing to do: jobs are sorted when read"),
        *jobs.finding("no_limit", "note", ~np.isfinite(jobs.time_limit), "no time limit is recorded",
                      "backfilling plans with the run time of these jobs, which no real scheduler knows"),
        *_tail(jobs, rejected),
        *_gap(jobs),
        *_clock(jobs),
    ]  # fmt: skip


def _repeats(table: pa.Table) -> NDArray[np.bool_]:
    """Return which rows, bool of shape (jobs,), equal an earlier row in every column but job_id."""
    coded = (_codes(table[name]) for name in table.column_names if name != "job_id")
    columns = [codes for codes in coded if codes is not None]
    repeated = np.zeros(table.num_rows, dtype=bool)
    if not columns or table.num_rows < 2:
        return repeated
    mixed = np.zeros(table.num_rows, dtype=np.uint64)
    for codes in columns:
        mixed = (mixed ^ codes.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    _, group, sizes = np.unique(mixed, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(sizes[group] > 1)
    if len(rows):
        matrix = np.stack([codes[rows] for codes in columns], axis=1)
        first = np.unique(matrix, axis=0, return_index=True)[1]
        repeated[rows] = True
        repeated[rows[first]] = False
    return repeated


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64] | None:
    """Return a column as int64 that are equal where its values are, None for a column of nulls."""
    if column.null_count == len(column):
        return None
    if pa.types.is_list(column.type):
        column = pc.binary_join(column, "\x1f")
    if pa.types.is_string(column.type):
        coded = column.combine_chunks().dictionary_encode()
        return np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    values = np.asarray(column.cast(pa.float64()).fill_null(float("nan")).to_numpy(), dtype=np.float64) + 0.0
    return values.view(np.int64)


def _tail(jobs: Jobs, rejected: tuple[Rejection, ...]) -> list[Finding]:
    """Return what was cut off at the end of the record."""
    state = pc.is_in(jobs.table["state"], pa.array(["running", "pending"])).to_numpy()
    last = jobs.end == np.nanmax(jobs.end) if np.isfinite(jobs.end).any() else np.zeros(len(jobs), dtype=bool)
    cut = state if int(last.sum()) < SHARED_END else state | last
    remedy = "their run times may be too short or missing; end the window earlier"
    findings = jobs.finding(
        "truncated_tail",
        "doubtful",
        cut,
        "the job was not over, or many end with it in the record's last instant",
        remedy,
    )
    last_line = int(jobs.lines.max()) if len(jobs) else 0
    beyond = [item for item in rejected if item.row > last_line]
    if beyond and ("cells" in beyond[-1].reason or "fields" in beyond[-1].reason):
        findings.append(
            Finding(
                code="unreadable_end", severity="doubtful", count=len(beyond), share=len(beyond) / max(len(jobs), 1),
                rows=tuple(item.row for item in beyond[:EXAMPLES]),
                explanation="the last line of the file is incomplete", remedy="the file may be cut off: fetch it again",
            )
        )  # fmt: skip
    return findings


def _gap(jobs: Jobs) -> list[Finding]:
    """Return the gap finding where submissions pause for unusually long."""
    order = np.argsort(jobs.submit, kind="stable")
    steps = np.diff(jobs.submit[order])
    known = steps[steps > 0]
    if not len(known):
        return []
    unusual = np.flatnonzero(steps > max(LONG_GAP, GAP_FACTOR * float(np.median(known))))
    after = np.zeros(len(jobs), dtype=bool)
    after[order[unusual + 1]] = True
    longest = float(known.max()) / HOUR
    return jobs.finding(
        "submission_gap", "note", after, f"nothing was submitted for long before these jobs, {longest:,.1f} h at most",
        "the source may have been down or not recording; choose a window without the gap",
    )  # fmt: skip


def _clock(jobs: Jobs) -> list[Finding]:
    """Return what is not known about the source's clock."""
    origin = (jobs.table.schema.metadata or {}).get(ORIGIN, b"").decode()
    try:
        moment = datetime.fromisoformat(origin)
    except ValueError:
        moment = None
    if moment is None:
        code, explanation = "no_origin", "the trace does not say on which day it begins"
        remedy = "monthly figures of energy count with their mean; convert to CSV and state the origin in line 1"
    elif moment.tzinfo is None:
        code, explanation = (
            "zone_unknown",
            "the time zone of the source is not known; its times were taken as they stand",
        )
        remedy = "name it with --zone; times in a clock change are wrong otherwise"
    else:
        return []
    return [Finding(code=code, severity="note", count=0, share=0.0, rows=(), explanation=explanation, remedy=remedy)]
