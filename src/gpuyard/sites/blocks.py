"""Sites made of blocks: each block so many nodes of one hardware in one fabric, with what they draw at rated load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.hardware import NodeType, node_type
from gpuyard.sites.parts import Parts, check_size
from gpuyard.topology.direct import host_names, site_capacity, site_levels
from gpuyard.topology.fabric import Fabric, make_fabric

__all__ = ["INTERCONNECT_OVERSUBSCRIPTION", "Block", "parts_of_blocks", "read_block"]

INTERCONNECT_OVERSUBSCRIPTION = 4.0
"""Down over up capacity of a hall against the other halls, where nothing else is said; an assumption."""

_NUMBERS = {"switch_w": 0.0, "other_it_w_per_gpu": 0.0, "design_pue": 1.0}
"""Numbers a block may state, and their lower bounds."""

_BLOCK_KEYS = ("name", "hardware", "nodes", "commissioned", "fabric", "sources", *_NUMBERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """``nodes`` of one hardware in one fabric, built together.

    Parameters
    ----------
    switch_w
        Draw of one network switch with its optics, W; NVLink switches are part of the rated draw of
        their rack's nodes.
    other_it_w_per_gpu
        Storage, management and login nodes, W for each GPU.
    design_pue
        Facility power over IT power in the hour that the grid connection is sized for.
    sources
        Figure to (standing, source).
    """

    name: str
    hardware: NodeType
    nodes: int
    fabric: Fabric
    switch_w: float = 0.0
    other_it_w_per_gpu: float = 0.0
    design_pue: float | None = None
    commissioned: str = ""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def gpus(self) -> int:
        """GPUs of the block."""
        return self.nodes * self.hardware.gpus

    @property
    def switches(self) -> int:
        """Network switches of the block."""
        return sum(self.fabric.switches.values())

    @property
    def network_w(self) -> float:
        """Draw of all the block's network switches, W."""
        return self.switches * self.switch_w

    @property
    def nodes_w(self) -> float:
        """Draw of all the block's nodes at rated load, W."""
        return self.nodes * self.hardware.rated_w

    @property
    def other_it_w(self) -> float:
        """Draw of the block's storage and management, W."""
        return self.gpus * self.other_it_w_per_gpu

    @property
    def it_w(self) -> float:
        """Draw of the whole block at rated load, W, before cooling and losses."""
        return self.nodes_w + self.network_w + self.other_it_w

    def places(self, level: str) -> int | None:
        """Return how many racks, leaves, ... the block has, or ``None`` if its fabric does not tell them apart."""
        for tier in self.fabric.tiers:
            if tier.level == level:
                return self.fabric.domains(tier)
        return None


def read_block(entry: Mapping[str, Any], number: int) -> Block:
    """Return the block that a ``[[cluster.blocks]]`` entry describes.

    Raises
    ------
    ConfigError
        For a missing or unknown key, hardware or fabric, or a number that cannot be built.
    """
    where = f"cluster.blocks[{number}]"
    for key in entry:
        if key not in _BLOCK_KEYS:
            raise unknown_name(f"key of {where}", key, _BLOCK_KEYS)
    for key in ("hardware", "nodes"):
        if key not in entry:
            raise ConfigError(f"{where} has no '{key}'; say which hardware and how many nodes")
    nodes = entry["nodes"]
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise ConfigError(f"{where}.nodes must be a whole number of at least 1, got {nodes!r}")
    numbers = {key: _number(f"{where}.{key}", entry[key], low) for key, low in _NUMBERS.items() if key in entry}
    hardware = node_type(str(entry["hardware"]))
    check_size(where, nodes, nodes * hardware.gpus)
    parameters = dict(entry.get("fabric", {"kind": "flat"}))
    kind = parameters.pop("kind", "flat")
    name = str(entry.get("name", f"block-{number}"))
    return Block(
        name=name,
        hardware=hardware,
        nodes=nodes,
        fabric=make_fabric(str(kind), nodes, name=name, **parameters),
        commissioned=str(entry.get("commissioned", "")),
        sources=dict(entry.get("sources", {})),
        **numbers,
    )


def _number(where: str, value: object, low: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < math.inf:
        raise ConfigError(f"{where} must be a number of at least {low:g}, got {value!r}")
    return float(value)


def parts_of_blocks(
    blocks: Sequence[Block],
    *,
    name: str,
    interconnect_oversubscription: float = INTERCONNECT_OVERSUBSCRIPTION,
    site: Mapping[str, Any] | None = None,
) -> Parts:
    """Return the site of these blocks, one after the other.

    Parameters
    ----------
    interconnect_oversubscription
        Capacity of a hall's nodes over the capacity from it to the other halls.
    site
        The section ``[site]`` of a preset: what is announced and what is assumed.

    Raises
    ------
    ConfigError
        If two blocks have one name, or the site is too large.
    """
    if not blocks:
        raise ConfigError(f"cluster '{name}' has no blocks; give at least one")
    names = [block.name for block in blocks]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise ConfigError(f"cluster '{name}' has two blocks named '{twice[0]}'; give each a name of its own")
    if not interconnect_oversubscription > 0:
        raise ConfigError(
            f"interconnect_oversubscription must be greater than 0, got {interconnect_oversubscription!r}"
        )
    check_size(f"cluster '{name}'", sum(block.nodes for block in blocks), sum(block.gpus for block in blocks))
    kinds = tuple(dict.fromkeys(block.hardware for block in blocks))
    counts = [block.nodes for block in blocks]
    kind = np.repeat(np.array([kinds.index(block.hardware) for block in blocks], dtype=np.int16), counts)
    fabrics = tuple(block.fabric for block in blocks)
    levels = site_levels(fabrics)
    return Parts(
        name=name,
        node_names=host_names(fabrics),
        node_gpus=np.array([each.gpus for each in kinds], dtype=np.int32)[kind],
        node_kind=kind,
        kinds=kinds,
        node_cpus=_per_node([each.cpus for each in kinds], kind),
        node_memory_gib=_per_node([each.memory_gib for each in kinds], kind),
        levels=levels,
        fabrics=fabrics,
        interconnect_oversubscription=float(interconnect_oversubscription),
        capacity=site_capacity(fabrics, interconnect_oversubscription=interconnect_oversubscription),
        facts=_facts(blocks, site or {}),
    )


def _per_node(of_kind: Sequence[float | None], kind: np.ndarray[Any, np.dtype[np.int16]]) -> Any:
    """Return the figure of each node, or ``None`` unless every kind states it."""
    if any(each is None for each in of_kind):
        return None
    return np.array(of_kind, dtype=np.float64)[kind]


def _facts(blocks: Sequence[Block], site: Mapping[str, Any]) -> dict[str, object]:
    """Return what the site says of itself: numbers and texts that JSON can hold."""
    switches = sum(block.switches for block in blocks)
    gpus = sum(block.gpus for block in blocks)
    it_w = sum(block.it_w for block in blocks)
    facts: dict[str, object] = {
        "switches": switches,
        "switch_w": sum(block.network_w for block in blocks) / switches if switches else 0.0,
        "other_it_w": sum(block.other_it_w for block in blocks),
        "rated_it_mw": it_w / 1e6,
    }
    if all(block.design_pue is not None for block in blocks):
        meter_w = sum(block.it_w * (block.design_pue or 1.0) for block in blocks)
        facts |= {"design_pue": meter_w / it_w, "rated_mw": meter_w / 1e6}
        if gpus:
            facts["w_per_gpu"] = meter_w / gpus
    facts |= _site_facts(site)
    facts["blocks"] = [_block_facts(block) for block in blocks]
    facts["figures"] = _figures(site, site.get("sources", {}))
    return facts


def _figures(values: Mapping[str, Any], sources: Mapping[str, Sequence[str]]) -> dict[str, dict[str, object]]:
    return {
        key: {"value": values[key], "standing": standing, "source": source}
        for key, (standing, source) in sources.items()
        if key in values
    }


def _site_facts(site: Mapping[str, Any]) -> dict[str, object]:
    announced = {key.removeprefix("announced_"): value for key, value in site.items() if key.startswith("announced_")}
    facts: dict[str, object] = {}
    if "name" in site:
        facts["site"] = site["name"]
    if announced:
        facts["announced"] = announced
    if "assumptions" in site:
        facts["assumptions"] = list(site["assumptions"])
    return facts


def _block_facts(block: Block) -> dict[str, object]:
    return {
        "name": block.name,
        "commissioned": block.commissioned,
        "hardware": block.hardware.name,
        "gpu_type": block.hardware.gpu_type,
        "nodes": block.nodes,
        "gpus": block.gpus,
        "racks": block.places("rack"),
        "leaves": block.places("leaf"),
        "pods": block.places("pod"),
        "fabric": block.fabric.kind,
        "switches": block.switches,
        "switch_w": block.switch_w,
        "other_it_w_per_gpu": block.other_it_w_per_gpu,
        "design_pue": block.design_pue,
        "node_rated_w": block.hardware.rated_w,
        "rated_it_mw": block.it_w / 1e6,
        "rated_mw": None if block.design_pue is None else block.it_w * block.design_pue / 1e6,
        "sources": {key: list(source) for key, source in block.sources.items()},
    }
