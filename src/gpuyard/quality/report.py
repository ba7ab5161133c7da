"""The data-quality report: facts, findings, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from gpuyard.units import counted

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

    def lines(self) -> list[str]:
        """Return the finding for people: how bad and how often, where, and what to do."""
        counted = f", {self.count:,} ({_percent(self.share)})" if self.count else ""
        said = [f"{self.severity}: {self.code}{counted}: {self.explanation}"]
        if self.rows:
            several = "lines" if len(self.rows) > 1 else "line"
            more = " ..." if self.count > len(self.rows) else ""
            said.append(f"{several} {', '.join(map(str, self.rows))}{more}")
        return [*said, self.remedy]


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
        """Return (what, value) pairs for a table: the facts, then the notes."""
        largest = sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{gpus}: {jobs:,}" for gpus, jobs in largest[:8]) + (", ..." if len(largest) > 8 else "")
        facts = [
            ("trace", f"{self.name} ({self.format or 'no file'})"),
            ("origin", f"{self.origin or 'unknown'}{f' ({self.zone})' if self.zone else ''}"),
            ("rows", f"{self.rows_in:,} read, {counted(self.jobs, 'job')}, {sum(self.rejected.values()):,} rejected"),
            ("submissions", _span(self.first_submit_s, self.last_submit_s)),
            ("recorded starts", f"{self.recorded_starts:,}"),
            ("GPU-hours", f"{self.gpu_hours:,.1f}"),
            ("jobs by GPUs", shown),
        ]
        if self.selected_jobs != self.jobs:
            facts.insert(3, ("selected", counted(self.selected_jobs, "job")))
        if self.wait_s:
            facts.append(("recorded wait, s", ", ".join(f"{name} {value:,.0f}" for name, value in self.wait_s.items())))
        if self.peak_gpus is not None:
            facts.append(("recorded peak", f"{counted(self.peak_gpus, 'GPU')} at {self.peak_time_s:,.0f} s"))
        if self.longest_gap_s is not None:
            facts.append(("longest gap", f"{self.longest_gap_s:,.0f} s between submissions"))
        return facts + [("note", note) for note in self.notes]

    def is_clean(self) -> bool:
        """Return whether nothing is lost and nothing doubtful; notes do not count."""
        return all(item.severity == "note" for item in self.findings)

    def verdict(self) -> str:
        """Return in one line how many rows are jobs and how many findings there are."""
        counts = {name: sum(item.severity == name for item in self.findings) for name in ("lost", "doubtful", "note")}
        are = "is a job" if self.rows_in == 1 else "are jobs"
        return (
            f"{self.jobs:,} of {counted(self.rows_in, 'row')} {are}; findings: {counts['lost']} lost, "
            f"{counts['doubtful']} doubtful, {counted(counts['note'], 'note')}"
        )


def _percent(share: float) -> str:
    return "under 0.01 %" if 0 < share < 0.0001 else f"{100 * share:.2f} %"


def _span(first: float | None, last: float | None) -> str:
    if first is None or last is None:
        return "none"
    return f"{first:,.0f} s to {last:,.0f} s, {(last - first) / 86_400:,.1f} days"
