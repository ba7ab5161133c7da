"""Jobs that are cancelled when they are preempted, least runs by name: engine and reference tell the same by hand.

Rows are (submit_time, runtime, gpus), times in seconds.  ``high`` takes from ``low``, whose jobs are cancelled, and
from ``mid``, whose jobs are as low and lose nothing.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
FOUR, EIGHT = cluster(4), cluster(8)
HIGH, MID, LOW = {"qos": "high"}, {"qos": "mid"}, {"qos": "low"}
CANCEL = {"low": "cancel"}
Stay = tuple[float, float, float]


def fates(
    tell: str,
    jobs: Workload,
    site: Cluster,
    tenants: dict[str, object] | None = None,
    *,
    backfill: str = "fit",
    until: float | None = None,
    **options: object,
) -> list[Fate]:
    terms = {"rule": "qos", "tiers": {"high": 1}, "modes": CANCEL, **options}
    policy = Policy(backfill=backfill, preemption=terms)
    shared = NO_TENANTS if tenants is None else Tenants.of(tenants)
    if tell == "reference":
        return simulate(jobs, site, policy, until=until, tenants=shared)
    return told(schedule(jobs, site, policy, until=until, tenants=shared))


def stays(*given: object, **options: object) -> list[list[Stay]]:
    """Return when each job ran and how much of it was useful, attempt after attempt."""
    return [
        [(it.start / SECOND, it.end / SECOND, it.useful / SECOND) for it in fate.attempts]
        for fate in fates(*given, **options)
    ]


def ended(*given: object, **options: object) -> list[tuple[str, float | None]]:
    return [(fate.outcome, None if fate.end is None else fate.end / SECOND) for fate in fates(*given, **options)]


# --- Cancelled -----------------------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize("column", [{}, {"checkpoint_interval": 1}, {"checkpoint_interval": 0}])
def test_a_cancelled_job_is_gone_and_has_saved_nothing(tell, column):
    jobs = workload((0, 20, 4, {**LOW, **column}), (5, 10, 4, HIGH))
    assert stays(tell, jobs, FOUR) == [[(0, 5, 0)], [(5, 15, 10)]]
    assert ended(tell, jobs, FOUR) == [("cancelled", 5), ("completed", 15)]
    assert fates(tell, jobs, FOUR)[0].attempts[0].cause == 1


@TEST
def test_who_is_of_another_name_waits_again(tell):
    jobs = workload((0, 20, 4, MID), (5, 10, 4, HIGH))
    assert stays(tell, jobs, FOUR) == [[(0, 5, 5), (15, 30, 15)], [(5, 15, 10)]]


@TEST
def test_a_cancelled_job_writes_no_checkpoints(tell):
    """They would cost: job 0 alone ends after 10 seconds, job 1 of another name after 10 and 4 checkpoints."""
    jobs = workload((0, 10, 4, LOW), (0, 10, 4, MID))
    options = {"checkpoint_interval": 2.0, "checkpoint_cost": 1.0}
    assert stays(tell, jobs, EIGHT, **options) == [[(0, 10, 10)], [(0, 14, 10)]]


@TEST
def test_what_a_cancelled_job_held_is_free_in_the_same_pass(tell):
    """Job 2 needs 2 of the 4 GPUs of job 0; job 1, behind it, has the others at once."""
    jobs = workload((0, 20, 4, LOW), (3, 7, 2, MID), (5, 10, 2, HIGH))
    assert stays(tell, jobs, FOUR) == [[(0, 5, 0)], [(5, 12, 7)], [(5, 15, 10)]]


@TEST
def test_who_depends_on_a_cancelled_job_is_told_in_a_further_round(tell):
    """Job 2 becomes eligible at 5, but after the pass in which job 3 has taken what was left."""
    jobs = workload((0, 20, 4, LOW), (1, 7, 2, {**MID, "depends_on": ["0"]}), (2, 4, 2, MID), (5, 10, 2, HIGH))
    assert stays(tell, jobs, FOUR) == [[(0, 5, 0)], [(9, 16, 7)], [(5, 9, 4)], [(5, 15, 10)]]
    assert fates(tell, jobs, FOUR)[1].eligible == 5 * SECOND


@TEST
def test_a_dependant_has_the_room_that_is_left_at_the_same_instant(tell):
    jobs = workload((0, 20, 4, LOW), (1, 7, 2, {**MID, "depends_on": ["0"]}), (5, 10, 2, HIGH))
    assert stays(tell, jobs, FOUR) == [[(0, 5, 0)], [(5, 12, 7)], [(5, 15, 10)]]


@TEST
def test_a_dependant_that_is_more_urgent_takes_from_who_started_a_round_before(tell):
    """At 5 job 2 starts in what job 3 left over, and is gone again when job 1 is told."""
    jobs = workload((0, 20, 4, LOW), (1, 7, 2, {**HIGH, "depends_on": ["0"]}), (2, 4, 2, LOW), (5, 10, 2, HIGH))
    assert stays(tell, jobs, FOUR) == [[(0, 5, 0)], [(5, 12, 7)], [(5, 5, 0)], [(5, 15, 10)]]
    assert ended(tell, jobs, FOUR)[2] == ("cancelled", 5)


@TEST
def test_think_time_counts_from_the_cancellation(tell):
    jobs = workload((0, 20, 4, LOW), (1, 7, 2, {**MID, "depends_on": ["0"], "think_time": 3}), (5, 10, 2, HIGH))
    assert fates(tell, jobs, FOUR)[1].eligible == 8 * SECOND


@TEST
def test_a_cancelled_task_gives_its_place_back(tell):
    """One task at a time: job 1 is eligible at 5, when job 0 is gone, and job 2 when that has ended."""
    place = {"array": "a", "array_limit": 1}
    jobs = workload(
        (0, 20, 4, {**LOW, **place}), (0, 2, 4, {**LOW, **place}), (0, 2, 4, {**LOW, **place}), (5, 10, 4, HIGH)
    )
    assert [fate.eligible / SECOND for fate in fates(tell, jobs, FOUR)] == [0, 5, 17, 5]
    assert stays(tell, jobs, FOUR) == [[(0, 5, 0)], [(15, 17, 2)], [(17, 19, 2)], [(5, 15, 10)]]


@TEST
def test_who_ends_at_the_instant_is_not_cancelled(tell):
    jobs = workload((0, 5, 4, LOW), (5, 10, 4, HIGH))
    assert ended(tell, jobs, FOUR) == [("completed", 5), ("completed", 15)]


@TEST
def test_the_stop_may_be_the_instant(tell):
    jobs = workload((0, 20, 4, LOW), (1, 5, 4, {**HIGH, "depends_on": ["0"]}), (5, 10, 4, HIGH))
    told_now = fates(tell, jobs, FOUR, until=5)
    assert [(fate.outcome, fate.eligible) for fate in told_now] == [
        ("cancelled", 0),
        ("unfinished", 5 * SECOND),
        ("unfinished", 5 * SECOND),
    ]


@TEST
def test_who_is_cancelled_loses_all_and_is_the_last_to_be_taken_by_least_lost(tell):
    """By the latest start it is job 1, by least lost job 0, which loses nothing."""
    jobs = workload((0, 20, 2, MID), (1, 20, 2, LOW), (5, 10, 2, HIGH))
    assert ended(tell, jobs, FOUR, victims="least-lost") == [("completed", 30), ("completed", 21), ("completed", 15)]
    assert ended(tell, jobs, FOUR)[1] == ("cancelled", 5)


@TEST
def test_who_is_spared_is_not_cancelled(tell):
    """Job 2 would need the GPUs of both, by the latest start first; the 3 of job 0 alone are enough."""
    jobs = workload((0, 20, 3, LOW), (1, 20, 1, LOW), (5, 10, 3, HIGH))
    assert ended(tell, jobs, FOUR) == [("cancelled", 5), ("completed", 21), ("completed", 15)]


@TEST
def test_what_another_tenant_takes_back_is_cancelled_too(tell):
    """b runs 2 GPUs above its quota, and the job of a is within its own; what depended on job 1 is told."""
    halves = {"tenant": [{"name": "a", "nominal": 2}, {"name": "b", "nominal": 2}], "reclaim": "any"}
    jobs = workload(
        (0, 20, 2, {**LOW, "tenant": "b"}),
        (1, 20, 2, {**LOW, "tenant": "b"}),
        (2, 3, 1, {**LOW, "tenant": "b", "depends_on": ["1"]}),
        (5, 10, 2, {**LOW, "tenant": "a"}),
    )
    assert stays(tell, jobs, FOUR, halves) == [[(0, 20, 20)], [(1, 5, 0)], [(15, 18, 3)], [(5, 15, 10)]]
    assert fates(tell, jobs, FOUR, halves)[2].eligible == 5 * SECOND


# --- Least runs by name --------------------------------------------------------------------------------------


@TEST
def test_a_least_run_of_its_name_leaves_a_job_alone(tell):
    """low is left alone for 8 seconds, which are over at 8, an instant; mid for the 3 of all."""
    options = {"min_run": 3.0, "min_runs": {"low": 8.0}}
    assert stays(tell, workload((0, 20, 4, LOW), (5, 10, 4, HIGH)), FOUR, **options) == [[(0, 8, 0)], [(8, 18, 10)]]
    assert stays(tell, workload((0, 20, 4, MID), (1, 10, 4, HIGH)), FOUR, **options) == [
        [(0, 3, 3), (13, 30, 17)],
        [(3, 13, 10)],
    ]


@TEST
def test_a_least_run_of_nothing_is_none(tell):
    jobs = workload((0, 20, 4, MID), (1, 10, 4, HIGH))
    options = {"min_run": 3.0, "min_runs": {"mid": 0.0}}
    assert stays(tell, jobs, FOUR, **options) == [[(0, 1, 1), (11, 30, 19)], [(1, 11, 10)]]


@TEST
def test_each_victim_has_its_own_least_run(tell):
    """At 5 the job of mid, which started last, may not go yet: that of low goes, which has run for 5."""
    jobs = workload((0, 20, 2, LOW), (1, 20, 2, MID), (5, 10, 2, HIGH))
    options = {"min_runs": {"mid": 6.0, "low": 5.0}}
    assert ended(tell, jobs, FOUR, **options) == [("cancelled", 5), ("completed", 21), ("completed", 15)]
    assert ended(tell, jobs, FOUR)[:2] == [("completed", 20), ("completed", 31)]


@TEST
def test_partitions_have_least_runs_and_are_cancelled_as_well(tell):
    jobs = workload((0, 20, 4, {"partition": "low"}), (5, 10, 4, {"partition": "high"}))
    options = {"rule": "partition", "min_runs": {"low": 8.0}}
    assert stays(tell, jobs, FOUR, **options) == [[(0, 8, 0)], [(8, 18, 10)]]
    assert ended(tell, jobs, FOUR, **options)[0] == ("cancelled", 8)


@TEST
@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "slurm"])
def test_a_cancelled_job_is_gone_under_every_backfill(tell, backfill):
    jobs = workload((0, 20, 2, LOW), (0, 20, 2, LOW), (5, 10, 4, HIGH), (6, 3, 2, LOW))
    assert stays(tell, jobs, FOUR, backfill=backfill) == [[(0, 5, 0)], [(0, 5, 0)], [(5, 15, 10)], [(15, 18, 3)]]
