"""Engine against reference where the shape depends on the GPU type: trays in NVLink domains beside larger nodes."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_schedules import checked
from reference import PLACEMENTS
from strategies import preemptive_policies, ranked
from tenant_strategies import owned, tenants

ASKED = (None, None, "a|b", "b|c", "c|a", "a", "b", "c")
LOOPS = ("priority", "srtf", "reclaim")


@st.composite
def mixed_sites(draw: st.DrawFn) -> Cluster:
    """Two to four groups of nodes of a few types, whose names say nothing of where they are, half of them one domain.

    A group is large nodes, trays that make up such a node or more, or nodes of one GPU.
    """
    nodes: list[tuple[str, int]] = []
    together, above = [], []
    for group in range(draw(st.integers(2, 4))):
        name, size = draw(st.sampled_from("abc")), draw(st.sampled_from([1, 2, 2, 4, 4, 8]))
        count = draw(st.integers(1, 2) if size == 8 else st.integers(1, 4))
        is_domain = draw(st.booleans())
        for _ in range(count):
            together.append(together[-1] + (not is_domain) if above and above[-1] == group else len(set(together)))
            above.append(group)
            size = draw(st.sampled_from([size] * 8 + [1]))
            nodes.append((name if draw(st.integers(0, 9)) else draw(st.sampled_from("abc")), size))
    cpus = [2 * size + 1 for _, size in nodes] if draw(st.integers(0, 3)) == 0 else None
    names = draw(st.sampled_from([("nvlink", "pod"), ("nvlink", "pod"), ("rack", "nvlink"), ("rack", "pod")]))
    return cluster(*nodes, cpus=cpus, levels=[together, above], level_names=names)


@st.composite
def job_tables(draw: st.DrawFn, site: Cluster) -> Workload:
    """Small jobs that leave holes in some types, and jobs of as many GPUs as a node or a domain has and more."""
    rows = []
    for _ in range(draw(st.integers(5, 20))):
        more: dict[str, object] = {"gpu_type": draw(st.sampled_from(ASKED))}
        gpus = draw(st.integers(1, 3) | st.sampled_from([2, 4, 4, 5, 6, 8, 8, 8, 12, 16]))
        if draw(st.integers(0, 5)) == 0:
            more["nodes"] = draw(st.integers(1, min(3, gpus)))
        if site.node_cpus is not None:
            more["cpus"] = draw(st.none() | st.integers(1, 2 * gpus))
        if gpus == 1 and draw(st.booleans()):
            more["gpu_milli"] = 500
        more["exclusive"] = draw(st.integers(0, 9)) == 9
        more["segment"] = draw(st.sampled_from([None, None, 1, 2]))
        rows.append((draw(st.integers(0, 5)), draw(st.integers(1, 9)), gpus, more))
    return workload(*rows)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "conservative", "slurm"])
def test_types_are_tried_and_jobs_cut_as_by_the_reference(placement, backfill):
    def check(data: st.DataObject) -> None:
        site = data.draw(mixed_sites(), label="cluster")
        exclusive = data.draw(st.integers(0, 9), label="exclusive") == 9
        policy = Policy(placement=placement, backfill=backfill, exclusive=exclusive)
        compare(data.draw(job_tables(site)), site, policy, 0, None)

    checked(f"shapes {placement} {backfill}", EXAMPLES, check)


@pytest.mark.parametrize("placement", ["first-fit", "packed", "spread", "rail-aligned", "topology-block", "fgd"])
@pytest.mark.parametrize("rule", LOOPS)
def test_so_they_are_by_those_who_preempt(rule, placement):
    def check(data: st.DataObject) -> None:
        site = data.draw(mixed_sites(), label="cluster")
        jobs = data.draw(ranked(data.draw(job_tables(site))), label="workload")
        policy = data.draw(preemptive_policies(rule, placement=placement), label="policy")
        shared = {}
        if rule == "reclaim":
            jobs, shared = data.draw(owned(jobs)), {"tenants": data.draw(tenants(site), label="tenants")}
        compare(jobs, site, policy, 0, None, **shared)

    checked(f"shapes {rule} {placement}", EXAMPLES, check)


@pytest.mark.parametrize("kind", ["numbers", "types"])
@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "slurm"])
def test_so_they_are_among_tenants(backfill, kind):
    def check(data: st.DataObject) -> None:
        site = data.draw(mixed_sites(), label="cluster")
        jobs = data.draw(owned(data.draw(job_tables(site))), label="workload")
        policy = Policy(backfill=backfill, placement=data.draw(st.sampled_from(PLACEMENTS), label="placement"))
        compare(jobs, site, policy, 0, None, tenants=data.draw(tenants(site, kind), label="tenants"))

    checked(f"shapes among tenants {backfill} {kind}", EXAMPLES, check)
