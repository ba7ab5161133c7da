"""The schedule of Philly's first jobs in cells stays what it was, compiled or not."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.compute as pc
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
    "fifo fit begin": "a9e48c7c915bf1bb7c4fac0a4d1a3f8d945a8346cc801e082e8477c128b502fc",
    "fifo easy begin": "5dc0a1fcb05f163221965faac0d856a87e84f4ded16e8fee6b0220b7570fb7ee",
    "wfp fit": "ecfc0a42b1d00397b49a1def75e0ffcdcf0c145f6b7ec580aec59b6df74206eb",
}
"""By backfill, or by order and backfill, and whether the run begins in the middle."""
MIDDLE = 1_800_000.0
"""When such a run begins, s since the first submission; the trace has no starts, so let all have waited for 600 s."""


@pytest.mark.skipif(not PHILLY.exists(), reason="set GPUYARD_TRACES to the folder of the public traces")
@pytest.mark.parametrize("choice", STORED)
def test_the_schedule_in_cells_is_that_of_the_stored_digest(choice: str) -> None:
    *named, backfill = choice.removesuffix(" begin").split()
    begin = MIDDLE if choice.endswith("begin") else None
    jobs = gy.read_trace(PHILLY).head(3_000)
    if begin is not None:
        table = jobs.table
        at = table.schema.get_field_index("start_time")
        jobs = gy.Workload.from_table(table.set_column(at, "start_time", pc.add(table["submit_time"], 600.0)))
    site = gy.Cluster.uniform(nodes=20, gpus_per_node=8, nodes_per_rack=4)
    cells = {"owners": OWNERS, "beyond": "opportunistic"}
    rule = {"rule": "cells", "checkpoint_interval": 3600.0, "restart_cost": 62.0}
    policy = Policy(order=named[0] if named else "fifo", backfill=backfill, cells=cells, preemption=rule)
    record = schedule(jobs, site, policy, begin=begin)
    assert (record.attempt_cause >= 0).any()
    assert schedule_digest(record) == STORED[choice]
