"""Units of several jobs: their graphs, what of them falls into the window, and that nothing else moves them."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest

from gpuyard.kernel.bits import draw
from gpuyard.streams import stream_key, uniform_at
from gpuyard.synthesis import SynthesisSpec, synthesise
from gpuyard.synthesis.class_shares import DEFAULT_CLASSES
from gpuyard.synthesis.distributions import LogCdf
from gpuyard.synthesis.expansion import Draws, Jobs, Site, joined
from gpuyard.synthesis.kinds import Kind
from gpuyard.synthesis.stages import Steps, within
from gpuyard.synthesis.unit_supply import UnitSupply

DAY = 86_400.0
ONE_HOUR = LogCdf.between(3600.0, 3600.0 + 1e-6)
WEEK = 7 * DAY
SITE = Site(20_000, 20_000, growth=0.5, node_cpus=112.0, start=datetime.fromisoformat("2027-01-04T00:00:00+09:00"))
KINDS = [kind for one in DEFAULT_CLASSES for kind in one.kinds() if kind.expansion is not None]
of_each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)


def expanded(kind: Kind, units: np.ndarray, site: Site = SITE, span: float = WEEK) -> Jobs:
    assert kind.expansion is not None
    sizes = kind.sizes_on(site.gpus, site.largest, site.growth)
    return kind.expansion.jobs(Draws(0, f"synthesis:{kind.key}:0"), units, sizes, site, span)


def supply(kind: Kind, site: Site = SITE) -> UnitSupply:
    assert kind.expansion is not None
    return UnitSupply(kind, kind.expansion, site, seed=0, redraw=0)


def graph(jobs: Jobs) -> nx.DiGraph:
    """Return the jobs with an edge from each parent, as long as the parent runs and the child thinks."""
    edges = nx.DiGraph()
    edges.add_nodes_from(range(jobs.unit.size))
    for row, (first, parents) in enumerate(zip(jobs.first_parent.tolist(), jobs.parents.tolist(), strict=True)):
        for parent in range(first, first + parents):
            edges.add_edge(parent, row, weight=jobs.runtime[parent] + np.nan_to_num(jobs.think_time[row]))
    return edges


def three_steps(node_cpus: float | None) -> Jobs:
    """Two units: a CPU task; 2 and 3 GPU tasks; a CPU task.  Everything takes an hour."""
    steps = Steps(Draws(0, "test"), np.array([0, 1]), node_cpus)
    steps.step(0, 1, ONE_HOUR, cpus=8)
    steps.step(1, np.array([2, 3]), ONE_HOUR, gpus=4, array=True)
    steps.step(0, 1, ONE_HOUR, cpus=8)
    return steps.jobs()


def test_each_task_waits_for_all_tasks_of_the_step_before():
    jobs = three_steps(node_cpus=64.0)
    assert jobs.unit.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert jobs.item().tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert jobs.gpus.tolist() == [0, 4, 4, 0, 0, 4, 4, 4, 0]
    assert jobs.cpus[[0, 3]].tolist() == [8.0, 8.0]
    assert sorted(graph(jobs).edges) == [
        (0, 1), (0, 2), (1, 3), (2, 3), (4, 5), (4, 6), (4, 7), (5, 8), (6, 8), (7, 8)
    ]  # fmt: skip
    assert (jobs.start / 3600).tolist() == pytest.approx([0, 1, 1, 2, 0, 1, 1, 1, 2])
    assert jobs.array.tolist() == [-1, 1, 1, -1, -1, 1, 1, 1, -1]


def test_a_task_asks_for_no_more_cores_than_a_node_has():
    assert np.nanmax(three_steps(node_cpus=4.0).cpus) == 4.0


def test_where_no_node_states_cpus_their_stages_are_delays():
    jobs = three_steps(node_cpus=None)
    assert jobs.gpus.tolist() == [4, 4, 4, 4, 4]
    assert jobs.parents.sum() == 0
    assert (jobs.delay / 3600).tolist() == pytest.approx([1.0] * 5)


def test_a_delay_between_two_steps_is_think_time():
    steps = Steps(Draws(0, "test"), np.array([0]), None)
    for gpus in (1, 0, 2):
        steps.step(0, 1, ONE_HOUR, gpus=gpus)
    jobs = steps.jobs()
    assert jobs.think_time.tolist() == pytest.approx([np.nan, 3600.0], nan_ok=True)
    assert jobs.start.tolist() == pytest.approx([0.0, 7200.0])


def test_of_a_unit_that_began_before_the_window_only_the_rest_is_left():
    jobs = within(three_steps(node_cpus=64.0).first(4), np.array([-1.5 * 3600]), span=3600.0)
    assert jobs.gpus.tolist() == [4, 4, 0]  # the set-up is over
    assert (jobs.runtime / 3600).tolist() == pytest.approx([0.5, 0.5, 0.5], abs=1e-3)  # half done; cut at the end
    assert jobs.parents.tolist() == [0, 0, 2]


@of_each_kind
def test_graphs_have_no_circle_and_planned_starts_are_critical_paths(kind):
    jobs = expanded(kind, np.arange(5))
    edges = graph(jobs)
    assert nx.is_directed_acyclic_graph(edges)
    nx.set_edge_attributes(edges, {(a, b): -one["weight"] for a, b, one in edges.edges(data=True)}, "shorter")
    for row in np.flatnonzero(jobs.parents == 0).tolist():
        edges.add_edge("begin", row, shorter=-jobs.start[row])
    longest = nx.single_source_bellman_ford_path_length(edges, "begin", weight="shorter")
    assert [-longest[row] for row in range(jobs.unit.size)] == pytest.approx(jobs.start.tolist(), abs=0.01)


@of_each_kind
def test_units_made_in_pieces_are_those_made_at_once(kind):
    whole = expanded(kind, np.arange(12))
    pieces = joined([expanded(kind, np.arange(5)), expanded(kind, np.arange(5, 12))], [5, 7])
    for column in Jobs.__slots__:
        assert np.array_equal(getattr(whole, column), getattr(pieces, column), equal_nan=True), column


@of_each_kind
def test_a_supply_offers_exactly_what_is_wanted(kind):
    series = supply(kind)
    for wanted in (1e6, 1e8):
        assert series.gpu_time(series.offering(wanted, WEEK), WEEK) == pytest.approx(wanted, rel=1e-3)


def test_counters_give_the_random_numbers_of_the_placements():
    key = stream_key(3, "placement")
    drawn = uniform_at(key, np.array([0, 1, 65_536 * 7 + 2]))
    n = 1 << 32
    expected = [draw(key, row, chunk, n) / n for row, chunk in ((0, 0), (0, 1), (7, 2))]
    assert drawn.tolist() == pytest.approx(expected, abs=2.0**-31)


def test_in_the_table_jobs_of_units_name_their_parents():
    workload = synthesise(SynthesisSpec(days=1), gpus=2_000, seed=0, node_cpus=112.0)
    rows = {row["job_id"]: SimpleNamespace(**row) for row in workload.table.to_pylist()}
    children = [row for row in rows.values() if row.depends_on]
    assert children
    for row in children:
        for parent in row.depends_on:
            assert parent.rsplit("-", 1)[0] == row.job_id.rsplit("-", 1)[0]
            assert rows[parent].submit_time <= row.submit_time
            assert rows[parent].user == row.user
