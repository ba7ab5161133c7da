"""Engine against reference: arrays with a limit, a beginning in the middle, windows over nodes."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from gpuyard.windows import NodeWindow
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_schedules import checked
from strategies import VARIANTS, clusters, crowded_sites, crowded_workloads, policies


@st.composite
def in_arrays(draw: st.DrawFn, jobs: Workload) -> Workload:
    """Put most jobs into one of three arrays, two of which have a limit."""
    rows = jobs.table.to_pylist()
    limits = {"a": draw(st.integers(1, 3)), "b": draw(st.integers(1, 2)), "c": None}
    for row in rows:
        row["array"] = draw(st.sampled_from(["a", "a", "b", "c", None]))
        stated = draw(st.booleans()) and row["array"] is not None
        row["array_limit"] = limits[row["array"]] if stated else None
        row["user"] = draw(st.sampled_from([None, None, "ann"]))
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@pytest.mark.parametrize("order", ["fifo", "sjf", "wfp", "themis"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_arrays_have_the_schedule_of_the_reference(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        cluster = data.draw(crowded_sites(), label="cluster")
        workload = data.draw(in_arrays(data.draw(crowded_workloads(cluster, scale))), label="workload")
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: at * scale), label="until")
        compare(workload, cluster, policy, data.draw(st.integers(0, 3), label="seed"), until)

    checked(f"arrays {variant} {order}", EXAMPLES, check)


@st.composite
def recorded(draw: st.DrawFn, jobs: Workload, scale: float) -> Workload:
    """Write down, for most jobs, when they started and ended, whether or not there was room."""
    rows = jobs.table.to_pylist()
    for row in rows:
        if draw(st.integers(0, 3)):
            row["start_time"] = row["submit_time"] + draw(st.integers(-1, 8)) * scale
            kept = draw(st.booleans()) and row["runtime"] is not None
            length = row["runtime"] if kept else draw(st.integers(0, 12)) * scale
            row["end_time"] = None if draw(st.integers(0, 3)) == 0 else row["start_time"] + length
        elif draw(st.integers(0, 4)) == 0:
            row["start_time"], row["end_time"] = None, row["submit_time"] + 3 * scale
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


@pytest.mark.parametrize("order", ["fifo", "sjf", "wfp"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_beginning_in_the_middle_has_the_schedule_of_the_reference(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        cluster = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(cluster, scale))
        if data.draw(st.booleans()):
            jobs = data.draw(in_arrays(jobs))
        workload = data.draw(recorded(jobs, scale), label="workload")
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        begin = data.draw(st.integers(0, 8).map(lambda at: at * scale), label="begin")
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: begin + at * scale), label="until")
        compare(workload, cluster, policy, data.draw(st.integers(0, 3), label="seed"), until, begin=begin)

    checked(f"begin {variant} {order}", EXAMPLES, check)


@st.composite
def windows(draw: st.DrawFn, nodes: int, scale: float) -> list[NodeWindow]:
    """Return up to three windows over some nodes, for everybody or to the exception of ann, of a tenant."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, nodes - 1))
        start = draw(st.integers(-2, 12))
        found.append(
            NodeWindow(
                nodes=(f"{first}-{draw(st.integers(first, nodes - 1))}",),
                start=start * scale,
                end=(start + draw(st.integers(1, 8))) * scale,
                users=draw(st.sampled_from([(), (), ("ann",)])),
                tenants=draw(st.sampled_from([(), (), ("blue",)])),
            )
        )
    return found


@pytest.mark.parametrize("order", ["fifo", "sjf", "priority", "wfp", "themis", "multifactor"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_windows_over_nodes_have_the_schedule_of_the_reference(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        cluster = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(cluster, scale))
        rows = jobs.table.to_pylist()
        for number, row in enumerate(rows):
            row["user"] = "ann" if number == 0 else data.draw(st.sampled_from([None, "ann", "bob"]))
            row["tenant"] = "blue" if number == 0 else data.draw(st.sampled_from([None, "blue", "red"]))
        jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
        begin = None
        if data.draw(st.integers(0, 3)) == 0:
            jobs = data.draw(recorded(jobs, scale))
            begin = data.draw(st.integers(0, 5)) * scale
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        closed = data.draw(windows(cluster.nodes, scale), label="windows")
        until = data.draw(st.none() | st.none() | st.integers(5, 20).map(lambda at: at * scale), label="until")
        run_seed = data.draw(st.integers(0, 3), label="seed")
        compare(jobs, cluster, policy, run_seed, until, begin=begin, windows=closed)

    checked(f"windows {variant} {order}", EXAMPLES, check)


@st.composite
def partitions(draw: st.DrawFn, nodes: int) -> list[NodeWindow]:
    """Return one to three partitions, which may overlap, leave nodes over, and be the default."""
    found = []
    for number, name in enumerate(draw(st.sampled_from([("debug",), ("debug", "all"), ("debug", "all", "long")]))):
        first = draw(st.integers(0, nodes - 1))
        last = nodes - 1 if draw(st.booleans()) else draw(st.integers(first, nodes - 1))
        default = number == 0 and draw(st.booleans())
        found.append(NodeWindow.partition(name, (f"{first}-{last}",), is_default=default))
    return found


@pytest.mark.parametrize("order", ["fifo", "sjf", "priority", "wfp", "multifactor"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_partitions_with_nodes_have_the_schedule_of_the_reference(variant, order):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 1e-6]), label="scale")
        cluster = data.draw(st.one_of(crowded_sites(), clusters(6)), label="cluster")
        jobs = data.draw(crowded_workloads(cluster, scale))
        rows = jobs.table.to_pylist()
        names = data.draw(st.sampled_from([("debug", "all", None), ("debug", "all", "long", "else", None)]))
        for row in rows:
            row["partition"] = data.draw(st.sampled_from(names))
        rows[0]["user"], rows[0]["tenant"] = "ann", "blue"
        jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
        begin = None
        if data.draw(st.integers(0, 3)) == 0:
            jobs = data.draw(recorded(jobs, scale))
            begin = data.draw(st.integers(0, 5)) * scale
        policy = data.draw(policies(scale=scale, variant=variant, order=order), label="policy")
        closed = data.draw(partitions(cluster.nodes), label="partitions")
        if data.draw(st.integers(0, 3)) == 0:
            closed += data.draw(windows(cluster.nodes, scale), label="windows")
        until = data.draw(st.none() | st.none() | st.integers(5, 20).map(lambda at: at * scale), label="until")
        compare(jobs, cluster, policy, data.draw(st.integers(0, 3), label="seed"), until, begin=begin, windows=closed)

    checked(f"partitions {variant} {order}", EXAMPLES, check)
