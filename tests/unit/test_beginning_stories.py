"""Jobs that run when the simulation begins, beside preemption and tenants: engine and reference must tell the same.

Rows are (submit_time, runtime, gpus), times in seconds; the record's start and end are given with each job that runs.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.experiment import simulate as run
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate
from tenant_stories import of

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
FOUR, EIGHT = cluster(4), cluster(8)
HIGH = {"priority": 1}


def since(start: float, **columns: object) -> dict[str, object]:
    """Return the columns of a job that started then."""
    return {"start_time": start, **columns}


def fates(
    tell: str,
    jobs: Workload,
    site: Cluster,
    rule: str,
    tenants: dict[str, object] | None = None,
    *,
    begin: float = 10,
    **options: object,
) -> list[Fate]:
    policy = Policy(backfill="fit", preemption={"rule": rule, **options})
    shared = NO_TENANTS if tenants is None else Tenants.of(tenants)
    if tell == "reference":
        return simulate(jobs, site, policy, begin=begin, tenants=shared)
    return told(schedule(jobs, site, policy, begin=begin, tenants=shared))


def stays(*given: object, **options: object) -> list[list[tuple[float, float, float]]]:
    """Return when each job ran and how much of it was useful, attempt after attempt."""
    return [
        [(it.start / SECOND, it.end / SECOND, it.useful / SECOND) for it in fate.attempts]
        for fate in fates(*given, **options)
    ]


@TEST
def test_who_runs_at_the_beginning_makes_room_and_keeps_what_was_done_before(tell):
    """Job 0 has 12 of its 20 seconds when it is preempted; 2 of them were in the simulation."""
    jobs = workload((0, 20, 4, since(0)), (12, 5, 4, HIGH))
    assert stays(tell, jobs, FOUR, "priority") == [[(10, 12, 2), (17, 25, 8)], [(12, 17, 5)]]
    assert fates(tell, jobs, FOUR, "priority")[0].start == 0


@TEST
def test_a_task_that_ran_at_the_beginning_keeps_its_place_in_its_array_when_it_is_preempted(tell):
    """One task at a time: job 1 becomes eligible at 27, when job 0 has ended, and not when that makes room at 12."""
    place = {"array": "a", "array_limit": 1}
    jobs = workload((0, 20, 4, {**since(0), **place}), (0, 1, 1, place), (12, 7, 4, HIGH))
    assert stays(tell, jobs, FOUR, "priority") == [[(10, 12, 2), (19, 27, 8)], [(27, 28, 1)], [(12, 19, 7)]]
    assert fates(tell, jobs, FOUR, "priority")[1].eligible == 27 * SECOND


@TEST
def test_a_task_that_waits_again_has_no_second_place_in_its_array(tell):
    """Two at a time: job 0, preempted at 12, has one place, and job 2 has the other as soon as it comes."""
    place = {"array": "a", "array_limit": 2}
    jobs = workload((0, 20, 4, {**since(0), **place}), (12, 7, 4, HIGH), (13, 1, 1, place))
    assert fates(tell, jobs, FOUR, "priority")[2].eligible == 13 * SECOND


@TEST
def test_what_was_done_since_the_last_checkpoint_is_lost_whenever_that_was(tell):
    """Checkpoints at 4 and 8: of the 12 seconds 4 are lost, and nothing is saved that was not saved at 10."""
    jobs = workload((0, 11, 4, since(0)), (10, 5, 4, HIGH))
    options = {"checkpoint_interval": 4.0, "begin": 9}
    assert stays(tell, jobs, FOUR, "priority", **options) == [[(9, 10, 0), (15, 18, 3)], [(10, 15, 5)]]


@TEST
def test_without_checkpoints_all_is_done_again(tell):
    jobs = workload((0, 20, 4, since(0)), (12, 5, 4, HIGH))
    found = stays(tell, jobs, FOUR, "priority", checkpoint_interval=None, max_preemptions=1)
    assert found == [[(10, 12, 0), (17, 37, 20)], [(12, 17, 5)]]


@TEST
def test_a_slice_counts_from_the_start_in_the_record(tell):
    """With slices of 8 s that of job 0 was over at 8: it makes room at once."""
    jobs = workload((0, 20, 4, since(0)), (5, 4, 4))
    assert stays(tell, jobs, FOUR, "time-slice", time_slice=8.0) == [[(10, 10, 0), (14, 24, 10)], [(10, 14, 4)]]


@TEST
def test_attained_time_counts_from_the_start_in_the_record(tell):
    """The threshold of 9 s was passed at 9; the new job is in the first bin."""
    jobs = workload((0, 20, 4, since(0)), (11, 4, 4))
    assert stays(tell, jobs, FOUR, "las", thresholds=(9.0,)) == [[(10, 11, 1), (15, 24, 9)], [(11, 15, 4)]]
    assert stays(tell, jobs, FOUR, "las", thresholds=(13.0,)) == [[(10, 13, 3), (17, 24, 7)], [(13, 17, 4)]]


@TEST
def test_a_least_run_counts_from_the_start_in_the_record(tell):
    jobs = workload((0, 20, 4, since(0)), (11, 4, 4, HIGH))
    assert stays(tell, jobs, FOUR, "priority", min_run=12.0) == [[(10, 12, 2), (16, 24, 8)], [(12, 16, 4)]]


@TEST
def test_who_found_no_room_at_the_beginning_runs_on_and_makes_none(tell):
    """Both ran by the record, and there is room for one: the other holds nothing that could be taken."""
    jobs = workload((0, 20, 4, since(0)), (1, 20, 4, since(1)), (12, 5, 4, HIGH))
    found = stays(tell, jobs, FOUR, "priority")
    assert found == [[(10, 12, 2), (17, 25, 8)], [(10, 21, 11)], [(12, 17, 5)]]


@TEST
def test_what_runs_at_the_beginning_is_borrowed_and_taken_back(tell):
    tenants = {"tenant": [{"name": "a", "nominal": 4}, {"name": "b", "nominal": 4}]}
    jobs = workload((0, 20, 8, since(0, **of("a"))), (12, 5, 4, of("b")))
    assert stays(tell, jobs, EIGHT, "reclaim", tenants) == [[(10, 12, 2), (17, 25, 8)], [(12, 17, 5)]]


@TEST
def test_bounds_by_type_of_no_quota_leave_open_where_a_job_runs_at_the_beginning(tell):
    """Nobody has a nominal quota, so nobody has a quota, and no type is tried first: the node that fits best is B's."""
    site = cluster(("A", 4), ("B", 2))
    tenants = {"tenant": [{"name": "a", "borrow": {"A": 2}}]}
    (fate,) = fates(tell, workload((0, 20, 2, since(0, **of("a")))), site, "priority", tenants)
    assert [(node, gpus) for node, gpus, _ in fate.slots] == [(1, 2)]


@TEST
def test_nobody_is_admitted_where_what_runs_at_the_beginning_is_above_a_limit(tell):
    tenants = {"tenant": [{"name": "a"}], "limit": [{"each": ["tenant"], "jobs": 1}]}
    ran = since(0, **of("a"))
    jobs = workload((0, 14, 1, ran), (0, 20, 1, ran), (10, 5, 1, of("a")))
    assert stays(tell, jobs, EIGHT, "priority", tenants)[2] == [(20, 25, 5)]


@pytest.mark.parametrize(("columns", "said"), [({}, 1), (since(5), 0)])
def test_a_beginning_without_recorded_starts_is_noted(columns, said):
    """Two jobs that nothing is known of were submitted before 10: both are left to do, however long ago that was."""
    jobs = workload((0, 10, 1, columns), (1, 10, 1, {}), (20, 10, 1, {}))
    numbers = run(jobs, FOUR, policy="fifo", begin=10).summary()
    found = [text for text in numbers.get("warnings", ()) if text.startswith("No start is recorded")]
    assert len(found) == said
    assert all("2 jobs submitted before wait for it" in text for text in found)
