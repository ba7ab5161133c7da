"""What the scenario of a result says, as the objects that the engine is given, and columns of times as ticks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpuyard.bounds import Bounds
from gpuyard.metrics.stages import second_0
from gpuyard.result import Result
from gpuyard.scenario.bound_keys import PartitionSection, QosSection
from gpuyard.scenario.node_sets import (
    CommissionSection,
    MaintenanceSection,
    ReservationSection,
    VirtualClusterSection,
)
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload, to_ticks

__all__ = ["bounds_of", "section_of", "ticks_of", "virtual_clusters_of", "windows_of"]


def virtual_clusters_of(result: Result) -> list[VirtualCluster]:
    """Return the virtual clusters as the scenario has them."""
    tables = result.scenario.get("virtual_cluster")
    if not isinstance(tables, list):
        return []
    policy = section_of(result, "policy")
    sections = (VirtualClusterSection.model_validate(table) for table in tables)
    return [each for section in sections for each in section.virtual_clusters(policy)]


def section_of(result: Result, name: str) -> Mapping[str, Any]:
    """Return a section of the scenario of a result; an empty one where it has none."""
    section = result.scenario.get(name)
    return section if isinstance(section, Mapping) else {}


def windows_of(result: Result, jobs: Workload) -> list[NodeWindow]:
    """Return the windows over nodes as the scenario has them: maintenance, reservations, commissioning."""

    def origin() -> datetime:
        known = second_0(jobs)
        return known or datetime.fromisoformat(str(section_of(result, "workload").get("start")))

    found = []
    for name, section in (
        ("maintenance", MaintenanceSection),
        ("reservation", ReservationSection),
        ("commission", CommissionSection),
        ("partition", PartitionSection),
    ):
        tables = result.scenario.get(name)
        for table in tables if isinstance(tables, list) else ():
            found += section.model_validate(table).windows(origin)
    return found


def bounds_of(result: Result) -> list[Bounds]:
    """Return the bounds of partitions and QOS as the scenario has them."""
    found: list[Bounds] = []
    for name, section in (("partition", PartitionSection), ("qos", QosSection)):
        tables = result.scenario.get(name)
        found += [section.model_validate(table).bounds() for table in tables] if isinstance(tables, list) else []
    return found


def ticks_of(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a column of seconds as microseconds, NEVER for none."""
    return to_ticks(column.cast(pa.float64()).fill_null(float("nan")).to_numpy().astype(np.float64))
