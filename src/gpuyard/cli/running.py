"""``gpuyard run``: one simulation, from a scenario to its summary and its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuyard.beside import beside
from gpuyard.cli.options import (
    BackfillOption,
    BeginOption,
    ClusterOption,
    EstimateOption,
    FormatOption,
    GpuRuleOption,
    JobsOption,
    JsonOption,
    MeasureOption,
    NoProgressOption,
    OrderOption,
    PartitionOption,
    PlacementOption,
    PolicyOption,
    PreemptionOption,
    ScaleOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    TenantOption,
    TenantsOption,
    TraceOption,
    UntilOption,
    UserOption,
    WindowOption,
    ZoneOption,
    chosen_scenario,
    cluster_section,
)
from gpuyard.cli.terminal import Stage, emit_json, emit_rich, interruptible, note, progress

if TYPE_CHECKING:
    from gpuyard.result import Result
    from gpuyard.scenario import Scenario

__all__ = ["run", "save_run", "simulate_told"]


def run(
    *,
    scenario: ScenarioArgument = "phase-1",
    trace: TraceOption = None,
    format: FormatOption = None,
    gpu_rule: GpuRuleOption = None,
    zone: ZoneOption = None,
    tenant: TenantOption = None,
    partition: PartitionOption = None,
    user: UserOption = None,
    window: WindowOption = None,
    scale: ScaleOption = None,
    cluster: ClusterOption = None,
    policy: PolicyOption = None,
    order: OrderOption = None,
    backfill: BackfillOption = None,
    estimate: EstimateOption = None,
    placement: PlacementOption = None,
    preemption: PreemptionOption = None,
    tenants: TenantsOption = None,
    seed: SeedOption = None,
    until: UntilOption = None,
    begin: BeginOption = None,
    measure: MeasureOption = None,
    jobs: JobsOption = None,
    sets: SetOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Save the run's files in this folder.")
    ] = None,
    with_report: Annotated[bool, typer.Option("--report/--no-report", help="Also save report.html with -o.")] = True,
    decisions: Annotated[
        bool | None, typer.Option("--decisions", help="Keep what the scheduler promises, for 'gpuyard explain'.")
    ] = None,
    alone: Annotated[
        bool | None, typer.Option("--alone", help="Also simulate each tenant alone, and tell how much slower it was.")
    ] = None,
    detail: Annotated[bool, typer.Option("--detail", help="Also print tables by class, tenant and size.")] = False,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Simulate a scenario: phase 1 with its synthetic workload unless told otherwise.

    Without -o the result is only printed. Whatever an option says wins over the scenario file, and --set over both.
    """
    chosen = chosen_scenario(
        scenario,
        {
            "workload": {
                "trace": None if trace is None else str(trace),
                "format": format,
                "gpu_rule": gpu_rule,
                "zone": zone,
                "tenant": tenant or None,
                "partition": partition or None,
                "user": user or None,
                "window": window,
                "scale": scale,
                "jobs": jobs,
            },
            "cluster": {} if cluster is None else cluster_section(cluster),
            "policy": {
                "name": policy,
                "order": order,
                "backfill": backfill,
                "estimate": estimate,
                "placement": placement,
                "preemption": preemption,
            },
            "tenants": {"file": None if tenants is None else str(tenants)},
            "run": {
                "seed": seed,
                "until": until,
                "begin": begin,
                "window": measure,
                "decisions": decisions,
                "alone": alone,
            },
        },
        sets,
    )
    if output is not None:
        from gpuyard.result import check_folder

        check_folder(output)
    with progress(wanted=not no_progress) as stage:
        result = interruptible(lambda: simulate_told(chosen, stage))
        if output is not None:
            stage(f"writing {output}")
            save_run(result, output, with_report=with_report)
    if (
        trace is not None
        and scenario == "phase-1"
        and cluster is None
        and not any(item.startswith("cluster") for item in sets or ())
    ):
        note("gpuyard: no cluster is named, so the jobs ran on phase-1 with its 20,000 GPUs; name one with --cluster")
    _print(result, output, json=json, detail=detail)


def simulate_told(scenario: Scenario, stage: Stage) -> Result:
    """Return the result of a scenario; whoever waits is told what is going on."""
    from gpuyard.scenario import run as run_scenario

    said: set[str] = set()

    def tell(text: str, share: float | None) -> None:
        if text.startswith("compiling") and text not in said:
            said.add(text)
            note(f"gpuyard: {text}")
        stage(text.partition(";")[0], share)

    return run_scenario(scenario, tell)


def save_run(result: Result, folder: Path, *, with_report: bool) -> None:
    """Save a result in a folder, with the page of its report if wanted."""
    if not with_report:
        result.save(folder)
        return
    from gpuyard.report.html import report_html, write_page

    page = beside(lambda: report_html(result))
    result.save(folder)
    write_page(page(), folder / "report.html")


def _print(result: Result, output: Path | None, *, json: bool, detail: bool) -> None:
    from gpuyard.report import group_tables, notice_texts, summary_table

    for text in notice_texts(result):
        note(f"gpuyard: {str(text).removeprefix('! ')}")
    if json:
        emit_json(result.summary())
    else:
        emit_rich(summary_table(result), *(group_tables(result) if detail else ()))
    if output is not None:
        note(f"gpuyard: saved in {output}")
