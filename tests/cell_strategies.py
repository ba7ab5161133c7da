"""Random sites of alike nodes, owners that fit them, and jobs that want their cells."""

from __future__ import annotations

from hypothesis import strategies as st

from conftest import cluster
from gpuyard.cells import Cells
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.workload import Workload
from reference import ESTIMATES, ORDERS
from reference.cells import Hierarchy

NAMES = ("blue", "blue/sky", "red")
HOMES = (None, "blue", "blue", "blue/sky", "blue/ice", "red", "red", "grey")


@st.composite
def cell_sites(draw: st.DrawFn) -> Cluster:
    """Nodes of the same size, in groups of the same size, in groups of these."""
    size = draw(st.sampled_from([1, 2, 4, 4, 6, 8]))
    fans = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(0, 2)))]
    tops = draw(st.integers(1, 2 if len(fans) == 2 else 4))
    nodes = tops
    for fan in fans:
        nodes *= fan
    levels, width = [], 1
    for fan in fans:
        width *= fan
        levels.append([node // width for node in range(nodes)])
    cpus = draw(st.none() | st.none() | st.just([2 * size + 1] * nodes))
    return cluster(*[size] * nodes, cpus=cpus, levels=levels)


@st.composite
def cells_for(draw: st.DrawFn, site: Cluster, by: str = "tenant", *, beyond: str | None = None) -> Cells:
    """Cells of a site, handed out from the highest level down."""
    names = site.levels.names
    levels = draw(st.none() | st.just(names) | st.just(names[1:])) if names else None
    hierarchy = Hierarchy.of(site, levels)
    owned: dict[str, dict[str, int]] = {name: {} for name in NAMES[: draw(st.integers(1, 3))]}
    there = hierarchy.tops
    for level in reversed(range(len(hierarchy.names))):
        for counts in owned.values():
            count = draw(st.integers(0, min(there, 3)))
            there -= count
            if count or draw(st.booleans()):
                counts[hierarchy.names[level]] = count
        there *= hierarchy.fans[level]
    beyond = beyond or draw(st.sampled_from(["wait", "opportunistic"]))
    return Cells(owners=owned, by=by, levels=levels, beyond=beyond)


@st.composite
def in_cells(draw: st.DrawFn, jobs: Workload, by: str = "tenant", *, users: bool = False) -> Workload:
    """Give the jobs owners and priorities; most are guaranteed, and small enough for a cell.

    In many workloads those of nobody come first, so that owners find their cells lent.
    """
    rows = jobs.table.to_pylist()
    lent = draw(st.booleans())
    flags = draw(st.sampled_from([(None,), (None,), (None, None, True, False)]))
    small = draw(st.booleans())
    for row in rows:
        row[by] = draw(st.sampled_from(HOMES))
        if users:
            row["user"] = draw(st.sampled_from([None, "ann", "ann", "bob"]))
        row["priority"] = draw(st.sampled_from([None, None, 0, 3, -1, -2]))
        if lent and row["priority"] in {-1, -2}:
            row["submit_time"], row["runtime"] = 0.0, (row["runtime"] or 0) * 3
        row["preemptible"] = draw(st.sampled_from(flags))
        if small and row["nodes"] is None:
            row["gpus"] = min(row["gpus"], draw(st.integers(1, 4)))
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@st.composite
def cell_policies(draw: st.DrawFn, cells: Cells, scale: float = 1, **fixed: object) -> Policy:
    """Any policy with these cells."""
    terms: dict[str, object] = {}
    if draw(st.booleans()):
        terms["restart_cost"] = draw(st.integers(0, 2)) * scale
    kept = draw(st.sampled_from(["all", "checkpoints", "nothing"]))
    if kept == "checkpoints":
        terms |= {
            "checkpoint_interval": draw(st.integers(1, 3)) * scale,
            "checkpoint_cost": draw(st.integers(0, 1)) * scale,
        }
    elif kept == "nothing":
        terms["checkpoint_interval"] = None
    fields: dict[str, object] = {
        "order": draw(st.sampled_from(ORDERS)),
        "backfill": draw(st.sampled_from(["none", "fit", "easy"])),
        "estimate": draw(st.sampled_from(ESTIMATES)),
        "on_limit": draw(st.sampled_from(["kill", "kill", "ignore"])),
    }
    return Policy(**{**fields, "cells": cells, "preemption": Preemption(rule="cells", **terms), **fixed})


@st.composite
def in_ranks(draw: st.DrawFn, jobs: Workload) -> Workload:
    """Let most jobs be guaranteed ones of one owner, which last, with priorities that rise in many workloads."""
    rows = jobs.table.to_pylist()
    rising, one = draw(st.sampled_from([True, True, False])), draw(st.sampled_from([True, True, False]))
    last = max((row["submit_time"] for row in rows), default=0) or 1
    for row in rows:
        row["tenant"] = "blue" if one and draw(st.integers(0, 4)) else row["tenant"]
        row["runtime"] = (row["runtime"] or 0) * 3
        row["gpus"] = min(row["gpus"], 8) if row["nodes"] is None else row["gpus"]
        if draw(st.integers(0, 5)):
            row["priority"] = int(4 * row["submit_time"] / last) if rising else draw(st.integers(0, 3))
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
