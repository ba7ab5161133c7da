"""Where the numbers come from: settings with their sources, what is assumed, notes on the data, the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gpuyard.report.measures import MEASURES, Measure, lookup, number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.wording import clean, finite, format_value
from gpuyard.result import Result

__all__ = ["assumptions", "data_notes", "definitions", "engine_grid", "figures_grid", "scenario_grids"]

_LONG: Final = 400
_STANDINGS: Final = {"R": "read", "C": "computed", "M": "assumption"}
_MOST_ROWS: Final = 6
"""A table of more plain values than this goes into one row."""


def assumptions(result: Result) -> list[str]:
    """Return, in words, what the numbers assume rather than know."""
    said = [*_declared(result.scenario), *_synthetic(result), *_activity(result)]
    for key, value, source in _energy_figures(result):
        if "assum" in source:
            said.append(f"energy.{key} = {_setting(value)}: {source}")
    return [clean(text, _LONG) for text in dict.fromkeys(said)]


def _declared(scenario: Mapping[str, object]) -> Iterator[str]:
    """Yield what the scenario itself declares: by key, by standing, or in words."""
    for key, value in _settings({name: table for name, table in scenario.items() if name != "provenance"}):
        name = key.rpartition(".")[2]
        texts = value if isinstance(value, list | tuple) else [value]
        shown = key.replace("site.sources.", "").replace(".sources.", ".").removesuffix(".assumptions")
        for text in (text for text in texts if isinstance(text, str)):
            if name == "standing" and text in ("M", "[M]", "assumption"):
                yield f"{key.removesuffix('.standing')}: an assumption, not a measurement"
            elif name in ("assumption", "assumptions") or "assum" in text.lower() or "[M]" in text:
                yield f"{shown}: {text.removeprefix('an assumption: ')}"


def _synthetic(result: Result) -> Iterator[str]:
    """Yield how many of the figures behind a synthetic workload are assumptions; the page has them all in a table."""
    figures = _figures(result)
    assumed = sum(figure.get("standing") == "assumption" for figure in figures)
    if assumed:
        yield f"workload: {assumed} of the {len(figures)} figures that shape the synthetic workload, each named below"


def _figures(result: Result) -> list[Mapping[str, object]]:
    listed = lookup(result.scenario, "provenance.workload_figures")
    return [figure for figure in listed if isinstance(figure, Mapping)] if isinstance(listed, list | tuple) else []


def figures_grid(result: Result) -> Grid | None:
    """Return the figures that shape a synthetic workload, each with standing and source; ``None`` without."""
    keys = ("figure", "value", "standing", "source")
    rows = tuple(tuple(clean(figure.get(key, ""), _LONG) for key in keys) for figure in _figures(result))
    columns = tuple(Column(label=key.capitalize(), numeric=False) for key in keys)
    return Grid(caption="Figures behind the synthetic workload", columns=columns, rows=rows) if rows else None


def _activity(result: Result) -> Iterator[str]:
    """Yield which part of the GPU time has an activity that nobody recorded."""
    for key, text in (
        ("class", "has the activity assumed for its class, because the workload states none"),
        ("default", "has the default activity, because the workload states neither an activity nor a known class"),
    ):
        share = number_at(result.numbers, f"gpu.activity_from.{key}")
        if share:
            yield f"utilization and energy: {format_value(share, 'share')} of the held GPU time {text}"


def _energy_figures(result: Result) -> Iterator[tuple[str, object, str]]:
    """Yield (key, value, source with its standing) of the energy settings that were left at their defaults."""
    from gpuyard.energy.model import FIGURES, EnergyModel

    section = result.scenario.get("energy")
    if not isinstance(section, Mapping):
        return
    defaults = EnergyModel().to_mapping()
    for key, source in FIGURES.items():
        if key in section and key in defaults and section[key] == defaults[key]:
            standing, _, text = source.partition(": ")
            yield key, section[key], f"{_STANDINGS[standing]}: {text}" if standing in _STANDINGS else source


def data_notes(result: Result) -> list[str]:
    """Return what readers, the energy account and the workload said about the data."""
    places = (
        lookup(result.scenario, "provenance.workload_notes"),
        lookup(result.numbers, "energy.notes"),
        *(source.get(key) for source in (result.numbers, result.scenario) for key in ("notes", "quality")),
    )
    return [clean(text, _LONG) for text in dict.fromkeys(text for place in places for text in _texts(place))]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield f"{name}: {item}"


def scenario_grids(result: Result) -> list[Grid]:
    """Return one table a section of the scenario; energy figures at their defaults with where they come from."""
    plain = {key: value for key, value in result.scenario.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in result.scenario.items() if isinstance(value, Mapping)}
    sources = {key: source for key, _, source in _energy_figures(result)}
    grids = []
    for section, table in [("general", plain), *tables.items()]:
        rows = tuple(
            (clean(key, 80), clean(_setting(item), _LONG))
            for key, item in _settings(table)
            if key not in ("workload_notes", "workload_figures", "assumptions", "notes", "quality")
        )
        if section == "energy":
            rows = tuple((key, f"{value} ({sources[key]})" if key in sources else value) for key, value in rows)
        if rows:
            columns = (Column(label="Setting", numeric=False), Column(label="Value", numeric=False))
            grids.append(Grid(caption=clean(section), columns=columns, rows=rows))
    return grids


def _settings(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted key, value); a long table of plain values is one setting, entries of a list go by their names."""
    for key, value in table.items():
        if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            entries = {str(item.get("name", number)): item for number, item in enumerate(value, start=1)}
            yield from _settings(entries, f"{prefix}{key}.")
        elif not isinstance(value, Mapping):
            yield f"{prefix}{key}", value
        elif len(value) > _MOST_ROWS and not any(isinstance(item, Mapping | list) for item in value.values()):
            yield f"{prefix}{key}", ", ".join(f"{name} {_setting(item)}" for name, item in value.items())
        else:
            yield from _settings(value, f"{prefix}{key}.")


def _setting(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        shown = ", ".join(_setting(item) for item in value[:12])
        return f"{shown}, … ({len(value)} in all)" if len(value) > 12 else shown
    return f"{value:.10g}" if isinstance(value, float) and finite(value) is not None else str(value)


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
    return Grid(caption="engine", columns=columns, rows=tuple(rows)) if rows else None


def definitions(*results: Result) -> list[Measure]:
    """Return the measures that have a number in any of the results, to be explained at the end of a page."""
    return [
        measure
        for measure in MEASURES
        if measure.meaning and any(number_at(result.numbers, measure.key) is not None for result in results)
    ]
