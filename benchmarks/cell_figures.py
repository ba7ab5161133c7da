"""The figures of cells, against one pool without promises: python benchmarks/cell_figures.py."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from gpuyard.policy import Policy, named_policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from kernel_figures import FIFO, demand_holds, kernel_s, nanoseconds
from measure import least, watched_kernel
from page import Section, markdown
from sizes import FULL, Size
from workloads import draw, racked

__all__ = ["GUESTS", "TENANTS", "celled", "cells_of", "lending", "owned"]

TENANTS = 4
"""Each owns as many racks as the others."""
GUESTS = 5
"""Every so many jobs one is opportunistic."""
_RACK = 4


def owned(size: Size, load: float = 0.9) -> Workload:
    """Return jobs of the tenants in turn, of which some are opportunistic."""
    table = draw(size.jobs, size.nodes, load=load).workload().table
    number = np.arange(size.jobs)
    tenant = pa.array([f"t{each}" for each in range(TENANTS)]).take(pa.array(number % TENANTS))
    priority = np.where(number % GUESTS == 0, -1, 0)
    for name, column in (("tenant", tenant), ("priority", pa.array(priority.astype(np.int32)))):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), column.cast(table.schema.field(place).type))
    return Workload.from_table(table, name="benchmark")


def cells_of(nodes: int, owners: int = TENANTS) -> dict[str, dict[str, int]]:
    """Return the cells of the first so many tenants, each a share of the racks."""
    return {f"t{each}": {"rack": nodes // _RACK // TENANTS} for each in range(owners)}


def celled(nodes: int, *, backfill: str = "fit", owners: int = TENANTS, beyond: str = "wait") -> Policy:
    """Return the policy that hands out racks."""
    return Policy(backfill=backfill, cells={"owners": cells_of(nodes, owners), "levels": ("rack",), "beyond": beyond})


def lending(size: Size) -> Section:
    """Measure cells with and without what is beyond them, below and above what the site can do."""
    rows: list[Sequence[str]] = []
    policies = {
        "fifo-fit": named_policy("fifo-fit", placement=FIFO.placement),
        "cells": celled(size.nodes),
        "cells, beyond": celled(size.nodes, beyond="opportunistic"),
    }
    for load in (0.9, 1.1):
        workload, site = owned(size, load), racked(size.nodes)
        records = {name: schedule(workload, site, policy) for name, policy in policies.items()}
        seconds = least(size.rounds, *(partial(kernel_s, workload, site, policy) for policy in policies.values()))
        for (name, record), each in zip(records.items(), seconds, strict=True):
            attempts = record.attempt_job.size
            demand_holds(record.events >= len(workload) + attempts, f"{name} left jobs out")
            demand_holds(name == "fifo-fit" or attempts > len(workload), f"{name} took nothing back")
            numbers = (f"{each:.3f}", f"{each / seconds[0]:.2f}", f"{record.events:,}", f"{attempts:,}")
            rows.append((f"load {load}", name, *numbers, nanoseconds(each, record.events)))
    return Section(
        title="Cells",
        note=(
            f"{size.jobs:,} jobs of {TENANTS} tenants on {size.nodes:,} x 8 in racks of {_RACK} nodes, of which each "
            f"owns a share; every {GUESTS}th job is opportunistic."
        ),
        header=("jobs", "policy", "CPU s", "x `fifo-fit`", "events", "attempts", "ns an event"),
        rows=rows,
        targets=[],
    )


def main() -> int:
    """Measure and print."""
    with watched_kernel():
        sys.stdout.write(markdown([lending(FULL)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
