"""Packed placement where a level has hundreds of domains: which racks a job of several nodes goes to."""

from __future__ import annotations

import pyarrow as pa
import pytest

from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload

NODES = 2400
"""In 600 racks of 4: nodes 4 n to 4 n + 3 are rack n."""


def nodes_taken(empty: list[int], gpus: int) -> list[int]:
    """Return where a job goes when just these nodes of 8 GPUs are empty and all others full.

    At first every node is filled: best fit gives equal jobs the nodes in turn, so that job n sits on node n.
    """
    table = pa.table(
        {
            "job_id": [f"job {row}" for row in range(NODES + 1)],
            "submit_time": [0.0] * NODES + [50.0],
            "runtime": [10.0 if node in empty else 100.0 for node in range(NODES)] + [1.0],
            "gpus": [8] * NODES + [gpus],
        }
    )
    site = Cluster.uniform(nodes=NODES, gpus_per_node=8, nodes_per_rack=4)
    record = schedule(Workload.from_table(table, name="racks"), site, Policy(placement="packed"))
    assert record.start[NODES] == 50_000_000
    return sorted(record.slot_node[record.slot_offset[NODES] :].tolist())


@pytest.mark.parametrize("gpus", [12, 16])
@pytest.mark.parametrize("rack", [0, 255, 256, 270, 512, 599])
def test_the_rack_with_the_fewest_empty_nodes_is_found_among_hundreds(rack: int, gpus: int) -> None:
    rack_10, rack_290, rack_598 = [40, 41, 42, 43], [1160, 1162, 1163], [2395]
    tightest = [4 * rack + 1, 4 * rack + 3]
    assert nodes_taken([*rack_10, *rack_290, *rack_598, *tightest], gpus) == tightest


def test_of_racks_as_tight_the_lowest_is_taken() -> None:
    rack_280, rack_300, rack_580 = [1120, 1121, 1123], [1201, 1203], [2320, 2321]
    assert nodes_taken([*rack_580, *rack_300, *rack_280], 16) == rack_300


def test_a_job_that_no_rack_holds_takes_the_last_nodes_of_many() -> None:
    assert nodes_taken([4, 1300, 2399], 24) == [4, 1300, 2399]


def test_the_emptiest_rack_comes_first_and_the_rest_goes_where_it_fits_tightest() -> None:
    rack_20, rack_30, rack_40, rack_500 = [81], [120, 123], [160, 161, 162], [2000, 2001, 2002, 2003]
    assert nodes_taken([*rack_20, *rack_30, *rack_40, *rack_500], 48) == [*rack_30, *rack_500]
