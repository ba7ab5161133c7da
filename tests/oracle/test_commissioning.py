"""Engine against reference: nodes that come later, alone and beside windows that close nodes."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_constraints import in_arrays, recorded, windows
from oracle.test_schedules import checked
from strategies import PLACEMENTS, VARIANTS, clusters, crowded_sites, crowded_workloads, policies


@st.composite
def commissionings(draw: st.DrawFn, nodes: int, scale: float) -> list[NodeWindow]:
    """Return up to four times at which some nodes come; a node may be named twice, and all may come late."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, nodes - 1))
        named = (f"{first}-{draw(st.integers(first, nodes - 1))}",)
        found.append(NodeWindow.commissioned(named, draw(st.integers(-2, 14)) * scale))
    return found


def with_names(data: st.DataObject, jobs: Workload) -> Workload:
    """Give the jobs users and tenants, of which windows invite some."""
    rows = jobs.table.to_pylist()
    for number, row in enumerate(rows):
        row["user"] = "ann" if number == 0 else data.draw(st.sampled_from([None, "ann", "bob"]))
        row["tenant"] = "blue" if number == 0 else data.draw(st.sampled_from([None, "blue", "red"]))
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@pytest.mark.parametrize("order", ["fifo", "sjf", "wfp", "themis", "multifactor"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_nodes_that_come_later_have_the_schedule_of_the_reference(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        cluster = data.draw(crowded_sites(), label="cluster")
        plain = data.draw(st.booleans())
        jobs = data.draw(crowded_workloads(cluster, scale, plain=plain))
        if not plain and data.draw(st.integers(0, 2)) == 0:
            jobs = data.draw(in_arrays(jobs))
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        later = data.draw(commissionings(cluster.nodes, scale), label="later")
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: at * scale), label="until")
        compare(jobs, cluster, policy, data.draw(st.integers(0, 3), label="seed"), until, windows=later)

    checked(f"later {variant} {order}", EXAMPLES, check)


@pytest.mark.parametrize("placement", sorted(PLACEMENTS))
def test_nodes_that_come_later_under_every_placement(placement):
    def check(data: st.DataObject) -> None:
        cluster = data.draw(clusters(6), label="cluster")
        jobs = data.draw(crowded_workloads(cluster, 1))
        variant = data.draw(st.sampled_from(VARIANTS))
        policy = data.draw(policies(variant=variant, placement=placement), label="policy")
        later = data.draw(commissionings(cluster.nodes, 1), label="later")
        compare(jobs, cluster, policy, data.draw(st.integers(0, 3), label="seed"), None, windows=later)

    checked(f"later {placement}", EXAMPLES, check)


@pytest.mark.parametrize("order", ["fifo", "wfp"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_nodes_that_come_later_beside_windows_over_nodes(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        cluster = data.draw(crowded_sites(), label="cluster")
        jobs = with_names(data, data.draw(crowded_workloads(cluster, scale)))
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        nodes = cluster.nodes
        both = data.draw(commissionings(nodes, scale), label="later") + data.draw(windows(nodes, scale), label="closed")
        until = data.draw(st.none() | st.none() | st.integers(5, 20).map(lambda at: at * scale), label="until")
        compare(jobs, cluster, policy, data.draw(st.integers(0, 3), label="seed"), until, windows=both)

    checked(f"later and closed {variant} {order}", EXAMPLES, check)


@pytest.mark.parametrize("order", ["fifo", "wfp"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_nodes_that_come_after_a_beginning_in_the_middle(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        cluster = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(recorded(data.draw(crowded_workloads(cluster, scale)), scale), label="workload")
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        later = data.draw(commissionings(cluster.nodes, scale), label="later")
        begin = data.draw(st.integers(0, 8).map(lambda at: at * scale), label="begin")
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: begin + at * scale), label="until")
        run_seed = data.draw(st.integers(0, 3), label="seed")
        compare(jobs, cluster, policy, run_seed, until, begin=begin, windows=later)

    checked(f"later and begin {variant} {order}", EXAMPLES, check)
