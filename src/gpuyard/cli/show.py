"""``gpuyard show``: what there is to choose from, and what a trace, a cluster, a scenario or a result holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from gpuyard.cli.options import FormatOption, JsonOption, NoProgressOption, chosen_scenario, cluster_section
from gpuyard.cli.terminal import emit_json, emit_rich, emit_table, progress
from gpuyard.errors import unknown_name
from gpuyard.units import parse_grid

__all__ = ["show"]

Facts = Mapping[str, object]


def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="presets, policies, placements, formats, schema, workload, cluster; "
            "or a preset, a scenario, a trace, a topology file, NODESxGPUS, or a run's folder.",
        ),
    ],
    of: Annotated[
        str, typer.Argument(metavar="OF", help="Whose workload or cluster: a preset, scenario, file or NODESxGPUS.")
    ] = "phase-1",
    *,
    format: FormatOption = None,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Show what there is to choose from, or what something holds."""
    if what in LISTS:
        LISTS[what](json)
        return
    if Path(what).is_dir():
        _show_result(Path(what), json=json)
        return
    with progress(wanted=not no_progress) as stage:
        stage(f"reading {of if what in ('workload', 'cluster') else what}")
        facts = _facts(what, of, format)
    if json:
        emit_json(facts)
    else:
        from gpuyard.scenario.describe import rows_of

        emit_table(("fact", "value"), rows_of(facts))


def _facts(what: str, of: str, format: str | None) -> Facts:
    """Return the facts about a workload, a cluster, or whatever the name stands for."""
    from gpuyard.scenario import preset_names

    if what == "workload":
        return _workload_facts(of)
    if what == "cluster" or parse_grid(what):
        return _cluster_facts(of if what == "cluster" else what)
    if what in preset_names() or (what.endswith(".toml") and Path(what).is_file()):
        return _scenario_facts(what)
    if Path(what).is_file():
        return _trace_facts(Path(what), format)
    raise unknown_name("thing to show", what, [*LISTS, "workload", "cluster", *preset_names()])


def _show_result(folder: Path, *, json: bool) -> None:
    from gpuyard.report import group_tables, notice_texts, summary_table
    from gpuyard.result import Result

    result = Result.load(folder)
    if json:
        emit_json(result.summary())
    else:
        emit_rich(*notice_texts(result), summary_table(result), *group_tables(result))


def _workload_facts(of: str) -> Facts:
    from gpuyard.scenario.describe import workload_facts

    workload, _ = chosen_scenario(of, {}, None).read_workload()
    return workload_facts(workload)


def _cluster_facts(of: str) -> Facts:
    from gpuyard.scenario.describe import cluster_facts

    named = of.endswith(".toml") or Path(of).is_dir()
    scenario = (
        chosen_scenario(of, {}, None) if named else chosen_scenario("phase-1", {"cluster": cluster_section(of)}, None)
    )
    return cluster_facts(scenario.build_cluster())


def _scenario_facts(of: str) -> Facts:
    from gpuyard.scenario.describe import cluster_facts

    scenario = chosen_scenario(of, {}, None)
    policy = scenario.build_policy()
    facts: dict[str, object] = {"scenario": scenario.name, "description": scenario.checked.description}
    facts |= {f"site {key}": item for key, item in scenario.checked.site.items()}
    said = {"assumptions", "site"} if scenario.checked.site else set()
    cluster = cluster_facts(scenario.build_cluster())
    facts |= {f"cluster {key}": item for key, item in cluster.items() if key not in said}
    facts |= {"policy": policy.name, "placement": policy.placement}
    return facts


def _trace_facts(path: Path, format: str | None) -> Facts:
    from gpuyard.scenario.describe import trace_facts, workload_facts
    from gpuyard.traces import read
    from gpuyard.workload import Workload

    trace = read(path, format=format)
    return trace_facts(trace) | workload_facts(Workload.from_trace(trace))


def _list(header: tuple[str, ...], rows: list[tuple[object, ...]], json: bool) -> None:
    if json:
        emit_json([dict(zip(header, row, strict=True)) for row in rows])
    else:
        emit_table(header, rows)


def _presets(json: bool) -> None:
    from gpuyard.scenario import load, preset_names

    rows: list[tuple[object, ...]] = [(name, load(name).checked.description) for name in preset_names()]
    _list(("preset", "what"), rows, json)


def _policies(json: bool) -> None:
    from gpuyard.policy import BACKFILLS, NAMED, ORDERS

    rows: list[tuple[object, ...]] = [
        (name, order, backfill, f"{ORDERS[order]}; {BACKFILLS[backfill]}") for name, (order, backfill) in NAMED.items()
    ]
    _list(("policy", "order", "backfill", "what"), rows, json)


def _placements(json: bool) -> None:
    from gpuyard.policy import PLACEMENTS

    _list(("placement", "what"), list(PLACEMENTS.items()), json)


def _formats(json: bool) -> None:
    from gpuyard.traces import FORMATS

    _list(("format", "what"), [(name, reader.DESCRIPTION) for name, reader in FORMATS.items()], json)


def _schema(json: bool) -> None:
    from gpuyard.scenario import schema

    del json  # a schema is JSON anyway
    emit_json(schema())


def _columns(json: bool) -> None:
    from gpuyard.traces.schema import COLUMNS

    rows: list[tuple[object, ...]] = [
        (item.name, str(item.dtype), item.unit, item.meaning, item.null) for item in COLUMNS
    ]
    _list(("column", "type", "unit", "meaning", "null"), rows, json)


LISTS: Mapping[str, Callable[[bool], None]] = {
    "presets": _presets,
    "policies": _policies,
    "placements": _placements,
    "formats": _formats,
    "schema": _schema,
    "columns": _columns,
}
