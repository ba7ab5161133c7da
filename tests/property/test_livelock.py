"""How often a job is preempted stays within the bounds of docs/semantics.md, *No livelock*, of which each is one case.

Everything is counted on the engine's record, from outside; and what each preemption costs is checked on the same runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_strategies import cell_policies, cell_sites, cells_for, in_cells, in_ranks
from conftest import cluster
from gpuyard.cells import Cells
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.record import EndReason, Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, RECLAIMS, Tenants
from gpuyard.workload import Workload
from lost_work import check_lost_work
from oracle.comparing import EXAMPLES
from oracle.test_fair_share import scales as joint_scales
from oracle.test_joint import OWN_ORDERS, SCORES, closing, jobs_of, policy_of
from oracle.test_joint import VARIANTS as BESIDE
from oracle.test_schedules import checked
from oracle.test_slurm_beside import VARIANTS as PLANNED
from reference import RULES, read, ticks
from reference.jobs import Job, run_length
from strategies import crowded_sites, crowded_workloads, preemptive_policies, ranked
from tenant_strategies import lenders, lent_to
from tenant_strategies import tenants as tenants_of

MOST_FRUITLESS = 1000


def saved_after(lasted: int, given: Preemption) -> int:
    """Return what an attempt that lasted so long has saved at least, microseconds; 0 where that may be nothing."""
    restart = ticks(given.restart_cost)
    if given.checkpoint_interval is None or (given.checkpoint_interval == 0 and "requeue" in given.modes.values()):
        return 0
    if given.checkpoint_interval == 0:
        return max(lasted - restart, 0)
    interval = ticks(given.checkpoint_interval)
    return interval if lasted > restart + interval + ticks(given.checkpoint_cost) else 0


def bounds(jobs: Workload, policy: Policy, tenants: Tenants, dates: int = 0) -> list[int]:
    """Return how often each job is preempted at most: the table of the page, line by line.

    ``dates``: at how many instants nodes come or windows end.
    """
    given, n = policy.preemption, len(jobs)
    rows = read(jobs, policy)
    work = [max(run_length(job, policy) or 0, 1) for job in rows]
    causes = 3 * n + dates
    if policy.final_weights["fairshare"]:
        causes *= 2 + longest(max(work), given) / max(ticks(policy.share_period), 1)
    twice = 2 if policy.backfill == "slurm" else 1
    passes = twice * (causes + len(given.final_thresholds) * n)
    runs = [job.min_run for job in rows]
    shortest = min((each for each in runs if each > 0), default=0)
    ticking = [(each, saved_after(least, given)) for each, least in zip(work, runs, strict=True) if least > 0]
    for_runs = sum(1 + (each - 1) // saved for each, saved in ticking if saved > 0)
    between = n * longest(max(work), given) / max(shortest, 1)
    if len({*runs}) > 1:
        between = n * (1 + between)
    takes_back = tenants.has_quotas and tenants.reclaim in {"any", "fair", "cohorts"}
    in_a_slice = saved_after(ticks(given.final_slice), given)
    in_turn = given.rule == "time-slice"

    def bound(job: Job, each: int, least: int) -> float:
        """Return the bound of a job of some work that is left alone for a while."""
        saved = saved_after(least, given)
        lines: list[tuple[bool, Callable[[], float]]] = [
            (job.is_cancelled, lambda: 1),
            (given.max_preemptions is not None, lambda: given.max_preemptions or 0),
            (least > 0 and saved > 0, lambda: (each - 1) // saved),
            (in_turn and not takes_back, lambda: (each - 1) // in_a_slice),
            (in_turn and least == 0, lambda: twice * (causes + sum(1 + (one - 1) // in_a_slice for one in work))),
            (given.promote is not None, lambda: each + n),
            (shortest == 0, lambda: passes),
            (least == 0 and all(saved for _, saved in ticking), lambda: passes + twice * for_runs),
            (not takes_back, lambda: passes * (1 + between)),
            (True, lambda: MOST_FRUITLESS),
        ]
        return next(most() for holds, most in lines if holds)

    return [int(bound(*each)) for each in zip(rows, work, runs, strict=True)]


def longest(work: int, given: Preemption) -> int:
    """Return the longest that an attempt lasts if it is left alone."""
    interval = ticks(given.checkpoint_interval or 0)
    checkpoints = work // interval * ticks(given.checkpoint_cost) if interval else 0
    return ticks(given.restart_cost) + work + checkpoints


def times_preempted(record: Record) -> list[int]:
    preempted = record.attempt_job[record.attempt_reason == EndReason.PREEMPTED]
    return np.bincount(preempted, minlength=len(record.workload)).tolist()


def check(record: Record, policy: Policy, dates: int = 0) -> None:
    check_lost_work(record, policy)
    allowed = bounds(record.workload, policy, record.tenants, dates)
    for row, (times, most) in enumerate(zip(times_preempted(record), allowed, strict=True)):
        assert times <= most, f"job {row} is preempted {times} times, of at most {most}"


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "reclaim"])
def test_more_urgent_jobs_preempt_as_often_as_is_said_at_most(rule):
    def one(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(ranked(data.draw(crowded_workloads(site, scale)), scale), label="workload")
        policy = data.draw(preemptive_policies(rule, scale), label="policy")
        check(schedule(jobs, site, policy), policy)

    checked(f"bounds {rule}", EXAMPLES, one)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", RULES)
def test_tenants_preempt_as_often_as_is_said_at_most(rule, reclaim):
    """Two or three GPUs, of which the quotas are more: there is always somebody who misses what is his."""

    def one(data: st.DataObject) -> None:
        shared = data.draw(lenders(data.draw(st.sampled_from([3, 4, 6])), reclaim=reclaim), label="tenants")
        jobs = data.draw(lent_to(shared), label="workload")
        policy = data.draw(preemptive_policies(rule, exclusive=False, spread=False), label="policy")
        check(schedule(jobs, cluster(3), policy, tenants=shared), policy)

    checked(f"bounds of tenants {rule} {reclaim}", EXAMPLES, one)


@pytest.mark.parametrize("variant", [*BESIDE, *PLANNED])
@pytest.mark.parametrize("rule", RULES)
def test_beside_scores_easy_slurm_and_windows_as_often_as_is_said_at_most(rule, variant):
    def one(data: st.DataObject) -> None:
        scale = data.draw(joint_scales(variant), label="scale")
        site = data.draw(crowded_sites(), label="cluster")
        shared = rule == "reclaim" or data.draw(st.booleans(), label="tenants")
        jobs = jobs_of(data, site, scale, shared=shared)
        order = data.draw(st.sampled_from(["fifo"] if rule in OWN_ORDERS else ["fifo", *SCORES]), label="order")
        policy = policy_of(data, rule, variant, order, scale)
        closed = closing(data, jobs, site, scale) if data.draw(st.booleans()) else []
        tenants = data.draw(tenants_of(site), label="tenants") if shared else NO_TENANTS
        record = schedule(jobs, site, policy, tenants=tenants, windows=closed)
        check(record, policy, len({each.end_tick for each in closed}))

    checked(f"bounds beside {rule} {variant}", EXAMPLES, one)


@settings(max_examples=8 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_who_has_a_cell_of_its_own_is_left_alone_and_others_make_room_once_for_each_that_has(data):
    site = data.draw(cell_sites(), label="cluster")
    cells = data.draw(cells_for(site), label="cells")
    jobs = data.draw(in_cells(data.draw(crowded_workloads(site, 1, 24))), label="workload")
    policy = data.draw(cell_policies(cells), label="policy")
    record = schedule(jobs, site, policy)
    check_lost_work(record, policy)
    preempted = record.attempt_reason == EndReason.PREEMPTED
    assert record.attempt_guest is not None
    assert np.all(record.attempt_guest[preempted])
    owned = np.unique(record.attempt_job[~record.attempt_guest]).size
    assert max(times_preempted(record), default=0) <= owned


@settings(max_examples=4 * EXAMPLES, deadline=None, database=None)
@given(st.data())
def test_inside_an_owner_only_the_more_urgent_take_cells_and_nobody_makes_room_twice_in_a_pass(data):
    """Of the same owner, of a higher priority; and passes are those of what jobs bring about: 3 for each."""
    site = data.draw(cell_sites(), label="cluster")
    jobs = data.draw(crowded_workloads(site, 1, 24, plain=True))
    jobs = data.draw(in_ranks(data.draw(in_cells(jobs))), label="workload")
    cells = replace(
        data.draw(cells_for(site).filter(lambda drawn: drawn.owners["blue"]), label="cells"), within="priority"
    )
    backfill = data.draw(st.sampled_from(["none", "fit"]))
    policy = data.draw(cell_policies(cells, backfill=backfill, order="priority"), label="policy")
    record = schedule(jobs, site, policy)
    check_lost_work(record, policy)
    assert max(times_preempted(record), default=0) <= 3 * len(jobs)
    rows = jobs.table.to_pylist()
    assert record.attempt_guest is not None
    assert record.attempt_cause is not None
    for at in np.flatnonzero((record.attempt_reason == EndReason.PREEMPTED) & ~record.attempt_guest).tolist():
        loser, winner = rows[record.attempt_job[at]], rows[record.attempt_cause[at]]
        assert owner_of(loser["tenant"], cells) == owner_of(winner["tenant"], cells)
        assert (loser["priority"] or 0) < (winner["priority"] or 0)


def owner_of(path: str | None, cells: Cells) -> str | None:
    while path and path not in cells.owners:
        path = path.rpartition("/")[0]
    return path or None
