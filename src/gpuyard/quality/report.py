"""The data-quality report: facts, findings, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

__all__ = ["Finding", "QualityReport"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing worth knowing about a trace."""

    code: str
    """stable name, such as ``past_limit``"""
    severity: str
    """``lost`` (rows that cannot be simulated), ``doubtful`` (values that may be wrong) or ``note``"""
    count: int
    """jobs or rows concerned"""
    share: float
    """of all rows of the file for what was rejected, else of all jobs"""
    rows: tuple[int, ...]
    """the first lines of the file concerned"""
    explanation: str
    remedy: str

    def sentence(self) -> str:
        """Return the finding in one line."""
        where = f"; lines {', '.join(map(str, self.rows))}" if self.rows else ""
        more = " ..." if self.rows and self.count > len(self.rows) else ""
        counted = f"{self.count:,} ({self.share:.2%}): " if self.count else ""
        return f"{counted}{self.explanation}{where}{more}; {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class QualityReport:
    """What a trace holds, and the findings, worst first."""

    name: str
    format: str
    origin: str
    zone: str
    rows_in: int
    jobs: int
    rejected: Mapping[str, int]
    """rows that are no job, by reason"""
    selected_jobs: int
    """jobs of the workload that were kept for simulation"""
    first_submit_s: float | None
    last_submit_s: float | None
    last_end_s: float | None
    recorded_starts: int
    wait_s: Mapping[str, float]
    """mean, p50 and max of the recorded waits; empty where none is recorded"""
    gpu_hours: float
    sizes: Mapping[int, int]
    """jobs by GPUs; a share of a GPU counts as 1"""
    shared_gpu_jobs: int
    peak_gpus: float | None
    peak_time_s: float | None
    median_gap_s: float | None
    longest_gap_s: float | None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default=())

    def finding(self, code: str) -> Finding | None:
        """Return the first finding of that code, None where there is none."""
        return next((item for item in self.findings if item.code == code), None)

    def to_dict(self) -> dict[str, object]:
        """Return all of it as plain values for JSON."""
        facts = asdict(self)
        facts["sizes"] = {str(gpus): jobs for gpus, jobs in self.sizes.items()}
        facts["notes"] = list(self.notes)
        facts["findings"] = [{**asdict(item), "rows": list(item.rows)} for item in self.findings]
        return facts

    def rows(self) -> list[tuple[str, str]]:
        """Return (what, value) pairs for a table: the facts, the notes, then the findings."""
        largest = sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{gpus}: {jobs:,}" for gpus, jobs in largest[:8]) + (", ..." if len(largest) > 8 else "")
        facts = [
            ("trace", f"{self.name} ({self.format or 'no file'})"),
            ("origin", f"{self.origin or 'unknown'}{f' ({self.zone})' if self.zone else ''}"),
            ("rows", f"{self.rows_in:,} read, {self.jobs:,} jobs, {sum(self.rejected.values()):,} rejected"),
            ("selected", f"{self.selected_jobs:,} jobs"),
            ("submissions", _span(self.first_submit_s, self.last_submit_s)),
            ("recorded starts", f"{self.recorded_starts:,}"),
            ("GPU-hours", f"{self.gpu_hours:,.1f}"),
            ("jobs by GPUs", shown),
        ]
        if self.wait_s:
            facts.append(("recorded wait, s", ", ".join(f"{name} {value:,.0f}" for name, value in self.wait_s.items())))
        if self.peak_gpus is not None:
            facts.append(("recorded peak", f"{self.peak_gpus:,g} GPUs at {self.peak_time_s:,.0f} s"))
        if self.longest_gap_s is not None:
            facts.append(("longest gap", f"{self.longest_gap_s:,.0f} s between submissions"))
        facts += [("note", note) for note in self.notes]
        return facts + [(f"{item.severity}: {item.code}", item.sentence()) for item in self.findings]


def _span(first: float | None, last: float | None) -> str:
    if first is None or last is None:
        return "none"
    return f"{first:,.0f} s to {last:,.0f} s, {(last - first) / 86_400:,.1f} days"
