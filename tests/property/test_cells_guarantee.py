"""HiveD's guarantee on random sequences: what fits the cells that a owner owns always finds a place.

Zhao et al. 2020, section 3.3: the sharing safety of buddy cell allocation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_strategies import NAMES, cell_policies, cell_sites, cells_for, in_cells
from conftest import cluster, workload
from gpuyard.cells import Cells
from gpuyard.cluster import Cluster
from gpuyard.kernel.bindings import bind, unbind
from gpuyard.kernel.buddies import choose, give
from gpuyard.kernel.cells import CLAIM, OWNERS, build_cells
from gpuyard.kernel.codes import NOBODY
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES
from oracle.test_constraints import recorded
from reference import simulate
from reference.cells import Forest, Hierarchy
from reference.queueing import SCORED
from strategies import crowded_workloads

FIGURE_3 = {"A": (1, 1, 1, 0), "B": (1, 1, 1, 0), "C": (0, 1, 0, 2)}
"""Cells of 1, 2, 4 and 8 GPUs in HiveD's Figure 3, of a rack of four nodes of eight."""

REQUESTS = [(name, level) for name, counts in FIGURE_3.items() for level in range(4) for _ in range(counts[level])]


def owned_by(jobs: Workload, name: str) -> Workload:
    """Return the guaranteed jobs of a owner."""
    rows = [row for row in jobs.table.to_pylist() if (row["priority"] or 0) >= 0 and home(row["tenant"]) == name]
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


def home(path: str | None) -> str | None:
    while path and path not in NAMES:
        path = path.rpartition("/")[0]
    return path or None


def starts_of(record: Record) -> dict[str, int]:
    """Return when each job began that was not rejected."""
    return {name: int(at) for name, at in zip(ids_of(record), record.start, strict=True)}


@settings(max_examples=4 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_an_owner_starts_its_jobs_when_it_would_alone(data):
    """Whatever the others and the opportunistic jobs do, the schedule is that of a site where nobody else is."""
    site, jobs, policy = drawn(data)
    shared = starts_of(schedule(jobs, site, policy))
    for name in policy.cells.owners:
        mine = owned_by(jobs, name)
        private = replace(policy, cells=replace(policy.cells, owners={name: policy.cells.owners[name]}))
        for job, at in starts_of(schedule(mine, site, private)).items():
            assert shared[job] == at, f"job {job} of {name}"


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_so_does_an_owner_whose_jobs_that_run_at_the_beginning_are_all_in_its_cells(data):
    site, jobs, policy = drawn(data)
    jobs = data.draw(recorded(jobs, 1), label="recorded")
    begin = float(data.draw(st.integers(0, 8), label="begin"))
    shared = schedule(jobs, site, policy, begin=begin)
    outside = {name for name, is_outside in zip(ids_of(shared), outside_their_cells(shared), strict=True) if is_outside}
    starts = starts_of(shared)
    for name in policy.cells.owners:
        mine = owned_by(jobs, name)
        if outside & set(mine.table["job_id"].to_pylist()):
            continue
        private = replace(policy, cells=replace(policy.cells, owners={name: policy.cells.owners[name]}))
        for job, at in starts_of(schedule(mine, site, private, begin=begin)).items():
            assert starts[job] == at, f"job {job} of {name}"


def ids_of(record: Record) -> list[str]:
    return record.workload.table["job_id"].to_pylist()


def outside_their_cells(record: Record) -> np.ndarray:
    """Return which jobs ran when the simulation began in cells that were lent to them, or in none."""
    outside = np.zeros(len(record.workload), np.bool_)
    jobs, first = np.unique(record.attempt_job, return_index=True)
    elsewhere = record.attempt_guest[first] | (np.diff(record.slot_offset)[first] == 0)
    outside[jobs] = elsewhere & (record.start[jobs] < record.begin)
    return outside


@settings(max_examples=max(EXAMPLES // 2, 3), deadline=None, database=None)
@given(st.data())
def test_an_owner_starts_its_jobs_when_it_would_alone_in_the_reference(data):
    site, jobs, policy = drawn(data)
    names = jobs.table["job_id"].to_pylist()
    shared = dict(zip(names, simulate(jobs, site, policy), strict=True))
    for name in policy.cells.owners:
        mine = owned_by(jobs, name)
        private = replace(policy, cells=replace(policy.cells, owners={name: policy.cells.owners[name]}))
        for job, fate in zip(mine.table["job_id"].to_pylist(), simulate(mine, site, private), strict=True):
            assert shared[job].start == fate.start, f"job {job} of {name}"


@settings(max_examples=4 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_jobs_of_whole_nodes_start_as_on_a_plain_cluster_of_as_many_nodes(data):
    """The guarantee against something that knows no cells: as many nodes of its own, for each owner."""
    size, nodes = data.draw(st.sampled_from([2, 4, 8])), data.draw(st.integers(3, 6))
    racks = [[node // 2 for node in range(nodes)]] if nodes % 2 == 0 and data.draw(st.booleans()) else []
    site = cluster(*[size] * nodes, levels=racks)
    blue = data.draw(st.integers(1, nodes - 1))
    owned = {"blue": blue, "red": data.draw(st.integers(1, nodes - blue))}
    rows = []
    for _ in range(data.draw(st.integers(6, 24))):
        name = data.draw(st.sampled_from(["blue", "red", None]))
        asked = size * data.draw(st.integers(1, owned[name])) if name else data.draw(st.integers(1, size))
        at, run = data.draw(st.integers(0, 15)), data.draw(st.integers(1, 12))
        rows.append((at, run, asked, {"tenant": name, "priority": data.draw(st.integers(0, 2))}))
    jobs = workload(*rows)
    choice = {
        "order": data.draw(st.sampled_from(["fifo", "sjf", "smallest", "priority"])),
        "backfill": data.draw(st.sampled_from(["none", "fit"])),
    }
    cells = Cells(owners={name: {"node": count} for name, count in owned.items()})
    shared = starts_of(schedule(jobs, site, Policy(cells=cells, **choice)))
    for name, count in owned.items():
        mine = owned_by(jobs, name)
        assert {job: shared[job] for job in mine.table["job_id"].to_pylist()} == starts_of(
            schedule(mine, cluster(*[size] * count), Policy(**choice))
        )


def drawn(data: st.DataObject) -> tuple[Cluster, Workload, Policy]:
    """Return a site, jobs of all owners (all three of :data:`NAMES` own something), a policy whose order stays.

    Under easy nobody outstays his expected end.
    """
    site = data.draw(cell_sites())
    jobs = data.draw(in_cells(data.draw(crowded_workloads(site, 1, 24, plain=True))))
    cells = data.draw(cells_for(site, beyond="wait"))
    cells = replace(cells, owners={name: cells.owners.get(name, {}) for name in NAMES})
    policy = data.draw(cell_policies(cells))
    if policy.backfill != "easy" and data.draw(st.booleans()):
        return site, jobs, replace(policy, order="priority", cells=replace(cells, within="priority"))
    policy = replace(policy, estimate="runtime" if policy.backfill == "easy" else "limit")
    return site, jobs, policy if policy.order not in ("random", *SCORED) else replace(policy, order="fifo")


@settings(max_examples=2 * EXAMPLES, deadline=None, database=None)
@given(st.permutations(REQUESTS))
def test_the_cells_of_hiveds_figure_3_fit_in_any_order_of_requests(order):
    """They are all 32 GPUs of the rack: a single cell in a wrong place would leave somebody out."""
    site = cluster(8, 8, 8, 8, levels=[[0, 0, 0, 0]])
    names = ("gpu", "gpus-2", "gpus-4", "node")
    clusters = {name: dict(zip(names, counts, strict=True)) for name, counts in FIGURE_3.items()}
    jobs = workload(*[(0, 10, 2**level, {"tenant": name}) for name, level in order])
    record = schedule(jobs, site, Policy(cells={"owners": clusters}))
    assert record.start.tolist() == [0] * len(order)


@settings(max_examples=8 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_no_sequence_of_requests_and_releases_breaks_the_binding(data):
    """Virtual cells are taken and given back at random: each that is free is bound at once; nothing is left over."""
    site = data.draw(cell_sites())
    cells = data.draw(cells_for(site))
    levels = Hierarchy.of(site, cells.levels)
    forests, bound, owned = built(cells, levels)
    held: list[tuple[int, int, int, range]] = []
    for _ in range(data.draw(st.integers(1, 60))):
        if held and data.draw(st.integers(0, 2)) == 0:
            forest, level, number, _ = held.pop(data.draw(st.integers(0, len(held) - 1)))
            give(forests, forest, level, number)
            unbind(forests, bound, forest, level, number)
            continue
        forest = data.draw(st.integers(OWNERS, OWNERS + len(owned) - 1))
        level = data.draw(st.integers(0, levels.node))
        chosen = np.zeros(1, np.int64)
        if choose(forests, forest, level, 1, chosen):
            there = bind(forests, bound, forest, level, int(chosen[0]))
            assert there != NOBODY
            gpus = range(there * levels.size(level), (there + 1) * levels.size(level))
            assert all(gpus.stop <= other.start or other.stop <= gpus.start for *_, other in held)
            held.append((forest, level, int(chosen[0]), gpus))
    for forest, level, number, _ in held:
        give(forests, forest, level, number)
        unbind(forests, bound, forest, level, number)
    fresh, blank, _ = built(cells, levels)
    assert np.array_equal(forests.left, fresh.left)
    assert np.array_equal(forests.whole, fresh.whole)
    assert np.array_equal(forests.bits, fresh.bits)
    for name in ("base", "cells", "inner", "maximal", "whole"):
        assert np.array_equal(forests.layer[name], fresh.layer[name]), name
    assert np.array_equal(bound.physical, blank.physical)
    assert np.array_equal(bound.virtual, blank.virtual)
    assert not bound.bound.any()


def built(cells: Cells, levels: Hierarchy):
    size = np.array([levels.size(level) for level in range(len(levels.names))], np.int64)
    owned = [[counts.get(name, 0) for name in levels.names] for counts in cells.owners.values()]
    site = [[0] * (len(size) - 1) + [levels.tops]] * OWNERS
    forests, bound, _ = build_cells(size, levels.node, np.array(site + owned, np.int64), np.zeros(1, CLAIM))
    return forests, bound, owned


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_reference_has_room_for_what_it_says_it_has(count):
    """The forest of a owner that owns nodes holds just as many."""
    forest = Forest(Hierarchy.of(cluster(*[4] * 6), None), [0, 0, count])
    assert forest.take(2, count) is not None
    assert forest.take(0, 1) is None
