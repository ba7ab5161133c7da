"""``gpuyard sweep``: one scenario at several loads, and what the rising load costs whom."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuyard.cli.options import (
    ClusterOption,
    JsonOption,
    NoProgressOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    chosen_scenario,
    cluster_section,
)
from gpuyard.cli.running import save_run, simulate_told
from gpuyard.cli.terminal import emit_json, emit_rich, interruptible, note, progress
from gpuyard.errors import ConfigError

if TYPE_CHECKING:
    from gpuyard.result import Result
    from gpuyard.scenario import Scenario

__all__ = ["sweep"]

DEFAULT_LOADS = "0.6,0.7,0.8,0.9,1.0,1.1"
PAGE = "loads.html"


def sweep(
    *,
    scenario: ScenarioArgument = "phase-1",
    loads: Annotated[
        str, typer.Option("--loads", metavar="LOAD,LOAD...", help="Offered loads, each of which is run.")
    ] = DEFAULT_LOADS,
    cluster: ClusterOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help=f"Save the runs in this folder, and {PAGE}."),
    ] = None,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Run a scenario at several offered loads: what real-time work loses, and how long training waits.

    Each run stops when its workload ends, unless run.until says otherwise: under a load of 1 and more the queue grows.
    """
    chosen = chosen_scenario(
        scenario,
        {"cluster": {} if cluster is None else cluster_section(cluster), "run": {"seed": seed}},
        sets,
    )
    asked = [(load, _at(chosen, load)) for load in _loads(loads)]
    folders = _folders(output, [load for load, _ in asked])
    found: list[Result] = []
    said: list[str] = []
    for (load, one), folder in zip(asked, folders, strict=True):
        with progress(wanted=not no_progress) as stage:
            result = interruptible(partial(simulate_told, one, stage))
            if folder is not None:
                stage(f"writing {folder}")
                save_run(result, folder, with_report=True)
        said += _notices(load, result)
        found.append(_numbers_of(result))
    if json:
        emit_json([{"load": load, **each.summary()} for (load, _), each in zip(asked, found, strict=True)])
    _tell(found, [f"load {load:g}" for load, _ in asked], said, output, quiet=json)


def _loads(text: str) -> list[float]:
    try:
        found = sorted({float(each) for each in text.split(",")})
    except ValueError:
        raise ConfigError(f"--loads are numbers with commas between, such as 0.6,0.85,1.1, got '{text}'") from None
    if len(found) < 2:
        raise ConfigError(
            f"--loads needs two loads or more, such as 0.6,1.1, got '{text}'; for one there is gpuyard run"
        )
    return found


def _at(scenario: Scenario, load: float) -> Scenario:
    """Return the scenario at a load, stopped when its workload ends unless it says when."""
    asked = scenario.over({"workload": {"load": load}}, "--loads")
    if asked.checked.run.until is not None:
        return asked
    days = asked.checked.workload.days
    return asked.over({"run": {"until": f"{7.0 if days is None else days:g}d"}}, "--loads")


def _folders(output: Path | None, loads: list[float]) -> list[Path | None]:
    """Return where each run is saved, each of which may be written."""
    from gpuyard.result import check_folder

    if output is None:
        return [None] * len(loads)
    folders = [output / f"load-{load:g}" for load in loads]
    for each in folders:
        check_folder(each)
    return [*folders]


def _numbers_of(result: Result) -> Result:
    """Return the result without its tables, so that many loads take no more memory than one."""
    tables = {name: getattr(result, name).schema.empty_table() for name in ("jobs", "attempts", "timeline")}
    return replace(result, **tables, decisions=None, services=None, tenants=None)


def _notices(load: float, result: Result) -> list[str]:
    from gpuyard.report.sections import notices

    return [f"load {load:g}: {text}" for text in notices(result)]


def _tell(results: list[Result], names: list[str], said: list[str], output: Path | None, *, quiet: bool) -> None:
    from gpuyard.report import several_tables
    from gpuyard.report.html import write_page
    from gpuyard.report.several import loads_html

    for text in said:
        note(f"gpuyard: {text}")
    if not quiet:
        emit_rich(*several_tables(results, names))
    if output is not None:
        page = write_page(loads_html(results, names, said), output / PAGE)
        note(f"gpuyard: saved in {output}, side by side in {page}")
