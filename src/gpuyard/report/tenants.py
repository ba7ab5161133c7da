"""How tenants fared, for a report: what each held against its quota over time, and a table with a row a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.report.charts import Area, Chart, time_chart
from gpuyard.report.measures import lookup, number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.series import MAX_STEPS, Timeline, column, read_timeline
from gpuyard.report.wording import clean, format_value, unbroken
from gpuyard.result import Result
from gpuyard.units import counted

__all__ = ["tenant_figures", "tenant_grid", "tenant_lead"]

_CHARTS: Final = 8
"""Tenants with a chart of their own."""
_MOST: Final = 40
"""Tenants with a row in the table."""

Block = Mapping[str, object]
Floats = NDArray[np.float64]


def tenant_lead(result: Result) -> str:
    """Return a few sentences that say how the tenants fared, or nothing where there are none."""
    blocks = _blocks(result)
    if not blocks:
        return ""
    said = [_shared_by(result, len(blocks))]
    lender, borrower = (_most(blocks, key) for key in ("lent_gpu_hours", "borrowed_gpu_hours"))
    if borrower is not None:
        hours = format_value(lookup(blocks[borrower], "borrowed_gpu_hours"), "gpu_hours")
        lent = "" if lender is None else f"; {clean(str(lender), 40)} lent the most"
        said.append(f"{clean(str(borrower), 40)} borrowed the most, {hours}{lent}.")
    taken = number_at(result.numbers, "tenants.reclaims")
    if taken:
        said.append(f"Jobs made room for those of other tenants {counted(taken, 'time')}.")
    idle = [name for name, block in blocks.items() if not number_at(block, "jobs")]
    if idle:
        names = ", ".join(clean(str(name), 40) for name in idle[:3]) + (
            f" and {len(idle) - 3} more" if len(idle) > 3 else ""
        )
        said.append(f"No job belongs to {names}.")
    nobody = number_at(result.numbers, "tenants.jobs_of_nobody")
    if nobody:
        said.append(f"{counted(nobody, 'job')} {'belongs' if nobody == 1 else 'belong'} to none of the tenants.")
    return unbroken(" ".join(said))


def _shared_by(result: Result, count: int) -> str:
    quota = lookup(result.numbers, "tenants.nominal_gpus")
    apart = lookup(result.numbers, "by_virtual_cluster") is not None
    among = f"{counted(count, 'tenant')} shared the {'virtual clusters' if apart else 'cluster'}"
    if quota is None:
        return f"{among}, without quotas."
    common = number_at(result.numbers, "tenants.common_gpus")
    nobody = f", {counted(common, 'GPU')} of which belong to no tenant" if common else ""
    return f"{among}, with quotas of {counted(number_at(result.numbers, 'tenants.nominal_gpus') or 0, 'GPU')}{nobody}."


class _Who(NamedTuple):
    """A tenant, of a virtual cluster if these have tenants."""

    path: str
    virtual_cluster: str | None = None

    def __str__(self) -> str:
        return self.path if self.virtual_cluster is None else f"{self.path} in {self.virtual_cluster}"


def _blocks(result: Result) -> dict[_Who, Block]:
    """Return the numbers of each tenant; of each virtual cluster by itself, where these have tenants."""
    apart = lookup(result.numbers, "by_virtual_cluster")
    if not isinstance(apart, Mapping):
        return {_Who(path): block for path, block in _tenants_in(result.numbers).items()}
    return {
        _Who(path, str(name)): block
        for name, numbers in apart.items()
        if isinstance(numbers, Mapping)
        for path, block in _tenants_in(numbers).items()
    }


def _tenants_in(numbers: Mapping[str, object]) -> dict[str, Block]:
    found = lookup(numbers, "tenants.by_tenant")
    if not isinstance(found, Mapping):
        return {}
    return {str(name): block for name, block in found.items() if isinstance(block, Mapping)}


def _most(blocks: Mapping[_Who, Block], key: str) -> _Who | None:
    """Return the tenant with the most of something, the first by name of equals; ``None`` where nobody has any."""
    amounts = {name: number_at(block, key) or 0.0 for name, block in blocks.items()}
    name = min(amounts, key=lambda each: (-amounts[each], each))
    return name if amounts[name] > 0 else None


def tenant_figures(result: Result) -> list[Chart]:
    """Return a chart for each of the tenants that held the most: what it held against its quota."""
    table, timeline, blocks = result.tenants, read_timeline(result), _blocks(result)
    if table is None or not table.num_rows or timeline is None:
        return []
    drawn = [who for who in _ordered(blocks) if _size(blocks[who])[0] > 0][:_CHARTS]
    return [_chart(table, timeline, who, place) for place, who in enumerate(drawn)]


def _ordered(blocks: Mapping[_Who, Block]) -> list[_Who]:
    """Return the tenants that hold or are due the most first."""
    sizes = {name: _size(block) for name, block in blocks.items()}
    return sorted(blocks, key=lambda who: (-sizes[who][0], -sizes[who][1], str(who)))


def _size(block: Block) -> tuple[float, float]:
    return number_at(block, "held_gpu_hours") or 0.0, number_at(block, "nominal_gpus") or 0.0


def _chart(table: pa.Table, timeline: Timeline, who: _Who, place: int) -> Chart:
    mine = table.filter(pc.equal(table["tenant"], who.path))
    if who.virtual_cluster is not None:
        mine = mine.filter(pc.equal(mine["virtual_cluster"], who.virtual_cluster))
    start, length = column(mine, "time"), column(mine, "duration_s")
    first = np.arange(0, start.size, -(-start.size // MAX_STEPS))
    edges = np.append(start[first], start[-1] + length[-1])
    seconds = np.add.reduceat(length, first)

    def mean(column_name: str) -> Floats:
        return np.asarray(np.add.reduceat(column(mine, column_name) * length, first) / seconds, np.float64)

    held, nominal = mean("held_gpus"), mean("nominal_gpus")
    areas = [Area(name="held", slot="c0", values=held, stacked=True)]
    if np.isfinite(nominal).all():
        borrowed = mean("borrowed_gpus")
        areas = [
            Area(name="within its quota", slot="c0", values=np.maximum(held - borrowed, 0), stacked=True),
            Area(name="borrowed", slot="c1", values=borrowed, stacked=True),
            Area(name="nominal quota", slot="ink", values=nominal),
        ]
    own = Timeline(edges=edges, values={}, merged=1, origin=timeline.origin, window=timeline.window)
    return time_chart(
        f"tenant-{place}",
        f"GPUs of {clean(str(who), 48)}",
        edges,
        areas,
        y_label="GPUs",
        note="",
        means=[own.mean(area.values) for area in areas],
        origin=own.origin,
        window=own.window,
    )


_COLUMNS: Final = (
    ("jobs", "Jobs", "count", ""),
    ("nominal_gpus", "Quota", "count", "GPUs that it may always have, with those below it"),
    ("borrow_gpus", "May borrow", "count", "GPUs above its quota; a dash: no limit"),
    ("held_gpu_hours", "Held", "gpu_hours", "GPUs asked for by running jobs, times hours"),
    ("within_quota_gpu_hours", "Within quota", "gpu_hours", "of what it held, not borrowed"),
    ("borrowed_gpu_hours", "Borrowed", "gpu_hours", "held above its quota"),
    ("lent_gpu_hours", "Lent", "gpu_hours", "of its quota, held by tenants beside it"),
    ("quota_used", "Quota used", "share", "what it held within its quota, of its quota"),
    ("at_quota_share", "At quota", "share", "share of the time in which it held all of its quota, or more"),
    ("reclaimed.preemptions", "Made room", "count", "its jobs that made room for other tenants"),
    ("reclaimed.lost_gpu_hours", "Lost by that", "gpu_hours", "held by these jobs for work that was lost"),
    ("reclaims.preemptions", "Took back", "count", "other tenants' jobs that made room for its own"),
)
_WHERE_SOME: Final = ("reclaimed.preemptions", "reclaimed.lost_gpu_hours", "reclaims.preemptions", "borrow_gpus")
"""Columns that are there only where one tenant has a number that is not zero."""


def tenant_grid(result: Result) -> Grid | None:
    """Return the table of tenants, those that hold the most first; ``None`` where there are none."""
    blocks = _blocks(result)
    if not blocks:
        return None
    shown = [each for each in _COLUMNS if _is_told(list(blocks.values()), each[0])]
    names = _ordered(blocks)
    rows = tuple(
        (clean(str(who)), *(format_value(lookup(blocks[who], key), form) for key, _, form, _ in shown))
        for who in names[:_MOST]
    )
    columns = (
        Column(label="Tenant", numeric=False),
        *(Column(label=label, meaning=meaning) for _, label, _, meaning in shown),
    )
    hidden = len(names) - len(rows)
    note = f"{hidden:,} more, which held less, are in summary.json." if hidden else ""
    return Grid(caption="By tenant, with those below it", columns=columns, rows=rows, note=note)


def _is_told(blocks: Sequence[Block], key: str) -> bool:
    values = [lookup(block, key) for block in blocks]
    if key in _WHERE_SOME:
        return any(values) or (key == "borrow_gpus" and any(value is not None for value in values))
    return any(value is not None for value in values)
