"""The parts of a report, as plain data: tiles, notices, tables.  Templates lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from gpuyard.report.measures import HEADLINES, MEASURES, Measure, lookup, number_at
from gpuyard.report.series import OTHER
from gpuyard.report.wording import UNKNOWN, clean, format_change, format_value, natural_key, unbroken
from gpuyard.result import Result
from gpuyard.units import counted

__all__ = ["Column", "Grid", "Tile", "group_grids", "lead", "notices", "recorded_grid", "rejected_grid", "tiles"]

_MOST_GROUPS: Final = 20
_LONG: Final = 160


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table: heading, what it means, and whether it holds numbers."""

    label: str
    meaning: str = ""
    numeric: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table ready to be shown; the first cell of a row names it."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A headline number."""

    measure: Measure
    number: str
    unit: str
    below: str


def tiles(result: Result) -> list[Tile]:
    """Return the headline numbers that this result has."""
    numbers = result.numbers
    first = ", to the first start" if number_at(numbers, "preemptions") else ""
    below = {
        "jobs.submitted": _parts(numbers, ("completed", "failed", "cancelled", "timed_out", "rejected", "unfinished")),
        "gpu.allocation_rate": f"of {_gpus_up(result)}, held by jobs",
        "gpu.utilization": "of the GPUs up, busy",
        "wait_s.mean": f"median {format_value(lookup(numbers, 'wait_s.p50'), 'seconds')}{first}",
        "wait_s.p95": f"longest {format_value(lookup(numbers, 'wait_s.max'), 'seconds')}",
        "energy.facility_kwh": f"IT {format_value(lookup(numbers, 'energy.it_kwh'), 'kwh')}",
        "energy.peak_mw": f"mean {format_value(lookup(numbers, 'energy.mean_mw'), 'mw')}",
        "energy.pue": "facility over IT energy",
        "energy.cost_krw": _per_kwh(numbers, "energy.cost_krw", "KRW per kWh"),
        "energy.carbon_kg": _per_kwh(numbers, "energy.carbon_kg", "kg CO₂ equivalent per kWh"),
    }
    shown = []
    for measure in HEADLINES:
        text = measure.shown(numbers)
        if text != UNKNOWN:
            number, unit = _number_and_unit(text, measure.form)
            shown.append(Tile(measure=measure, number=number, unit=unit, below=below[measure.key]))
    return shown


def _per_kwh(numbers: Mapping[str, object], key: str, unit: str) -> str:
    amount, energy = number_at(numbers, key), number_at(numbers, "energy.facility_kwh")
    return f"{format_value(amount / energy, 'number')} {unit}" if amount is not None and energy else ""


def _number_and_unit(text: str, form: str) -> tuple[str, str]:
    if form == "seconds" and text.count(" ") and not text.endswith(" s"):
        return text, ""
    number, _, unit = text.partition(" ")
    return number, unit


def _parts(numbers: Mapping[str, object], names: Sequence[str]) -> str:
    counts = ((name, number_at(numbers, f"jobs.{name}")) for name in names)
    return ", ".join(f"{count:,.0f} {name.replace('_', ' ')}" for name, count in counts if count)


def lead(result: Result) -> list[str]:
    """Return two or three plain sentences that say what happened."""

    def get(key: str, form: str) -> str:
        return format_value(lookup(result.numbers, key), form)

    jobs = counted(number_at(result.numbers, "jobs.submitted") or 0, "job")
    start, end = number_at(result.numbers, "window.start_s"), number_at(result.numbers, "window.end_s")
    over = f" over {format_value(end - start, 'seconds')}" if start is not None and end is not None else ""
    busy = f" and kept {get('gpu.utilization', 'share')} busy" if number_at(result.numbers, "gpu.utilization") else ""
    said = [f"{jobs} on {_gpus_up(result)}{over}: jobs held {get('gpu.allocation_rate', 'share')} of the GPUs{busy}."]
    if number_at(result.numbers, "wait_s.p95") is not None:
        said.append(f"Half of the jobs started {_within(result, 'p50')}, 95 of 100 {_within(result, 'p95')}.")
    if number_at(result.numbers, "preemptions"):
        times = counted(number_at(result.numbers, "preemptions") or 0, "time")
        said.append(
            f"Running jobs made room for others {times}; {get('gpu.goodput', 'share')} of the GPU time held was useful."
        )
    if number_at(result.numbers, "energy.facility_kwh") is not None:
        cost = f", costing {get('energy.cost_krw', 'krw')}" if number_at(result.numbers, "energy.cost_krw") else ""
        said.append(
            f"The site drew {get('energy.facility_kwh', 'kwh')}{cost}, with a peak of {get('energy.peak_mw', 'mw')}."
        )
    return [unbroken(sentence) for sentence in said]


def _gpus_up(result: Result) -> str:
    """Return how many GPUs there are; of a site that grows, at first and in the end."""
    count = number_at(result.numbers, "gpu.count") or 0
    stages = result.numbers.get("stages")
    blocks = stages.values() if isinstance(stages, Mapping) else ()
    up = [number for block in blocks if (number := number_at(block, "gpus_up"))]
    least = min(map(round, up), default=count)
    return counted(count, "GPU") if least >= count else f"{least:,} to {counted(count, 'GPU')}"


def _within(result: Result, level: str) -> str:
    wait = number_at(result.numbers, f"wait_s.{level}")
    return "at once" if wait == 0 else f"within {format_value(wait, 'seconds')}"


def notices(result: Result) -> list[str]:
    """Return what a reader must know before trusting the numbers."""
    numbers, said = result.numbers, []
    if lookup(numbers, "saturated") is True or lookup(numbers, "window.saturated") is True:
        said.append(
            "The cluster was saturated: the queue kept growing while jobs came, so that waits tell as much about the "
            "length of the workload as about the policy."
        )
    rejected = number_at(numbers, "jobs.rejected")
    if rejected:
        reason = _commonest_reason(result)
        were = "job was" if rejected == 1 else "jobs were"
        said.append(f"{rejected:,.0f} {were} rejected and never ran{reason and f': {reason}'}.")
    for key, text in (
        ("jobs.unfinished", "had not finished when the simulation stopped; completion times leave them out."),
        ("oversubscribed.attempts", "held nothing: the record holds more than this cluster had room for."),
    ):
        count = number_at(numbers, key)
        if count:
            said.append(f"{count:,.0f} {'job' if count == 1 else 'jobs'} {text}")
    said += _drained(result)
    said += _absent(result)
    said += _spared(result)
    rows = number_at(result.scenario, "provenance.workload_rejected_rows")
    if rows:
        were = "row of the workload is no job" if rows == 1 else "rows of the workload are no jobs"
        said.append(f"{rows:,.0f} {were} and {'was' if rows == 1 else 'were'} left out; 'gpuyard validate' says why.")
    left = number_at(result.scenario, "provenance.workload_jobs_not_over")
    if left:
        said.append(
            f"{left:,.0f} {'job was' if left == 1 else 'jobs were'} still running or pending when the record ended: "
            "what it says of their run times may be too short, or missing."
        )
    warnings = numbers.get("warnings")
    if isinstance(warnings, list | tuple):
        said.extend(clean(text, 400) for text in warnings)
    return list(dict.fromkeys(said))


def _spared(result: Result) -> list[str]:
    """Say how many jobs went round with others until they were left alone; a low bound is wanted and no news."""
    spared = number_at(result.numbers, "tenants.spared_jobs")
    most = number_at(result.scenario, "policy.preemption.max_preemptions")
    if not spared or most is None or most < _ROUND_AND_ROUND:
        return []
    return [
        f"{spared:,.0f} {'job was' if spared == 1 else 'jobs were'} preempted {most:,.0f} times and left alone from "
        "then on (max_preemptions): tenants took from each other round and round, in attempts that may save nothing."
    ]


def _commonest_reason(result: Result) -> str:
    """Return why jobs were rejected, the commonest reason where there are several, or nothing."""
    if "reject_reason" not in result.jobs.column_names:
        return ""
    counts = pc.value_counts(pc.drop_null(pc.cast(result.jobs.column("reject_reason"), pa.string()))).to_pylist()
    if not counts:
        return ""
    first = min(counts, key=lambda each: (-each["counts"], each["values"]))
    return clean(first["values"], 120) + (f" ({first['counts']:,} of them)" if len(counts) > 1 else "")


def _absent(result: Result) -> list[str]:
    """Return the notice that tenants of a synthetic workload move in only after its end."""
    tenants, there = lookup(result.scenario, "workload.tenants"), result.numbers.get("by_tenant")
    if not isinstance(tenants, Mapping) or not isinstance(there, Mapping):
        return []
    late = [
        f"{clean(name, 40)} on {clean(tenant['start'], 40)}"
        for name, tenant in tenants.items()
        if isinstance(tenant, Mapping) and tenant.get("start") is not None and name not in there
    ]
    if not late:
        return []
    named = ", ".join(late[:3]) + (f" and {len(late) - 3} more" if len(late) > 3 else "")
    who = "1 tenant moves" if len(late) == 1 else f"{len(late)} tenants move"
    return [f"Less was offered than the load says: {who} in only after the end of the workload ({named})."]


_DRAIN: Final = 0.25
"""Part of the window after the last submission from which on a reader should know of it, in runs of a day or more."""
_DAY: Final = 86_400.0


def _drained(result: Result) -> list[str]:
    """Return the notice that a good part of the window lies after the last submission."""
    start, end = number_at(result.numbers, "window.start_s"), number_at(result.numbers, "window.end_s")
    if start is None or end is None or "submit_time" not in result.jobs.column_names or not result.jobs.num_rows:
        return []
    last = pc.max(result.jobs.column("submit_time")).as_py()
    if last is None or end - start < _DAY or end - last <= _DRAIN * (end - start):
        return []
    return [
        f"The last job was submitted {format_value(end - last, 'seconds')} before the end of the "
        f"{format_value(end - start, 'seconds')} measured. From then on the cluster runs empty, which lowers every "
        "mean over time; set a window (run.window) to measure the time before."
    ]


_GROUPS: Final = (
    ("by_virtual_cluster", "virtual_cluster", "By virtual cluster", "Virtual cluster"),
    ("by_class", "job_class", "By class", "Class"),
    ("by_tenant", "tenant", "By tenant", "Tenant"),
    ("by_partition", "partition", "By partition", "Partition"),
    ("by_qos", "qos", "By QOS", "QOS"),
    ("by_gpus", "", "By size of the job", "GPUs"),
)
_NAME: Final = "name"
"""The form of a column of names."""
_GROUP_COLUMNS: Final = (
    ("gpus", "GPUs", "count", "GPUs of its nodes"),
    ("policy", "Policy", _NAME, "under which its jobs are scheduled"),
    ("gpu.allocation_rate", "Allocation rate", "share", "its GPUs that are held, over its GPUs up"),
    ("jobs.submitted", "Jobs", "count", ""),
    ("wait_s.mean", "Mean wait", "seconds", ""),
    ("wait_s.p50", "Median wait", "seconds", ""),
    ("wait_s.p95", "95 % waited at most", "seconds", ""),
    ("jct_s.mean", "Mean completion", "seconds", ""),
    ("bounded_slowdown.mean", "Mean slowdown", "number", ""),
    ("gpu.gpu_hours", "GPU-hours", "number", "GPUs times hours held"),
    ("gpu.share", "Share", "share", "share of all GPU-hours held"),
    ("gpu.utilization", "Utilization", "share", "of the GPUs up, busy with these jobs: held, times their activity"),
    ("energy.it_kwh", "IT energy", "kwh", "electricity drawn by the nodes for these jobs, without cooling and losses"),
    ("preemptions", "Preemptions", "count", ""),
    ("lost_gpu_hours", "Lost", "gpu_hours", "GPUs times hours held for work that was lost, restarts and checkpoints"),
)


def group_grids(result: Result) -> list[Grid]:
    """Return the tables by class, tenant and size, most GPU time first (sizes ascending)."""
    return [
        grid
        for key, group, caption, first in _GROUPS
        if (grid := _group_grid(result, key, group, caption, first)) is not None
    ]


def _group_grid(result: Result, key: str, group: str, caption: str, first: str) -> Grid | None:
    blocks = result.numbers.get(key)
    if not isinstance(blocks, Mapping) or not blocks:
        return None
    if group and set(blocks) <= {OTHER}:
        return None
    known = {str(name): block for name, block in blocks.items() if isinstance(block, Mapping)}
    hours = {name: number_at(block, "gpu.gpu_hours") or 0.0 for name, block in known.items()}
    order = sorted(known, key=(lambda name: (-hours[name], name)) if group else natural_key)
    paths = [each for each in _GROUP_COLUMNS if _is_told(key, each[0], list(known.values()))]
    rows = [
        (clean(name), *(_shown(lookup(known[name], path), form) for path, _, form, _ in paths))
        for name in order[:_MOST_GROUPS]
    ]
    hidden = len(order) - len(rows)
    columns = (
        Column(label=first, numeric=False),
        *(Column(label=label, meaning=meaning or _meaning(path)) for path, label, _, meaning in paths),
    )
    note = f"{hidden:,} more, with less GPU time, are in summary.json." if hidden else ""
    return Grid(caption=caption, columns=columns, rows=tuple(rows), note=note)


_ROUND_AND_ROUND: Final = 1_000
"""Nobody is preempted so often but by those whom it preempts in turn."""
_WHERE_SOME: Final = ("preemptions", "lost_gpu_hours")
"""Of groups, told only where one is not zero: most runs lose and preempt nothing."""


def _is_told(key: str, path: str, blocks: Sequence[Mapping[str, object]]) -> bool:
    values = [value for block in blocks if (value := lookup(block, path)) is not None]
    if path == "gpu.allocation_rate" and key != "by_virtual_cluster":
        return False  # of all GPUs, which says what the share says
    if path == "policy":
        return len(set(values)) > 1
    return bool(values) and not (path in _WHERE_SOME and not any(values))


def _shown(value: object, form: str) -> str:
    return clean(value) if form == _NAME and value is not None else format_value(value, form)


def _meaning(key: str) -> str:
    return next((measure.meaning for measure in MEASURES if measure.key == key), "")


_LEVELS: Final = (
    ("mean", "Mean"),
    ("p50", "Median"),
    ("p90", "90th percentile"),
    ("p95", "95th percentile"),
    ("p99", "99th percentile"),
    ("max", "Longest"),
)


def recorded_grid(result: Result) -> Grid | None:
    """Return recorded against simulated waits, over the jobs that have both; ``None`` where no start was recorded."""
    block = result.numbers.get("recorded")
    if not isinstance(block, Mapping):
        return None
    rows = []
    for key, label in _LEVELS:
        was, now = number_at(block, f"recorded_wait_s.{key}"), number_at(block, f"simulated_wait_s.{key}")
        change = None if was is None or now is None else now - was
        rows.append(
            (label, format_value(was, "seconds"), format_value(now, "seconds"), format_change(change, "seconds"))
        )
    note = f"Over {counted(number_at(block, 'jobs') or 0, 'job')} with both."
    if number_at(block, "mean_absolute_error_s") is not None:
        note += f" Mean absolute difference {format_value(block['mean_absolute_error_s'], 'seconds')}."
    if number_at(block, "correlation") is not None:
        note += f" Correlation of the two waits (Pearson) {format_value(block['correlation'], 'ratio')}."
    columns = (
        Column(label="Wait since submission", numeric=False),
        Column(label="Recorded"),
        Column(label="Simulated"),
        Column(label="Simulated minus recorded"),
    )
    return Grid(caption="Waits in numbers", columns=columns, rows=tuple(rows), note=note)


def rejected_grid(result: Result) -> Grid | None:
    """Return the rejected jobs counted by reason, with examples; ``None`` where none was rejected."""
    jobs = result.jobs
    if "reject_reason" not in jobs.column_names or "state" not in jobs.column_names:
        return None
    rejected = jobs.filter(pc.fill_null(pc.equal(pc.cast(jobs.column("state"), pa.string()), "rejected"), False))
    if rejected.num_rows == 0:
        return None
    reasons: dict[str, list[str]] = {}
    names = pc.fill_null(pc.cast(rejected.column("reject_reason"), pa.string()), "no reason recorded").to_pylist()
    for name, job in zip(names, rejected.column("job_id").to_pylist(), strict=True):
        reasons.setdefault(name, []).append(str(job))
    order = sorted(reasons, key=lambda reason: (-len(reasons[reason]), reason))
    rows = tuple(
        (clean(reason, _LONG), f"{len(reasons[reason]):,}", ", ".join(clean(job, 30) for job in reasons[reason][:3]))
        for reason in order[:_MOST_GROUPS]
    )
    hidden = sum(len(reasons[reason]) for reason in order[_MOST_GROUPS:])
    columns = (Column(label="Reason", numeric=False), Column(label="Jobs"), Column(label="For example", numeric=False))
    note = f"In jobs.parquet, for other reasons: {counted(hidden, 'more job')}." if hidden else ""
    return Grid(caption="Rejected jobs", columns=columns, rows=rows, note=note)
