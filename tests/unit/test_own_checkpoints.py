"""Jobs with a `checkpoint_interval` of their own, worked by hand: engine and reference tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds; nobody waits but for who is more urgent.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import cluster, workload
from gpuyard import read_trace, simulate
from gpuyard.errors import ConfigError, InputError
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.tenanting import with_bound
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate
from reference import simulate as simulate_slowly

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
HIGH = {"priority": 1}


def every(seconds: float | None, **more: object) -> dict[str, object]:
    return {"checkpoint_interval": seconds, **more}


def fates(tell: str, jobs: Workload, site: object, rule: str = "priority", **options: object) -> list[Fate]:
    begin = options.pop("begin", None)
    policy = Policy(backfill="fit", preemption={"rule": rule, **options})
    if tell == "reference":
        return simulate_slowly(jobs, site, policy, begin=begin)
    return told(schedule(jobs, site, policy, begin=begin))


def stays(fates: list[Fate]) -> list[list[tuple[float, float, float]]]:
    """Return start, end and useful time of each attempt."""
    return [[(it.start / SECOND, it.end / SECOND, it.useful / SECOND) for it in fate.attempts] for fate in fates]


@TEST
def test_each_job_saves_by_its_own_checkpoints(tell):
    """Checkpoints take 1 and a restart 2. At 10 all make room for the last job, of 4 GPUs, which ends at 15.

    0 states none, and has the policy's, after 4 and 8 of 12: 2 are complete at 10. 4 are left, and no more are due:
    2 + 4. 1 writes after each 3, of which 2 take 8, so that 6 of 12 are saved; after the restart of 2 comes one more,
    at 9: 2 + 6 + 1. 2 is suspended without loss: 2 + 2. 3 has nothing saved, as its first would be due at 12: 2 + 12.
    """
    own = [(0, 12, 1, every(each)) for each in (None, 3, 0, 12)]
    jobs = workload(*own, (10, 5, 4, {**HIGH, **every(1e9)}))
    assert stays(fates(tell, jobs, cluster(4), checkpoint_interval=4, checkpoint_cost=1, restart_cost=2)) == [
        [(0, 10, 8), (15, 21, 4)],
        [(0, 10, 6), (15, 24, 6)],
        [(0, 10, 10), (15, 19, 2)],
        [(0, 10, 0), (15, 29, 12)],
        [(10, 15, 5)],
    ]


@TEST
def test_who_loses_least_goes_by_the_jobs_own_checkpoints(tell):
    """At 5 job 0 would lose 1 second, with its checkpoints every 2, and job 1, which began later, its 3."""
    jobs = workload((0, 20, 1, every(2)), (2, 20, 1, every(9)), (5, 3, 1, HIGH))
    found = stays(fates(tell, jobs, cluster(2), victims="least-lost"))
    assert found[:2] == [[(0, 5, 4), (8, 24, 16)], [(2, 22, 20)]]


@TEST
def test_what_was_saved_before_the_beginning_is_by_the_jobs_own_checkpoints(tell):
    """From 5 on; it runs since 0 and had saved 3 by then. At 7 it has 6 in all, of which 3 are since the beginning."""
    recorded = {"start_time": 0, "end_time": 10}
    jobs = workload((0, 10, 1, {**recorded, **every(3)}), (7, 2, 1, HIGH))
    assert stays(fates(tell, jobs, cluster(1), begin=5.0))[0] == [(5, 7, 2), (9, 13, 4)]


def test_what_was_lost_is_in_the_results():
    """Job 0 has saved 3 of its 5 seconds on two GPUs when it makes room."""
    jobs = workload((0, 10, 2, every(3)), (5, 2, 2, HIGH))
    result = simulate(jobs, cluster(2), policy=Policy(backfill="fit", preemption="priority"))
    assert result.numbers["lost_gpu_hours"] == pytest.approx(2 * 2 / 3600)


def test_intervals_that_round_to_nothing_are_a_microsecond():
    jobs = workload((0, 10, 1, every(1e-9)), (5, 2, 1, HIGH))
    with pytest.raises(ConfigError, match=r"checkpoint of 1e\+06 s every 1e-06 s would never end"):
        fates("engine", jobs, cluster(1), checkpoint_interval=1, checkpoint_cost=1e6)
    assert stays(fates("engine", jobs, cluster(1)))[0] == [(0, 5, 5), (7, 12, 5)]


# --- progress -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "runtime"), [(9, 100), (1e9, 10)])
def test_a_slice_must_be_longer_than_the_way_to_the_first_checkpoint(own, runtime):
    """Of 9 and 1 to write it, or to the end of work that is never saved."""
    jobs = workload((0, 5, 1), (0, runtime, 1, every(own)), (0, 50, 1, every(1e9, preemptible=False)))
    terms = {"checkpoint_interval": 1, "checkpoint_cost": 1, "restart_cost": 2}
    message = (
        rf"job '1' of 'workload' has a checkpoint_interval of {own:g} s, and might save nothing before its slice is "
        r"over; give a longer time_slice, of more than 12 s, a shorter checkpoint_interval, or preemptible = false"
    ).replace("+", r"\+")
    with pytest.raises(ConfigError, match=message):
        fates("engine", jobs, cluster(1), "time-slice", time_slice=12, **terms)
    assert all(fate.end for fate in fates("engine", jobs, cluster(1), "time-slice", time_slice=12.5, **terms))


def test_promotion_needs_attempts_that_save_something():
    jobs = workload((0, 10, 1, every(4)), (0, 10, 1))
    terms = {"promote": 1.0, "thresholds": (2.0,)}
    with pytest.raises(
        ConfigError, match=r"it is preempted, for ever; give max_preemptions, or a min_run of more than"
    ):
        fates("engine", jobs, cluster(1), "las", **terms)
    for more in ({"max_preemptions": 2}, {"min_run": 4.5}):
        assert all(fate.end for fate in fates("engine", jobs, cluster(1), "las", **terms, **more))


def test_tenants_could_take_from_each_other_for_ever_for_one_job_that_saves_too_late():
    tenants = Tenants(tenants=(Tenant(name="a", nominal=1),), reclaim="any")
    policy = Policy(backfill="fit", preemption={"rule": "priority", "min_run": 4})

    def bound(given: Policy, **own: object) -> int | None:
        return with_bound(given, tenants, workload((0, 9, 1), (0, 9, 1, own))).preemption.max_preemptions

    assert bound(policy, **every(4)) == 1000
    assert bound(policy, **every(3.5)) is None
    assert bound(policy) is None
    slower = replace(policy, preemption=replace(policy.preemption, restart_cost=1.0))
    assert bound(slower, **every(3)) == 1000


# --- the column ---------------------------------------------------------------------------------------------


def test_it_is_read_from_csv_and_a_row_that_cannot_be_is_rejected(tmp_path: Path):
    path = tmp_path / "jobs.csv"
    path.write_text(
        "job_id,submit_time,gpus,runtime,checkpoint_interval\na,0,1,9,900\nb,0,1,9,\nc,0,1,9,0\nd,0,1,9,-1\ne,0,1,9,none\n"
    )
    trace = read_trace(path)
    assert trace.table["checkpoint_interval"].to_pylist() == [900, None, 0]
    assert [(each.row, each.column, each.value) for each in trace.rejected] == [
        (5, "checkpoint_interval", "-1"),
        (6, "checkpoint_interval", "none"),
    ]


def test_a_negative_interval_of_a_table_is_refused():
    with pytest.raises(InputError, match=r"row 1, column 'checkpoint_interval'.*not negative"):
        workload((0, 9, 1, every(-1)))


def test_without_preemption_it_changes_nothing():
    given = [(0, 9, 1), (0, 9, 1), (3, 2, 1)]
    plain = schedule(workload(*given), cluster(1), Policy())
    own = schedule(workload(*[(*row, every(2)) for row in given]), cluster(1), Policy())
    assert own.end.tolist() == plain.end.tolist()
