"""What goes with preemption and tenants, and what is refused, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.errors import ConfigError

URGENT = {"priority": 1}
LIMIT: dict[str, Any] = {"limit": [{"jobs": 100}]}


def test_promises_for_good_are_refused_beside_preemption_and_tenants() -> None:
    promises = "backfill conservative, whose promises are for good: "
    with pytest.raises(ConfigError, match=promises + "who is preempted comes back.*choose .*easy or slurm"):
        gy.Policy(backfill="conservative", preemption="priority")
    policy = gy.Policy(backfill="conservative")
    with pytest.raises(ConfigError, match=promises + "quotas of that time.*easy or slurm"):
        gy.simulate(workload((0, 1, 1)), cluster(1), policy=policy, tenants=LIMIT)


def test_the_plan_of_slurm_goes_with_preemption_and_tenants() -> None:
    """Job 1 takes its place at 1, from the only job that its user may run."""
    jobs = workload((0, 5, 1, {"user": "ann"}), (1, 5, 1, {"user": "ann"} | URGENT))
    policy = gy.Policy(backfill="slurm", preemption="priority")
    limit: dict[str, Any] = {"limit": [{"each": ["user"], "jobs": 1}]}
    result = gy.simulate(jobs, cluster(2), policy=policy, tenants=limit)
    stays = sorted((row["job_id"], row["start_time"], row["end_time"]) for row in result.attempts.to_pylist())
    assert stays == [("0", 0, 1), ("0", 6, 10), ("1", 1, 6)]


def test_recorded_replay_is_refused_beside_preemption_and_tenants() -> None:
    with pytest.raises(ConfigError, match="replay recorded, which starts jobs when the record does"):
        gy.Policy(replay="recorded", preemption="priority")
    with pytest.raises(ConfigError, match="replay recorded, which starts jobs when the record does"):
        gy.simulate(workload((0, 1, 1)), cluster(1), policy=gy.Policy(replay="recorded"), tenants=LIMIT)


@pytest.mark.parametrize("order", ["srtf", "srsf", "time-slice"])
def test_rules_that_are_orders_have_no_score(order: str) -> None:
    with pytest.raises(ConfigError, match="is an order of its own"):
        gy.Policy(order="multifactor", preemption=order)


def test_preemption_and_easy_in_a_virtual_cluster() -> None:
    """On 4 GPUs of its own the urgent job takes the place of job 0 at 1 s, which has the reservation for 6 s then.

    Job 3 is over by then and passes it; job 2, which would not be, waits.
    """
    inside: dict[str, object] = {"partition": "a"}
    jobs = workload(
        (0, 5, 4, inside),
        (1, 5, 3, inside | URGENT),
        (2, 5, 4, inside),
        (2, 3, 1, inside),
        (0, 9, 4, {"partition": "b"}),
    )
    policy = gy.Policy(order="multifactor", backfill="easy", preemption="priority")
    parts = [gy.VirtualCluster(name="a", gpus=4), gy.VirtualCluster(name="b", gpus=4)]
    result = gy.simulate(jobs, cluster(4, 4), policy=policy, virtual_clusters=parts)
    rows = result.attempts.to_pylist()
    stays = sorted((row["job_id"], row["start_time"], row["end_time"]) for row in rows)
    assert stays == [("0", 0, 1), ("0", 6, 10), ("1", 1, 6), ("2", 10, 15), ("3", 2, 5), ("4", 0, 9)]
