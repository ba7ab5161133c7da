"""What a site is, in numbers and in rows for people: blocks, totals, power, what is announced and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpuyard.cluster import Cluster

__all__ = ["STANDINGS", "describe", "describe_rows"]

STANDINGS = {"R": "read in the source", "C": "computed from sources", "M": "assumption"}
"""What the standing of a figure means."""


def describe(cluster: Cluster) -> dict[str, Any]:
    """Return what there is to say about a cluster; numbers, texts, lists and tables that JSON can hold.

    Keys that are always there: ``name``, ``nodes``, ``gpus``, ``gpu_types`` (GPUs by type), ``node_types``, ``levels``,
    ``rated_it_mw``.  Sites made of blocks add ``blocks``, ``switches``, ``rated_mw`` (at the meter), ``w_per_gpu``,
    ``design_pue``, ``announced`` and ``assumptions``.
    """
    counts = np.bincount(cluster.node_kind, minlength=len(cluster.kinds))
    by_type = np.bincount(cluster.node_type, weights=cluster.node_gpus, minlength=len(cluster.gpu_types))
    rated_w = sum(kind.rated_w * int(nodes) for kind, nodes in zip(cluster.kinds, counts, strict=True))
    facts: dict[str, Any] = {
        "name": cluster.name,
        "nodes": cluster.nodes,
        "gpus": cluster.gpus,
        "gpu_types": {name: int(gpus) for name, gpus in zip(cluster.gpu_types, by_type, strict=True) if gpus},
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


def describe_rows(cluster: Cluster) -> list[tuple[str, str]]:
    """Return (what, value) rows for a table; assumptions are called so."""
    facts = describe(cluster)
    rows = [("cluster", str(facts["name"]))]
    if "site" in facts:
        rows.append(("site", str(facts["site"])))
    rows += [("nodes", f"{facts['nodes']:,}"), ("GPUs", f"{facts['gpus']:,}")]
    rows += [(f"GPUs of type {name}", f"{gpus:,}") for name, gpus in facts["gpu_types"].items() if name]
    rows += [_level_row(level) for level in facts["levels"]]
    if "switches" in facts:
        rows.append(("network switches", f"{facts['switches']:,} of {facts['switch_w']:,.0f} W on average"))
    rows.append(("IT power at rated load", f"{facts['rated_it_mw']:,.2f} MW"))
    if "rated_mw" in facts:
        rows.append(("power at the meter at rated load", f"{facts['rated_mw']:,.2f} MW"))
        rows.append(("design PUE", f"{facts['design_pue']:.3f}"))
    if "w_per_gpu" in facts:
        rows.append(("power at the meter for each GPU", f"{facts['w_per_gpu']:,.0f} W"))
    for block in facts.get("blocks", []):
        rows += _block_rows(block)
    rows += _announced_rows(facts)
    return rows


def _level_row(level: Mapping[str, Any]) -> tuple[str, str]:
    fewest, most = level["fewest_nodes"], level["most_nodes"]
    nodes = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    text = f"{level['domains']:,} of {nodes} nodes"
    if "most_oversubscribed" in level:
        text += f", oversubscribed at most {level['most_oversubscribed']:.3g}:1"
    return f"level {level['name']}", text


def _block_rows(block: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = f"block {block['name']}"
    years = f", {block['commissioned']}" if block["commissioned"] else ""
    rows = [(name, f"{block['nodes']:,} x {block['hardware']}, {block['gpus']:,} GPUs{years}")]
    places = [f"{block[key]:,} {key}" for key in ("racks", "leaves", "pods") if block[key] is not None]
    rows.append((f"{name}, network", ", ".join([block["fabric"], *places, f"{block['switches']:,} switches"])))
    power = f"{block['node_rated_w']:,.0f} W a node, {block['rated_it_mw']:,.2f} MW IT"
    if block["rated_mw"] is not None:
        power += f", {block['rated_mw']:,.2f} MW at the meter"
    rows.append((f"{name}, power at rated load", power))
    rows += [
        (f"{name}, {figure}: {STANDINGS.get(source[0], source[0])}", source[1]) for figure, source in _cited(block)
    ]
    return rows


def _cited(block: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    return list(block["sources"].items())


def _announced_rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what was announced, with its source, and what the preset assumes."""
    figures = facts.get("figures", {})
    rows = []
    for key, value in facts.get("announced", {}).items():
        source = figures.get(f"announced_{key}", {}).get("source")
        shown = f"{value:,}" if isinstance(value, int | float) else str(value)
        rows.append((f"announced: {key}", f"{shown} ({source})" if source else shown))
    return rows + [("assumed", text) for text in facts.get("assumptions", [])]
