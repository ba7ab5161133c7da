"""``gpuyard topo``: build, import, draw and export topologies."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuyard.cli.options import JsonOption
from gpuyard.cli.terminal import emit, emit_json, emit_table, note
from gpuyard.errors import ConfigError, InputError

if TYPE_CHECKING:
    import networkx as nx

    from gpuyard.cluster import Cluster

__all__ = ["app"]

app = typer.Typer(help="Build, import, draw and export topologies.", no_args_is_help=True, rich_markup_mode=None)

ClusterArgument = Annotated[
    str, typer.Argument(metavar="PRESET|FILE|NODESxGPUS", help="The cluster, such as phase-1 or topology.conf.")
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write here; without it, to stdout.")
]
FormOption = Annotated[
    str | None, typer.Option("--to", metavar="NAME", help="json, graphml or dot; else by the file's suffix, or json.")
]
GpusOption = Annotated[
    int | None, typer.Option("--gpus-per-node", metavar="N", min=0, help="GPUs of a node, where nothing else says it.")
]
FullOption = Annotated[
    bool, typer.Option("--full", help="Every switch and link; else parallel switches are drawn as one.")
]


@app.command("build")
def build(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="flat, leaf-spine, fat-tree, rail-optimized or nvlink-racks.")
    ],
    *,
    hosts: Annotated[int, typer.Option("--hosts", metavar="N", min=1, help="How many hosts.")],
    gpus: GpusOption = 8,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter, such as radix=64; repeat for several."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the graph; 'run --cluster' reads it.")
    ] = None,
    to: FormOption = None,
    full: FullOption = False,
    json: JsonOption = False,
) -> None:
    """Build a fabric, and say how many switches and links it takes."""
    from gpuyard.topology.build import fabric_graph
    from gpuyard.topology.fabric import make_fabric

    fabric = make_fabric(kind, hosts, **_parameters(sets))
    facts: dict[str, object] = {"kind": fabric.kind, "hosts": fabric.hosts, "gpus": fabric.hosts * (gpus or 0)}
    facts |= {f"{tier.level} domains": fabric.domains(tier) for tier in fabric.tiers}
    facts |= {f"{role} switches": count for role, count in fabric.switches.items()}
    facts["host_gbps"] = fabric.host_gbps
    if output is not None:
        graph = fabric_graph(fabric, aggregate=not full)
        for host, data in graph.nodes(data=True):
            if data.get("kind") == "host":
                graph.nodes[host]["gpus"] = gpus
        _write_graph(graph, output, to)
    if json:
        emit_json(facts)
    else:
        emit_table(("fact", "value"), facts.items())


@app.command("import")
def import_topology(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="topology.conf, GraphML, JSON, CSV.")],
    *,
    gpus: GpusOption = None,
    hardware: Annotated[
        str | None, typer.Option("--hardware", metavar="NAME", help="Node type, where the file names none.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the graph here.")] = None,
    to: FormOption = None,
    json: JsonOption = False,
) -> None:
    """Read a topology or a list of nodes, and say what it holds."""
    from gpuyard.cluster import Cluster
    from gpuyard.datasheet import describe, describe_rows

    section = {"file": str(source), "gpus_per_node": gpus, "hardware": hardware}
    cluster = Cluster.from_mapping({key: item for key, item in section.items() if item is not None})
    if output is not None:
        _write_graph(_graph(cluster, full=True), output, to)
    if json:
        emit_json(describe(cluster))
    else:
        emit_table(("figure", "value"), [(row.figure, row.value or row.source) for row in describe_rows(cluster)])


@app.command("draw")
def draw_topology(
    cluster: ClusterArgument,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The SVG file to write.")],
) -> None:
    """Draw a cluster as an SVG picture: what lies in which rack, leaf, pod and hall."""
    from gpuyard.cluster import Cluster
    from gpuyard.drawing import picture

    _write_whole(output, picture(Cluster.parse(cluster)))


@app.command("export")
def export(
    cluster: ClusterArgument, *, output: OutputOption = None, to: FormOption = None, full: FullOption = False
) -> None:
    """Write a cluster's graph of hosts and switches as JSON, GraphML or DOT."""
    from gpuyard.cluster import Cluster
    from gpuyard.topology.exchange import export_graph

    graph = _graph(Cluster.parse(cluster), full=full)
    if output is None:
        emit(export_graph(graph, to or "json"))
    else:
        _write_graph(graph, output, to)


def _parameters(sets: list[str] | None) -> dict[str, Any]:
    from gpuyard.scenario.source import parse_value

    parameters = {}
    for text in sets or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"'{text}' sets nothing; write key=value, such as radix=64")
        parameters[key.strip()] = parse_value(value.strip())
    return parameters


def _graph(cluster: Cluster, *, full: bool) -> nx.Graph:
    """Return the cluster's graph, with the GPUs of each host, so that it can be read back."""
    graph = cluster.build_graph(aggregate=not full).copy()
    for name, gpus in zip(cluster.node_names, cluster.node_gpus.tolist(), strict=True):
        graph.nodes[name]["gpus"] = gpus
    return graph


def _write_graph(graph: nx.Graph, path: Path, to: str | None) -> None:
    from gpuyard.topology.exchange import export_graph

    _write_whole(path, export_graph(graph, to or path.suffix.removeprefix(".") or "json"))


def _write_whole(path: Path, text: str) -> None:
    """Write a text file: it appears complete or not at all."""
    if not path.parent.is_dir():
        raise InputError("there is no such folder", path=path.parent, remedy="create it first")
    handle, fresh = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(fresh).chmod(0o644)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    note(f"gpuyard: written to {path}")
