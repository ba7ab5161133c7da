"""``gpuyard compare-workloads``: what two workloads are like, before any of them is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuyard.cli.options import FormatOption, GpuRuleOption, JsonOption, NoProgressOption, ZoneOption, chosen_scenario
from gpuyard.cli.terminal import Stage, emit, emit_json, emit_table, interruptible, note, progress, writable
from gpuyard.cli.workloads import is_scenario, trace_scenario

if TYPE_CHECKING:
    from gpuyard.report import Likeness
    from gpuyard.report.sections import Grid
    from gpuyard.workload import Workload

__all__ = ["compare_workloads"]

Source = Annotated[str, typer.Argument(metavar="TRACE|SCENARIO", help="A trace, a scenario file, a run or a preset.")]


def compare_workloads(
    first: Source,
    second: Source,
    *,
    format: FormatOption = None,
    gpu_rule: GpuRuleOption = None,
    zone: ZoneOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Also write an HTML page with charts.")
    ] = None,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Put two workloads side by side: sizes, run times, arrivals and users, and how far they are apart.

    --format, --gpu-rule and --zone say how traces are read. Distances are Kolmogorov-Smirnov and Wasserstein.
    """
    from gpuyard.portrait import portray
    from gpuyard.report import compare_workloads as compare
    from gpuyard.report import write_likeness

    target = None if output is None else writable(output)
    keys = {"format": format, "gpu_rule": gpu_rule, "zone": zone}
    names = [Path(source).name for source in (first, second)]
    names = names if names[0] != names[1] else [first, second]
    with progress(wanted=not no_progress) as stage:

        def work() -> Likeness:
            jobs = [_jobs(source, keys, stage) for source in (first, second)]
            stage("comparing")
            left, right = (portray(each, name=name) for each, name in zip(jobs, names, strict=True))
            return compare(left, right)

        likeness = interruptible(work)
        if target is not None:
            write_likeness(likeness, target)
    if json:
        emit_json(likeness.to_dict())
        return
    for grid in likeness.grids():
        _emit(grid)
    if target is not None:
        note(f"gpuyard: page written to {target}")


def _jobs(source: str, keys: dict[str, str | None], stage: Stage) -> Workload:
    scenario = chosen_scenario(source, {}, None) if is_scenario(source) else trace_scenario(source, keys)
    return scenario.read_workload(stage)[0]


def _emit(grid: Grid) -> None:
    emit_table([column.label for column in grid.columns], grid.rows)
    emit("")
