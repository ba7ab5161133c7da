"""The classes of a workload: their shares, where their kinds come from, and what is changed of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.synthesis.battery import battery_kinds
from gpuyard.synthesis.changing import changed_kinds
from gpuyard.synthesis.drug_discovery import drug_discovery_kinds
from gpuyard.synthesis.kinds import CLASSES, Kind, from_cluster, reshared
from gpuyard.synthesis.manufacturing import manufacturing_kinds
from gpuyard.synthesis.published import CLUSTERS
from gpuyard.synthesis.reading import read_number, read_table, read_weights, read_whole
from gpuyard.synthesis.training import training_kinds

__all__ = [
    "BUILT_IN",
    "DEFAULT_CLASSES",
    "SOURCES",
    "ClassShare",
    "changed_classes",
    "class_mapping",
    "read_classes",
]

_CLASS_FIGURES = ("dispersion", "interarrival_cv")
_CLASS_KEYS = ("share", "source", "redraw", *_CLASS_FIGURES)

BUILT_IN = "built-in"
"""The source that means gpuyard's own kinds of a class."""
SOURCES = (BUILT_IN, *CLUSTERS)
"""Where sizes and run times of a class may come from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassShare:
    """A class of the workload.

    Parameters
    ----------
    share
        Its part of the offered GPU time.
    source
        Source to weight (parts of the GPU time): ``built-in`` for gpuyard's own kinds, or published clusters.
    redraw
        Another number draws this class anew and leaves the others as they are.
    dispersion, interarrival_cv
        Index of dispersion of the hourly counts of submissions, and coefficient of variation of the times between
        them; where neither is given, each kind has bursts of its own.
    changes
        What is changed of its kinds: a table of keys for each, as :func:`gpuyard.synthesis.changing.changed_kinds`
        reads it.
    """

    name: str
    share: float
    source: Mapping[str, float] = field(default_factory=lambda: {BUILT_IN: 1.0})
    redraw: int = 0
    dispersion: float | None = None
    interarrival_cv: float | None = None
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in CLASSES:
            raise unknown_name("workload class", self.name, CLASSES)
        if not 0 < self.share <= 1:
            raise ConfigError(f"class '{self.name}' has share {self.share}; it must be above 0 and at most 1")
        for source, weight in self.source.items():
            if source not in SOURCES:
                raise unknown_name(f"source of class '{self.name}'", source, SOURCES)
            if not 0 <= weight < math.inf:
                raise ConfigError(f"source '{source}' of '{self.name}' has weight {weight}; it must be 0 or more")
        if not sum(self.source.values()) > 0:
            raise ConfigError(f"class '{self.name}' has no source with a weight above 0; choose of {list(SOURCES)}")
        if self.name == "realtime" and any(self.source.get(cluster, 0) > 0 for cluster in CLUSTERS):
            raise ConfigError("class 'realtime' has no published source; leave its source at 'built-in'")
        for name in ("dispersion", "interarrival_cv"):
            value = getattr(self, name)
            if value is not None and not 1 <= value < math.inf:
                raise ConfigError(f"{name} of '{self.name}' must be 1 or more, got {value}; 1 is a Poisson process")
            if value is not None and self.name == "realtime":
                raise ConfigError(f"class 'realtime' has no {name}: its replicas follow demand")
        object.__setattr__(self, "source", MappingProxyType(dict(self.source)))
        object.__setattr__(self, "changes", MappingProxyType(dict(self.changes)))
        if self.changes and self.name == "realtime":
            raise ConfigError("the kinds of class 'realtime' are its services; change them under 'services'")
        self.kinds()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of the class, as they are changed; shares of its GPU time sum to 1."""
        return changed_kinds(self.name, self.kinds_before(), self.changes)

    def kinds_before(self) -> tuple[Kind, ...]:
        """Return the kinds of the class as they are without changes."""
        total = sum(self.source.values())
        found: list[Kind] = []
        for source, weight in self.source.items():
            if weight > 0:
                found += [reshared(kind, kind.share * weight / total) for kind in _kinds(self.name, source)]
        return tuple(found)


def _kinds(job_class: str, source: str) -> tuple[Kind, ...]:
    own = {
        "realtime": tuple,
        "training": training_kinds,
        "drug-discovery": drug_discovery_kinds,
        "battery": battery_kinds,
        "manufacturing": manufacturing_kinds,
    }[job_class]()
    return own if source == BUILT_IN else (from_cluster(source, job_class, priority=own[0].priority, share=1.0),)


DEFAULT_CLASSES = (
    ClassShare(name="realtime", share=0.15),
    ClassShare(name="training", share=0.65),
    ClassShare(name="drug-discovery", share=0.10),
    ClassShare(name="battery", share=0.07),
    ClassShare(name="manufacturing", share=0.03),
)
"""Classes of the default workload: an assumption."""


def read_classes(key: str, value: object) -> tuple[ClassShare, ...]:
    """Return classes from a table of class to share, or to a table."""
    found = []
    for name, entry in read_table(key, value).items():
        inside = dict(entry) if isinstance(entry, Mapping) else {"share": entry}
        for inner in inside:
            if inner not in _CLASS_KEYS:
                raise unknown_name(f"key of class '{name}'", inner, _CLASS_KEYS)
        if "share" not in inside:
            raise ConfigError(f"class '{name}' needs a share")
        source = inside.get("source", BUILT_IN)
        weights = {source: 1.0} if isinstance(source, str) else read_weights(f"source of class '{name}'", source)
        share = read_number(f"share of class '{name}'", inside["share"])
        redraw = read_whole(f"redraw of class '{name}'", inside.get("redraw", 0))
        figures: dict[str, Any] = {
            key: read_number(f"{key} of class '{name}'", inside[key])
            for key in _CLASS_FIGURES
            if inside.get(key) is not None
        }
        found.append(ClassShare(name=name, share=share, source=weights, redraw=redraw, **figures))
    return tuple(found)


def changed_classes(
    classes: tuple[ClassShare, ...], changes: Mapping[str, Mapping[str, Any]]
) -> tuple[ClassShare, ...]:
    """Return the classes with the changes of their kinds."""
    names = [one.name for one in classes]
    for name in changes:
        if name not in CLASSES:
            raise unknown_name("workload class in kinds", name, CLASSES)
        if name not in names:
            raise ConfigError(
                f"kinds of class '{name}', which is not in the workload, are changed; its classes: {names}"
            )
    return tuple(replace(one, changes=changes.get(one.name, one.changes)) for one in classes)


def class_mapping(one: ClassShare) -> dict[str, Any]:
    """Return the table of a class; None is left out."""
    figures = {key: getattr(one, key) for key in _CLASS_FIGURES if getattr(one, key) is not None}
    return {"share": one.share, "source": dict(one.source), "redraw": one.redraw, **figures}
