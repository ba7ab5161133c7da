"""Engine against reference on sites whose nodes are in part use, so that scores differ: placements with a score."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_schedules import checked
from reference import scoring


@st.composite
def mixed_sites(draw: st.DrawFn) -> Cluster:
    """Up to five nodes of 2 to 8 GPUs of one or two types, with more or fewer CPUs and memory."""
    count = draw(st.integers(2, 5))
    nodes = [(draw(st.sampled_from("aab")), draw(st.sampled_from([2, 4, 8]))) for _ in range(count)]
    amounts = st.lists(st.integers(4, 24), min_size=count, max_size=count)
    return cluster(*nodes, cpus=draw(st.none() | amounts), memory=draw(st.none() | amounts))


@st.composite
def packed_workloads(draw: st.DrawFn) -> Workload:
    """Fractions of many sizes and small chunks that come and go while others stay."""
    rows = []
    for _ in range(draw(st.integers(12, 30))):
        gpus = draw(st.sampled_from([0, 1, 1, 1, 1, 2, 2, 3, 4]))
        more: dict[str, object] = {"cpus": draw(st.sampled_from([1, 0.5, 2])), "memory_gib": draw(st.integers(0, 3))}
        if gpus == 1 and draw(st.integers(0, 3)):
            more["gpu_milli"] = draw(st.sampled_from([100, 300, 400, 500, 700]))
        if gpus > 1 and draw(st.integers(0, 3)) == 0:
            more |= draw(st.sampled_from([{"nodes": 2}, {"spread": True}]))
        if draw(st.integers(0, 3)) == 0:
            more["gpu_type"] = draw(st.sampled_from(["a", "b", "a|b"]))
        more["exclusive"] = draw(st.integers(0, 7)) == 7
        rows.append((draw(st.integers(0, 6)), draw(st.integers(1, 12)), gpus, more))
    return workload(*rows)


@pytest.mark.parametrize("backfill", ["fit", "easy"])
@pytest.mark.parametrize("placement", scoring.PLACEMENTS)
def test_nodes_in_part_use_are_scored_as_by_the_reference(placement, backfill):
    def check(data: st.DataObject) -> None:
        site = data.draw(mixed_sites(), label="cluster")
        exclusive = data.draw(st.integers(0, 9), label="exclusive") == 9
        policy = Policy(placement=placement, backfill=backfill, exclusive=exclusive)
        compare(data.draw(packed_workloads()), site, policy, 0, None)

    checked(f"scored {placement} {backfill}", EXAMPLES, check)
