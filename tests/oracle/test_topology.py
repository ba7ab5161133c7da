"""Engine against reference on sites of racks and pods, with holes in them: placements by topology, segments, rails."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare

BY_TOPOLOGY = ("spread", "rail-aligned", "topology-tree", "topology-block")
CHOSEN = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@st.composite
def racked_sites(draw: st.DrawFn) -> Cluster:
    """Racks of 2 to 4 nodes of 2 or 4 GPUs, the last one short, in pods of two racks; perhaps a few other nodes."""
    size, gpus = draw(st.integers(2, 4)), draw(st.sampled_from([2, 4]))
    nodes = [("a", gpus)] * draw(st.integers(5, 14))
    if draw(st.booleans()):
        nodes[draw(st.integers(0, len(nodes) - 1))] = ("b", gpus)
        nodes[draw(st.integers(0, len(nodes) - 1))] = ("a", gpus // 2)
    racks, pods = ([node // step for node in range(len(nodes))] for step in (size, 2 * size))
    cpus = [2 * gpus + 1] * len(nodes) if draw(st.integers(0, 3)) == 0 else None
    return cluster(*nodes, cpus=cpus, levels=[racks, pods])


@st.composite
def wide_workloads(draw: st.DrawFn, site: Cluster) -> Workload:
    """Small jobs that leave holes, and jobs of several nodes that have to find their way around them."""
    largest, rows = int(site.node_gpus.max()), []
    for _ in range(draw(st.integers(6, 24))):
        more: dict[str, object] = {}
        gpus = draw(st.integers(1, largest))
        if draw(st.booleans()):
            more["nodes"] = draw(st.integers(2, 6))
            gpus = more["nodes"] * gpus - draw(st.integers(0, 1))
            more["segment"] = draw(st.none() | st.integers(1, 4))
        if site.node_cpus is not None:
            more["cpus"] = draw(st.none() | st.integers(1, 2 * gpus))
        more["exclusive"] = draw(st.integers(0, 9)) == 9
        rows.append((draw(st.integers(0, 5)), draw(st.integers(1, 9)), gpus, more))
    return workload(*rows)


@pytest.mark.parametrize("placement", BY_TOPOLOGY)
@pytest.mark.parametrize("backfill", ["fit", "easy", "conservative", "slurm"])
@CHOSEN
@given(st.data())
def test_jobs_find_the_nodes_of_the_reference_between_others(placement, backfill, data):
    site = data.draw(racked_sites())
    level = data.draw(st.sampled_from([None, "level-0", "level-1"])) if placement == "topology-block" else None
    policy = Policy(
        placement=placement, backfill=backfill, block_level=level, exclusive=data.draw(st.integers(0, 9)) == 9
    )
    compare(data.draw(wide_workloads(site)), site, policy, 0, None)
