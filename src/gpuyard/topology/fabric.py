"""Fabrics by their parameters: how many hosts share a rack, a leaf, a pod, and what joins these.

A fabric is a stack of tiers, lowest first, each cutting the hosts 0, 1, 2, ... into runs of equal length:

nvlink   hosts of one NVLink domain that spans several of them
rack     hosts of one rack
leaf     hosts on the same leaf switches: under one leaf, or, rail-optimised, under one leaf for each rail
pod      hosts that reach each other without the core
hall     all hosts of the fabric

The levels of locality follow from these numbers alone; :mod:`gpuyard.topology.build` draws the same fabric
as a graph.  Every domain is cabled in full, also the last one, which may have fewer hosts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, isfinite

from gpuyard.errors import ConfigError, unknown_name

__all__ = [
    "FABRICS",
    "LEVEL_ORDER",
    "Fabric",
    "Tier",
    "fat_tree",
    "flat",
    "leaf_spine",
    "make_fabric",
    "nvlink_racks",
    "rail_optimized",
]

LEVEL_ORDER = ("nvlink", "rack", "leaf", "pod", "hall")
"""Names of levels, lowest first, in every fabric, site and importer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """One cut of the hosts into domains, and the switches of each domain."""

    level: str
    hosts: int
    """hosts of a full domain"""
    role: str = ""
    """role of its switches; '' for a place, such as a rack, without network switches of its own"""
    planes: int = 0
    """parallel groups of switches in each domain: rails of a leaf, spines of a pod"""
    switches: int = 0
    """switches in each domain, all planes together"""
    up_gbps: float = 0.0
    """capacity from a domain to the tier above, one direction; 0 at the top"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fabric:
    """The network of ``hosts`` equal hosts.

    Parameters
    ----------
    name
        Prefix of the names of hosts and switches.
    kind
        The builder's name out of :data:`FABRICS`.
    hosts
        How many hosts there are.
    links
        Network ports of a host.
    link_gbps
        Capacity of one port, Gbit/s in one direction.
    tiers
        Lowest first; the last one is the hall, which has all hosts.
    nvlink_gbps
        Capacity of a host into its NVLink domain, one direction, where the domain spans hosts.
    """

    name: str
    kind: str
    hosts: int
    links: int
    link_gbps: float
    tiers: tuple[Tier, ...]
    nvlink_gbps: float = 0.0

    def __post_init__(self) -> None:
        below = 1
        for tier in self.tiers[:-1]:
            if tier.hosts < 1 or tier.hosts % below:
                raise ConfigError(
                    f"fabric '{self.name}': a {tier.level} of {tier.hosts} hosts is not made of whole parts of {below}"
                )
            below = tier.hosts

    @property
    def host_gbps(self) -> float:
        """Capacity of a host into the network, Gbit/s in one direction."""
        return self.links * self.link_gbps

    @property
    def network_tiers(self) -> tuple[Tier, ...]:
        """The tiers with network switches, lowest first; NVLink switches are part of their rack."""
        return tuple(tier for tier in self.tiers if tier.planes and tier.role != "nvlink")

    def domains(self, tier: Tier) -> int:
        """Return how many domains a tier has."""
        return ceil(self.hosts / tier.hosts)

    @property
    def switches(self) -> dict[str, int]:
        """Network switches by role."""
        return {tier.role: tier.switches * self.domains(tier) for tier in self.network_tiers}


def _checked(**numbers: float) -> None:
    """Raise a ConfigError for a number that is not positive and finite."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number) or number <= 0:
            raise ConfigError(f"{name} must be greater than 0, got {number!r}")


def _whole(**numbers: int) -> None:
    _checked(**numbers)
    for name, number in numbers.items():
        if not isinstance(number, int):
            raise ConfigError(f"{name} must be a whole number, got {number!r}")


def _rack(hosts_per_rack: int | None, above: int) -> tuple[Tier, ...]:
    """Return the tier of racks, or nothing if racks are not told apart from what is above."""
    if hosts_per_rack is None or hosts_per_rack == above:
        return ()
    _whole(hosts_per_rack=hosts_per_rack)
    return (Tier(level="rack", hosts=hosts_per_rack),)


def flat(hosts: int, *, name: str = "site", link_gbps: float = 100.0, hosts_per_rack: int | None = None) -> Fabric:
    """Return one big switch: all hosts are equally near, but for racks if there are any."""
    _whole(hosts=hosts)
    _checked(link_gbps=link_gbps)
    hall = Tier(level="hall", hosts=hosts, role="switch", planes=1)
    return Fabric(
        name=name, kind="flat", hosts=hosts, links=1, link_gbps=link_gbps, tiers=(*_rack(hosts_per_rack, hosts), hall)
    )


def leaf_spine(
    hosts: int,
    *,
    name: str = "site",
    hosts_per_leaf: int = 16,
    hosts_per_rack: int | None = None,
    links: int = 1,
    link_gbps: float = 400.0,
    oversubscription: float = 1.0,
    radix: int = 64,
) -> Fabric:
    """Return a two-tier folded Clos: every leaf reaches every spine.

    Parameters
    ----------
    hosts_per_leaf, hosts_per_rack
        Hosts under one leaf; hosts of one rack, if racks are smaller than that.
    links, link_gbps
        Ports of a host, all into its leaf, and the capacity of one in Gbit/s.
    oversubscription
        Capacity of the hosts of a leaf over the capacity of its uplinks.
    radix
        Ports of a switch.  There are as many spines as the uplinks need.
    """
    _whole(hosts=hosts, hosts_per_leaf=hosts_per_leaf, links=links, radix=radix)
    _checked(link_gbps=link_gbps, oversubscription=oversubscription)
    up = ceil(hosts_per_leaf * links / oversubscription)
    if hosts_per_leaf * links + up > radix:
        raise ConfigError(f"a leaf of {hosts_per_leaf * links} + {up} ports does not fit a switch of radix = {radix}")
    leaves = ceil(hosts / hosts_per_leaf)
    spines = ceil(leaves * up / radix) if leaves > 1 else 0
    leaf = Tier(level="leaf", hosts=hosts_per_leaf, role="leaf", planes=1, switches=1, up_gbps=up * link_gbps)
    hall = Tier(level="hall", hosts=hosts, role="spine", planes=spines, switches=spines)
    return Fabric(
        name=name,
        kind="leaf-spine",
        hosts=hosts,
        links=links,
        link_gbps=link_gbps,
        tiers=(*_rack(hosts_per_rack, hosts_per_leaf), leaf, hall),
    )


def fat_tree(hosts: int | None = None, *, name: str = "site", radix: int = 64, link_gbps: float = 400.0) -> Fabric:
    """Return the three-tier folded Clos of k-port switches: k pods of k/2 leaves and k/2 spines, k^2/4 cores.

    It holds k^3/4 hosts at full bisection; fewer ``hosts`` fill fewer pods (Al-Fares et al., SIGCOMM 2008).
    """
    _whole(radix=radix)
    if radix % 2:
        raise ConfigError(f"a fat tree needs switches with an even number of ports, got radix={radix}")
    half = radix // 2
    hosts = half * half * radix if hosts is None else hosts
    _whole(hosts=hosts)
    _checked(link_gbps=link_gbps)
    if hosts > half * half * radix:
        raise ConfigError(f"a fat tree of radix {radix} holds {half * half * radix} hosts, not {hosts}")
    cores = half * half if hosts > half * half else 0
    tiers = (
        Tier(level="leaf", hosts=half, role="leaf", planes=1, switches=1, up_gbps=half * link_gbps),
        Tier(
            level="pod",
            hosts=half * half,
            role="spine",
            planes=half,
            switches=half,
            up_gbps=half * half * link_gbps if cores else 0.0,
        ),
        Tier(level="hall", hosts=hosts, role="core", planes=cores, switches=cores),
    )
    return Fabric(name=name, kind="fat-tree", hosts=hosts, links=1, link_gbps=link_gbps, tiers=tiers)


def _pods_and_core(
    hosts: int,
    leaf: Tier,
    *,
    leaves_per_pod: int,
    radix: int,
    link_gbps: float,
    oversubscription: float,
    core_oversubscription: float,
) -> tuple[Tier, ...]:
    """Return the leaf tier with its uplinks, the pods above it, and the cores if there are several pods.

    Spines stand in planes, one for each rail, as do the cores above each spine; links stay in their plane.
    """
    pods = ceil(hosts / (leaf.hosts * leaves_per_pod))
    leaf_ports = ceil(leaf.hosts / oversubscription) * leaf.planes
    pod_ports = leaf_ports * leaves_per_pod
    core_ports = ceil(pod_ports / core_oversubscription) if pods > 1 else 0
    down = radix // 2 if pods > 1 else radix
    spines = leaf.planes * ceil(pod_ports / leaf.planes / down)
    cores = spines * ceil(pods * core_ports / spines / radix)
    return (
        replace(leaf, up_gbps=leaf_ports * link_gbps),
        Tier(
            level="pod",
            hosts=leaf.hosts * leaves_per_pod,
            role="spine",
            planes=spines,
            switches=spines,
            up_gbps=core_ports * link_gbps,
        ),
        Tier(level="hall", hosts=hosts, role="core" if cores else "", planes=cores, switches=cores),
    )


def rail_optimized(
    hosts: int,
    *,
    name: str = "site",
    rails: int = 8,
    hosts_per_leaf: int = 32,
    leaves_per_pod: int = 8,
    hosts_per_rack: int | None = 4,
    link_gbps: float = 400.0,
    oversubscription: float = 1.0,
    core_oversubscription: float = 1.0,
    radix: int = 64,
) -> Fabric:
    """Return the rail-optimised fabric of scalable units: a leaf for each rail in each unit.

    Port r of every host of a unit goes to the unit's leaf r (NVIDIA DGX SuperPOD H100 reference
    architecture: units of 32 hosts, 8 rails).  One level 'leaf' is one unit.

    Parameters
    ----------
    rails, link_gbps
        Ports of a host, each on its own leaf, and the capacity of one in Gbit/s.
    hosts_per_leaf, leaves_per_pod, hosts_per_rack
        Hosts of a unit; units of a pod; hosts of a rack.
    oversubscription, core_oversubscription
        Down over up capacity of a leaf; the same of a pod against the core.
    radix
        Ports of a switch; there are as many spines and cores as the links need.
    """
    _whole(hosts=hosts, rails=rails, hosts_per_leaf=hosts_per_leaf, leaves_per_pod=leaves_per_pod, radix=radix)
    _checked(link_gbps=link_gbps, oversubscription=oversubscription, core_oversubscription=core_oversubscription)
    down = max(1, int(radix * oversubscription / (1 + oversubscription)))
    leaf = Tier(
        level="leaf", hosts=hosts_per_leaf, role="leaf", planes=rails, switches=rails * ceil(hosts_per_leaf / down)
    )
    tiers = _pods_and_core(
        hosts,
        leaf,
        leaves_per_pod=leaves_per_pod,
        radix=radix,
        link_gbps=link_gbps,
        oversubscription=oversubscription,
        core_oversubscription=core_oversubscription,
    )
    return Fabric(
        name=name,
        kind="rail-optimized",
        hosts=hosts,
        links=rails,
        link_gbps=link_gbps,
        tiers=(*_rack(hosts_per_rack, hosts_per_leaf), *tiers),
    )


def nvlink_racks(
    hosts: int,
    *,
    name: str = "site",
    hosts_per_rack: int = 18,
    racks_per_leaf: int = 8,
    leaves_per_pod: int = 8,
    rails: int = 4,
    link_gbps: float = 400.0,
    nvlink_gbps: float = 28_800.0,
    oversubscription: float = 1.0,
    core_oversubscription: float = 1.0,
    radix: int = 144,
) -> Fabric:
    """Return racks that are one NVLink domain each, in units of ``racks_per_leaf`` racks.

    NVL72: 18 hosts of 4 GPUs a rack, 8 racks a unit, one network port for each GPU (NVIDIA DGX SuperPOD GB200
    reference architecture).  A unit's rail is one leaf of as many switches as its ports need; what the hop between
    these costs is left out.  ``nvlink_gbps`` is a host's, one direction: 4 GPUs x 7,200 Gbit/s in an NVL72.  The
    other parameters are those of :func:`rail_optimized`.
    """
    _whole(hosts=hosts, hosts_per_rack=hosts_per_rack, racks_per_leaf=racks_per_leaf, rails=rails, radix=radix)
    _checked(nvlink_gbps=nvlink_gbps)
    network = rail_optimized(
        hosts,
        name=name,
        rails=rails,
        hosts_per_leaf=hosts_per_rack * racks_per_leaf,
        leaves_per_pod=leaves_per_pod,
        hosts_per_rack=None,
        link_gbps=link_gbps,
        oversubscription=oversubscription,
        core_oversubscription=core_oversubscription,
        radix=radix,
    )
    domain = Tier(level="nvlink", hosts=hosts_per_rack, role="nvlink", planes=1)
    return Fabric(
        name=name,
        kind="nvlink-racks",
        hosts=hosts,
        links=rails,
        link_gbps=link_gbps,
        tiers=(domain, Tier(level="rack", hosts=hosts_per_rack), *network.tiers),
        nvlink_gbps=nvlink_gbps,
    )


FABRICS: Mapping[str, Callable[..., Fabric]] = {
    "flat": flat,
    "leaf-spine": leaf_spine,
    "fat-tree": fat_tree,
    "rail-optimized": rail_optimized,
    "nvlink-racks": nvlink_racks,
}
"""Builders by the name that scenario files use."""


def make_fabric(kind: str, hosts: int, *, name: str = "site", **parameters: object) -> Fabric:
    """Return the fabric of that kind for ``hosts`` hosts.

    Raises
    ------
    ConfigError
        For a kind or parameter that does not exist, or a value that cannot be built.
    """
    if kind not in FABRICS:
        raise unknown_name("fabric", kind, FABRICS)
    known = [each for each in inspect.signature(FABRICS[kind]).parameters if each not in ("hosts", "name")]
    for parameter in parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of the fabric '{kind}'", parameter, known)
    return FABRICS[kind](hosts, name=name, **parameters)
