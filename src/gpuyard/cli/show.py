"""``gpuyard show``: what there is to choose from, and what a trace, a cluster, a scenario or a result holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuyard.cli.options import FormatOption, JsonOption, NoProgressOption, chosen_scenario, cluster_section
from gpuyard.cli.terminal import emit, emit_json, emit_rich, emit_table, interruptible, note, progress
from gpuyard.errors import ConfigError, GpuyardError, InputError, unknown_name
from gpuyard.units import parse_grid

if TYPE_CHECKING:
    from gpuyard.datasheet import Row

__all__ = ["show"]

Facts = Mapping[str, object]


def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="presets, phases, policies, placements, formats, columns, hardware, schema, workload, cluster; "
            "or a preset, a scenario, a trace, a topology file, NODESxGPUS, or a run's folder.",
        ),
    ],
    of: Annotated[
        str | None,
        typer.Argument(
            metavar="OF",
            help="Whose workload or cluster (a preset, scenario, file or NODESxGPUS; phase-1 when left out), or which "
            "hardware.",
        ),
    ] = None,
    *,
    format: FormatOption = None,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Show what there is to choose from, or what something holds."""
    if of is not None and what not in ("workload", "cluster", "hardware"):
        raise ConfigError(f"'{what}' is shown as a whole, so '{of}' says nothing; leave it out")
    if what in LISTS and of is None:
        LISTS[what](json)
    elif what == "hardware":
        _show_hardware(str(of), json=json)
    elif Path(what).is_dir():
        _show_result(Path(what), json=json)
    elif what == "workload":
        _show_workload(of or "phase-1", json=json, wanted=not no_progress)
    else:
        with progress(wanted=not no_progress) as stage:
            stage(f"reading {of or what}")
            facts, rows = _shown(what, of or "phase-1", format)
        if json:
            emit_json(facts)
        elif rows:
            _emit_rows(rows)
        else:
            emit_table(("fact", "value"), facts.items())


def _shown(what: str, of: str, format: str | None) -> tuple[Facts, list[Row]]:
    """Return what there is to say about a cluster, or whatever the name stands for, for machines and for people."""
    from gpuyard.scenario import preset_names
    from gpuyard.scenario.describe import scenario_facts, scenario_rows

    if what == "cluster" or parse_grid(what):
        return _cluster_said(of if what == "cluster" else what)
    if what in preset_names() or (what.endswith(".toml") and Path(what).is_file()):
        scenario = chosen_scenario(what, {}, None)
        return scenario_facts(scenario), scenario_rows(scenario)
    if Path(what).is_file():
        return _file_facts(Path(what), format)
    if "/" in what or Path(what).suffix:
        raise InputError("there is no such file", path=what, remedy="check the path")
    raise unknown_name("thing to show", what, [*LISTS, "workload", "cluster", *preset_names()])


def _emit_rows(rows: list[Row]) -> None:
    """Write figures with their standing and source; two columns where nothing has either."""
    if any(row.standing for row in rows):
        emit_table(("figure", "value", "standing", "source"), rows)
    else:
        emit_table(("figure", "value"), [row[:2] for row in rows])


def _show_hardware(name: str, *, json: bool) -> None:
    from gpuyard.datasheet import hardware_rows

    rows = hardware_rows(name)
    if json:
        emit_json([row._asdict() for row in rows])
    else:
        _emit_rows(rows)


def _show_result(folder: Path, *, json: bool) -> None:
    from gpuyard.report import group_tables, notice_texts, summary_table
    from gpuyard.result import Result

    result = Result.load(folder)
    if json:
        emit_json(result.summary())
    else:
        emit_rich(*notice_texts(result), summary_table(result), *group_tables(result))


def _show_workload(of: str, *, json: bool, wanted: bool) -> None:
    """Write what a workload holds and, where it is synthetic, every figure that shapes it with its source."""
    from gpuyard.datasheet import Row
    from gpuyard.scenario.describe import trace_facts, workload_facts

    sections: dict[str, dict[str, object]] = {}
    if Path(of).is_file() and Path(of).suffix != ".toml":
        sections = {"workload": {"trace": of}}
    elif parse_grid(of):
        sections = {"cluster": cluster_section(of)}
    scenario = chosen_scenario("phase-1" if sections else of, sections, None)
    with progress(wanted=wanted) as stage:
        workload, trace = interruptible(lambda: scenario.read_workload(stage))
    figures = [Row(*figure) for figure in scenario.workload_figures()]
    facts = (trace_facts(trace) if trace is not None else {}) | workload_facts(workload)
    if json:
        emit_json(facts | {"figures": [row._asdict() for row in figures]})
        return
    emit_table(("fact", "value"), facts.items())
    if figures:
        emit("")
        _emit_rows(figures)


def _cluster_said(of: str) -> tuple[Facts, list[Row]]:
    from gpuyard.datasheet import describe, describe_rows

    named = of.endswith(".toml") or Path(of).is_dir()
    base, sections = (of, {}) if named else ("phase-1", {"cluster": cluster_section(of)})
    cluster = chosen_scenario(base, sections, None).build_cluster()
    return describe(cluster), describe_rows(cluster)


def _file_facts(path: Path, format: str | None) -> tuple[Facts, list[Row]]:
    """Return what a file holds: a trace, or else a topology or a list of nodes."""
    from gpuyard.scenario.describe import trace_facts, workload_facts
    from gpuyard.traces import read, recognise
    from gpuyard.workload import Workload

    if format is None:
        try:
            format = recognise(path)
        except InputError as unknown:
            try:
                return _cluster_said(str(path))
            except GpuyardError:
                raise unknown from None
    trace = read(path, format=format)
    return trace_facts(trace) | workload_facts(Workload.from_trace(trace)), []


def _list(header: tuple[str, ...], rows: list[tuple[object, ...]], json: bool) -> None:
    if json:
        emit_json([dict(zip(header, row, strict=True)) for row in rows])
    else:
        emit_table(header, rows)


def _presets(json: bool) -> None:
    from gpuyard.scenario import load, preset_names

    rows: list[tuple[object, ...]] = [(name, load(name).checked.description) for name in preset_names()]
    _list(("preset", "what"), rows, json)


def _phases(json: bool) -> None:
    from gpuyard.presets import phase_names
    from gpuyard.scenario import load
    from gpuyard.scenario.describe import compared_rows

    names = phase_names()
    rows: list[tuple[object, ...]] = list(compared_rows([load(name) for name in names]))
    _list(("figure", *names, "standing"), rows, json)
    if not json:
        note("gpuyard: 'gpuyard show phase-1' and 'gpuyard show workload phase-1' name the source of each figure")


def _hardware(json: bool) -> None:
    from gpuyard.hardware import node_types

    rows: list[tuple[object, ...]] = [
        (kind.name, kind.gpu_type, kind.gpus, kind.cpus, kind.memory_gib, kind.idle_w, kind.rated_w)
        for kind in node_types().values()
    ]
    _list(("hardware", "gpu_type", "gpus", "cpus", "memory_gib", "idle_w", "rated_w"), rows, json)


def _policies(json: bool) -> None:
    from gpuyard.choices import BACKFILLS, ESTIMATES, NAMED, ORDERS, PLACEMENTS, PREEMPTIONS, PREEMPTIVE
    from gpuyard.tenancy import BETWEEN, BORROW_WITHIN, RECLAIMS

    rows: list[tuple[object, ...]] = [
        ("policy", name, f"order {order}, backfill {backfill}", "", "", "") for name, (order, backfill) in NAMED.items()
    ]
    for name, rule in PREEMPTIVE.items():
        rows.append(("policy", name, f"order fifo, backfill fit, preemption {rule}", "", "", ""))
    for kind, table in (
        ("order", ORDERS),
        ("backfill", BACKFILLS),
        ("placement", PLACEMENTS),
        ("estimate", ESTIMATES),
        ("preemption", PREEMPTIONS),
    ):
        for name, choice in table.items():
            rows.append((kind, name, choice.meaning, ", ".join(choice.options), choice.paper, choice.assumption))
    for kind, meanings in (("between", BETWEEN), ("reclaim", RECLAIMS), ("borrow_within", BORROW_WITHIN)):
        rows += [(kind, name, meaning, "", "", "") for name, meaning in meanings.items()]
    _list(("kind", "name", "what", "options", "paper", "assumption"), rows, json)


def _placements(json: bool) -> None:
    from gpuyard.policy import PLACEMENTS

    _list(("placement", "what"), [(name, choice.meaning) for name, choice in PLACEMENTS.items()], json)


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
    "phases": _phases,
    "hardware": _hardware,
    "policies": _policies,
    "placements": _placements,
    "formats": _formats,
    "schema": _schema,
    "columns": _columns,
}
