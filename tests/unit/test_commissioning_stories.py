"""Nodes that come later beside preemption and tenants, worked by hand: engine and reference must tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds; a preempted job loses nothing.
"""

from __future__ import annotations

import pytest

from conftest import cluster, workload
from gpuyard.energy import EnergyModel, account
from gpuyard.errors import ConfigError
from gpuyard.metrics.summary import summarise
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, Fate, simulate
from tenant_stories import of

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
HIGH = {"priority": 1}
PAIR = cluster(4, 4)
SECOND_LATER = [NodeWindow.commissioned(("1",), 10.0)]


def fates(
    tell: str, jobs: Workload, rule: str, tenants: dict[str, object] | None = None, *, later: list[NodeWindow]
) -> list[Fate]:
    policy = Policy(backfill="fit", preemption={"rule": rule})
    shared = NO_TENANTS if tenants is None else Tenants.of(tenants)
    if tell == "reference":
        return simulate(jobs, PAIR, policy, windows=later, tenants=shared)
    return told(schedule(jobs, PAIR, policy, windows=later, tenants=shared))


def stays(*given: object, later: list[NodeWindow] = SECOND_LATER) -> list[list[tuple[float, float, list[int]]]]:
    """Return when each job ran and on which nodes, attempt after attempt."""
    return [
        [(it.start / SECOND, it.end / SECOND, [node for node, _, _ in it.slots]) for it in fate.attempts]
        for fate in fates(*given, later=later)
    ]


@TEST
def test_a_service_takes_what_is_there_and_who_made_room_goes_on_where_nodes_have_come(tell):
    """The service comes when only node 0 is there; the training job has 8 of its 12 seconds left when node 1 comes."""
    jobs = workload((0, 12, 4), (4, 20, 4, HIGH))
    assert stays(tell, jobs, "priority") == [[(0, 4, [0]), (10, 18, [1])], [(4, 24, [0])]]


@TEST
def test_nobody_is_preempted_for_a_job_that_needs_nodes_which_are_not_there(tell):
    """Without job 0 there would be 4 free GPUs of the 8: it runs on, and makes room when the others have come."""
    jobs = workload((0, 20, 4), (4, 5, 8, HIGH))
    assert stays(tell, jobs, "priority") == [[(0, 10, [0]), (15, 25, [0])], [(10, 15, [0, 1])]]


@TEST
def test_who_runs_when_nodes_come_stays_where_it_is(tell):
    jobs = workload((0, 20, 2, HIGH), (0, 20, 2), (11, 2, 4, HIGH))
    assert stays(tell, jobs, "priority") == [[(0, 20, [0])], [(0, 20, [0])], [(11, 13, [1])]]


@TEST
def test_a_nominal_quota_is_a_right_to_gpus_as_soon_as_they_are_there(tell):
    """Both tenants have 4 of 8 GPUs.  While 4 are there, a is within its quota with all of them and gives none back."""
    tenants = {"tenant": [{"name": "a", "nominal": 4}, {"name": "b", "nominal": 4}]}
    jobs = workload((0, 20, 4, of("a")), (4, 5, 4, of("b")))
    assert stays(tell, jobs, "reclaim", tenants) == [[(0, 20, [0])], [(10, 15, [1])]]


@TEST
def test_what_is_borrowed_is_taken_back_before_all_nodes_are_there(tell):
    tenants = {"tenant": [{"name": "a", "nominal": 2}, {"name": "b", "nominal": 6}]}
    jobs = workload((0, 20, 4, of("a")), (4, 5, 4, of("b")))
    assert stays(tell, jobs, "reclaim", tenants) == [[(0, 4, [0]), (9, 25, [0])], [(4, 9, [0])]]


@TEST
def test_what_holds_nodes_until_they_come_is_no_job_of_a_tenant(tell):
    """The root has no job of its own: all 8 GPUs are a's, 4 of them as soon as they have come."""
    tenants = {"tenant": [{"name": "a", "nominal": 8}], "limit": [{"each": ["tenant"], "jobs": 2, "gpus": 8}]}
    jobs = workload((0, 20, 4, of("a")), (0, 20, 4, of("a")), (0, 5, 4, of("a")))
    assert stays(tell, jobs, "reclaim", tenants) == [[(0, 20, [0])], [(10, 30, [1])], [(20, 25, [0])]]


def test_what_holds_nodes_until_they_come_is_in_no_result():
    record = schedule(workload((0, 12, 4), (4, 20, 4, HIGH)), PAIR, Policy(preemption="priority"), windows=SECOND_LATER)
    assert record.attempt_job.tolist() == [0, 1, 0]
    assert record.slot_node.tolist() == [0, 0, 1]
    assert record.stop == 24 * SECOND
    numbers = summarise(record, account(record, EnergyModel()))
    assert numbers["gpu"]["gpu_hours"] == pytest.approx(32 * 4 / 3600)


def test_windows_that_close_nodes_go_with_preemption_beside_nodes_that_come_later():
    """The second node comes at 10 and the first is closed from 4 to 12: the urgent job takes the first at once."""
    drain = NodeWindow(nodes=(0,), start=4.0, end=12.0)
    jobs = workload((0, 3, 4), (1, 2, 4, HIGH), (1, 6, 4, HIGH))
    record = schedule(jobs, PAIR, Policy(preemption="priority"), windows=[*SECOND_LATER, drain])
    starts = [(job, start // SECOND) for job, start in zip(record.attempt_job, record.attempt_start, strict=True)]
    assert starts == [(0, 0), (1, 1), (2, 10), (0, 12)]


def test_cells_of_nodes_that_come_later_are_refused():
    with pytest.raises(ConfigError, match=r"come later do not go with cells, .* leave out \[policy\.cells\], or"):
        schedule(workload((0, 1, 1)), PAIR, Policy(cells={"owners": {"a": {"node": 1}}}), windows=SECOND_LATER)
