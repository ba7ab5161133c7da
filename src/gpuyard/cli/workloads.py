"""``gpuyard validate``, ``convert``, ``generate`` and ``traces``: workloads before they are simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuyard.cli.options import (
    ClusterOption,
    FormatOption,
    GpuRuleOption,
    JobsOption,
    JsonOption,
    NoProgressOption,
    PartitionOption,
    ScaleOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    TenantOption,
    UserOption,
    WindowOption,
    ZoneOption,
    chosen_scenario,
    cluster_section,
)
from gpuyard.cli.terminal import emit, emit_json, emit_table, interruptible, note, progress, writable
from gpuyard.units import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from gpuyard.cli.terminal import Stage
    from gpuyard.fitting import LookAlike
    from gpuyard.quality import QualityReport
    from gpuyard.scenario import Scenario
    from gpuyard.synthesis import Generation
    from gpuyard.workload import Workload

__all__ = ["convert", "generate", "is_scenario", "trace_scenario", "traces_app", "validate"]

MISSED = 1
LINE = 110
"""Letters of a line of the quality report."""

traces_app = typer.Typer(
    help="List and fetch public traces, each pinned by its checksum.", no_args_is_help=True, rich_markup_mode=None
)


def is_scenario(source: str) -> bool:
    """Return whether a source is a preset, a scenario file or a folder, and not a trace."""
    from gpuyard.scenario import preset_names

    return source in preset_names() or source.endswith(".toml") or Path(source).is_dir()


def trace_scenario(
    source: str,
    keys: dict[str, Any],
    cluster: str | None = None,
    sets: list[str] | None = None,
    seed: int | None = None,
) -> Scenario:
    """Return a scenario that replays the trace in a file, on phase 1 unless a cluster is named."""
    sections = {
        "workload": {"trace": source, **keys},
        "cluster": {} if cluster is None else cluster_section(cluster),
        "run": {"seed": seed},
    }
    return chosen_scenario("phase-1", sections, sets)


def validate(
    *,
    source: Annotated[str, typer.Argument(metavar="TRACE|SCENARIO", help="A trace, a scenario file or a preset.")],
    format: FormatOption = None,
    gpu_rule: GpuRuleOption = None,
    zone: ZoneOption = None,
    cluster: ClusterOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything is lost or doubtful; notes do not count.")
    ] = False,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Report the quality of a trace or of a scenario's workload: what was read, rejected and looks wrong.

    The workload is also held against a cluster if one is named, or if a scenario is validated. The exit code is 0 if
    there is anything to simulate, whatever was found, unless --strict is given.
    """
    from gpuyard.quality import examine

    against_cluster = cluster is not None or is_scenario(source)
    with progress(wanted=not no_progress) as stage:
        if is_scenario(source):
            scenario = chosen_scenario(source, {"cluster": {} if cluster is None else cluster_section(cluster)}, None)
        else:
            scenario = trace_scenario(source, {"format": format, "gpu_rule": gpu_rule, "zone": zone}, cluster)
        workload, trace = interruptible(lambda: scenario.read_workload(stage))
        stage("examining the workload")
        report = examine(trace, workload, scenario.build_cluster() if against_cluster else None)
    if json:
        emit_json(report.to_dict())
    else:
        _emit_report(report)
    if strict and not report.is_clean():
        note("gpuyard: there are findings, and --strict was given")
        raise typer.Exit(MISSED)


def _emit_report(report: QualityReport) -> None:
    """Write the facts as a table, then each finding on lines of its own."""
    emit_table(None, report.rows())
    said = ["", report.verdict()]
    for finding in report.findings:
        first, *others = finding.lines()
        said += ["", *wrap(first, LINE, subsequent_indent="  ", break_long_words=False)]
        for line in others:
            said += wrap(line, LINE, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
    emit("\n".join(said))


def convert(
    *,
    source: Annotated[str, typer.Argument(metavar="TRACE", help="The trace to read.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write: .parquet, .csv or .swf.")],
    to: Annotated[str | None, typer.Option("--to", metavar="NAME", help="parquet, csv or swf; else by suffix.")] = None,
    format: FormatOption = None,
    gpu_rule: GpuRuleOption = None,
    zone: ZoneOption = None,
    tenant: TenantOption = None,
    partition: PartitionOption = None,
    user: UserOption = None,
    window: WindowOption = None,
    scale: ScaleOption = None,
    jobs: JobsOption = None,
    seed: SeedOption = None,
    sets: SetOption = None,
    no_progress: NoProgressOption = False,
) -> None:
    """Write any trace, a part of it or a what-if on it (--set workload.thin=0.5), as Parquet, CSV or SWF."""
    from gpuyard.traces.write import check_target, write_table

    check_target(target, to)
    keys = {
        "format": format,
        "gpu_rule": gpu_rule,
        "zone": zone,
        "tenant": tenant or None,
        "partition": partition or None,
        "user": user or None,
        "window": window,
        "scale": scale,
        "jobs": jobs,
    }
    with progress(wanted=not no_progress) as stage:
        scenario = trace_scenario(source, keys, sets=sets, seed=seed)
        workload, _ = interruptible(lambda: scenario.read_workload(stage))
        stage(f"writing {target}")
        lost = write_table(workload.table, target, format=to)
    _tell_written(workload, target, (*workload.notes, *lost))


def _tell_written(workload: Workload, path: Path, notes: tuple[str, ...]) -> None:
    for line in notes:
        note(f"gpuyard: {line}")
    rejected = (
        f"; {counted(len(workload.rejected), 'row')} rejected, see 'gpuyard validate'" if workload.rejected else ""
    )
    note(f"gpuyard: {counted(len(workload), 'job')} written to {path}{rejected}")


def generate(
    *,
    scenario: ScenarioArgument = "phase-1",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the jobs: .parquet, .csv or .swf.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="NAME", help="parquet, csv or swf; else by suffix.")] = None,
    fit: Annotated[
        Path | None,
        typer.Option("--fit", metavar="TRACE|MODEL", help="Make a look-alike of this trace, or from this saved model."),
    ] = None,
    save_model: Annotated[
        Path | None,
        typer.Option("--save-model", metavar="FILE", help="With --fit: write the fitted model as TOML, to be edited."),
    ] = None,
    format: FormatOption = None,
    gpu_rule: GpuRuleOption = None,
    zone: ZoneOption = None,
    days: Annotated[float | None, typer.Option("--days", metavar="N", help="Days in which jobs are submitted.")] = None,
    jobs: JobsOption = None,
    seed: SeedOption = None,
    cluster: ClusterOption = None,
    sets: SetOption = None,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Make a synthetic workload, or a look-alike of a trace (--fit); without -o only say what it holds.

    As Parquet, and without --json, any number of jobs is made: they are written as they are made, and never held all.
    """
    from gpuyard.scenario.describe import workload_facts

    chosen = chosen_scenario(
        scenario,
        {
            "workload": {
                "fit": None if fit is None else str(fit),
                "format": format,
                "gpu_rule": gpu_rule,
                "zone": zone,
                "days": days,
                "jobs": jobs,
            },
            "run": {"seed": seed},
            "cluster": {} if cluster is None else cluster_section(cluster),
        },
        sets,
    )
    if save_model is not None:
        _save_model(chosen, writable(save_model), no_progress)
    if output is not None:
        from gpuyard.traces.write import check_target

        if check_target(output, to) == "parquet" and not json and _streamed(chosen, output, no_progress):
            return
    with progress(wanted=not no_progress) as stage:
        workload, _ = interruptible(lambda: chosen.read_workload(stage))
        if output is not None:
            from gpuyard.traces.write import write_table

            stage(f"writing {output}")
            lost = write_table(workload.table, output, format=to)
    if output is not None:
        _tell_written(workload, output, (*workload.notes, *lost))
    if json:
        emit_json(workload_facts(workload))
    elif output is None:
        emit_table(("fact", "value"), workload_facts(workload).items())


def _save_model(scenario: Scenario, path: Path, no_progress: bool) -> None:
    with progress(wanted=not no_progress) as stage:
        model = interruptible(lambda: scenario.fit_model(stage))
    note(f"gpuyard: model of {model.fitted_to} saved in {model.save(path)}")


def _streamed(scenario: Scenario, path: Path, no_progress: bool) -> bool:
    """Write a workload that is made as Parquet, table by table; return False where its jobs must be held to be made."""
    from gpuyard.traces.write import write_tables

    with progress(wanted=not no_progress) as stage:
        like = interruptible(lambda: scenario.look_alike(stage))
        made = like or interruptible(scenario.generation)
        if made is None:
            return False
        written = interruptible(lambda: write_tables(_told(made, stage), path))
    for line in made.notes:
        note(f"gpuyard: {line}")
    note(f"gpuyard: {counted(written, 'job')} written to {path}")
    return True


def _told(made: Generation | LookAlike, stage: Stage) -> Iterator[pa.Table]:
    """Return the tables, and tell how far they are."""
    done = 0
    for table in made.tables():
        done += table.num_rows
        stage("making the workload", done / max(made.jobs, 1))
        yield table


@traces_app.command("list")
def list_traces(json: JsonOption = False) -> None:
    """List the public traces that can be fetched."""
    from gpuyard.traces.catalogue import entries

    if json:
        emit_json([{key: getattr(item, key) for key in item.__slots__} for item in entries()])
        return
    rows = [(item.name, item.kind, item.format or "-", item.bytes / 1e6, item.description) for item in entries()]
    emit_table(("name", "kind", "format", "MB", "what"), rows)


@traces_app.command("fetch")
def fetch_trace(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name out of 'gpuyard traces list'.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to put it in.", show_default="traces")
    ] = Path("traces"),
    no_progress: NoProgressOption = False,
) -> None:
    """Fetch one public trace, check it, and print its path."""
    import sys

    from gpuyard.traces.catalogue import entry, fetch

    wanted = entry(name)
    path = fetch(name, output, progress=sys.stderr.isatty() and not no_progress)
    note(f"gpuyard: licence {wanted.licence}; cite: {wanted.citation}")
    emit(str(path))
