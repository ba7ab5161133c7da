"""Graphs that stand hold the jobs that building them step by step and cutting them to the window gives."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from gpuyard.synthesis.battery import battery_kinds
from gpuyard.synthesis.distributions import Sizes
from gpuyard.synthesis.expansion import Draws, Jobs, Site
from gpuyard.synthesis.graphs import Graph
from gpuyard.synthesis.stages import Steps, spread, within

DAY = 86_400.0
LOOP = next(kind for kind in battery_kinds() if kind.name == "active-learning")


def step_by_step(graph: Graph, draws: Draws, units: NDArray[np.int64], sizes: Sizes, site: Site, span: float) -> Jobs:
    steps, (low, high) = Steps(draws, units, site.node_cpus), graph.rounds
    rounds = low + np.floor(draws.uniform("rounds", units) * (high - low + 1)).astype(np.int64)
    own = {"none": 0, "each": sizes, "unit": sizes.quantile(draws.uniform("size-of-unit", units))}
    for number in range(int(rounds.max())):
        for place, part in enumerate(graph.parts):
            least, most = part.width
            chance = draws.uniform("width", units, number * len(graph.parts) + place)
            width = np.where(number < rounds, np.floor(least * ((most + 1) / least) ** chance), 0).astype(np.int64)
            gpus = part.gpus if isinstance(part.gpus, Sizes) else own[part.gpus]
            steps.step(place, width, part.runtimes, gpus=gpus, cpus=part.cores, array=part.array)
    jobs = steps.jobs()
    whole = np.zeros(units.size)
    np.maximum.at(whole, jobs.unit, jobs.start + jobs.runtime)
    begin = spread(draws, units) * (whole + span) - whole
    inside = within(jobs, begin, span)
    return replace(inside, submit=np.round(np.maximum(begin[inside.unit] + inside.start, 0.0), 3))


@pytest.mark.parametrize("node_cpus", [112.0, 4.0, None])
@pytest.mark.parametrize("span", [DAY, 30 * DAY, 400 * DAY])
@pytest.mark.parametrize("units", [[7], [0, 1, 2, 3], [5, 900, 1_000_003]])
def test_the_jobs_are_those_of_graphs_built_step_by_step(node_cpus, span, units):
    graph, sizes = LOOP.expansion, LOOP.sizes_on(1_000, 1_000, 1.0)
    assert isinstance(graph, Graph)
    parts = tuple(replace(part, gpus="unit") if part.array else part for part in graph.parts[:1] + graph.parts)
    site = Site(1_000, 1_000, 1.0, node_cpus, datetime(2026, 1, 1, tzinfo=UTC))
    numbers, draws = np.array(units), Draws(3, "synthesis:battery-active-learning:0")
    for each in (graph, replace(graph, parts=parts, rounds=(1, 9))):
        made = each.jobs(draws, numbers, sizes, site, span)
        wanted = step_by_step(each, draws, numbers, sizes, site, span)
        assert made.unit.size
        for column in fields(Jobs):
            found, known = (getattr(jobs, column.name) for jobs in (made, wanted))
            if column.name == "first_parent":  # of a job without parents, any row
                found, known = found[made.parents > 0], known[made.parents > 0]
            np.testing.assert_array_equal(found, known, err_msg=column.name)
