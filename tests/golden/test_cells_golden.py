"""The schedule of Philly's first jobs in cells stays what it was, compiled or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import gpuyard as gy
from gpuyard.metrics.digests import schedule_digest
from gpuyard.policy import Policy
from gpuyard.simulation import schedule

PHILLY = Path(os.environ.get("GPUYARD_TRACES", Path(__file__).parents[3] / "shared/traces"))
PHILLY = PHILLY / "microsoft_philly_2017/philly.csv"
OWNERS = {"6214e9": {"rack": 1}, "11cb48": {"node": 3}, "b436b2": {"node": 2, "gpus-4": 2}, "2869ce": {"gpus-2": 4}}
STORED = {
    "none": "f65e78d651ac21ae7b3d2ada6025069a8d2a59bd0f1117d1f285e957ef3cc724",
    "fit": "c4c81f6169700bb3eae20fefa082583338344544d71e103ee759a8c88ead7637",
    "fifo easy": "f545544f33932e3c4070772700c8da14d08ef4c5a950ad8156c906693bd9e167",
    "wfp none": "d28912606b18395f6638d26918f234f44b6343670b89b3161be5701bfaa9ec84",
    "wfp fit": "ecfc0a42b1d00397b49a1def75e0ffcdcf0c145f6b7ec580aec59b6df74206eb",
}
"""By backfill, or by order and backfill."""


@pytest.mark.skipif(not PHILLY.exists(), reason="set GPUYARD_TRACES to the folder of the public traces")
@pytest.mark.parametrize("choice", STORED)
def test_the_schedule_in_cells_is_that_of_the_stored_digest(choice: str) -> None:
    order, backfill = ("fifo", *choice.split())[-2:]
    jobs = gy.read_trace(PHILLY)
    site = gy.Cluster.uniform(nodes=20, gpus_per_node=8, nodes_per_rack=4)
    cells = {"owners": OWNERS, "beyond": "opportunistic"}
    rule = {"rule": "cells", "checkpoint_interval": 3600.0, "restart_cost": 62.0}
    record = schedule(jobs.head(3_000), site, Policy(order=order, backfill=backfill, cells=cells, preemption=rule))
    assert (record.attempt_cause >= 0).any()
    assert schedule_digest(record) == STORED[choice]
