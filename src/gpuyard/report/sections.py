"""The parts of a report, as plain data: tiles, notices, tables.  Templates lay them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from gpuyard.report.measures import HEADLINES, MEASURES, Measure, leaves, lookup, number_at
from gpuyard.report.series import gpu_hours_of
from gpuyard.report.wording import UNKNOWN, clean, format_change, format_value, natural_key, unbroken
from gpuyard.result import Result

__all__ = [
    "Column",
    "Grid",
    "definitions",
    "engine_grid",
    "group_grids",
    "lead",
    "notices",
    "recorded_grid",
    "rejected_grid",
    "scenario_grids",
    "tiles",
]

_MOST_GROUPS: Final = 20
_LONG: Final = 160
_ASSUMPTION_STANDINGS: Final = ("M", "[M]", "assumption")


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
    below = {
        "jobs.submitted": _parts(numbers, ("completed", "failed", "cancelled", "timed_out", "rejected", "unfinished")),
        "gpu.allocation_rate": f"of {format_value(lookup(numbers, 'gpu.count'), 'count')} GPUs, held by jobs",
        "gpu.utilization": "of the GPUs up, busy",
        "wait_s.mean": f"median {format_value(lookup(numbers, 'wait_s.p50'), 'seconds')}",
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

    jobs, gpus = get("jobs.submitted", "count"), get("gpu.count", "count")
    start, end = number_at(result.numbers, "window.start_s"), number_at(result.numbers, "window.end_s")
    over = f" over {format_value(end - start, 'seconds')}" if start is not None and end is not None else ""
    busy = f" and kept {get('gpu.utilization', 'share')} busy" if number_at(result.numbers, "gpu.utilization") else ""
    said = [f"{jobs} jobs on {gpus} GPUs{over}: jobs held {get('gpu.allocation_rate', 'share')} of the GPUs{busy}."]
    if number_at(result.numbers, "wait_s.p95") is not None:
        said.append(f"Half of the jobs started {_within(result, 'p50')}, 95 of 100 {_within(result, 'p95')}.")
    if number_at(result.numbers, "energy.facility_kwh") is not None:
        cost = f", costing {get('energy.cost_krw', 'krw')}" if number_at(result.numbers, "energy.cost_krw") else ""
        said.append(
            f"The site drew {get('energy.facility_kwh', 'kwh')}{cost}, with a peak of {get('energy.peak_mw', 'mw')}."
        )
    return [unbroken(sentence) for sentence in said]


def _within(result: Result, level: str) -> str:
    wait = number_at(result.numbers, f"wait_s.{level}")
    return "at once" if wait == 0 else f"within {format_value(wait, 'seconds')}"


def notices(result: Result) -> list[str]:
    """Return what a reader must know before trusting the numbers."""
    numbers, said = result.numbers, []
    if lookup(numbers, "saturated") is True or lookup(numbers, "window.saturated") is True:
        said.append(
            "The queue grew without bound: waits depend on how long the simulation ran, not on the policy alone."
        )
    for key, text in (
        ("jobs.rejected", "were rejected and never ran."),
        ("jobs.unfinished", "had not finished when the simulation stopped; completion times leave them out."),
        ("oversubscribed.attempts", "held nothing: the record holds more than this cluster had room for."),
    ):
        count = number_at(numbers, key)
        if count:
            said.append(f"{count:,.0f} {'job' if count == 1 else 'jobs'} {text}")
    for key in ("notes", "warnings", "quality"):
        for source in (numbers, result.scenario):
            said.extend(clean(text, 400) for text in _texts(source.get(key)))
    return list(dict.fromkeys(said))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield f"{name}: {item}"


_GROUPS: Final = (
    ("by_class", "job_class", "By class", "Class"),
    ("by_tenant", "tenant", "By tenant", "Tenant"),
    ("by_gpus", "", "By size of the job", "GPUs"),
)
_GROUP_COLUMNS: Final = (
    ("jobs.submitted", "Jobs", "count"),
    ("wait_s.mean", "Mean wait", "seconds"),
    ("wait_s.p50", "Median wait", "seconds"),
    ("wait_s.p95", "95 % waited at most", "seconds"),
    ("jct_s.mean", "Mean completion", "seconds"),
    ("bounded_slowdown.mean", "Mean slowdown", "number"),
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
    hours = gpu_hours_of(result, group) if group else {}
    known = {name: block for name, block in blocks.items() if isinstance(block, Mapping)}
    hours = {name: _gpu_hours(block, hours.get(str(name))) for name, block in known.items()}
    total = sum(hours.values())
    order = sorted(
        known, key=(lambda name: (-hours[name], str(name))) if group else (lambda name: natural_key(str(name)))
    )
    rows = [
        (
            clean(name),
            *(format_value(lookup(known[name], path), form) for path, _, form in _GROUP_COLUMNS),
            format_value(hours[name], "number") if total else UNKNOWN,
            format_value(hours[name] / total if total else None, "share"),
        )
        for name in order[:_MOST_GROUPS]
    ]
    hidden = len(order) - len(rows)
    columns = (
        Column(label=first, numeric=False),
        *(Column(label=label, meaning=_meaning(path)) for path, label, _ in _GROUP_COLUMNS),
        Column(label="GPU-hours", meaning="GPUs times hours held"),
        Column(label="Share", meaning="share of all GPU-hours held"),
    )
    note = f"{hidden:,} more, with less GPU time, are in summary.json." if hidden else ""
    return Grid(caption=caption, columns=columns, rows=tuple(rows), note=note)


def _gpu_hours(block: Mapping[str, object], computed: float | None) -> float:
    given = next((number for key in ("gpu_hours", "gpu.hours") if (number := number_at(block, key)) is not None), None)
    return given if given is not None else computed or 0.0


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
    note = f"Over {format_value(block.get('jobs'), 'count')} jobs with both."
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
    note = f"{hidden:,} more jobs, for other reasons, are in jobs.parquet." if hidden else ""
    return Grid(caption="Rejected jobs", columns=columns, rows=rows, note=note)


def scenario_grids(result: Result) -> tuple[list[str], list[Grid]]:
    """Return (assumptions, one table a section) of the scenario the run was made with."""
    assumed: list[str] = []
    grids = []
    plain = {key: value for key, value in result.scenario.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in result.scenario.items() if isinstance(value, Mapping)}
    for section, table in [("scenario", plain), *tables.items()]:
        pairs = list(leaves(table))
        prefix = "" if section == "scenario" and table is plain else f"{section}."
        assumed += [f"{prefix}{key}: {text}" for key, item in pairs for text in _assumption(key, item)]
        rows = tuple((clean(key, 80), clean(_setting(item), _LONG)) for key, item in pairs)
        if rows:
            columns = (Column(label="Setting", numeric=False), Column(label="Value", numeric=False))
            grids.append(Grid(caption=clean(section), columns=columns, rows=rows))
    return [clean(text, 400) for text in dict.fromkeys(assumed)], grids


def _assumption(key: str, value: object) -> Iterator[str]:
    """Yield the texts of a setting that declare an assumption: by key, by standing, or in words."""
    name = key.rpartition(".")[2]
    texts = [item for item in (value if isinstance(value, list | tuple) else [value]) if isinstance(item, str)]
    for text in texts:
        if name == "standing" and text in _ASSUMPTION_STANDINGS:
            yield "an assumption, not a measurement"
        elif name in ("assumption", "assumptions") or "assum" in text.lower() or "[M]" in text:
            yield text


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        shown = ", ".join(_setting(item) for item in value[:8])
        return f"{shown}, … ({len(value)} in all)" if len(value) > 8 else shown
    return str(value)


def engine_grid(result: Result) -> Grid | None:
    """Return what the engine did and how fast, with the digest of the schedule."""
    rows = []
    for key, label, form in (
        ("engine.events", "Events", "count"),
        ("engine.passes", "Scheduling passes", "count"),
        ("engine.wall_s", "Time in the engine", "seconds"),
        ("engine.events_per_s", "Events per second", "count"),
    ):
        if number_at(result.numbers, key) is not None:
            rows.append((label, format_value(lookup(result.numbers, key), form)))
    digest = lookup(result.numbers, "engine.digest")
    if isinstance(digest, str):
        rows.append(("Digest of the schedule (SHA-256)", clean(digest, 80)))
    columns = (Column(label="Figure", numeric=False), Column(label="Value", numeric=False))
    return Grid(caption="Engine", columns=columns, rows=tuple(rows)) if rows else None


def definitions(result: Result) -> list[Measure]:
    """Return the measures of this result that have a number, to be explained at the end of the page."""
    return [measure for measure in MEASURES if number_at(result.numbers, measure.key) is not None and measure.meaning]
