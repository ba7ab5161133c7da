"""The schedule of Philly's first jobs under quotas stays what it was, compiled or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import gpuyard as gy
from gpuyard.metrics.digests import schedule_digest
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.tenancy import Limit, Tenant, Tenants

PHILLY = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).parents[3] / "shared/traces"))
PHILLY = PHILLY / "microsoft_philly_2017/philly.csv"
QUOTAS = {"6214e9": (64, None), "11cb48": (32, 16), "b436b2": (24, 8), "2869ce": (16, None)}
"""Nominal and most borrowed GPUs."""
STORED = {
    ("none", "reclaim", "queue", "any"): "0c119db5b6c7b5fb3c291db87313f3868ddc3caf21c5768594269ad29f6e2871",
    ("fit", "none", "drf", "any"): "2fc1678c611df079b0fc488d5654328028ae6345e0822fdedc3ea88910ac9133",
    ("fit", "las", "fair", "any"): "d0ba17cb5bbb9c283a58bdd287394e6e549ebec2038165e56784af2be32eb3a7",
    ("fit", "srtf", "queue", "lower"): "bf7432b8831adb55280c15b8f23ef5f3d194d6c7890d3d493927ccce455417d4",
    ("fit", "reclaim", "fair", "fair"): "be4d737bbbea7c2dcc1943cdb5c3389c39e08ded3de3392d51e4416ded83264b",
}
"""By backfill, preemption, what decides between tenants, and who takes from others."""


@pytest.mark.skipif(not PHILLY.exists(), reason="set GPUYARD_TRACES to the folder of the public traces")
@pytest.mark.parametrize("case", STORED)
def test_the_schedule_of_tenants_is_that_of_the_stored_digest(case: tuple[str, str, str, str]) -> None:
    backfill, rule, between, reclaim = case
    tenants = Tenants(
        tenants=tuple(
            Tenant(name=name, nominal=own, borrow=more, lend=own / 2) for name, (own, more) in QUOTAS.items()
        ),
        limits=(Limit(each=("user",), gpus=40),),
        nominal=24,
        between=between,
        reclaim=reclaim,
    )
    jobs = gy.read_trace(PHILLY)
    site = gy.Cluster.uniform(nodes=20, gpus_per_node=8, nodes_per_rack=4)
    policy = Policy(backfill=backfill, preemption=rule)
    record = schedule(jobs.head(3_000), site, policy, tenants=tenants)
    if rule != "none":
        assert record.attempt_cause is not None
        assert (record.attempt_cause >= 0).any()
    assert schedule_digest(record) == STORED[case]
