"""Options that several commands share, and the scenario they make together."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuyard.errors import ConfigError
from gpuyard.presets import load_preset, preset_names
from gpuyard.units import parse_grid

if TYPE_CHECKING:
    from gpuyard.scenario import Scenario

__all__ = [
    "BackfillOption",
    "BeginOption",
    "ClusterOption",
    "EstimateOption",
    "FormatOption",
    "GpuRuleOption",
    "JobsOption",
    "JsonOption",
    "MeasureOption",
    "NoProgressOption",
    "OrderOption",
    "PartitionOption",
    "PlacementOption",
    "PolicyOption",
    "ScaleOption",
    "ScenarioArgument",
    "SeedOption",
    "SetOption",
    "TenantOption",
    "TenantsOption",
    "TraceOption",
    "UntilOption",
    "UserOption",
    "WindowOption",
    "ZoneOption",
    "chosen_scenario",
    "cluster_section",
]

ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="Preset (phase-1 ... phase-4, build-out), scenario file, or folder of a run."
    ),
]
TraceOption = Annotated[
    Path | None, typer.Option("--trace", metavar="FILE", help="Replay this trace instead of a synthetic workload.")
]
FormatOption = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help="The trace's format; recognised when not given.")
]
GpuRuleOption = Annotated[
    str | None,
    typer.Option("--gpu-rule", metavar="RULE", help="GPUs where a trace counts processors: processor:K or node:K:P."),
]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", metavar="ZONE", help="Time zone of times that state none, such as Asia/Seoul.")
]
TenantOption = Annotated[
    list[str] | None, typer.Option("--tenant", metavar="NAME", help="Only this tenant's jobs; repeat for several.")
]
PartitionOption = Annotated[
    list[str] | None,
    typer.Option("--partition", metavar="NAME", help="Only this partition's jobs; repeat for several."),
]
UserOption = Annotated[
    list[str] | None, typer.Option("--user", metavar="NAME", help="Only this user's jobs; repeat for several.")
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="A..B",
        help="Only jobs submitted from A up to B since the origin, 2d..9d; the others are left out.",
    ),
]
MeasureOption = Annotated[
    str | None,
    typer.Option("--measure", metavar="A..B", help="Simulate everything, and measure from A to B: 2d..9d."),
]
ScaleOption = Annotated[
    float | None, typer.Option("--scale", metavar="FACTOR", help="Jobs arrive this many times as fast.")
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="PRESET|FILE|NODESxGPUS", help="The cluster, such as phase-2 or 144x8."),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="NAME",
        help="The scheduler; see 'gpuyard show policies'. Your own: module:Name or file.py:Name, whose code is run.",
    ),
]
OrderOption = Annotated[
    str | None, typer.Option("--order", metavar="NAME", help="Which job next, whatever the scheduler's name says.")
]
BackfillOption = Annotated[
    str | None, typer.Option("--backfill", metavar="NAME", help="Who may pass a blocked job, likewise.")
]
EstimateOption = Annotated[
    str | None,
    typer.Option("--estimate", metavar="NAME", help="What the scheduler believes of run times: limit, runtime, ..."),
]
PlacementOption = Annotated[
    str | None, typer.Option("--placement", metavar="NAME", help="Which GPUs; see 'gpuyard show placements'.")
]
PreemptionOption = Annotated[
    str | None,
    typer.Option("--preemption", metavar="NAME", help="Who may take GPUs from whom: priority, las, reclaim, ..."),
]
TenantsOption = Annotated[
    Path | None,
    typer.Option("--tenants", metavar="FILE", help="Quotas and limits of tenants: TOML, or CSV with a row a tenant."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of everything random.")]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Stop the simulation here: 90, 90s, 15m, 3h, 7d.")
]
BeginOption = Annotated[
    str | None,
    typer.Option("--begin", metavar="TIME", help="Begin here, with what ran and waited then according to the trace."),
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", metavar="N", min=1, help="So many synthetic jobs; of a trace, the first N.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Set any key of the scenario; repeat for several."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
NoProgressOption = Annotated[bool, typer.Option("--no-progress", help="Never show progress.")]


def cluster_section(text: str) -> dict[str, Any]:
    """Return the ``[cluster]`` section that a preset, a file or ``NODESxGPUS`` stands for."""
    if grid := parse_grid(text):
        return {"nodes": grid[0], "gpus_per_node": grid[1]}
    if Path(text).is_file():
        return {"file": text}
    if "/" in text or Path(text).suffix:
        raise ConfigError(f"there is no cluster file '{text}'; give a preset, a file or NODESxGPUS such as 144x8")
    if text not in preset_names():
        nearest = get_close_matches(text, preset_names(), n=1, cutoff=0.7)
        hint = f"did you mean '{nearest[0]}'? " if nearest else ""
        presets = ", ".join(preset_names())
        raise ConfigError(
            f"'{text}' is no cluster; {hint}give a preset ({presets}), a file, or NODESxGPUS such as 144x8"
        )
    return {"preset": text}


def chosen_scenario(base: str, sections: Mapping[str, Mapping[str, Any]], sets: list[str] | None) -> Scenario:
    """Return the base scenario with the options of the command line on top, ``--set`` last.

    An option that was not given is ``None`` in ``sections`` and leaves the base as it is.
    """
    from gpuyard.scenario import load

    given = {
        name: {key: item for key, item in section.items() if item is not None} for name, section in sections.items()
    }
    layer = {name: section for name, section in given.items() if section}
    preset = layer.get("cluster", {}).get("preset")
    if preset in preset_names():  # its own power and prices come with a site
        layer["energy"] = load_preset(preset).get("energy", {})
    scenario = load(base)
    if layer:
        scenario = scenario.over(layer, "command line")
    return scenario.apply_sets(sets) if sets else scenario
