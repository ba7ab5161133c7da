"""Engine against reference where nodes of several GPU types are of several sizes: who is cut, and on which type."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from conftest import workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.preemption import Preemption
from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_schedules import checked
from oracle.test_tenants import agree
from reference import PLACEMENTS
from strategies import TYPES, VARIANTS, tray_sites


@st.composite
def shaped_workloads(draw: st.DrawFn, site: Cluster) -> Workload:
    """Jobs of up to the whole site, of which some name types, or nodes, or want nodes to themselves."""
    rows = []
    for _ in range(draw(st.integers(4, 16))):
        gpus = draw(st.sampled_from([1, 2, 3, 4, 4, 6, 8, 8]) | st.integers(1, site.gpus))
        more: dict[str, object] = {"exclusive": draw(st.integers(0, 7)) == 7, "priority": draw(st.integers(0, 2))}
        if draw(st.integers(0, 3)) == 0:
            more["nodes"] = draw(st.integers(1, 3))
        if draw(st.integers(0, 2)) == 0:
            more["gpu_type"] = "|".join(draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True)))
        if gpus == 1 and draw(st.booleans()):
            more["gpu_milli"] = draw(st.sampled_from([250, 500, 700]))
        if site.node_cpus is not None:
            more["cpus"] = draw(st.none() | st.integers(1, 3).map(lambda each, of=gpus: each * of))
        rows.append((draw(st.integers(0, 6)), draw(st.integers(1, 9)), gpus, more))
    return workload(*rows)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_each_type_has_its_own_shape_as_in_the_reference(placement, variant):
    def check(data: st.DataObject) -> None:
        site = data.draw(tray_sites(), label="cluster")
        backfill, *option = variant.split("-")
        more = {"reservation": option[0]} if backfill == "easy" else {}
        policy = Policy(placement=placement, backfill=backfill, **more)
        windows = []
        if data.draw(st.booleans()):
            first = data.draw(st.integers(0, site.nodes - 1))
            windows.append(NodeWindow(nodes=(f"{first}-{site.nodes - 1}",), start=2, end=9, users=()))
        compare(data.draw(shaped_workloads(site)), site, policy, 0, None, windows=windows)

    checked(f"shapes {placement} {variant}", EXAMPLES, check)


@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "slurm"])
@pytest.mark.parametrize("rule", ["priority", "srtf"])
def test_who_makes_room_for_a_job_that_may_be_cut(rule, backfill):
    def check(data: st.DataObject) -> None:
        site = data.draw(tray_sites(), label="cluster")
        placement = data.draw(st.sampled_from(["first-fit", "best-fit", "packed", "topology-tree"]))
        order = "priority" if rule == "priority" else "sjf"
        policy = Policy(order=order, placement=placement, backfill=backfill, preemption=Preemption(rule=rule))
        compare(data.draw(shaped_workloads(site)), site, policy, 0, None)

    checked(f"shapes and room {rule} {backfill}", 3 * EXAMPLES, check)


@pytest.mark.parametrize("kind", ["numbers", "types"])
@pytest.mark.parametrize("rule", ["none", "reclaim", "priority"])
def test_tenants_jobs_have_the_shapes_of_the_reference(rule, kind):
    def check(data: st.DataObject) -> None:
        site = data.draw(tray_sites(), label="cluster")
        agree(data, site, data.draw(shaped_workloads(site)), rule, sharing={"kind": kind})

    checked(f"shapes and tenants {rule} {kind}", 3 * EXAMPLES, check)
