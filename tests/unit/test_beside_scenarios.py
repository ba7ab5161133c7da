"""What goes with preemption and tenants, and what is refused, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.errors import ConfigError

URGENT = {"priority": 1}
LIMIT: dict[str, Any] = {"limit": [{"jobs": 100}]}


@pytest.mark.parametrize("backfill", ["conservative", "slurm"])
def test_plans_are_refused_beside_preemption_and_tenants(backfill: str) -> None:
    with pytest.raises(ConfigError, match=f"backfill {backfill}, whose plans count on when jobs end"):
        gy.Policy(backfill=backfill, preemption="priority")
    with pytest.raises(ConfigError, match=f"backfill {backfill}, whose plans know nothing of the quotas"):
        gy.simulate(workload((0, 1, 1)), cluster(1), policy=gy.Policy(backfill=backfill), tenants=LIMIT)


def test_recorded_replay_is_refused_beside_preemption_and_tenants() -> None:
    with pytest.raises(ConfigError, match="replay recorded, which starts every job when the record does"):
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
