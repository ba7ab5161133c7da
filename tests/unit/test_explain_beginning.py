"""Stories of runs that begin in the middle: who had ended by then is left out, but estimates know it."""

from __future__ import annotations

import gpuyard as gy
from conftest import Row, cluster, workload
from explained import told
from gpuyard.explanation import gather
from gpuyard.virtual_clusters import VirtualCluster

JOBS: tuple[Row, ...] = (
    (0, 9, 4, {"user": "ann", "start_time": 0, "end_time": 9}),
    (10, 1, 4, {"user": "ann"}),
    (10, 5, 4, {"user": "bob"}),
)
"""From 10 s on ann's second job is taken to be as long as her first, so that bob's goes before it."""


def test_estimates_know_the_jobs_that_had_ended_when_the_simulation_began() -> None:
    """Nobody who comes later in the order passed it."""
    assert told("1", *JOBS, site=cluster(4), policy="sjf", estimate="history", begin=10)[:6] == [
        "Job 1 asked for 4 GPUs; expected to run 9 s. Policy: sjf.",
        "Submitted at 10 s.",
        "Eligible at 10 s, at once.",
        "It waited 5 s:",
        "  from 10 s for 5 s: too few GPUs: 0 free of the 4 it needs. It was first in the queue.",
        "Started at 15 s.",
    ]


def test_so_they_do_in_a_virtual_cluster() -> None:
    jobs, site = workload(*JOBS), cluster(4, 4)
    parts = [VirtualCluster(name="all", nodes=("n0",), users=("ann", "bob"))]
    result = gy.simulate(jobs, site, policy="sjf", estimate="history", begin=10, virtual_clusters=parts)
    found = gy.explain(result, "1", workload=jobs, cluster=site)
    assert found.asked["estimate"] == 9
    assert [(each.start, each.end, each.reason) for each in found.stretches] == [(10, 15, "gpus")]
    assert found.passed is None


def test_a_run_that_is_made_again_has_the_estimates_of_the_first() -> None:
    jobs, site = workload(*JOBS), cluster(4)
    result = gy.simulate(jobs, site, policy="easy", order="sjf", estimate="history", begin=10)
    evidence = gather(result, workload=jobs, cluster=site, note=lambda _: None)
    assert evidence.promises is not None
    assert evidence.log == "made again"
    assert evidence.names[evidence.promises.job[0]] == "1"
