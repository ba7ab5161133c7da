"""What holds whenever jobs are preempted, on random workloads: of the reference, which the engine agrees with; and that
work is conserved, of the engine's record.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import strategies as st

from conftest import cluster
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES
from oracle.test_constraints import in_arrays
from oracle.test_schedules import checked
from reference import RULES, WHOLE, Fate, Job, read, simulate, ticks
from reference.jobs import run_length
from strategies import clusters, crowded_sites, crowded_workloads, preemptive_policies, ranked, workloads

URGENT = [rule for rule in RULES if rule != "reclaim"]
"""Rules under which some jobs are more urgent than others, without tenants."""


@pytest.mark.parametrize("rule", URGENT)
def test_attempts_keep_what_is_promised(rule):
    """Every job ends; nobody holds what another holds; preemptions keep their terms; work adds up."""

    def check(data: st.DataObject) -> None:
        scale = 1.0
        if data.draw(st.booleans(), label="of every kind"):
            site = data.draw(clusters(5), label="cluster")
            jobs = data.draw(workloads(site))
        else:
            scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
            site = data.draw(crowded_sites(), label="cluster")
            jobs = data.draw(crowded_workloads(site, scale))
        if data.draw(st.booleans()):
            jobs = data.draw(in_arrays(jobs))
        jobs = data.draw(ranked(jobs, scale), label="workload")
        policy = data.draw(preemptive_policies(rule, scale), label="policy")
        if policy.placement in {"fgd", "least-left", "dot-product", "gpu-packing", "gpu-clustering"}:
            jobs = Workload.from_table(jobs.table.drop_columns("exclusive"))
        check_all(read(jobs, policy), site, policy, simulate(jobs, site, policy))

    checked(f"invariants {rule}", 4 * EXAMPLES, check)


@pytest.mark.parametrize("rule", URGENT)
def test_nobody_waits_for_gpus_that_are_free(rule):
    """Under ``fit``, on one node, in the engine's record: after every instant who waits asks for more than is free."""

    def check(data: st.DataObject) -> None:
        size = data.draw(st.integers(2, 6), label="gpus")
        site = cluster(size)
        jobs = data.draw(ranked(data.draw(crowded_workloads(site, 1, plain=True))), label="workload")
        policy = data.draw(preemptive_policies(rule, backfill="fit", exclusive=False, spread=False), label="policy")
        record = schedule(jobs, site, policy)
        asked = jobs.gpus.tolist()
        held = list(zip(record.attempt_start, record.attempt_end, record.attempt_job, strict=True))
        for now in np.unique(record.attempt_end):
            running = {int(job) for start, end, job in held if start <= now < end}
            free = size - sum(asked[job] for job in running)
            waiting = set(np.flatnonzero((record.eligible <= now) & (now < record.end)).tolist()) - running
            assert all(asked[job] > free for job in waiting), now

    checked(f"conserved {rule}", EXAMPLES, check)


def check_all(jobs: list[Job], site: Cluster, policy: Policy, fates: list[Fate]) -> None:
    check_room(jobs, site, fates)
    for job, fate in zip(jobs, fates, strict=True):
        if fate.outcome == "rejected":
            assert not fate.attempts
            continue
        check_attempts(job, fate, policy)
        for attempt in fate.attempts if fate.attempts[-1].cause is not None else fate.attempts[:-1]:
            check_preemption(job, jobs[attempt.cause], policy)
            assert attempt.end in {other.start for other in fates[attempt.cause].attempts}


def check_room(jobs: list[Job], site: Cluster, fates: list[Fate]) -> None:
    """Assert that no node holds more than it has, at any instant at which an attempt begins."""
    held = [(job, attempt) for job, fate in zip(jobs, fates, strict=True) for attempt in fate.attempts]
    for _, beginning in held:
        used = [0] * site.nodes
        for job, attempt in held:
            if attempt.start <= beginning.start < attempt.end:
                share = WHOLE if job.milli is None or job.exclusive else job.milli
                for node, gpus, _ in attempt.slots:
                    used[node] += gpus * share
        assert all(total <= WHOLE * gpus for total, gpus in zip(used, site.node_gpus.tolist(), strict=True))


def check_attempts(job: Job, fate: Fate, policy: Policy) -> None:
    """Assert that attempts follow each other and end with the job, and that their useful times add up to its work."""
    terms = policy.preemption
    assert (fate.start, fate.end) == (fate.attempts[0].start, fate.attempts[-1].end)
    assert all(before.end <= after.start for before, after in itertools.pairwise(fate.attempts))
    cancelled = fate.attempts[-1].cause is not None
    assert not cancelled or (job.is_cancelled and fate.outcome == "cancelled" and len(fate.attempts) == 1)
    assert sum(attempt.useful for attempt in fate.attempts) == (0 if cancelled else run_length(job, policy))
    assert len(fate.attempts) - 1 <= (terms.max_preemptions or len(fate.attempts))
    for number, attempt in enumerate(fate.attempts):
        lasted = attempt.end - attempt.start
        worked = max(lasted - ticks(terms.restart_cost if number else 0), 0)
        assert 0 <= attempt.useful <= worked
        if attempt is not fate.attempts[-1]:
            assert lasted >= job.min_run
            assert lasted >= ticks(terms.final_slice if terms.rule == "time-slice" else 0)
            own = ticks(terms.checkpoint_interval) if job.checkpoint_interval is None else job.checkpoint_interval
            check_loss(own, ticks(terms.checkpoint_cost), attempt.useful, worked)


def check_loss(interval: int | None, cost: int, useful: int, worked: int) -> None:
    """Assert that a preemption costs what has been done since the last checkpoint, and no more."""
    if interval is None:
        assert useful == 0
    elif interval == 0:
        assert useful == worked
    else:
        written, remainder = divmod(useful, interval)
        assert remainder == 0
        assert 0 <= worked - written * (interval + cost) < interval + cost


def check_preemption(job: Job, other: Job, policy: Policy) -> None:
    """Assert that a job could be preempted at all, and for that other one."""
    assert job.preemptible
    if policy.preemption.rule == "priority":
        assert job.priority < other.priority
