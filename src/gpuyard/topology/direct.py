"""Levels and capacities of a site straight from its fabrics, without drawing a graph.

A site is one fabric after the other.  A level that one fabric has and another lacks is, in the latter, the
level below it once more (a leaf that is its own pod), or the single node.  Several fabrics are joined by one
backbone above their halls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpuyard.topology.capacity import Capacity
from gpuyard.topology.fabric import LEVEL_ORDER, Fabric, Tier
from gpuyard.topology.levels import Levels

__all__ = ["backbone_gbps", "filled_tiers", "host_names", "is_telling", "level_names", "site_capacity", "site_levels"]


def level_names(fabrics: Sequence[Fabric]) -> tuple[str, ...]:
    """Return the levels that any of the fabrics has, lowest first."""
    present = {tier.level for fabric in fabrics for tier in fabric.tiers}
    return tuple(name for name in LEVEL_ORDER if name in present)


def filled_tiers(fabric: Fabric, names: Sequence[str]) -> tuple[Tier, ...]:
    """Return one tier for each level name; a missing one cuts like the tier below it."""
    own = {tier.level: tier for tier in fabric.tiers}
    filled: list[Tier] = []
    hosts = 1
    for name in names:
        tier = own.get(name, Tier(level=name, hosts=hosts))
        hosts = tier.hosts
        filled.append(tier)
    return tuple(filled)


def is_telling(domain: NDArray[np.int32]) -> bool:
    """Return whether a level tells anything: neither one domain for all nodes nor one for each."""
    return 0 < int(domain[-1]) < domain.size - 1


def host_names(fabrics: Sequence[Fabric]) -> tuple[str, ...]:
    """Return the names of all hosts, fabric by fabric: ``phase-1-00042``."""
    return tuple(f"{fabric.name}-{number:05d}" for fabric in fabrics for number in range(fabric.hosts))


def _all_domains(fabrics: Sequence[Fabric], names: Sequence[str]) -> list[NDArray[np.int32]]:
    parts: list[list[NDArray[np.int32]]] = [[] for _ in names]
    first = [0] * len(names)
    for fabric in fabrics:
        for level, tier in enumerate(filled_tiers(fabric, names)):
            parts[level].append(
                np.arange(fabric.hosts, dtype=np.int32) // np.int32(tier.hosts) + np.int32(first[level])
            )
            first[level] += fabric.domains(tier)
    return [np.concatenate(each) for each in parts]


def site_levels(fabrics: Sequence[Fabric]) -> Levels:
    """Return the levels of the site, without those that tell nothing."""
    names = level_names(fabrics)
    domains = _all_domains(fabrics, names)
    telling = [level for level, domain in enumerate(domains) if is_telling(domain)]
    return Levels(names=tuple(names[level] for level in telling), domains=tuple(domains[level] for level in telling))


def backbone_gbps(fabric: Fabric, interconnect_oversubscription: float) -> float:
    """Return the capacity from a fabric's hall to the other halls, Gbit/s in one direction."""
    return fabric.hosts * fabric.host_gbps / interconnect_oversubscription


def _uplinks(fabric: Fabric, names: Sequence[str], hall_gbps: float) -> list[NDArray[np.float64]]:
    """Return the uplink capacity of each domain of each level of one fabric."""
    top = fabric.network_tiers[-1]
    uplinks: list[NDArray[np.float64]] = []
    reached_top = False
    below = np.full(fabric.hosts, fabric.host_gbps)
    for tier in filled_tiers(fabric, names):
        domains = fabric.domains(tier)
        reached_top = reached_top or tier == top
        if reached_top:
            below = np.full(domains, hall_gbps)
        elif tier.up_gbps:
            below = np.full(domains, tier.up_gbps)
        elif domains != below.size:
            below = np.bincount(np.arange(fabric.hosts) // tier.hosts) * fabric.host_gbps
        uplinks.append(below)
    return uplinks


def site_capacity(fabrics: Sequence[Fabric], *, interconnect_oversubscription: float = 4.0) -> Capacity:
    """Return the capacities that go with :func:`site_levels`."""
    names = level_names(fabrics)
    domains = _all_domains(fabrics, names)
    of_fabric = [
        _uplinks(fabric, names, backbone_gbps(fabric, interconnect_oversubscription) if len(fabrics) > 1 else 0.0)
        for fabric in fabrics
    ]
    uplinks = [np.concatenate([each[level] for each in of_fabric]) for level in range(len(names))]
    return Capacity(
        node_gbps=np.concatenate([np.full(fabric.hosts, fabric.host_gbps) for fabric in fabrics]),
        uplink_gbps=tuple(uplink for uplink, domain in zip(uplinks, domains, strict=True) if is_telling(domain)),
    )
