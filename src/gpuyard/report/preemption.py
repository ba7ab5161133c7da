"""Who made room, and why, for a report: a row for each reason, counted in the window as all of a summary is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from gpuyard.choices import PREEMPTIONS
from gpuyard.report.measures import number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.wording import UNKNOWN, clean, format_number, format_value
from gpuyard.result import Result
from gpuyard.units import counted

__all__ = ["preemption_counts", "preemption_grid"]

_BETWEEN_TENANTS: Final = {
    "reclaim": "a tenant takes back its quota, or its share, from another",
    "borrow": "a tenant's more urgent job borrows in place of another tenant's",
}

Block = Mapping[str, object]


def preemption_counts(result: Result) -> str:
    """Return how many made room for which reason, most first: ``161 priority, 305 reclaim``; else nothing."""
    return ", ".join(
        f"{format_value(number_at(block, 'preemptions'), 'count')} {clean(name)}" for name, block in _by_count(result)
    )


def preemption_grid(result: Result) -> Grid | None:
    """Return the table of preemptions by reason, most first; ``None`` where nobody made room in the window."""
    reasons = _by_count(result)
    if not reasons:
        return None
    rows = tuple((clean(name), *_numbers(block), _meaning(name)) for name, block in reasons)
    columns = (
        Column(label="Reason", numeric=False),
        Column(label="Preemptions", meaning="attempts that made room for this reason"),
        Column(label="Jobs", meaning="whose attempts these were"),
        Column(label="Held", meaning="GPUs times hours of these attempts"),
        Column(label="Lost", meaning="of this for nothing: work that was lost, restarts and checkpoints"),
        Column(label="Lost each time", meaning="the mean over these attempts"),
        Column(label="The reason is that", numeric=False),
    )
    note = " ".join(text for text in (_elsewhere(result, reasons), _outside(result, reasons)) if text)
    return Grid(caption="Preemptions by reason", columns=columns, rows=rows, note=note)


def _by_count(result: Result) -> list[tuple[str, Block]]:
    found = result.numbers.get("by_preemption_reason")
    if not isinstance(found, Mapping):
        return []
    blocks = [(str(name), block) for name, block in found.items() if isinstance(block, Mapping)]
    return sorted(blocks, key=lambda each: (-(number_at(each[1], "preemptions") or 0), each[0]))


def _meaning(reason: str) -> str:
    if reason in _BETWEEN_TENANTS:
        return _BETWEEN_TENANTS[reason]
    return PREEMPTIONS[reason].meaning.partition("; ")[0] if reason in PREEMPTIONS else ""


def _numbers(block: Block) -> tuple[str, ...]:
    times, lost = number_at(block, "preemptions"), number_at(block, "lost_gpu_hours")
    each = f"{format_number(lost / times)} GPU-h" if times and lost is not None else UNKNOWN
    return (
        format_value(times, "count"),
        format_value(number_at(block, "jobs"), "count"),
        format_value(number_at(block, "gpu_hours"), "gpu_hours"),
        format_value(lost, "gpu_hours"),
        each,
    )


def _elsewhere(result: Result, reasons: list[tuple[str, Block]]) -> str:
    """Say what other attempts lost, so that the column adds up to what the summary says."""
    everything = number_at(result.numbers, "lost_gpu_hours") or 0.0
    rest = everything - sum(number_at(block, "lost_gpu_hours") or 0.0 for _, block in reasons)
    if rest <= 1e-9 * everything:
        return ""
    return f"Other attempts lost {format_value(rest, 'gpu_hours')}, such as by restarts and checkpoints."


def _outside(result: Result, reasons: list[tuple[str, Block]]) -> str:
    """Say how many made room outside the window, which ``attempts.parquet`` has and no number of a summary counts."""
    if "end_reason" not in result.attempts.column_names:
        return ""
    ends = pc.cast(result.attempts.column("end_reason"), pa.string())
    whole = pc.sum(pc.fill_null(pc.equal(ends, "preempted"), False)).as_py() or 0
    outside = whole - sum(number_at(block, "preemptions") or 0 for _, block in reasons)
    if outside <= 0:
        return ""
    return f"{counted(outside, 'more preemption')} outside the window measured are in attempts.parquet alone."
