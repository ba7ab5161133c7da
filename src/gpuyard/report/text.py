"""A run or a comparison in a terminal: short rows of plain words, and tables for rich to print.

Nothing here prints.  Text out of traces goes into :class:`rich.text.Text`, never into markup, and
without the characters that steer a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpuyard.report.fairness import fairness_grid
from gpuyard.report.measures import lookup, number_at
from gpuyard.report.preemption import preemption_counts, preemption_grid
from gpuyard.report.sections import Grid, group_grids, notices, rejected_grid
from gpuyard.report.services import service_grid
from gpuyard.report.several import several_grids
from gpuyard.report.stages import stage_grids
from gpuyard.report.tenants import tenant_grid
from gpuyard.report.wording import UNKNOWN, clean, format_value
from gpuyard.result import Result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from gpuyard.report.compare import Comparison

__all__ = [
    "SummaryRow",
    "comparison_table",
    "grid_table",
    "group_tables",
    "notice_texts",
    "several_tables",
    "summary_rows",
    "summary_table",
]

_MOST_ROWS: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRow:
    """One line of a summary: what, how much, and the figures that belong to it."""

    label: str
    value: str
    note: str = ""

    def __iter__(self) -> object:
        """Unpack as label, value, note."""
        return iter((self.label, self.value, self.note))


def summary_rows(result: Result) -> list[SummaryRow]:
    """Return the summary of a run, at most 24 rows; what the run did not compute is left out."""
    rows = [
        _row(result, "Jobs", "jobs.submitted", "count", _states(result)),
        _percentiles(result, "Wait", "wait_s", "seconds"),
        _percentiles(result, "Completion", "jct_s", "seconds"),
        _percentiles(result, "Slowdown", "bounded_slowdown", "number"),
        _row(result, "Makespan", "makespan_s", "seconds", "first submission to last end"),
        _row(result, "GPUs", "gpu.count", "count", ""),
        _row(result, "Allocation rate", "gpu.allocation_rate", "share", "held over up"),
        _row(result, "Utilization", "gpu.utilization", "share", "busy over up"),
        _row(result, "Goodput", "gpu.goodput", "share", "useful over held GPU time"),
        _row(result, "Fragmentation", "gpu.fragmentation", "share", "of what is free, for a job of the workload"),
        _row(result, "Queue, mean", "queue.mean_jobs", "number", _queue(result)),
        _row(
            result,
            "Services",
            "services.time_attained",
            "share",
            _requests(result),
        ),
        _row(result, "Fairness", "fairness.jain_gpu_hours", "ratio", _fairness(result)),
        *_some(result, "Preemptions", "preemptions", "count", preemption_counts(result)),
        *_some(result, "Taken back", "tenants.reclaims", "count"),
        *_some(result, "Restarts", "restarts", "count"),
        *_some(result, "Lost GPU time", "lost_gpu_hours", "gpu_hours"),
        _row(result, "Facility energy", "energy.facility_kwh", "kwh", _noted(result, "IT", "energy.it_kwh", "kwh")),
        _row(result, "PUE", "energy.pue", "ratio", "facility over IT energy"),
        _row(result, "Peak power", "energy.peak_mw", "mw", _noted(result, "mean", "energy.mean_mw", "mw")),
        _row(result, "Energy, GPU-hour", "energy.kwh_per_gpu_hour", "kwh_per_gpu_hour", "facility, per GPU-hour held"),
        _row(result, "Electricity cost", "energy.cost_krw", "krw", ""),
        _row(result, "Carbon", "energy.carbon_kg", "kg", "CO\N{SUBSCRIPT TWO} equivalent"),
        _row(result, "Across racks", "network.cross_rack_share", "share", "of the GPU time of jobs on several nodes"),
        _row(result, "Events", "engine.events", "count", _speed(result)),
        _digest(result),
    ]
    return [row for row in rows if row is not None]


def _row(result: Result, label: str, key: str, form: str, note: str) -> SummaryRow | None:
    value = format_value(lookup(result.numbers, key), form)
    return None if value == UNKNOWN else SummaryRow(label=label, value=value, note=note)


def _some(result: Result, label: str, key: str, form: str, note: str = "") -> list[SummaryRow]:
    """Return the row of a count, or none where it is zero: most runs lose and preempt nothing."""
    row = _row(result, label, key, form, note) if number_at(result.numbers, key) else None
    return [] if row is None else [row]


def _states(result: Result) -> str:
    names = ("completed", "failed", "cancelled", "timed_out", "rejected", "unfinished")
    counts = [(name, number_at(result.numbers, f"jobs.{name}")) for name in names]
    return ", ".join(f"{count:,.0f} {name.replace('_', ' ')}" for name, count in counts if count)


def _percentiles(result: Result, label: str, key: str, form: str) -> SummaryRow | None:
    shown = [f"{name} {format_value(lookup(result.numbers, f'{key}.{name}'), form)}" for name in ("p50", "p95", "p99")]
    return _row(result, f"{label}, mean", f"{key}.mean", form, "  ".join(shown))


def _queue(result: Result) -> str:
    most = format_value(lookup(result.numbers, "queue.max_jobs"), "count")
    gpus = format_value(lookup(result.numbers, "queue.mean_gpus"), "number")
    return f"jobs, at most {most}; {gpus} {'GPU' if gpus == '1' else 'GPUs'} asked for"


def _requests(result: Result) -> str:
    late, lost = (format_value(lookup(result.numbers, f"services.{name}"), "count") for name in ("late", "lost"))
    return f"of the time with goals met; {late} requests late, {lost} lost"


def _fairness(result: Result) -> str:
    waits, short = (
        format_value(lookup(result.numbers, f"fairness.{name}"), form)
        for name, form in (("jain_wait", "ratio"), ("shortfall_gpu_hours", "gpu_hours"))
    )
    return f"Jain index of GPU time; of waits {waits}; {short} short of shares"


def _noted(result: Result, word: str, key: str, form: str) -> str:
    return f"{word} {format_value(lookup(result.numbers, key), form)}"


def _speed(result: Result) -> str:
    wall = format_value(lookup(result.numbers, "engine.wall_s"), "seconds")
    return f"in {wall}, {format_value(lookup(result.numbers, 'engine.events_per_s'), 'count')} a second"


def _digest(result: Result) -> SummaryRow | None:
    digest = lookup(result.numbers, "engine.digest")
    return (
        SummaryRow(label="Digest", value=clean(digest)[:12], note="schedule, SHA-256")
        if isinstance(digest, str)
        else None
    )


def summary_table(result: Result, *, title: str | None = None) -> Table:
    """Return the summary as a table that fits 80 columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(clean(title)) if title else None, show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.add_column("what", style="bold", no_wrap=True)
    table.add_column("how much", justify="right", no_wrap=True)
    table.add_column("and", style="dim", overflow="fold")
    for row in summary_rows(result):
        table.add_row(Text(row.label), Text(row.value), Text(row.note))
    return table


def grid_table(grid: Grid, *, most: int = _MOST_ROWS, columns: Sequence[int] | None = None) -> Table:
    """Return a table of a report for the terminal, with the first rows and, where asked, some of its columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    chosen = range(len(grid.columns)) if columns is None else columns
    hidden = len(grid.rows) - most
    caption = Text(f"and {hidden:,} more") if hidden > 0 else None
    table = Table(
        title=Text(grid.caption, style="bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, caption=caption
    )
    for place in chosen:
        column = grid.columns[place]
        table.add_column(Text(column.label), justify="right" if column.numeric else "left", overflow="ellipsis")
    for row in grid.rows[:most]:
        table.add_row(*(Text(row[place]) for place in chosen))
    return table


def group_tables(result: Result) -> list[Table]:
    """Return the tables by group, of quotas, preemptions, services and rejected jobs, short enough for 80 columns."""
    tables = [grid_table(grid, columns=_short_columns(grid)) for grid in group_grids(result)]
    tables += [grid_table(grid, columns=_short_columns(grid, _OF_STAGES)) for grid in stage_grids(result)]
    tenants = tenant_grid(result)
    if tenants is not None:
        tables.append(grid_table(tenants, columns=_short_columns(tenants)))
    preemptions = preemption_grid(result)
    if preemptions is not None:
        tables.append(grid_table(preemptions, columns=(0, 1, 2, 3, 4)))
    fairness = fairness_grid(result)
    if fairness is not None:
        tables.append(grid_table(fairness, columns=_short_columns(fairness)))
    services = service_grid(result)
    if services is not None:
        tables.append(grid_table(services, columns=_short_columns(services)))
    rejected = rejected_grid(result)
    return tables if rejected is None else [*tables, grid_table(rejected, columns=(0, 1))]


_OF_SERVICES: Final = ("Wanted", "Ready", "Requests", "On time", "Lost", "Goal met")


_OF_FAIRNESS: Final = ("Due", "Got", "Shortfall", "Mean rho", "Slowed down")
_OF_TENANTS: Final = ("Quota", "Held", "Borrowed", "Lent", "At quota")
_OF_STAGES: Final = ("From", "GPUs up", "Allocation rate", "Utilization", "Energy", "Mean power")
_OF_GROUPS: Final = ("Jobs", "Mean wait", "95 % waited at most", "GPU-hours", "Share")
_SHORT: Final = (*_OF_GROUPS, *_OF_SERVICES, *_OF_TENANTS, *_OF_FAIRNESS)


def _short_columns(grid: Grid, wanted: Sequence[str] = _SHORT) -> list[int]:
    return [place for place, column in enumerate(grid.columns) if place == 0 or column.label in wanted]


def several_tables(results: Sequence[Result], names: Sequence[str]) -> list[Table]:
    """Return the tables of several runs, with a column for each."""
    return [grid_table(grid, most=len(grid.rows)) for grid in several_grids(results, names)]


def notice_texts(result: Result) -> list[RenderableType]:
    """Return what a reader must know first, one text a notice."""
    from rich.text import Text

    return [Text(f"! {notice}", style="yellow") for notice in notices(result)]


def comparison_table(comparison: Comparison, *, every: bool = False) -> Table:
    """Return two runs side by side: the headline numbers, or every number that differs."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    first, second = comparison.names
    for heading in ("", clean(first, 16), clean(second, 16), "difference", "", ""):
        table.add_column(Text(heading), justify="left" if not table.columns else "right", no_wrap=bool(table.columns))
    colours: Mapping[str, str] = {"better": "green", "worse": "red"}
    for row in comparison.rows(every=every):
        style = colours.get(row.verdict, "")
        cells = (row.label, row.first, row.second, row.change)
        table.add_row(*(Text(cell) for cell in cells), Text(row.relative), Text(row.verdict, style=style))
    return table
