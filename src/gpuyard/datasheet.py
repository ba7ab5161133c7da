"""What a site is, in numbers and in rows for people: blocks, totals, power, what is announced and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuyard.cluster import Cluster
from gpuyard.hardware import hardware_figures, node_types
from gpuyard.units import counted, power_unit

__all__ = ["STANDINGS", "Row", "compare_rows", "describe", "describe_rows", "hardware_rows"]

STANDINGS = {"R": "read", "C": "computed", "M": "assumption"}
"""What the standing of a figure means: read in the source, computed from it, or an assumption."""


class Row(NamedTuple):
    """A figure for people: what it is, its value, and how far it can be trusted.

    ``standing`` is ``announced``, ``read``, ``computed``, ``assumption``, or empty for what the cluster simply has.
    """

    figure: str
    value: str
    standing: str = ""
    source: str = ""


def describe(cluster: Cluster) -> dict[str, Any]:
    """Return what there is to say about a cluster; numbers, texts, lists and tables that JSON can hold.

    Keys that are always there: ``name``, ``nodes``, ``gpus``, ``gpu_types`` (GPUs by type), ``node_types``, ``levels``,
    ``rated_it_mw``.  Sites made of blocks add ``blocks``, ``switches``, ``rated_mw`` (at the meter), ``w_per_gpu``,
    ``design_pue``, ``announced`` and ``assumptions``.
    """
    counts = np.bincount(cluster.node_kind, minlength=len(cluster.kinds))
    by_type = np.bincount(cluster.node_type, weights=cluster.node_gpus, minlength=len(cluster.gpu_types)).tolist()
    rated_w = sum(kind.rated_w * int(nodes) for kind, nodes in zip(cluster.kinds, counts, strict=True))
    facts: dict[str, Any] = {
        "name": cluster.name,
        "nodes": cluster.nodes,
        "gpus": cluster.gpus,
        "gpu_types": {name: int(gpus) for name, gpus in sorted(zip(cluster.gpu_types, by_type, strict=True)) if gpus},
        "node_types": [
            {"name": kind.name, "nodes": int(nodes), "gpus": kind.gpus, "rated_w": kind.rated_w, "source": kind.source}
            for kind, nodes in zip(cluster.kinds, counts, strict=True)
        ],
        "levels": _levels(cluster),
        "rated_it_mw": rated_w / 1e6,
    }
    return facts | dict(cluster.facts)


def _levels(cluster: Cluster) -> list[dict[str, Any]]:
    """Return, for each level, how many domains it has, how many nodes these have, and how oversubscribed they are."""
    ratios = None if cluster.capacity is None else cluster.capacity.oversubscription(cluster.levels)
    described = []
    for number, (name, domain) in enumerate(zip(cluster.levels.names, cluster.levels.domains, strict=True)):
        nodes = np.bincount(domain)
        entry: dict[str, Any] = {
            "name": name,
            "domains": int(nodes.size),
            "fewest_nodes": int(nodes.min()),
            "most_nodes": int(nodes.max()),
        }
        if ratios is not None:
            entry["most_oversubscribed"] = float(ratios[number].max())
        described.append(entry)
    return described


def describe_rows(cluster: Cluster) -> list[Row]:
    """Return what there is to say about a cluster as rows for a table; assumptions are called so."""
    facts = describe(cluster)
    rows = [Row("cluster", str(facts["name"]))]
    if "site" in facts:
        rows.append(Row("site", str(facts["site"])))
    rows += _announced_rows(facts)
    rows += [Row("nodes", f"{facts['nodes']:,}"), Row("GPUs", f"{facts['gpus']:,}")]
    rows += [Row(f"GPUs of type {name}", f"{gpus:,}") for name, gpus in facts["gpu_types"].items() if name]
    rows += [_node_row(kind) for kind in facts["node_types"] if kind["nodes"]]
    rows += [_level_row(level) for level in facts["levels"]]
    if "switches" in facts:
        rows.append(Row("network switches", f"{facts['switches']:,} of {facts['switch_w']:,.0f} W on average"))
    rows += [Row(name, text) for name, text in _power(facts)]
    for block in facts.get("blocks", []):
        rows += _block_rows(block)
    return rows + [Row("assumed", "", STANDINGS["M"], text) for text in facts.get("assumptions", [])]


def compare_rows(clusters: Sequence[Cluster]) -> list[tuple[str, ...]]:
    """Return (figure, one value a cluster, standing) rows: sites side by side, what is announced first."""
    described = [describe(cluster) for cluster in clusters]
    rows: list[tuple[str, ...]] = []

    def add(figure: str, values: Sequence[str], standing: str) -> None:
        if any(value != _NONE for value in values):
            rows.append((figure, *values, standing))

    for key, label in _ANNOUNCED.items():
        add(label, [_shown(each.get("announced", {}).get(key)) for each in described], "announced")
    add("GPUs", [f"{each['gpus']:,}" for each in described], STANDINGS["M"])
    add("nodes", [f"{each['nodes']:,}" for each in described], STANDINGS["M"])
    for name in dict.fromkeys(name for each in described for name in each["gpu_types"] if name):
        add(f"GPUs of type {name}", [_shown(each["gpu_types"].get(name)) for each in described], STANDINGS["M"])
    blocks = [{block["name"]: block["fabric"] for block in each.get("blocks", [])} for each in described]
    for name in dict.fromkeys(name for each in blocks for name in each):
        add(f"fabric of block {name}", [_shown(each.get(name)) for each in blocks], STANDINGS["M"])
    add("network switches", [_shown(each.get("switches")) for each in described], STANDINGS["M"])
    powers = [dict(_power(each)) for each in described]
    for name in dict.fromkeys(name for each in powers for name in each):
        add(name, [each.get(name, _NONE) for each in powers], STANDINGS["M"])
    return rows


def hardware_rows(name: str) -> list[Row]:
    """Return the figures of a node type, each with its standing and its source.

    Raises
    ------
    ConfigError
        If the catalogue does not have it; the message lists what it has.
    """
    figures = [Row(figure, _shown(value), STANDINGS[standing], source)
               for figure, value, standing, source in hardware_figures(name)]  # fmt: skip
    kind = node_types()[name]
    return [
        Row("hardware", kind.name),
        Row("gpu_type", kind.gpu_type),
        *figures,
        Row("gpu_dynamic_w", f"{kind.gpu_dynamic_w:,.0f}", STANDINGS["C"], "what a GPU adds from idle to full load"),
    ]


_NONE = "-"
_ANNOUNCED = {"mw": "announced power, MW", "gpus": "announced GPUs", "years": "announced years"}


def _shown(value: object) -> str:
    if value is None:
        return _NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) or not value.is_integer() else f"{value:,.0f}"


def _announced_rows(facts: Mapping[str, Any]) -> list[Row]:
    figures = facts.get("figures", {})
    return [
        Row(
            _ANNOUNCED.get(key, f"announced {key}"),
            _shown(value),
            "announced",
            figures.get(f"announced_{key}", {}).get("source", ""),
        )
        for key, value in facts.get("announced", {}).items()
    ]


def _node_row(kind: Mapping[str, Any]) -> Row:
    each = counted(kind["gpus"], "GPU")
    return Row(f"nodes of type {kind['name']}", f"{kind['nodes']:,} of {each} and {kind['rated_w']:,.0f} W rated")


def _level_row(level: Mapping[str, Any]) -> Row:
    fewest, most = level["fewest_nodes"], level["most_nodes"]
    nodes = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    text = f"{level['domains']:,} of {nodes} node{'s' if nodes != '1' else ''}"
    if level.get("most_oversubscribed", 1.0) > 1:
        text += f", oversubscribed at most {level['most_oversubscribed']:.3g}:1"
    return Row(f"level {level['name']}", text)


def _power(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("IT power at rated load", _megawatts(facts["rated_it_mw"]))]
    if "rated_mw" in facts:
        rows.append(("power at the meter at rated load", _megawatts(facts["rated_mw"])))
        rows.append(("design PUE", f"{facts['design_pue']:.3f}"))
    if "w_per_gpu" in facts:
        rows.append(("power at the meter for each GPU", f"{facts['w_per_gpu']:,.0f} W"))
    return rows


def _megawatts(power: float) -> str:
    """Return a power given in MW, with two decimals in the unit that suits its size."""
    size, unit = power_unit(1e6 * power)
    return f"{1e6 * power / size:,.2f} {unit}"


def _block_rows(block: Mapping[str, Any]) -> list[Row]:
    """Return a block's figures with their sources, then what follows from them."""
    name = f"block {block['name']}"
    rows = [Row(f"{name}, commissioned", str(block["commissioned"]))] if block["commissioned"] else []
    for figure, (standing, source) in block["sources"].items():
        text = source.removeprefix("an assumption: ").removeprefix("an assumption")
        rows.append(Row(f"{name}, {figure}", _shown(block.get(figure)), STANDINGS.get(standing, standing), text))
    places = [f"{block[key]:,} {key}" for key in ("racks", "leaves", "pods") if block[key] is not None]
    rows.append(Row(f"{name}, GPUs", f"{block['gpus']:,}"))
    rows.append(
        Row(
            f"{name}, network",
            ", ".join([*places, "1 switch" if block["switches"] == 1 else f"{block['switches']:,} switches"]),
        )
    )
    power = f"{_megawatts(block['rated_it_mw'])} IT"
    if block["rated_mw"] is not None:
        power += f", {_megawatts(block['rated_mw'])} at the meter"
    return [*rows, Row(f"{name}, power at rated load", power)]
