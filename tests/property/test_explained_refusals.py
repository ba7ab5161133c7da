"""Reasons of waits beside the reference: what is told of each instant is what the job met in the reference's pass.

``-k "srtf and easy"`` chooses cases; ``GPUYARD_EXAMPLES`` sets how many workloads are tried for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from gpuyard import simulate
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.explanation import Stretch, gather, story_of
from gpuyard.policy import Policy
from gpuyard.tenancy import NO_TENANTS, RECLAIMS, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import MICROSECOND, Workload
from oracle.comparing import EXAMPLES
from oracle.test_constraints import partitions, windows
from oracle.test_joint import in_partitions, jobs_of, orders_beside, policy_of
from oracle.test_schedules import checked
from refused import Turn, turns_of
from strategies import crowded_sites
from tenant_strategies import tenants

PATTERNS = ("rail-aligned", "topology-block")
VARIANTS = ("none", "fit", "easy-nodes", "easy-counts")
RULES = ("none", "priority", "srtf", "srsf", "las", "2d-las", "gittins", "time-slice")
BESIDE = ("nothing", "windows", "partitions", "tenants", "tenants and windows")
OWN = ("gpus", "gpu_type", "fragmentation", "exclusive", "cpus", "memory")


def lasting(jobs: Workload) -> Workload:
    """Return the jobs with run times: where one runs for none, an instant has several passes."""
    rows = jobs.table.to_pylist()
    for row in rows:
        row["runtime"] = max(row["runtime"] or 1, 1)
        row["time_limit"] = None if row["time_limit"] is None else max(row["time_limit"], 1)
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


def open_from_second_0(data: st.DataObject, jobs: Workload, site: Cluster) -> list[NodeWindow]:
    """Return windows that a scenario can state, and that invite users and tenants of jobs."""
    names = {*jobs.table["user"].to_pylist(), *jobs.table["tenant"].to_pylist()}
    drawn = data.draw(windows(site.nodes, 1), label="windows")
    return [each for each in drawn if each.start >= 0 and not {*each.users, *each.tenants} - names]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", RULES)
def test_reasons_are_what_the_reference_met(rule: str, variant: str) -> None:
    def check(data: st.DataObject) -> None:
        beside = data.draw(st.sampled_from(BESIDE))
        site = data.draw(crowded_sites(), label="cluster")
        order = data.draw(st.sampled_from([*orders_beside(rule, variant), "fifo"]))
        policy = policy_of(data, rule, variant, order, 1)
        jobs = lasting(jobs_of(data, site, 1, shared="tenants" in beside))
        closed = open_from_second_0(data, jobs, site) if "windows" in beside else []
        if beside == "partitions":
            jobs, closed = in_partitions(data, jobs), data.draw(partitions(site.nodes), label="partitions")
        shared = NO_TENANTS
        if "tenants" in beside:
            between = data.draw(st.sampled_from(["queue", "drf", "fair", "cohorts"]))
            reclaim = data.draw(st.sampled_from(sorted(RECLAIMS)))
            shared = data.draw(tenants(site, between=between, reclaim=reclaim), label="tenants")
        compare(jobs, site, policy, closed, shared)

    checked(f"refusals {rule} {variant}", EXAMPLES, check)


@pytest.mark.parametrize("variant", VARIANTS)
def test_reasons_among_cohorts_are_what_the_reference_met(variant: str) -> None:
    """Whose turn it was depends on what each job that waits would have added; partitions may have nodes."""

    def check(data: st.DataObject) -> None:
        rule = data.draw(st.sampled_from(RULES), label="rule")
        site = data.draw(crowded_sites(), label="cluster")
        order = data.draw(st.sampled_from([*orders_beside(rule, variant), "fifo"]))
        policy = policy_of(data, rule, variant, order, 1)
        jobs, closed = lasting(jobs_of(data, site, 1, shared=True)), []
        if data.draw(st.integers(0, 3)) == 0:
            jobs, closed = in_partitions(data, jobs), data.draw(partitions(site.nodes), label="partitions")
        reclaim = data.draw(st.sampled_from(sorted(RECLAIMS)))
        compare(
            jobs, site, policy, closed, data.draw(tenants(site, between="cohorts", reclaim=reclaim), label="tenants")
        )

    checked(f"refusals cohorts {variant}", 4 * EXAMPLES, check)


def compare(
    jobs: Workload, site: Cluster, policy: Policy, closed: Sequence[NodeWindow], shared: Tenants = NO_TENANTS
) -> int:
    """Hold every stretch to every pass that it covers; return how many passes of waiting jobs were looked at."""
    given = {"windows": closed, "tenants": shared}
    try:
        result = simulate(jobs, site, policy=policy, decisions=True, **given)
    except ConfigError:
        assume(False)
    evidence = gather(result, workload=jobs, cluster=site, note=lambda _: None)
    told = {row: story_of(evidence, name).stretches for row, name in enumerate(evidence.names)}
    looked_at = 0
    for (now, row), turn in turns_of(jobs, site, policy, **given).items():
        for stretch in told[row]:
            if round(stretch.start * MICROSECOND) <= now < round(stretch.end * MICROSECOND):
                check_reason(stretch, turn, evidence.names, is_patterned=policy.placement in PATTERNS)
                looked_at += 1
    return looked_at


def check_reason(stretch: Stretch, turn: Turn, names: Sequence[str], *, is_patterned: bool) -> None:
    """Assert that a reason is true of a job's turn, and that who is named is who stood in the way."""
    blocker = None if stretch.blocker is None else names.index(stretch.blocker.job_id)
    assert (stretch.reason == "order") == (turn.first is not None)
    assert (stretch.reason == "closed") == bool(stretch.closed)
    if turn.first is not None:
        assert blocker == turn.first
        return
    if not turn.tried:  # one that asks for the same was refused in the same pass
        assert stretch.reason in (*OWN, "placement", "quota", "limit", "closed")
        return
    if stretch.reason == "limit":
        assert not turn.admitted
    elif stretch.reason == "quota":  # by type: on some it may be admitted, where it has no room
        assert not turn.admitted or (turn.has_room_beyond and not turn.has_room_if_open)
    elif stretch.reason == "closed":
        assert not turn.has_room
        assert turn.has_room_if_open or is_patterned
    elif stretch.reason in OWN:
        assert not turn.has_room_if_open
        assert stretch.reason != "gpus" or stretch.free[0] * 1000 <= turn.free <= stretch.free[1] * 1000
    elif stretch.reason == "placement":
        assert is_patterned
        assert not turn.starts
    else:
        assert stretch.reason in ("reservation", "withheld")
        assert turn.has_room
        assert not turn.starts
        assert blocker in (turn.reserved_for if stretch.reason == "reservation" else turn.withheld_for)


def test_a_plain_run_of_a_strict_queue_is_looked_at_often_enough() -> None:
    """So that an empty comparison does not pass for agreement."""
    looked_at = []

    def check(data: st.DataObject) -> None:
        site = data.draw(crowded_sites())
        policy = replace(Policy(order="wfp"), preemption=replace(Policy().preemption, rule="priority"))
        looked_at.append(compare(lasting(jobs_of(data, site, 1, shared=False)), site, policy, []))

    checked("refusals of a strict queue", 10, check)
    assert sum(looked_at) > 100
