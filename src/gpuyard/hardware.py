"""GPU types and node types: what a node holds and what it draws, from ``presets/hardware.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from gpuyard.errors import unknown_name

__all__ = ["NodeType", "composed_node", "hardware_figures", "node_type", "node_types"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeType:
    """One kind of node: what it holds and what it draws.

    The draw of a node is ``idle_w`` plus, for each GPU in use, ``gpu_dynamic_w`` times the load of
    the job's class, plus ``cpu_dynamic_w`` times the share of its cores in use.  With everything
    at full load it is ``rated_w``.
    """

    name: str
    gpu_type: str
    gpus: int
    cpus: float | None
    memory_gib: float | None
    idle_w: float
    """whole node, nothing running, its GPUs' idle draw included"""
    gpu_dynamic_w: float
    """one GPU from idle to full load, with its share of fans, NICs and conversion losses"""
    cpu_dynamic_w: float
    """all CPUs of the node from idle to full load"""
    source: str
    """where the figures come from, and their standing: R read, C computed, M assumption"""

    @property
    def rated_w(self) -> float:
        """The node's draw with all GPUs and CPUs at full load, W."""
        return self.idle_w + self.gpus * self.gpu_dynamic_w + self.cpu_dynamic_w


@cache
def _catalogue() -> dict[str, Any]:
    return tomllib.loads(files("gpuyard.presets").joinpath("hardware.toml").read_text(encoding="utf-8"))


def _cited(sources: Mapping[str, list[str]]) -> str:
    """Return ``figure [standing]: source; ...`` for an entry's table of sources."""
    return "; ".join(f"{figure} [{standing}]: {source}" for figure, (standing, source) in sources.items())


def _node_type(name: str, entry: Mapping[str, Any]) -> NodeType:
    rated_w = entry["rated_w"] if "rated_w" in entry else entry["rack_rated_w"] / entry["nodes_per_rack"]
    return NodeType(
        name=name,
        gpu_type=entry["gpu_type"],
        gpus=entry["gpus"],
        cpus=float(entry["cpus"]),
        memory_gib=float(entry["memory_gib"]),
        idle_w=float(entry["idle_w"]),
        gpu_dynamic_w=(rated_w - entry["idle_w"] - entry["cpu_dynamic_w"]) / entry["gpus"],
        cpu_dynamic_w=float(entry["cpu_dynamic_w"]),
        source=_cited(entry["sources"]),
    )


@cache
def node_types() -> Mapping[str, NodeType]:
    """Return the catalogue: every node type by name, and ``generic``, an 8-GPU node of no maker."""
    known = {name: _node_type(name, entry) for name, entry in _catalogue()["nodes"].items()}
    known["generic"] = composed_node(gpu_type="generic", gpus=8, name="generic")
    return MappingProxyType(known)


def node_type(name: str) -> NodeType:
    """Return the node type of that name.

    Raises
    ------
    ConfigError
        If the catalogue does not have it; the message lists what it has.
    """
    known = node_types()
    if name not in known:
        raise unknown_name("hardware", name, known)
    return known[name]


def hardware_figures(name: str) -> list[tuple[str, float, str, str]]:
    """Return (figure, value, standing, source) of everything the catalogue states about a node type.

    Raises
    ------
    ConfigError
        If the catalogue does not have it; the message lists what it has.
    """
    entries = _catalogue()["nodes"]
    if name not in entries:
        raise unknown_name("hardware", name, entries)
    entry = entries[name]
    return [(figure, entry[figure], standing, source) for figure, (standing, source) in entry["sources"].items()]


@cache
def _gpu_entries() -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Return, for each name an inventory may use, the catalogue's GPU and its figures."""
    return {alias: (gpu, entry) for gpu, entry in _catalogue()["gpus"].items() for alias in (gpu, *entry["names"])}


def composed_node(*, gpu_type: str, gpus: int, name: str | None = None) -> NodeType:
    """Return a node of which only the GPU model and their number are known.

    Its draw is a host's plus its GPUs', each GPU with half as much again for fans, NICs and losses
    (``[host]`` and ``[gpus]`` of the catalogue).  A model that the catalogue does not know draws what
    ``unknown`` draws, and ``source`` says so.

    Parameters
    ----------
    gpu_type
        The model's name, kept as it is: jobs ask for it.  '' with no GPUs.
    gpus
        GPUs of the node, 0 for a CPU-only node.
    name
        What to call the node type; ``8 x T4`` by default.
    """
    host = _catalogue()["host"]
    _, gpu = _gpu_entries().get(gpu_type, _gpu_entries()["unknown"])
    overhead = host["gpu_overhead"]
    standing, cited = gpu["source"]
    note = f"; one GPU [{standing}]: {cited}" if gpus else ""
    return NodeType(
        name=name or (f"{gpus} x {gpu_type}" if gpus else "cpu"),
        gpu_type=gpu_type,
        gpus=gpus,
        cpus=None,
        memory_gib=None,
        idle_w=float(host["idle_w"] + gpus * overhead * gpu["idle_w"]),
        gpu_dynamic_w=float(overhead * (gpu["rated_w"] - gpu["idle_w"])),
        cpu_dynamic_w=float(host["cpu_dynamic_w"]),
        source=_cited(host["sources"]) + note,
    )
