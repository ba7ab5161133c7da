"""The order ``themis`` worked by hand: the engine and the reference simulator must both tell the same story.

Mahajan et al. 2020 (Themis): rho is the time to the end over that alone on 1/N of the cluster.  Rows are (submit_time,
runtime, gpus), times in seconds.
"""

from __future__ import annotations

import pytest

from conftest import Row, cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import BACKFILLS, Policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])


def starts(tell: str, jobs: Workload, site: Cluster, backfill: str = "none") -> list[float]:
    policy = Policy(order="themis", backfill=backfill)
    found = simulate(jobs, site, policy) if tell == "reference" else told(schedule(jobs, site, policy))
    return [fate.start / SECOND for fate in found]


@TEST
@pytest.mark.parametrize("backfill", BACKFILLS)
def test_whoever_is_worst_off_against_running_alone_goes_first(tell, backfill):
    """At 100 two jobs wait for one GPU: rho is (90 + 100) / (100 x 2) of job 1, (50 + 10) / (10 x 2) of job 2.

    Under conservative job 1, which came first, was promised the GPU from 100 on, and no score takes that away.
    """
    jobs = workload((0, 100, 1), (10, 100, 1), (50, 10, 1))
    assert starts(tell, jobs, cluster(1), backfill) == ([0, 100, 200] if backfill == "conservative" else [0, 110, 100])


@TEST
@pytest.mark.parametrize(("small", "wide_first"), [(4, True), (5, False)])
def test_the_more_jobs_there_are_the_longer_a_wide_one_would_take_on_its_part(tell, small, wide_first):
    """At 100 rho of a small job is (10 + 10) / 10; that of the wide one 109 / (10 N): 2.18 for N = 5, 1.82 for 6."""
    rows: list[Row] = [(0, 100, 8), (1, 10, 8), *[(90, 10, 1)] * small]
    wide, others = (100, 110) if wide_first else (110, 100)
    assert starts(tell, workload(*rows), cluster(8)) == [0, wide, *[others] * small]


@TEST
@pytest.mark.parametrize(("running", "wide_first"), [(0, True), (3, False)])
def test_jobs_that_run_count_too(tell, running, wide_first):
    """Of 11 GPUs 8 are free at 100. With N = 5, rho of the wide job is 109 / (10 x 8 x 5 / 11) = 3.0; with 8, 1.87."""
    long: list[Row] = [(0, 1000, 1)] * running
    rows: list[Row] = [*long, (0, 100, 11 - running), (1, 10, 8), *[(90, 10, 1)] * 4]
    found = starts(tell, workload(*rows), cluster(11))[running:]
    wide, others = (100, [100, 100, 100, 110]) if wide_first else (110, [100] * 4)
    assert found == [0, wide, *others]


@TEST
@pytest.mark.parametrize(("submit", "expected"), [(40, [100, 130]), (39, [120, 100])])
def test_a_job_no_larger_than_its_part_is_as_fast_alone(tell, submit, expected):
    """At 100 each of three jobs is due 3 of 9 GPUs, and 4 are free: rho of the one of 3 GPUs is (90 + 30) / 30 = 4.

    That of the one of 2 GPUs is (60 + 20) / 20 = 4 too, and then the other came first; or it is a little more.
    """
    jobs = workload((0, 1000, 5), (0, 100, 4), (10, 30, 3), (submit, 20, 2))
    assert starts(tell, jobs, cluster(9))[2:] == expected


def test_nobody_is_preempted_in_its_name():
    """Preemption goes by levels: among jobs of one level rho decides who is first, and nobody has to make room."""
    jobs = workload((0, 100, 8), (1, 10, 8))
    record = schedule(jobs, cluster(8), Policy(order="themis", preemption="priority"))
    assert record.attempt_start.tolist() == [0, 100 * SECOND]
