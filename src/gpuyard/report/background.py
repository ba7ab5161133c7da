"""Where the numbers come from: settings with their sources, what is assumed, notes on the data, the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from gpuyard.report.measures import MEASURES, Measure, lookup, number_at
from gpuyard.report.sections import Column, Grid
from gpuyard.report.wording import clean, finite, format_value
from gpuyard.result import Result

__all__ = [
    "assumptions",
    "data_notes",
    "definitions",
    "engine_grid",
    "figures_grid",
    "scenario_grids",
    "scheduled_by",
    "settings_of",
]

_LONG: Final = 400
_STANDINGS: Final = {"R": "read", "C": "computed", "M": "assumption"}
_MOST_NAMED: Final = 3
"""Of so many orders or backfills in one run, each is named."""
_SHORT: Final = 120
"""A table inside a section that is no longer than this takes one row."""
_ELSEWHERE: Final = ("workload_notes", "workload_figures", "assumptions", "notes", "quality")
"""Keys that have a place of their own on the page."""


def assumptions(result: Result) -> list[str]:
    """Return, in words, what the numbers assume rather than know."""
    said = [*_declared(result.scenario), *_synthetic(result), *_activity(result)]
    known = _sources(result.scenario)
    for key, value, source in _energy_figures(result):
        if "assum" in source and f"energy.{key}" not in known:
            said.append(f"energy.{key} = {_setting(value)}: {source}")
    return [clean(text, _LONG) for text in dict.fromkeys(said)]


def _declared(scenario: Mapping[str, object]) -> Iterator[str]:
    """Yield what the scenario itself declares: by key, by standing, in words, or beside a figure's source."""
    values = dict(_leaves({name: table for name, table in scenario.items() if name != "provenance"}))
    for key, value in values.items():
        name = key.rpartition(".")[2]
        texts = [] if _is_source(key) else value if isinstance(value, list | tuple) else [value]
        for text in (text for text in texts if isinstance(text, str)):
            if name == "standing" and text in ("M", "[M]", "assumption"):
                yield f"{key.removesuffix('.standing')}: an assumption, not a measurement"
            elif name in ("assumption", "assumptions") or "assum" in text.lower() or "[M]" in text:
                yield f"{key.removesuffix('.assumptions')}: {text}"
    for key, (standing, source) in _sources(scenario).items():
        if standing == "assumption":
            figure = f"{key} = {_setting(values[key])}" if key in values else key
            yield f"{figure}: {source}" if source else figure


def _is_source(key: str) -> bool:
    return "sources" in key.split(".")


def _sources(scenario: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Return (standing, source) by the dotted key of the figure; those of a site speak of other sections too."""
    found = {}
    for key, value in _leaves(scenario):
        place, is_one, figure = key.partition("sources.")
        if not is_one or not isinstance(value, list | tuple) or len(value) != 2 or value[0] not in _STANDINGS:
            continue
        elsewhere = place == "site." and not figure.startswith("announced_")
        text = str(value[1]).removeprefix("an assumption: ").removeprefix("an assumption")
        found[figure if elsewhere else place + figure] = (_STANDINGS[str(value[0])], text)
    return found


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
    """Return one table a section of the scenario; figures with where they come from, where that is known."""
    plain = {key: value for key, value in result.scenario.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in result.scenario.items() if isinstance(value, Mapping)}
    cited = {f"energy.{key}": source for key, _, source in _energy_figures(result)}
    cited |= {key: f"{standing}: {text}" if text else standing for key, (standing, text) in _sources(tables).items()}
    grids = []
    for section, table in [("general", plain), *tables.items()]:
        rows = tuple(
            (clean(key, 80), clean(_with_source(_setting(item), cited.get(f"{section}.{key}")), _LONG))
            for key, item in _settings(table)
            if not _is_source(key) and key.partition(".")[0] not in _ELSEWHERE
        )
        if rows:
            columns = (Column(label="Setting", numeric=False), Column(label="Value", numeric=False))
            grids.append(
                Grid(caption=clean(section), columns=columns, rows=rows, note=clean(cited.get(section, ""), _LONG))
            )
    return grids


def settings_of(result: Result) -> Iterator[tuple[str, object]]:
    """Yield (dotted key, value) of every setting of the scenario; sources, notes and assumptions are none."""
    for key, value in _leaves(result.scenario):
        if not _is_source(key) and not set(key.split(".")) & set(_ELSEWHERE):
            yield key, value


def scheduled_by(result: Result, key: str) -> str | None:
    """Return the ``order`` or ``backfill`` of a run, or those of its virtual clusters, such as ``easy (2), none (1)``.

    ``None`` where nobody wrote it down.
    """
    whole = lookup(result.scenario, f"policy.{key}")
    listed = result.scenario.get("virtual_cluster")
    parts = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list | tuple) else []
    given = [lookup(each, f"policy.{key}") if "policy" in each else whole for each in parts] or [whole]
    if set(given) == {None}:
        return None
    found = sorted(Counter(str(each) for each in given).items(), key=lambda item: (-item[1], item[0]))
    if len(found) == 1:
        return found[0][0]
    named = [f"{name} ({many})" for name, many in found[:_MOST_NAMED]]
    others = sum(many for _, many in found[_MOST_NAMED:])
    return ", ".join([*named, f"others ({others})"] if others else named)


def _with_source(value: str, source: str | None) -> str:
    return value if source is None else f"{value} ({source})"


def _leaves(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted key, value) of everything that is no table; entries of a list of tables go by their names."""
    for key, value in table.items():
        inner = _as_table(value)
        if inner is None:
            yield f"{prefix}{key}", value
        else:
            yield from _leaves(inner, f"{prefix}{key}.")


def _settings(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted key, value) as :func:`_leaves` does, but a short table, or one of plain values, as one setting."""
    for key, value in table.items():
        inner = _as_table(value)
        if inner is None:
            yield f"{prefix}{key}", value
            continue
        is_plain = not any(isinstance(item, Mapping | list | tuple) for item in inner.values())
        text = _inline(inner)
        is_cited = any(_is_source(name) for name, _ in _leaves(inner))
        if not is_cited and (is_plain or len(text) <= _SHORT):
            yield f"{prefix}{key}", text
        else:
            yield from _settings(inner, f"{prefix}{key}.")


def _as_table(value: object) -> Mapping[str, object] | None:
    """Return a table as it is, a list of tables by their names, and nothing for anything else."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        named = ((str(item.get("name", number)), item) for number, item in enumerate(value, start=1))
        return {name: {key: each for key, each in item.items() if key != "name"} for name, item in named}
    return None


def _inline(table: Mapping[str, object]) -> str:
    """Return a table in one line."""
    parts = ((key, _as_table(value), value) for key, value in table.items())
    return ", ".join(f"{key} {_setting(value) if inner is None else _inline(inner)}" for key, inner, value in parts)


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
